# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from aws_local_org.identity_center import injected_faults
from aws_local_org.identity_center.state import Quotas
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.applying.run_lock import exclusive
from tests.access_center import ACCOUNT, AUDIT, OTHER_ACCOUNT
from tests.desired import intents, person, readers, user
from tests.gateway import Gateway, operation
from tests.identity_center.fleet_rehearsal import FleetRehearsal, counted
from tests.identity_center.planning.test_access_review import create_user, join
from tests.interference import after_change, on_call

THIRD = "777788889999"
ACCOUNTS = (ACCOUNT, OTHER_ACCOUNT, THIRD)
WANTED = {(account, "Readers", f"iam-{account}-Readers") for account in ACCOUNTS[:2]}
MEMBERS = {
    f"iam-{ACCOUNT}-Readers": {"alice@example.com", "bob@example.com"},
    f"iam-{OTHER_ACCOUNT}-Readers": {"alice@example.com"},
}
#: Changing calls of a run over `two_accounts`.
CHANGES = 11


def two_accounts(fleet: FleetRehearsal) -> None:
    """Alice has a user in both accounts, Bob in the first."""
    fleet.leave(intents(ACCOUNT, "alice", "bob"), intents(OTHER_ACCOUNT, "alice"))


def result_of(fleet: FleetRehearsal, account: str, policy: str = "provision-Readers") -> dict[str, Any]:
    path = fleet.output / account / "us-east-1" / policy / "identity-center-result.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_two_accounts_and_a_person_of_both(fleet: FleetRehearsal) -> None:
    two_accounts(fleet)
    assert fleet.run() == []
    assert counted(fleet.mutations()) == {
        "CreatePermissionSet": 1,
        "AttachManagedPolicyToPermissionSet": 1,
        "CreateGroup": 2,
        "CreateAccountAssignment": 2,
        "CreateUser": 2,
        "CreateGroupMembership": 3,
    }
    assert (fleet.assigned(), fleet.members()) == (WANTED, MEMBERS)


def test_a_second_run_plans_nothing(fleet: FleetRehearsal) -> None:
    two_accounts(fleet)
    fleet.run()
    runs = len(fleet.results())
    assert fleet.run() == []
    assert fleet.mutations() == []
    assert fleet.said[0].startswith("Scope of the verdicts in account")
    assert fleet.said[1:] == [
        "Plan: 0 to create, 0 to update, 0 to assign, 0 to adopt, 10 unchanged, 0 users refused.",
        "Nothing to do.",
    ]
    assert len(fleet.results()) == runs
    assert {row["status"] for row in result_of(fleet, ACCOUNT)["users"]} == {"unchanged"}


def test_a_dry_run_changes_nothing_and_leaves_nothing(fleet: FleetRehearsal) -> None:
    two_accounts(fleet)
    fleet.run(dry=True)
    assert fleet.mutations() == []
    assert not list(fleet.output.rglob("identity-center-r*"))
    assert "  + assignment     iam-111122223333-Readers -> Readers in account 111122223333" in fleet.said
    assert fleet.said[-1].startswith("Plan: 8 to create, 0 to update, 2 to assign")


def test_what_each_account_is_told(fleet: FleetRehearsal) -> None:
    robot = user(OTHER_ACCOUNT, "robot", None, "no email: tag:Email has no value")
    mixed = intents(OTHER_ACCOUNT, "carol")
    fleet.leave(intents(ACCOUNT, "alice"), replace(mixed, users=(*mixed.users, robot)))
    # the second of two to be asked for is the second account's
    injected_faults.fail_next_assignment("The role quota of the account is exceeded")
    failures = fleet.run()
    assert len(failures) == 2
    first, second = result_of(fleet, ACCOUNT), result_of(fleet, OTHER_ACCOUNT)
    (failed,) = [
        each for each in (*first["assignments"], *second["assignments"]) if each["status"] == "failed"
    ]
    assert "The role quota of the account is exceeded" in failed["reason"]
    (made,) = [
        each for each in (*first["assignments"], *second["assignments"]) if each["status"] == "succeeded"
    ]
    assert made["account"] != failed["account"]
    rows = {row["user"]: row for row in (*first["users"], *second["users"])}
    assert rows["robot"]["reason"] == (
        f"user robot of account {OTHER_ACCOUNT}: no email: tag:Email has no value (requested by "
        f"{OTHER_ACCOUNT}/us-east-1/provision-Readers/identity-center-intents.json)"
    )
    assert {rows["alice"]["status"], rows["carol"]["status"]} == {"provisioned", "failed"}
    assert len(fleet.usernames()) == 1


