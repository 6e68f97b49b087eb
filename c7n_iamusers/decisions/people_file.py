# SPDX-License-Identifier: Apache-2.0
"""A file of people, as ``people-from`` names it: csv with a header; json or yaml with a list of objects. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from c7n_iamusers.decisions import rows
from c7n_iamusers.decisions.people_map import COLUMNS, PeopleMap, Row, people_map
from c7n_iamusers.exceptions import InvalidPolicyData

FORMS = {"csv": "csv", "json": "json", "yaml": "yaml", "yml": "yaml"}


def parse_people(name: str, data: str | bytes) -> PeopleMap:
    """The people that the file ``name`` with that content tells; its ending says its form.

    Raises InvalidPolicyData, with the line, where it is not of that form: no row can be told then.
    """
    form = FORMS.get(name.rpartition(".")[2].lower())
    if form is None:
        raise InvalidPolicyData(f"people-from: {name} must end in one of .{', .'.join(FORMS)}")
    if not data.strip():
        raise InvalidPolicyData(f"people-from: {name} is empty: give rows of {', '.join(COLUMNS)}")
    try:
        found = list(rows.read_rows(data, form, _header_fault))
    except rows.NotInFormat as error:
        raise InvalidPolicyData(f"people-from: {name}, {error}") from error
    return people_map(name, map(_row, found))


def _header_fault(names: list[str]) -> str:
    columns = [_column(name) for name in names]
    missing = [column for column in ("account", "user", "email") if column not in columns]
    unknown = [column for column in columns if column not in COLUMNS]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    for faulty, told in ((missing, "lacks"), (unknown, "has unknown"), (twice, "has twice")):
        if faulty:
            return f"{told} {', '.join(map(repr, faulty))}; known: {', '.join(COLUMNS)}"
    return ""


def _row(row: rows.Row) -> Row:
    if row.problem or not isinstance(row.value, Mapping):
        return Row(row.line, {}, row.problem or "is no object")
    return Row(row.line, {_column(key): _text(part) for key, part in row.value.items()})


def _column(name: Any) -> str:
    return str(name).lower().replace("_", "-")


def _text(value: Any) -> str:
    # A number would have lost its leading zeros, so it is no account id.
    return value.strip() if isinstance(value, str) else ""
