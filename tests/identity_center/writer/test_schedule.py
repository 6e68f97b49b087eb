# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from c7n_iamusers.execution.journal import NoJournal
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.access_plan import Change
from c7n_iamusers.identity_center.writer.change import (
    ChangeExecution,
    Follow,
    Pause,
    RecheckResult,
    Send,
    WriterContext,
)
from c7n_iamusers.identity_center.writer.schedule import QUOTAS, ReadyQueue, RequestQuota, Schedule, Slots
from tests.access_center import INSTANCE, subject

pytestmark = pytest.mark.pure

ASSIGN, PROVISION = "CreateAccountAssignment", "ProvisionPermissionSet"
ASSIGNMENTS, PROVISIONINGS = QUOTAS[ASSIGN], QUOTAS[PROVISION]
CONTEXT = WriterContext({}, INSTANCE, NoJournal(), lambda *_: RecheckResult(), RateLimit(), Backoff())


def change(
    key: str,
    *needs: str,
    lazy: bool = False,
    follows: tuple[str, ...] = (),
    waits_for: tuple[str, ...] = (),
    instead_of: str = "",
) -> Change:
    return Change(
        key,
        "group",
        "create",
        key,
        subject(),
        needs=needs,
        lazy=lazy,
        follows=follows,
        waits_for=waits_for,
        instead_of=instead_of,
    )


def keys(changes: Iterable[Change]) -> set[str]:
    return {each.key for each in changes}


def test_what_needs_nothing_begins_and_the_rest_when_it_is_done() -> None:
    schedule = Schedule([change("a"), change("b"), change("c", "a", "b")])
    assert keys(schedule.ready()) == {"a", "b"}
    assert schedule.done("a") == []
    assert keys(schedule.done("b")) == {"c"}
    assert schedule.done("c") == []
    assert schedule.finished


def test_needs_that_stand_already_hold_up_nobody() -> None:
    assert keys(Schedule([change("c", "unchanged")]).ready()) == {"c"}


def test_a_failure_takes_along_what_needs_it_and_nothing_else() -> None:
    schedule = Schedule([change("a"), change("b", "a"), change("c", "b"), change("x")])
    assert keys(schedule.ready()) == {"a", "x"}
    assert after_failure(schedule, "a") == ({"b", "c"}, set())
    assert not schedule.finished
    assert schedule.done("x") == []
    assert schedule.finished


def test_a_lazy_change_waits_until_it_alone_is_lacking() -> None:
    schedule = Schedule(
        [change("assignment"), change("user", lazy=True), change("member", "assignment", "user")]
    )
    assert keys(schedule.ready()) == {"assignment"}
    assert keys(schedule.done("assignment")) == {"user"}
    assert keys(schedule.done("user")) == {"member"}


def test_a_lazy_change_that_nobody_needs_any_more_is_left() -> None:
    schedule = Schedule(
        [change("assignment"), change("user", lazy=True), change("member", "assignment", "user")]
    )
    schedule.ready()
    assert after_failure(schedule, "assignment") == ({"member", "user"}, set())
    assert schedule.finished


def test_a_lazy_change_that_another_needs_stays() -> None:
    schedule = Schedule(
        [
            change("a1"),
            change("a2"),
            change("user", lazy=True),
            change("m1", "a1", "user"),
            change("m2", "a2", "user"),
        ]
    )
    schedule.ready()
    assert after_failure(schedule, "a1") == ({"m1"}, set())
    assert keys(schedule.done("a2")) == {"user"}


def test_a_lazy_change_on_its_own_is_no_longer_lazy() -> None:
    assert keys(Schedule([change("user", lazy=True)]).ready()) == {"user"}


def test_what_had_begun_goes_on_after_a_failure() -> None:
    schedule = Schedule([change("a"), change("b"), change("c", "a"), change("d", "b", "c")])
    schedule.ready()
    assert keys(schedule.done("a")) == {"c"}
    assert after_failure(schedule, "b") == ({"d"}, set())
    assert keys(schedule.rest()) == {"c"}


