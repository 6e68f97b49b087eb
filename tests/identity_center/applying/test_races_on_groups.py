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
from tests.identity_center.planning.test_access_review import (
    ALICE,
    BOB,
    MALLORY,
    assign,
    create_user,
    join,
    set_by_hand,
    user_id,
)
from tests.interference import Killed, deny, on_call

GROUP = f"iam-{ACCOUNT}-Readers"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
OURS = f"Managed by c7n-iamusers for account {ACCOUNT}"
Happens = Callable[[FleetRehearsal], None]


def create_group(fleet: FleetRehearsal) -> None:
    fleet.new_records = True
    fleet.make_group(GROUP, OURS)


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
    fleet.provisioned(intents(ACCOUNT, "alice"))
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
        fleet.make_group(GROUP, "Theirs")
    fleet.leave(requested)
    assert racing(operation, joins(username)) == []
    assert len(fleet.assigned()) == 1


def test_who_was_in_the_group_when_it_was_read_stands_in_the_plan(
    fleet: FleetRehearsal, racing: Racing
) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    joins(MALLORY)(fleet)
    fleet.provisioned(intents(ACCOUNT, "alice", "bob"))
    assert any(MALLORY in line for line in fleet.lines("!"))


def test_what_it_costs(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    # once before the assignment, once at the end: the group was not there to be read for the plan
    assert counted(fleet.org.calls)["ListGroupMemberships"] == 2
    fleet.provisioned(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "alice"))
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
    assert "provision audit" in failure
    assert fleet.results()


def joins_another_group(fleet: FleetRehearsal) -> None:
    fleet.make_group("oncall")
    join(fleet, "oncall", user_id(fleet, ALICE))


def is_assigned_directly(fleet: FleetRehearsal) -> None:
    admin = set_by_hand(fleet, "Admin", "arn:aws:iam::aws:policy/AdministratorAccess")
    assign(fleet, admin, user_id(fleet, ALICE), OTHER_ACCOUNT)


@pytest.mark.parametrize(
    ("happens", "kept", "told"),
    [
        pytest.param(
            joins(BOB),
            {GROUP: {BOB}},
            f"assignment {GROUP} -> Readers in account {ACCOUNT} is kept",
            id="somebody-joins-the-group",
        ),
        pytest.param(
            joins_another_group,
            {"oncall": {ALICE}},
            f"user {ALICE} is kept",
            id="the-user-joins-another-group",
        ),
        pytest.param(is_assigned_directly, {}, f"user {ALICE} is kept", id="the-user-is-assigned-directly"),
    ],
)
def test_what_people_rely_on_by_the_time_of_its_deletion(
    fleet: FleetRehearsal,
    monkeypatch: pytest.MonkeyPatch,
    happens: Happens,
    kept: dict[str, set[str]],
    told: str,
) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    (result,) = fleet.results()
    with monkeypatch.context() as patch:
        on_call(patch, "DeleteGroupMembership", once(fleet, happens))
        failures = fleet.undo(result)
    assert any(told in each for each in failures), failures
    assert fleet.members() == kept
    groups = fleet.instance.store.groups
    assert sum(each.principal_id in groups for each in fleet.instance.assignments) == (GROUP in kept)
    assert (ALICE in fleet.usernames()) == (ALICE in told)
    undone = json.loads((result.parent / "undone.json").read_text())
    assert any(told in each for each in undone["failed"])


