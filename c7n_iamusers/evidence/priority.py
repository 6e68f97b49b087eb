# SPDX-License-Identifier: Apache-2.0
"""Which of the flagged users' access keys to look at first, and why. Pure.

An active key comes before one that nobody can use. Then count administrator rights, calls from outside AWS, and age:
"Security best practices in IAM" (IAM User Guide) asks for least privilege, temporary credentials and rotation. What is
unknown counts for more than what is known not to be so, and for less than what is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from c7n_iamusers.evidence.model import DATA_PLANE_ONLY, UNKNOWN_CALLS
from c7n_iamusers.iam.attachments import ACTIVE
from c7n_iamusers.key_usage.callers import OUTSIDE, OWN, SERVICE
from c7n_iamusers.text.times import moment

#: Findings on rights that lead to all others.
_ADMIN = ("admin-rights", "may-become-admin")
_SHOWN = 2


@dataclass(frozen=True)
class _Rank:
    """One key's. None: unknown. ``days``: its age. ``addresses``: outside AWS, from which it is used."""

    active: bool
    admin: bool | None
    outside: bool | None
    old: bool | None
    days: int
    key_id: str
    addresses: tuple[str, ...]

    @property
    def order(self) -> tuple[int, ...]:
        signs = (_weight(each) for each in (self.active, self.admin, self.outside, self.old))
        return (*signs, self.days)

    @property
    def text(self) -> str:
        """In one line, for people."""
        where = f" ({', '.join(self.addresses[:_SHOWN])})" if self.addresses else ""
        said = [
            "active" if self.active else "inactive",
            _said(self.admin, "administrator rights", "whether it has administrator rights is unknown"),
            _said(
                self.outside,
                f"used from outside AWS{where}",
                "whether it is used from outside AWS is unknown",
            ),
            f"{self.days} days old" if self.days >= 0 else "of unknown age",
        ]
        return f"{self.key_id}: {', '.join(each for each in said if each)}"


def _weight(sign: bool | None) -> int:
    return 1 if sign is None else 2 * sign


def _said(sign: bool | None, yes: str, unknown: str) -> str:
    return unknown if sign is None else yes if sign else ""


def priorities(
    annotations: Sequence[Mapping[str, Any]], now: datetime, rotation: float
) -> list[dict[str, Any] | None]:
    """For each of the ``annotations`` of one run: its ``number`` from 1, ``of`` how many, and why (``text``).

    Each has the ``usage`` of its keys, and counts by that of its keys which comes first; None for one without keys.
    ``rotation``: days after which a key is old.
    """
    ranks = [_first(_ranks(each, now, rotation)) for each in annotations]
    ranked = sorted(
        ((rank, place) for place, rank in enumerate(ranks) if rank),
        key=lambda pair: (*(-each for each in pair[0].order), pair[0].key_id, pair[1]),
    )
    found: list[dict[str, Any] | None] = [None] * len(annotations)
    for number, (rank, place) in enumerate(ranked, 1):
        found[place] = {"number": number, "of": len(ranked), "text": rank.text}
    return found


def _first(ranks: Iterable[_Rank]) -> _Rank | None:
    return max(ranks, key=lambda rank: rank.order, default=None)


def _ranks(known: Mapping[str, Any], now: datetime, rotation: float) -> Iterable[_Rank]:
    admin = _is_admin(known)
    for key in known.get("usage") or ():
        callers = [each for each in key["callers"] if each["denied"] < each["calls"]]
        created = moment(key.get("created"))
        days = (now - created).days if created else -1
        yield _Rank(
            key["status"] == ACTIVE,
            admin,
            _is_outside(key, callers),
            days >= rotation if created else None,
            days,
            key["id"],
            tuple(each["address"] for each in callers if each["place"] == OUTSIDE),
        )


def _is_admin(known: Mapping[str, Any]) -> bool | None:
    if any(each.get("id") in _ADMIN for each in known.get("findings") or ()):
        return True
    return None if set(_ADMIN) & set(known.get("unknown_findings") or ()) else False


def _is_outside(key: Mapping[str, Any], callers: Sequence[Mapping[str, Any]]) -> bool | None:
    """None too where a caller, or a source, is unknown or not told, or where CloudTrail has no events of its calls.

    A private address may be of any network that has a way into a VPC.
    """
    places = {each["place"] for each in callers}
    if OUTSIDE in places:
        return True
    unread = key.get("more-callers") or any(
        each.get("problem") or each.get("more") for each in key["sources"]
    )
    if places - {OWN, SERVICE} or unread or key["result"] in (UNKNOWN_CALLS, DATA_PLANE_ONLY):
        return None
    return False
