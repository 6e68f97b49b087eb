# SPDX-License-Identifier: Apache-2.0
"""Snapshots in a run's store: durable before the first change, never overwritten."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import SnapshotInvalid, SnapshotRefused
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import SNAPSHOT, JournalWriter
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.snapshots.snapshot import Snapshot
from c7n_iamusers.text.documents import LARGEST_RECORD

SNAPSHOTS = "snapshots"


class SnapshotArchive:
    """The snapshots ``snapshots/<user name>.<unique id>[.<n>].json`` in ``store``.

    An underscore precedes a name that begins with a dash or a dot.
    Each is written atomically and never overwritten. If the user differs from its last snapshot, a further one with the
    next number is added. A renamed user has some under each name: the names are listed once, on first use.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._added = dict[str, str]()

    def of(self, subject: Subject) -> list[Snapshot]:
        """The snapshots of the user with this unique id, oldest first. Raises SnapshotRefused if one can't be read."""
        return sorted(self.files(subject).values(), key=lambda each: str(each.taken))

    def files(self, subject: Subject) -> dict[str, Snapshot]:
        """The same, each by its name. Raises SnapshotRefused."""
        with self._refusing(subject):
            return dict(self._read(subject))

    def added(self, subject: Subject) -> dict[str, str]:
        """The name of each snapshot of the user that this run took, with its SHA-256."""
        taken = tuple(self._added.items())  # a copy: the threads of other users add theirs meanwhile
        return {name: digest for name, digest in taken if unique_id_in(name) == subject.unique_id}

    def add(self, snapshot: Snapshot, number: int, journal: JournalWriter) -> None:
        """Write the snapshot durably, and its SHA-256 to ``journal``. ``number``: 1 for the first under its name.

        Raises NotRestorable; SnapshotRefused if it can't be written, or a snapshot with that number exists;
        JournalRefused.
        """
        subject, content = snapshot.user.subject, snapshot.checked_json()
        name = snapshot_name(subject, number)
        with self._refusing(subject):
            self._store.create(name, content)
        digest = hashlib.sha256(content).hexdigest()
        journal.write(subject, SNAPSHOT, snapshot=name, sha256=digest)
        self._added[name] = digest

    def _read(self, subject: Subject) -> Iterator[tuple[str, Snapshot]]:
        seen, number = set[str](), 1
        while (
            content := self._store.read(name := snapshot_name(subject, number), LARGEST_RECORD)
        ) is not None:
            yield name, Snapshot.from_json(content)
            seen.add(name)
            number += 1
        # under another name of the user, or after one that is gone
        for name in {*self._by_id.get(subject.unique_id, ()), *self.added(subject)} - seen:
            if (content := self._store.read(name, LARGEST_RECORD)) is not None:
                yield name, Snapshot.from_json(content)

    @cached_property
    def _by_id(self) -> Mapping[str, Sequence[str]]:
        found = defaultdict[str, list[str]](list)
        for name in self._store.names(f"{SNAPSHOTS}/"):
            found[unique_id_in(name)].append(name)
        return found

    @contextmanager
    def _refusing(self, subject: Subject) -> Iterator[None]:
        try:
            yield
        except (OSError, SnapshotInvalid) as error:
            raise SnapshotRefused(
                reasons.SNAPSHOT_NOT_DURABLE(user=subject, place=str(self._store), why=str(error))
            ) from error


def unique_id_in(name: str) -> str:
    """The unique id in the name of a snapshot. A user may have the unique id of another one in its name."""
    parts = name.removesuffix(".json").split(".")
    return parts[-2] if len(parts) > 2 and parts[-1].isdigit() else parts[-1]


def snapshot_name(subject: Subject, number: int) -> str:
    return f"{SNAPSHOTS}/{subject.file_name}.{subject.unique_id}{'' if number == 1 else f'.{number}'}.json"


def snapshot_number(subject: Subject, name: str) -> int:
    """The number in the ``name`` of a snapshot; 0 where it is none of ``subject`` under the name that it has."""
    rest = name.removeprefix(snapshot_name(subject, 1).removesuffix(".json"))
    if rest == name:
        return 0
    found = re.fullmatch(r"\.(\d{1,9})", rest.removesuffix(".json"), re.ASCII)
    return int(found[1]) if found else int(rest == ".json")
