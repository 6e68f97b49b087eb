# SPDX-License-Identifier: Apache-2.0
"""What may be sent now: changes in the order of their needs, as far as AWS's quotas have room.

Quotas: IAM Identity Center User Guide, "Quotas and limits" (throttle limits). Its limit of 20 calls a second is
IDENTITY_CENTER_RATE.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from c7n_iamusers.identity_center.model import Change
from c7n_iamusers.identity_center.writer.change import ChangeExecution, Follow, Pause, Send


@dataclass(frozen=True)
class RequestQuota:
    """How many asynchronous requests may be in progress. ``poll`` lists them all, under ``result``, in one call.

    ``one_per_account``: no two may change the roles of one account at once.
    """

    limit: int
    poll: str
    result: str
    one_per_account: bool = False


#: By the operation that makes the requests.
QUOTAS: Mapping[str, RequestQuota] = {
    "CreateAccountAssignment": RequestQuota(
        15, "ListAccountAssignmentCreationStatus", "AccountAssignmentsCreationStatus"
    ),
    "DeleteAccountAssignment": RequestQuota(
        15, "ListAccountAssignmentDeletionStatus", "AccountAssignmentsDeletionStatus"
    ),
    "ProvisionPermissionSet": RequestQuota(
        3, "ListPermissionSetProvisioningStatus", "PermissionSetsProvisioningStatus", one_per_account=True
    ),
}
#: Seconds between two polls, at least and at most; between them a share of how long requests take.
_SHORTEST_POLL, _LONGEST_POLL, _POLL_SHARE = 0.2, 2.0, 0.04


class Schedule:
    """The order of ``changes``. Needs that are not among them count as done.

    The standard library's graphlib knows neither a node that failed nor a lazy one.
    """

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
        """True once every change has ended, or been left."""
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
        """What is left, directly or not, since ``key`` failed. A failure lets nothing new begin."""
        del self._open[key]
        left, blocked = [], list(self._dependents[key])
        while blocked:
            each = blocked.pop()
            if each in self._open and each not in self._begun:
                left.append(self._changes[each])
                del self._open[each]
                blocked += self._dependents[each]
                blocked += [need for need in self._changes[each].needs if self._unneeded(need)]
        return left

    def rest(self) -> list[Change]:
        """What has not ended: for a run that stops."""
        return [self._changes[key] for key in self._open]

    def _unneeded(self, key: str) -> bool:
        """A lazy change that no other waits for any more."""
        change = self._changes.get(key)
        return bool(change and change.lazy and not any(each in self._open for each in self._dependents[key]))

    def _begin(self, keys: Iterable[str]) -> list[Change]:
        found = {each: self._changes[each] for key in keys for each in self._startable(key)}
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


@dataclass
class Slots:
    """The slots of a quota. A request takes one from when it is sent until it is seen to have ended.

    ``outstanding``: by the id of the request. ``others``: requests of other writers, by the last poll. ``typical``:
    seconds that a request takes.
    """

    quota: RequestQuota
    sending: list[Send] = field(default_factory=list)
    outstanding: dict[str, Follow] = field(default_factory=dict)
    others: int = 0
    next_poll: float = 0.0
    polled_since: float | None = None
    typical: float = 0.0

    @property
    def full(self) -> bool:
        """Whether no request may be sent now, whatever it changes."""
        return len(self.sending) + len(self.outstanding) + self.others >= self.quota.limit

    def has_room(self, accounts: frozenset[str]) -> bool:
        """Whether one more request, which changes the roles of ``accounts``, may be sent."""
        if self.full or not self.quota.one_per_account:
            return not self.full
        busy: list[Send | Follow] = [*self.sending, *self.outstanding.values()]
        return not any(accounts & each.execution.change.accounts for each in busy)

    def accept(self, follow: Follow, now: float) -> None:
        """The request is in progress. The first poll comes soon, as it is not known yet how long one takes."""
        follow.accepted, follow.since = now, now if follow.since is None else follow.since
        if not self.outstanding:
            self.next_poll = now + self.interval
        self.outstanding[follow.request_id] = follow

    @property
    def poll_at(self) -> float | None:
        """When to poll; None while there is nothing to learn, or a poll is in flight."""
        return self.next_poll if (self.outstanding or self.others) and self.polled_since is None else None

    def polled(self, in_progress: set[str], now: float) -> list[Follow]:
        """The requests that are no longer in progress; they hold no slot any more.

        Those that were accepted after the poll was sent can't be in it.
        """
        began = now if self.polled_since is None else self.polled_since
        found = [each for each in self.outstanding.values() if each.accepted < began]
        ended = [each for each in found if each.request_id not in in_progress]
        for each in ended:
            del self.outstanding[each.request_id]
            self.typical += (now - each.accepted - self.typical) / (4 if self.typical else 1)
        self.others = len(in_progress - self.outstanding.keys())
        self.poll_over(now)
        return ended

    def poll_over(self, now: float) -> None:
        """The poll has ended. If it failed, all requests count as in progress until the next one."""
        self.polled_since, self.next_poll = None, now + self.interval

    def timed_out(self, before: float) -> list[Follow]:
        """The requests that are waited for since a time ``before`` that, taken out.

        Their slots are not free: AWS counts them, like those of other writers, until a poll sees them ended.
        """
        late = [each for each in self.outstanding.values() if each.since is not None and each.since < before]
        for each in late:
            del self.outstanding[each.request_id]
        self.others += len(late)
        return late

    @property
    def interval(self) -> float:
        """Seconds between polls: short compared with how long a request takes, so that no slot idles for long."""
        return min(max(self.typical * _POLL_SHARE, _SHORTEST_POLL), _LONGEST_POLL)


_Entry = tuple[int, int, Send]


class ReadyQueue:
    """What changes need next: requests that fill slots first, then the rest in the order of ``changes``.

    ``slots``: by the operation that makes the requests.
    """

    def __init__(self, changes: Sequence[Change]) -> None:
        self._order = {change.key: number for number, change in enumerate(changes)}
        self._count = itertools.count()
        self._queues: defaultdict[str, list[_Entry]] = defaultdict(list)
        self._paused: list[tuple[float, int, ChangeExecution]] = []
        self.slots = {operation: Slots(quota) for operation, quota in QUOTAS.items()}

    def add(self, step: Send | Pause | Follow, now: float) -> None:
        """A change needs ``step``."""
        if isinstance(step, Pause):
            heapq.heappush(self._paused, (now + step.seconds, next(self._count), step.execution))
        elif isinstance(step, Follow):
            self.slots[step.operation].accept(step, now)
        else:
            queue = self._queues[step.operation if step.operation in self.slots else ""]
            order = -1 if step.checked else self._order[step.execution.change.key]
            heapq.heappush(queue, (order, next(self._count), step))

    def rested(self, now: float) -> list[ChangeExecution]:
        """Those whose pause is over."""
        found = []
        while self._paused and self._paused[0][0] <= now:
            found.append(heapq.heappop(self._paused)[2])
        return found

    def next(self) -> Send | None:
        """What to send next, taken out, with a slot if it needs one; None if there is nothing, or no room for it."""
        for operation, slots in self.slots.items():
            queue = self._queues[operation]
            if queue and not slots.full and (found := _first_with_room(queue, slots)):
                slots.sending.append(found)
                return found
        plain = self._queues[""]
        return heapq.heappop(plain)[2] if plain else None

    def sent(self, send: Send) -> None:
        """It has its answer: a slot is held on only by a request to ``Follow``."""
        if send.operation in self.slots:
            self.slots[send.operation].sending.remove(send)

    def poll_due(self, now: float) -> Slots | None:
        """Slots whose requests are to be polled now."""
        times = ((slots.poll_at, slots) for slots in self.slots.values())
        return next((slots for time, slots in times if time is not None and time <= now), None)

    @property
    def next_time(self) -> float | None:
        """When a poll is due, or a pause over; None if neither is to come."""
        times = [each.poll_at for each in self.slots.values()]
        times += [self._paused[0][0] if self._paused else None]
        return min((each for each in times if each is not None), default=None)


def _first_with_room(queue: list[_Entry], slots: Slots) -> Send | None:
    passed: list[_Entry] = []
    found = None
    while queue and found is None:
        entry = heapq.heappop(queue)
        if slots.has_room(entry[2].execution.change.accounts):
            found = entry[2]
        else:
            passed.append(entry)
    for entry in passed:
        heapq.heappush(queue, entry)
    return found
