# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from c7n.exceptions import PolicyExecutionError

from aws_local_org.identity_center import injected_faults
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.interference import on_call
from tests.plugins.provisioning_rehearsal import Rehearsal

GROUP = f"iam-{ACCOUNT}-readonly"
STATEMENT = {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": "*"}


def test_several_users_with_one_address_get_nothing(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice.admin", Email="team@example.com")
    rehearsal.user("bob.readonly", Email="Team@example.com")
    rehearsal.user("carol")
    with pytest.raises(PolicyExecutionError, match="failed for 2 users"):
        rehearsal.run()
    outcomes = rehearsal.outcomes()
    assert outcomes["carol"]["status"] == "provisioned"
    assert rehearsal.mutations().count("CreateUser") == 1
    assert "give each of them a row with account, user, email" in outcomes["bob.readonly"]["reason"]


def test_several_users_of_one_person_meet_in_one(rehearsal: Rehearsal, tmp_path: Path) -> None:
    rehearsal.user("alice")
    rehearsal.user("alice-cli", Email="Alice@example.com")
    rows = [f"{ACCOUNT},{name},alice@example.com" for name in ("alice", "alice-cli")]
    (tmp_path / "people.csv").write_text("\n".join(["account,user,email", *rows]))
    outcomes = rehearsal.run(people_from=str(tmp_path / "people.csv"))
    assert {row["status"] for row in outcomes.values()} == {"provisioned"}
    assert rehearsal.mutations().count("CreateUser") == 1
    assert sorted(row["calls"] for row in outcomes.values()) == [0, 2]


def test_one_person_in_two_accounts(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.user("alice", account=OTHER_ACCOUNT)
    rehearsal.run()
    outcomes = rehearsal.run(account=OTHER_ACCOUNT)
    assert "CreateUser" not in rehearsal.mutations()
    assert "username and e-mail" in outcomes["alice"]["reason"]
    assert {account for account, _, _ in rehearsal.assigned()} == {ACCOUNT, OTHER_ACCOUNT}


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        pytest.param({"Email": ""}, "no email: tag:Email has no value", id="no-email"),
        pytest.param({"Email": "unknown"}, "is not an e-mail address", id="doubtful-email"),
    ],
)
def test_a_user_without_an_email_stops_nobody(
    rehearsal: Rehearsal, tags: dict[str, str], problem: str
) -> None:
    rehearsal.user("alice")
    rehearsal.user("robot", **tags)
    with pytest.raises(PolicyExecutionError, match="failed for 1 users"):
        rehearsal.run()
    outcomes = rehearsal.outcomes()
    assert outcomes["alice"]["status"] == "provisioned"
    assert outcomes["robot"]["status"] == "failed"
    assert outcomes["robot"]["reason"].startswith(f"user robot of account {ACCOUNT}: ")
    assert problem in outcomes["robot"]["reason"]


def test_nothing_is_created_where_nobody_can_be_provisioned(rehearsal: Rehearsal) -> None:
    rehearsal.user("robot", Email="")
    with pytest.raises(PolicyExecutionError):
        rehearsal.run()
    assert rehearsal.mutations() == []


@pytest.mark.parametrize(
    ("username", "email", "refusal"),
    [
        pytest.param(
            "alice@example.com", "mallory@example.com", "exists with an e-mail other than", id="username-only"
        ),
        pytest.param(
            "mallory", "alice@example.com", "belongs to Identity Center user mallory", id="email-only"
        ),
    ],
)
def test_somebody_elses_identity_is_not_adopted(
    rehearsal: Rehearsal, username: str, email: str, refusal: str
) -> None:
    rehearsal.create_user(username, email)
    rehearsal.user("alice")
    rehearsal.user("bob")
    with pytest.raises(PolicyExecutionError, match=refusal):
        rehearsal.run()
    assert {name: row["status"] for name, row in rehearsal.outcomes().items()} == {
        "alice": "failed",
        "bob": "provisioned",
    }
    assert rehearsal.members() == {"bob@example.com"}


def test_an_existing_identity_is_adopted_and_said(rehearsal: Rehearsal) -> None:
    rehearsal.create_user("alice@example.com", "Alice@Example.com")
    rehearsal.user("alice")
    outcomes = rehearsal.run()
    assert outcomes["alice"]["status"] == "provisioned"
    assert "the existing Identity Center user with that username and e-mail" in outcomes["alice"]["reason"]
    assert rehearsal.usernames() == {"alice@example.com"}


def test_one_failure_affects_no_other_user_and_the_next_run_continues(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.user("bob")
    injected_faults.refuse_next("CreateGroupMembership", "ValidationException", "no")
    with pytest.raises(PolicyExecutionError, match="failed for 1 users"):
        rehearsal.run()
    # whose membership AWS sees first is not told beforehand
    (failed,) = [row for row in rehearsal.outcomes().values() if row["status"] == "failed"]
    (other,) = {"alice", "bob"} - {failed["user"]}
    assert (failed["code"], failed["error"], failed["calls"]) == ("ChangeFailed", "ValidationException", 2)
    mail = f"{failed['user']}@example.com"
    assert f"user {mail} <{mail}>, which is left as it is: correct that and run again" in failed["reason"]
    assert rehearsal.members() == {f"{other}@example.com"}
    outcomes = rehearsal.run()
    assert {name: row["status"] for name, row in outcomes.items()} == {
        failed["user"]: "provisioned",
        other: "unchanged",
    }


@pytest.mark.parametrize(
    ("operation", "code", "members"),
    [
        pytest.param("CreatePermissionSet", "ConflictException", {}, id="set"),
        pytest.param("AttachManagedPolicyToPermissionSet", "ConflictException", {}, id="policy"),
        pytest.param("CreateAccountAssignment", "ConflictException", {}, id="assignment"),
        pytest.param("CreateAccountAssignment", "ResourceNotFoundException", {}, id="group-has-not-spread"),
        pytest.param(
            "CreateUser", "ConflictException", {"Reason": "UNIQUENESS_CONSTRAINT_VIOLATION"}, id="user"
        ),
        pytest.param("CreateGroupMembership", "ResourceNotFoundException", {}, id="user-has-not-spread"),
    ],
)
def test_a_write_that_has_not_spread_is_tried_again(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, operation: str, code: str, members: dict[str, str]
) -> None:
    rehearsal.user("alice")

    refused = list[str]()

    def refuse() -> None:
        if not refused:
            refused.append(operation)
            # The first CreateUser asks whether users can be created.
            times = 2 if operation == "CreateUser" else 1
            injected_faults.refuse_next(operation, code, times=times, **members)

    # Once the run has its lock, which is a permission set too.
    on_call(monkeypatch, "ListAccountAssignmentCreationStatus", refuse)
    outcomes = rehearsal.run()
    assert outcomes["alice"]["status"] == "provisioned"
    assert rehearsal.mutations().count(operation) == 2
    assert rehearsal.members() == {"alice@example.com"}


def test_external_people_are_looked_up_and_what_is_missing_is_said(rehearsal: Rehearsal) -> None:
    for name in ("alice", "bob", "carol"):
        rehearsal.user(name)
    alice = rehearsal.create_user("alice@example.com", "alice@example.com")
    rehearsal.create_user("bob@example.com", "bob@example.com")
    rehearsal.create_group("From the directory", alice)
    outcomes = rehearsal.run(identity_source="external", group="From the directory")
    assert {name: row["status"] for name, row in outcomes.items()} == {
        "alice": "provisioned",
        "bob": "skipped",
        "carol": "skipped",
    }
    assert "is not in group From the directory: ask the owner" in outcomes["bob"]["reason"]
    assert "add carol@example.com <carol@example.com> (carol)" in outcomes["carol"]["reason"]
    assert rehearsal.mutations() == [
        "CreatePermissionSet",
        "AttachManagedPolicyToPermissionSet",
        "CreateAccountAssignment",
    ]


def test_an_external_group_that_is_missing(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.create_user("alice@example.com", "alice@example.com")
    outcomes = rehearsal.run(identity_source="external", group="From the directory")
    assert outcomes["alice"]["status"] == "skipped"
    assert "there is no group From the directory" in outcomes["alice"]["reason"]
    assert rehearsal.assigned() == set()
    assert rehearsal.permission_set() is not None


def test_an_external_run_again_changes_nothing(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.create_group("d", rehearsal.create_user("alice@example.com", "alice@example.com"))
    rehearsal.run(identity_source="external", group="d")
    outcomes = rehearsal.run(identity_source="external", group="d")
    assert rehearsal.mutations() == []
    assert outcomes["alice"]["status"] == "unchanged"


@pytest.mark.parametrize("mode", ["apply", "intent"])
def test_a_user_with_the_address_of_one_that_is_not_selected(rehearsal: Rehearsal, mode: str) -> None:
    rehearsal.user("alice")
    rehearsal.user("ci-bot", Email="alice@example.com")
    rehearsal.user("carol")
    with pytest.raises(PolicyExecutionError, match="failed for 1 users"):
        rehearsal.run(mode=mode, filters=({"not": [{"UserName": "alice"}]},))
    outcomes = rehearsal.outcomes()
    assert outcomes.keys() == {"ci-bot", "carol"}
    assert outcomes["carol"]["status"] in ("provisioned", "intended")
    assert f"several IAM users of account {ACCOUNT} (alice, ci-bot)" in outcomes["ci-bot"]["reason"]
    assert "alice@example.com" not in rehearsal.usernames()


def test_a_user_with_the_address_of_one_that_a_run_served(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice.admin", Email="team@example.com")
    rehearsal.user("bob.readonly")
    rehearsal.run(filters=({"UserName": "alice.admin"},))
    rehearsal.remove_user("alice.admin")
    tag = {"Key": "Email", "Value": "team@example.com"}
    rehearsal.org.client("iam", ACCOUNT).tag_user(UserName="bob.readonly", Tags=[tag])
    with pytest.raises(PolicyExecutionError, match="failed for 1 users"):
        rehearsal.run()
    assert "alice.admin (group iam-" in rehearsal.outcomes()["bob.readonly"]["reason"]
    assert rehearsal.mutations() == []