def test_who_follows_goes_on_when_the_last_has_ended_and_one_is_done() -> None:
    schedule = Schedule(
        [change("a1"), change("a2"), change("user", lazy=True), change("m", "user", follows=("a1", "a2"))]
    )
    assert keys(schedule.ready()) == {"a1", "a2"}
    assert schedule.done("a1") == []
    assert after_failure(schedule, "a2") == (set(), {"user"})
    assert keys(schedule.done("user")) == {"m"}


@pytest.mark.parametrize(
    ("needs", "follows", "first", "second"),
    [
        pytest.param((), ("a1", "a2"), set(), {"m"}, id="all-failed"),
        pytest.param((), ("a1", "a2", "unchanged"), set(), set(), id="one-stands-already"),
        pytest.param(("a1",), ("a1", "a2"), {"m"}, set(), id="its-own-failed"),
        pytest.param(("a2",), ("a1", "a2"), set(), {"m"}, id="its-own-failed-last"),
    ],
)
def test_who_follows_what_fails(
    needs: tuple[str, ...], follows: tuple[str, ...], first: set[str], second: set[str]
) -> None:
    schedule = Schedule([change("a1"), change("a2"), change("m", *needs, follows=follows)])
    schedule.ready()
    assert after_failure(schedule, "a1") == (first, set())
    left, ready = after_failure(schedule, "a2")
    assert left == second
    assert ready == ({"m"} if not first | second else set())


def test_what_is_left_counts_as_failed_for_who_follows_it() -> None:
    schedule = Schedule([change("p"), change("a1", "p"), change("a2"), change("m", follows=("a1", "a2"))])
    schedule.ready()
    assert after_failure(schedule, "p") == ({"a1"}, set())
    assert keys(schedule.done("a2")) == {"m"}


def test_who_waits_goes_on_when_all_have_ended_done_or_not() -> None:
    schedule = Schedule(
        [change("a1"), change("p"), change("a2", "p"), change("s", waits_for=("a1", "a2")), change("n", "s")]
    )
    schedule.ready()
    assert after_failure(schedule, "a1") == (set(), set())
    assert after_failure(schedule, "p") == ({"a2"}, {"s"})
    assert keys(schedule.done("s")) == {"n"}


def test_who_waits_for_what_it_also_needs_goes_with_it() -> None:
    schedule = Schedule([change("a"), change("s", "a", waits_for=("a",))])
    schedule.ready()
    assert after_failure(schedule, "a") == ({"s"}, set())


def instead() -> Schedule:
    schedule = Schedule(
        [
            change("set"),
            change("all", "set"),
            *(change(each, "set", instead_of="all") for each in ("one", "two")),
            change("m", "one"),
        ]
    )
    assert keys(schedule.ready()) == {"set"}
    return schedule


def test_what_is_made_instead_of_another_begins_when_that_has_failed() -> None:
    schedule = instead()
    assert keys(schedule.done("set")) == {"all"}
    assert after_failure(schedule, "all", replaced=True) == (set(), {"one", "two"})
    assert after_failure(schedule, "two") == (set(), set())
    assert keys(schedule.done("one")) == {"m"}


def test_what_is_made_instead_of_another_is_left_when_that_may_yet_end() -> None:
    schedule = instead()
    schedule.done("set")
    assert after_failure(schedule, "all") == ({"one", "two", "m"}, set())


def test_what_is_made_instead_of_another_is_left_with_what_both_need() -> None:
    assert after_failure(instead(), "set") == ({"all", "one", "two", "m"}, set())


def test_what_is_made_instead_of_what_was_left_is_left() -> None:
    """What was made instead of the one that failed makes up for that one alone."""
    schedule = Schedule([change("all"), change("x", "all"), change("y", instead_of="x")])
    schedule.ready()
    assert after_failure(schedule, "all", replaced=True) == ({"x", "y"}, set())


def test_what_is_made_instead_of_another_is_unnecessary_when_that_is_done() -> None:
    schedule = instead()
    schedule.done("set")
    assert set(schedule.replacing("all")) == {"one", "two"}
    assert schedule.done("all") == []
    assert schedule.done("two") == []
    assert keys(schedule.done("one")) == {"m"}


