# SPDX-License-Identifier: Apache-2.0
"""Which of several snapshots of one user shows it whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.model.attachments import ATTACHMENT_KINDS
from c7n_iamusers.model.moments import moment
from c7n_iamusers.model.snapshot import Snapshot

_END = datetime.max.replace(tzinfo=timezone.utc)
_REMOVING = frozenset().union(*(kind.removing for kind in ATTACHMENT_KINDS))


def whole_snapshot(snapshots: Sequence[Snapshot], journal: Iterable[Mapping[str, Any]]) -> Snapshot:
    """The latest of ``snapshots`` (all of one user) that was taken before anything was removed from it.

    ``journal``: lines of the journal that belongs to them. A user that was only looked at, or in quarantine,
    when its first snapshot was taken may have changed until the deletion; what a stopped deletion has removed is
    missing from later ones. Without a journal nobody knows, and the first is the safe choice.
    """
    ordered = sorted(snapshots, key=lambda each: moment(each.taken) or _END)
    first_removal = min(_removals(ordered[0].user.arn, journal), default=None)
    if first_removal is None:
        return ordered[0]
    before = [each for each in ordered if (taken := moment(each.taken)) and taken <= first_removal]
    return before[-1] if before else ordered[0]


def _removals(arn: str, journal: Iterable[Mapping[str, Any]]) -> Iterator[datetime]:
    """When something was, or may have been, removed: a call that has no line after it may have been applied."""
    begun: dict[str, datetime] = {}
    for line in journal:
        time = moment(line.get("time"))
        if line.get("arn") != arn or line.get("operation") not in _REMOVING or time is None:
            continue
        call = f"{line['operation']} {line.get('parameters')}"
        if line.get("phase") == "before":
            if unanswered := begun.get(call):
                yield unanswered
            begun[call] = time
        elif began := begun.pop(call, None):
            yield from [began] if line.get("result") != "failed" else []
    yield from begun.values()
