# SPDX-License-Identifier: Apache-2.0
"""``provision-identity-center`` with ``mode: intent`` and with ``derive``."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.bucket_store import bucket_output
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.identity_center.requests.intent_files import read_intents, write_intents
from c7n_iamusers.identity_center.requests.intents import check_intents, intents_data, readable
from c7n_iamusers.identity_center.requests.member_accounts import PERMISSIONS
from tests.access_center import ACCOUNT, READ_ONLY
from tests.desired import intents as some_intents
from tests.plugins.provisioning_rehearsal import ACTION, Rehearsal
from tests.policies import policy

GROUP = f"iam-{ACCOUNT}-readonly"
SERVICES = ("sso-admin", "identitystore", "sts")


def intents(rehearsal: Rehearsal) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((rehearsal.output / "identity-center-intents.json").read_text())
    return found


def test_intents_hold_everything_and_identity_center_is_not_called(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice", GivenName="Alice", FamilyName="Liddell")
    outcomes = rehearsal.run(mode="intent")
    assert {name: row["status"] for name, row in outcomes.items()} == {"alice": "intended"}
    (resource,) = rehearsal.resources
    assert outcomes["alice"]["unique_id"] == resource["UserId"]
    assert datetime.fromisoformat(outcomes["alice"]["time"]).tzinfo
    calls = [
        call for call in rehearsal.org.calls if call.service in SERVICES and call.operation != "AssumeRole"
    ]
    assert calls == []
    assert not any("IdentityCenterProvisioner" in str(call.parameters) for call in rehearsal.org.calls)
    found = intents(rehearsal)
    (user,) = found["users"]
    assert user.pop("unique-id").startswith("AIDA")
    assert user.pop("detail")["Arn"] == user["arn"]
    assert user["credentials"].pop("as-of")
    assert user.pop("credentials") == {
        "kinds": ["access-key"],
        "services": [],
        "unread": [],
        "problem": "",
        "mfa": False,
    }
    assert user == {
        "user": "alice",
        "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
        "person": {
            "username": "alice@example.com",
            "email": "alice@example.com",
            "given_name": "Alice",
            "family_name": "Liddell",
            "display_name": "alice",
        },
        "rests-on": "tag:Email",
        "problem": "",
        "on-file": False,
        "user-id": "",
    }
    assert (found["schema"], found["account"], found["policy"]) == (3, ACCOUNT, "under-test")
    assert (found["identity-source"], found["group"]) == ("identity-center", GROUP)
    assert found["permission-set"]["managed_policies"] == [READ_ONLY]
    age = datetime.now(timezone.utc) - datetime.fromisoformat(found["time"])
    assert abs(age.total_seconds()) < 3600
    assert (rehearsal.output / "identity-center-intents.json").stat().st_mode & 0o777 == 0o600


STATEMENT = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
ODD = {"digits": "1" * 41, "infinity": "1e400", "half-a-character": '"\\ud800"'}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("derive", [False, True], ids=["by-name", "derived"])
def test_a_policy_that_a_careful_reader_refuses_stops_nobody_else(
    derive: bool, odd: str, rehearsal: Rehearsal
) -> None:
    for name in ("alice", "mallory"):
        rehearsal.user(name)
    policy_of_alice = json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]})
    iam = rehearsal.org.client("iam", ACCOUNT)
    iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=policy_of_alice)
    backend = rehearsal.org.backend("iam", ACCOUNT)
    mallory = next(each for each in backend.users.values() if each.name == "mallory")
    mallory.policies["odd"] = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*", '
        f'"Condition": {{"NumericLessThan": {{"s3:max-keys": {ODD[odd]}}}}}}}]}}'
    )
    without: dict[str, Any] = {"group": None, "permission_set": None, "derive": True} if derive else {}
    rehearsal.run(mode="intent", **without)
    (found,) = read_intents(rehearsal.output.parent)
    assert {user.subject.name for user in found.users} == {"alice", "mallory"}
    assert rehearsal.outcomes()["alice"]["status"] == "intended"
    assert rehearsal.outcomes()["mallory"]["status"] == ("skipped" if derive else "intended")


def test_a_user_whose_intents_nobody_could_read_is_refused_alone() -> None:
    given = some_intents(ACCOUNT, "alice", "mallory")
    alice, mallory = given.users
    assert mallory.person
    long = replace(mallory, person=replace(mallory.person, email="e" * 255))
    found = readable(replace(given, users=(alice, long)))
    assert found.users[0] == alice
    assert found.users[1].person is None
    assert "it.person.email must have 3 to 254 characters, not 255" in found.users[1].problem
    check_intents(json.loads(json.dumps(intents_data(replace(found, time=datetime.now(timezone.utc))))))


def test_intents_that_nobody_could_read_are_not_written(tmp_path: Path) -> None:
    write_intents(tmp_path, some_intents(ACCOUNT, "alice"))
    before = (tmp_path / "identity-center-intents.json").read_bytes()
    with pytest.raises(IdentityCenterError, match="can't be read as intents"):
        write_intents(tmp_path, replace(some_intents(ACCOUNT, "alice"), policy="no name of a policy"))
    assert (tmp_path / "identity-center-intents.json").read_bytes() == before


def test_an_invalid_user_stands_in_the_intents_and_ends_the_policy_after_the_others(
    rehearsal: Rehearsal,
) -> None:
    rehearsal.user("alice")
    rehearsal.user("robot", Email="")
    with pytest.raises(PolicyExecutionError, match="failed for 1 users"):
        rehearsal.run(mode="intent")
    users = {user["user"]: user for user in intents(rehearsal)["users"]}
    assert users["robot"]["person"] is None
    assert "no email: tag:Email has no value" in users["robot"]["problem"]
    assert users["alice"]["problem"] == ""
    assert rehearsal.outcomes()["robot"]["status"] == "failed"


def test_the_notice_is_not_told_that_anything_was_provisioned(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.run(mode="intent")
    (resource,) = rehearsal.resources
    told = resource["c7n:IamUser"]["provisioning"]
    assert (told["status"], told["username"], told["group"]) == ("intended", "alice@example.com", GROUP)


def test_derivation_takes_along_what_the_user_may_do(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    iam = rehearsal.org.client("iam", ACCOUNT)
    iam.create_group(GroupName="team")
    iam.attach_group_policy(GroupName="team", PolicyArn=READ_ONLY)
    iam.add_user_to_group(GroupName="team", UserName="alice")
    rehearsal.run(mode="intent", derive=True, group=None, permission_set=None)
    found = intents(rehearsal)
    assert found["users"][0]["detail"]["GroupList"] == ["team"]
    assert found["groups"]["team"]["AttachedManagedPolicies"][0]["PolicyArn"] == READ_ONLY
    assert READ_ONLY in found["policies"]
    assert (found["derive"], found["permission-set"]) == ({}, None)


def test_derivation_applied_at_once_for_one_account(rehearsal: Rehearsal) -> None:
    for name in ("alice", "bob"):
        rehearsal.user(name)
        rehearsal.org.client("iam", ACCOUNT).attach_user_policy(UserName=name, PolicyArn=READ_ONLY)
    rehearsal.user("carol")
    found = rehearsal.run(derive=True, group=None, permission_set=None)
    assert {name: (row["status"], row.get("verdict")) for name, row in found.items()} == {
        "alice": ("provisioned", "equal"),
        "bob": ("provisioned", "equal"),
        "carol": ("skipped", None),
    }
    assert "carol" in found["carol"]["reason"]
    assert "has no policies" in found["carol"]["reason"]
    ((account, set_name, group),) = rehearsal.assigned()
    assert (account, rehearsal.members(group)) == (ACCOUNT, {"alice@example.com", "bob@example.com"})
    made = rehearsal.permission_set(set_name)
    assert made is not None
    assert list(made.managed_policies) == [READ_ONLY]
    rehearsal.run(derive=True, group=None, permission_set=None)
    assert rehearsal.mutations() == []


def test_what_intents_need_is_declared() -> None:
    action = {**ACTION, "mode": "intent"}
    derived = {
        key: value for key, value in action.items() if key not in ("group", "permission-set", "accept")
    }
    for each in (action, {**derived, "derive": True}):
        found = policy({"actions": [each]}).resource_manager.actions[0]
        assert found.get_permissions() == PERMISSIONS


def test_the_people_file_reaches_the_run(rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture) -> None:
    rehearsal.user("alice", Email="")
    rehearsal.user("bob", Email="")
    rehearsal.user("carol", Email="carol@example.com")
    rehearsal.output.mkdir(parents=True)
    people = rehearsal.output.parent / "people.csv"
    rows = ("alice,al,al@example.com", "bob,b,", "carol,cara,cara@example.com")
    people.write_text("account,user,username,email\n" + "".join(f"{ACCOUNT},{row}\n" for row in rows))
    with pytest.raises(PolicyExecutionError, match=r"line 3: has no email"):
        rehearsal.run(people_from=str(people))
    assert rehearsal.members() == {"al", "cara"}
    (warned,) = (each for each in caplog.messages if "rests on" in each)
    assert "carol" in warned
    assert f"{people}, line 4, against tag:Email" in warned


def test_one_region_of_an_account_leaves_intents(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    for region, leaves in (("us-west-2", False), ("us-east-1", True)):
        found = policy({"actions": [{**ACTION, "mode": "intent"}]}, rehearsal.output.parent)
        found.options["region"] = region
        found.conditions.env_vars["account"] = {"name": "payments", "regions": ["us-east-1", "us-west-2"]}
        found.expand_variables(found.get_variables())
        found.run()
        assert (rehearsal.output / "identity-center-intents.json").exists() == leaves


def run_again_without_users(rehearsal: Rehearsal) -> None:
    rehearsal.remove_user("alice")
    rehearsal.run(mode="intent")


def run_again_and_fail(rehearsal: Rehearsal) -> None:
    with pytest.raises(PolicyExecutionError):
        rehearsal.run(mode="intent", group="iam-{undefined}-readonly")


@pytest.mark.parametrize("in_bucket", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_a_later_run_that_writes_no_intents_ends_those_before_it(
    rehearsal: Rehearsal, fails: bool, in_bucket: bool
) -> None:
    rehearsal.user("alice")
    output: Store = DirectoryStore(rehearsal.output.parent)
    if in_bucket:
        rehearsal.org.client("s3").create_bucket(Bucket="outputs")
        rehearsal.url = "s3://outputs/here?region=us-east-1"
        output = bucket_output(rehearsal.url, rehearsal.org.session())
    rehearsal.run(mode="intent")
    assert [each.policy for each in read_intents(output)] == ["under-test"]
    rehearsal.run(mode="intent")
    assert [each.policy for each in read_intents(output)] == ["under-test"]
    if fails:
        run_again_and_fail(rehearsal)
        with pytest.raises(IdentityCenterError, match=r"under-test ran again at .* and wrote no intents"):
            read_intents(output)
    else:
        run_again_without_users(rehearsal)
        assert [each.users for each in read_intents(output)] == [()]
