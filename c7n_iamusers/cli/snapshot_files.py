# SPDX-License-Identifier: Apache-2.0
"""Snapshots as people have them: single files, or all of a run."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from c7n_iamusers.aws.journal import JOURNAL
from c7n_iamusers.aws.snapshots import SNAPSHOTS
from c7n_iamusers.decisions.snapshot_choice import whole_snapshot
from c7n_iamusers.exceptions import SnapshotInvalid
from c7n_iamusers.model.moments import moment
from c7n_iamusers.model.snapshot import Snapshot

#: Where BucketJournal puts its files, beside the snapshots.
BUCKET_JOURNALS = "journal"
_BEGINNING = datetime.min.replace(tzinfo=timezone.utc)


def chosen_snapshots(paths: Iterable[Path]) -> list[Snapshot]:
    """The snapshots to restore from: each file as it is, of each directory one for each of its users.

    A directory is a run's output (a local one, or a copy of what runs put in S3), or its ``snapshots``; with the
    journal beside them, a user that has several comes back as it was before anything was removed from it.
    Raises SnapshotInvalid that names the file where one can't be read, or a directory has none.
    """
    return [snapshot for path in paths for snapshot in (_of_run(path) if path.is_dir() else [_load(path)])]


def _of_run(path: Path) -> Iterator[Snapshot]:
    directory = path / SNAPSHOTS if (path / SNAPSHOTS).is_dir() else path
    users: defaultdict[str, list[Snapshot]] = defaultdict(list)
    for file in sorted(directory.glob("*.json")):
        snapshot = _load(file)
        users[snapshot.user.unique_id].append(snapshot)
    if not users:
        raise SnapshotInvalid(
            f"{directory}: no snapshot in it; name a run's output, its snapshots, or a snapshot"
        )
    journal = _journal(directory.parent)
    for snapshots in users.values():
        yield whole_snapshot(snapshots, journal)


def _load(path: Path) -> Snapshot:
    try:
        return Snapshot.from_json(path.read_bytes())
    except (OSError, SnapshotInvalid) as error:
        raise SnapshotInvalid(f"{path}: {error}") from error


def _journal(run: Path) -> list[dict[str, Any]]:
    """All lines, by time: of a directory's one journal, and of those that runs put in S3, one for each user."""
    files = [run / JOURNAL, *sorted((run / BUCKET_JOURNALS).glob("*/*.jsonl"))]
    lines = [line for file in files for line in _lines(file)]
    return sorted(lines, key=lambda line: moment(line.get("time")) or _BEGINNING)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a crash may have torn a line; the lines around it hold
        if isinstance(entry, dict):
            yield entry
