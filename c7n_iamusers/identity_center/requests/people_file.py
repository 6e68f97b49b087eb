# SPDX-License-Identifier: Apache-2.0
"""The people file of ``people-from`` (CSV, JSON, YAML): who the people of IAM users are. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.text.documents import NotInFormat
from c7n_iamusers.text.rows import Row, read_rows
from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers.text.wording import folded, quoted

#: The keys of a policy's ``user:``. CreateUser needs all of them, although its model says they are optional.
KEYS = ("username", "email", "given-name", "family-name", "display-name")
#: The columns that identify the IAM user, and the person's user in Identity Center; the others are those of ``user:``.
ACCOUNT, USER, USER_ID = "account", "user", "user-id"
COLUMNS = (ACCOUNT, USER, *KEYS, USER_ID)
REQUIRED = (ACCOUNT, USER, "email")


@dataclass(frozen=True)
class PersonRow:
    """``texts``: column -> text. ``line``: where the row begins. ``problem``: why it can't be read."""

    line: int
    texts: Mapping[str, str]
    problem: str = ""


@dataclass(frozen=True)
class _Fault:
    line: int
    account_id: str
    user: str
    text: str

    def concerns(self, account_id: str, user: str) -> bool:
        """Whether the row may be for that user. An unreadable account or user may be any."""
        return self.account_id in ("", account_id) and folded(self.user) in ("", folded(user))


@dataclass(frozen=True)
class PeopleMap:
    """The rows of the file ``name``: (account id, folded user name) -> row."""

    name: str
    rows: Mapping[tuple[str, str], PersonRow]
    faults: tuple[_Fault, ...] = ()

    def find(self, account_id: str, user: str) -> PersonRow | None:
        """The row of a user; None if it has none. Raises InvalidPolicyData if a faulty row may be for it."""
        if row := self.rows.get((account_id, folded(user))):
            return row
        concerning = [fault for fault in self.faults if fault.concerns(account_id, user)]
        if concerning:
            lines = "; ".join(f"line {fault.line}: {fault.text}" for fault in concerning[:3])
            raise InvalidPolicyData(f"{self.name}: {lines}: correct it there")
        return None

    def fault_lines(self) -> list[str]:
        """The faulty rows, in lines for a log."""
        return [f"{self.name}, line {fault.line}: {fault.text}" for fault in self.faults]


def people_map(name: str, rows: Iterable[PersonRow]) -> PeopleMap:
    """The map of ``rows``. Names of IAM users are unique ignoring case."""
    good: defaultdict[tuple[str, str], list[PersonRow]] = defaultdict(list)
    faults: list[_Fault] = []
    for row in rows:
        account_id, user = row.texts.get(ACCOUNT, ""), row.texts.get(USER, "")
        known = account_id if is_account_id(account_id) else ""
        if fault := row.problem or _row_fault(row.texts):
            faults.append(_Fault(row.line, known, user, fault))
        else:
            good[known, folded(user)].append(row)
    for (account_id, user), same in good.items():
        if len(same) > 1:
            lines = ", ".join(str(row.line) for row in same)
            text = f"user {user} of account {account_id} has several rows (lines {lines})"
            faults.append(_Fault(same[0].line, account_id, user, text))
    return PeopleMap(name, {key: same[0] for key, same in good.items() if len(same) == 1}, tuple(faults))


def _row_fault(texts: Mapping[str, str]) -> str:
    if unknown := sorted(set(texts) - set(COLUMNS)):
        return f"has unknown columns {', '.join(map(repr, unknown))}: known are {', '.join(COLUMNS)}"
    if missing := [column for column in REQUIRED if not texts.get(column)]:
        return f"has no {' and no '.join(missing)}"
    if not is_account_id(texts[ACCOUNT]):
        return f"account {quoted(texts[ACCOUNT])} must be 12 digits (spreadsheets drop leading zeros)"
    return ""


FORMS = {"csv": "csv", "json": "json", "yaml": "yaml", "yml": "yaml"}


def parse_people(name: str, data: str | bytes) -> PeopleMap:
    """The people of the file ``name`` with content ``data``. The name's extension is the format.

    Raises InvalidPolicyData, with the line, if the content does not have that format.
    """
    form = FORMS.get(name.rpartition(".")[2].lower())
    if form is None:
        raise InvalidPolicyData(f"people-from: {name} must end in one of .{', .'.join(FORMS)}")
    if not data.strip():
        raise InvalidPolicyData(f"people-from: {name} is empty: give rows of {', '.join(COLUMNS)}")
    try:
        rows = list(read_rows(data, form, _header_fault))
    except NotInFormat as error:
        raise InvalidPolicyData(f"people-from: {name}, {error}") from error
    return people_map(name, map(_row, rows))


def _header_fault(names: list[str]) -> str:
    columns = [_column(name) for name in names]
    missing = [column for column in REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in COLUMNS]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    for faulty, problem in ((missing, "lacks"), (unknown, "has unknown"), (twice, "has twice")):
        if faulty:
            return f"{problem} {', '.join(map(repr, faulty))}; known: {', '.join(COLUMNS)}"
    return ""


def _row(row: Row) -> PersonRow:
    if row.problem or not isinstance(row.value, Mapping):
        return PersonRow(row.line, {}, row.problem or "is not an object")
    if len({*map(_column, row.value)}) < len(row.value):
        return PersonRow(row.line, {}, "has a column twice, in other letters")
    return PersonRow(row.line, {_column(key): _text(part) for key, part in row.value.items()})


def _column(name: Any) -> str:
    return str(name).lower().replace("_", "-")


def _text(value: Any) -> str:
    # A number may have lost leading zeros, so it is not an account id.
    return value.strip() if isinstance(value, str) else ""
