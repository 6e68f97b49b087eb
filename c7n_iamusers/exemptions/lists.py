# SPDX-License-Identifier: Apache-2.0
"""Exemption rules from a list that many policies share: JSON, CSV or YAML, with its lines in the errors. Pure."""

from __future__ import annotations

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.exemptions.rules import ExemptionRule, parse_rules
from c7n_iamusers.iam.user_patterns import FIELDS
from c7n_iamusers.text.rows import FORMATS, NotInFormat, Row, read_rows


def format_of(name: str) -> str:
    """The format that the ending of a path or URL tells; empty where it tells none."""
    ending = name.partition("?")[0].partition("#")[0].lower().removesuffix(".gz").rpartition(".")[2]
    return {"yml": "yaml"}.get(ending, ending) if ending in (*FORMATS, "yml") else ""


def parse_list(data: str | bytes, form: str, where: str) -> tuple[ExemptionRule, ...]:
    """The rules of a list in the format ``form`` (one of FORMATS); ``where`` names it for the errors.

    Raises InvalidPolicyData that lists every fault with its line; so does a list without rules, since an
    empty one is far likelier a mishap than a wish to exempt nobody.
    """
    rules: list[ExemptionRule] = []
    faults: list[str] = []
    try:
        for row in read_rows(data, form, _header_fault):
            try:
                rules += _rule(row, f"{where} line {row.line}")
            except InvalidPolicyData as error:
                faults.append(str(error))
    except NotInFormat as error:
        raise InvalidPolicyData(f"{where}: {error}") from error
    if faults:
        raise InvalidPolicyData("; ".join(faults))
    if not rules:
        raise InvalidPolicyData(
            f"{where}: has no rules: give at least one, or leave exempt-from out of the policy"
        )
    return tuple(rules)


def _rule(row: Row, where: str) -> tuple[ExemptionRule, ...]:
    if row.problem:
        raise InvalidPolicyData(f"{where}: {row.problem}")
    try:
        return parse_rules([row.value], where)
    except InvalidPolicyData as error:
        # The row is known by its line; its index in a list of one says nothing.
        raise InvalidPolicyData(str(error).replace(f"{where}[0]", where)) from error


def _header_fault(names: list[str]) -> str:
    if set(names) & set(FIELDS):
        return ""
    return f"must name the columns, at least one of {', '.join(FIELDS)} among them, not {names!r}"
