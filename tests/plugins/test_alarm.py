# SPDX-License-Identifier: Apache-2.0
"""The alarm where an exempt user is used whose rule says so, on CloudTrail's events, by the policies that ship."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.config import Config
from c7n.cwe import CloudWatchEvents
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.mu import CloudWatchEventSource
from c7n.policy import Policy, PolicyCollection
from c7n.resources import load_resources
from c7n.utils import reset_session_cache

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import set_password_last_used
from c7n_iamusers.entry import register
from c7n_iamusers.evidence.call_event import user_call
from c7n_iamusers.handler import any_call
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.notices.forwarding import Addressed, forwarded, packed
from c7n_iamusers.notices.notices import USED, Notice
from c7n_iamusers.plugins.use_step import FAILED_SIGN_IN, UNREAD, Used
from tests import cloudtrail_events as trail
from tests.cloudtrail_events import ACCOUNT, event
from tests.event_patterns import started
from tests.policies import policy

pytestmark = pytest.mark.usefixtures("functions_queue")
ROOT = Path(__file__).parents[2]
DATA = {
    each["name"]: each
    for each in yaml.safe_load((ROOT / "policies" / "realtime-alarm.yml").read_text())["policies"]
}
SIGN_IN, CALL, HOURLY = "iam-users-alarm-sign-in", "iam-users-alarm-call", "iam-users-alarm-hourly"
BUCKET = "example-iam-users-realtime"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/iam-users-realtime"
NOW = datetime(2026, 11, 25, 9, 40, tzinfo=timezone.utc)
LIST = (ROOT / "policies" / "exemptions.csv").read_text()


def glass(name: str = "glass", path: str = "/emergency/", **more: Any) -> dict[str, Any]:
    """The caller of an event, an IAM user."""
    arn = f"arn:aws:iam::{ACCOUNT}:user{path}{name}"
    known = {**trail.CLI, "userName": name, "arn": arn, **more}
    return {key: value for key, value in known.items() if value is not None}


def sign_in(who: Mapping[str, Any], ended: str = "Success", **more: Any) -> dict[str, Any]:
    """ConsoleLogin ("AWS Management Console sign-in events", CloudTrail User Guide). A failed one has no unique id."""
    given = event(
        "ConsoleLogin", dict(who), None, {"ConsoleLogin": ended}, eventSource="signin.amazonaws.com", **more
    )
    failed = {"errorMessage": "Failed authentication"} if ended == "Failure" else {}
    given["detail"] |= {"eventType": "AwsConsoleSignIn", "additionalEventData": {"MFAUsed": "Yes"}, **failed}
    return {**given, "detail-type": "AWS Console Sign In via CloudTrail", "source": "aws.signin"}


def call(who: Mapping[str, Any], name: str = "RunInstances", **more: Any) -> dict[str, Any]:
    return event(name, dict(who), {}, {}, eventSource="ec2.amazonaws.com", **more)


def recovery() -> dict[str, Any]:
    """That root has another password ("AWS Management Console sign-in events", CloudTrail User Guide)."""
    given = sign_in(trail.ROOT)
    given["detail"] |= {"eventName": "PasswordRecoveryCompleted", "responseElements": None}
    return given


@pytest.fixture
def iam(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A break-glass user, one that is exempt without an alarm, and one that is not exempt."""
    monkeypatch.chdir(tmp_path)
    org.client("s3").create_bucket(Bucket=BUCKET)
    put_list(org, LIST)
    client = org.client("iam", account_id=ACCOUNT)
    for name, path in (("glass", "/emergency/"), ("git-1", "/"), ("bob", "/")):
        client.create_user(UserName=name, Path=path)
    return client


def put_list(org: LocalOrg, text: str) -> None:
    org.client("s3").put_object(Bucket=BUCKET, Key="exemptions.csv", Body=text.encode())


