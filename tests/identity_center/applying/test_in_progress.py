# SPDX-License-Identifier: Apache-2.0
"""Assignments that are being created or deleted are part of what a run, an audit, a pruning and an undo read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aws_local_org.identity_center import injected_faults
from c7n_iamusers.identity_center.requests.intents import Intents
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, READ_ONLY
from tests.desired import holding, intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import assign, create_user, join, set_by_hand, user_id

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
READERS = f"iam-{ACCOUNT}-Readers"


def shared(account: str, *names: str) -> Intents:
    return intents(account, *names, group="shared-readers", shared_group=True)


def end(fleet: FleetRehearsal, account: str = ACCOUNT, kind: str = "") -> None:
    """Somebody deletes the only assignment in the account, or the only one of that kind of principal."""
    here = [each for each in fleet.instance.assignments if each.account_id == account]
    (found,) = (each for each in here if kind in ("", each.principal_type))
    fleet.unassign(account, found.permission_set_arn, found.principal_id, found.principal_type)


def run_for(fleet: FleetRehearsal, *found: Intents, **options: float) -> Path:
    """The result of a run over these intents alone."""
    fleet.leave_only(*found)
    fleet.run(**options)  # type: ignore[arg-type]
    return fleet.results()[-1]


def own_group(fleet: FleetRehearsal) -> Path:
    """A run that gives its own group again what somebody took from it, and does not wait for that."""
    run_for(fleet, intents(ACCOUNT, "bob"))
    end(fleet)
    fleet.settle(0)
    fleet.org.configure(assignment_seconds=3)
    return run_for(fleet, intents(ACCOUNT, "bob"), timeout=1.0)


def second_account(fleet: FleetRehearsal) -> Path:
    """A run that gives an earlier group a second account, and does not wait for that."""
    run_for(fleet, shared(ACCOUNT, "bob"))
    fleet.org.configure(assignment_seconds=3)
    return run_for(fleet, shared(ACCOUNT, "bob"), shared(OTHER_ACCOUNT, "bob"), timeout=1.0)


def new_group(fleet: FleetRehearsal) -> Path:
    """A run that makes everything, and does not wait for the assignment."""
    fleet.org.configure(assignment_seconds=3)
    return run_for(fleet, intents(ACCOUNT, "bob"), timeout=1.0)


@pytest.mark.parametrize("begun", [own_group, second_account, new_group])
def test_an_undo_ends_what_is_being_created(
    slow_fleet: FleetRehearsal, begun: Callable[[FleetRehearsal], Path]
) -> None:
    fleet = slow_fleet
    result = begun(fleet)
    before = len(fleet.assigned())
    fleet.undo(result, dry=True)
    assert any("its creation is in progress" in each for each in fleet.said)
    assert fleet.undo(result) == []
    fleet.settle(60)
    assert len(fleet.assigned()) == before


@pytest.mark.parametrize("begun", [own_group, second_account])
def test_an_undo_keeps_an_assignment_for_who_has_joined_since(
    slow_fleet: FleetRehearsal, begun: Callable[[FleetRehearsal], Path]
) -> None:
    result = begun(slow_fleet)
    slow_fleet.settle(60)
    before = len(slow_fleet.assigned())
    (group,) = slow_fleet.members()
    join(slow_fleet, group, create_user(slow_fleet, "carol@example.com"))
    assert slow_fleet.undo(result) != []
    assert any("its group has other members" in each for each in slow_fleet.lines("!"))
    assert len(slow_fleet.assigned()) == before


@pytest.mark.parametrize("begun", [own_group, second_account])
def test_an_undo_keeps_an_assignment_that_is_all_that_a_deleted_user_has(
    slow_fleet: FleetRehearsal, begun: Callable[[FleetRehearsal], Path]
) -> None:
    result = begun(slow_fleet)
    slow_fleet.settle(60)
    before = len(slow_fleet.assigned())
    slow_fleet.undo(result, read_users=lambda accounts: {each: {} for each in accounts})
    assert any(
        "has been deleted, so its person may have no other access" in each for each in slow_fleet.lines("!")
    )
    assert len(slow_fleet.assigned()) == before
    users = (each for account in (ACCOUNT, OTHER_ACCOUNT) for each in intents(account, "bob").users)
    everybody = {each.subject.unique_id: "" for each in users}
    slow_fleet.undo(result, read_users=lambda accounts: dict.fromkeys(accounts, everybody))
    slow_fleet.settle(60)
    assert len(slow_fleet.assigned()) == before - 1


@pytest.mark.parametrize("begun", [own_group, second_account, new_group])
def test_an_undo_that_can_not_wait_says_so(
    slow_fleet: FleetRehearsal, begun: Callable[[FleetRehearsal], Path]
) -> None:
    result = begun(slow_fleet)
    (told,) = slow_fleet.undo(result, timeout=1.0)
    assert "is still pending after 1 s" in told


def test_an_undo_after_one_that_did_not_wait_long_enough(slow_fleet: FleetRehearsal) -> None:
    result = run_for(slow_fleet, intents(ACCOUNT, "bob"))
    slow_fleet.org.configure(assignment_seconds=3)
    (told,) = slow_fleet.undo(result, timeout=1.0)
    assert "run again to wait for its end" in told
    assert slow_fleet.undo(result) == []
    assert (slow_fleet.assigned(), slow_fleet.members(), slow_fleet.usernames()) == (set(), {}, set())


def test_a_run_waits_for_a_deletion_and_assigns_anew(slow_fleet: FleetRehearsal) -> None:
    run_for(slow_fleet, intents(ACCOUNT, "bob"))
    slow_fleet.org.configure(assignment_seconds=3)
    end(slow_fleet)
    slow_fleet.run(dry=True)
    assert any("its deletion is in progress" in each for each in slow_fleet.said)
    assert slow_fleet.run() == []
    slow_fleet.settle(60)
    assert len(slow_fleet.assigned()) == 1


def test_a_run_after_a_pruning_that_was_stopped(slow_fleet: FleetRehearsal) -> None:
    both = intents(ACCOUNT, "bob"), intents(ACCOUNT, "bob", set_name="Auditors")
    run_for(slow_fleet, *both)
    slow_fleet.org.configure(assignment_seconds=3)
    slow_fleet.leave_only(both[1])
    slow_fleet.run(prune=True, timeout=1.0)
    run_for(slow_fleet, *both)
    slow_fleet.settle(60)
    assert {name for _, name, _ in slow_fleet.assigned()} == {"Readers", "Auditors"}
    assert slow_fleet.members()[READERS] == {"bob@example.com"}


def test_an_undo_of_a_pruning_that_was_stopped(slow_fleet: FleetRehearsal) -> None:
    both = intents(ACCOUNT, "bob"), intents(ACCOUNT, "bob", set_name="Auditors")
    run_for(slow_fleet, *both)
    before = slow_fleet.assigned(), slow_fleet.members()
    slow_fleet.org.configure(assignment_seconds=3)
    slow_fleet.leave_only(both[1])
    slow_fleet.run(prune=True, timeout=1.0)
    assert slow_fleet.undo(slow_fleet.results()[-1]) == []
    slow_fleet.settle(60)
    assert (slow_fleet.assigned(), slow_fleet.members()) == before


def test_access_that_is_being_deleted_is_no_other_access(slow_fleet: FleetRehearsal) -> None:
    """Bob's IAM user is deleted, and somebody is deleting the same access that he has by another assignment."""
    result = run_for(slow_fleet, intents(ACCOUNT, "bob"))
    arn, user = next(iter(slow_fleet.instance.permission_sets)), user_id(slow_fleet, "bob@example.com")
    assign(slow_fleet, arn, user, ACCOUNT)
    slow_fleet.settle(0)
    slow_fleet.org.configure(assignment_seconds=100)
    end(slow_fleet, kind="USER")
    slow_fleet.org.configure(assignment_seconds=0)
    slow_fleet.undo(result, read_users=lambda accounts: {each: {} for each in accounts})
    assert any("so its person may have no other access" in each for each in slow_fleet.lines("!"))
    assert slow_fleet.members() == {READERS: {"bob@example.com"}}


