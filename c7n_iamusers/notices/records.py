# SPDX-License-Identifier: Apache-2.0
"""Reads the records beside the notices: each file once, until its version in the list has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from c7n_iamusers.exceptions import NoticesUnreadable
from c7n_iamusers.execution.stores import Store, read_all
from c7n_iamusers.notices.stop import is_stop
from c7n_iamusers.text.documents import LARGEST_RECORD

Parsed = TypeVar("Parsed")
#: Of the directories read last: the place -> the name of each record -> its version and content. See ``NoticeRecords``.
_KNOWN: dict[str, dict[str, tuple[str, Any]]] = {}
_KNOWN_PLACES = 4


@dataclass(frozen=True)
class NoticeRecords:
    """Reads the records in ``store``. ``broken``: see Notices.read.

    All policies of the process share what was read: a name is read again once its version in the list has changed.
    """

    store: Store
    broken: Callable[[str], object] | None = None

    def read(self, directory: str, parse: Callable[[bytes], Parsed]) -> tuple[list[Parsed], list[str]]:
        """The records in ``directory``, in the order of their names; and its STOP files. Raises NoticesUnreadable."""
        try:
            found = self.store.entries(directory)
            stops = [self.store.place(f"{directory}{name}") for name in sorted(found) if is_stop(name)]
            versions = {f"{directory}{name}": found[name] for name in sorted(found) if not is_stop(name)}
            for fault in (self._fault(name) for name, version in versions.items() if not version):
                if self.broken is None:
                    raise OSError(f"{fault}, and move it away")
                self.broken(fault)
            return list(self._parsed(directory, versions, parse)), stops
        except OSError as error:
            raise NoticesUnreadable(
                f"the notices in {self.store.place(directory)} can't be read: {error}"
            ) from error

    def _fault(self, name: str) -> str:
        """What is wrong with what is no file, such as a link that leads nowhere: a record may be missing there."""
        return f"{self.store.place(name)} is a link or a directory, not a file of a run: find out who put it there"

    def _unread(self) -> Callable[[str, OSError], object] | None:
        """Told of a file that can't be read, such as one that is too large: it must not hide the others."""
        broken = self.broken
        return broken and (lambda name, error: broken(f"{self.store.place(name)} can't be read: {error}"))

    def _parsed(
        self, directory: str, versions: Mapping[str, str], parse: Callable[[bytes], Parsed]
    ) -> Iterator[Parsed]:
        key = self.store.place(directory)
        names = [each for each, version in versions.items() if version and each.endswith(".json")]
        before, known = _KNOWN.pop(key, {}), dict[str, tuple[str, Any]]()
        _KNOWN[key] = known
        while len(_KNOWN) > _KNOWN_PLACES:
            _KNOWN.pop(next(iter([*_KNOWN])), None)  # of a copy: a report reads several at once
        known.update({each: before[each] for each in names if before.get(each, ("",))[0] == versions[each]})
        unknown = [each for each in names if each not in known]
        for name, content in read_all(self.store, unknown, LARGEST_RECORD, self._unread()):
            with _parsing(self.store, name, self.broken):
                known[name] = (versions[name], parse(content or b""))
        yield from (known[each][1] for each in names if each in known)


@contextmanager
def _parsing(store: Store, name: str, broken: Callable[[str], object] | None) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, RecursionError) as error:
        fault = f"{store.place(name)} is no notice: {error}. Find out who wrote it, move it away"
        if broken is None:
            raise NoticesUnreadable(f"{fault} and run again") from error
        broken(fault)
