# SPDX-License-Identifier: Apache-2.0
"""What the later steps will do with an announced user, by their own deciding functions. Pure.

The quarantine decides as on the day of the Deny, and the deletion as on the announced day, as if nothing changed until
then: nobody uses the user, nobody gets access, no role is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.evidence.model import BEDROCK_API_KEY, HUMAN, MIXED, UNKNOWN
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.attachments import ACCESS_KEY, ATTACHMENT_KINDS
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.infrastructure_code.model import Managed
from c7n_iamusers.lockout.deny_all import is_denied
from c7n_iamusers.lockout.lockout_state import quarantine_of
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices
from c7n_iamusers.policy_comparison.trusted_users import TrustIndex
from c7n_iamusers.reasons import Reason
from c7n_iamusers.safeguards.reasons_to_spare import NOTHING_BEFORE, Before, Guards, refusal
from c7n_iamusers.text.times import moment

#: The kinds of users that people may be behind.
PEOPLE = frozenset({HUMAN, MIXED, UNKNOWN})
#: What becomes of a user: it is denied and deleted; it is spared since it is in use; since what replaces it is not
#: there; or for another reason.
GOES, IN_USE, REPLACE_FIRST, STAYS = GROUPS = ("goes", "in-use", "replace-first", "stays")
_GROUP_OF = {
    **dict.fromkeys((reasons.ACTIVE.code, reasons.USED_IN_QUARANTINE.code), IN_USE),
    **dict.fromkeys(
        (
            *(reasons.NO_ACCESS.code, reasons.ACCESS_NOT_READ.code, reasons.TAGS_CHANGED.code),
            *(reasons.TRUSTED.code, reasons.TRUST_UNKNOWN.code, reasons.KIND_NOT_TAKEN.code),
        ),
        REPLACE_FIRST,
    ),
}


def group_of(code: str) -> str:
    """The group of a user that is spared for the reason with this ``code``."""
    return _GROUP_OF.get(code, STAYS)


@dataclass(frozen=True)
class Later:
    """What the later steps ask of a user, as their policies state it.

    ``active_within``: days; None if use spares nobody. ``quarantined_for``: days between the Deny and the deletion;
    None if there is no Deny before it. ``trust``: the account's roles by whom they trust; None if that spares nobody.
    ``missing``: ARN -> why the access of the user's person is not enough, None if it is; None if no policy asks.
    ``naming_tags``: the keys of tags that name a person: a user with one needs access, whatever its kind.
    ``managed``: unique id -> which code manages the user; None if the deletion takes such users too.
    """

    active_within: float | None = None
    quarantined_for: float | None = None
    trust: TrustIndex | None = None
    missing: Mapping[str, Reason | None] | None = None
    naming_tags: tuple[str, ...] = ()
    managed: Mapping[str, Managed] | None = None


@dataclass(frozen=True)
class Flagged:
    """A flagged ``user``: the ``kind`` by which policies select it, and the last use of each of its ``keys``, as the
    evidence has them."""

    user: IamUser
    kind: str
    keys: tuple[KeyUse, ...] = ()

    @classmethod
    def of(cls, user: IamUser, known: Mapping[str, Any]) -> Flagged:
        """``user`` with what its annotation says (``Assessment.as_data``). Missing members are empty."""
        detail = {**user.detail, "PasswordLastUsed": moment(user.detail.get("PasswordLastUsed"))}
        held = {**{kind.name: () for kind in ATTACHMENT_KINDS}, **user.attachments}
        last = known.get("last_activity") or {}
        keys = []
        for each in known.get("credentials") or ():
            if each.get("kind") == ACCESS_KEY.name:
                title = str(each.get("title"))
                where = (
                    (str(last.get(key) or "") for key in ("service", "region"))
                    if last.get("by") == title
                    else ()
                )
                keys.append(
                    KeyUse(title.removeprefix(ACCESS_KEY.title).strip(), moment(each.get("used")), *where)
                )
        kind = str(known.get("selected_as") or known.get("kind") or UNKNOWN)
        return cls(replace(user, detail=detail, attachments=held), kind, tuple(keys))


@dataclass(frozen=True)
class Forecast:
    """What becomes of a user. ``group``: one of GROUPS. ``reason``: why it is spared; None for GOES.

    ``denied``: the day on which it is denied everything; None if it is not. ``since``: since when it is denied already;
    None if it is not, or the Deny does not say it. ``held``: whether it is denied already. ``deleted``: the day; only
    for GOES.
    """

    group: str
    reason: Reason | None = None
    denied: date | None = None
    since: datetime | None = None
    held: bool = False
    deleted: date | None = None

    def as_data(self) -> dict[str, Any]:
        """The forecast as templates read it."""
        found = {
            "group": self.group,
            "code": self.reason.code if self.reason else None,
            "text": self.text,
            "denied": self.denied.isoformat() if self.denied else None,
            "is-denied": self.held,
            "deleted": self.deleted.isoformat() if self.deleted else None,
        }
        return {key: value for key, value in found.items() if value}

    @property
    def text(self) -> str:
        """What its owner reads."""
        since = f" since {self.since:%Y-%m-%d}" if self.since else ""
        denied = f"denied everything on {self.denied}" if self.denied else ""
        state = f"denied everything{since}" if self.held else denied
        why = self.reason.for_owners if self.reason else ""
        # a quarantine takes them all the same
        kept = state and self.reason and self.reason.code in _MANAGED
        end = (
            f"{'not deleted' if kept else _SAID[self.group]}: {why}" if why else f"deleted on {self.deleted}"
        )
        return ", ".join(filter(None, [state, end]))


_MANAGED = frozenset({reasons.MANAGED_AS_CODE.code, reasons.MANAGED_UNKNOWN.code})
_SAID = {IN_USE: "in use", REPLACE_FIRST: "needs a replacement first", STAYS: "left alone"}


def announced_now(users: Iterable[Subject], day: date, stop: date | None, now: datetime) -> Notices:
    """The notices as they are once an announcement of ``users`` for ``day`` has left its queue."""
    subjects = tuple(users)
    account = subjects[0].account_id if subjects else ""
    notice = Notice(account, ANNOUNCED, now, day, ("owner@example.com",), "-", "-", subjects, stop=stop)
    return Notices([notice], "", readings=None)


def forecast(flagged: Flagged, day: date, notices: Notices, later: Later, now: datetime) -> Forecast:
    """What becomes of a user that is announced for ``day`` (UTC), by ``notices``."""
    if flagged.kind == BEDROCK_API_KEY:
        return Forecast(REPLACE_FIRST, reasons.KIND_NOT_TAKEN())
    user, due = flagged.user, datetime.combine(day, now.timetz())
    quarantine = quarantine_of(user)
    held, since = is_denied(user.detail), quarantine.since if quarantine else None
    quiet = timedelta(days=later.quarantined_for or 0)
    first = max(now, due - quiet)
    # where the Deny does not say since when, the deletion asks a journal, which is not here
    begun = since if since else None if held else first
    end = max(now, due, begun + quiet if begun else due)
    people = flagged.kind in PEOPLE or any(user.tags.get(key) for key in later.naming_tags)
    missing = later.missing if people else None
    callers = (f"arn:aws:sts::{user.subject.account_id}:assumed-role/-/-",)

    def refused(guards: Guards, at: datetime, before: Before = NOTHING_BEFORE) -> Reason | None:
        asked = replace(guards, notices=notices, missing=missing, trust=later.trust)
        return refusal(user.subject, user, asked, at, flagged.keys, before)

    reason, denied = None, None
    if not held and later.quarantined_for is not None:
        reason = refused(Guards.of_quarantine(callers, later.active_within, 0, brownout=False), first)
        denied = None if reason else first.date()
    if reason is None:
        quarantined = later.quarantined_for if quarantine else None
        guards = Guards(callers, (), later.active_within, quarantined, noticed=0, managed=later.managed)
        reason = refused(guards, end, Before(quarantine=quarantine))
    group = group_of(reason.code) if reason else GOES
    return Forecast(group, reason, denied, since, held, None if reason else end.date())