def test_a_pruning_waits_for_a_creation_that_a_run_left(slow_fleet: FleetRehearsal) -> None:
    both = intents(ACCOUNT, "bob"), intents(ACCOUNT, "bob", set_name="Auditors")
    run_for(slow_fleet, both[1])
    slow_fleet.org.configure(assignment_seconds=3)
    run_for(slow_fleet, *both, timeout=1.0)
    slow_fleet.forget()
    slow_fleet.provisioned(both[1], prune=True, lock_out=True)
    slow_fleet.settle(60)
    assert {name for _, name, _ in slow_fleet.assigned()} == {"Auditors"}


def test_an_audit_does_not_count_what_is_being_deleted(slow_fleet: FleetRehearsal) -> None:
    run_for(slow_fleet, intents(ACCOUNT, "bob"))
    slow_fleet.org.configure(assignment_seconds=3)
    end(slow_fleet)
    assert slow_fleet.audit() != []


def test_an_audit_counts_what_others_are_being_given(slow_fleet: FleetRehearsal) -> None:
    run_for(slow_fleet, holding(intents(ACCOUNT, "bob"), READ_ONLY))
    slow_fleet.org.configure(assignment_seconds=3)
    assign(
        slow_fleet, set_by_hand(slow_fleet, "Theirs", ADMIN), user_id(slow_fleet, "bob@example.com"), ACCOUNT
    )
    (told,) = slow_fleet.audit()
    assert "also holds Theirs" in told