def test_the_next_run_makes_what_one_failed_to(fleet: FleetRehearsal) -> None:
    two_accounts(fleet)
    injected_faults.fail_next_assignment("Internal")
    assert fleet.run() != []
    assert fleet.run() == []
    assert (fleet.assigned(), fleet.members()) == (WANTED, MEMBERS)


@pytest.mark.parametrize("number", range(1, CHANGES + 1))
def test_a_run_that_dies_anywhere_is_carried_on_by_the_next_and_undone_as_one(
    fleet: FleetRehearsal, number: int
) -> None:
    two_accounts(fleet)
    fleet.killed(number)
    held = {group for _, _, group in fleet.assigned()}
    assert all(group in held for group, people in fleet.members().items() if people)
    assert fleet.results() == []
    assert fleet.run() == []
    assert (fleet.assigned(), fleet.members()) == (WANTED, MEMBERS)
    assert fleet.run() == []
    assert fleet.mutations() == []
    (result,) = fleet.results()
    assert fleet.undo(result) == []
    assert (fleet.assigned(), fleet.members(), fleet.usernames()) == (set(), {}, set())
    assert not fleet.instance.permission_sets


@pytest.mark.parametrize("number", range(1, CHANGES + 1))
def test_a_lost_response_of_any_call_is_seen_through_and_undone_too(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    two_accounts(fleet)
    with monkeypatch.context() as patch:
        after_change(patch, number, ConnectionClosedError(endpoint_url="https://lost.invalid"))
        assert fleet.run() == []
    assert (fleet.assigned(), fleet.members()) == (WANTED, MEMBERS)
    assert len(fleet.instance.permission_sets) == 1
    (result,) = fleet.results()
    assert fleet.undo(result) == []
    assert (fleet.assigned(), fleet.usernames(), len(fleet.instance.permission_sets)) == (set(), set(), 0)


CREATING = (
    "CreatePermissionSet",
    "CreateGroup",
    "CreateUser",
    "CreateGroupMembership",
    "CreateAccountAssignment",
)


@pytest.mark.parametrize("name", CREATING)
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
def test_a_gateways_page_is_no_answer_and_is_undone_too(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, name: str, applied: bool
) -> None:
    two_accounts(fleet)
    with monkeypatch.context() as patch:
        gateway = Gateway("200-html", operation(name), applied, times=1).install(patch)
        assert fleet.run() == []
    assert gateway.seen == 1
    assert (fleet.assigned(), fleet.members()) == (WANTED, MEMBERS)
    (result,) = fleet.results()
    lines = [json.loads(line) for line in (result.parent / "journal.jsonl").read_text().splitlines()]
    assert next(line["operation"] for line in lines if line["phase"] == "tried") == name
    assert all(line["caller"].startswith("arn:aws:") for line in lines if line["phase"] == "after")
    assert fleet.undo(result) == []
    assert (fleet.assigned(), fleet.usernames(), len(fleet.instance.permission_sets)) == (set(), set(), 0)


@pytest.mark.parametrize("after", range(1, 30, 4))
def test_a_run_that_is_told_to_stop_finishes_the_calls_in_hand(fleet: FleetRehearsal, after: int) -> None:
    two_accounts(fleet)
    asked = iter(range(1000))
    failures = fleet.run(stopped=lambda: next(asked) > after)
    assert failures
    assert all("when the run was stopped: run " in failure for failure in failures)
    assert all(failure.endswith(("run again", "run provision audit")) for failure in failures)
    (result,) = fleet.results()
    journal = [json.loads(line) for line in (result.parent / "journal.jsonl").read_text().splitlines()]
    begun = [
        line["operation"]
        for line in journal
        if line["phase"] == "before" and line["operation"] != "CreateAccountAssignment"
    ]
    ended = [
        line["operation"]
        for line in journal
        if line["phase"] == "after" and line["operation"] != "CreateAccountAssignment"
    ]
    assert sorted(begun) == sorted(ended)
    assert fleet.run() == []
    assert (fleet.assigned(), fleet.members()) == (WANTED, MEMBERS)


@pytest.mark.parametrize(
    ("operation", "code", "members", "times"),
    [
        pytest.param("CreateUser", "ThrottlingException", {"RetryAfterSeconds": 1}, 1, id="users-throttled"),
        pytest.param("CreateAccountAssignment", "ThrottlingException", {}, 3, id="assignments-throttled"),
        pytest.param("CreateGroup", "InternalServerException", {}, 1, id="aws-at-fault"),
        pytest.param(
            "CreateGroupMembership", "ConflictException", {"Reason": "CONCURRENT_MODIFICATION"}, 2, id="raced"
        ),
        pytest.param("CreateAccountAssignment", "ConflictException", {}, 2, id="has-not-spread"),
        pytest.param("CreateGroupMembership", "ResourceNotFoundException", {}, 1, id="user-has-not-spread"),
        pytest.param(
            "ListAccountAssignmentCreationStatus", "ThrottlingException", {}, 1, id="poll-throttled"
        ),
        pytest.param(
            "DescribeAccountAssignmentCreationStatus", "ThrottlingException", {}, 2, id="status-throttled"
        ),
    ],
)
def test_what_goes_away_is_tried_again(
    fleet: FleetRehearsal, operation: str, code: str, members: dict[str, Any], times: int
) -> None:
    two_accounts(fleet)
    injected_faults.refuse_next(operation, code, times=times, **members)
    assert fleet.run() == []
    assert (fleet.assigned(), fleet.members()) == (WANTED, MEMBERS)


def test_what_does_not_go_away_is_one_persons_failure(fleet: FleetRehearsal) -> None:
    two_accounts(fleet)
    # The first is that of the run's question whether users can be created.
    injected_faults.refuse_next("CreateUser", "ValidationException", "no", times=2)
    failures = fleet.run()
    assert failures
    assert all("identitystore:CreateUser failed with ValidationException: no" in each for each in failures)
    assert len(fleet.usernames()) == 1


def test_somebody_elses_user_that_came_up_meanwhile_is_adopted_and_not_undone(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    with monkeypatch.context() as patch:
        on_call(patch, "CreateGroup", lambda: create_user(fleet, "alice@example.com"))
        assert fleet.run() == []
    (row,) = result_of(fleet, ACCOUNT)["users"]
    assert (
        "alice@example.com (the existing Identity Center user with that username and e-mail)" in row["reason"]
    )
    (result,) = fleet.results()
    assert fleet.undo(result) == []
    assert fleet.usernames() == {"alice@example.com"}


def test_nobody_joins_a_group_before_its_assignment_has_succeeded(fleet: FleetRehearsal) -> None:
    two_accounts(fleet)
    fleet.org.configure(assignment_seconds=0.6)
    assert fleet.run() == []
    calls = fleet.mutations()
    assigned = [each.due for each in fleet.instance.operations.values()]
    people = [call.time for call in calls if call.operation in ("CreateUser", "CreateGroupMembership")]
    assert len(assigned) == 2
    assert min(people) >= min(assigned)


def test_slots_are_never_more_than_aws_gives_and_each_assignment_is_made_once(fleet: FleetRehearsal) -> None:
    """That the slots are kept full meanwhile is for the writer's own tests, whose clock is simulated."""
    accounts = [*ACCOUNTS, "123456789012"]
    for account in accounts:
        fleet.leave(*(intents(account, f"u{number}", set_name=f"Set{number}") for number in range(8)))
    fleet.org.configure(assignment_seconds=0.4)
    assert fleet.run() == []
    refused = [call for call in fleet.mutations() if call.error_code]
    assert refused == []
    assert len(fleet.assigned()) == counted(fleet.org.calls)["CreateAccountAssignment"] == 32


def test_another_writers_requests_are_waited_for(fleet: FleetRehearsal) -> None:
    two_accounts(fleet)
    fleet.instance.quotas = Quotas(outstanding_assignments=1)
    fleet.org.configure(assignment_seconds=0.02)
    assert fleet.run() == []
    assert fleet.assigned() == WANTED


def test_changed_sets_are_provisioned_three_at_a_time_and_never_two_in_one_account(
    fleet: FleetRehearsal,
) -> None:
    names = [f"Set{number}" for number in range(5)]
    for account in ACCOUNTS[:2]:
        fleet.leave(*(intents(account, "alice", set_name=name) for name in names))
    fleet.run()
    changed = replace(readers(), managed_policies=frozenset({AUDIT}))
    for account in ACCOUNTS[:2]:
        requested = [(name, replace(changed, name=name)) for name in names]
        fleet.leave(
            *(intents(account, "alice", set_name=name, permission_set=each) for name, each in requested)
        )
    fleet.org.configure(assignment_seconds=0.2)
    assert fleet.run() == []
    calls = [call for call in fleet.mutations() if call.operation == "ProvisionPermissionSet"]
    assert len(calls) == 5
    assert [call.error_code for call in calls] == [None] * 5
    made = [each for each in fleet.instance.operations.values() if each.kind == "provisioning"]
    assert len(made) == 5
    assert all(earlier.due <= later.created for earlier, later in pairwise(made))
    assert {each.definition.managed_policies for each in fleet.instance.provisioned.values()} == {
        frozenset({AUDIT})
    }


def test_two_writers_over_one_directory(fleet: FleetRehearsal) -> None:
    two_accounts(fleet)
    who = rf"another run holds the lock: process {os.getpid()} of \S+.* for {fleet.output}"
    with exclusive(fleet.output), pytest.raises(IdentityCenterError, match=who):
        fleet.run()
    assert fleet.mutations() == []
    assert fleet.run() == []


def test_two_writers_over_two_directories_and_one_instance(fleet: FleetRehearsal, tmp_path: Path) -> None:
    two_accounts(fleet)
    other = tmp_path / "other"
    with exclusive(other, fleet.center().instance), pytest.raises(IdentityCenterError, match=f" for {other}"):
        fleet.run()
    assert fleet.mutations() == []
    assert fleet.run(dry=True) == []


def test_external_people_are_looked_up_and_the_missing_are_listed(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice", "bob", external=True))
    fleet.make_group(f"iam-{ACCOUNT}-Readers")
    join(fleet, f"iam-{ACCOUNT}-Readers", create_user(fleet, "alice@example.com"))
    assert fleet.run() == []
    assert counted(fleet.mutations()).keys() == {
        "CreatePermissionSet",
        "AttachManagedPolicyToPermissionSet",
        "CreateAccountAssignment",
    }
    rows = (fleet.output / "people-to-add.csv").read_text().splitlines()
    assert rows == [
        "userName,name.givenName,name.familyName,displayName,emails.value,emails.type,emails.primary,groups,missing",
        f"bob@example.com,bob,Example,bob,bob@example.com,work,true,iam-{ACCOUNT}-Readers,user",
    ]
    statuses = {row["user"]: row["status"] for row in result_of(fleet, ACCOUNT)["users"]}
    assert statuses == {"alice": "provisioned", "bob": "skipped"}


def test_a_cell_that_a_spreadsheet_would_run(fleet: FleetRehearsal) -> None:
    evil = replace(person("m"), display_name="=cmd|' /C calc'!A0")
    fleet.leave(replace(intents(ACCOUNT, external=True), users=(user(ACCOUNT, "m", evil),)))
    fleet.run(dry=True)
    assert "'=cmd|' /C calc'!A0" in (fleet.output / "people-to-add.csv").read_text()


def test_the_list_goes_once_nobody_is_missing(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice", external=True))
    fleet.run(dry=True)
    assert (fleet.output / "people-to-add.csv").exists()
    fleet.leave(intents(ACCOUNT, external=True))
    fleet.run(dry=True)
    assert not (fleet.output / "people-to-add.csv").exists()


def test_administrators_and_adoptions_stand_on_top_of_the_plan(fleet: FleetRehearsal) -> None:
    create_user(fleet, "alice@example.com")
    admins = replace(
        readers("Admins"), managed_policies=frozenset({"arn:aws:iam::aws:policy/AdministratorAccess"})
    )
    statement = {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    inline = replace(readers("Inline"), inline_policy=json.dumps(policy))
    fleet.leave(
        intents(ACCOUNT, "alice"),
        intents(ACCOUNT, "alice", set_name="Admins", permission_set=admins),
        intents(
            OTHER_ACCOUNT,
            set_name="Inline",
            permission_set=inline,
            users=(user(OTHER_ACCOUNT, "bob", person("bob")),),
        ),
    )
    fleet.run(dry=True)
    on_top = [line for line in fleet.said if line.startswith(("  + ", "  = "))]
    assert on_top[:3] == [
        "  + permission set Admins  ADMINISTRATOR by AdministratorAccess",
        "  + permission set Inline  ADMINISTRATOR by its inline policy",
        "  = user           alice@example.com <alice@example.com>  (exists; username and e-mail are those of user "
        f"alice of account {ACCOUNT}, by tag:Email)",
    ]
    assert f"      administrators: alice@example.com in account {ACCOUNT}" in fleet.said
    assert not any("Readers  ADMINISTRATOR" in line for line in fleet.said)
    fleet.run()
    fleet.run(dry=True)
    assert fleet.said[1] == "  = permission set Admins  ADMINISTRATOR by AdministratorAccess"


def test_names_with_slashes_are_told_apart(fleet: FleetRehearsal) -> None:
    long, short = (
        replace(person(name), username=username) for name, username in (("u1", "a/team"), ("u2", "a"))
    )
    fleet.provisioned(
        intents(ACCOUNT, users=(user(ACCOUNT, "u1", long),), group="x"),
        intents(OTHER_ACCOUNT, users=(user(OTHER_ACCOUNT, "u2", short),), group="team/x"),
    )
    assert fleet.members() == {"x": {"a/team"}, "team/x": {"a"}}
