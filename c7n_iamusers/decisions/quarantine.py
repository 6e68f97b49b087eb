# SPDX-License-Identifier: Apache-2.0
"""Making every credential of a user unusable so that it can be undone, and undoing it exactly. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone

from c7n_iamusers.decisions.deny_all import (
    ATTACHED_QUOTA,
    INLINE_QUOTA,
    attach,
    attached_fits,
    deny_all_arn,
    deny_all_document,
    holds_attached,
    holds_inline,
    iam_call,
    inline_fits,
    lift_inline,
    put_inline,
)
from c7n_iamusers.decisions.own_traces import quarantine_of
from c7n_iamusers.decisions.quarantine_state import denied, left_off, recorded_off, switchable
from c7n_iamusers.decisions.quarantine_state import lapses as lapses
from c7n_iamusers.decisions.quarantine_tags import reads_back, tag_calls, tags_fit
from c7n_iamusers.exceptions import QuarantineRefused
from c7n_iamusers.model.attachment_rows import ACTIVE, INACTIVE, AttachmentKind
from c7n_iamusers.model.attachments import SWITCHABLE_KINDS
from c7n_iamusers.model.calls import ApiCall, Plan
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.quarantine import TAGS_PER_USER, Quarantine, is_quarantine_tag

_GONE = frozenset({"NoSuchEntity"})


@dataclass(frozen=True)
class QuarantinePlan:
    """``plan`` has no calls where the quarantine stands already; ``notes``: what a person should know."""

    plan: Plan
    record: Quarantine
    notes: tuple[str, ...] = ()


def plan_quarantine(user: IamUser, now: datetime, policy: str, reason: str) -> QuarantinePlan:
    """The calls that quarantine ``user``: Deny and record first, so that a stopped run can be undone too.

    A quarantine that has lapsed in part is completed, and counts from ``now``.
    Raises QuarantineRefused where neither an inline policy nor AWSDenyAll has room, or its record has no place.
    """
    earlier = quarantine_of(user)
    if earlier and not lapses(user, earlier):
        return QuarantinePlan(Plan(user.subject, ()), earlier)
    recorded = earlier.deactivated if earlier and denied(user, earlier) else ()
    kept = {identity for identity in recorded if identity in _ids(user)}
    off = list(switchable(user, ACTIVE))
    ids = (*kept, *(str(item[kind.identifier]) for kind, item in off if item[kind.identifier] not in kept))
    since = now.astimezone(timezone.utc).replace(microsecond=0)
    record, deny = _denial(user, Quarantine(since, policy, reason, tuple(sorted(ids))), earlier)
    tags, notes = tag_calls(user, record)
    switches = [_switch(user, kind, item, INACTIVE) for kind, item in off]
    # Where the Deny carries no record, the tags do, and must be there before anything changes.
    first = [*deny, *tags] if record.deny == "inline" else [*tags, *deny]
    notes += left_off(user, earlier) if earlier else []
    return QuarantinePlan(Plan(user.subject, (*first, *switches)), record, tuple(notes))


def plan_release(user: IamUser, quarantine: Quarantine) -> Plan:
    """The calls that bring ``user`` back to where it was: credentials, then the Deny, the record last.

    Where the Deny is gone, credentials stay as they are: see ``quarantine_state.left_off``.
    """
    off = recorded_off(user, quarantine) if denied(user, quarantine) else []
    switches = [_switch(user, kind, item, ACTIVE) for kind, item in off]
    lifts = [lift_inline(user)] if holds_inline(user) else []
    if quarantine.deny == "attached" and holds_attached(user):
        detached = {"UserName": user.name, "PolicyArn": deny_all_arn(user)}
        lifts.append(iam_call("DetachUserPolicy", detached, _GONE))
    keys = sorted(key for key in user.tags if is_quarantine_tag(key))
    untag = [iam_call("UntagUser", {"UserName": user.name, "TagKeys": keys}, _GONE)] if keys else []
    return Plan(user.subject, (*switches, *lifts, *untag))


def _denial(
    user: IamUser, record: Quarantine, earlier: Quarantine | None
) -> tuple[Quarantine, tuple[ApiCall, ...]]:
    document = _inline_document(record)
    if (earlier is None or earlier.deny == "inline") and document and inline_fits(user, document):
        return record, (put_inline(user, document),)
    held = holds_attached(user)
    owned = held and not (earlier and earlier.deny == "attached")
    record = replace(record, deny="own" if owned else "attached")
    _require_tags(user, record)
    # An inline Deny of an earlier quarantine would still say what that one did.
    stale = (lift_inline(user),) if holds_inline(user) else ()
    if held:
        return record, stale
    if not attached_fits(user):
        raise QuarantineRefused(_no_room(user, f"and {ATTACHED_QUOTA} managed policies are attached already"))
    return record, (attach(user), *stale)


def _require_tags(user: IamUser, record: Quarantine) -> None:
    if not tags_fit(user, record):
        raise QuarantineRefused(
            _no_room(user, f"and of {TAGS_PER_USER} tags too few are free for the record")
        )
    if not reads_back(user, record):
        raise QuarantineRefused(
            _no_room(
                user, f"and release could not read the record from tags, for policy name {record.policy!r}"
            )
        )


def _inline_document(record: Quarantine) -> str | None:
    try:
        return deny_all_document(record.sid)
    except ValueError:
        return None


def _no_room(user: IamUser, further: str) -> str:
    return (
        f"{user.subject}: not quarantined, nothing was changed: its inline policies leave no room in their "
        f"{INLINE_QUOTA} characters for a Deny-all, {further}. Make room, or act on the user by hand"
    )


def _ids(user: IamUser) -> set[str]:
    return {str(item[kind.identifier]) for kind in SWITCHABLE_KINDS for item in user.attachments[kind.name]}


def _switch(user: IamUser, kind: AttachmentKind, item: Item, status: str) -> ApiCall:
    assert kind.status_change, f"{kind.name} has no status"
    parameters = {name: item[member] for name, member in kind.status_change.parameters.items()}
    return iam_call(
        kind.status_change.operation, {"UserName": user.name, **parameters, "Status": status}, _GONE
    )
