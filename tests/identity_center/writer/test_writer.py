# SPDX-License-Identifier: Apache-2.0
"""The loop on a simulated clock: what it keeps going, and what it waits for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from botocore.parsers import ResponseParserError

from c7n_iamusers.execution.calls import ApiCall, Ref
from c7n_iamusers.identity_center.access_plan import Change
from c7n_iamusers.identity_center.planning import operations
from c7n_iamusers.identity_center.writer.writer import DONE, FAILED, ChangeResult, PublishedValues
from tests.access_center import INSTANCE, SET_ARN, subject
from tests.fakes import ScriptedClient, client_error
from tests.identity_center.writer.simulation import Clock, SimulatedCenter, accounts, write


def assignments(count: int) -> list[Change]:
    return [
        Change(
            f"assignment {account}",
            "assignment",
            "assign",
            account,
            subject(),
            (operations.assignment_creation(account, SET_ARN, "group-1", INSTANCE),),
        )
        for account in accounts(count)
    ]


@pytest.mark.parametrize("seconds", [2.5, 20.0, 45.0, 200.0])
def test_slots_are_kept_full_while_assignments_wait(seconds: float) -> None:
    clock = Clock()
    center = SimulatedCenter(clock, seconds)
    ended = write(assignments(150), center, clock)
    assert Counter(each.status for each in ended.values()) == {"done": 150}
    assert (len(center.accepted), center.peak) == (150, 15)
    assert center.occupancy >= 0.9


def test_twelve_hundred_assignments_of_half_a_minute_take_an_hour() -> None:
    clock = Clock()
    write(assignments(1200), SimulatedCenter(clock, 30.0), clock)
    assert clock() / 60 == pytest.approx(1200 * 30 / 15 / 60, rel=0.05)


def test_another_writers_requests_take_slots_too() -> None:
    clock = Clock()
    # the writer finds out by its first poll; until then AWS refuses nothing that it sends
    center = SimulatedCenter(clock, 20.0, slots=20, others=5)
    ended = write(assignments(60), center, clock)
    assert {each.status for each in ended.values()} == {"done"}
    later = sorted(center.accepted.values())[15:]
    at_once = max(sum(start <= each < start + 20.0 for each in later) for start in later)
    assert at_once == 10


@pytest.mark.parametrize(
    ("method", "error"),
    [
        pytest.param(method, error, id=f"{method}-{name}")
        for method in (
            "create_account_assignment",
            "describe_account_assignment_creation_status",
            "list_account_assignment_creation_status",
        )
        for name, error in [
            ("throttled", client_error("ThrottlingException")),
            ("lost", ConnectionClosedError(endpoint_url="x")),
            ("not-read", ResponseParserError("x")),
        ]
    ],
)
def test_an_error_that_goes_away_ends_nothing(method: str, error: Exception) -> None:
    clock = Clock()
    center = SimulatedCenter(clock, 20.0)
    center.errors[method] = [error, error]
    ended = write(assignments(20), center, clock)
    assert Counter(each.status for each in ended.values()) == {"done": 20}


def test_a_request_that_takes_too_long_fails_and_holds_its_slot_until_it_ends() -> None:
    clock = Clock()
    center = SimulatedCenter(clock, 1000.0)
    ended = write(assignments(30), center, clock, timeout=300.0)
    assert {(each.status, each.code) for each in ended.values()} == {("failed", "Timeout")}
    assert (len(center.accepted), center.peak) == (30, 15)
    assert clock() == pytest.approx(1300, rel=0.02)


@pytest.mark.parametrize(
    ("seconds", "errors", "statuses", "remedied"),
    [
        pytest.param(1000.0, [], ["failed", "left"], False, id="in-progress-yet"),
        pytest.param(
            20.0, [client_error("AccessDeniedException")], ["replaced", "done"], True, id="refused-for-good"
        ),
    ],
)
def test_another_is_made_instead_only_once_no_request_can_still_make_it(
    seconds: float, errors: list[Exception], statuses: list[str], remedied: bool
) -> None:
    clock = Clock()
    center = SimulatedCenter(clock, seconds)
    center.errors["create_account_assignment"] = errors
    first, second = assignments(2)
    changes = [replace(first, remedy="ask for it"), replace(second, instead_of=first.key)]
    ended = write(changes, center, clock, timeout=300.0)
    assert [ended[each.key].status for each in changes] == statuses
    assert ("ask for it" in ended[first.key].reason) is remedied


def test_a_pause_of_one_change_holds_up_no_other() -> None:
    clock = Clock()
    throttled = client_error("ThrottlingException", RetryAfterSeconds=60)
    client = ScriptedClient(create_user=[throttled, {}], create_group=[{}])
    user = ApiCall("identitystore", "CreateUser", {})
    group = ApiCall("identitystore", "CreateGroup", {})
    changes = [
        Change("user", "user", "create", "user", subject(), (user,)),
        Change("group", "group", "create", "group", subject(), (group,)),
    ]
    ended = write(changes, client, clock)
    assert list(ended) == ["group", "user"]
    assert ended["group"].seconds < 1
    assert ended["user"].seconds == pytest.approx(60, abs=1)


def test_values_of_changes_fill_those_that_need_them() -> None:
    clock = Clock()
    client = ScriptedClient(create_user=[{"UserId": "u-1"}], create_group_membership=[{}])
    user = ApiCall("identitystore", "CreateUser", {}, save={"user": ("UserId",)})
    join = ApiCall("identitystore", "CreateGroupMembership", {"MemberId": {"UserId": Ref("user alice:user")}})
    changes = [
        Change("user alice", "user", "create", "alice", subject(), (user,), lazy=True),
        Change("membership", "membership", "create", "alice", subject(), (join,), needs=("user alice",)),
    ]
    ended = write(changes, client, clock)
    assert client.calls[-1] == ("create_group_membership", {"MemberId": {"UserId": "u-1"}})
    assert [(each.status, each.calls) for each in ended.values()] == [("done", 1), ("done", 1)]


def test_a_failure_is_told_of_all_that_needed_the_change() -> None:
    clock = Clock()
    client = ScriptedClient(create_group=[client_error("AccessDeniedException")])
    calls: dict[str, Any] = {"group": ("CreateGroup", ()), "join": ("CreateGroupMembership", ("group",))}
    changes = [
        Change(
            key, "group", "create", key, subject(), (ApiCall("identitystore", operation, {}),), needs=needs
        )
        for key, (operation, needs) in calls.items()
    ]
    ended = write(changes, client, clock)
    assert [(key, each.status, each.code) for key, each in ended.items()] == [
        ("group", "failed", "AccessDeniedException"),
        ("join", "left", "AccessDeniedException"),
    ]
    assert "identitystore:CreateGroup failed with AccessDeniedException" in ended["join"].reason


def test_a_run_that_is_to_stop_leaves_the_rest() -> None:
    clock = Clock()
    center = SimulatedCenter(clock, 60.0)
    ended = write(assignments(40), center, clock, stopped=lambda: clock() > 90.0)
    reasons = Counter(each.reason.partition(" ")[2] or each.status for each in ended.values())
    assert reasons == {
        "done": 15,
        "was in progress when the run was stopped: run again": 15,
        "was not made when the run was stopped: run again": 10,
    }


def test_what_a_run_keeps_of_a_change() -> None:
    """Ids that nobody refers to are in the journal alone: a first run has hundreds of thousands of memberships."""
    clock = Clock()
    center = SimulatedCenter(clock, 20.0)
    first, second = assignments(2)
    ended = write([first, replace(second, needs=(first.key,))], center, clock)
    assert [dict(each.values) for each in ended.values()] == [{operations.REQUEST: "r-0"}, {}]
    assert ended[second.key].values is ChangeResult(DONE).values
    published = PublishedValues({**ended, "failed": ChangeResult(FAILED, values={"id": "1"})})
    name = f"{first.key}:{operations.REQUEST}"
    assert (published[name], list(published), len(published)) == ("r-0", [name], 1)
    assert "failed:id" not in published
    assert f"{second.key}:{operations.REQUEST}" not in published
