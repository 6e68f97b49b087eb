# SPDX-License-Identifier: Apache-2.0
"""Gates: what people change while a run goes on, asked anew for each user right before its first change.

Exemption lists, notices, STOP files and access through Identity Center are read for all users of an action together.
All gates share one cache and one budget of calls, and no call is made for a single user:

- What a gate says is at most 30 seconds old, counted from the beginning of the reading.
- All together make at most ten calls to AWS in each half-minute. Unused calls carry over.
- A ``patient`` gate, which may take more calls than are left, waits for them: a reading of 60 calls happens about every
  fifth minute. Until then the last reading counts, for at most 15 minutes; after that users are left alone.
- Any other gate is read every half-minute, and patient ones wait for the calls that this took: notices take a call for
  each new or changed file, and for each thousand files.
- If a reading fails, or is too old when it is complete, users are left alone for half a minute. Then it is tried again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from c7n_iamusers.exceptions import EvidenceUnreadable, IamUsersError, ReadingOutdated, Stopped
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.executor import Applied
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.notices.notices import Notice
from c7n_iamusers.reasons import READING_OUTDATED
from c7n_iamusers.safeguards.reasons_to_spare import Guards, raise_closed

#: The maximum age of a gate's reading in seconds, and the calls of all gates together in that time.
MAX_AGE, CALLS = 30.0, 10
#: The maximum age of a patient gate's reading, in seconds, while it waits for calls.
LONGEST = 900.0


#: Records that users are exempt, each with its rule; see UserAction.
NoteExempt = Callable[[Sequence[tuple[Subject, ExemptionRule]]], None]


def note_nobody(exempt: Sequence[tuple[Subject, ExemptionRule]]) -> None:
    """Without required announcements, there is none to void."""


class Calls:
    """Counts the calls to AWS that gates make. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.made = self.once = 0

    def add(self, number: int) -> None:
        """Count calls that no client here makes."""
        with self._lock:
            self.made += number

    def not_again(self, number: int) -> None:
        """Note how many of the counted calls the next reading does not make."""
        with self._lock:
            self.once += number

    def attach(self, client: Any) -> None:
        """Count every request of ``client`` (boto3) from now on, botocore's own retries included."""
        client.meta.events.register("before-send", lambda **_: self.add(1))


@dataclass(frozen=True)
class Gate:
    """``what``: it reads, in words. ``read``: reads it, and returns members of Guards. ``patient``: see the module.

    ``read`` may raise anything: the users are then left alone.
    """

    what: str
    read: Callable[[], Mapping[str, Any]]
    patient: bool = False


@dataclass
class _Said:
    """What a gate said when it was last read, from ``began`` (seconds) on; or why it failed. ``calls``: of the next
    reading.
    """

    began: float
    members: Mapping[str, Any] = field(default_factory=dict)
    calls: int = 0
    failure: IamUsersError | None = None