def caller(iam: Any, name: str = "glass", **more: Any) -> dict[str, Any]:
    found = iam.get_user(UserName=name)["User"]
    return glass(name, found["Path"], **{"principalId": found["UserId"], **more})


def shipped(name: str, region: str = "us-east-1") -> Policy:
    """A policy that ships, with the variables of accounts.yml."""
    load_resources(("aws.iam-user",))
    register()
    reset_session_cache()
    config = Config.empty(
        region=region,
        account_id=ACCOUNT,
        assume_role=f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian",
        output_dir=f"s3://{BUCKET}/realtime/output?region=us-east-1",
        cache_period=0,
    )
    (found,) = PolicyCollection.from_data({"policies": [deepcopy(DATA[name])]}, config)
    accounts = yaml.safe_load((ROOT / "accounts.yml").read_text())
    found.expand_variables(found.get_variables({**accounts["vars"], **accounts["accounts"][0]["vars"]}))
    found.validate()
    return found


def push(given: dict[str, Any], region: str = "us-east-1") -> None:
    """As the handler does it in the function on whose rule the event is."""
    if given["detail"]["eventSource"] == "signin.amazonaws.com":
        shipped(SIGN_IN, region).push(given, None)
    else:
        shipped(CALL, region).push(any_call(given), None)


def sent(org: LocalOrg) -> list[dict[str, Any]]:
    found = org.client("sqs").receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(zlib.decompress(base64.b64decode(each["Body"]))) for each in found]


def texts(org: LocalOrg) -> list[str]:
    return [user["c7n:IamUser"]["used"]["text"] for each in sent(org) for user in each["resources"]]


@pytest.mark.parametrize("name", [SIGN_IN, CALL])
def test_eventbridge_delivers_what_the_policy_is_about(name: str) -> None:
    mode = DATA[name]["mode"]
    pattern = json.loads(CloudWatchEventSource(deepcopy(mode), None).render_event_pattern())
    if name == SIGN_IN:
        assert pattern["detail-type"] == ["AWS Console Sign In via CloudTrail"]
        assert pattern["detail"]["eventSource"] == ["signin.amazonaws.com"]
        assert pattern["detail"]["userIdentity"] == {"type": ["IAMUser", "Root"]}
        return
    detail = pattern["detail"]
    assert pattern["detail-type"] == ["AWS API Call via CloudTrail"]
    assert {"exists": True} in detail["eventSource"]
    assert {"exists": True} in detail["eventName"]
    assert detail["managementEvent"] == [True]
    # the shipped list has its alarm on this path
    assert detail["userIdentity"]["arn"][0] == {"wildcard": "arn:*:iam::*:user/emergency/*"}
    assert mode["environment"]["Variables"]["C7N_IAMUSERS_ANY_CALL"] == "yes"


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        pytest.param(sign_in(glass()), ["glass", "AIDAEXAMPLE"], id="sign-in"),
        pytest.param(sign_in(glass(principalId=None, arn=None), "Failure"), ["glass"], id="failed-sign-in"),
        pytest.param(sign_in(trail.ROOT), ["<root_account>"], id="sign-in-of-root"),
        pytest.param(any_call(call(trail.ASSUMED_ROOT)), ["<root_account>"], id="assumed-root"),
        pytest.param(sign_in(trail.CONSOLE), [], id="sign-in-of-a-role"),
        pytest.param(any_call(call(glass())), ["glass", "AIDAEXAMPLE"], id="call"),
        pytest.param(any_call(call(glass(), "CreateUser")), ["glass", "AIDAEXAMPLE"], id="any-call"),
        pytest.param(any_call(call(trail.CONSOLE)), [], id="call-of-a-role"),
        pytest.param(any_call({"detail": {}}), [], id="no-call"),
    ],
)
def test_whom_an_event_is_about(given: dict[str, Any], ids: list[str]) -> None:
    found = [
        CloudWatchEvents.get_ids(given, DATA[name]["mode"]) if "eventName" in given["detail"] else []
        for name in (SIGN_IN, CALL)
    ]
    assert [*found[0], *found[1]] == ids


