# SPDX-License-Identifier: Apache-2.0
"""Snapshots in a run's store: durable before the first mutating call, and never written again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from c7n_iamusers.aws.journal import SNAPSHOT, JournalWriter
from c7n_iamusers.aws.stores import Store
from c7n_iamusers.exceptions import SnapshotInvalid, SnapshotRefused
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.snapshot import Snapshot

SNAPSHOTS = "snapshots"


class SnapshotArchive:
    """Snapshots ``snapshots/<user name>.<unique id>[.<n>].json`` in ``store``.

    One that is there is complete (it appears at once) and is never written again. Where a user differs from
    its last snapshot, a further one with the next number holds it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, subject: Subject) -> list[Snapshot]:
        """The snapshots of this same user (by unique id), oldest first.

        Raises SnapshotRefused where one can't be read: what it holds must not be taken for lost.
        """
        with self._refusing(subject):
            return list(self._read(subject))

    def add(self, snapshot: Snapshot, number: int, journal: JournalWriter) -> None:
        """Makes the snapshot durable, its SHA-256 too, in ``journal``. ``number``: 1 for the first of its user.

        Raises SnapshotRefused where it can't be made durable, or that number is taken; JournalRefused.
        """
        subject, content = snapshot.user.subject, snapshot.as_json().encode()
        name = _name(subject, number)
        with self._refusing(subject):
            self._store.create(name, content)
        journal.write(subject, SNAPSHOT, snapshot=name, sha256=hashlib.sha256(content).hexdigest())

    def _read(self, subject: Subject) -> Iterator[Snapshot]:
        number = 1
        while (content := self._store.read(_name(subject, number))) is not None:
            yield Snapshot.from_json(content)
            number += 1

    @contextmanager
    def _refusing(self, subject: Subject) -> Iterator[None]:
        try:
            yield
        except (OSError, SnapshotInvalid) as error:
            raise SnapshotRefused(
                f"{subject}: no durable snapshot in {self._store} ({error}): nothing further was touched; make that "
                "place writable, move a broken snapshot away, and run again"
            ) from error


def _name(subject: Subject, number: int) -> str:
    return f"{SNAPSHOTS}/{subject.name}.{subject.unique_id}{'' if number == 1 else f'.{number}'}.json"
