# SPDX-License-Identifier: Apache-2.0
"""The policies in Lambda modes that ship, on CloudTrail's events."""

from __future__ import annotations

import base64
import json
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
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from tests import cloudtrail_events as trail
from tests.cloudtrail_events import ACCOUNT, event
from tests.event_patterns import matches, started
from tests.policies import policy

pytestmark = pytest.mark.usefixtures("functions_queue")
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
            event(
                "PutUserPermissionsBoundary", trail.CONSOLE, {"userName": "bob", "permissionsBoundary": "x"}
            ),
            ["bob"],
            id="boundary-replaced",
        ),
        pytest.param(
            event(
                "PutUserPermissionsBoundary",
                trail.CONSOLE,
                {"userName": "bob", "permissionsBoundary": DENY_ALL},
            ),
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
    found = [
        CloudWatchEvents.get_ids(given, DATA[name]["mode"])
        for name in sorted(started(given) & {REALTIME, DENY_REMOVED})
    ]
    assert found == ([ids] if ids else [] if not found else [[]])


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
    """A policy that ships, with the variables of accounts.yml."""
    data = deepcopy(DATA[name])
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


def push(name: str, given: dict[str, Any], **variables: str) -> None:
    """``given`` to a policy that ships, as EventBridge delivers it."""
    found = shipped(name, **variables)
    if found.data["mode"]["type"] != "cloudtrail" or matches(found.data["mode"], given):
        found.push(given, None)


def denied(iam: Any) -> set[str]:
    """The users under AWSDenyAll. No user has an inline policy of ours."""
    names = [user["UserName"] for user in iam.list_users()["Users"]]
    return {
        name
        for name in names
        for each in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
        if each["PolicyArn"] == DENY_ALL
    }


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
        pytest.param(
            lambda: now_event("CreateUser", trail.CONSOLE, BOB, errorCode="AccessDenied"), None, id="failed"
        ),
        pytest.param(lambda: now_event("CreateUser", trail.CONSOLE, {"userName": "gone"}), None, id="gone"),
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


def test_no_other_role_that_looks_like_ours_is_left_out(org: LocalOrg, iam: Any) -> None:
    for who in trail.NO_RUNNERS.values():
        push(REALTIME, now_event("CreateAccessKey", who, BOB))
    assert len(sent(org)) == len(trail.NO_RUNNERS)
    push(QUARANTINE, now_event("CreateUser", trail.NO_RUNNERS["path"], BOB))
    assert denied(iam) == {"bob"}


EXEMPT_BY = {
    "path": "/emergency/*",
    "user": "git-*",
    "group": "vendors",
    "tag": "Purpose=vendor",
}


def rule_by(org: LocalOrg, field: str, pattern: str) -> str:
    """Put a list with this rule alone where the functions read it; and the rule, as a mail shows it."""
    body = f"{field},reason,expires\n{pattern},a test,2999-12-31\n"
    org.client("s3").put_object(Bucket=BUCKET, Key="exemptions.csv", Body=body.encode())
    return f'{field} "{pattern}" until 2999-12-31 (a test)'


@pytest.mark.parametrize("field", EXEMPT_BY)
def test_nobody_silences_it_by_what_a_creator_chooses(org: LocalOrg, iam: Any, field: str) -> None:
    rule = rule_by(org, field, EXEMPT_BY[field])
    iam.create_group(GroupName="vendors")
    asked = {"userName": "git-backdoor"}
    iam.create_user(
        UserName="git-backdoor", Path="/emergency/x/", Tags=[{"Key": "Purpose", "Value": "vendor"}]
    )
    iam.add_user_to_group(GroupName="vendors", UserName="git-backdoor")
    given = now_event("CreateUser", trail.CONSOLE, asked)
    for name in (REALTIME, QUARANTINE, DAILY):
        push(name, given)
    told = [message["resources"] for message in sent(org)]
    assert [[each["UserName"] for each in users] for users in told][:2] == [["git-backdoor"]] * 2
    assert [users[0]["c7n:IamUser"]["would-be-exempt"] for users in told[:2]] == [rule] * 2
    assert denied(iam) == {"git-backdoor"}


def test_only_a_rule_by_unique_id_spares_and_a_recreated_name_is_a_new_user(org: LocalOrg, iam: Any) -> None:
    given = created(iam)
    rule_by(org, "unique-id", iam.get_user(UserName="bob")["User"]["UserId"])
    push(REALTIME, given)
    push(QUARANTINE, given)
    (news,) = sent(org)
    assert news["resources"][0]["c7n:IamUser"]["would-be-exempt"].startswith('unique-id "AIDA')
    assert denied(iam) == set()
    iam.delete_user(UserName="bob")
    iam.create_user(UserName="bob")
    push(QUARANTINE, created(iam))
    assert denied(iam) == {"bob"}


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
        PolicyValidationError, match=f"{name}: mode.pattern .*is no role's ARN.* set runner_role and"
    ):
        shipped(name, runner_role=role)


