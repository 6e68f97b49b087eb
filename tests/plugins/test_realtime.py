# SPDX-License-Identifier: Apache-2.0
"""The policies in Lambda modes that ship, on CloudTrail's events."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import zlib
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.config import Config
from c7n.cwe import CloudWatchEvents
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.policy import Policy, PolicyCollection
from c7n.resources import load_resources
from c7n.utils import reset_session_cache

from aws_local_org import LocalOrg
from aws_local_org.iam import seeding
from c7n_iamusers.entry import register
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from tests import cloudtrail_events as trail
from tests.cloudtrail_events import ACCOUNT, event
from tests.policies import policy

ROOT = Path(__file__).parents[2]
DATA = {
    each["name"]: each
    for name in ("realtime", "realtime-quarantine")
    for each in yaml.safe_load((ROOT / "policies" / f"{name}.yml").read_text())["policies"]
}
REALTIME, DENY_REMOVED, DAILY, QUARANTINE = (
    "iam-users-realtime",
    "iam-users-realtime-deny",
    "iam-users-realtime-daily",
    "iam-users-realtime-quarantine",
)
BUCKET, QUEUE = (
    "example-iam-users-realtime",
    "https://sqs.us-east-1.amazonaws.com/123456789012/iam-users-realtime",
)
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
DENY = {"userName": "bob", "policyName": DENY_ALL_NAME}
ACTIVE, INACTIVE = {"status": "Active"}, {"status": "Inactive"}


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        pytest.param(
            event(
                "CreateUser",
                trail.CONSOLE,
                {"userName": "BOB"},
                {"user": {"userName": "bob", "userId": "AIDABOB", "path": "/"}},
            ),
            ["bob", "AIDABOB"],
            id="create-user",
        ),
        pytest.param(
            event("CreateUser", trail.CONSOLE, {"userName": "bob"}, {"user": {}}),
            ["bob"],
            id="empty-answer",
        ),
        pytest.param(
            event("CreateLoginProfile", trail.CONSOLE, DENY, {"loginProfile": {"userName": "bob"}}),
            ["bob"],
            id="password",
        ),
        pytest.param(
            event("CreateAccessKey", trail.CLI, None, {"accessKey": {"userName": "alice", **ACTIVE}}),
            ["alice", "AIDAEXAMPLE"],
            id="own-key",
        ),
        pytest.param(
            event("CreateAccessKey", trail.CLI, None, None),
            ["alice", "AIDAEXAMPLE"],
            id="own-key-no-answer",
        ),
        pytest.param(
            event("CreateAccessKey", trail.CLI, {"userName": "alice"}, {"accessKey": {"userName": "alice"}}),
            ["alice", "AIDAEXAMPLE"],
            id="own-key-by-name",
        ),
        pytest.param(
            event("CreateAccessKey", trail.CLI, {"userName": "bob"}, {"accessKey": {"userName": "bob"}}),
            ["bob"],
            id="key-for-another",
        ),
        pytest.param(event("CreateAccessKey", trail.CONSOLE, None, None), [], id="no-user-at-all"),
        pytest.param(
            event("CreateAccessKey", trail.ROOT, None, {"accessKey": {"userName": "payments", **ACTIVE}}),
            [],
            id="key-of-root-is-not-the-user-of-its-alias",
        ),
        pytest.param(
            event("CreateAccessKey", trail.ROOT, {"userName": "bob"}, {"accessKey": {"userName": "bob"}}),
            ["bob"],
            id="by-root-for-a-user",
        ),
        pytest.param(
            event(
                "CreateServiceSpecificCredential",
                trail.CONSOLE,
                {"userName": "bob", "serviceName": "codecommit.amazonaws.com"},
                {"serviceSpecificCredential": {"userName": "bob"}},
            ),
            ["bob"],
            id="service-credential",
        ),
        pytest.param(
            event("UploadSSHPublicKey", trail.CLI, None, {"sSHPublicKey": {"userName": "alice"}}),
            ["alice", "AIDAEXAMPLE"],
            id="own-ssh-key",
        ),
        pytest.param(
            event("UploadSigningCertificate", trail.CONSOLE, DENY, {"certificate": {"userName": "bob"}}),
            ["bob"],
            id="certificate",
        ),
        pytest.param(
            event("UpdateLoginProfile", trail.CONSOLE, {"userName": "bob"}), ["bob"], id="new-password"
        ),
        pytest.param(
            event("UpdateLoginProfile", trail.CLI, {"userName": "alice"}),
            ["alice", "AIDAEXAMPLE"],
            id="own-new-password",
        ),
        pytest.param(
            event(
                "ResetServiceSpecificCredential",
                trail.CONSOLE,
                {"userName": "bob", "serviceSpecificCredentialId": "ACCAEXAMPLE"},
                {"serviceSpecificCredential": {"userName": "bob"}},
            ),
            ["bob"],
            id="new-secret",
        ),
        pytest.param(
            event(
                "ResetServiceSpecificCredential", trail.CLI, {"serviceSpecificCredentialId": "ACCAEXAMPLE"}
            ),
            ["alice", "AIDAEXAMPLE"],
            id="own-new-secret",
        ),
        pytest.param(
            event("UpdateServiceSpecificCredential", trail.CONSOLE, {**DENY, **ACTIVE}),
            ["bob"],
            id="secret-activated",
        ),
        pytest.param(
            event("UpdateSigningCertificate", trail.CONSOLE, {**DENY, **ACTIVE}),
            ["bob"],
            id="certificate-activated",
        ),
        pytest.param(event("UpdateAccessKey", trail.CONSOLE, {**DENY, **ACTIVE}), ["bob"], id="activated"),
        pytest.param(
            event("UpdateAccessKey", trail.CLI, ACTIVE), ["alice", "AIDAEXAMPLE"], id="own-activated"
        ),
        pytest.param(event("UpdateAccessKey", trail.CLI, {**DENY, **ACTIVE}), ["bob"], id="that-of-another"),
        pytest.param(event("UpdateAccessKey", trail.ROOT, ACTIVE), [], id="that-of-root"),
        pytest.param(event("UpdateAccessKey", trail.CLI, INACTIVE), [], id="deactivated"),
        pytest.param(
            event("UpdateSSHPublicKey", trail.CLI, ACTIVE), ["alice", "AIDAEXAMPLE"], id="ssh-key-activated"
        ),
        pytest.param(event("DeleteUserPolicy", trail.CONSOLE, DENY), ["bob"], id="deny-deleted"),
        pytest.param(event("PutUserPolicy", trail.CONSOLE, DENY), ["bob"], id="deny-overwritten"),
        pytest.param(
            event("DeleteUserPolicy", trail.CONSOLE, {"userName": "bob", "policyName": "s3"}),
            [],
            id="other-policy",
        ),
        pytest.param(
            event("DetachUserPolicy", trail.CONSOLE, {"userName": "bob", "policyArn": DENY_ALL}),
            ["bob"],
            id="deny-detached",
        ),
        pytest.param(
            event(
                "DetachUserPolicy",
                trail.CONSOLE,
                {"userName": "bob", "policyArn": DENY_ALL.replace(":aws:", ":aws-cn:", 1)},
            ),
            ["bob"],
            id="deny-detached-in-china",
        ),
        pytest.param(
            event("DetachUserPolicy", trail.CONSOLE, {"userName": "bob", "policyArn": DENY_ALL + "2"}),
            [],
            id="other-detached",
        ),
        pytest.param(
            event("DeleteUserPermissionsBoundary", trail.CONSOLE, {"userName": "bob"}),
            ["bob"],
            id="boundary-deleted",
        ),
        pytest.param(
            event("PutUserPermissionsBoundary", trail.CONSOLE, {**DENY, "permissionsBoundary": "x"}),
            ["bob"],
            id="boundary-replaced",
        ),
        pytest.param(
            event("PutUserPermissionsBoundary", trail.CONSOLE, {**DENY, "permissionsBoundary": DENY_ALL}),
            [],
            id="boundary-is-the-deny",
        ),
        pytest.param(event("DeleteAccessKey", trail.CONSOLE, DENY), [], id="not-subscribed"),
        pytest.param(
            event(
                "CreateUser",
                trail.CONSOLE,
                {"userName": "bob"},
                {"user": {"userName": "bob"}},
                eventSource="identitystore.amazonaws.com",
            ),
            [],
            id="user-of-identity-center",
        ),
    ],
)
def test_whom_an_event_is_about(given: dict[str, Any], ids: list[str]) -> None:
    found = [CloudWatchEvents.get_ids(given, DATA[name]["mode"]) for name in (REALTIME, DENY_REMOVED)]
    assert [*found[0], *found[1]] == ids


@pytest.fixture
def iam(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    s3 = org.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(
        Bucket=BUCKET, Key="exemptions.csv", Body=(ROOT / "policies" / "exemptions.csv").read_bytes()
    )
    client = org.client("iam", account_id=ACCOUNT)
    for name, path in (("bob", "/"), ("glass", "/emergency/")):
        client.create_user(UserName=name, Path=path)
    return client


def shipped(name: str, **variables: str | None) -> Policy:
    """A policy that ships, with the variables of accounts.yml, and no waiting."""
    data = deepcopy(DATA[name])
    data["mode"] |= {"delay": 0} if data["mode"]["type"] == "cloudtrail" else {}
    for action in data["actions"]:
        if "wait" in action:
            action["wait"] = 1
    load_resources(("aws.iam-user",))
    register()
    reset_session_cache()
    config = Config.empty(
        region="us-east-1",
        account_id=ACCOUNT,
        assume_role=f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian",
        output_dir=f"s3://{BUCKET}/realtime/output?region=us-east-1",
        cache_period=0,
    )
    (found,) = PolicyCollection.from_data({"policies": [data]}, config)
    accounts = yaml.safe_load((ROOT / "accounts.yml").read_text())
    known = {**accounts["vars"], **accounts["accounts"][0]["vars"], **variables}
    known = {key: value for key, value in known.items() if value is not None}
    found.expand_variables(found.get_variables(known))
    found.validate()
    return found


def now_event(name: str, who: dict[str, Any], asked: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = {"user": {"userName": asked["userName"]}} if name == "CreateUser" else None
    return event(name, who, asked, answer, datetime.now(timezone.utc).isoformat(timespec="seconds"), **more)


def name_of(given: dict[str, Any]) -> str:
    """The policy to which the event goes."""
    (name,) = (
        name
        for name in (REALTIME, DENY_REMOVED)
        if given["detail"]["eventName"] in {each["event"] for each in DATA[name]["mode"]["events"]}
    )
    return name


def push(name: str, given: dict[str, Any]) -> Any:
    found = shipped(name)
    found.push(given, None)
    return found


def sent(org: LocalOrg) -> list[dict[str, Any]]:
    found = org.client("sqs").receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(zlib.decompress(base64.b64decode(each["Body"]))) for each in found]


BOB = {"userName": "bob"}


@pytest.mark.parametrize(
    ("given", "to"),
    [
        pytest.param(
            lambda: now_event("CreateUser", trail.CONSOLE, BOB),
            ["payments-owner@example.com", "jane@example.com"],
            id="console",
        ),
        pytest.param(
            lambda: now_event("CreateAccessKey", trail.CLI, BOB), ["payments-owner@example.com"], id="cli"
        ),
        pytest.param(
            lambda: now_event(
                "CreateUser", {**trail.CONSOLE, "arn": str(trail.CONSOLE["arn"]).replace(".com", ".org")}, BOB
            ),
            ["payments-owner@example.com"],
            id="other-domain",
        ),
        pytest.param(lambda: now_event("CreateUser", trail.RUNNER, BOB), None, id="our-own-role"),
        pytest.param(lambda: now_event("CreateUser", trail.RESTORER, BOB), None, id="our-restorer"),
        pytest.param(
            lambda: now_event("CreateUser", trail.CONSOLE, BOB, errorCode="AccessDenied"), None, id="failed"
        ),
        pytest.param(lambda: now_event("CreateUser", trail.CONSOLE, {"userName": "gone"}), None, id="gone"),
        pytest.param(
            lambda: now_event("CreateUser", trail.CONSOLE, {"userName": "glass"}), None, id="exempt"
        ),
        pytest.param(lambda: now_event("DeleteUserPolicy", trail.CONSOLE, DENY), [], id="deny-removed"),
    ],
)
def test_creator_and_owner_are_addressed_once(
    org: LocalOrg, iam: Any, given: Callable[[], dict[str, Any]], to: list[str] | None
) -> None:
    about = given()
    for _ in range(2):
        push(name_of(about), about)
    messages = sent(org)
    if to is None:
        assert messages == []
        # nor is it recorded who is exempt: no announcement depends on it
        assert "Contents" not in org.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="realtime/notices/")
        return
    (message,) = messages
    (user,) = message["resources"]
    assert message["action"]["to"] == (to or ["payments-owner@example.com", "jane@example.com"])
    assert (user["UserName"], user["c7n:IamUser"]["created"]["event"]) == (
        "bob",
        about["detail"]["eventName"],
    )
    assert message["event"] is None
    assert message["action"]["subject"].startswith(
        f"payments: {about['detail']['eventName']} for 1 IAM user on "
    )


def test_no_other_role_that_looks_like_ours_is_left_out(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in trail.NO_RUNNERS.values():
        shipped(REALTIME).push(now_event("CreateAccessKey", who, BOB), None)
    assert len(sent(org)) == len(trail.NO_RUNNERS)
    monkeypatch.setattr(Interruption, "sleep", lambda *_: None)
    push(QUARANTINE, now_event("CreateUser", trail.NO_RUNNERS["path"], BOB))
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == [DENY_ALL_NAME]


@pytest.mark.parametrize("name", [REALTIME, QUARANTINE])
@pytest.mark.parametrize(
    "role",
    [
        None,
        "",
        "*",
        "role/IamUsersRemover",
        f"arn:aws:iam::{ACCOUNT}:role/IamUsersRemover",
        " IamUsersRemover",
    ],
)
def test_a_role_of_ours_that_none_can_be_is_refused(org: LocalOrg, name: str, role: str | None) -> None:
    with pytest.raises(
        PolicyValidationError,
        match=f"{name}: .*is the ARN of no role.* set runner_role and restorer_role under",
    ):
        shipped(name, runner_role=role)


def test_our_role_can_have_a_path(org: LocalOrg, iam: Any) -> None:
    found = shipped(REALTIME, runner_role="team/IamUsersRemover")
    found.push(now_event("CreateAccessKey", trail.NO_RUNNERS["path"], BOB), None)
    assert sent(org) == []


@pytest.mark.parametrize("name", [REALTIME, QUARANTINE])
def test_the_unique_id_of_our_role_can_be_compared_too(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By the lines that the policies have as comments."""
    text = (ROOT / "policies" / f"{name.removeprefix('iam-users-')}.yml").read_text()
    lines = re.sub(r"(?m)^( +)# (- type: event|  key: .+principalId|  value: .+role_id.+)$", r"\1\2", text)
    (data, *_) = yaml.safe_load(lines)["policies"]
    monkeypatch.setitem(DATA, name, data)
    monkeypatch.setattr(Interruption, "sleep", lambda *_: None)
    found = shipped(name, runner_role_id="AROACUSTODIAN")
    found.push(now_event("CreateUser", trail.RUNNER, BOB), None)
    assert sent(org) == []
    found.push(now_event("CreateUser", trail.runner(principalId="AROAANOTHER"), BOB), None)
    assert len(sent(org)) == 1


