# SPDX-License-Identifier: Apache-2.0
"""The printed roles are what the shipped policies need: all of it, and no action that was used is too many."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from aws_local_org.enforcement import Policies, refusal
from aws_local_org.iam import seeding
from c7n_iamusers.handler import any_call
from c7n_iamusers.notices import delivery
from tests import cloudtrail_events as trail
from tests.full_users import create_full_user
from tests.policies import ACCOUNT
from tests.roles.enforced import (
    BUCKET,
    CENTER,
    DEPLOYER,
    FILES,
    FUNCTION,
    FUNCTIONS,
    MANAGEMENT,
    QUARANTINE,
    READER,
    REMOVER,
    RESTORER,
    RUNNER,
    Enforced,
    act_as,
    enforced,
    without,
)

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
KINDS = {
    READER: "member-reader",
    REMOVER: "member-remover",
    RESTORER: "member-restorer",
    CENTER: "identity-center",
    RUNNER: "runner",
    FUNCTION: "function",
    QUARANTINE: "function-2",
    DEPLOYER: "deployer",
}


def people(org: LocalOrg) -> None:
    """alice, a person, and bot, a machine, with everything that a user can have.

    carol has no e-mail address, and former is a machine that is released.
    """
    iam = create_full_user(org, "alice")
    iam.tag_user(UserName="alice", Tags=[{"Key": "Email", "Value": "alice@example.com"}])
    create_full_user(org, "bot", path="/ci/")
    iam.delete_login_profile(UserName="bot")
    iam.create_user(UserName="former")
    iam.create_access_key(UserName="former")
    iam.create_user(UserName="carol")
    iam.create_login_profile(UserName="carol", Password="correct-Horse-7-battery")


def in_organization(org: LocalOrg) -> tuple[str, ...]:
    """What binds the roles to the organization and its Identity Center: they are allowed no more by it."""
    (instance,) = org.client("sso-admin").list_instances()["Instances"]
    center = ("--instance", instance["InstanceArn"], "--identity-store", instance["IdentityStoreId"])
    return "--org-id", org.client("organizations").describe_organization()["Organization"]["Id"], *center


def test_every_shipped_policy_runs_with_exactly_these_roles(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(org)
    runs = enforced(org, tmp_path, monkeypatch, *in_organization(org))
    runs.run("flag-and-notify", READER)
    runs.run("remind", READER)  # which finds the queue busy
    monkeypatch.setattr(delivery, "APART", timedelta(0))
    org.client("sqs").purge_queue(QueueUrl=f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/c7n-mailer")
    for _ in range(2):
        time.sleep(1)  # readings of the queue have whole seconds
        runs.run("flag-and-notify", READER)
    runs.run("provision-intents", READER)
    runs.apply_intents()
    runs.run("provision", READER)
    runs.run("your-access", READER)
    runs.run("brownout", REMOVER)
    runs.run("listen", REMOVER)
    runs.run("quarantine", REMOVER)
    runs.run("attempts", READER)
    assert {
        key["Status"]
        for key in org.client("iam", ACCOUNT).list_access_keys(UserName="bot")["AccessKeyMetadata"]
    } == {"Inactive"}
    runs.run("release", RESTORER, **{"value: []": "value: [former]"})
    runs.run("delete", REMOVER)
    assert [user["UserName"] for user in org.client("iam", ACCOUNT).list_users()["Users"]] == [
        "carol",
        "former",
    ]
    runs.restore("bot", "alice")
    assert {user["UserName"] for user in org.client("iam", ACCOUNT).list_users()["Users"]} == {
        "alice",
        "bot",
        "carol",
        "former",
    }
    retire_a_key(org, runs)
    assert runs.ran == set(FILES) - set(FUNCTIONS)
    check_that_all_is_needed(runs, {RUNNER: 8, READER: 7, REMOVER: 35, RESTORER: 25, CENTER: 25})


def retire_a_key(org: LocalOrg, runs: Enforced) -> None:
    """A key of keeper that nobody uses is announced, parked and deleted; the other one stays."""
    account, long_ago = org.backend("iam", ACCOUNT), datetime.now(timezone.utc) - timedelta(days=400)
    keeper = seeding.add_user(account, "keeper", created=long_ago)
    kept = seeding.add_access_key(account, keeper).access_key_id
    seeding.add_access_key(account, keeper, created=long_ago)
    for _ in range(5):
        account.report = None  # that of some hours later
        runs.run("keys", REMOVER)
        time.sleep(1)  # readings of the queue have whole seconds
        queue = {"QueueUrl": f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/c7n-mailer"}
        for each in org.client("sqs").receive_message(**queue, MaxNumberOfMessages=10).get("Messages", ()):
            org.client("sqs").delete_message(**queue, ReceiptHandle=each["ReceiptHandle"])
    keys = org.client("iam", ACCOUNT).list_access_keys(UserName="keeper")["AccessKeyMetadata"]
    assert [key["AccessKeyId"] for key in keys] == [kept]


def forwarded(org: LocalOrg, runs: Any) -> list[Any]:
    """The messages in c7n-mailer's queue, once what the functions sent is forwarded."""
    variables = yaml.safe_load(runs.accounts.read_text())["vars"]
    places = ("--from", variables["realtime_queue_url"], "--to", variables["queue_url"])
    runs.command("forward", *places, "-c", str(runs.accounts))
    answer = org.client("sqs").receive_message(QueueUrl=variables["queue_url"], MaxNumberOfMessages=10)
    found: list[Any] = answer["Messages"]
    return found