def test_a_pruned_group_that_somebody_joins(fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    fleet.leave_only(intents(ACCOUNT, "alice", set_name="Writers"))
    with monkeypatch.context() as patch:
        on_call(patch, "DeleteGroupMembership", once(fleet, joins(BOB)))
        failures = fleet.run(prune=True)
    assert any(f"{GROUP} -> Readers" in each and "is kept" in each for each in failures), failures
    assert fleet.members()[GROUP] == {BOB}
    assert (ACCOUNT, "Readers", GROUP) in fleet.assigned()


def test_a_group_that_is_gone_by_the_time_of_its_deletion(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    (result,) = fleet.results()

    def deletes_it(rehearsal: FleetRehearsal) -> None:
        (group,) = rehearsal.instance.store.groups
        client, store = rehearsal.org.client("identitystore"), rehearsal.instance.store.id
        client.delete_group(IdentityStoreId=store, GroupId=group)

    with monkeypatch.context() as patch:
        on_call(patch, "DeleteGroupMembership", once(fleet, deletes_it))
        assert fleet.undo(result) == []
    assert (fleet.members(), fleet.usernames(), fleet.assigned()) == ({}, set(), set())


def change_the_set(fleet: FleetRehearsal) -> None:
    fleet.attach("arn:aws:iam::aws:policy/AdministratorAccess")


@pytest.mark.parametrize("shared", [False, True], ids=["group-of-its-own", "shared-group"])
@pytest.mark.parametrize("operation", ["CreateAccountAssignment", "CreateGroupMembership"])
def test_a_permission_set_that_somebody_changes_during_the_run(
    fleet: FleetRehearsal, racing: Racing, operation: str, shared: bool
) -> None:
    fleet.leave(replace(intents(ACCOUNT, "alice"), shared_group=shared))
    (failure,) = racing(operation, change_the_set)
    for told in ("permission set Readers", "during this run", "AdministratorAccess"):
        assert told in failure
    (result,) = fleet.results()
    assert [each["reason"] for each in json.loads(result.read_text())["failures"]] == [failure]


def test_a_permission_set_that_can_not_be_read_at_the_end(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    with monkeypatch.context() as patch:
        on_call(patch, "CreateUser", lambda: deny(patch, "GetInlinePolicyForPermissionSet"))
        (failure,) = fleet.run()
    assert "permission set Readers could not be read again" in failure
    assert "provision audit" in failure


def widened(fleet: FleetRehearsal, detached: bool) -> None:
    """Alice has access, and somebody made her managed permission set an administrator's in the account.

    ``detached``: and took the policy from the permission set again, without provisioning that.
    """
    fleet.provisioned(intents(ACCOUNT, "alice"))
    fleet.attach(ADMINISTRATOR)
    fleet.provision_set()
    if detached:
        fleet.call_for_set("detach_managed_policy_from_permission_set", ManagedPolicyArn=ADMINISTRATOR)


@pytest.mark.parametrize(
    ("detached", "operation"),
    [
        pytest.param(False, "DetachManagedPolicyFromPermissionSet", id="detaching"),
        pytest.param(False, "ProvisionPermissionSet", id="provisioning"),
        pytest.param(True, "ProvisionPermissionSet", id="provisioning-an-earlier-form"),
    ],
)
@pytest.mark.parametrize("killed", [False, True], ids=["denied", "killed"])
def test_nobody_joins_before_the_permission_set_is_narrowed(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, detached: bool, operation: str, killed: bool
) -> None:
    widened(fleet, detached)
    fleet.leave(intents(ACCOUNT, "alice", "bob"))

    def dies() -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if killed:
            on_call(patch, operation, dies)
            with pytest.raises(Killed):
                fleet.run()
        else:
            deny(patch, operation)
            failures = fleet.run()
            assert [each.split(":")[0] for each in failures] == [
                f"user {name} of account {ACCOUNT}" for name in ("alice", "bob")
            ]
            assert all("permission set Readers" in each and operation in each for each in failures)
    assert fleet.members() == {GROUP: {ALICE}}
    assert BOB not in fleet.usernames()
    if not killed:
        assert fleet.run() == []
        assert fleet.members() == {GROUP: {ALICE, BOB}}
        operations = [each.operation for each in fleet.mutations()]
        assert operations.index("ProvisionPermissionSet") < operations.index("CreateGroupMembership")


def assigns_theirs(fleet: FleetRehearsal) -> None:
    arn = set_by_hand(fleet, "Theirs", ADMINISTRATOR)
    group_id = fleet.group_id(GROUP)
    assign(fleet, arn, group_id, OTHER_ACCOUNT, "GROUP")


SHARED = pytest.mark.parametrize("shared", [False, True], ids=["of-its-people", "shared"])


STANDS = pytest.mark.parametrize("stands", [True, False], ids=["a-group-that-stands", "a-new-group"])


@SHARED
@STANDS
def test_who_would_gain_what_others_assign_to_the_group_does_not_join(
    fleet: FleetRehearsal, racing: Racing, shared: bool, stands: bool
) -> None:
    if stands:
        fleet.provisioned(intents(ACCOUNT, "alice", shared_group=shared))
    before = fleet.members().get(GROUP, set())
    fleet.leave(intents(ACCOUNT, *(["alice"] if stands else []), "bob", shared_group=shared))
    failures = racing("CreateUser", assigns_theirs)
    assert fleet.members() == {GROUP: before}
    assert any(f"Theirs in account {OTHER_ACCOUNT}" in each for each in failures)


def test_a_shared_group_that_others_make_and_assign_since_the_plan(
    fleet: FleetRehearsal, racing: Racing
) -> None:
    def make_and_assign(rehearsal: FleetRehearsal) -> None:
        rehearsal.make_group(GROUP, "Theirs")
        assigns_theirs(rehearsal)

    fleet.leave(intents(ACCOUNT, "alice", shared_group=True))
    failures = racing("CreateGroup", make_and_assign)
    assert fleet.members() == {GROUP: set()}
    assert any(f"Theirs in account {OTHER_ACCOUNT}" in each for each in failures)
    assert fleet.run(dry=True) != []


@SHARED
@STANDS
def test_what_others_assign_to_the_group_beside_a_new_member_is_reported(
    fleet: FleetRehearsal, racing: Racing, stands: bool, shared: bool
) -> None:
    fleet.provisioned(intents(ACCOUNT, *(["bob"] if stands else []), shared_group=shared))
    fleet.leave(intents(ACCOUNT, "alice", *(["bob"] if stands else []), shared_group=shared))
    (failure,) = racing("CreateGroupMembership", assigns_theirs)
    assert failure.startswith(
        f"group {GROUP} has been assigned Theirs in account {OTHER_ACCOUNT} during this run"
    )


def test_what_is_requested_for_an_existing_group_is_no_assignment_of_others(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    fleet.provisioned(intents(ACCOUNT, "alice", "bob"))
    assert fleet.members() == {GROUP: {ALICE, BOB}}
