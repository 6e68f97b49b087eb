# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is: requests that keep a slot busy first, then the rest in the plan's order."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Mapping

from c7n_iamusers.aws.lanes import Lane, LaneKind
from c7n_iamusers.aws.work import Step, Work


class Turns:
    """``order``: key of a change -> its place in the plan."""

    def __init__(self, order: Mapping[str, int]) -> None:
        self._order, self._count = order, itertools.count()
        self._queues: defaultdict[LaneKind | None, list[tuple[int, int, Work]]] = defaultdict(list)
        self._later: list[tuple[float, int, Work]] = []

    def add(self, work: Work) -> None:
        """``work`` waits for its turn."""
        lane = work.lane if work.step is Step.CALL else None
        heapq.heappush(self._queues[lane], (self._order[work.change.key], next(self._count), work))

    def add_later(self, work: Work, when: float) -> None:
        """``work`` has no turn before ``when``."""
        heapq.heappush(self._later, (when, next(self._count), work))

    def wake(self, now: float) -> None:
        """Let those take part whose time has come."""
        while self._later and self._later[0][0] <= now:
            self.add(heapq.heappop(self._later)[2])

    def next(self, lanes: Mapping[LaneKind, Lane[Work]]) -> Work | None:
        """Who is next, taken out; None where nobody is, or nobody may."""
        for kind, lane in lanes.items():
            queue = self._queues[kind]
            if queue and not lane.full and (found := _first_with_room(queue, lane)):
                return found
        plain = self._queues[None]
        return heapq.heappop(plain)[2] if plain else None

    @property
    def next_wake(self) -> float | None:
        """When somebody's time comes; None for nobody's."""
        return self._later[0][0] if self._later else None


def _first_with_room(queue: list[tuple[int, int, Work]], lane: Lane[Work]) -> Work | None:
    passed = []
    found = None
    while queue and found is None:
        turn = heapq.heappop(queue)
        if lane.has_room(turn[2].change.accounts):
            found = turn[2]
        else:
            passed.append(turn)
    for turn in passed:
        heapq.heappush(queue, turn)
    return found
