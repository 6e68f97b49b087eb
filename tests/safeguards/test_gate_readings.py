# SPDX-License-Identifier: Apache-2.0
"""How old what gates say may be, and how many calls they make. Time passes when a test says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace as _Namespace
from typing import Any

import pytest

from c7n_iamusers.exceptions import EvidenceUnreadable, Stopped
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.execution.executor import Applied
from c7n_iamusers.exemptions import ExemptionRule, digest_of
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices
from c7n_iamusers.safeguards.gate_readings import (
    CALLS,
    LONGEST,
    MAX_AGE,
    AskedOfUser,
    Calls,
    Gate,
    Gates,
    on_record,
)
from c7n_iamusers.safeguards.reasons_to_spare import Guards

pytestmark = pytest.mark.pure

ROLE = "arn:aws:sts::111122223333:assumed-role/CloudCustodian/session"


@dataclass
class World:
    """What is true, as a number that tests count up, and a gate that reads it as ``active_within``.

    ``takes``: seconds of a reading, which is of its beginning. ``costs``: its calls. ``faults``: of the next readings.
    """

    costs: int = 1
    takes: float = 0.0
    now: float = 1000.0
    truth: int = 0
    readings: int = 0
    faults: list[Exception] = field(default_factory=list)
    calls: Calls = field(default_factory=Calls)

    def clock(self) -> float:
        return self.now

    def read(self) -> Mapping[str, Any]:
        found = self.truth
        self.readings += 1
        self.calls.add(self.costs)
        self.now += self.takes
        if self.faults:
            raise self.faults.pop(0)
        return {"active_within": found}

    def gates(self, *more: Gate, patient: bool = False) -> Gates:
        own = Gate("the truth", self.read, patient)
        return Gates(Guards((ROLE,), noticed=9), [own, *more], self.calls, self.clock).load()


@pytest.mark.parametrize("patient", [False, True])
@pytest.mark.parametrize("later", [0, 29, 30])
def test_what_is_young_is_not_read_again(later: float, patient: bool) -> None:
    world = World()
    gates = world.gates(patient=patient)
    world.truth, world.now = 1, world.now + later
    said = gates()
    assert (said.active_within, said.noticed, world.readings) == (0, 9, 1)


def test_what_is_old_is_read_again() -> None:
    world = World()
    gates = world.gates()
    world.truth, world.now = 1, world.now + MAX_AGE + 0.1
    assert gates().active_within == 1


def test_age_counts_from_the_beginning_of_a_reading() -> None:
    world = World(takes=20)
    gates = world.gates()
    world.truth, world.now = 1, world.now + 11
    assert gates().active_within == 1


def test_a_long_first_reading_is_repeated_before_the_first_user() -> None:
    world = World(takes=100)
    gates = world.gates()
    world.truth, world.takes = 1, 1
    assert gates().active_within == 1


def test_a_gate_that_ages_while_another_is_read_is_read_too() -> None:
    world = World()
    slow = World(takes=0)
    slow.calls = world.calls

    def read_slowly() -> Mapping[str, Any]:
        slow.readings += 1
        world.now += 25 if slow.readings == 2 else 0
        return {}

    gates = world.gates(Gate("slow", read_slowly))
    world.now += 20
    gates._said["slow"].began -= 15  # read 15 seconds before the other one
    world.truth = 1
    assert gates().active_within == 1


@pytest.mark.parametrize("patient", [False, True])
def test_what_is_too_old_when_it_is_complete_is_no_answer(patient: bool) -> None:
    world = World()
    gates = world.gates(patient=patient)
    world.now, world.takes = world.now + 31, 31
    for _ in range(3):
        with pytest.raises(
            EvidenceUnreadable, match=r"the truth was read 31 seconds ago.*not touched: run again"
        ):
            gates()
    # it is not tried for every user
    assert world.readings == 3
    world.now, world.takes, world.truth = world.now + 31, 1, 7
    assert gates().active_within == 7


def test_what_cannot_be_read_leaves_users_alone_and_is_tried_again_later() -> None:
    world = World()
    gates = world.gates()
    world.faults, world.now = [OSError("timeout")], world.now + 31
    for _ in range(50):
        with pytest.raises(EvidenceUnreadable, match=r"the truth can't be read again: timeout.*not touched"):
            gates()
    assert world.readings == 2
    world.truth, world.now = 3, world.now + 31
    assert gates().active_within == 3


def test_what_cannot_be_read_at_first_ends_the_action() -> None:
    with pytest.raises(OSError, match="timeout"):
        World(faults=[OSError("timeout")]).gates()


@pytest.mark.parametrize("at_first", [True, False])
def test_a_stop_holds_until_it_is_gone(at_first: bool) -> None:
    world = World(faults=[Stopped("STOP is there")] * at_first)
    gates = world.gates()
    if not at_first:
        world.now += 31
        world.faults = [Stopped("STOP is there")]
    for _ in range(3):
        with pytest.raises(Stopped, match="STOP is there"):
            gates()
    world.now += 31
    assert gates().active_within == 0


def run(gates: Gates, world: World, users: int, a_second: float = 5.0) -> tuple[int, float]:
    """The turns of so many users. The calls for each started half-minute after the first reading, and the seconds."""
    before, began = world.calls.made, world.now
    for _ in range(users):
        gates()
        world.now += 1 / a_second
    return world.calls.made - before, world.now - began


@pytest.mark.parametrize("users", [5, 500, 5000])
def test_calls_grow_with_time_and_not_with_users(users: int) -> None:
    world = World(costs=3)
    patient = World(costs=6, calls=world.calls)
    gates = world.gates(Gate("more", lambda: {**patient.read(), "active_within": 0}, patient=True))
    made, seconds = run(gates, world, users)
    assert made <= CALLS * (1 + seconds // MAX_AGE)
    # 5,000 users in 1,000 seconds: 9 calls for each of 33 readings
    assert made == 9 * int(seconds / (MAX_AGE + 0.2))


@pytest.mark.parametrize("costs", [7, 8, 60, 170])
def test_a_gate_that_takes_many_calls_waits_until_they_are_there(costs: int) -> None:
    world = World(costs=3)
    patient = World(costs=costs, calls=world.calls)
    gates = world.gates(Gate("more", lambda: {**patient.read(), "active_within": 0}, patient=True))
    made, seconds = run(gates, world, 5000)
    assert made <= CALLS * (1 + seconds // MAX_AGE)
    half_minutes = -(-costs // (CALLS - 3))
    assert patient.readings >= 1 + int(seconds / (MAX_AGE * (half_minutes + 1)))


def test_a_gate_that_takes_too_many_calls_leaves_users_alone_in_the_end() -> None:
    world = World(costs=1000)
    gates = world.gates(patient=True)
    world.now += LONGEST
    assert gates().active_within == 0
    world.now += 1
    with pytest.raises(EvidenceUnreadable, match=r"was read 901 seconds ago, and 900 is the most"):
        gates()
    world.now += 1000 / CALLS * MAX_AGE
    world.truth = 1
    assert gates().active_within == 1


def test_a_long_reading_of_many_calls_counts() -> None:
    world = World(costs=60)
    gates = world.gates(patient=True)
    world.takes, world.truth, world.now = 40, 1, world.now + 181
    assert gates().active_within == 1


def test_a_patient_gate_is_read_as_often_as_the_others_where_calls_are_left() -> None:
    world = World(costs=10)
    gates = world.gates(patient=True)
    world.truth, world.now = 1, world.now + 31
    assert gates().active_within == 1


def test_calls_of_a_first_reading_alone_are_not_waited_for() -> None:
    world = World(costs=500)
    gates = world.gates(patient=True)
    world.costs, world.truth, world.now = 6, 1, world.now + 31
    assert gates().active_within == 0  # 500 calls are not there

    def read() -> Mapping[str, Any]:
        world.calls.not_again(world.costs - 6)
        return world.read()

    world.costs, world.truth = 500, 2
    again = Gates(Guards((ROLE,)), [Gate("x", read, patient=True)], world.calls, world.clock).load()
    world.costs, world.truth, world.now = 6, 3, world.now + 31
    assert again().active_within == 3


def test_a_failing_reading_costs_no_more_than_one_that_succeeds() -> None:
    world = World(costs=30)
    gates = world.gates(patient=True)
    world.faults, world.now = [OSError("denied")] * 99, world.now + 61
    before, began = world.calls.made, world.now - 61
    for _ in range(2000):
        with pytest.raises(EvidenceUnreadable):
            gates()
        world.now += 0.2
    assert world.calls.made - before <= CALLS * (1 + (world.now - began) // MAX_AGE)


def test_a_user_is_finished_as_it_was_judged() -> None:
    world, applied = World(), Applied()
    asked = AskedOfUser(world.gates(), applied)
    assert asked().active_within == 0
    world.truth, world.now = 1, world.now + 31
    assert asked().active_within == 1
    subject = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
    applied.made.append((ApiCall("iam", "PutUserPolicy", {"UserName": subject.name}), "done"))
    world.truth, world.now = 2, world.now + 31
    assert asked().active_within == 1


def test_what_a_deletion_rests_on_is_on_record_with_its_digests() -> None:
    now = datetime(2026, 11, 30, tzinfo=timezone.utc)
    alice = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
    told, day = now - timedelta(days=40), (now - timedelta(days=9)).date()
    notice = Notice("111122223333", ANNOUNCED, told, day, ("o@example.com",), "1", "flag", (alice,))
    rules = [ExemptionRule("user", "bob", "in use", day), ExemptionRule("path", "/x/", "in use", day)]
    guards = Guards((ROLE,), rules, 30, 14, noticed=30, notices=Notices([notice], "notices"))
    guards = replace(guards, rules_sha256=digest_of(rules), listened={"AIDA1": told}, missing={})
    plan = {"place": "reviewed.json", "sha256": "0" * 64}
    assert on_record(guards, alice, now, plan) == {
        "exemptions": {"rules": 2, "sha256": digest_of(reversed(rules))},
        "announcement": {
            "notice": notice.name,
            "sha256": hashlib.sha256(notice.as_json()).hexdigest(),
            "delivery": "left",
            "day": day.isoformat(),
        },
        "noticed": 30,
        "active_within": 30,
        "quarantined_for": 14,
        "access": True,
        "listened_since": told.isoformat(),
        "plan": plan,
    }
    waived = Guards((ROLE,), rules_sha256=digest_of(()))
    assert on_record(waived, alice, now, {}) == {"exemptions": {"rules": 0, "sha256": digest_of(())}}
    assert digest_of(rules) != digest_of(rules[:1])


def test_each_request_of_a_client_is_counted() -> None:
    calls, handlers = Calls(), dict[str, Any]()
    client = _Namespace(meta=_Namespace(events=_Namespace(register=handlers.__setitem__)))
    calls.attach(client)
    assert (calls.made, calls.once) == (0, 0)
    for _ in range(3):
        handlers["before-send"](request=None)
    assert calls.made == 3
