# SPDX-License-Identifier: Apache-2.0
"""What is to be restored: the snapshots of one user, and what deletions removed between them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.policy_documents import policy_arns
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.snapshots.schema import BY_OTHERS
from c7n_iamusers.snapshots.snapshot import Snapshot
from c7n_iamusers.text.times import moment

_END = datetime.max.replace(tzinfo=timezone.utc)


_KINDS = {kind.name: kind for kind in ATTACHMENT_KINDS}


def whole_snapshot(snapshots: Sequence[Snapshot], history: CallHistory) -> Snapshot:
    """The last of ``snapshots`` (all of one user), plus what its deletion removed before it.

    What a stopped run of ours removed is restored. What somebody else removed between two runs is not, nor what an
    earlier deletion removed if somebody has ended it since. It is partial if ``history`` does not say what was removed.
    """
    counted = _of_last_deletion(snapshots)
    last, removed = counted[-1], history.removed(_taken(counted[-1]), _taken(counted[0]))
    whole = _with_items(last, counted, _missing(counted[:-1], last.user, removed))
    return replace(whole, partial=True) if _is_unexplained(counted, history) else whole


def with_removed(user: IamUser, snapshots: Sequence[Snapshot], history: CallHistory) -> IamUser:
    """``user``, read live during an unfinished deletion, with what that removed from it according to ``history``."""
    if not snapshots:
        return user
    counted = _of_last_deletion(snapshots)
    return _with(user, _missing(counted, user, history.removed(since=_taken(counted[0]))))


def removed_by_us(snapshots: Sequence[Snapshot], history: CallHistory) -> Snapshot:
    """The last of ``snapshots``, with only those attachments that we removed according to ``history``."""
    counted = _of_last_deletion(snapshots)
    bare = replace(counted[-1], user=IamUser(counted[-1].user.detail, dict.fromkeys(_KINDS, ())))
    return _with_items(bare, counted, _missing(counted, bare.user, history.removed(since=_taken(counted[0]))))


def before_removals(snapshots: Sequence[Snapshot], history: CallHistory) -> Snapshot | None:
    """The last whole one of ``snapshots``, if our deletion removed anything between it and the last of all.

    Also if the last one was taken during a deletion that is not in ``history``, which may have removed something.
    """
    first, *later = counted = _of_last_deletion(snapshots)
    removed = later and history.removed(_taken(later[-1]), _taken(first))
    return first if removed or (later and _is_unexplained(counted, history)) else None


def _is_unexplained(counted: Sequence[Snapshot], history: CallHistory) -> bool:
    """Whether the last was taken during a deletion, and ``history`` does not say what that had removed before."""
    first, last = counted[0], counted[-1]
    known = not first.deletion_begun and history.deleted_between(_taken(first), _taken(last))
    return last.deletion_begun and not known


def _of_last_deletion(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """The last whole one of ``snapshots`` and all later ones, in order; all if none is whole.

    A partial one is no more than the second best: an earlier one may have what another run removed before it.
    """
    ordered = sorted(snapshots, key=_taken)
    begun = [number for number, snapshot in enumerate(ordered) if not snapshot.deletion_begun]
    whole = [number for number in begun if not ordered[number].partial] or begun
    return ordered[whole[-1] :] if whole else ordered


def _missing(
    snapshots: Sequence[Snapshot], held: IamUser, removed: dict[tuple[str, str], datetime]
) -> dict[str, list[Item]]:
    """Kind -> items that were ``removed`` and are not in ``held``, as in the latest snapshot before their removal.

    ``removed``: (kind, identifier) -> when. An item that a later snapshot shows was given back in between, so it is
    left out.
    """
    missing: dict[str, list[Item]] = {}
    for (kind, identity), when in removed.items():
        later = (snapshot.user for snapshot in snapshots if _taken(snapshot) > when)
        if any(_is(kind, item, identity) for user in (held, *later) for item in user.attachments[kind]):
            continue
        recorded = (
            item
            for snapshot in reversed(snapshots)
            if _taken(snapshot) <= when
            for item in snapshot.user.attachments[kind]
            if _is(kind, item, identity)
        )
        if (item := next(recorded, None)) is not None:
            missing.setdefault(kind, []).append(item)
    return missing


def _with_items(last: Snapshot, snapshots: Sequence[Snapshot], items: dict[str, list[Item]]) -> Snapshot:
    """``last`` with ``items`` added, and with the details of their groups and policies from ``snapshots``.

    Of a group or policy that several snapshots have, the last one counts.
    """
    user = _with(last.user, items)
    attachments = user.attachments
    details = {group["GroupName"]: group for each in snapshots for group in each.groups}
    groups = tuple(
        details[item["GroupName"]] for item in attachments["group"] if item["GroupName"] in details
    )
    versions = {each.arn: each for snapshot in snapshots for each in snapshot.policies or ()}
    needed = policy_arns(IamUser({}, attachments), groups)
    policies = tuple(versions[arn] for arn in needed if arn in versions)
    read = any(each.policies is not None for each in snapshots)
    others, quarantine = frozenset[str]().union(*(each.by_others for each in snapshots)), last.quarantine
    if others and quarantine:
        # A later snapshot does not have what was removed before it.
        quarantine = {**quarantine, BY_OTHERS: sorted(others)}
    return replace(
        last,
        user=user,
        groups=groups,
        quarantine=quarantine,
        policies=policies if read else None,
        deletion_begun=False,
    )


def _with(user: IamUser, items: Mapping[str, Iterable[Item]]) -> IamUser:
    """``user`` with ``items`` (kind -> items) added."""
    attachments = {
        kind: (*held, *sorted(items.get(kind, ()), key=lambda item: str(item[_KINDS[kind].identifier])))
        for kind, held in user.attachments.items()
    }
    return replace(user, attachments=attachments)


def _is(kind: str, item: Item, identity: str) -> bool:
    return str(item[_KINDS[kind].identifier]) == identity


def _taken(snapshot: Snapshot) -> datetime:
    return moment(snapshot.taken) or _END
