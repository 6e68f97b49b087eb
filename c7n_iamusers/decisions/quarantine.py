# SPDX-License-Identifier: Apache-2.0
"""Making every credential of a user unusable so that it can be undone, and undoing it exactly. Pure."""

from __future__ import annotations

from collections.abc import Iterator
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
from c7n_iamusers.exceptions import QuarantineRefused
from c7n_iamusers.model.attachment_rows import ACTIVE, INACTIVE, AttachmentKind
from c7n_iamusers.model.attachments import SWITCHABLE_KINDS, TAG
from c7n_iamusers.model.calls import ApiCall, Plan
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.quarantine import QUARANTINE_TAG, TAGS_PER_USER, Quarantine, is_quarantine_tag

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
    Raises QuarantineRefused where neither an inline policy nor AWSDenyAll has room.
    """
    earlier = quarantine_of(user)
    if earlier and not lapses(user, earlier):
        return QuarantinePlan(Plan(user.subject, ()), earlier)
    kept = {identity for identity in (earlier.deactivated if earlier else ()) if identity in _ids(user)}
    off = list(_switchable(user, ACTIVE))
    ids = (*kept, *(str(item[kind.identifier]) for kind, item in off if item[kind.identifier] not in kept))
    since = now.astimezone(timezone.utc).replace(microsecond=0)
    record, deny = _denial(user, Quarantine(since, policy, reason, tuple(sorted(ids))), earlier)
    tags, note = _tags(user, record)
    switches = [_switch(user, kind, item, INACTIVE) for kind, item in off]
    # Where the Deny carries no record, the tags do, and must be there before anything changes.
    first = [*deny, *tags] if record.deny == "inline" else [*tags, *deny]
    return QuarantinePlan(Plan(user.subject, (*first, *switches)), record, note)


def plan_release(user: IamUser, quarantine: Quarantine) -> Plan:
    """The calls that bring ``user`` back to where it was: credentials, then the Deny, the record last."""
    switches = [
        _switch(user, kind, item, ACTIVE)
        for kind, item in _switchable(user, INACTIVE)
        if item[kind.identifier] in quarantine.deactivated
    ]
    lifts = [lift_inline(user)] if holds_inline(user) else []
    if quarantine.deny == "attached" and holds_attached(user):
        detached = {"UserName": user.name, "PolicyArn": deny_all_arn(user)}
        lifts.append(iam_call("DetachUserPolicy", detached, _GONE))
    keys = sorted(key for key in user.tags if is_quarantine_tag(key))
    untag = [iam_call("UntagUser", {"UserName": user.name, "TagKeys": keys}, _GONE)] if keys else []
    return Plan(user.subject, (*switches, *lifts, *untag))


def lapses(user: IamUser, quarantine: Quarantine) -> list[str]:
    """Why the quarantine of ``user`` no longer holds, in words; nothing where it does."""
    denied = holds_inline(user) if quarantine.deny == "inline" else holds_attached(user)
    gone = [] if denied else ["its Deny-all is gone"]
    return gone + [
        f"{kind.title} {item[kind.identifier]} is active" for kind, item in _switchable(user, ACTIVE)
    ]


def _denial(
    user: IamUser, record: Quarantine, earlier: Quarantine | None
) -> tuple[Quarantine, tuple[ApiCall, ...]]:
    document = _inline_document(record)
    if (earlier is None or earlier.deny == "inline") and document and inline_fits(user, document):
        return record, (put_inline(user, document),)
    if len(_own_tags(user)) + len(record.tags()) > TAGS_PER_USER:
        raise QuarantineRefused(
            _no_room(user, f"and of {TAGS_PER_USER} tags too few are free for the record")
        )
    # An inline Deny of an earlier quarantine would still say what that one did.
    stale = (lift_inline(user),) if holds_inline(user) else ()
    if holds_attached(user):
        deny = "attached" if earlier and earlier.deny == "attached" else "own"
        return replace(record, deny=deny), stale
    if not attached_fits(user):
        raise QuarantineRefused(_no_room(user, f"and {ATTACHED_QUOTA} managed policies are attached already"))
    return replace(record, deny="attached"), (attach(user), *stale)


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


def _tags(user: IamUser, record: Quarantine) -> tuple[list[ApiCall], tuple[str, ...]]:
    room, wanted = TAGS_PER_USER - len(_own_tags(user)), record.tags()
    if room < len(wanted):
        wanted = {QUARANTINE_TAG: wanted[QUARANTINE_TAG]} if room else {}
    if not wanted:
        return [], (f"it has {TAGS_PER_USER} tags already, so only the Deny-all policy says since when",)
    tags = [{"Key": key, "Value": value} for key, value in wanted.items()]
    return [iam_call("TagUser", {"UserName": user.name, "Tags": tags})], ()


def _own_tags(user: IamUser) -> list[Item]:
    """The user's tags that are none of the quarantine's."""
    return [item for item in user.attachments[TAG.name] if not is_quarantine_tag(str(item["Key"]))]


def _ids(user: IamUser) -> set[str]:
    return {str(item[kind.identifier]) for kind in SWITCHABLE_KINDS for item in user.attachments[kind.name]}


def _switchable(user: IamUser, status: str) -> Iterator[tuple[AttachmentKind, Item]]:
    for kind in SWITCHABLE_KINDS:
        yield from ((kind, item) for item in user.attachments[kind.name] if item.get("Status") == status)


def _switch(user: IamUser, kind: AttachmentKind, item: Item, status: str) -> ApiCall:
    assert kind.status_change, f"{kind.name} has no status"
    parameters = {name: item[member] for name, member in kind.status_change.parameters.items()}
    return iam_call(
        kind.status_change.operation, {"UserName": user.name, **parameters, "Status": status}, _GONE
    )
