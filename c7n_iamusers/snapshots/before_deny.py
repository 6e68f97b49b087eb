# SPDX-License-Identifier: Apache-2.0
"""What a user had before our Deny-all was on it: what journals say of that, and snapshots prove. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from c7n_iamusers import reasons
from c7n_iamusers.iam.attachments import INACTIVE, PERMISSIONS_BOUNDARY, SWITCHABLE_KINDS
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout.applied_calls import History
from c7n_iamusers.lockout.deny_all import deny_all_arn, is_bounded
from c7n_iamusers.reasons import Reason
from c7n_iamusers.snapshots.snapshot import Snapshot, known_attachments


@dataclass(frozen=True)
class FormerBoundary:
    """``items``: the boundary as the attachments of a user have it, empty if there was none; None if not known.

    ``disputed``: why it is not known, where journals and snapshots differ; else None.
    """

    items: tuple[Item, ...] | None = None
    disputed: Reason | None = None


def is_replaced(user: IamUser, history: History) -> bool:
    """Whether AWSDenyAll is the boundary of ``user``, or ours was, and somebody took that off."""
    return is_bounded(user) or (not user.boundary_arn and bool(history.boundary_under_deny()))


def former_boundary(
    user: IamUser, history: History, snapshots: Sequence[Snapshot], proven: Collection[str]
) -> FormerBoundary:
    """What AWSDenyAll replaced on ``user``, whose boundary it is, or was until somebody took it off.

    If it is not our work, it is AWSDenyAll itself, provided that the last of ``snapshots`` shows it too. Else it is
    what the journal says and a snapshot shows: the last one, at whatever time, that was not taken under the Deny, and
    whose SHA-256 is ``proven``. No time that somebody writes into a journal chooses another one.
    """
    if is_bounded(user) and not history.boundary_deny():
        last = max(snapshots, key=lambda each: str(each.taken), default=None)
        held = tuple(last.user.attachments[PERMISSIONS_BOUNDARY.name]) if last else None
        return FormerBoundary(held if held == user.attachments[PERMISSIONS_BOUNDARY.name] else None)
    told = history.former_boundary()
    if told is None:
        return FormerBoundary()
    before = [
        each for each in snapshots if each.user.boundary_arn != deny_all_arn(user) and each.sha256 in proven
    ]
    last = max(before, key=lambda each: str(each.taken), default=None)
    if last is None or last.user.boundary_arn != told:
        shown = (
            (last.user.boundary_arn or "none") if last else "nothing, as no journal proves that one is there"
        )
        disputed = reasons.BOUNDARY_DISPUTED(user=user.subject, told=told or "none", shown=shown)
        return FormerBoundary(disputed=disputed)
    known = known_attachments(snapshots, PERMISSIONS_BOUNDARY.name)
    return FormerBoundary(tuple(item for item in known if item["PermissionsBoundaryArn"] == told)[:1])


def inactive_before(snapshots: Iterable[Snapshot], proven: Collection[str]) -> frozenset[str]:
    """The ids of the credentials that were inactive before any quarantine: what a journal says of these is not true.

    By the last of ``snapshots`` that is whole and proven, and not of a user in quarantine.
    """
    free = [
        each
        for each in snapshots
        if each.sha256 in proven and not (each.quarantine or each.partial or each.deletion_begun)
    ]
    last = max(free, key=lambda each: str(each.taken), default=None)
    return frozenset(
        str(item[kind.identifier])
        for kind in SWITCHABLE_KINDS
        for item in (last.user.attachments[kind.name] if last else ())
        if item.get("Status") == INACTIVE
    )
