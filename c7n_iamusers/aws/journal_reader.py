# SPDX-License-Identifier: Apache-2.0
"""Reading journals back: of a run's own output, and of outputs that may hold the record of a quarantine."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from c7n_iamusers.aws.journal import JOURNAL
from c7n_iamusers.aws.stores import Store
from c7n_iamusers.model.calls import Subject

#: Where BucketJournal puts its objects, one for each run and user.
BUCKET_JOURNALS = "journal/"
Line = dict[str, Any]


class JournalReader:
    """The lines about one user in the journals of ``stores``, which are read once each, when first asked for.

    Safe for several threads. Raises OSError where a journal can't be read: what it holds must not be taken for lost.
    """

    def __init__(self, stores: Callable[[], Sequence[Store]]) -> None:
        self._stores, self._lock = stores, threading.Lock()
        self._journals: list[_Journal] | None = None

    def load(self) -> None:
        """Read them now, before a run adds lines of its own, which are not to be taken for an earlier run's."""
        self._read()

    def of(self, subject: Subject) -> list[Line]:
        """All lines about the user of this unique id or, where a line has none, of this ARN."""
        return [line for journal in self._read() for line in journal.of(subject)]

    def lines(self) -> Iterator[Line]:
        """Every line."""
        for journal in self._read():
            yield from journal.lines()

    def _read(self) -> list[_Journal]:
        with self._lock:
            if self._journals is None:
                self._journals = [_Journal(store) for store in self._stores()]
            return self._journals


class _Journal:
    def __init__(self, store: Store) -> None:
        self._store, self._by_user = store, defaultdict[str, list[Line]](list)
        for line in parsed(store.read(JOURNAL) or b""):
            self._by_user[str(line.get("unique_id") or line.get("arn"))].append(line)
        self._objects = store.names(BUCKET_JOURNALS)

    def of(self, subject: Subject) -> list[Line]:
        own = [name for name in self._objects if name.endswith(f".{subject.unique_id}.jsonl")]
        put = [line for name in own for line in parsed(self._store.read(name) or b"")]
        return [*self._by_user.get(subject.unique_id, ()), *self._by_user.get(subject.arn, ()), *put]

    def lines(self) -> Iterator[Line]:
        for lines in self._by_user.values():
            yield from lines
        for name in self._objects:
            yield from parsed(self._store.read(name) or b"")


def parsed(content: bytes) -> Iterable[Line]:
    """The lines of a journal; one that a crash has torn is left out, those around it hold."""
    for text in content.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line
