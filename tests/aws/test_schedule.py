# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterable

from c7n_iamusers.aws.schedule import Schedule
from c7n_iamusers.model.access_plan import Change
from tests.identity_center import subject


def change(key: str, *needs: str, lazy: bool = False) -> Change:
    return Change(key, "group", "create", key, subject(), needs=needs, lazy=lazy)


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
    assert keys(schedule.failed("a")) == {"b", "c"}
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
    assert keys(schedule.failed("assignment")) == {"member", "user"}
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
    assert keys(schedule.failed("a1")) == {"m1"}
    assert keys(schedule.done("a2")) == {"user"}


def test_a_lazy_change_on_its_own_is_no_longer_lazy() -> None:
    assert keys(Schedule([change("user", lazy=True)]).ready()) == {"user"}


def test_what_had_begun_goes_on_after_a_failure() -> None:
    schedule = Schedule([change("a"), change("b"), change("c", "a"), change("d", "b", "c")])
    schedule.ready()
    assert keys(schedule.done("a")) == {"c"}
    assert keys(schedule.failed("b")) == {"d"}
    assert keys(schedule.rest()) == {"c"}
