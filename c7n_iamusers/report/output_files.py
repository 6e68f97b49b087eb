# SPDX-License-Identifier: Apache-2.0
"""The files that a policy's runs left in one directory, within bounds, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from c7n_iamusers.execution.journal import BUCKET_JOURNALS, CREATED, parsed
from c7n_iamusers.execution.stores import JOURNAL, DirectoryStore, Store, read_all
from c7n_iamusers.report.output_names import OBJECT, OutputName, what_is
from c7n_iamusers.text.documents import LARGEST, NotInFormat, most_json_of, pieces, read_json, unpacked
from c7n_iamusers.text.kept import Kept, plain
from c7n_iamusers.text.validators import Shape
from c7n_iamusers.text.wording import quoted

#: What is kept of lines of journals.
_OF_LINES = (
    *("time", "user", "arn", "unique_id", "phase", "operation", "result", "status", "reason", "code", "also"),
    *("for_owners", "calls", "seconds", "call", "error", "rests_on"),
)


class OutputFiles:
    """The files of one directory; what is wrong with them is in ``faults``.

    ``of_others``: the faults about users of another account. ``packed``: the bytes that were read.
    """

    def __init__(self, store: Store, directory: PurePosixPath, names: Collection[OutputName]) -> None:
        self.store, self.directory, self.packed = store, directory, 0
        #: What was read, or why not; each is taken once. And the journal's objects, with their names.
        self._read = dict[str, bytes | OSError | None]()
        self._objects: list[tuple[str, bytes | None]] | OSError = []
        self._names = {each.what: each.full for each in names}
        self.of_others = list[str]()
        self.faults = [
            f"{name} lies here twice, packed and not: find out which is the run's"
            for name, of in Counter(each.what for each in names).items()
            if of > 1
        ]

    def has(self, name: str) -> bool:
        return name in self._names

    def read_ahead(self) -> None:
        """Read the journal's objects and, in a bucket, all files. A directory's files are at hand, and not packed."""
        if not isinstance(self.store, DirectoryStore):
            self._read = {name: self._content(name) for name in self._names}
        try:
            found = map(what_is, self.store.names(f"{PurePosixPath(self.directory, BUCKET_JOURNALS)}/"))
            objects = [each for each in found if PurePosixPath(each.place) == self.directory]
            if strange := [each.full for each in objects if each.what != OBJECT or each.fault]:
                raise OSError(f"holds {quoted(strange[0])}, and no run writes that: find out who did")
            self._objects = [*read_all(self.store, [each.full for each in objects])]
        except OSError as error:
            self._objects = error

    def _content(self, name: str) -> bytes | OSError | None:
        try:
            return self.store.read(self._names[name])
        except OSError as error:
            return error

    def _packed(self, name: str) -> bytes | None:
        """As it lies there; None where there is no such file, or it can't be read."""
        if name not in self._names:
            return None
        found = self._read.pop(name) if name in self._read else self._content(name)
        if isinstance(found, OSError):
            self.fault(name, str(found))
            return None
        self.packed += len(found or b"")
        return found

    def _unpacked(self, name: str, packed: bytes | None) -> bytes | None:
        try:
            return unpacked(packed, LARGEST) if packed else packed
        except NotInFormat as error:
            self.fault(name, str(error))
            return None

    def mentions(self, name: str, words: Collection[bytes]) -> bool:
        """Whether one of the ``words`` is in a file, which may be large: it is not held whole, unpacked."""
        longest, before, found = max(map(len, words)), b"", False
        try:
            for piece in pieces(self._packed(name) or b"", LARGEST):
                found = found or any(word in before + piece for word in words)
                before = (before + piece)[-longest:]
        except NotInFormat as error:
            self.fault(name, str(error))
        return found

    def data(self, name: str, shape: Shape, what: str, members: Sequence[str] = ()) -> Any:
        """The JSON of a file; None as above, and where it has another ``shape`` than that of ``what``.

        ``members``: those that are kept of each object; all where it is empty.
        """
        packed = self._packed(name)
        if packed is None or (content := self._unpacked(name, packed)) is None:
            return None
        try:
            data = read_json(content, Kept(members).of if members else None, most_json_of(packed))
        except NotInFormat as error:
            self.fault(name, f"is no JSON ({error}): it was cut off, or is not a run's")
            return None
        try:
            shape(data, what)
        except ValueError as error:
            self.fault(name, f"is not {what} that a run leaves: {error}")
            return None
        return data

    def lines(self, name: str) -> list[Mapping[str, Any]]:
        """Those of the journal in the file ``name``, as far as outcomes are made of them."""
        kept, found, packed = Kept(_OF_LINES), list[Mapping[str, Any]](), self._packed(name)
        try:
            found += (
                _line(kept, each)
                for each in parsed(self._unpacked(name, packed) or b"", name, most_json_of(packed or b""))
            )
        except OSError as error:
            self.fault(name, str(error))
        return found

    def journal(self) -> list[Mapping[str, Any]]:
        """All lines of runs, in the same way."""
        kept, found = Kept(_OF_LINES), self.lines(JOURNAL)
        try:
            if isinstance(self._objects, OSError):
                raise self._objects
            for name, content in self._objects:
                self.packed += len(content or b"")
                found += (_line(kept, each) for each in parsed(content or b"", self.store.place(name)))
        except OSError as error:
            self.fault(BUCKET_JOURNALS, str(error))
        return found

    def fault(self, name: str, why: str) -> None:
        """Note what is wrong with a file."""
        place = self.store.place(self._names.get(name, name))
        of_file = place.rpartition("/")[2] or name
        self.faults.append(why if place in why else f"{of_file} {why}")

    def tells_of_others(self, name: str, why: str) -> None:
        """Note that a file tells of users of another account, and ``why`` that is not trusted."""
        self.fault(name, why)
        self.of_others.append(self.faults[-1])


def _line(kept: Kept, line: Mapping[str, Any]) -> Mapping[str, Any]:
    """What ``missing_outcomes`` and ``unfinished_restorations`` read of it; empty where no run writes such."""
    created = (line.get("saved") or {}).get(CREATED)
    if not plain(line, set(_OF_LINES) - {"also"}) or isinstance(created, dict | list):
        return {}
    found = kept.of(line)
    return found if created is None else {**found, "saved": {CREATED: created}}
