# SPDX-License-Identifier: Apache-2.0
"""Exemption rules from a list that many policies share: JSON, CSV or YAML, with its lines in the errors. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping

from c7n_iamusers.decisions.exemptions import parse_rules
from c7n_iamusers.decisions.rows import NotInFormat, Row, json_rows, yaml_rows
from c7n_iamusers.decisions.user_patterns import FIELDS
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.model.exemption import ExemptionRule


def format_of(name: str) -> str:
    """The format that the ending of a path or URL tells; empty where it tells none."""
    ending = name.partition("?")[0].partition("#")[0].lower().removesuffix(".gz").rpartition(".")[2]
    return {"yml": "yaml"}.get(ending, ending) if ending in (*FORMATS, "yml") else ""


def parse_list(text: str, form: str, where: str) -> tuple[ExemptionRule, ...]:
    """The rules of a list in the format ``form`` (one of FORMATS); ``where`` names it for the errors.

    Raises InvalidPolicyData that lists every fault with its line; so does a list without rules, since an
    empty one is far likelier a mishap than a wish to exempt nobody.
    """
    try:
        rows = list(_READERS[form](text.lstrip("\ufeff")))
    except NotInFormat as error:
        raise InvalidPolicyData(f"{where}: {error}") from error
    rules: list[ExemptionRule] = []
    faults: list[str] = []
    for line, row in rows:
        try:
            rules += _rule(row, f"{where} line {line}")
        except InvalidPolicyData as error:
            faults.append(str(error))
    if faults:
        raise InvalidPolicyData("; ".join(faults))
    if not rules:
        raise InvalidPolicyData(
            f"{where}: has no rules: give at least one, or leave exempt-from out of the policy"
        )
    return tuple(rules)


def _rule(row: object, where: str) -> tuple[ExemptionRule, ...]:
    try:
        return parse_rules([row], where)
    except InvalidPolicyData as error:
        # The row is known by its line; its index in a list of one says nothing.
        raise InvalidPolicyData(str(error).replace(f"{where}[0]", where)) from error


def _csv_rows(text: str) -> Iterator[Row]:
    """A header of keys, then a rule a line; an empty cell is a key that the rule lacks."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    begins = 1
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not header:
                header = _header(cells)
                continue
            yield line, _csv_row(header, cells, line)
    except csv.Error as error:
        raise NotInFormat(f"line {reader.line_num}: {error}") from error


def _header(cells: list[str]) -> list[str]:
    names = [name.lower() for name in cells]
    if not set(names) & set(FIELDS) or len(set(names)) != len(names):
        raise NotInFormat(
            f"line 1: must name the columns, each once, at least one of {', '.join(FIELDS)} among them, not {cells!r}"
        )
    return names


def _csv_row(header: list[str], cells: list[str], line: int) -> Mapping[str, str]:
    if len(cells) > len(header):
        raise NotInFormat(
            f"line {line}: has {len(cells)} cells, the header {len(header)}: quote a cell with a comma"
        )
    return {name: cell for name, cell in zip(header, cells, strict=False) if cell}


_READERS: Mapping[str, Callable[[str], Iterator[Row]]] = {
    "json": json_rows,
    "csv": _csv_rows,
    "yaml": yaml_rows,
}
FORMATS = tuple(_READERS)