class Gates:
    """``guards`` with what the ``gates`` say. ``calls``: of their readings. ``clock``: seconds. Thread-safe.

    Call it for one user. While a thread reads, the others wait.
    """

    def __init__(
        self, guards: Guards, gates: Sequence[Gate], calls: Calls, clock: Callable[[], float]
    ) -> None:
        self._guards, self._gates, self._calls, self._clock = guards, gates, calls, clock
        self._said: dict[str, _Said] = {}
        self._lock = threading.Lock()
        self._begin, self._before = clock(), 0

    def load(self) -> Gates:
        """Read all gates before the first user. These calls don't count. Raises what a reading raises, except
        Stopped."""
        for gate in self._gates:
            try:
                self._said[gate.what] = self._reading(gate)
            except Stopped as error:
                self._said[gate.what] = _Said(self._clock(), failure=error)
        self._begin, self._before = self._clock(), self._calls.made
        return self

    def __call__(self) -> Guards:
        """The guards now. Raises an IamUsersError if the user has to be left alone without a judgement."""
        with self._lock:
            for _ in range(2):  # one gate may be outdated once another one is read
                for gate in self._gates:
                    if self._is_due(gate):
                        self._said[gate.what] = self._tried(gate)
                    self._raise_failure(gate)
            for gate in self._gates:
                self._refuse_outdated(gate)
            members = {name: each for said in self._said.values() for name, each in said.members.items()}
        return replace(self._guards, **members)

    def _is_due(self, gate: Gate) -> bool:
        said, now = self._said[gate.what], self._clock()
        if now - said.began <= MAX_AGE or not gate.patient:
            return now - said.began > MAX_AGE
        half_minutes = 1 + int((now - self._begin) // MAX_AGE)
        left = CALLS * half_minutes - (self._calls.made - self._before)
        # gates that take fewer calls, and are read before this half-minute ends, must not wait for this one
        end = self._begin + MAX_AGE * half_minutes
        smaller = (each for each in self._said.values() if each.calls < said.calls)
        reserved = sum(each.calls for each in smaller if each.began + MAX_AGE < end)
        return said.calls + reserved <= left

    def _tried(self, gate: Gate) -> _Said:
        before, failure = self._calls.made, IamUsersError()
        try:
            return self._reading(gate)
        except Stopped as error:
            failure = error
        except Exception as error:  # noqa: BLE001  # whatever keeps a gate from being read, its users are left alone
            text = f"{gate.what} can't be read again: {error}. The user was not touched: run again"
            failure = EvidenceUnreadable(text)
        return _Said(self._clock(), calls=self._calls.made - before, failure=failure)

    def _reading(self, gate: Gate) -> _Said:
        began, before = self._clock(), self._calls.made - self._calls.once
        members = gate.read()
        return _Said(began, members, self._calls.made - self._calls.once - before)

    def _refuse_outdated(self, gate: Gate) -> None:
        said, now = self._said[gate.what], self._clock()
        age, waits = now - said.began, gate.patient and not self._is_due(gate)
        most = LONGEST if waits else MAX_AGE
        if said.failure or age <= most:
            return
        error = EvidenceUnreadable(
            f"{gate.what} was read {age:.0f} seconds ago, and {most:.0f} is the most. The user was not touched: run "
            "again, over fewer users if reading takes so long"
        )
        if not waits:  # reading took too long, and would again
            self._said[gate.what] = replace(said, began=now, failure=error)
        raise error

    def _raise_failure(self, gate: Gate) -> None:
        if failure := self._said[gate.what].failure:
            raise type(failure)(*failure.args)


def before_first_change(
    evidence: Subject,
    user: IamUser,
    guards: Callable[[], Guards],
    began: float,
    clock: Callable[[], float],
    now: Callable[[], datetime],
) -> Callable[[], None]:
    """The check right before each try of a user's first change. ``began``: when reading ``user`` began.

    It raises GateClosed if somebody spared the user, and ReadingOutdated if the user itself was read more than 30
    seconds ago: its tags, groups, use and Deny may have changed during a wait for AWS.
    """

    def ask() -> None:
        said = guards()  # reading may take minutes
        if clock() - began > MAX_AGE:
            raise ReadingOutdated(READING_OUTDATED(user=evidence, seconds=MAX_AGE))
        raise_closed(evidence, user, said, now())

    return ask


def on_record(guards: Guards, user: Subject, now: datetime, plan: Mapping[str, str]) -> dict[str, Any]:
    """What ``guards`` say of ``user``, for the journal line with the basis of its deletion. JSON types only.

    ``announcement``: the notice that counts, the name and the SHA-256 of its file, and the name of the ``digest`` that
    told it, if one did; missing if none is required.
    ``exemptions``: the number of rules, none of which protects it, and their SHA-256. ``access``: whether access of its
    person was required. ``plan``: the file that was reviewed, if one was. The others are the days that the policy asks
    for, and since when the filter ``attempts`` listened.
    """
    found: dict[str, Any] = {"exemptions": {"rules": len(guards.rules), "sha256": guards.rules_sha256}}
    if guards.noticed is not None and (notice := guards.notices.announcement(user.unique_id, now)):
        delivery = guards.notices.delivery(notice, now).state
        record = {"notice": notice.name, "sha256": _digest(notice), "delivery": delivery}
        digest = guards.notices.digest_of(notice)
        told = {"digest": digest.name} if digest else {}
        found["announcement"] = {**record, "day": notice.day.isoformat(), **told}
    days = ("noticed", "active_within", "quarantined_for")
    found |= {name: value for name in days if (value := getattr(guards, name)) is not None}
    if guards.missing is not None:
        found["access"] = True
    if guards.listened and (since := guards.listened.get(user.unique_id)):
        found["listened_since"] = since.isoformat()
    return {**found, "plan": dict(plan)} if plan else found


#: The SHA-256 of notices, by their identity: one may be about thousands of users, each of whom asks for it.
_DIGESTS: dict[int, tuple[Notice, str]] = {}
_MOST_DIGESTS = 1000


def _digest(notice: Notice) -> str:
    known = _DIGESTS.get(id(notice))
    if known is None:
        if len(_DIGESTS) >= _MOST_DIGESTS:
            _DIGESTS.clear()
        # the notice is held, so that no other one gets its id
        known = _DIGESTS[id(notice)] = (notice, hashlib.sha256(notice.as_json()).hexdigest())
    return known[1]


class AskedOfUser:
    """What ``gates`` say for one user: read anew until it is changed, then unchanged, so that the user is finished.

    ``since``: how many calls had been made when the attempt began that is to be finished.
    """

    def __init__(self, gates: Callable[[], Guards], applied: Applied, since: int = 0) -> None:
        self._gates, self._applied, self._since = gates, applied, since
        self._said: Guards | None = None

    def __call__(self) -> Guards:
        """The guards. Raises an IamUsersError if the user has to be left alone."""
        if self._said is None or not self._applied.changed_since(self._since):
            self._said = self._gates()
        return self._said