@pytest.mark.parametrize(
    ("given", "text"),
    [
        pytest.param(
            sign_in(glass()),
            "console sign-in from 203.0.113.7 in us-east-1 on 2026-11-25 09:30 UTC",
            id="sign-in",
        ),
        pytest.param(
            sign_in(glass(), "Failure"), ", which failed: Failed authentication", id="failed-sign-in"
        ),
        pytest.param(call(glass()), "ec2 RunInstances from", id="call"),
        pytest.param(any_call(call(glass())), "ec2 RunInstances from", id="renamed-by-the-handler"),
        pytest.param(call(glass(), errorCode="AccessDenied"), ", which failed: AccessDenied", id="denied"),
        pytest.param(call(trail.CONSOLE), None, id="role"),
        pytest.param(call(trail.ROOT), "ec2 RunInstances from", id="root"),
        pytest.param(recovery(), "signin PasswordRecoveryCompleted from", id="recovery"),
        pytest.param({"detail": "x"}, None, id="no-detail"),
        pytest.param(call(glass(), eventTime=7), None, id="no-time"),
        pytest.param(None, None, id="no-event"),
    ],
)
def test_what_an_event_says(given: Any, text: str | None) -> None:
    found = user_call(given)
    assert (found is None) is (text is None)
    assert (text or "") in str(found)


def test_a_sign_in_is_told_once_to_security_and_to_the_owner(org: LocalOrg, iam: Any) -> None:
    given = sign_in(caller(iam))
    for _ in range(2):
        push(given)
    (message,) = sent(org)
    assert message["action"]["to"] == ["security@example.com", "payments-owner@example.com"]
    assert message["action"]["subject"].startswith("ALARM: payments: break-glass user glass used on ")
    (told,) = message["resources"]
    assert "console sign-in from 203.0.113.7" in told["c7n:IamUser"]["used"]["text"]
    # what c7n-mailer's own template shows
    assert "somebody may have their password or key: say so at once" in message["action"]["action_desc"]
    assert "console sign-in from" in " ".join(map(str, told.values()))
    # no announcement depends on it
    listed = org.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="realtime/notices/")["Contents"]
    assert sum("-used-" in each["Key"] for each in listed) == 1


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        pytest.param("glass", {}, 1, id="break-glass"),
        pytest.param("git-1", {}, 0, id="exempt-without-alarm"),
        pytest.param("bob", {}, 0, id="not-exempt"),
        pytest.param("glass", {"principalId": "AIDAANOTHER"}, 0, id="another-user-of-the-name"),
        pytest.param("glass", {"type": "AssumedRole"}, 0, id="role"),
    ],
)
def test_a_call_is_an_alarm_by_the_rule_of_its_caller(
    org: LocalOrg, iam: Any, name: str, more: dict[str, Any], told: int
) -> None:
    push(call({**caller(iam, name), **more}))
    assert len(texts(org)) == told


@pytest.mark.parametrize(
    ("given", "text"),
    [
        pytest.param(sign_in(trail.ROOT), "console sign-in", id="sign-in"),
        pytest.param(recovery(), "signin PasswordRecoveryCompleted", id="password-recovery"),
        pytest.param(event("CreateAccessKey", trail.ROOT, None, {}), "iam CreateAccessKey", id="new-key"),
        pytest.param(
            event("CreateLoginProfile", trail.ASSUMED_ROOT, None, {}),
            "iam CreateLoginProfile",
            id="assume-root",
        ),
    ],
)
def test_root_is_told_whatever_the_list_says(
    org: LocalOrg, iam: Any, given: dict[str, Any], text: str
) -> None:
    put_list(org, "user,reason,expires\nroot,a test,2999-12-31\n")
    assert started(given) - {"iam-users-realtime"} == {SIGN_IN if "sign" in text else CALL}
    for _ in range(2):
        push(given)
    (message,) = sent(org)
    (told,) = message["resources"]
    assert told["UserName"] == "root"
    assert told["c7n:IamUser"]["used"]["text"].startswith(text)
    assert message["action"]["subject"].startswith("ALARM: payments: break-glass user root used on ")
    accounts = {ACCOUNT: Addressed("payments", frozenset(message["action"]["to"]), ("example.com",))}
    known = {**message["action"], "account-name": "", "contact": ""}
    body = packed({**message, "action": {key: value for key, value in known.items() if value}})
    assert forwarded(body, accounts, NOW)


