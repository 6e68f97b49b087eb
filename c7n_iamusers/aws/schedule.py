# SPDX-License-Identifier: Apache-2.0
"""What may begin: a change whose needs are done; what need not any more: one whose needs failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from c7n_iamusers.model.access_plan import Change


class Schedule:
    """The order of ``changes``. Needs that are not among them count as done."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self._changes = {change.key: change for change in changes}
        self._open = {
            key: {need for need in change.needs if need in self._changes}
            for key, change in self._changes.items()
        }
        self._dependents: defaultdict[str, list[str]] = defaultdict(list)
        for key, needs in self._open.items():
            for need in needs:
                self._dependents[need].append(key)
        self._begun: set[str] = set()

    @property
    def finished(self) -> bool:
        """True where every change has ended, or been left."""
        return not self._open

    def ready(self) -> list[Change]:
        """What may begin at first."""
        return self._begin(list(self._open))

    def done(self, key: str) -> list[Change]:
        """What may begin now that ``key`` is done."""
        del self._open[key]
        for dependent in self._dependents[key]:
            if dependent in self._open:
                self._open[dependent].discard(key)
        return self._begin(self._dependents[key])

    def failed(self, key: str) -> list[Change]:
        """What is left, directly or not, since ``key`` failed. Nothing new may begin by a failure."""
        del self._open[key]
        left, doomed = [], list(self._dependents[key])
        while doomed:
            each = doomed.pop()
            if each in self._open and each not in self._begun:
                left.append(self._changes[each])
                del self._open[each]
                doomed += self._dependents[each]
                doomed += [need for need in self._changes[each].needs if self._needless(need)]
        return left

    def rest(self) -> list[Change]:
        """What has not ended: for a run that stops."""
        return [self._changes[key] for key in self._open]

    def _needless(self, key: str) -> bool:
        """A lazy change that nobody waits for any more."""
        change = self._changes.get(key)
        return bool(change and change.lazy and not any(each in self._open for each in self._dependents[key]))

    def _begin(self, keys: Iterable[str]) -> list[Change]:
        found: dict[str, Change] = {}
        for key in keys:
            for each in self._startable(key):
                found[each] = self._changes[each]
        self._begun |= found.keys()
        return list(found.values())

    def _startable(self, key: str) -> list[str]:
        """``key`` itself, or the lazy changes that are all it waits for."""
        needs = self._open.get(key)
        if needs is None or key in self._begun:
            return []
        if not needs:
            return [] if self._changes[key].lazy and self._dependents[key] else [key]
        if all(self._changes[need].lazy and not self._open[need] for need in needs):
            return [need for need in needs if need not in self._begun]
        return []
