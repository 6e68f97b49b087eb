# SPDX-License-Identifier: Apache-2.0
"""Who joins a group of ours between the reading and the end of a run, outside this package."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal, counted
from tests.identity_center.test_totals_of_people import ALICE, BOB, MALLORY, create_user, join
from tests.interference import deny, on_call

GROUP = f"iam-{ACCOUNT}-Readers"
OURS = f"Managed by c7n-iamusers for account {ACCOUNT}"
Happens = Callable[[FleetRehearsal], None]


def create_group(fleet: FleetRehearsal) -> None:
    fleet.org.client("identitystore").create_group(
        IdentityStoreId=fleet.instance.store.id, DisplayName=GROUP, Description=OURS
    )


def joins(username: str) -> Happens:
    return lambda fleet: join(fleet, GROUP, create_user(fleet, username))


def creates_the_group(fleet: FleetRehearsal) -> None:
    create_group(fleet)
    joins(MALLORY)(fleet)


def once(fleet: FleetRehearsal, happens: Happens) -> Callable[[], None]:
    pending = [happens]

    def theirs() -> None:
        while pending:
            pending.pop()(fleet)

    return theirs


@pytest.fixture
def racing(fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Happens], list[str]]:
    """Failures of a run for Alice, in whose midst something happens right before an operation."""

    def run(operation: str, happens: Happens) -> list[str]:
        with monkeypatch.context() as patch:
            on_call(patch, operation, once(fleet, happens))
            return fleet.run()

    return run


Racing = Callable[[str, Happens], list[str]]


@pytest.mark.parametrize(
    ("group_stands", "operation", "happens"),
    [
        pytest.param(True, "CreatePermissionSet", joins(MALLORY), id="a-member-of-a-group-that-stands"),
        pytest.param(False, "CreateGroup", creates_the_group, id="a-group-of-that-name"),
    ],
)
def test_a_stranger_before_the_assignment_stops_it(
    fleet: FleetRehearsal, racing: Racing, group_stands: bool, operation: str, happens: Happens
) -> None:
    if group_stands:
        create_group(fleet)
    fleet.leave(intents(ACCOUNT, "alice"))
    (failure,) = racing(operation, happens)
    assert fleet.assigned() == set()
    assert fleet.members() == {GROUP: {MALLORY}}
    assert "CreateAccountAssignment" not in counted(fleet.mutations())
    for told in (f"user alice of account {ACCOUNT}", GROUP, MALLORY, f"account {ACCOUNT}", "remove them"):
        assert told in failure
    (result,) = fleet.results()
    data = json.loads(result.read_text())
    assert [MALLORY in each["reason"] for each in data["failures"]] == [True]
    assert not [each for each in data["created"] if each["kind"] == "assignment"]


def test_the_other_groups_of_the_run_are_assigned(fleet: FleetRehearsal, racing: Racing) -> None:
    fleet.leave(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "bob"))
    create_group(fleet)
    assert len(racing("CreatePermissionSet", joins(MALLORY))) == 1
    assert {account for account, _, _ in fleet.assigned()} == {OTHER_ACCOUNT}


@pytest.mark.parametrize("operation", ["CreateAccountAssignment", "CreateUser"])
def test_a_stranger_who_slips_in_is_reported(fleet: FleetRehearsal, racing: Racing, operation: str) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    (failure,) = racing(operation, joins(MALLORY))
    assert fleet.members() == {GROUP: {ALICE, MALLORY}}
    for told in (GROUP, MALLORY, f"account {ACCOUNT}"):
        assert told in failure
    (result,) = fleet.results()
    assert [each["reason"] for each in json.loads(result.read_text())["failures"]] == [failure]


def test_a_stranger_who_joins_beside_a_new_member(fleet: FleetRehearsal, racing: Racing) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    assert fleet.run() == []
    fleet.leave(intents(ACCOUNT, "alice", "bob"))
    (failure,) = racing("CreateUser", joins(MALLORY))
    assert MALLORY in failure
    assert BOB not in failure


@pytest.mark.parametrize(
    ("requested", "username"),
    [
        pytest.param(intents(ACCOUNT, "alice", "bob"), BOB, id="somebody-who-is-asked-for"),
        pytest.param(replace(intents(ACCOUNT, "alice"), shared_group=True), MALLORY, id="a-shared-group"),
    ],
)
@pytest.mark.parametrize("operation", ["CreatePermissionSet", "CreateAccountAssignment"])
def test_who_may_join(
    fleet: FleetRehearsal, racing: Racing, requested: Any, username: str, operation: str
) -> None:
    if not requested.shared_group:
        create_group(fleet)
    else:
        fleet.org.client("identitystore").create_group(
            IdentityStoreId=fleet.instance.store.id, DisplayName=GROUP, Description="Theirs"
        )
    fleet.leave(requested)
    assert racing(operation, joins(username)) == []
    assert len(fleet.assigned()) == 1


def test_who_was_in_the_group_when_it_was_read_stands_in_the_plan(
    fleet: FleetRehearsal, racing: Racing
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    fleet.run()
    joins(MALLORY)(fleet)
    fleet.leave(intents(ACCOUNT, "alice", "bob"))
    assert fleet.run() == []
    assert any(MALLORY in line for line in fleet.lines("!"))


def test_what_it_costs(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    fleet.run()
    # once before the assignment, once at the end: the group was not there to be read for the plan
    assert counted(fleet.org.calls)["ListGroupMemberships"] == 2
    fleet.leave(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "alice"))
    fleet.run()
    of_the_plan = 1
    assert counted(fleet.org.calls)["ListGroupMemberships"] == of_the_plan + 2
    fleet.run()
    assert counted(fleet.org.calls)["ListGroupMemberships"] == 2


def test_members_that_can_not_be_read_at_the_end(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    with monkeypatch.context() as patch:
        on_call(patch, "CreateUser", lambda: deny(patch, "ListGroupMemberships"))
        (failure,) = fleet.run()
    assert GROUP in failure
    assert "--audit" in failure
    assert fleet.results()
