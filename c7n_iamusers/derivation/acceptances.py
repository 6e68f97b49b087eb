# SPDX-License-Identifier: Apache-2.0
"""The users for whom a policy accepts a permission set that was not proven to grant no more. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from c7n_iamusers.derivation.model import Acceptance, DerivationOptions
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.policy_comparison.comparison import UNDECIDED, UNPROVEN, WIDER, Proof, Remark

KEYS = ("account", "user", "verdict", "remark", "expires")
#: The ids of remarks: an acceptance applies, or there is one that does not.
ACCEPTED, NOT_ACCEPTED = "accepted", "not-accepted"
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_ALLOW_WIDER = (
    "allow-wider is no longer supported, because it accepted every set of every user: name each user instead, with "
    'accept: [{account: "111122223333", user: NAME, verdict: wider, remark: WHY, expires: YYYY-MM-DD}]'
)


def parse_acceptances(derive: Mapping[str, Any], where: str) -> tuple[Acceptance, ...]:
    """The acceptances in a policy's ``derive:``. ``where``: its place, for errors. Raises InvalidPolicyData."""
    if "allow-wider" in derive:
        raise InvalidPolicyData(f"{where}: {_ALLOW_WIDER}")
    rows = derive.get("accept", ())
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise InvalidPolicyData(f"{where}: accept must be a list")
    faults = [
        f"{where}: accept[{number}]: {fault}" for number, row in enumerate(rows) for fault in _faults(row)
    ]
    if faults:
        raise InvalidPolicyData("; ".join(faults))
    return tuple(_acceptance(row) for row in rows)


def acceptance_data(acceptance: Acceptance) -> dict[str, str]:
    """The row of ``accept:`` for ``acceptance``."""
    return {**{key: getattr(acceptance, key) for key in KEYS}, "expires": acceptance.expires.isoformat()}


def with_acceptance(proof: Proof, subject: Subject, options: DerivationOptions) -> Proof:
    """``proof`` with a remark if its verdict needs an acceptance and ``options`` has one for the user."""
    remark = _remark(subject, proof.verdict, options) if proof.verdict in UNPROVEN else None
    return replace(proof, remarks=(*proof.remarks, remark)) if remark else proof


def is_permitted(proof: Proof) -> bool:
    """Whether the set may be created: it is proven to grant no more, or it is accepted."""
    return proof.verdict not in UNPROVEN or any(each.id == ACCEPTED for each in proof.remarks)


def _remark(subject: Subject, verdict: str, options: DerivationOptions) -> Remark | None:
    found = [
        each for each in options.accept if (each.account, each.user) == (subject.account_id, subject.name)
    ]
    valid = [each for each in found if each.verdict == verdict and options.today <= each.expires]
    if valid:
        text = f"{verdict} is accepted until {valid[0].expires}: {valid[0].remark}"
        return Remark(ACCEPTED, "accept", text)
    for each in found:
        reason = f"expired on {each.expires}" if each.verdict == verdict else f"is only for {each.verdict}"
        remedy = f"review the proof, then set a new expires, or the verdict {verdict}"
        return Remark(NOT_ACCEPTED, "accept", f"the acceptance ({each.remark}) {reason}", remedy)
    return None


def _acceptance(row: Mapping[str, Any]) -> Acceptance:
    texts = (row["account"], row["user"], row["verdict"], row["remark"])
    return Acceptance(*texts, expires=_date(row["expires"]) or date.min)


def _faults(row: Any) -> Iterator[str]:
    if not isinstance(row, Mapping) or set(row) != set(KEYS):
        yield f"must have exactly the keys {', '.join(KEYS)}"
        return
    if not isinstance(row["account"], str) or not _ACCOUNT.fullmatch(row["account"]):
        yield f"account {row['account']!r} must be 12 digits in quotes"
    for key in ("user", "remark"):
        if not isinstance(row[key], str) or not row[key].strip():
            yield f"{key} must be a string that is not empty"
    if row["verdict"] not in (WIDER, UNDECIDED):
        yield f"verdict {row['verdict']!r} is neither {WIDER} nor {UNDECIDED}"
    if _date(row["expires"]) is None:
        yield f"expires {row['expires']!r} must be a date, YYYY-MM-DD"


def _date(value: Any) -> date | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
    except ValueError:
        return None
