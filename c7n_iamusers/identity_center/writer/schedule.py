# SPDX-License-Identifier: Apache-2.0
"""The ready queue: which changes and calls may be sent now, by the needs of changes and AWS's quotas.

Quotas: IAM Identity Center User Guide, "Quotas and limits" (throttle limits). Its limit of 20 calls per second is
IDENTITY_CENTER_RATE.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from c7n_iamusers.identity_center.access_plan import Change
from c7n_iamusers.identity_center.writer.change import ChangeExecution, Follow, Pause, Send


@dataclass(frozen=True)
class RequestQuota:
    """A quota of asynchronous requests in progress. ``poll``: the operation that lists them, under ``result``.

    ``one_per_account``: only one at a time may change the roles of an account.
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
#: Seconds between polls: minimum, maximum, and share of a request's typical duration.
_SHORTEST_POLL, _LONGEST_POLL, _POLL_SHARE = 0.2, 2.0, 0.04


#: The maximum of needs to keep in a tuple.
_FEW = 8


class Schedule:
    """The order of ``changes``, from what they need, follow or replace.

    Other keys count as done. The standard library's graphlib has neither failed nor lazy nodes.
    """

    def __init__(self, changes: Iterable[Change]) -> None:
        self._changes = {change.key: change for change in changes}
        self._open = {key: self._needs(change) for key, change in self._changes.items()}
        self._dependents: defaultdict[str, list[str]] = defaultdict(list)
        for key, needs in self._open.items():
            for need in needs:
                self._dependents[need].append(key)
        self._begun: set[str] = set()
        #: Key -> the number of changes that it follows and that failed or were left.
        self._lost: Counter[str] = Counter()

    @property
    def finished(self) -> bool:
        """Whether all changes have ended or were left."""
        return not self._open

    def ready(self) -> list[Change]:
        """The changes that may begin first."""
        return self._begin(list(self._open))

    def done(self, key: str) -> list[Change]:
        """The changes that may begin now that ``key`` is done."""
        del self._open[key]
        replaced = self.replacing(key)
        dependents = [each for each in self._dependents.get(key, ()) if each not in replaced]
        self._settle(key, dependents)
        return self._begin(dependents)

    def replacing(self, key: str) -> list[str]:
        """The keys of the changes that are made instead of ``key`` if it fails."""
        dependents = self._dependents.get(key, ())
        return [each for each in dependents if each in self._open and self._changes[each].instead_of == key]

    def _settle(self, key: str, dependents: Iterable[str]) -> None:
        """``key`` no longer holds up the ``dependents``."""
        for dependent in dependents:
            needs = self._open.get(dependent)
            if isinstance(needs, set):
                needs.discard(key)
            elif needs:
                self._open[dependent] = tuple(need for need in needs if need != key)

    def _needs(self, change: Change) -> set[str] | tuple[str, ...]:
        """The changes that hold it up. Most have a few: a tuple takes a third of a set's memory."""
        needs = change.needs
        if change.follows or change.waits_for or change.instead_of:
            needs = tuple(dict.fromkeys((*needs, *change.follows, *change.waits_for, change.instead_of)))
        found = tuple(need for need in needs if need in self._changes)
        if len(found) > _FEW:
            return set(found)
        return needs if len(found) == len(needs) else found

    def failed(self, key: str, replaced: bool = False) -> tuple[list[Change], list[Change]]:
        """The changes that can't be made because ``key`` failed, directly or not; and those that may begin now.

        ``replaced``: others may be made instead of ``key``.
        """
        del self._open[key]
        left, freed, blocked = [], [], [(each, key) for each in self._dependents.get(key, ())]
        while blocked:
            each, need = blocked.pop()
            if each not in self._open or each in self._begun:
                continue
            if self._goes_on(self._changes[each], need, replaced and need == key):
                self._settle(need, [each])
                freed.append(each)
                continue
            left.append(self._changes[each])
            del self._open[each]
            blocked += [(dependent, each) for dependent in self._dependents.get(each, ())]
            blocked += [(lazy, "") for lazy in self._changes[each].needs if self._unneeded(lazy)]
        return left, self._begin(freed)

    def _goes_on(self, change: Change, need: str, replaced: bool) -> bool:
        """Whether the change may be made although its ``need`` failed or was left."""
        if need == change.instead_of:
            return replaced
        if need in change.needs or need not in change.follows:
            return need not in change.needs and need in change.waits_for
        self._lost[change.key] += 1
        return self._lost[change.key] < len(change.follows)

    def is_needed(self, key: str) -> bool:
        """Whether another change needs it, or did."""
        return key in self._dependents

    def rest(self) -> list[Change]:
        """The changes that have not ended, for a run that stops."""
        return [self._changes[key] for key in self._open]

    def _unneeded(self, key: str) -> bool:
        """Whether a lazy change is no longer needed."""
        change = self._changes.get(key)
        return bool(
            change and change.lazy and not any(each in self._open for each in self._dependents.get(key, ()))
        )

    def _begin(self, keys: Iterable[str]) -> list[Change]:
        found = {each: self._changes[each] for key in keys for each in self._startable(key)}
        self._begun.update(found)  # |= with the keys of a dict copies the whole set
        return list(found.values())

    def _startable(self, key: str) -> list[str]:
        """``key`` itself, or the lazy changes if it has no other open needs."""
        needs = self._open.get(key)
        if needs is None or key in self._begun:
            return []
        if not needs:
            return [] if self._changes[key].lazy and key in self._dependents else [key]
        if all(self._changes[need].lazy and not self._open[need] for need in needs):
            return [need for need in needs if need not in self._begun]
        return []