def assigned_by_others(fleet: FleetRehearsal, kind: str) -> Path:
    """Somebody assigns the run's person or group in another account; that is in progress."""
    result = run_for(fleet, intents(ACCOUNT, "bob"))
    fleet.org.configure(assignment_seconds=100)
    groups = fleet.instance.store.groups.values()
    principal = user_id(fleet, "bob@example.com") if kind == "USER" else next(each.id for each in groups)
    assign(fleet, set_by_hand(fleet, "Theirs", ADMIN), principal, OTHER_ACCOUNT, kind)
    fleet.org.configure(assignment_seconds=0)
    return result


@pytest.mark.parametrize("kind", ["USER", "GROUP"])
def test_an_undo_keeps_what_others_are_assigning(slow_fleet: FleetRehearsal, kind: str) -> None:
    result = assigned_by_others(slow_fleet, kind)
    assert slow_fleet.undo(result) != []
    slow_fleet.settle(200)
    assert "bob@example.com" in slow_fleet.usernames()
    (assignment,) = slow_fleet.instance.assignments
    assert (assignment.account_id, assignment.principal_type) == (OTHER_ACCOUNT, kind)
    if kind == "GROUP":
        assert slow_fleet.members() == {READERS: {"bob@example.com"}}


def test_a_pruning_keeps_a_group_that_others_are_assigning(slow_fleet: FleetRehearsal) -> None:
    assigned_by_others(slow_fleet, "GROUP")
    slow_fleet.leave_only(intents(ACCOUNT, "bob", set_name="Auditors"))
    slow_fleet.run(prune=True)
    assert any("the group also has Theirs in account" in each for each in slow_fleet.said)
    assert slow_fleet.members()[READERS] == {"bob@example.com"}


@pytest.mark.parametrize("kind", ["USER", "GROUP"])
def test_an_undo_asks_again_what_others_are_assigning(slow_fleet: FleetRehearsal, kind: str) -> None:
    """The assignment is requested between the plan and the deletions."""
    result = run_for(slow_fleet, intents(ACCOUNT, "bob"))
    asked = slow_fleet.said.append
    requested: list[str] = []

    def say(line: str) -> None:
        asked(line)
        if line.startswith("Plan:") and not requested:
            requested.append(line)
            slow_fleet.org.configure(assignment_seconds=100)
            groups = slow_fleet.instance.store.groups.values()
            people = user_id(slow_fleet, "bob@example.com")
            principal = people if kind == "USER" else next(each.id for each in groups)
            assign(slow_fleet, set_by_hand(slow_fleet, "Theirs", ADMIN), principal, OTHER_ACCOUNT, kind)
            slow_fleet.org.configure(assignment_seconds=0)

    assert slow_fleet.undo(result, say=say) != []
    assert requested
    slow_fleet.settle(200)
    assert "bob@example.com" in slow_fleet.usernames()
    assert OTHER_ACCOUNT in {each.account_id for each in slow_fleet.instance.assignments}


def test_a_status_that_is_gone_has_ended(slow_fleet: FleetRehearsal) -> None:
    slow_fleet.org.configure(assignment_seconds=3)
    theirs = set_by_hand(slow_fleet, "Theirs", READ_ONLY)
    assign(slow_fleet, theirs, create_user(slow_fleet, "eve@example.com"), OTHER_ACCOUNT)
    slow_fleet.leave(intents(ACCOUNT, "bob"))
    for kind in ("Creation", "Deletion"):
        injected_faults.refuse_next(f"DescribeAccountAssignment{kind}Status", "ResourceNotFoundException")
    assert slow_fleet.run(dry=True) == []
    slow_fleet.settle(20)
    end(slow_fleet, OTHER_ACCOUNT)
    assert slow_fleet.run(dry=True) == []
    injected_faults.clear()