def test_an_event_arrives_in_the_region_of_its_call(org: LocalOrg, iam: Any) -> None:
    push(call(caller(iam), awsRegion="eu-west-1"), "eu-west-1")
    push(sign_in(caller(iam), awsRegion="eu-central-1"), "eu-central-1")
    assert [text.partition(" on ")[0][-12:] for text in texts(org)] == ["in eu-west-1", "eu-central-1"]


@pytest.mark.parametrize(
    "change", [{"NewUserName": "spark"}, {"NewPath": "/team/"}], ids=["renamed", "moved"]
)
@pytest.mark.parametrize("make", [call, sign_in])
def test_who_changes_the_user_first_is_told_of(
    org: LocalOrg, iam: Any, make: Any, change: dict[str, str]
) -> None:
    given = make(caller(iam))
    iam.update_user(UserName="glass", **change)
    push(given)
    assert len(texts(org)) == 1


@pytest.mark.parametrize(
    ("arn", "name", "path"),
    [
        pytest.param(f"arn:aws:iam::{ACCOUNT}:user/emergency/a/glass", "glass", "/emergency/a/", id="path"),
        pytest.param(f"arn:aws:iam::{ACCOUNT}:user/glass", "glass", "/", id="no-path"),
        pytest.param("", "now", "/new/", id="not-in-the-event"),
        pytest.param(f"arn:aws:iam::{ACCOUNT}:root", "now", "/new/", id="no-user"),
    ],
)
def test_the_name_and_path_that_a_caller_had(arn: str, name: str, path: str) -> None:
    now = IamUser({"UserName": "now", "Path": "/new/", "UserId": "AIDAEXAMPLE", "Arn": "arn"})
    found = user_call(call(glass(arn=arn)))
    assert found
    before = found.before(now)
    assert (before.name, before.path, before.unique_id) == (name, path, "AIDAEXAMPLE")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(LIST.replace(",use\n", ",\n"), "none of the 1 exemptions has alarm: use", id="no-alarm"),
        pytest.param(
            LIST.replace(",use\n", ",always\n"), "alarm must be use, or be left out", id="other-word"
        ),
        pytest.param("", "header", id="empty-list"),
    ],
)
def test_a_list_that_would_never_tell_is_an_error(org: LocalOrg, iam: Any, text: str, error: str) -> None:
    put_list(org, text)
    with pytest.raises(PolicyExecutionError, match=error if text else "exempt-from"):
        push(sign_in(caller(iam)))


def test_a_rule_that_has_expired_raises_no_alarm(org: LocalOrg, iam: Any) -> None:
    put_list(org, LIST.replace("2027-12-31", "2026-01-01"))
    push(sign_in(caller(iam)))
    assert texts(org) == []


def notices(*times: datetime, event_id: str = "", what: str = USED) -> Any:
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.notices.notices import Notices

    user = Subject("glass", glass()["arn"], "AIDAEXAMPLE")
    each = (
        Notice(
            *(ACCOUNT, USED, time, time.date(), ("security@example.com",), "1", CALL, (user,)),
            what={user.unique_id: what},
            event=event_id,
        )
        for time in times
    )
    return Notices(each, "notices")


RESOURCE = {"UserName": "glass", "UserId": "AIDAEXAMPLE", "Arn": glass()["arn"]}


