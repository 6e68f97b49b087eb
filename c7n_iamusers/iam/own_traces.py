# SPDX-License-Identifier: Apache-2.0
"""What our own work leaves on a user, and whether a quarantine still holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from c7n_iamusers.iam.attachments import (
    ACTIVE,
    ATTACHED_POLICY,
    INACTIVE,
    INLINE_POLICY,
    PERMISSIONS_BOUNDARY,
    SWITCHABLE_KINDS,
    TAG,
    AttachmentKind,
)
from c7n_iamusers.iam.deny_all import deny_all_arn, holds_attached, holds_inline, inline_deny_all, is_bounded
from c7n_iamusers.iam.history import History
from c7n_iamusers.iam.quarantine_record import DENY_ALL_NAME, OWN_TAGS, Quarantine, Seal, seal_of
from c7n_iamusers.iam.user import IamUser, Item

NOTHING_KNOWN = History()


def quarantine_of(user: IamUser, history: History = NOTHING_KNOWN) -> Quarantine | None:
    """The quarantine that ``user`` is in; None where it is in none, as far as Deny and journal tell.

    Tags are claims and tell nothing.
    """
    seal = seal_on(user)
    sealed = seal.quarantine if seal else None
    told = history.quarantine
    if sealed is None:
        return told if told and told.deny != "inline" and _stands(user, told, history) else None
    later = told is not None and told.since > sealed.since
    if told and (later or (told.since == sealed.since and not sealed.known)):
        return replace(told, deny="inline")
    return sealed


def seal_on(user: IamUser) -> Seal | None:
    """What the inline Deny-all of our name says; None where there is none, or it says nothing."""
    statement = inline_deny_all(user)
    return seal_of(str(statement.get("Sid", ""))) if statement else None


def deletion_begun(user: IamUser) -> str | None:
    """Since when a deletion is under way, in words, by the inline Deny on ``user``; None where none is.

    A Deny of our name that is no quarantine's is a deletion's: that of the version before says no time.
    """
    if inline_deny_all(user) is None:
        return None
    seal = seal_on(user)
    begun: datetime | None = seal.deletion if seal else None
    if begun is None:
        return None if seal and seal.quarantine else "at an unknown time"
    return f"on {begun:%Y-%m-%d %H:%M} UTC"


def without_traces(user: IamUser, history: History, former_boundary: Iterable[Item] | None = None) -> IamUser:
    """``user`` as it is without our work.

    ``former_boundary``: what it had before ours, where ``history`` shows that AWSDenyAll is its boundary by us. Where
    that is not known, AWSDenyAll stays: without it the user could do more than it ever could.
    """
    attachments = dict(user.attachments)
    if inline_deny_all(user) is not None:
        attachments[INLINE_POLICY.name] = _without(user, INLINE_POLICY.name, "PolicyName", DENY_ALL_NAME)
    if history.attached_deny():
        attachments[ATTACHED_POLICY.name] = _without(
            user, ATTACHED_POLICY.name, "PolicyArn", deny_all_arn(user)
        )
    if former_boundary is not None and is_bounded(user) and history.boundary_deny():
        attachments[PERMISSIONS_BOUNDARY.name] = tuple(former_boundary)
    tags = (item for item in user.attachments[TAG.name] if not str(item["Key"]).startswith(OWN_TAGS))
    return replace(user, attachments={**attachments, TAG.name: tuple(tags)})


def _stands(user: IamUser, record: Quarantine, history: History) -> bool:
    if record.deny == "none":
        return False
    if record.deny == "boundary":
        return is_bounded(user) and history.boundary_deny() is not None
    if record.deny == "attached":
        return holds_attached(user) and history.attached_deny() is not None
    return holds_attached(user) or is_bounded(user)


def _without(user: IamUser, kind: str, member: str, value: str) -> tuple[Item, ...]:
    return tuple(item for item in user.attachments[kind] if item[member] != value)


def lapses(user: IamUser, quarantine: Quarantine) -> list[str]:
    """Why the quarantine of ``user`` no longer holds, in words; nothing where it does."""
    gone = [] if denied(user, quarantine) else ["its Deny-all is gone"]
    return gone + [
        f"{kind.title} {item[kind.identifier]} is active" for kind, item in switchable(user, ACTIVE)
    ]


def denied(user: IamUser, quarantine: Quarantine) -> bool:
    """True where the Deny of ``quarantine`` is on ``user``: only so long its record says what to switch on."""
    if quarantine.deny == "inline":
        return holds_inline(user)
    if quarantine.deny == "none":
        return False
    return is_bounded(user) or (quarantine.deny != "boundary" and holds_attached(user))


def left_off(user: IamUser, quarantine: Quarantine) -> list[str]:
    """What stays inactive although it may have been active before, in words; nothing where the record holds.

    Who took the Deny off by hand may have activated these too, and their owner seen them leak since.
    """
    since = f"{quarantine.since:%Y-%m-%d %H:%M} UTC"
    if not quarantine.known:
        off = list(switchable(user, INACTIVE))
        why = f"the journal of the quarantine of {since} is not at hand, so nobody knows what was active before it"
    elif denied(user, quarantine) or quarantine.deny == "none":
        return []
    else:
        off = recorded_off(user, quarantine)
        why = f"the Deny-all of {since} was removed outside this tool, so nobody knows why these are inactive now"
    if not off:
        return []
    named = ", ".join(f"{kind.title} {item[kind.identifier]}" for kind, item in off)
    return [f"{why}, and they stay so: {named}; activate by hand what should work"]


def recorded_off(user: IamUser, quarantine: Quarantine) -> list[tuple[AttachmentKind, Item]]:
    """The inactive credentials of ``user`` that ``quarantine`` records as active before it."""
    off = switchable(user, INACTIVE)
    return [(kind, item) for kind, item in off if item[kind.identifier] in quarantine.deactivated]


def switchable(user: IamUser, status: str) -> Iterator[tuple[AttachmentKind, Item]]:
    """The credentials of ``user`` that can be switched on and off and are in ``status``."""
    for kind in SWITCHABLE_KINDS:
        yield from ((kind, item) for item in user.attachments[kind.name] if item.get("Status") == status)