def test_our_role_can_have_a_path(org: LocalOrg, iam: Any) -> None:
    push(
        REALTIME,
        now_event("CreateAccessKey", trail.NO_RUNNERS["path"], BOB),
        runner_role="team/IamUsersRemover",
    )
    assert sent(org) == []


@pytest.mark.parametrize("name", [REALTIME, DENY_REMOVED])
def test_a_pattern_that_eventbridge_would_not_take_is_refused(org: LocalOrg, name: str) -> None:
    with pytest.raises(
        PolicyValidationError, match=r"pattern has \d+ characters, and EventBridge takes 2048"
    ):
        shipped(name, runner_role=f"{'a' * 500}/{'b' * 500}/{'c' * 500}/IamUsersRemover{'d' * 40}")


@pytest.mark.parametrize("name", [REALTIME, QUARANTINE])
def test_the_unique_id_of_our_role_can_be_compared_too(
    org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By the line that the policies have as a comment."""
    text = (ROOT / "policies" / f"{name.removeprefix('iam-users-')}.yml").read_text()
    (data, *_) = yaml.safe_load(text.replace("# - principalId:", "- principalId:"))["policies"]
    monkeypatch.setitem(DATA, name, data)
    ids = {"runner_role_id": "AROACUSTODIAN", "restorer_role_id": "AROARESTORER"}
    push(name, now_event("CreateUser", trail.RUNNER, BOB), **ids)
    assert sent(org) == []
    push(name, now_event("CreateUser", trail.runner(principalId="AROAANOTHER"), BOB), **ids)
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
    told = [each["UserName"] for each in message["resources"]]
    assert told == (["bob"] if name == REALTIME else ["bob", "glass"])
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
        push(DAILY, {"detail": {}})
    (message,) = sent(org)
    # glass is exempt by its path
    assert [each["UserName"] for each in message["resources"]] == ["glass", "new-key"]


def created(iam: Any, **changed: Any) -> dict[str, Any]:
    """The event of the creation of bob, as CloudTrail writes it."""
    given = now_event("CreateUser", trail.CONSOLE, BOB)
    user = iam.get_user(UserName="bob")["User"]
    given["detail"]["responseElements"] = {"user": {"userName": "bob", "userId": user["UserId"]}}
    given["detail"].update(changed)
    return given


def test_an_event_that_is_delivered_again_quarantines_nobody_who_was_released(iam: Any) -> None:
    given = created(iam)
    push(QUARANTINE, given)
    assert denied(iam) == {"bob"}
    iam.detach_user_policy(UserName="bob", PolicyArn=DENY_ALL)
    push(QUARANTINE, given)
    assert denied(iam) == set()
    # an event of what happened since then counts
    later = datetime.now(timezone.utc) + timedelta(seconds=5)
    with pytest.raises(PolicyExecutionError, match="It was put in quarantine again"):
        push(QUARANTINE, created(iam, eventTime=later.isoformat()))
    assert denied(iam) == {"bob"}


def test_an_event_about_an_earlier_user_of_the_name_touches_nobody(org: LocalOrg, iam: Any) -> None:
    given = created(iam)
    iam.delete_user(UserName="bob")
    iam.create_user(UserName="bob")
    for name in (QUARANTINE, REALTIME):
        push(name, given)
        push(name, created(iam, eventTime="2026-01-01T10:00:00Z"))
    assert (denied(iam), sent(org)) == (set(), [])


@pytest.mark.parametrize(
    ("name", "where"),
    [(REALTIME, "account"), (DENY_REMOVED, "account"), (QUARANTINE, "recipientAccountId")],
)
def test_an_event_of_another_account_touches_nobody(
    org: LocalOrg, iam: Any, caplog: pytest.LogCaptureFixture, name: str, where: str
) -> None:
    """A bus that gets the events of several accounts: this account has a user of the name too."""
    given = now_event("DeleteUserPolicy", trail.CONSOLE, DENY) if name == DENY_REMOVED else created(iam)
    place = given if where == "account" else given["detail"]
    place[where] = "444455556666"
    with caplog.at_level("INFO"):
        push(name, given)
    assert (denied(iam), sent(org)) == (set(), [])
    assert f"nothing is done in account {ACCOUNT}: the event is of account 444455556666" in caplog.text


def rename(iam: Any) -> None:
    iam.update_user(UserName="bob", NewUserName="zoe", NewPath="/new/")


def rename_and_take_the_name(iam: Any) -> None:
    rename(iam)
    iam.create_user(UserName="bob")


def trust(iam: Any) -> None:
    principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=document)


def hold_api_key(iam: Any) -> None:
    iam.create_service_specific_credential(UserName="bob", ServiceName="bedrock.amazonaws.com")


def put_own_deny(sid: str) -> Callable[[Any], None]:
    def put(iam: Any) -> None:
        iam.put_user_policy(UserName="bob", PolicyName=DENY_ALL_NAME, PolicyDocument=deny_all_document(sid))

    return put


@pytest.mark.parametrize(
    "arrange",
    [
        pytest.param(trust, id="a-role-trusts-it"),
        pytest.param(hold_api_key, id="bedrock-api-key"),
        # whoever put it on could take it off again once the function has run
        pytest.param(put_own_deny(""), id="deny-without-a-record"),
        pytest.param(put_own_deny("x"), id="deny-with-another-record"),
        pytest.param(put_own_deny("Quarantined20261101T090000ZListening"), id="forged-quarantine"),
        pytest.param(put_own_deny("Deletion20261101T090000Z"), id="forged-deletion"),
    ],
)
def test_nothing_that_a_creator_arranges_spares_a_new_user(
    org: LocalOrg, iam: Any, arrange: Callable[[Any], None]
) -> None:
    given = created(iam)
    arrange(iam)
    push(QUARANTINE, given)
    (message,) = sent(org)
    assert message["resources"][0]["c7n:IamUser"]["outcome"]["status"] == "quarantined"
    assert denied(iam) == {"bob"}


def test_use_spares_no_new_user(org: LocalOrg, iam: Any) -> None:
    given, account = created(iam), org.backend("iam", ACCOUNT)
    key = seeding.add_access_key(account, account.get_user("bob"), created=datetime.now(timezone.utc))
    seeding.set_access_key_last_used(key, datetime.now(timezone.utc), service="s3", region="us-east-1")
    push(QUARANTINE, given)
    assert denied(iam) == {"bob"}


def fill(iam: Any) -> None:
    for number in range(10):
        document = json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        )
        arn = iam.create_policy(PolicyName=f"p{number}", PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_user_policy(UserName="bob", PolicyArn=arn)


@pytest.mark.parametrize("bounded", [False, True])
def test_a_user_without_room_gets_the_deny_as_its_boundary_unless_it_has_one(
    org: LocalOrg, iam: Any, bounded: bool
) -> None:
    read_only = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    given = created(iam)
    fill(iam)
    if bounded:
        iam.put_user_permissions_boundary(UserName="bob", PermissionsBoundary=read_only)
        with pytest.raises(PolicyExecutionError, match="it has a permissions boundary"):
            push(QUARANTINE, given)
    else:
        push(QUARANTINE, given)
    boundary = iam.get_user(UserName="bob")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    assert boundary == (read_only if bounded else DENY_ALL)
    (message,) = sent(org)
    status = message["resources"][0]["c7n:IamUser"]["outcome"]["status"]
    assert status == ("failed" if bounded else "quarantined")


def test_the_record_is_in_the_bucket_and_a_release_takes_the_deny_off(iam: Any) -> None:
    push(QUARANTINE, created(iam))
    assert iam.list_user_tags(UserName="bob")["Tags"] == []
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == []
    # as release.yml names it in a comment
    text = (ROOT / "policies" / "release.yml").read_text()
    place = text.partition("# record-from: ")[2].partition("\n")[0]
    place = place.format(lambda_bucket=BUCKET, account_id=ACCOUNT)
    releasing = policy(
        {
            "filters": [{"UserName": "bob"}, {"type": "unnecessary", "exempt": "none"}],
            "actions": [{"type": "release", "record-from": place}],
        }
    )
    releasing.run()
    assert denied(iam) == set()


@pytest.mark.parametrize("renaming", [rename, rename_and_take_the_name])
def test_a_new_user_that_is_renamed_is_quarantined(
    org: LocalOrg, iam: Any, renaming: Callable[[Any], None]
) -> None:
    given = created(iam)
    renaming(iam)
    push(QUARANTINE, given)
    assert denied(iam) == {"zoe"}
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


def test_a_stop_file_stops_the_quarantine_in_real_time(org: LocalOrg, iam: Any) -> None:
    org.client("s3").put_object(Bucket=BUCKET, Key="realtime/quarantine-notices/STOP.txt", Body=b"")
    with pytest.raises(
        PolicyExecutionError, match=r"quarantine-notices/STOP\.txt stops every destructive action"
    ):
        push(QUARANTINE, created(iam))
    assert denied(iam) == set()
    (message,) = sent(org)
    assert message["resources"][0]["c7n:IamUser"]["outcome"]["status"] == "failed"


def old_user(org: LocalOrg, iam: Any) -> dict[str, Any]:
    old = datetime.now(timezone.utc) - timedelta(days=2)
    seeding.add_user(org.backend("iam", ACCOUNT), "old", created=old)
    return now_event("CreateUser", trail.CONSOLE, {"userName": "old"})


def restored(org: LocalOrg, iam: Any) -> dict[str, Any]:
    return now_event("CreateUser", trail.RESTORER, BOB)


@pytest.mark.parametrize("case", [old_user, restored])
def test_whom_the_quarantine_never_touches(
    org: LocalOrg, iam: Any, case: Callable[[LocalOrg, Any], dict[str, Any]]
) -> None:
    given = case(org, iam)
    push(QUARANTINE, given)
    assert not [each for each in org.calls if each.operation == "AttachUserPolicy"]
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
            {},
            {"type": "quarantine", "noticed": "none", "require": "none", "deny": "AWSDenyAll"},
            "give credentials: keep, and no brownout",
            id="deny-that-deactivates",
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
        PolicyValidationError, match=r"in eu-west-1 would never run: .* arrive only in us-east-1"
    ):
        policy(data, region=region)


def test_an_unreadable_list_of_exemptions_touches_nobody_and_silences_nothing(
    org: LocalOrg, iam: Any
) -> None:
    org.client("s3").delete_object(Bucket=BUCKET, Key="exemptions.csv")
    with pytest.raises(PolicyExecutionError, match="can't be read"):
        push(QUARANTINE, created(iam))
    assert (denied(iam), sent(org)) == (set(), [])
    push(REALTIME, created(iam))
    (message,) = sent(org)
    known = message["resources"][0]["c7n:IamUser"]
    assert known["would-be-exempt"] == "not known, as the exemptions can't be read"


@pytest.mark.parametrize(
    ("spare", "more", "refused"),
    [
        ("nobody", {"mode": LAMBDA}, ""),
        ("identified", {"mode": LAMBDA}, ""),
        ("identified", {}, "is for functions"),
        ("nobody", {"mode": LAMBDA, "actions": [{"type": "quarantine"}]}, "make it identified"),
        ("identified", {"mode": LAMBDA, "actions": [{"type": "composite-delete"}]}, "leave it out"),
        ("everybody", {"mode": LAMBDA}, "must be identified or nobody, not 'everybody'"),
    ],
)
def test_exemptions_are_set_aside_in_real_time_alone(
    org: LocalOrg, spare: str, more: dict[str, Any], refused: str
) -> None:
    filters = [{"type": "unnecessary", "exempt": [], "spare": spare}]
    data = {"filters": filters, "actions": [], **more}
    if refused:
        with pytest.raises(PolicyValidationError, match=refused):
            policy(data)
    else:
        policy(data)
