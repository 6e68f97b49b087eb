# SPDX-License-Identifier: Apache-2.0
"""Snapshot files on disk, from one run or from all runs of c7n-org, with the journals beside them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from c7n_iamusers.exceptions import RestorationRefused, SnapshotInvalid
from c7n_iamusers.execution.journal import BUCKET_JOURNALS, parsed
from c7n_iamusers.execution.journal import RESTORE_JOURNAL as RESTORE_JOURNAL
from c7n_iamusers.execution.locks import LockHeld, run_lock
from c7n_iamusers.execution.output_layout import Owner
from c7n_iamusers.execution.stores import JOURNAL, DirectoryStore, below, others_may_write, read_file
from c7n_iamusers.lockout.journal_lines import history_of
from c7n_iamusers.restoration.plan import Recorded
from c7n_iamusers.restoration.snapshot_journals import (
    Journals,
    Key,
    Pins,
    journal_of,
    key_of,
    owner_of,
    pins_of,
    told_missing,
    version_of,
)
from c7n_iamusers.snapshots.archive import SNAPSHOTS, unique_id_in
from c7n_iamusers.snapshots.snapshot import Snapshot, tampering
from c7n_iamusers.text.documents import LARGEST_RECORD
from c7n_iamusers.text.times import moment

#: Errors whose text says what is wrong.
_TOLD = (OSError, SnapshotInvalid)


@dataclass(frozen=True)
class RestorableUser:
    """The records of one user. ``runs``: the outputs with its snapshots, the one with the latest first.

    ``lines``: the user's, in the journals beside them. ``doubts``: which snapshot files somebody else may have written,
    in sentences: no journal has their SHA-256, or others can write them or a journal. ``versions``: of the journals in
    each of ``runs``, right before they were read.
    """

    recorded: Recorded
    runs: tuple[Path, ...]
    lines: tuple[Mapping[str, Any], ...]
    doubts: tuple[str, ...]
    versions: Mapping[Path, Any] = field(default_factory=dict)

    @property
    def run(self) -> Path:
        return self.runs[0]

    def recorded_with(self, lines: Iterable[Mapping[str, Any]]) -> Recorded:
        """``recorded`` with the ``lines`` of another journal that a restoration may have written."""
        user = self.recorded.snapshots[-1].user
        return replace(self.recorded, history=history_of(user.subject, (*self.lines, *lines)))


@dataclass
class Collection:
    """``users`` that can be restored; ``problems`` of files, whose users are not among them.

    ``about``: a problem -> the name of the only user that it concerns, if known.
    ``left_out``: earlier users with the name of a later one, and other unread outputs, in words.
    """

    users: list[RestorableUser] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)

    def add(self, problem: str, user: str) -> None:
        """Note a problem of the user of this name."""
        self.problems.append(problem)
        self.about[problem] = user


@dataclass(frozen=True)
class _File:
    path: Path
    run: Path
    snapshot: Snapshot
    doubt: str = ""


def collected(paths: Iterable[Path], known: Mapping[str, str] | None = None) -> Collection:
    """The users in ``paths``: snapshot files, outputs of runs, or directories that contain such outputs.

    A file is a problem if its fingerprint, or its SHA-256 in the journal, shows that it was changed. Then the other
    files of its user are problems too, since a user is only restored from a complete record. The same holds if the
    journal of any output in the directories names a snapshot of the user that is not there. Raises SnapshotInvalid if a
    directory can't be read whole, or has neither a snapshot nor a journal that names one.

    What an account's own directory holds of another account's users is a problem, and believed by nobody (see
    ``output_layout``). ``known``: account's name in the accounts file -> its id.
    """
    try:
        return _collected(paths, known or {})
    except OSError as error:
        raise SnapshotInvalid(
            f"{error}: it may have later snapshots of any user, so nobody is restored: run as a user who can read "
            "all of it, or give only the outputs in question"
        ) from error


def _collected(paths: Iterable[Path], known: Mapping[str, str]) -> Collection:
    paths = [each.resolve() if each.is_dir() else each.parent.resolve() / each.name for each in paths]
    journals, found = Journals(lambda run: owner_of(run, paths, known)), Collection()
    users, broken = _loaded(paths, journals, found)
    runs = {run for path in paths for run in _runs(path)}
    found.problems += journals.unread(runs)
    found.problems += journals.refused()
    for arn, problem in journals.told_without_files(runs, {*users, *broken}):
        found.add(problem, arn.rpartition("/")[2])
    found.left_out += [
        f"{path}: whether another output has a later snapshot of its user is not asked: give their directory for that"
        for path in paths
        if not path.is_dir()
    ]
    for key, files in users.items():
        try:
            if {key, ("", key[1])} & broken:
                raise SnapshotInvalid("another snapshot of it can't be used")
            found.users.append(_user(key, files, journals))
        except Exception as error:  # noqa: BLE001  # whatever the journals have of one user, it hides no other
            why = _told(error, "no run writes its lines in the journals")
            subject = files[-1].snapshot.user.subject
            found.add(f"{subject}: not restored: {why}", subject.name)
    return _of_latest(found)


def _loaded(
    paths: Iterable[Path], journals: Journals, found: Collection
) -> tuple[dict[Key, list[_File]], set[Key]]:
    """The snapshots of each user; and whose can't all be used, by their files' names, with an empty account for any.

    An account's own directory says nothing of another account's users.
    """
    users, broken = defaultdict[Key, list[_File]](list), set[Key]()
    for file, run in _files(paths):
        owner = journals.owner(run)
        try:
            loaded = _load(file, run, journals.pins(run))
        except Exception as error:  # noqa: BLE001  # it may hold anything, and hides no other user
            unique_id = unique_id_in(file.name)
            found.add(f"{file}: {_told(error, 'no run writes it')}", file.name.partition(f".{unique_id}.")[0])
            broken.add((owner.account if owner.only else "", unique_id))
            continue
        subject = loaded.snapshot.user.subject
        if why := owner.refuses(subject.arn):
            found.add(f"{file} {why}", subject.name)
        else:
            users[key_of(subject.arn, subject.unique_id)].append(loaded)
    return users, broken


def _told(error: Exception, otherwise: str) -> str:
    return str(error) if isinstance(error, _TOLD) else f"{otherwise}: {error!r}"


def _of_latest(found: Collection) -> Collection:
    """Keep the latest of several users that had the same name one after another."""
    latest: dict[tuple[str, str], RestorableUser] = {}
    for restorable in sorted(found.users, key=lambda user: str(user.recorded.snapshots[-1].taken)):
        subject = restorable.recorded.subject
        # User names are unique within an account, not distinguished by case (CreateUser, IAM API reference).
        key = subject.account_id, subject.name.lower()
        if earlier := latest.get(key):
            found.left_out.append(
                f"{subject}: {earlier.recorded.subject.unique_id}, which had the name before {subject.unique_id}, is "
                "left out: to restore it, give only the file of its snapshot"
            )
        latest[key] = restorable
    found.users = [user for user in found.users if user in latest.values()]
    return found


def _user(key: Key, files: list[_File], journals: Journals) -> RestorableUser:
    """Raises SnapshotInvalid if a snapshot of the user is missing."""
    files = sorted(files, key=lambda each: str(each.snapshot.taken))
    if missing := journals.missing(key):
        files = _after(files, missing.values())
    if not files:
        raise SnapshotInvalid(told_missing(missing))
    last = files[-1]
    user = last.snapshot.user
    lines = [
        line for run in sorted({each.run for each in files}) for line in journals.of[run].of(user.subject)
    ]
    history = history_of(user.subject, lines)
    recorded = Recorded(tuple(each.snapshot for each in files), history, bool(lines))
    runs = tuple(dict.fromkeys([last.run, *(each.run for each in files)]))
    doubts = tuple(each.doubt for each in files if each.doubt)
    return RestorableUser(recorded, runs, tuple(lines), doubts, {run: journals.versions[run] for run in runs})


def _after(files: list[_File], missing: Iterable[datetime | None]) -> list[_File]:
    """The ``files`` that are later than all given up ``missing`` ones, since an earlier one may have more.

    Empty if a missing one was not given up, or if a deletion had begun before the first of these.
    """
    gone = [*missing]
    last = max((each for each in gone if each), default=None)
    if last is None or None in gone:
        return []
    later = [each for each in files if (taken := moment(str(each.snapshot.taken))) and taken > last]
    return [] if any(each.snapshot.deletion_begun for each in later[:1]) else later


@contextmanager
def locked(users: Iterable[RestorableUser]) -> Iterator[Callable[[], None]]:
    """Hold the run locks of the outputs of ``users``, so that nobody deletes or releases them meanwhile.

    Gives a function that raises RunLockLost once a lock file was removed or replaced.
    Raises RestorationRefused if a run holds one, if a lock can't be held, or if a run has written since the reading.
    """
    versions = {run: version for each in users for run, version in each.versions.items()}
    with ExitStack() as locks:
        try:
            checks = [locks.enter_context(run_lock(run, "c7n-iamusers restore")) for run in sorted(versions)]
        except LockHeld as error:
            raise RestorationRefused(f"nothing was restored: {error}") from error
        except OSError as error:
            raise RestorationRefused(
                f"nothing was restored: the run lock can't be held, so a run may be under way ({error}): restore as a "
                "user who can write there, or make sure that none is, and restore from a copy"
            ) from error
        if later := [str(run) for run, version in versions.items() if version_of(run) != version]:
            raise RestorationRefused(
                f"nothing was restored: a run has written to {', '.join(later)} since it was read: restore again"
            )

        def check() -> None:
            for each in checks:
                each()

        yield check


def restore_lines(journals: Iterable[Path]) -> tuple[Mapping[str, Any], ...]:
    """The lines of the existing ``journals`` of restorations. Raises OSError."""
    return tuple(line for path in journals for line in parsed(read_file(path) or b"", str(path)))


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Each snapshot file with the output that it belongs to."""
    for path in paths:
        if not path.is_dir():
            run = path.parent.parent if path.parent.name == SNAPSHOTS else path.parent
            # Add the user's other snapshots, so that what somebody else removed after this one stays removed.
            others = (
                # a user's name may contain another user's unique id
                [
                    each
                    for each in _snapshots_in(path.parent)
                    if unique_id_in(each.name) == unique_id_in(path.name)
                ]
                if path.parent.name == SNAPSHOTS
                else []
            )
            yield from ((each, run) for each in sorted({*others, path}))
            continue
        files = [file for directory in _places(path) for file in _snapshots_in(directory)]
        if not files and not has_record(path):
            raise SnapshotInvalid(
                f"{path}: no snapshot in it: give a run's output, its snapshots, a snapshot, or a directory of outputs"
            )
        yield from ((file, file.parent.parent) for file in files)