@pytest.mark.parametrize(
    ("given", "before", "told"),
    [
        pytest.param(call(glass()), [], True, id="first-call"),
        pytest.param(call(glass()), [timedelta(minutes=59)], False, id="within-the-hour"),
        pytest.param(call(glass()), [timedelta(hours=5), timedelta(minutes=61)], True, id="after-an-hour"),
        pytest.param(sign_in(glass()), [timedelta(minutes=1)], True, id="each-sign-in"),
        pytest.param(sign_in(glass(), "Failure"), [timedelta(minutes=1)], True, id="first-failed-sign-in"),
    ],
)
def test_calls_are_told_once_an_hour(given: Any, before: list[timedelta], told: bool) -> None:
    found = Used(given).due([dict(RESOURCE)], notices(*(NOW - each for each in before)), NOW)
    assert bool(found) is told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param(sign_in(glass(), "Failure"), False, id="another-failed-one"),
        pytest.param(sign_in(glass()), True, id="sign-in"),
        pytest.param(call(glass()), True, id="call"),
    ],
)
def test_failed_sign_ins_are_told_once_an_hour_and_hide_nothing(given: Any, told: bool) -> None:
    before = notices(NOW - timedelta(minutes=1), what=FAILED_SIGN_IN)
    assert bool(Used(given).due([dict(RESOURCE)], before, NOW)) is told


def seen(hours: float, action: str = "StopLogging", **more: str) -> dict[str, str]:
    return {
        "time": (NOW - timedelta(hours=hours)).isoformat(),
        "service": "cloudtrail",
        "action": action,
        **more,
    }


FAILED = {"service": "signin", "error": "Failed authentication"}


@pytest.mark.parametrize(
    ("attempts", "told"),
    [
        pytest.param(
            [seen(1, "ConsoleLogin", **FAILED), seen(2)], "StopLogging", id="behind-a-failed-sign-in"
        ),
        pytest.param([seen(1, "ConsoleLogin", **FAILED)], "which failed: Failed auth", id="nothing-else"),
        pytest.param([seen(4)], "", id="told"),
    ],
)
def test_the_hourly_policy_tells_calls_before_failed_sign_ins(attempts: list[Any], told: str) -> None:
    user = {**RESOURCE, "c7n:IamUser": {"attempts": {"state": "attempted", "attempts": attempts}}}
    (*found,) = Used().due([user], notices(NOW - timedelta(hours=3)), NOW)
    assert [told in each.annotation["used"]["text"] for each in found] == [True] * bool(told)


def test_failed_sign_ins_that_hide_all_else_say_so() -> None:
    """250 of them end the reading of the event history, and anybody can make them."""
    heard = {"attempts": [seen(1, "ConsoleLogin", **FAILED)], "unread": ["CloudTrail has over 250 events"]}
    user = {"UserName": "glass", "UserId": "AIDAGLASS", "c7n:IamUser": {"attempts": heard}}
    (due,) = Used().due([user], notices(), NOW)
    text = due.annotation["used"]["text"]
    assert text.endswith(
        "Failed authentication. What else it did is not known: CloudTrail has over 250 events"
    )


@pytest.mark.parametrize(
    ("hours", "what", "told"),
    [
        pytest.param(None, "", True, id="first"),
        pytest.param(1, USED, True, id="after-another-alarm"),
        pytest.param(23, UNREAD, False, id="told-today"),
        pytest.param(25, UNREAD, True, id="told-yesterday"),
    ],
)
def test_what_could_not_be_read_is_told_once_a_day(hours: float | None, what: str, told: bool) -> None:
    """Role sessions of that name fill the event history too, and are nobody's attempts."""
    user = {
        **RESOURCE,
        "c7n:IamUser": {"attempts": {"attempts": [], "unread": ["over 250 events of others"]}},
    }
    before = notices() if hours is None else notices(NOW - timedelta(hours=hours), what=what)
    due = Used().due([user], before, NOW)
    assert bool(due) is told
    if due:
        text = "it is unknown whether it was used: over 250 events of others"
        assert due[0].annotation["used"]["text"] == text
        assert "glass may have been used on" in Used().subject("prod", due, True)


