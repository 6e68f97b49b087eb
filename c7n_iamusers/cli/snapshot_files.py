# SPDX-License-Identifier: Apache-2.0
"""Snapshots as people have them: single files, all of a run or of c7n-org's runs, with the journals beside them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c7n_iamusers.aws.journal import JOURNAL, SNAPSHOT
from c7n_iamusers.aws.journal_reader import JournalReader, parsed
from c7n_iamusers.aws.snapshots import SNAPSHOTS
from c7n_iamusers.aws.stores import DirectoryStore, read_file
from c7n_iamusers.decisions.history import history_of
from c7n_iamusers.decisions.restoration import Recorded
from c7n_iamusers.decisions.user_state import tampering
from c7n_iamusers.exceptions import SnapshotInvalid
from c7n_iamusers.model.moments import moment
from c7n_iamusers.model.snapshot import Snapshot

#: Name of a snapshot -> the SHA-256 that its run's journal tells.
Pins = Mapping[str, set[str]]
#: Of a run's output: what restorations from it did.
RESTORE_JOURNAL = "restore-journal.jsonl"


@dataclass(frozen=True)
class Found:
    """What is on record of one user. ``run``: the output with its latest snapshot.

    ``unpinned``: the snapshots' files whose SHA-256 no journal tells: of the version before, or planted.
    """

    recorded: Recorded
    run: Path
    unpinned: tuple[Path, ...]


@dataclass
class Collection:
    """``users`` to restore, and the ``problems`` of files that can't be used, whose users are left out."""

    users: list[Found] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    path: Path
    run: Path
    snapshot: Snapshot
    pinned: bool


def collected(paths: Iterable[Path]) -> Collection:
    """What ``paths`` have of each user: files, outputs of runs, or directories with such outputs below.

    A file that is not as its run wrote it, by its fingerprint or by its SHA-256 in the journal, is a problem, and so is
    each of its user's others: nobody is restored from half a record.
    Raises SnapshotInvalid where a directory has no snapshot.
    """
    found, users, broken = Collection(), defaultdict[str, list[_File]](list), set[str]()
    journals: dict[Path, JournalReader] = {}
    pins: dict[Path, Pins] = {}
    for file, run in _files(paths):
        if run not in journals:
            journals[run] = _journal(run)
            pins[run] = _pins(journals[run])
        try:
            loaded = _load(file, run, pins[run])
        except (OSError, SnapshotInvalid) as error:
            found.problems.append(f"{file}: {error}")
            broken.add(_unique_id(file))
        else:
            users[loaded.snapshot.user.unique_id].append(loaded)
    for unique_id, files in users.items():
        if unique_id in broken:
            found.problems.append(
                f"{files[0].snapshot.user.subject}: not restored: another file of it can't be used"
            )
        else:
            found.users.append(_user(files, journals))
    return found


def _user(files: list[_File], journals: Mapping[Path, JournalReader]) -> Found:
    files = sorted(files, key=lambda each: str(each.snapshot.taken))
    last = files[-1]
    user = last.snapshot.user
    lines = [line for run in sorted({each.run for each in files}) for line in journals[run].of(user.subject)]
    history = history_of(user.subject, lines, moment(user.detail.get("CreateDate")))
    recorded = Recorded(tuple(each.snapshot for each in files), history)
    return Found(recorded, last.run, tuple(each.path for each in files if not each.pinned))


def restore_lines(journals: Iterable[Path]) -> tuple[Mapping[str, Any], ...]:
    """The lines of the journals of restorations that are there. Raises OSError."""
    return tuple(line for path in journals for line in parsed(read_file(path) or b""))


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Each snapshot's file with the output that it belongs to."""
    for path in paths:
        if not path.is_dir():
            yield path, path.parent.parent if path.parent.name == SNAPSHOTS else path.parent
            continue
        directories = [path] if path.name == SNAPSHOTS else sorted(path.rglob(SNAPSHOTS))
        files = [file for directory in directories for file in sorted(directory.glob("*.json"))]
        if not files:
            raise SnapshotInvalid(
                f"{path}: no snapshot in it; name a run's output, its snapshots, a snapshot, or what holds the outputs"
            )
        yield from ((file, file.parent.parent) for file in files)


def _journal(run: Path) -> JournalReader:
    return JournalReader(lambda: [DirectoryStore(run)])


def _pins(journal: JournalReader) -> Pins:
    found = defaultdict[str, set[str]](set)
    for line in journal.lines():
        if line.get("phase") == SNAPSHOT:
            found[str(line.get("snapshot"))].add(str(line.get("sha256")))
    return found


def _load(path: Path, run: Path, pins: Pins) -> _File:
    content = read_file(path)
    if content is None:
        raise SnapshotInvalid("there is no such file")
    snapshot = Snapshot.from_json(content)
    if problem := tampering(snapshot):
        raise SnapshotInvalid(problem)
    # By the file's name, whomever its content is about.
    pinned = pins.get(f"{SNAPSHOTS}/{path.name}")
    if pinned and hashlib.sha256(content).hexdigest() not in pinned:
        raise SnapshotInvalid(
            f"its SHA-256 is not the one in {run / JOURNAL}: it was changed, and is not used"
        )
    return _File(path, run, snapshot, bool(pinned))


def _unique_id(path: Path) -> str:
    """By the file's name: ``<user>.<unique id>[.<n>].json``."""
    parts = path.name.removesuffix(".json").split(".")
    return parts[-2] if len(parts) > 2 and parts[-1].isdigit() else parts[-1]
