# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyValidationError

from aws_local_org import LocalOrg, scripted_events
from c7n_iamusers.evidence.attempted_calls import Gap, gaps_of
from c7n_iamusers.execution.calls import AFTER, BEFORE, Subject
from c7n_iamusers.execution.journal import Journal
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.reasons import NOT_IN_QUARANTINE
from tests.interference import deny, on_call
from tests.plugins.deletions import NAME, outcomes, user_names
from tests.policies import ACCOUNT, policy
from tests.used_permissions import run_within_permissions

EC2 = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}
)
SINCE = datetime.now(timezone.utc) - timedelta(days=3)


@pytest.fixture
def iam(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Alice is under a Deny and keeps her key, Bob's is deactivated, Carol is in no quarantine."""
    monkeypatch.setattr("c7n_iamusers.evidence.event_history.PER_SECOND", 1000)
    client = org.client("iam", ACCOUNT)
    for name in ("alice", "bob", "carol"):
        client.create_user(UserName=name)
        client.put_user_policy(UserName=name, PolicyName="ec2", PolicyDocument=EC2)
        key = client.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
        if name != "carol":
            quarantine(client, name, key if name == "bob" else "")
    return client


def quarantine(
    client: Any, name: str, deactivated: str = "", mode: str = "", since: str = f"{SINCE:%Y%m%dT%H%M%SZ}"
) -> None:
    sid = f"Quarantined{since}{mode}" + (f"x{deactivated}" if deactivated else "")
    document = deny_all_document(sid)
    client.put_user_policy(UserName=name, PolicyName=DENY_ALL_NAME, PolicyDocument=document)
    if deactivated:
        client.update_access_key(UserName=name, AccessKeyId=deactivated, Status="Inactive")


def answers(output: Path, **options: Any) -> dict[str, dict[str, Any]]:
    """User name -> the annotation, of the users that the filter selects."""
    given = {"type": "attempts", **{key.replace("_", "-"): value for key, value in options.items()}}
    found = run_within_permissions(policy({"filters": [given]}, output))
    return {resource["UserName"]: resource["c7n:IamUser"]["attempts"] for resource in found}


def test_the_states(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    before = answers(tmp_path)
    assert {name: each["state"] for name, each in before.items()} == {
        "alice": "quiet",
        "bob": "unobservable",
        "carol": "unobservable",
    }
    assert before["bob"]["not_recorded"] == [
        "1 of its credentials are deactivated, and AWS may not record attempts with them"
    ]
    assert "not in quarantine: " in before["carol"]["unread"][0]
    scripted_events.attempt(org, ACCOUNT, "alice", "ec2:RunInstances", "eu-west-1")
    (name,) = heard = answers(tmp_path, state=["attempted"])
    assert name == "alice"
    assert heard["alice"]["attempts"][0] | {"time": ""} == {
        "source": "cloudtrail",
        "time": "",
        "service": "ec2",
        "action": "RunInstances",
        "region": "eu-west-1",
        "address": "203.0.113.7",
        "error": "AccessDenied",
    }
    assert heard["alice"]["quarantined"]
    assert heard["alice"]["since"] == SINCE.replace(microsecond=0).isoformat()


@pytest.mark.parametrize("later", ["journal", "statement-id"])
def test_who_writes_a_later_time_hides_no_attempt(
    org: LocalOrg, iam: Any, tmp_path: Path, later: str
) -> None:
    """The earlier of the two counts: a forged journal beside the Deny, or another statement id beside the journal."""
    begun = {"journal": SINCE, "statement-id": SINCE} | {later: SINCE + timedelta(days=2)}
    (key,) = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    quarantine(iam, "alice", since=f"{begun['statement-id']:%Y%m%dT%H%M%SZ}")
    time = (SINCE + timedelta(days=1)).isoformat()
    scripted_events.attempt(org, ACCOUNT, "alice", "ec2:RunInstances", "eu-west-1", time=time)
    alice = iam.get_user(UserName="alice")["User"]
    subject = Subject("alice", alice["Arn"], alice["UserId"])
    record = QuarantineRecord(begun["journal"].replace(microsecond=0), "p", "r", (key["AccessKeyId"],))
    given = {"UserName": "alice", "AccessKeyId": key["AccessKeyId"], "Status": "Inactive"}
    call = {"service": "iam", "operation": "UpdateAccessKey", "parameters": given}
    (tmp_path / "other").mkdir()
    with Journal(tmp_path / "other" / "journal.jsonl", lambda: begun["journal"]) as journal:
        journal.write(subject, "quarantine", record=record.as_data())
        journal.write(subject, BEFORE, **call, notes={})
        journal.write(subject, AFTER, **call, result="done")
    found = answers(tmp_path)["alice"]
    assert (found["state"], found["since"]) == ("attempted", SINCE.replace(microsecond=0).isoformat())


def test_a_region_that_is_not_read_is_not_quiet(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    scripted_events.attempt(org, ACCOUNT, "alice", "ec2:RunInstances", "eu-west-1")
    found = answers(tmp_path, regions=["us-east-1"])["alice"]
    assert found["state"] == "unobservable"
    assert found["unread"] == ["CloudTrail was not read in eu-west-1, us-west-2"]


def test_no_region_at_all_is_not_quiet(iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c7n_iamusers.plugins.attempts.enabled_regions", lambda *_: ())
    found = answers(tmp_path)["alice"]
    assert (found["state"], found["unread"]) == ("unobservable", ["CloudTrail was read in no Region"])


def test_a_user_of_whom_no_source_answers_is_not_quiet(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("c7n_iamusers.plugins.attempts.read_events", lambda *_: {})
    found = answers(tmp_path)["alice"]
    assert (found["state"], found["unread"]) == (
        "unobservable",
        ["no source says that it has every call of the whole time"],
    )


def test_a_quarantine_before_the_calendar_is_none_and_stops_no_other_user(iam: Any, tmp_path: Path) -> None:
    quarantine(iam, "carol", since="00010101T000000Z")
    found = answers(tmp_path)
    assert (found["alice"]["state"], found["carol"]["state"]) == ("quiet", "unobservable")
    assert "not in quarantine: " in found["carol"]["unread"][0]


def test_a_failure_that_no_one_expects_is_one_users(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(user: IamUser, *rest: Any) -> Iterator[Gap]:
        if user.name == "bob":
            raise OverflowError("date value out of range")
        return gaps_of(user, *rest)

    monkeypatch.setattr("c7n_iamusers.plugins.attempts.gaps_of", failing)
    found = answers(tmp_path)
    assert (found["alice"]["state"], found["bob"]["state"]) == ("quiet", "unobservable")
    assert "OverflowError('date value out of range')" in found["bob"]["unread"][0]
    assert "attempts: user bob of account 111122223333: could not be read: OverflowError" in caplog.text


def test_a_role_that_was_assumed_before_the_quarantine_is_not_quiet(
    org: LocalOrg, iam: Any, tmp_path: Path
) -> None:
    before = (SINCE - timedelta(hours=1)).isoformat()
    iam.delete_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)
    scripted_events.attempt(org, ACCOUNT, "alice", "sts:AssumeRole", "eu-west-1", time=before)
    quarantine(iam, "alice")
    found = answers(tmp_path)["alice"]
    assert (found["state"], found["unread"]) == ("unobservable", [])
    assert "it had a session by AssumeRole in eu-west-1" in found["not_recorded"][0]


@pytest.mark.parametrize(
    ("operation", "unread"),
    [
        pytest.param("LookupEvents", "CloudTrail in us-east-1 could not be read (AccessDenied)", id="events"),
        pytest.param("DescribeRegions", "it is unknown which Regions are enabled", id="regions"),
        pytest.param("GetAccessKeyLastUsed", "it could not be read", id="keys"),
    ],
)
def test_what_is_denied_is_unread(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, unread: str
) -> None:
    deny(monkeypatch, operation)
    found = answers(tmp_path)["alice"]
    assert found["state"] == "unobservable"
    assert any(unread in each for each in found["unread"])


def test_last_uses_alone_are_never_quiet(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    iam.delete_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)
    before = answers(tmp_path, since=1, sources=["last-used"])["alice"]
    assert (before["state"], before["unread"]) == ("unobservable", ["CloudTrail is not among the sources"])
    scripted_events.attempt(org, ACCOUNT, "alice", "s3:GetObject")  # CloudTrail has no event of it
    (heard,) = answers(tmp_path, since=1)["alice"]["attempts"]
    assert (heard["source"], heard["service"]) == ("last-used", "s3")


def test_a_source_that_can_not_be_read_is_unread(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, "GenerateServiceLastAccessedDetails")
    found = answers(tmp_path, sources=["cloudtrail", "service-last-accessed"])["alice"]
    assert found["state"] == "unobservable"
    assert "it could not be read" in found["unread"][0]


def test_service_last_accessed(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    scripted_events.attempt(org, ACCOUNT, "alice", "ec2:RunInstances", "eu-west-1")
    (heard,) = answers(tmp_path, sources=["service-last-accessed"])["alice"]["attempts"]
    assert (heard["source"], heard["service"]) == ("service-last-accessed", "ec2")


def test_users_outside_quarantine_cost_no_calls_of_their_own(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    for name in ("alice", "bob"):
        iam.delete_user_policy(UserName=name, PolicyName=DENY_ALL_NAME)
    org.clear_calls()
    answers(tmp_path)
    assert not [
        each for each in org.calls if each.operation in ("GetUser", "LookupEvents", "DescribeRegions")
    ]


def test_the_annotation_is_in_the_resources(iam: Any, tmp_path: Path) -> None:
    answers(tmp_path)
    resources = json.loads((tmp_path / NAME / "resources.json").read_text())
    assert {each["c7n:IamUser"]["attempts"]["state"] for each in resources} == {"quiet", "unobservable"}


PROVEN = {"type": "composite-delete", "quiet": "proven", "quarantined-for": 14}


class Killed(BaseException):
    """The end of a process."""


def deleting(output: Path, quiet: str, **options: Any) -> dict[str, str]:
    """User name -> status and reason."""
    filters = [{"type": "unnecessary", "exempt": "none"}, {"type": "attempts"}]
    action = {"type": "composite-delete", "quiet": quiet, "quarantined-for": 2, **options}
    run_within_permissions(policy({"filters": filters, "actions": [action]}, output))
    return {name: f"{row['status']}: {row['reason']}" for name, row in outcomes(output).items()}


def test_deletion_spares_who_was_heard_and_accepts_who_is_deaf_in_writing(
    org: LocalOrg, iam: Any, tmp_path: Path
) -> None:
    quarantine(iam, "carol")
    # Alice keeps her key, and a quarantine that deletes has all of them inactive.
    for name in ("alice", "carol"):
        (key,) = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
        scripted_events.attempt(org, ACCOUNT, "alice", "ec2:RunInstances") if name == "alice" else None
        quarantine(iam, name, key["AccessKeyId"])
    proven = deleting(tmp_path, "proven")
    assert proven["alice"].startswith("skipped: calls since ")
    assert proven["bob"].startswith(
        "skipped: nothing proves that it is unused: 1 of its credentials are deactiv"
    )
    found = deleting(tmp_path, "none-seen")
    assert found["alice"] == proven["alice"]
    assert user_names(iam) == ["alice"]


def test_what_was_not_read_is_not_accepted(iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, "LookupEvents")
    assert "CloudTrail in us-east-1 could not be read" in deleting(tmp_path, "none-seen")["bob"]
    assert len(user_names(iam)) == 3


def test_a_deletion_that_was_killed_after_it_lifted_the_deny_is_completed(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alice", "bob", "carol"):
        iam.delete_user_policy(UserName=name, PolicyName=DENY_ALL_NAME) if name != "carol" else None
    acts = {"name": "parking", "actions": [{"type": "quarantine"}]}
    filters = [{"type": "unnecessary", "exempt": "none"}, {"UserName": "bob"}]
    policy({**acts, "filters": filters}, tmp_path).run()

    def kill() -> None:
        raise Killed

    with monkeypatch.context() as patched:
        on_call(patched, "DeleteUser", kill)
        with pytest.raises(Killed):
            deleting(tmp_path, "none-seen", **{"quarantined-for": 1e-9})
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == []
    assert deleting(tmp_path, "none-seen", **{"quarantined-for": 1e-9})["bob"].startswith("deleted")


def test_a_renamed_user_is_still_heard(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    scripted_events.attempt(org, ACCOUNT, "alice", "ec2:RunInstances", "eu-west-1")
    iam.update_user(UserName="alice", NewUserName="alicia")
    assert deleting(tmp_path, "none-seen")["alicia"].startswith("skipped: calls since ")


def test_a_second_filter_does_not_shorten_the_silence(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    quarantine(iam, "alice", mode="Listening")
    two_days_ago = (SINCE + timedelta(days=1)).isoformat()
    scripted_events.attempt(org, ACCOUNT, "alice", "ec2:RunInstances", "eu-west-1", time=two_days_ago)
    filters = [
        *({"type": "unnecessary", "exempt": "none"}, {"type": "attempts"}),
        {"or": [{"type": "attempts", "since": 1}]},
    ]
    action = {"type": "composite-delete", "quiet": "proven", "quarantined-for": 2}
    policy({"filters": filters, "actions": [action]}, tmp_path).run()
    assert "the filter attempts covers calls since" in outcomes(tmp_path)["alice"]["reason"]
    assert "alice" in user_names(iam)


NONE = NOT_IN_QUARANTINE().text


@pytest.mark.parametrize(
    ("rows", "earlier"),
    [
        pytest.param([("skipped", "not announced", 1), ("skipped", "active", 2)], "active", id="the-latest"),
        pytest.param([("skipped", "active", 1), ("released", "", 2)], None, id="released-since"),
        pytest.param([("skipped", NONE, 2), ("skipped", "active", 1)], "active", id="says-more"),
        pytest.param([("skipped", "active", 2), (None, "", 1)], None, id="unreadable"),
    ],
)
def test_why_a_user_is_in_no_quarantine_is_told_by_the_policy_that_left_it(
    iam: Any, tmp_path: Path, rows: list[tuple[str | None, str, int]], earlier: str | None
) -> None:
    carol = iam.get_user(UserName="carol")["User"]
    for number, (status, reason, day) in enumerate(rows):
        beside = tmp_path / f"before-{number}"
        beside.mkdir()
        (beside / "journal.jsonl").touch()
        row = {"arn": carol["Arn"], "unique_id": carol["UserId"], "status": status, "reason": reason}
        row["code"] = "NotInQuarantine" if reason == NONE else "Active"
        row["time"] = f"2026-11-0{day}T00:00:00+00:00"
        (beside / "outcomes.json").write_text(json.dumps([row]) if status else "[")
    action = {"type": "composite-delete", "quiet": "none-seen", "quarantined-for": 2}
    filters = [{"UserName": "carol"}, {"type": "unnecessary", "exempt": "none"}, {"type": "attempts"}]
    (found,) = policy({"filters": filters, "actions": [action]}, tmp_path).run()
    told = found["c7n:IamUser"]["outcome"]
    assert (told["reason"], told.get("earlier")) == (NONE, earlier)


@pytest.mark.parametrize(
    "filters",
    [
        pytest.param([], id="none"),
        pytest.param([{"type": "attempts", "since": 30}], id="other-window"),
        pytest.param([{"not": [{"type": "attempts"}]}], id="nested"),
    ],
)
def test_quiet_rests_on_the_filter(org: LocalOrg, tmp_path: Path, filters: list[Any]) -> None:
    whole = [{"type": "unnecessary", "exempt": "none"}, *filters]
    with pytest.raises(PolicyValidationError, match="quiet needs the filter attempts with since: quarantine"):
        policy({"filters": whole, "actions": [PROVEN]}, tmp_path)


def test_the_filter_comes_after_unnecessary(org: LocalOrg, tmp_path: Path) -> None:
    whole = [{"type": "attempts"}, {"type": "unnecessary", "exempt": "none"}]
    with pytest.raises(PolicyValidationError, match="after unnecessary"):
        policy({"filters": whole, "actions": [PROVEN]}, tmp_path)


def test_quiet_has_a_length(org: LocalOrg, tmp_path: Path) -> None:
    action = {"type": "composite-delete", "quiet": "proven"}
    filters = [{"type": "unnecessary", "exempt": "none"}, {"type": "attempts"}]
    with pytest.raises(PolicyValidationError, match="give quarantined-for, in days"):
        policy({"filters": filters, "actions": [action]}, tmp_path)