def after_failure(schedule: Schedule, key: str, replaced: bool = False) -> tuple[set[str], set[str]]:
    """The keys of what is left, and of what begins."""
    left, ready = schedule.failed(key, replaced)
    return keys(left), keys(ready)


def execution(key: str = "work", *accounts: str) -> ChangeExecution:
    made = Change(key, "assignment", "assign", key, subject(), accounts=frozenset(accounts))
    return ChangeExecution(made, CONTEXT, {}, 0.0)


def send(key: str, operation: str = "", *accounts: str) -> Send:
    return Send(execution(key, *accounts), lambda: dict, operation)


def follow(request_id: str, *accounts: str) -> Follow:
    return Follow(execution(request_id, *accounts), ASSIGN, request_id)


def slots(quota: RequestQuota = ASSIGNMENTS, *accounts: tuple[str, ...]) -> Slots:
    """Slots with a request, accepted at 0, for each of ``accounts``."""
    found = Slots(quota)
    for number, each in enumerate(accounts):
        found.accept(follow(str(number), *each), 0.0)
    return found


def ids(found: Iterable[Follow]) -> list[str]:
    return [each.request_id for each in found]


def test_limits_are_those_of_the_quotas_page() -> None:
    assert {operation: quota.limit for operation, quota in QUOTAS.items()} == {
        "CreateAccountAssignment": 15,
        "DeleteAccountAssignment": 15,
        "ProvisionPermissionSet": 3,
    }


@pytest.mark.parametrize(
    ("outstanding", "sending", "others", "room"),
    [
        pytest.param(0, 0, 0, True, id="empty"),
        pytest.param(14, 0, 0, True, id="one-left"),
        pytest.param(15, 0, 0, False, id="full"),
        pytest.param(10, 5, 0, False, id="those-that-are-being-sent-count"),
        pytest.param(10, 0, 5, False, id="other-writers-count"),
    ],
)
def test_room(outstanding: int, sending: int, others: int, room: bool) -> None:
    found = slots(ASSIGNMENTS, *([()] * outstanding))
    found.sending, found.others = [send("x")] * sending, others
    assert found.has_room(frozenset()) is room
    assert found.full is not room


@pytest.mark.parametrize(
    ("quota", "room"),
    [
        pytest.param(PROVISIONINGS, False, id="provisionings-keep-apart"),
        pytest.param(ASSIGNMENTS, True, id="assignments-need-not"),
    ],
)
def test_two_updates_of_one_account(quota: RequestQuota, room: bool) -> None:
    found = slots(quota, ("1", "2"))
    assert found.has_room(frozenset({"2", "3"})) is room
    assert found.has_room(frozenset({"3"}))


def test_what_is_no_longer_in_progress_has_ended() -> None:
    found = slots(ASSIGNMENTS, (), ())
    found.polled_since = 5.0
    assert ids(found.polled({"1"}, 6.0)) == ["0"]
    assert list(found.outstanding) == ["1"]


def test_a_request_that_came_after_the_poll_is_not_taken_for_ended() -> None:
    found = slots(ASSIGNMENTS, ())
    found.polled_since = 5.0
    found.accept(follow("late"), 5.5)
    assert ids(found.polled(set(), 6.0)) == ["0"]
    assert list(found.outstanding) == ["late"]


def test_other_writers_are_counted_until_they_are_gone() -> None:
    found = slots()
    found.accept(follow("mine"), 0.0)
    found.polled_since = 1.0
    assert found.polled({"mine", "a", "b"}, 2.0) == []
    assert found.others == 2
    found.polled_since = 3.0
    found.polled(set(), 4.0)
    assert found.others == 0
    assert found.poll_at is None


def test_a_poll_that_tells_nothing_changes_nothing_but_when_the_next_is_due() -> None:
    found = slots(ASSIGNMENTS, ())
    found.others, found.polled_since = 3, 5.0
    found.poll_over(6.0)
    assert (list(found.outstanding), found.others) == (["0"], 3)
    assert found.poll_at == pytest.approx(6.2)


def test_slots_full_of_others_are_polled_all_the_same() -> None:
    found = slots()
    found.others, found.next_poll = 15, 7.0
    assert found.poll_at == 7.0


