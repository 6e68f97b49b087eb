# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

from tests.actions.provisioning_rehearsal import ACTION, MANAGEMENT, Rehearsal
from tests.identity_center import ACCOUNT

GROUP = f"iam-{ACCOUNT}-readonly"
STATEMENT = {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": "*"}


def test_two_people_get_their_access(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice", GivenName="Alice", FamilyName="Liddell")
    rehearsal.user("bob")
    outcomes = rehearsal.run()
    assert {name: row["status"] for name, row in outcomes.items()} == {
        "alice": "provisioned",
        "bob": "provisioned",
    }
    assert rehearsal.mutations() == [
        "CreatePermissionSet",
        "AttachManagedPolicyToPermissionSet",
        "CreateGroup",
        "CreateAccountAssignment",
        "CreateUser",
        "CreateGroupMembership",
        "CreateUser",
        "CreateGroupMembership",
    ]
    assert rehearsal.members() == {"alice@example.com", "bob@example.com"}
    assert rehearsal.assigned() == {(ACCOUNT, "IamMigratedReadOnly", GROUP)}


def test_a_second_run_changes_nothing(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    inline = {"Version": "2012-10-17", "Statement": [STATEMENT]}
    wanted = {**ACTION["permission-set"], "inline-policy": inline}
    rehearsal.run(permission_set=wanted)
    lines = len(rehearsal.journal())
    outcomes = rehearsal.run(permission_set=wanted)
    assert rehearsal.mutations() == []
    assert len(rehearsal.journal()) == lines
    assert (outcomes["alice"]["status"], outcomes["alice"]["calls"]) == ("unchanged", 0)


def test_shared_state_is_read_once_and_people_by_two_calls_each(rehearsal: Rehearsal) -> None:
    names = [f"user-{number}" for number in range(12)]
    for name in names:
        rehearsal.user(name)
    rehearsal.run()
    rehearsal.run()
    reads = [call.operation for call in rehearsal.org.calls if call.service in ("sso-admin", "identitystore")]
    assert reads.count("GetUserId") == reads.count("DescribeUser") == len(names)
    assert len(reads) - 2 * len(names) <= 20


def test_the_outcome_stands_on_the_resource_for_the_notice(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.run()
    (resource,) = rehearsal.resources
    told = resource["c7n:IamUser"]["provisioning"]
    assert told.pop("reason").startswith("alice@example.com (a new Identity Center user) is in group")
    assert told == {
        "status": "provisioned",
        "username": "alice@example.com",
        "email": "alice@example.com",
        "group": GROUP,
        "permission-set": "IamMigratedReadOnly",
        "start-url": f"https://{rehearsal.instance.store.id}.awsapps.com/start",
    }


def test_every_change_is_journaled_before_and_after(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.run()
    lines = rehearsal.journal()
    assert [line["operation"] for line in lines if line["phase"] == "before"] == rehearsal.mutations()
    assert {line["result"] for line in lines if line["phase"] == "after"} == {"done"}
    assert {line["arn"] for line in lines} == {
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:iam::{ACCOUNT}:user/alice",
    }


def test_the_role_is_assumed_by_the_runner_and_not_by_the_member_role(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.run()
    assumed = [call for call in rehearsal.org.calls if call.operation == "AssumeRole"]
    into_management = [call for call in assumed if MANAGEMENT in call.parameters["RoleArn"]]
    assert [call.account for call in into_management] == [MANAGEMENT]


def test_the_runs_own_session_where_no_role_is_given(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice", account=MANAGEMENT)
    outcomes = rehearsal.run(account=MANAGEMENT, role=None)
    assert outcomes["alice"]["status"] == "provisioned"
    assert {call.account for call in rehearsal.org.calls if call.service == "sso-admin"} == {MANAGEMENT}


def test_outcomes_of_an_earlier_run_are_kept(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.run()
    rehearsal.run()
    (row,) = json.loads((rehearsal.output / "outcomes.json").read_text())
    assert [row["status"], *(earlier["status"] for earlier in row["history"])] == ["unchanged", "provisioned"]