def test_the_functions_run_with_exactly_their_role(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = enforced(org, tmp_path, monkeypatch, *in_organization(org))
    iam = org.client("iam", ACCOUNT)
    for name in ("dave", "erin"):
        create_full_user(org, name)

    def created(name: str) -> dict[str, Any]:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        user = iam.get_user(UserName=name)["User"]
        answer = {"user": {"userName": name, "userId": user["UserId"]}}
        return trail.event("CreateUser", trail.CONSOLE, {"userName": name}, answer, now)

    for _ in range(2):
        # creates them, then finds them there
        for name in FUNCTIONS:
            runs.deploy(name)
    runs.push("realtime", created("dave"))
    runs.push("realtime-quarantine", created("dave"))
    attached = iam.list_attached_user_policies(UserName="dave")["AttachedPolicies"]
    assert DENY_ALL in [each["PolicyArn"] for each in attached]
    glass = iam.create_user(UserName="glass", Path="/emergency/")["User"]
    caller = {"type": "IAMUser", "principalId": glass["UserId"], "userName": "glass", "arn": glass["Arn"]}
    runs.push("realtime-alarm", any_call(trail.event("RunInstances", caller, {}, {})))
    told = org.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"realtime/notices/{ACCOUNT}/")["Contents"]
    assert sum("-used-" in each["Key"] for each in told) == 1
    assert runs.ran == set(FUNCTIONS)
    assert len(forwarded(org, runs)) == 3
    # what the deployments left, with the notices of the functions
    runs.command(
        "report", "-s", str(runs.path / "deployed"), "--check", "--output", str(tmp_path / "report.html")
    )
    check_that_all_is_needed(runs, {FUNCTION: 5, QUARANTINE: 15, DEPLOYER: 10, RUNNER: 3})
    check_that_others_are_out_of_reach(org)
    runs.put("function", without(runs.documents["function"], "sqs:SendMessage"))
    with pytest.raises(
        (ClientError, PolicyExecutionError), match="not authorized to perform: sqs:SendMessage on"
    ):
        runs.push("realtime", created("erin"))


