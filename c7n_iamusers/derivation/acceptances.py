# SPDX-License-Identifier: Apache-2.0
"""Acceptances: a policy accepts, for one user, a permission set without the proof that it grants no more. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.policy_comparison.comparison import UNDECIDED, UNPROVEN, WIDER, Proof, Remark
from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers.text.wording import quoted

#: The verdicts on users that can't use their policies: they have no working credential, or our quarantine.
NO_WORKING_CREDENTIALS, QUARANTINED = "no-working-credentials", "quarantined"
_OF_USERS = (NO_WORKING_CREDENTIALS, QUARANTINED)
#: All accounts or all users, in place of an id or a name.
EVERY = "*"
ACCEPTANCE_KEYS = ("account", "user", "verdict", "remark", "expires")
#: The ids of remarks: an acceptance applies, or only one that does not apply exists.
ACCEPTED, NOT_ACCEPTED = "accepted", "not-accepted"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True)
class Acceptance:
    """Permission to give the person of one IAM user access despite ``verdict``.

    ``verdict``: WIDER or UNDECIDED, of the proof of its set; NO_WORKING_CREDENTIALS or QUARANTINED, of the user itself.
    ``account``, ``user``: EVERY for all, see ``parse_acceptances``. ``remark``: who accepts it, and why. ``expires``:
    its last day, in UTC.
    """

    account: str
    user: str
    verdict: str
    remark: str
    expires: date

    def is_for(self, subject: Subject) -> bool:
        """Whether it is for the user ``subject``."""
        return self.account in (EVERY, subject.account_id) and self.user in (EVERY, subject.name)


def parse_acceptances(derive: Mapping[str, Any], where: str, for_all: bool = False) -> tuple[Acceptance, ...]:
    """The acceptances in a policy's ``derive:``. ``where``: its place, for errors. Raises InvalidPolicyData.

    ``for_all``: a row may have EVERY as account and user. It accepts a permission set by name, which is the same for
    all users. It never accepts a user that can't use its policies.
    """
    rows = derive.get("accept", ())
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise InvalidPolicyData(f"{where}: accept must be a list")
    faults = [
        f"{where}: accept[{number}]: {fault}"
        for number, row in enumerate(rows)
        for fault in _faults(row, for_all)
    ]
    if faults:
        raise InvalidPolicyData("; ".join(faults))
    return tuple(_acceptance(row) for row in rows)


def acceptance_data(acceptance: Acceptance) -> dict[str, str]:
    """The row of ``accept:`` for ``acceptance``."""
    return {
        **{key: getattr(acceptance, key) for key in ACCEPTANCE_KEYS},
        "expires": acceptance.expires.isoformat(),
    }


def with_acceptance(proof: Proof, subject: Subject, rows: Iterable[Acceptance], today: date) -> Proof:
    """``proof``, with a remark if its verdict needs an acceptance and ``rows`` have one for the user."""
    remark = _remark(subject, proof.verdict, rows, today) if proof.verdict in UNPROVEN else None
    return replace(proof, remarks=(*proof.remarks, remark)) if remark else proof


def accepted(rows: Iterable[Acceptance], subject: Subject, verdict: str, today: date) -> Acceptance | None:
    """The row that accepts ``verdict`` for the user on ``today``; None if there is none."""
    found = (row for row in rows if row.is_for(subject) and row.verdict == verdict)
    return next((each for each in found if today <= each.expires), None)


def is_permitted(proof: Proof) -> bool:
    """Whether the set may be created: it is proven to grant no more, or it is accepted."""
    return proof.verdict not in UNPROVEN or any(remark.id == ACCEPTED for remark in proof.remarks)


def _remark(subject: Subject, verdict: str, rows: Iterable[Acceptance], today: date) -> Remark | None:
    found = [each for each in rows if each.is_for(subject) and each.verdict in UNPROVEN]
    if valid := accepted(found, subject, verdict, today):
        text = f"{verdict} is accepted until {valid.expires}: {valid.remark}"
        return Remark(ACCEPTED, "accept", text)
    for each in found:
        reason = f"expired on {each.expires}" if each.verdict == verdict else f"is only for {each.verdict}"
        remedy = f"review the proof, then set a new expires, or the verdict {verdict}"
        return Remark(NOT_ACCEPTED, "accept", f"the acceptance ({each.remark}) {reason}", remedy)
    return None


def _acceptance(row: Mapping[str, Any]) -> Acceptance:
    texts = (row["account"], row["user"], row["verdict"], row["remark"])
    return Acceptance(*texts, expires=_date(row["expires"]) or date.min)


def _faults(row: Any, for_all: bool) -> Iterator[str]:
    if not isinstance(row, Mapping) or set(row) != set(ACCEPTANCE_KEYS):
        yield f"must have exactly the keys {', '.join(ACCEPTANCE_KEYS)}"
        return
    yield from _faults_of_all(row, for_all)
    is_account = is_account_id(row["account"])
    if row["account"] != EVERY and not is_account:
        yield f"account {quoted(row['account'])} must be 12 digits in quotes"
    for key in ("user", "remark"):
        if not isinstance(row[key], str) or not row[key].strip():
            yield f"{key} must be a string that is not empty"
    if row["verdict"] not in (WIDER, UNDECIDED, *_OF_USERS):
        yield f"verdict {quoted(row['verdict'])} is none of {', '.join((WIDER, UNDECIDED, *_OF_USERS))}"
    if _date(row["expires"]) is None:
        yield f"expires {quoted(row['expires'])} must be a date, YYYY-MM-DD"


def _faults_of_all(row: Mapping[str, Any], for_all: bool) -> Iterator[str]:
    every = [f"{key} {quoted(EVERY)}" for key in ("account", "user") if row[key] == EVERY]
    if every and not for_all:
        yield f"{' and '.join(every)} accepts every user: name each user instead"
    elif every and row["verdict"] in _OF_USERS:
        yield f"{' and '.join(every)} with verdict {row['verdict']}: name each such user instead"


def _date(value: Any) -> date | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) and _DAY.fullmatch(value) else None
    except ValueError:
        return None
