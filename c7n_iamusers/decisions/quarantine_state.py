# SPDX-License-Identifier: Apache-2.0
"""Whether a quarantine still holds, and what its record is worth now. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from c7n_iamusers.decisions.deny_all import holds_attached, holds_inline, is_bounded
from c7n_iamusers.model.attachment_rows import ACTIVE, INACTIVE, AttachmentKind
from c7n_iamusers.model.attachments import SWITCHABLE_KINDS
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.quarantine import Quarantine


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
