# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.aws.lanes import LANES, Lane, LaneKind, Request

ASSIGNMENTS, PROVISIONINGS = LANES["CreateAccountAssignment"], LANES["ProvisionPermissionSet"]
NONE: frozenset[str] = frozenset()


def lane(kind: LaneKind = ASSIGNMENTS, *accounts: set[str]) -> Lane[str]:
    found: Lane[str] = Lane(kind)
    for number, each in enumerate(accounts):
        found.accept(str(number), Request("work", 0.0, frozenset(each)))
    return found


def test_limits_are_those_of_the_quotas_page() -> None:
    assert {operation: kind.limit for operation, kind in LANES.items()} == {
        "CreateAccountAssignment": 15,
        "DeleteAccountAssignment": 15,
        "ProvisionPermissionSet": 3,
    }


@pytest.mark.parametrize(
    ("outstanding", "starting", "others", "room"),
    [
        pytest.param(0, 0, 0, True, id="empty"),
        pytest.param(14, 0, 0, True, id="one-left"),
        pytest.param(15, 0, 0, False, id="full"),
        pytest.param(10, 5, 0, False, id="those-that-are-being-sent-count"),
        pytest.param(10, 0, 5, False, id="other-writers-count"),
    ],
)
def test_room(outstanding: int, starting: int, others: int, room: bool) -> None:
    found = lane(ASSIGNMENTS, *([set()] * outstanding))
    found.starting, found.others = [NONE] * starting, others
    assert found.has_room(NONE) is room
    assert found.full is not room


@pytest.mark.parametrize(
    ("kind", "room"),
    [
        pytest.param(PROVISIONINGS, False, id="provisionings-keep-apart"),
        pytest.param(ASSIGNMENTS, True, id="assignments-need-not"),
    ],
)
def test_two_updates_of_one_account(kind: LaneKind, room: bool) -> None:
    found = lane(kind, {"1", "2"})
    assert found.has_room(frozenset({"2", "3"})) is room
    assert found.has_room(frozenset({"3"}))


def test_what_is_no_longer_in_progress_has_ended() -> None:
    found = lane(ASSIGNMENTS, set(), set())
    found.polled_since = 5.0
    assert list(found.polled({"1"}, 6.0)) == ["0"]
    assert list(found.outstanding) == ["1"]


def test_a_request_that_came_after_the_poll_is_not_taken_for_ended() -> None:
    found = lane(ASSIGNMENTS, set())
    found.polled_since = 5.0
    found.accept("late", Request("work", 5.5))
    assert list(found.polled(set(), 6.0)) == ["0"]
    assert list(found.outstanding) == ["late"]


def test_other_writers_are_counted_until_they_are_gone() -> None:
    found = lane()
    found.accept("mine", Request("work", 0.0))
    found.polled_since = 1.0
    assert found.polled({"mine", "a", "b"}, 2.0) == {}
    assert found.others == 2
    found.polled_since = 3.0
    found.polled(set(), 4.0)
    assert found.others == 0
    assert found.poll_at() is None


def test_a_lane_full_of_others_is_polled_all_the_same() -> None:
    found = lane()
    found.others, found.next_poll = 15, 7.0
    assert found.poll_at() == 7.0


@pytest.mark.parametrize(
    ("typical", "interval"),
    [
        pytest.param(0.0, 0.2, id="unknown"),
        pytest.param(20.0, 0.8, id="a-share-of-it"),
        pytest.param(300.0, 2.0, id="at-most"),
    ],
)
def test_polls_are_short_beside_what_requests_take(typical: float, interval: float) -> None:
    found = lane()
    found.typical = typical
    assert found.interval == pytest.approx(interval)
