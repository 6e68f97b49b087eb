# SPDX-License-Identifier: Apache-2.0
"""Who IAM users' people are by an own file (csv, json, yaml), which outranks tags. Pure.

Nothing in it is guessed: a row that can't be understood refuses every user it may be meant for, since a tag
would otherwise speak where the file was to.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from c7n_iamusers.decisions.people import KEYS
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.model.identity_center import folded

#: What says whom a row is for; the other columns are those of ``user:``.
ACCOUNT, USER = "account", "user"
COLUMNS = (ACCOUNT, USER, *KEYS)
_REQUIRED = (ACCOUNT, USER, "email")
_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True)
class Row:
    """``texts``: column -> text. ``line``: where the row begins. ``problem``: why it can't be understood."""

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
        """Whether the row may have been meant for that user: what can't be told from it may be anything."""
        return self.account_id in ("", account_id) and folded(self.user) in ("", folded(user))


@dataclass(frozen=True)
class PeopleMap:
    """``name``: the file's, for errors and for what an adoption rests on."""

    name: str
    rows: Mapping[tuple[str, str], Row]
    faults: tuple[_Fault, ...] = ()

    def find(self, account_id: str, user: str) -> Row | None:
        """The row of an account's user; None where the file says nothing of it. Raises InvalidPolicyData."""
        if row := self.rows.get((account_id, folded(user))):
            return row
        concerning = [fault for fault in self.faults if fault.concerns(account_id, user)]
        if concerning:
            told = "; ".join(f"line {fault.line}: {fault.text}" for fault in concerning[:3])
            raise InvalidPolicyData(f"{self.name}: {told}: mend it there")
        return None

    def told_faults(self) -> list[str]:
        """Every row that can't be understood, for a log."""
        return [f"{self.name}, line {fault.line}: {fault.text}" for fault in self.faults]


def people_map(name: str, rows: Iterable[Row]) -> PeopleMap:
    """The map that ``rows`` make. Names of IAM users are unique whatever their case, and so are looked up."""
    good: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    faults: list[_Fault] = []
    for row in rows:
        account_id, user = row.texts.get(ACCOUNT, ""), row.texts.get(USER, "")
        known = account_id if _ACCOUNT.fullmatch(account_id) else ""
        if fault := row.problem or _fault(row.texts):
            faults.append(_Fault(row.line, known, user, fault))
        else:
            good[known, folded(user)].append(row)
    for (account_id, user), same in good.items():
        if len(same) > 1:
            lines = ", ".join(str(row.line) for row in same)
            text = f"user {user} of account {account_id} has several rows (lines {lines})"
            faults.append(_Fault(same[0].line, account_id, user, text))
    return PeopleMap(name, {key: same[0] for key, same in good.items() if len(same) == 1}, tuple(faults))


def _fault(texts: Mapping[str, str]) -> str:
    if unknown := sorted(set(texts) - set(COLUMNS)):
        return f"has {', '.join(map(repr, unknown))}, which is none of {', '.join(COLUMNS)}"
    if missing := [column for column in _REQUIRED if not texts.get(column)]:
        return f"has no {' and no '.join(missing)}"
    if not _ACCOUNT.fullmatch(texts[ACCOUNT]):
        return f"account {texts[ACCOUNT]!r} must be 12 digits (spreadsheets drop leading zeros)"
    return ""