@dataclass
class Slots:
    """The slots of a quota. A request has one from its call until a poll shows its end.

    ``outstanding``: by request id. ``others``: the number of requests of other writers in the last poll. ``typical``:
    the typical duration of a request, in seconds.
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
        """Whether no request may be sent now."""
        return len(self.sending) + len(self.outstanding) + self.others >= self.quota.limit

    def has_room(self, accounts: frozenset[str]) -> bool:
        """Whether one more request, which changes the roles of ``accounts``, may be sent."""
        if self.full or not self.quota.one_per_account:
            return not self.full
        busy: list[Send | Follow] = [*self.sending, *self.outstanding.values()]
        return not any(accounts & each.execution.change.accounts for each in busy)

    def accept(self, follow: Follow, now: float) -> None:
        """Note a request in progress. The first poll is soon, because the typical duration is still unknown."""
        follow.accepted, follow.since = now, now if follow.since is None else follow.since
        if not self.outstanding:
            self.next_poll = now + self.interval
        self.outstanding[follow.request_id] = follow

    @property
    def poll_at(self) -> float | None:
        """When to poll; None if no request is in progress, or a poll is in flight."""
        return self.next_poll if (self.outstanding or self.others) and self.polled_since is None else None

    def polled(self, in_progress: set[str], now: float) -> list[Follow]:
        """The requests that have ended, by the ids ``in_progress``. Their slots are free.

        Requests accepted after the poll was sent are not judged by it.
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
        """Note the end of a poll. If it failed, all requests count as in progress until the next one."""
        self.polled_since, self.next_poll = None, now + self.interval

    def timed_out(self, before: float) -> list[Follow]:
        """Remove the requests whose wait began before ``before``.

        Their slots are not free: they count as requests of other writers until a poll shows their end.
        """
        late = [each for each in self.outstanding.values() if each.since is not None and each.since < before]
        for each in late:
            del self.outstanding[each.request_id]
        self.others += len(late)
        return late

    @property
    def interval(self) -> float:
        """Seconds between polls, short compared with the duration of a request, so that slots are reused soon."""
        return min(max(self.typical * _POLL_SHARE, _SHORTEST_POLL), _LONGEST_POLL)


_Entry = tuple[int, int, Send]


class ReadyQueue:
    """The steps that may be sent: first requests that need slots, then the others in the order of ``changes``.

    ``slots``: by the operation that makes the requests.
    """

    def __init__(self, changes: Sequence[Change]) -> None:
        self._order = {change.key: number for number, change in enumerate(changes)}
        self._count = itertools.count()
        self._queues: defaultdict[str, list[_Entry]] = defaultdict(list)
        self._paused: list[tuple[float, int, ChangeExecution]] = []
        self.slots = {operation: Slots(quota) for operation, quota in QUOTAS.items()}

    def add(self, step: Send | Pause | Follow, now: float) -> None:
        """Add the next step of a change."""
        if isinstance(step, Pause):
            heapq.heappush(self._paused, (now + step.seconds, next(self._count), step.execution))
        elif isinstance(step, Follow):
            self.slots[step.operation].accept(step, now)
        else:
            queue = self._queues[step.operation if step.operation in self.slots else ""]
            order = -1 if step.checked else self._order[step.execution.change.key]
            heapq.heappush(queue, (order, next(self._count), step))

    def rested(self, now: float) -> list[ChangeExecution]:
        """The executions whose pause is over."""
        found = []
        while self._paused and self._paused[0][0] <= now:
            found.append(heapq.heappop(self._paused)[2])
        return found

    def next(self) -> Send | None:
        """Take the next step to send, with a slot if it needs one; None if there is none, or no free slot."""
        for operation, slots in self.slots.items():
            queue = self._queues[operation]
            if queue and not slots.full and (found := _first_with_room(queue, slots)):
                slots.sending.append(found)
                return found
        plain = self._queues[""]
        return heapq.heappop(plain)[2] if plain else None

    def sent(self, send: Send) -> None:
        """Note the answer of a step. Only ``Follow`` keeps its slot."""
        if send.operation in self.slots:
            self.slots[send.operation].sending.remove(send)

    def poll_due(self, now: float) -> Slots | None:
        """The slots to poll now, if any."""
        times = ((slots.poll_at, slots) for slots in self.slots.values())
        return next((slots for time, slots in times if time is not None and time <= now), None)

    @property
    def next_time(self) -> float | None:
        """When the next poll is due or the next pause ends; None if there is neither."""
        times = [slot.poll_at for slot in self.slots.values()]
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