def test_who_takes_over_the_function_that_denies_can_do_little_more(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What docs/roles.md says of the role: whoever may change the function's code can do what it may."""
    runs = enforced(org, tmp_path, monkeypatch)
    admin, user = org.client("iam", ACCOUNT), {"UserName": "dave"}
    create_full_user(org, "dave")
    leaked = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    admin.detach_user_policy(**user, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    for arn in (leaked, DENY_ALL):
        admin.attach_user_policy(**user, PolicyArn=arn)
    # Lambda assumes it
    org.configure(enforce=False)
    act_as(boto3.Session(), QUARANTINE, monkeypatch, ExternalId="e-1")
    org.configure(enforce=True)
    iam, sts = (boto3.Session().client(service, region_name="us-east-1") for service in ("iam", "sts"))
    any_policy = json.dumps(runs.documents["runner"]["PolicyDocument"])
    other = "arn:aws:iam::aws:policy/AdministratorAccess"
    name = {**user, "PolicyName": "c7n-iamusers-deny-all"}
    refused: tuple[Callable[[], Any], ...] = (
        lambda: iam.put_user_policy(**name, PolicyDocument=any_policy),
        lambda: iam.delete_user_policy(**name),
        lambda: iam.attach_user_policy(**user, PolicyArn=other),
        lambda: iam.detach_user_policy(**user, PolicyArn=leaked),
        lambda: iam.detach_user_policy(**user, PolicyArn=DENY_ALL),
        lambda: iam.put_user_permissions_boundary(**user, PermissionsBoundary=other),
        lambda: iam.delete_user_permissions_boundary(**user),
        lambda: iam.tag_user(**user, Tags=[{"Key": "c7n-iamusers-quarantine", "Value": "x"}]),
        lambda: iam.create_access_key(**user),
        lambda: iam.delete_user(**user),
        lambda: iam.create_user(UserName="another"),
        lambda: iam.add_user_to_group(**user, GroupName="any"),
        lambda: sts.assume_role(RoleArn=REMOVER, RoleSessionName="xx", ExternalId="e-1"),
    )
    for call in refused:
        with pytest.raises(ClientError, match="not authorized to perform"):
            call()
    # it can deny users everything
    iam.attach_user_policy(**user, PolicyArn=DENY_ALL)
    iam.put_user_permissions_boundary(**user, PermissionsBoundary=DENY_ALL)


#: What `preflight` asks where policies run as functions.
ASKED_OF_FUNCTIONS = (
    *(
        "role",
        "function role",
        "trail",
        "runner_role",
        "restorer_role",
        "concurrency",
        "permissions to deploy",
    ),
    *("who may reach it", "list of exemptions"),
)


def test_owners_and_preflight_run_with_the_roles_for_setting_up(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = enforced(org, tmp_path, monkeypatch, "--setup")
    data = yaml.safe_load(runs.accounts.read_text())
    (account,) = data["accounts"]
    account |= {"role": READER, "external_id": "e-1"}
    runs.accounts.write_text(yaml.safe_dump(data))
    runs.command("owners", "-c", str(runs.accounts), "--role", CENTER)
    queue = data["vars"]["queue_url"].rpartition("/")[2]
    org.client("sqs").create_queue(QueueName=queue)
    policies = [each for name in ("flag-and-notify", "provision") for each in ("-u", f"policies/{name}.yml")]
    checks = runs.command("preflight", "-c", str(runs.accounts), *policies, "--format", "json")
    assert "identity center permissions" in {each["name"] for each in json.loads(checks)}
    function = runs.documents["function"]
    trust = json.dumps(function["AssumeRolePolicyDocument"])
    org.client("iam", ACCOUNT).update_assume_role_policy(RoleName=function["RoleName"], PolicyDocument=trust)
    account |= {"role": READER.replace("Reader", "Deployer")}
    runs.accounts.write_text(yaml.safe_dump(data))
    deploying = ("preflight", "-c", str(runs.accounts), "-u", "policies/realtime.yml", "--format", "json")
    status = {each["name"]: each["status"] for each in json.loads(runs.command(*deploying))}
    assert {name: status[name] for name in ASKED_OF_FUNCTIONS} == dict.fromkeys(ASKED_OF_FUNCTIONS, "ok")
    assert [
        call.operation for call in org.calls if call.error_code in ("AccessDenied", "AccessDeniedException")
    ] == []
    doubts = {(each["name"], each["status"]) for each in json.loads(checks) if each["status"] != "ok"}
    # one account with the shipped texts and exemptions, and no mailer
    assert doubts == {
        ("accounts", "attention"),
        ("placeholders", "attention"),
        ("exemptions", "attention"),
        ("templates", "unknown"),
    }
    runs.put("identity-center", without(runs.documents["identity-center"], "organizations:ListAccounts"))
    with pytest.raises(AssertionError, match="organizations:ListAccounts"):
        runs.command("owners", "-c", str(runs.accounts), "--role", CENTER)


def check_that_all_is_needed(runs: Enforced, least: Mapping[str, int]) -> None:
    """Nothing was denied. Without any one action that a run used, the same request is, and the error names the action.

    ``least``: role -> how many actions it used at least.
    """
    denied = [call for call in runs.org.calls if call.error_code in ("AccessDenied", "AccessDeniedException")]
    assert [(call.service, call.operation) for call in denied] == []
    for role, number in least.items():
        document = runs.documents[KINDS[role]]
        asked = list(runs.asked[role].values())
        assert len({request.action for request in asked}) >= number
        for request in asked:
            assert refusal(request, of(document)) == ""
            named = f"because no identity-based policy allows the {request.action} action"
            assert refusal(request, of(without(document, request.action))) == named


def check_that_others_are_out_of_reach(org: LocalOrg) -> None:
    """The functions' role reaches the places of its own account alone, and an administrator of the account none."""
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="admin")
    iam.attach_user_policy(UserName="admin", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.attach_role_policy(
        RoleName="IamUsersRealtime", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    key = iam.create_access_key(UserName="admin")["AccessKey"]
    admin = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], org.token)
    org.configure(enforce=False)
    sts = boto3.Session().client("sts")
    trust = {"RoleSessionName": "function", "ExternalId": "e-1"}
    assumed = sts.assume_role(RoleArn=FUNCTION, **trust)["Credentials"]
    org.configure(enforce=True)
    function = boto3.Session(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])
    own = [f"{place}/{ACCOUNT}" for place in ("notices", "output")]
    others = [f"{each.replace(ACCOUNT, '444455556666')}" for each in own]
    others += [f"{each}/{ACCOUNT}" for each in others] + ["notices/exempt/444455556666"]
    for session, within, out in ((function, own, others), (admin, [], [*own, *others])):
        s3 = session.client("s3", region_name="us-east-1")
        for place in within:
            s3.put_object(Bucket=BUCKET, Key=f"realtime/{place}/x", Body=b"")
        for place in out:
            with pytest.raises(ClientError, match="no resource-based policy allows the s3:PutObject"):
                s3.put_object(Bucket=BUCKET, Key=f"realtime/{place}/x", Body=b"")
            with pytest.raises(ClientError, match="no resource-based policy allows the s3:GetObject"):
                s3.get_object(Bucket=BUCKET, Key=f"realtime/{place}/x")
            with pytest.raises(ClientError, match="no resource-based policy allows the s3:ListBucket"):
                s3.list_objects_v2(Bucket=BUCKET, Prefix=f"realtime/{place}/")
    iam.detach_role_policy(
        RoleName="IamUsersRealtime", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )


def of(document: dict[str, Any]) -> Policies:
    return Policies((json.dumps(document["PolicyDocument"]),))


@pytest.mark.parametrize(
    ("role", "action", "policy"),
    [
        pytest.param(READER, "iam:ListAccountAliases", "flag-and-notify", id="reader"),
        pytest.param(REMOVER, "iam:GetAccountAuthorizationDetails", "quarantine", id="remover"),
        pytest.param(RUNNER, "sqs:SendMessage", "flag-and-notify", id="runner"),
        pytest.param(CENTER, "sso:ListPermissionSets", "provision", id="identity-center"),
    ],
)
def test_an_action_less_ends_the_run_with_its_name(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str, action: str, policy: str
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice", Tags=[{"Key": "Email", "Value": "alice@example.com"}])
    iam.create_access_key(UserName="alice")
    iam.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    runs = enforced(org, tmp_path, monkeypatch)
    runs.put(KINDS[role], without(runs.documents[KINDS[role]], action))
    with pytest.raises((ClientError, PolicyExecutionError), match=f"not authorized to perform: {action} on"):
        runs.run(policy, REMOVER if role == REMOVER else READER)