def put_deny(iam: Any, form: str) -> None:
    if form == "inline":
        iam.put_user_policy(UserName="bob", PolicyName=DENY_ALL_NAME, PolicyDocument=deny_all_document())
    elif form == "attached":
        iam.attach_user_policy(UserName="bob", PolicyArn=DENY_ALL)
    elif form == "boundary":
        iam.put_user_permissions_boundary(UserName="bob", PermissionsBoundary=DENY_ALL)


ALLOW = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
PUT = {**DENY, "policyDocument": deny_all_document()}
BOUNDARY = {"userName": "bob", "permissionsBoundary": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
AGAIN, PERHAPS = "; a Deny on everything is there again", ". If the boundary was AWSDenyAll, "


@pytest.mark.parametrize(
    ("call", "asked", "now", "said"),
    [
        pytest.param("DeleteUserPolicy", DENY, "inline", AGAIN, id="deleted-and-put-back"),
        pytest.param(
            "DetachUserPolicy", {**BOB, "policyArn": DENY_ALL}, "attached", AGAIN, id="attached-again"
        ),
        pytest.param("PutUserPolicy", {**DENY, "policyDocument": ALLOW}, "inline", AGAIN, id="overwritten"),
        pytest.param("DeleteUserPermissionsBoundary", BOB, "boundary", AGAIN, id="boundary-again"),
        pytest.param(
            "PutUserPermissionsBoundary", BOUNDARY, "boundary", AGAIN, id="boundary-replaced-for-a-while"
        ),
        pytest.param("DeleteUserPermissionsBoundary", BOB, "", PERHAPS, id="boundary-gone"),
        pytest.param("DeleteUserPermissionsBoundary", BOB, "inline", None, id="another-boundary"),
        pytest.param("PutUserPolicy", PUT, "inline", None, id="put-on"),
        pytest.param("PutUserPolicy", DENY, "attached", None, id="no-document"),
        pytest.param("PutUserPolicy", PUT, "", "", id="put-on-and-gone"),
    ],
)
def test_a_deny_that_was_removed_is_reported_although_it_is_back(
    org: LocalOrg, iam: Any, call: str, asked: dict[str, Any], now: str, said: str | None
) -> None:
    """Nor does an exemption hide it: whoever can remove the Deny can move the user to an exempt path for a while."""
    iam.update_user(UserName="bob", NewPath="/emergency/")
    put_deny(iam, now)
    push(DENY_REMOVED, now_event(call, trail.CONSOLE, asked))
    messages = sent(org)
    assert len(messages) == (said is not None)
    for each in messages:
        text = each["resources"][0]["c7n:IamUser"]["created"]["text"].partition(" UTC")[2]
        assert text.startswith(said) if said else text == ""


def test_a_credential_that_is_created_under_a_deny_is_news(org: LocalOrg, iam: Any) -> None:
    put_deny(iam, "inline")
    push(REALTIME, now_event("CreateAccessKey", trail.CONSOLE, BOB))
    assert len(sent(org)) == 1


@pytest.mark.parametrize("missing", ["", None, 7])
def test_a_call_without_an_id_is_reported_once(org: LocalOrg, iam: Any, missing: Any) -> None:
    given = now_event("CreateAccessKey", trail.CONSOLE, BOB, eventID=missing)
    if missing is None:
        del given["detail"]["eventID"]
    for each in (given, json.loads(json.dumps(given, sort_keys=True))):
        push(REALTIME, each)
    assert len(sent(org)) == 1
    # another key, created in the same second
    given["detail"]["responseElements"] = {"accessKey": {"userName": "bob", "accessKeyId": "AKIA2"}}
    push(REALTIME, given)
    assert len(sent(org)) == 1


@pytest.mark.parametrize("name", [REALTIME, DAILY])
def test_a_broken_record_silences_nothing(
    org: LocalOrg, iam: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Whoever can write one could silence all later mails."""
    broken = {
        f"{ACCOUNT}/x.json": b"{}",
        f"{ACCOUNT}/y.json": b"[" * 99_999,
        f"exempt/{ACCOUNT}/x.json": b"0",
    }
    for place, body in broken.items():
        org.client("s3").put_object(Bucket=BUCKET, Key=f"realtime/notices/{place}", Body=body)
    given = now_event("CreateAccessKey", trail.CONSOLE, BOB) if name == REALTIME else {"detail": {}}
    for _ in range(2):
        push(name, given)
    # what can be read counts, so nothing is sent twice
    (message,) = sent(org)
    assert [each["UserName"] for each in message["resources"]] == ["bob"]
    assert f"realtime/notices/{ACCOUNT}/x.json is no notice: it is of account None" in caplog.text


def test_each_call_is_news(org: LocalOrg, iam: Any) -> None:
    """Two calls in the same minute can be those of two people."""
    first = now_event("CreateAccessKey", trail.CONSOLE, BOB)
    second = now_event("CreateAccessKey", trail.CLI, BOB)
    for given in (first, second, first):
        push(REALTIME, given)
    told = [each["resources"][0]["c7n:IamUser"]["created"]["by"].rpartition("/")[2] for each in sent(org)]
    assert sorted(told) == ["alice", "jane@example.com"]


def test_a_removed_deny_is_news_although_the_user_was_reported_as_created(org: LocalOrg, iam: Any) -> None:
    removed = now_event("DeleteUserPolicy", trail.CONSOLE, DENY)
    push(REALTIME, now_event("CreateUser", trail.CONSOLE, BOB))
    push(DENY_REMOVED, removed)
    assert len(sent(org)) == 2
    names = [
        each["Key"].rpartition("Z-")[2].rpartition("-")[0]
        for each in org.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="realtime/notices/")["Contents"]
        if each["Key"].endswith(".json")
    ]
    assert sorted(names) == ["created", "deny-removed"]


def test_each_day_reports_what_no_event_did(org: LocalOrg, iam: Any) -> None:
    old = datetime.now(timezone.utc) - timedelta(days=400)
    account = org.backend("iam", ACCOUNT)
    for name in ("old", "new-key"):
        user = seeding.add_user(account, name, created=old)
        seeding.add_access_key(account, user, created=old)
    iam.create_access_key(UserName="new-key")
    push(REALTIME, now_event("CreateUser", trail.CONSOLE, BOB))
    sent(org)
    for _ in range(2):
        shipped(DAILY).push({"detail": {}}, None)
    (message,) = sent(org)
    assert [each["UserName"] for each in message["resources"]] == ["new-key"]


def exempt_by_tag(iam: Any) -> None:
    iam.tag_user(UserName="bob", Tags=[{"Key": "Purpose", "Value": "vendor"}])


def exempt_by_group(iam: Any) -> None:
    iam.create_group(GroupName="vendors")
    iam.add_user_to_group(GroupName="vendors", UserName="bob")


def nothing(iam: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("meanwhile", "status"),
    [
        pytest.param(nothing, "quarantined", id="nothing"),
        pytest.param(exempt_by_tag, "skipped", id="tag"),
        pytest.param(exempt_by_group, "skipped", id="group"),
    ],
)
def test_a_new_user_is_judged_again_after_the_wait(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Any], None], status: str
) -> None:
    rules = "tag,group,reason,expires\nPurpose=vendor,,a test,2999-12-31\n,vendors,a test,2999-12-31\n"
    org.client("s3").put_object(Bucket=BUCKET, Key="exemptions.csv", Body=rules.encode())
    waits = [300]
    monkeypatch.setattr(
        Interruption,
        "sleep",
        lambda _, seconds: meanwhile(iam) if waits and waits.pop() else None,
    )
    push(QUARANTINE, now_event("CreateUser", trail.CONSOLE, BOB))
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == (
        [DENY_ALL_NAME] if status == "quarantined" else []
    )
    (message,) = sent(org)
    assert message["resources"][0]["c7n:IamUser"]["outcome"]["status"] == status
    assert message["action"]["to"] == ["payments-owner@example.com", "jane@example.com"]


def created(iam: Any, **changed: Any) -> dict[str, Any]:
    """The event of the creation of bob, as CloudTrail writes it."""
    given = now_event("CreateUser", trail.CONSOLE, BOB)
    user = iam.get_user(UserName="bob")["User"]
    given["detail"]["responseElements"] = {"user": {"userName": "bob", "userId": user["UserId"]}}
    given["detail"].update(changed)
    return given


def test_an_event_that_is_delivered_again_quarantines_nobody_who_was_released(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Interruption, "sleep", lambda *_: None)
    given = created(iam)
    push(QUARANTINE, given)
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == [DENY_ALL_NAME]
    iam.delete_user_policy(UserName="bob", PolicyName=DENY_ALL_NAME)
    push(QUARANTINE, given)
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == []
    # an event of what happened since then counts
    later = datetime.now(timezone.utc) + timedelta(seconds=5)
    with pytest.raises(PolicyExecutionError, match="It was put in quarantine again"):
        push(QUARANTINE, created(iam, eventTime=later.isoformat()))
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == [DENY_ALL_NAME]


def test_an_event_about_an_earlier_user_of_the_name_touches_nobody(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Interruption, "sleep", lambda *_: None)
    given = created(iam)
    iam.delete_user(UserName="bob")
    iam.create_user(UserName="bob")
    for name in (QUARANTINE, REALTIME):
        push(name, given)
        push(name, created(iam, eventTime="2026-01-01T10:00:00Z"))
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == sent(org) == []


@pytest.mark.parametrize(
    ("name", "where"),
    [(REALTIME, "account"), (DENY_REMOVED, "account"), (QUARANTINE, "recipientAccountId")],
)
def test_an_event_of_another_account_touches_nobody(
    org: LocalOrg,
    iam: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    where: str,
) -> None:
    """A bus that gets the events of several accounts: this account has a user of the name too."""
    monkeypatch.setattr(Interruption, "sleep", lambda *_: None)
    given = now_event("DeleteUserPolicy", trail.CONSOLE, DENY) if name == DENY_REMOVED else created(iam)
    place = given if where == "account" else given["detail"]
    place[where] = "444455556666"
    with caplog.at_level("INFO"):
        push(name, given)
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == sent(org) == []
    assert f"nothing is done in account {ACCOUNT}: the event is of account 444455556666" in caplog.text


def rename(iam: Any) -> None:
    iam.update_user(UserName="bob", NewUserName="zoe", NewPath="/new/")


def rename_and_take_the_name(iam: Any) -> None:
    rename(iam)
    iam.create_user(UserName="bob")


@pytest.mark.parametrize(
    ("held", "when", "told"),
    [
        # whose kind is known at the beginning needs no second look
        pytest.param(["bedrock"], "before", [], id="api-key-alone"),
        pytest.param(["bedrock"], "meanwhile", ["skipped"], id="api-key-alone-meanwhile"),
        pytest.param(["bedrock", "password"], "before", ["quarantined"], id="and-a-password"),
        pytest.param(["bedrock", "password"], "meanwhile", ["quarantined"], id="and-a-password-meanwhile"),
        pytest.param(["bedrock", "access-key"], "meanwhile", ["quarantined"], id="and-an-access-key"),
        pytest.param(["codecommit"], "meanwhile", ["quarantined"], id="another-service"),
        pytest.param([], "meanwhile", ["quarantined"], id="no-credential"),
    ],
)
def test_a_user_with_only_a_bedrock_api_key_is_left_alone_whatever_its_name(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch, held: list[str], when: str, told: list[str]
) -> None:
    name = "BedrockAPIKey-ab12"
    iam.create_user(UserName=name)
    given = now_event("CreateUser", trail.CONSOLE, {"userName": name})

    def create() -> None:
        for each in held:
            if each == "password":
                iam.create_login_profile(UserName=name, Password="correct-Horse-7-battery")
            elif each == "access-key":
                iam.create_access_key(UserName=name)
            else:
                iam.create_service_specific_credential(UserName=name, ServiceName=f"{each}.amazonaws.com")

    waits = [create] if when == "meanwhile" else []
    monkeypatch.setattr(Interruption, "sleep", lambda *_: waits.pop()() if waits else None)
    if when == "before":
        create()
    push(QUARANTINE, given)
    assert waits == []
    assert [each["resources"][0]["c7n:IamUser"]["outcome"]["status"] for each in sent(org)] == told
    denied = [DENY_ALL_NAME] if told == ["quarantined"] else []
    assert iam.list_user_policies(UserName=name)["PolicyNames"] == denied


def test_a_user_is_not_spared_by_the_name_that_it_gets_later(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Interruption, "sleep", lambda *_: None)
    given = created(iam)
    iam.update_user(UserName="bob", NewUserName="BedrockAPIKey-bob")
    push(QUARANTINE, given)
    assert iam.list_user_policies(UserName="BedrockAPIKey-bob")["PolicyNames"] == [DENY_ALL_NAME]


@pytest.mark.parametrize("renaming", [rename, rename_and_take_the_name])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_new_user_that_is_renamed_is_quarantined(
    org: LocalOrg,
    iam: Any,
    monkeypatch: pytest.MonkeyPatch,
    renaming: Callable[[Any], None],
    when: str,
) -> None:
    waits = [renaming] if when == "meanwhile" else []
    monkeypatch.setattr(Interruption, "sleep", lambda *_: waits.pop()(iam) if waits else None)
    given = created(iam)
    if when == "before":
        renaming(iam)
    push(QUARANTINE, given)
    assert waits == []
    names = {each["UserName"] for each in iam.list_users()["Users"]} - {"glass"}
    denied = {each for each in names if iam.list_user_policies(UserName=each)["PolicyNames"]}
    assert (denied, names - {"bob"}) == ({"zoe"}, {"zoe"})
    (message,) = sent(org)
    (user,) = message["resources"]
    assert (user["UserName"], user["c7n:IamUser"]["outcome"]["status"]) == ("zoe", "quarantined")
    # the journal and the outcomes name the same user
    assert user["Arn"] == iam.get_user(UserName="zoe")["User"]["Arn"]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(created, id="created"),
        pytest.param(
            lambda iam: now_event(
                "CreateAccessKey",
                {
                    **trail.CLI,
                    "userName": "bob",
                    "principalId": iam.get_user(UserName="bob")["User"]["UserId"],
                },
                {},
            ),
            id="by-itself",
        ),
    ],
)
def test_a_user_that_is_renamed_is_reported(
    org: LocalOrg, iam: Any, given: Callable[[Any], dict[str, Any]]
) -> None:
    about = given(iam)
    rename_and_take_the_name(iam)
    push(REALTIME, about)
    (message,) = sent(org)
    assert [each["UserName"] for each in message["resources"]] == ["zoe"]


@pytest.mark.parametrize("when", ["there", "gone"])
def test_a_name_that_looks_like_a_unique_id_is_a_name(org: LocalOrg, iam: Any, when: str) -> None:
    """The event names a user by the unique id of bob, who has nothing to do with it."""
    name = iam.get_user(UserName="bob")["User"]["UserId"]
    iam.create_user(UserName=name)
    given = now_event("UpdateAccessKey", trail.CONSOLE, {"userName": name, **ACTIVE})
    if when == "gone":
        iam.delete_user(UserName=name)
    push(REALTIME, given)
    told = [[each["UserName"] for each in message["resources"]] for message in sent(org)]
    assert told == ([[name]] if when == "there" else [])


def test_a_user_without_an_id_in_the_event_is_reported_under_its_new_name(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = [rename]
    monkeypatch.setattr(Interruption, "sleep", lambda *_: waits.pop()(iam) if waits else None)
    push(QUARANTINE, now_event("CreateUser", trail.CONSOLE, BOB))
    (message,) = sent(org)
    (user,) = message["resources"]
    assert (user["UserName"], user["c7n:IamUser"]["outcome"]["status"]) == ("zoe", "quarantined")


def test_a_signal_ends_the_wait_and_the_process(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(interruption: Interruption, seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        interruption.check()

    monkeypatch.setattr(Interruption, "sleep", stop)
    with pytest.raises(SystemExit):
        push(QUARANTINE, now_event("CreateUser", trail.CONSOLE, BOB))
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == sent(org) == []


@pytest.mark.parametrize(
    ("sid", "status"),
    [
        pytest.param("", "quarantined", id="no-record"),
        pytest.param("x", "quarantined", id="no-record-of-ours"),
        pytest.param("Quarantined20261101T090000ZListening", "failed", id="quarantine"),
        pytest.param("Deletion20261101T090000Z", "failed", id="deletion"),
    ],
)
def test_a_deny_of_our_name_that_is_not_ours_spares_no_new_user(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch, sid: str, status: str
) -> None:
    """Whoever put it on could take it off again once the function has run."""
    monkeypatch.setattr(Interruption, "sleep", lambda *_: None)
    iam.put_user_policy(UserName="bob", PolicyName=DENY_ALL_NAME, PolicyDocument=deny_all_document(sid))
    given = created(iam)
    if status == "failed":
        with pytest.raises(PolicyExecutionError, match="no journal here shows that this tool put"):
            push(QUARANTINE, given)
    else:
        push(QUARANTINE, given)
    (message,) = sent(org)
    assert message["resources"][0]["c7n:IamUser"]["outcome"]["status"] == status
    document = iam.get_user_policy(UserName="bob", PolicyName=DENY_ALL_NAME)["PolicyDocument"]
    assert (document["Statement"][0].get("Sid", "") == sid) == (status == "failed")


def test_a_stop_file_stops_the_quarantine_in_real_time(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Interruption, "sleep", lambda *_: None)
    org.client("s3").put_object(Bucket=BUCKET, Key="realtime/quarantine-notices/STOP.txt", Body=b"")
    with pytest.raises(
        PolicyExecutionError, match=r"quarantine-notices/STOP\.txt stops every destructive action"
    ):
        push(QUARANTINE, created(iam))
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == []
    (message,) = sent(org)
    assert message["resources"][0]["c7n:IamUser"]["outcome"]["status"] == "failed"


def old_user(org: LocalOrg, iam: Any) -> dict[str, Any]:
    old = datetime.now(timezone.utc) - timedelta(days=2)
    seeding.add_user(org.backend("iam", ACCOUNT), "old", created=old)
    return now_event("CreateUser", trail.CONSOLE, {"userName": "old"})


def trusted(org: LocalOrg, iam: Any) -> dict[str, Any]:
    principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=trust)
    return now_event("CreateUser", trail.CONSOLE, BOB)


def restored(org: LocalOrg, iam: Any) -> dict[str, Any]:
    return now_event("CreateUser", trail.RUNNER, BOB)


@pytest.mark.parametrize("case", [old_user, trusted, restored])
def test_whom_the_quarantine_never_touches(
    org: LocalOrg, iam: Any, case: Callable[[LocalOrg, Any], dict[str, Any]]
) -> None:
    given = case(org, iam)
    push(QUARANTINE, given)
    assert not [each for each in org.calls if each.operation == "PutUserPolicy"]
    assert sent(org) == []


EVERYBODY = [{"type": "unnecessary", "exempt": "none"}]
LAMBDA = {
    "type": "cloudtrail",
    "packages": ["c7n_iamusers"],
    "handler": "c7n_iamusers.handler.run",
    "execution-options": {"output_dir": "s3://bucket/output"},
    "events": [{"source": "iam.amazonaws.com", "event": "CreateUser", "ids": "x"}],
}
NOTIFY = {
    "type": "notify-owners",
    "notices": "s3://bucket/notices",
    "step": "created",
    "days": 2,
    "to": ["owner@example.com"],
    "transport": {"type": "sqs", "queue": QUEUE},
}


@pytest.mark.parametrize(
    ("mode", "action", "message"),
    [
        pytest.param(
            {}, {**NOTIFY, "notices": "notices"}, "do not outlive a run in AWS Lambda", id="directory"
        ),
        pytest.param(
            {"delay": 200}, {"type": "quarantine", "wait": 300}, "take 500 seconds of the 900", id="waits"
        ),
        pytest.param(
            {"timeout": 60}, {"type": "quarantine", "wait": 31}, "lower them to 30 together", id="timeout"
        ),
        pytest.param({}, {"type": "quarantine", "noticed": 16}, "give both", id="noticed-alone"),
    ],
)
def test_what_a_lambda_cannot_do_is_refused(
    org: LocalOrg, mode: dict[str, Any], action: dict[str, Any], message: str
) -> None:
    with pytest.raises(PolicyValidationError, match=message):
        policy({"mode": {**LAMBDA, **mode}, "filters": EVERYBODY, "actions": [action]})


@pytest.mark.parametrize(
    ("region", "fits"), [("us-east-1", True), ("eu-west-1", False), ("cn-north-1", True)]
)
def test_events_of_iam_arrive_in_the_home_region_alone(org: LocalOrg, region: str, fits: bool) -> None:
    data = {"mode": LAMBDA, "filters": EVERYBODY, "actions": []}
    if fits:
        policy(data, region=region)
        return
    with pytest.raises(
        PolicyValidationError, match=r"in eu-west-1 would never run: .* arrive in us-east-1 alone"
    ):
        policy(data, region=region)


def test_an_unreadable_list_of_exemptions_touches_nobody(org: LocalOrg, iam: Any) -> None:
    org.client("s3").delete_object(Bucket=BUCKET, Key="exemptions.csv")
    with pytest.raises(PolicyExecutionError, match="can't be read"):
        push(QUARANTINE, now_event("CreateUser", trail.CONSOLE, BOB))
    assert sent(org) == []


def test_the_waits_leave_the_functions_time() -> None:
    for each in DATA.values():
        mode = each["mode"]
        assert mode.get("delay", 0) + each["actions"][0].get("wait", 0) <= mode["timeout"] / 2