def test_the_wait_for_a_request_is_counted_from_its_beginning() -> None:
    found, late = slots(), follow("late")
    found.accept(late, 0.0)
    assert found.timed_out(0.0) == []
    found.polled(set(), 5.0)
    # its status says that it is in progress after all
    found.accept(late, 6.0)
    found.accept(follow("other"), 6.0)
    assert ids(found.timed_out(1.0)) == ["late"]
    assert (list(found.outstanding), found.others) == (["other"], 1)
    found.polled({"other"}, 20.0)
    assert found.others == 0


@pytest.mark.parametrize(
    ("typical", "interval"),
    [
        pytest.param(0.0, 0.2, id="unknown"),
        pytest.param(20.0, 0.8, id="a-share-of-it"),
        pytest.param(300.0, 2.0, id="at-most"),
    ],
)
def test_polls_are_short_beside_what_requests_take(typical: float, interval: float) -> None:
    found = slots()
    found.typical = typical
    assert found.interval == pytest.approx(interval)


def queue(*keys: str) -> ReadyQueue:
    return ReadyQueue([change(key) for key in keys])


def test_what_fills_a_slot_goes_first_then_the_order_of_the_plan() -> None:
    ready = queue("a", "b", "c")
    for each in (send("b"), send("a"), send("c", ASSIGN)):
        ready.add(each, 0.0)
    found = [ready.next() for _ in range(4)]
    assert [each and each.execution.change.key for each in found] == ["c", "a", "b", None]


def test_a_call_that_was_checked_goes_before_all_that_wait_for_a_slot() -> None:
    ready = queue("a", "b")
    checked = replace(send("b", ASSIGN), checked=True)
    for each in (send("a", ASSIGN), checked):
        ready.add(each, 0.0)
    assert ready.next() is checked


def test_what_has_no_room_lets_others_pass_and_keeps_its_place() -> None:
    ready = queue("a", "b", "c")
    first, second, third = send("a", PROVISION, "1"), send("b", PROVISION, "1"), send("c", PROVISION, "2")
    for each in (third, second, first):
        ready.add(each, 0.0)
    assert [ready.next(), ready.next(), ready.next()] == [first, third, None]
    ready.sent(first)
    assert ready.next() is second


def test_a_pause_is_kept() -> None:
    ready = queue("a", "b")
    long, short = execution("a"), execution("b")
    ready.add(Pause(long, 9.0), 1.0)
    ready.add(Pause(short, 2.0), 1.0)
    assert (ready.rested(2.9), ready.next_time) == ([], 3.0)
    assert (ready.rested(3.0), ready.next_time) == ([short], 10.0)
    assert (ready.rested(10.0), ready.next_time) == ([long], None)


def test_a_poll_is_due_once_requests_are_in_progress() -> None:
    ready = queue("a")
    assert ready.poll_due(100.0) is None
    ready.add(follow("a"), 1.0)
    assert ready.poll_due(1.1) is None
    assert ready.next_time == pytest.approx(1.2)
    found = ready.poll_due(1.2)
    assert found is ready.slots[ASSIGN]
    found.polled_since = 1.2
    assert (ready.poll_due(2.0), ready.next_time) == (None, None)


@pytest.mark.parametrize("count", [3, 100])
def test_a_change_waits_for_all_its_needs_however_many(count: int) -> None:
    needs = [f"need {number}" for number in range(count)]
    schedule = Schedule([*map(change, needs), change("last", *needs, "done before the run")])
    assert keys(schedule.ready()) == set(needs)
    for need in needs[:-1]:
        assert schedule.done(need) == []
    assert keys(schedule.done(needs[-1])) == {"last"}
    assert [schedule.is_needed(key) for key in (needs[0], "last")] == [True, False]


def test_needs_are_held_once() -> None:
    """A first run has hundreds of thousands of changes."""
    changes = [change("a"), change("b"), change("c", "a", "b")]
    schedule = Schedule(changes)
    assert schedule._open["c"] is changes[2].needs


def test_what_has_begun_is_not_copied_for_each_change() -> None:
    schedule = Schedule([change("a"), change("b", "a")])
    begun = schedule._begun
    schedule.ready()
    schedule.done("a")
    assert schedule._begun is begun == {"a", "b"}
