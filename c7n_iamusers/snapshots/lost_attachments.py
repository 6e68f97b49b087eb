# SPDX-License-Identifier: Apache-2.0
"""What a user has lost since it was put in quarantine. Pure.

A deletion with another output may have begun since: AWSDenyAll has no room to record that. Then a release or a later
snapshot would lack what that deletion removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from c7n_iamusers.iam.attachments import (
    ATTACHED_POLICY,
    ATTACHMENT_KINDS,
    GROUP,
    INLINE_POLICY,
    LOGIN_PROFILE,
    PERMISSIONS_BOUNDARY,
    SWITCHABLE_KINDS,
    AttachmentKind,
)
from c7n_iamusers.iam.removal_order import REMOVAL_ORDER
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout import deny_all
from c7n_iamusers.snapshots.effects import effects
from c7n_iamusers.snapshots.snapshot import Snapshot
from c7n_iamusers.text.times import moment

#: The names of our own policies, which are no loss.
_OURS = frozenset({deny_all.DENY_ALL_NAME, deny_all.BROWNOUT_NAME})
_WORDS = {GROUP.name: "group", ATTACHED_POLICY.name: "policy"}


@dataclass(frozen=True)
class Loss:
    """An attachment that the user has lost. ``may_deny``: whether it could deny the user something."""

    kind: AttachmentKind
    identity: str
    may_deny: bool

    @property
    def key(self) -> tuple[str, str]:
        """Kind and identifier, as a history has them."""
        return self.kind.name, self.identity

    def __str__(self) -> str:
        title = _WORDS.get(self.kind.name, self.kind.title)
        return title if self.kind is LOGIN_PROFILE else f"{title} {self.identity}"


def lost_attachments(snapshot: Snapshot, user: IamUser) -> tuple[Loss, ...]:
    """What ``user`` has lost since ``snapshot``, if it could deny something, or a deletion may have removed it.

    What could deny something comes first, also what has no document in the snapshot. A boundary under an AWSDenyAll of
    ours counts as present. A deletion removes kind by kind, in REMOVAL_ORDER: if a credential is still there, the
    deletion has removed nothing that follows it, so somebody else did.
    """
    held = [
        REMOVAL_ORDER.index(kind)
        for kind in (LOGIN_PROFILE, *SWITCHABLE_KINDS)
        if _marks(kind, snapshot.user) & _marks(kind, user)
    ]
    reached = REMOVAL_ORDER[: min(held, default=len(REMOVAL_ORDER)) + 1]
    gone = [
        Loss(kind, str(item[kind.identifier]), "Deny" in effects(kind, item, snapshot))
        for kind, item in _gone(snapshot, user)
    ]
    found = (each for each in gone if each.may_deny or each.kind in reached)
    return tuple(sorted(found, key=lambda each: not each.may_deny))


def _gone(snapshot: Snapshot, user: IamUser) -> Iterator[tuple[AttachmentKind, Item]]:
    for kind in ATTACHMENT_KINDS:
        now = _identities(kind, user)
        # There is one password and one boundary at most. A renamed user has its password under its new name.
        single = bool(now) and kind in (LOGIN_PROFILE, PERMISSIONS_BOUNDARY)
        for item in snapshot.user.attachments[kind.name]:
            identity = str(item[kind.identifier])
            ours = kind is INLINE_POLICY and identity in _OURS
            if not (single or ours or identity in now):
                yield kind, item


def _identities(kind: AttachmentKind, user: IamUser) -> set[str]:
    return {str(item[kind.identifier]) for item in user.attachments[kind.name]}


def _marks(kind: AttachmentKind, user: IamUser) -> Set[object]:
    """What no other credential of the kind has: its id, or when a password was created."""
    if kind is not LOGIN_PROFILE:
        return {*_identities(kind, user)}
    return {moment(item.get("CreateDate")) for item in user.attachments[kind.name]} - {None}