def has_record(directory: Path) -> bool:
    """Whether ``directory`` has, at any depth, a snapshot, a journal that names one, or an unreadable journal."""
    if any(map(_snapshots_in, _places(directory))):
        return True
    pins = (pins_of(journal_of(run), Owner("", only=False)) for run in _runs(directory))
    return any(isinstance(each, OSError) or each.names for each in pins)


#: The directory of the records of provisioning, whose journals are about Identity Center and not about IAM users.
_OF_PROVISIONING = "identity-center-runs"


def _runs(path: Path) -> list[Path]:
    """The outputs in ``path`` that have a journal; none if it is a file."""
    if not path.is_dir():
        return []
    if path.name == SNAPSHOTS:
        return [path.parent]
    names = JOURNAL, PurePosixPath(BUCKET_JOURNALS).name
    found = (each.parent for each in below(path, *names))
    return sorted({each for each in found if _OF_PROVISIONING not in each.relative_to(path).parts})


def _places(path: Path) -> list[Path]:
    """The directories of snapshots in ``path``."""
    return [path] if path.name == SNAPSHOTS else sorted(below(path, SNAPSHOTS))


def _snapshots_in(directory: Path) -> list[Path]:
    names = DirectoryStore(directory).entries("")
    return [directory / name for name in sorted(names) if name.endswith(".json")]


