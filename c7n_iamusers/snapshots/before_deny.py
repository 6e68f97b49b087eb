# SPDX-License-Identifier: Apache-2.0
"""What a user had before our Deny-all was on it, by journals and the snapshots that prove them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import GIVEN_UP, SNAPSHOT
from c7n_iamusers.iam.attachments import ACTIVE, PERMISSIONS_BOUNDARY, SWITCHABLE_KINDS
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.deny_all import deny_all_arn, is_bounded
from c7n_iamusers.reasons import Reason
from c7n_iamusers.snapshots.snapshot import Snapshot, known_attachments
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import shown

_NEVER = datetime.max.replace(tzinfo=timezone.utc)
#: IAM API reference, PutUserPermissionsBoundary.
_LONGEST_ARN = 2_048


@dataclass(frozen=True)
class OnRecord:
    """The snapshots of one user in all outputs, oldest first. Those older than a given-up one decide nothing.

    ``proven``: those whose SHA-256 is in the journal of their output. ``unproven``: the others: a run was stopped
    before it wrote the SHA-256, or somebody removed that or added the file. They prove nothing, but dispute what an
    earlier one proves. ``missing``: the names in the journals of those that are gone or changed.
    """

    proven: tuple[Snapshot, ...] = ()
    unproven: tuple[Snapshot, ...] = ()
    missing: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        outputs: Iterable[
            tuple[Mapping[str, Snapshot], Mapping[str, Collection[str]], Mapping[str, datetime]]
        ],
    ) -> OnRecord:
        """``outputs``: for each output, file name -> snapshot, and file name -> its SHA-256 by the journal.

        ``given_up`` is considered; a given-up snapshot that is there again counts as any other. A snapshot is never
        overwritten, so one name has one SHA-256.
        """
        proven, unproven, missing, gone = list[Snapshot](), list[Snapshot](), list[str](), list[datetime]()
        for files, pins, lost in outputs:
            wrong = {name for name, of in pins.items() if name not in files or {*of} != {files[name].sha256}}
            forgone = {name for name in wrong if name in lost and name not in files}
            gone += (lost[name] for name in forgone)
            missing += sorted(wrong - forgone)
            names = list(pins)
            first = max((names.index(name) + 1 for name in forgone), default=0)
            proven += (files[name] for name in names[first:] if name not in wrong)
            unproven += (each for name, each in files.items() if name not in pins)
        proven = [each for each in proven if not gone or (moment(_taken(each)) or min(gone)) > max(gone)]
        return cls(tuple(sorted(proven, key=_taken)), tuple(sorted(unproven, key=_taken)), tuple(missing))

    def deciding(self, counts: Callable[[Snapshot], bool]) -> list[Snapshot]:
        """The last proven one that ``counts``, and the later unproven ones that do; empty if none is proven."""
        last = next(filter(counts, reversed(self.proven)), None)
        if last is None:
            return []
        return [last, *(each for each in self.unproven if counts(each) and _taken(each) > _taken(last))]

    def incomplete(self, subject: Subject) -> Reason | None:
        """That snapshots are missing; None if none is."""
        return reasons.SNAPSHOT_MISSING(user=subject, which=shown(self.missing)) if self.missing else None


def pinned(lines: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """The name of each snapshot in the ``lines`` of a journal -> what they say is its SHA-256."""
    found = defaultdict[str, set[str]](set)
    for line in lines:
        if line.get("phase") == SNAPSHOT:
            found[str(line.get("snapshot"))].add(str(line.get("sha256")))
    return found


def given_up(lines: Iterable[Mapping[str, Any]]) -> dict[str, datetime]:
    """The name of each snapshot that is gone for good, by the ``lines`` -> when it was written.

    An earlier snapshot may have more than the user had by then, so none replaces one that is gone: only later ones
    decide. If the journal does not say when it was written, the time is the end of time.
    """
    written, found = dict[str, datetime](), dict[str, datetime]()
    for line in lines:
        name = str(line.get("snapshot"))
        if line.get("phase") == SNAPSHOT:
            written[name] = moment(line.get("time")) or _NEVER
        elif line.get("phase") == GIVEN_UP:
            found[name] = _NEVER
    return {name: written.get(name, _NEVER) for name in found}


@dataclass(frozen=True)
class FormerBoundary:
    """``items``: the boundary as the attachments of a user have it, empty if there was none; None if not known.

    ``disputed``: why it is not known, where journals and snapshots differ; else None.
    """

    items: tuple[Item, ...] | None = None
    disputed: Reason | None = None


def is_replaced(user: IamUser, history: CallHistory) -> bool:
    """Whether AWSDenyAll is the boundary of ``user``, or was by our call until somebody removed it."""
    return is_bounded(user) or (not user.boundary_arn and bool(history.boundary_under_deny()))


def former_boundary(user: IamUser, history: CallHistory, found: OnRecord) -> FormerBoundary:
    """What AWSDenyAll replaced as the boundary of ``user``, even if somebody has removed it since.

    If we did not set it, the former boundary is AWSDenyAll itself, provided that the last snapshot shows it too. Else
    it is what both the journal says and snapshots show: the last proven one that was not taken under the Deny, and each
    later unproven one. Times do not choose the snapshot, since somebody may forge them in a journal.
    """
    everything = (*found.proven, *found.unproven)
    if is_bounded(user) and not history.boundary_deny():
        last = max(everything, key=_taken, default=None)
        held = tuple(last.user.attachments[PERMISSIONS_BOUNDARY.name]) if last else None
        return FormerBoundary(held if held == user.attachments[PERMISSIONS_BOUNDARY.name] else None)
    told = history.former_boundary()
    if told is None:
        return FormerBoundary()
    if found.missing:
        return FormerBoundary(disputed=found.incomplete(user.subject))
    deciding = found.deciding(lambda each: each.user.boundary_arn != deny_all_arn(user))
    other = next(
        (each.user.boundary_arn or "none" for each in deciding if each.user.boundary_arn != told), ""
    )
    if other or not deciding:
        held_before = other or "nothing, as no journal proves that one is there"
        return FormerBoundary(
            disputed=reasons.BOUNDARY_DISPUTED(
                user=user.subject, told=told[:_LONGEST_ARN] or "none", shown=held_before
            )
        )
    known = known_attachments(everything, PERMISSIONS_BOUNDARY.name)
    return FormerBoundary(tuple(item for item in known if item["PermissionsBoundaryArn"] == told)[:1])


def active_before(found: OnRecord) -> frozenset[str]:
    """The ids of the credentials that were active before a quarantine: all that a release may activate.

    By the last whole proven snapshot, and each later unproven one. If it is of a user in quarantine, what the
    quarantine deactivated was active before. None if a snapshot is missing.
    """
    deciding = [] if found.missing else found.deciding(lambda each: not (each.partial or each.deletion_begun))
    active = [_active_in(each) for each in deciding]
    return active[0].intersection(*active[1:]) if active else frozenset()


def _active_in(snapshot: Snapshot) -> frozenset[str]:
    active = {
        str(item[kind.identifier])
        for kind in SWITCHABLE_KINDS
        for item in snapshot.user.attachments[kind.name]
        if item.get("Status") == ACTIVE
    }
    return frozenset(active | snapshot.deactivated) - snapshot.by_others


def _taken(snapshot: Snapshot) -> str:
    return str(snapshot.taken)
