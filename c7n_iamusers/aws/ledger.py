# SPDX-License-Identifier: Apache-2.0
"""What a writer keeps of its changes: the journal, the ids that others refer to, and how each has ended."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable
from typing import Any

from c7n_iamusers.aws.executor import resolve
from c7n_iamusers.aws.journal import JournalWriter
from c7n_iamusers.aws.work import DONE, FAILED, LEFT, Ended, Failure, Judged, Work
from c7n_iamusers.model.access_plan import Change


class Ledger:
    """``progress`` is told how many of ``total`` changes have ended."""

    def __init__(
        self,
        journal: JournalWriter,
        total: int,
        progress: Callable[[int, int], None],
        clock: Callable[[], float],
    ) -> None:
        self._journal, self._total, self._progress, self._clock = journal, total, progress, clock
        self._published: dict[str, Any] = {}
        self.ended: dict[str, Ended] = {}

    def begin_call(self, work: Work) -> dict[str, Any]:
        """The parameters of the call in hand, which is in the journal when this returns."""
        parameters = self.parameters(work)
        if not work.announced:
            self._journal.write(work.change.subject, "before", **self._entry(work))
            work.announced, work.made = True, work.made + 1
        return parameters

    def parameters(self, work: Work) -> dict[str, Any]:
        """The parameters of the call in hand."""
        # No copy: a large run publishes ids by the hundred thousand.
        known = ChainMap(work.values, self._published)
        found: dict[str, Any] = resolve(work.in_hand.parameters, known)
        return found

    def end_call(self, work: Work, result: str, **more: Any) -> None:
        """The call in hand has come to its end: done, gone or failed."""
        if work.call and work.announced:
            ids = {name: work.values[name] for name in work.call.save if name in work.values}
            self._journal.write(
                work.change.subject, "after", **self._entry(work), result=result, saved=ids, **more
            )

    def judged(self, work: Work, judged: Judged) -> None:
        """A new look has found that the call in hand need not be made again: done by a lost call, or by others."""
        if not (judged.calls or judged.awaits):
            work.values.update(judged.values)
            self.end_call(work, "done" if work.lost else "adopted")

    def done(self, work: Work) -> None:
        """The change is made; its ids are known to others as ``<its key>:<the name of the Ref>``."""
        self._published.update({f"{work.change.key}:{name}": value for name, value in work.values.items()})
        self._end(work, Ended(DONE, work.made, dict(work.values)))

    def failed(self, work: Work, failure: Failure) -> None:
        """The change failed for good."""
        self.end_call(work, "failed", code=failure.code)
        self._end(work, Ended(FAILED, work.made, dict(work.values), failure.code, str(failure)))

    def left(self, change: Change, code: str, reason: str) -> None:
        """The change was not begun, or not seen through."""
        self.ended[change.key] = Ended(LEFT, code=code, reason=reason)
        self._progress(len(self.ended), self._total)

    def _end(self, work: Work, ended: Ended) -> None:
        ended.seconds, ended.adopted = self._clock() - work.began, work.adopted
        self.ended[work.change.key] = ended
        self._progress(len(self.ended), self._total)

    def _entry(self, work: Work) -> dict[str, Any]:
        call = {"service": work.in_hand.service, "operation": work.in_hand.operation}
        return {**call, "parameters": self.parameters(work)}
