# SPDX-License-Identifier: Apache-2.0
"""Whom a step would take today, and why it leaves the others: by the functions that its action itself decides by. Pure.

The users are those that a dry run of its policies selected, as they were read then. The action reads each of them
again, so it may spare more: it alone asks who is exempt since, and what the journals have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from c7n_iamusers import defaults
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.accounts import detail_attachments
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import embedded_attachments
from c7n_iamusers.lockout.lockout_state import quarantine_of
from c7n_iamusers.notices.notices import Notices, notice_refusal
from c7n_iamusers.reasons import ACTIVE, Reason
from c7n_iamusers.safeguards.forecast import Flagged
from c7n_iamusers.safeguards.reasons_to_spare import Before, Guards, refusal, unquiet, used_within
from c7n_iamusers.text.times import moment

#: What would become of a user.
ANNOUNCED, BROWNED_OUT, DENIED, DEACTIVATED, DELETED, STAYS = (
    "announced",
    "denied for some minutes",
    "denied",
    "deactivated",
    "deleted",
    "stays",
)
#: An option that waives what it asks.
_NONE = "none"


@dataclass(frozen=True)
class Foreseen:
    """A user of a step. ``outcome``: what becomes of it; for STAYS, ``why`` in words."""

    account_id: str
    user: str
    policy: str
    outcome: str
    why: str = ""


def foresee(
    policy: Mapping[str, Any], resources: Iterable[Mapping[str, Any]], notices: Notices, now: datetime
) -> Iterator[Foreseen]:
    """Each user, or key, that ``policy``, with its variables filled in, selected; none if the policy takes nobody."""
    users, keys = list[Mapping[str, Any]](), list[Mapping[str, Any]]()
    for each in resources:
        (keys if "AccessKeyId" in each else users).append(each)
    for action in policy.get("actions") or ():
        data = {"type": action} if isinstance(action, str) else dict(action)
        yield from _of_keys(policy, data, keys, notices, now)
        if (judge := _JUDGES.get(str(data.get("type")))) is None:
            continue
        for resource in users:
            known = resource.get("c7n:IamUser") or {}
            flagged = Flagged.of(_user(resource), known)
            outcome, why = judge(data, flagged, known, notices, now)
            user = flagged.user
            yield Foreseen(user.subject.account_id, user.name, str(policy["name"]), outcome, why)


def _of_keys(
    policy: Mapping[str, Any],
    action: Mapping[str, Any],
    resources: Iterable[Mapping[str, Any]],
    notices: Notices,
    now: datetime,
) -> Iterator[Foreseen]:
    """The access keys of a policy. Which of them are parked, only the journals say, which the action asks."""
    step = str(action.get("type") if action.get("type") != "notify-owners" else action.get("step"))
    if step not in _OF_KEYS:
        return
    for key in resources:
        user, key_id = Subject(str(key["UserName"]), str(key["Arn"])), str(key["AccessKeyId"])
        why = _key_stays(step, action, key, notices, now)
        outcome = STAYS if why else _OF_KEYS[step]
        yield Foreseen(user.account_id, f"{user.name} {key_id}", str(policy["name"]), outcome, why)


def _key_stays(
    step: str, action: Mapping[str, Any], key: Mapping[str, Any], notices: Notices, now: datetime
) -> str:
    """Why a key is left alone, in words; empty if it is not, as far as this is known here."""
    key_id, days = str(key["AccessKeyId"]), _days(action, "noticed")
    if step == "announce":
        notice = notices.announcement(key_id, now)
        return f"it is announced for {notice.day}" if notice else ""
    parks = step == "deactivate"
    reason = None if days is None else notice_refusal(notices, key_id, days, now, before_day=parks)
    used, active = moment(((key.get("c7n:IamUser") or {}).get("key") or {}).get("used")), _active(action)
    if reason is None and parks and used_within(used, active, now):
        reason = ACTIVE(days=active, use=f"used on {used:%Y-%m-%d}")
    return reason.text if reason else ""


_OF_KEYS = {"announce": ANNOUNCED, "deactivate": DEACTIVATED, "retire": DELETED}


def _user(resource: Mapping[str, Any]) -> IamUser:
    detail = dict(resource)
    return IamUser(detail, {**detail_attachments(detail), **embedded_attachments(detail)})


def _announced(
    action: Mapping[str, Any], flagged: Flagged, _: Mapping[str, Any], notices: Notices, now: datetime
) -> tuple[str, str]:
    if action.get("step") != "announce":
        return STAYS, "this policy announces nobody"
    notice = notices.announcement(flagged.user.unique_id, now)
    return (STAYS, f"it is announced for {notice.day}") if notice else (ANNOUNCED, "")


def _quarantined(
    action: Mapping[str, Any], flagged: Flagged, _: Mapping[str, Any], notices: Notices, now: datetime
) -> tuple[str, str]:
    keep, brownout = action.get("credentials") == "keep", "brownout" in action
    quarantine = quarantine_of(flagged.user)
    if quarantine and not brownout and (keep or not quarantine.kept):
        return STAYS, f"it is in quarantine since {quarantine.since:%Y-%m-%d}"
    guards = Guards.of_quarantine(
        _callers(flagged), _active(action), _days(action, "noticed"), brownout=brownout
    )
    reason = _refused(flagged, guards, notices, now)
    done = BROWNED_OUT if brownout else DENIED if keep else DEACTIVATED
    return (STAYS, reason.text) if reason else (done, "")


def _deleted(
    action: Mapping[str, Any], flagged: Flagged, known: Mapping[str, Any], notices: Notices, now: datetime
) -> tuple[str, str]:
    guards = Guards(
        _callers(flagged),
        (),
        _active(action),
        _days(action, "quarantined-for"),
        bool(action.get("include-compromised")),
        _days(action, "noticed"),
    )
    reason = _refused(flagged, guards, notices, now)
    if reason is None and (quiet := action.get("quiet")):
        reason = unquiet(known.get("attempts"), str(quiet))
    return (STAYS, reason.text) if reason else (DELETED, "")


_JUDGES = {"notify-owners": _announced, "quarantine": _quarantined, "composite-delete": _deleted}


def _refused(flagged: Flagged, guards: Guards, notices: Notices, now: datetime) -> Reason | None:
    user, asked = flagged.user, replace(guards, notices=notices)
    before = Before(quarantine=quarantine_of(user))
    return refusal(user.subject, user, asked, now, flagged.keys, before)


def _callers(flagged: Flagged) -> tuple[str, ...]:
    return (f"arn:aws:sts::{flagged.user.subject.account_id}:assumed-role/-/-",)


def _active(action: Mapping[str, Any]) -> float | None:
    return _number(action.get("active-within", defaults.ACTIVE_WITHIN))


def _days(action: Mapping[str, Any], name: str) -> float | None:
    return _number(action.get(name))


def _number(value: Any) -> float | None:
    """A number of days, also one that a variable was filled in for; None for none."""
    return None if value in (None, _NONE) else float(value)