def test_the_hourly_policy_also_gets_whom_it_could_not_read() -> None:
    (heard,) = [each for each in DATA[HOURLY]["filters"] if each["type"] == "attempts"]
    assert heard["state"] == ["attempted", "unobservable"]


def test_an_event_is_told_once() -> None:
    given = sign_in(glass())
    known = notices(NOW - timedelta(days=1), event_id=given["detail"]["eventID"])
    assert Used(given).due([dict(RESOURCE)], known, NOW) == []


@pytest.mark.parametrize(
    ("attempted", "before", "told"),
    [
        pytest.param([3, 1], [], True, id="nobody-told"),
        pytest.param([3, 1], [2], True, id="newer-than-the-last-message"),
        pytest.param([3], [2], False, id="told-already"),
        pytest.param([], [], False, id="nothing-seen"),
    ],
)
def test_what_the_event_history_has_is_told_once(attempted: list[int], before: list[int], told: bool) -> None:
    attempts = [
        {"time": (NOW - timedelta(hours=each)).isoformat(), "service": "ec2", "action": f"Call{each}"}
        for each in attempted
    ]
    user = {**RESOURCE, "c7n:IamUser": {"attempts": {"state": "attempted", "attempts": attempts}}}
    (*found,) = Used().due([user], notices(*(NOW - timedelta(hours=each) for each in before)), NOW)
    assert bool(found) is told
    if found:
        assert f"Call{min(attempted)}" in found[0].annotation["used"]["text"]


def test_what_no_event_told_is_told_by_the_hourly_function(org: LocalOrg, iam: Any) -> None:
    iam.create_login_profile(UserName="glass", Password="correct-Horse-7-battery")
    used = datetime.now(timezone.utc) - timedelta(minutes=30)
    with org.lock:
        backend = org.backend("iam", ACCOUNT)
        set_password_last_used(backend.get_user("glass"), used)
    for _ in range(2):
        shipped(HOURLY).push({"detail": {}}, None)
    (text,) = texts(org)
    assert f"{used:%Y-%m-%d %H:%M} UTC" in text


RULE = {"path": "/emergency/*", "reason": "sealed", "expires": "2999-12-31"}
SAY = {
    "type": "notify-owners",
    "notices": "notices",
    "step": "used",
    "to": ["security@example.com"],
    "transport": {"type": "sqs", "queue": QUEUE},
}


@pytest.mark.parametrize(
    ("filters", "action", "error"),
    [
        pytest.param([{"type": "alarm"}], SAY, "alarm lacks exempt-from", id="no-list"),
        pytest.param([{"type": "alarm", "exempt": [RULE]}], SAY, "none of the 1 exemptions", id="no-alarm"),
        pytest.param([{"type": "alarm", "exempt": "none"}], SAY, "none of the 0 exemptions", id="nobody"),
        pytest.param(
            [{"type": "alarm", "exempt": [{**RULE, "alarm": "yes"}]}], SAY, "alarm must be use", id="word"
        ),
        pytest.param(
            [{"type": "unnecessary", "exempt": [RULE]}], SAY, "needs the filter alarm", id="no-filter"
        ),
        pytest.param(
            [{"type": "alarm", "exempt": [{**RULE, "alarm": "use"}]}],
            {**SAY, "days": 2},
            "has no day",
            id="days",
        ),
    ],
)
def test_a_policy_that_would_never_tell_is_refused(
    filters: list[dict[str, Any]], action: dict[str, Any], error: str
) -> None:
    with pytest.raises(PolicyValidationError, match=error):
        policy({"filters": filters, "actions": [action]})
