# SPDX-License-Identifier: Apache-2.0
"""What our own work leaves on a user: a Deny-all, tags, deactivated credentials. None of it is the user's. Pure.

The inline Deny is ours by its name. AWSDenyAll, attached or as the boundary, may be anybody's: it is ours only where
the journal shows that we put it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from c7n_iamusers.decisions.deny_all import (
    DENY_ALL_NAME,
    deny_all_arn,
    holds_attached,
    inline_deny_all,
    is_bounded,
)
from c7n_iamusers.decisions.history import History
from c7n_iamusers.model.attachments import ATTACHED_POLICY, INLINE_POLICY, PERMISSIONS_BOUNDARY, TAG
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.quarantine import OWN_TAGS, Quarantine, Seal, seal_of

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