def _load(path: Path, run: Path, pins: Pins | OSError) -> _File:
    if isinstance(pins, OSError):
        raise pins
    content = read_file(path, LARGEST_RECORD)
    if content is None:
        raise SnapshotInvalid("no such file")
    snapshot = Snapshot.from_json(content)
    if problem := tampering(snapshot):
        raise SnapshotInvalid(problem)
    # Matched by the file's name, not by the user in its content.
    pinned = pins.digests.get(f"{SNAPSHOTS}/{path.name}")
    if pinned and len(pinned) > 1:
        raise SnapshotInvalid(f"{run / JOURNAL} has several SHA-256 of it: it was replaced, and is not used")
    if pinned and hashlib.sha256(content).hexdigest() not in pinned:
        raise SnapshotInvalid(
            f"its SHA-256 differs from the one in {run / JOURNAL}: it was changed, and is not used"
        )
    return _File(path, run, snapshot, _doubt(path, run, bool(pinned)))


def _doubt(path: Path, run: Path, pinned: bool) -> str:
    """Why somebody else may have written the file, in a sentence; empty if the journal proves the opposite."""
    if not pinned:
        return f"no journal proves that {path} is as a run wrote it"
    journals = (JOURNAL, RESTORE_JOURNAL, *DirectoryStore(run).names(f"{JOURNAL.removesuffix('.jsonl')}/"))
    for name in (str(path.relative_to(run)), *journals):
        if (run / name).exists() and (why := others_may_write(run, name)):
            return f"no journal proves that {path} is as a run wrote it: {why}"
    return ""
