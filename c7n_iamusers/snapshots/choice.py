# SPDX-License-Identifier: Apache-2.0
"""What to restore of a user with several snapshots, according to the journal beside them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.history import History
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.snapshots.snapshot import Snapshot
from c7n_iamusers.text.wording import moment

_END = datetime.max.replace(tzinfo=timezone.utc)
_KINDS = {kind.name: kind for kind in ATTACHMENT_KINDS}


def whole_snapshot(snapshots: Sequence[Snapshot], history: History) -> Snapshot:
    """The last of ``snapshots`` (all of one user), plus what we removed before it according to ``history``.

    What a stopped run of ours had removed is restored. What somebody else removed between two runs is not.
    """
    ordered = sorted(snapshots, key=_taken)
    last = ordered[-1]
    return _with_items(last, ordered, _missing(ordered[:-1], last.user, history.removed(_taken(last))))


def removed_by_us(snapshots: Sequence[Snapshot], history: History) -> Snapshot:
    """The last of ``snapshots``, with only those attachments that we removed according to ``history``."""
    ordered = sorted(snapshots, key=_taken)
    bare = replace(ordered[-1], user=IamUser(ordered[-1].user.detail, dict.fromkeys(_KINDS, ())))
    return _with_items(bare, ordered, _missing(ordered, bare.user, history.removed()))


def _missing(
    snapshots: Sequence[Snapshot], held: IamUser, removed: dict[tuple[str, str], datetime]
) -> dict[str, list[Item]]:
    """Kind -> items that were ``removed`` and are not in ``held``, as in the latest snapshot before their removal.

    ``removed``: (kind, identifier) -> when. An item that a later snapshot shows was given back in between, so it is
    left out.
    """
    found: dict[str, list[Item]] = {}
    for (kind, identity), when in removed.items():
        later = (each.user for each in snapshots if _taken(each) > when)
        if any(_is(kind, item, identity) for user in (held, *later) for item in user.attachments[kind]):
            continue
        recorded = (
            item
            for each in reversed(snapshots)
            if _taken(each) <= when
            for item in each.user.attachments[kind]
            if _is(kind, item, identity)
        )
        if (item := next(recorded, None)) is not None:
            found.setdefault(kind, []).append(item)
    return found


def _with_items(last: Snapshot, snapshots: Sequence[Snapshot], items: dict[str, list[Item]]) -> Snapshot:
    """``last`` with ``items`` added, and with the details of their groups from ``snapshots``."""
    attachments = {
        kind: (*held, *sorted(items.get(kind, ()), key=lambda item: str(item[_KINDS[kind].identifier])))
        for kind, held in last.user.attachments.items()
    }
    details = {group["GroupName"]: group for each in snapshots for group in each.groups}
    groups = tuple(
        details[item["GroupName"]] for item in attachments["group"] if item["GroupName"] in details
    )
    return replace(last, user=replace(last.user, attachments=attachments), groups=groups)


def _is(kind: str, item: Item, identity: str) -> bool:
    return str(item[_KINDS[kind].identifier]) == identity


def _taken(snapshot: Snapshot) -> datetime:
    return moment(snapshot.taken) or _END
