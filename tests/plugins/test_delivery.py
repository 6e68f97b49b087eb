# SPDX-License-Identifier: Apache-2.0
"""Announcements that count once their message has left the queue, and owners who are told by a later run."""

from __future__ import annotations

import base64
import json
import logging
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n_mailer.utils import get_message_subject, get_rendered_jinja

from aws_local_org import LocalOrg, queues
from c7n_iamusers.plugins.recorded_notify import RecordedNotify
from c7n_iamusers_cli.mail_templates import SHIPPED
from tests.fakes import client_error
from tests.interference import deny
from tests.plugins.deletions import delete, outcomes, user_names
from tests.plugins.test_notify_owners import EVERYBODY, OWNER, QUEUE, action, records, sent
from tests.plugins.test_notify_people import notify, user
from tests.policies import ACCOUNT, policy

MANAGEMENT = "123456789012"
DAY = timedelta(days=1)


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    client = org.client("iam", account_id=ACCOUNT)
    for name in ("alice", "bob"):
        client.create_user(UserName=name)
    return client


def announce(notices: Path, **options: Any) -> Any:
    """By the policy that is to run daily, on a day that has come."""
    given = action(notices, days=0, delivery=None, **options)
    return policy({"name": "flag", "filters": EVERYBODY, "actions": [given]}).run()


def send_owed(notices: Path) -> None:
    """What the source lets the policy do before it selects users."""
    given = action(notices, days=0, delivery=None)
    policy({"name": "flag", "filters": EVERYBODY, "actions": [given]}).resource_manager.actions[0].send_owed()


def mailer(org: LocalOrg) -> list[dict[str, Any]]:
    """c7n-mailer takes all messages out of the queue."""
    sqs, found = org.client("sqs"), list[dict[str, Any]]()
    while messages := sqs.receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10).get("Messages"):
        for each in messages:
            found.append(json.loads(zlib.decompress(base64.b64decode(each["Body"]))))
            sqs.delete_message(QueueUrl=QUEUE, ReceiptHandle=each["ReceiptHandle"])
    return found


def later(org: LocalOrg, notices: Path, back: timedelta = DAY) -> None:
    """As if that much time had passed."""
    queues.age(org.backend("sqs"), back)
    for path in notices.glob(f"{ACCOUNT}/*.json"):
        data = json.loads(path.read_text())
        for key in (each for each in ("time", "created") if data.get(each)):
            data[key] = (datetime.fromisoformat(data[key]) - back).isoformat()
        path.write_text(json.dumps(data))


def outcomes_later(output: Path, back: timedelta = DAY) -> None:
    """The same for what runs did."""

    def earlier(found: dict[str, Any]) -> dict[str, Any]:
        moved = str(datetime.fromisoformat(found["time"]) - back) if "time" in found else None
        return {**found, "time": moved} if moved else found

    for path in (*output.rglob("outcomes.json"), *output.rglob("journal.jsonl")):
        lines = [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines()
        path.write_text("".join(f"{json.dumps(json.loads(each, object_hook=earlier))}\n" for each in lines))


def readings(notices: Path) -> list[dict[str, Any]]:
    return [each for each in records(notices) if each["step"] == "queue"]


def told(notices: Path, step: str = "announced") -> list[dict[str, Any]]:
    found = [each for each in records(notices) if each["step"] == step]
    return sorted(found, key=lambda each: str(each["time"]))  # names are of the real second, and of a digest


def reasons(output: Path) -> set[str]:
    return {each["reason"].partition(":")[0] for each in outcomes(output).values()}


def test_a_mailer_that_runs_daily_lets_the_announcement_count(
    org: LocalOrg, iam: Any, tmp_path: Path
) -> None:
    notices, output = tmp_path / "notices", tmp_path / "out"
    taken = {"noticed": 0, "notices": str(notices)}
    announce(notices)
    assert [each["waiting"] for each in readings(notices)] == [0]  # before it was sent
    delete(output, **taken)
    assert reasons(output) == {"its message may still be in the queue"}
    mailer(org)
    for number in (2, 3):
        later(org, notices)
        delete(output, **taken)
        assert len(user_names(iam)) == 2
        announce(notices)
        assert len(readings(notices)) == number
    delete(output, **taken)
    assert user_names(iam) == []
    announce(notices)  # nothing is awaited any more, so nothing is read
    assert (len(readings(notices)), len(told(notices))) == (3, 1)


def test_two_policies_of_one_queue_read_it_for_one_another(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notices = tmp_path / "notices"
    announce(notices)
    mailer(org)
    for number in (1, 2):
        later(org, notices, timedelta(minutes=2))
        given = action(notices, step="remind", days=7, delivery=None)
        # which finds nobody of whom it could remind
        nobody = [*EVERYBODY, {"type": "value", "key": "UserName", "value": "nobody"}]
        policy({"name": f"remind-{number}", "filters": nobody, "actions": [given]}).run()
    delete(tmp_path / "out", noticed=0, notices=str(notices))
    assert user_names(iam) == []


def test_what_no_mailer_took_expires_and_is_announced_anew(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notices, output = tmp_path / "notices", tmp_path / "out"
    announce(notices)
    for _ in range(2):
        later(org, notices)
        announce(notices)
    assert [each["waiting"] for each in readings(notices)] == [0, 1, 1]
    later(org, notices, 13 * DAY)
    announce(notices, to=["new@example.com"])
    (again,) = sent(org)
    assert again["action"]["to"] == ["new@example.com"]
    assert [each["addresses"] for each in told(notices)] == [[OWNER], ["new@example.com"]]
    delete(output, noticed=0, notices=str(notices))
    assert reasons(output) == {"its message may still be in the queue"}
    later(org, notices, 15 * DAY)
    delete(output, noticed=0, notices=str(notices))
    assert reasons(output) == {"its message may have expired unread"}
    assert len(user_names(iam)) == 2


def test_a_queue_that_can_not_be_read_counts_for_nothing_unless_waived(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    notices, output = tmp_path / "notices", tmp_path / "out"
    with monkeypatch.context() as patched:
        deny(patched, "GetQueueAttributes")
        announce(notices)
        mailer(org)
        for _ in range(2):
            later(org, notices)
            announce(notices)
    assert {(each["waiting"], each["dead"]) for each in readings(notices)} == {(None, None)}
    assert f"allow sqs:GetQueueAttributes on {QUEUE} (AccessDenied)" in caplog.text
    delete(output, noticed=0, notices=str(notices))
    (first, *_) = (each["reason"] for each in outcomes(output).values())
    assert f"allow sqs:GetQueueAttributes on {QUEUE} (AccessDenied) to the runner" in first
    assert len(user_names(iam)) == 2
    delete(output, noticed=0, notices=str(notices), delivery="unchecked")
    assert user_names(iam) == []


def test_what_went_to_the_dead_letter_queue_does_not_count(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    sqs, notices, output = org.client("sqs"), tmp_path / "notices", tmp_path / "out"
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "3"})
    sqs.set_queue_attributes(QueueUrl=QUEUE, Attributes={"RedrivePolicy": redrive})
    sqs.send_message(QueueUrl=dead, MessageBody="of before")
    announce(notices)
    sqs.send_message(QueueUrl=dead, MessageBody=mailer(org)[0]["account_id"])
    for _ in range(3):
        later(org, notices)
        announce(notices)
    assert [each["dead"] for each in readings(notices)] == [1, 2, 2, 2]
    delete(output, noticed=0, notices=str(notices))
    (first, *_) = (each["reason"] for each in outcomes(output).values())
    assert "messages went to its dead-letter queue since" in first


class CloudWatch:
    """Answers instead of CloudWatch: the oldest message is so many seconds old. ``asked``: the names of queues."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, age: float, account: str = MANAGEMENT) -> None:
        self.asked: list[str] = []
        original = BaseClient._make_api_call  # type: ignore[attr-defined]

        def call(client: Any, name: str, parameters: dict[str, Any]) -> Any:
            if name == "GetMetricStatistics":
                self.asked += [each["Value"] for each in parameters["Dimensions"]]
                times = [parameters["EndTime"] - timedelta(minutes=each) for each in (3, 2)]
                return {"Datapoints": [{"Timestamp": each, "Maximum": age} for each in times]}
            if name == "GetCallerIdentity":
                return {"Account": account, "Arn": f"arn:aws:sts::{account}:assumed-role/Runner/x"}
            return original(client, name, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", call)


@pytest.mark.parametrize(
    ("age", "account", "left"),
    [
        pytest.param(600, MANAGEMENT, True, id="all-that-is-there-is-younger"),
        pytest.param(2 * 86400, MANAGEMENT, False, id="one-may-be-ours"),
        pytest.param(600, "999988887777", False, id="a-queue-of-the-same-name-in-another-account"),
    ],
)
def test_a_busy_queue_is_asked_how_old_its_oldest_message_is(
    org: LocalOrg,
    iam: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    age: float,
    account: str,
    left: bool,
) -> None:
    notices = tmp_path / "notices"
    announce(notices)
    mailer(org)
    org.client("sqs").send_message(QueueUrl=QUEUE, MessageBody="of another policy")
    later(org, notices)
    with monkeypatch.context() as patched:
        asked = CloudWatch(patched, age, account).asked
        send_owed(notices)
    assert asked == (["c7n-mailer"] if account == MANAGEMENT else [])
    delete(tmp_path / "out", noticed=0, notices=str(notices))
    assert (user_names(iam) == []) == left


def test_cloudwatch_that_is_denied_is_named(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    announce(tmp_path)
    CloudWatch(monkeypatch, 0)
    deny(monkeypatch, "GetMetricStatistics")
    send_owed(tmp_path)
    assert "allow cloudwatch:GetMetricStatistics on https://sqs." in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(
            {"transport": {"type": "sqs", "queue": f"{QUEUE}.fifo"}}, "is a FIFO queue, to which", id="fifo"
        ),
        pytest.param(
            {"transport": {"type": "sns", "topic": "arn:aws:sns:us-east-1:123456789012:t"}},
            "whether a message to an SNS topic reached anybody",
            id="topic",
        ),
    ],
)
def test_where_nothing_can_be_known(iam: Any, tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(PolicyValidationError, match=said):
        announce(tmp_path, **options)


def test_a_waiver_without_announcements_is_refused(iam: Any, tmp_path: Path) -> None:
    with pytest.raises(PolicyValidationError, match="this action requires none: leave delivery out"):
        delete(tmp_path, noticed="none", delivery="unchecked")


def test_a_message_that_the_queue_refused_among_others_is_sent_by_the_next_run(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(38):
        iam.create_user(UserName=f"user-{number}")
    monkeypatch.setattr(RecordedNotify, "buffer_max_size", 2_200)
    with monkeypatch.context() as patched:
        refuse(patched, lambda at: at == 1)
        with pytest.raises(PolicyExecutionError, match="the message was not sent"):
            announce(tmp_path)
    some = {user["user"] for each in told(tmp_path) for user in each["users"]}
    assert 0 < len(some) < 40
    first = len(mailer(org))
    announce(tmp_path)
    named = [user["user"] for each in told(tmp_path) for user in each["users"]]
    assert sorted(named) == sorted(user_names(iam))
    assert len(told(tmp_path)) > first


def refuse(patched: pytest.MonkeyPatch, when: Callable[[int], bool]) -> None:
    """The queue refuses messages by their number, from 1 on."""
    original, number = BaseClient._make_api_call, iter(range(1, 100))  # type: ignore[attr-defined]

    def call(client: Any, name: str, parameters: dict[str, Any]) -> Any:
        if name == "SendMessage" and when(next(number)):
            raise client_error("AccessDenied")
        return original(client, name, parameters)

    patched.setattr(BaseClient, "_make_api_call", call)


def test_people_are_written_to_although_the_queue_refuses_one_of_them(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [user(name, f"{name}@example.com") for name in ("alice", "bob", "carol")]
    with monkeypatch.context() as patched:
        refuse(patched, lambda at: at == 1)
        with pytest.raises(PolicyExecutionError, match="the message was not sent"):
            notify(tmp_path, *rows)
    assert [each["action"]["to"] for each in mailer(org)] == [["bob@example.com"], ["carol@example.com"]]
    notify(tmp_path, *rows)
    assert [each["action"]["to"] for each in mailer(org)] == [["alice@example.com"]]


class Killed(BaseException):
    """The process ends."""


def delete_and_inform(notices: Path, output: Path | None, **options: Any) -> Any:
    inform = action(
        notices,
        step="inform",
        days=None,
        subject=None,
        delivery=None,
        template="iam-users-deleted.html",
        contact="ask@example.com",
        **{"account-name": "payments"},
    )
    data = {"filters": EVERYBODY, "actions": ["composite-delete", inform], **options}
    return policy({"name": "delete", **data}, output)


def test_who_was_deleted_before_the_run_was_killed_is_told_by_the_next(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices, output = tmp_path / "notices", tmp_path / "out"

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(RecordedNotify, "send_data_message", killed)
        with pytest.raises(Killed):
            delete_and_inform(notices, output).run()
    assert (user_names(iam), told(notices, "informed"), sent(org)) == ([], [], [])
    delete_and_inform(notices, output).run()
    (message,) = mailer(org)
    assert get_message_subject(message).startswith("payments: 2 IAM users deleted on ")
    assert {each["UserName"] for each in message["resources"]} == {"alice", "bob"}
    folders, log = [str(SHIPPED)], logging.getLogger("mailer")
    text = get_rendered_jinja([OWNER], message, message["resources"], log, "template", "default", folders)
    assert all(each in text for each in ("alice", "bob", "ask@example.com"))
    (record,) = told(notices, "informed")
    assert {each["what"] for each in record["users"]} == {"deleted"}
    delete_and_inform(notices, output).run()
    assert sent(org) == []


def test_what_the_queue_refuses_stays_owed_and_fails_each_run(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that selects nobody."""
    notices, output = tmp_path / "notices", tmp_path / "out"
    with monkeypatch.context() as patched:
        refuse(patched, lambda _: True)
        with pytest.raises(PolicyExecutionError, match="Nobody was told of: alice"):
            delete_and_inform(notices, output).run()
        for users in ([], ["carol"]):
            for name in users:
                iam.create_user(UserName=name)
            with pytest.raises(PolicyExecutionError, match="owners can't be told what they are owed"):
                delete_and_inform(notices, output).run()
            assert (user_names(iam), sent(org)) == ([], [])
    delete_and_inform(notices, output).run()
    assert sum(len(each["resources"]) for each in mailer(org)) == 3


def test_what_is_owed_is_known_from_an_output_in_a_bucket(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of functions in AWS Lambda, whose disk is gone."""
    org.client("s3").create_bucket(Bucket="out")

    def run() -> None:
        found = delete_and_inform(tmp_path / "notices", None)
        found.options["output_dir"] = "s3://out/all?region=us-east-1"
        found.ctx.initialize()
        found.run()

    with monkeypatch.context() as patched:
        refuse(patched, lambda _: True)
        with pytest.raises(PolicyExecutionError):
            run()
    run()
    assert {each["UserName"] for each in mailer(org)[0]["resources"]} == {"alice", "bob"}


def test_a_dry_run_tells_nobody(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices, output = tmp_path / "notices", tmp_path / "out"
    with monkeypatch.context() as patched:
        refuse(patched, lambda _: True)
        with pytest.raises(PolicyExecutionError):
            delete_and_inform(notices, output).run()
    found = delete_and_inform(notices, output)
    found.options["dryrun"] = True
    found()
    assert (sent(org), told(notices, "informed")) == ([], [])


def test_what_is_done_again_is_told_again(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    """Another policy told of the release in between."""
    notices, output = tmp_path / "notices", tmp_path / "out"
    inform = action(notices, step="inform", days=None, delivery=None, template="iam-users-deleted.html")

    def run(what: str, name: str) -> None:
        policy({"name": name, "filters": EVERYBODY, "actions": [what, inform]}, output).run()

    for _ in range(2):
        run("quarantine", "park")
        assert len(mailer(org)[0]["resources"]) == 2
        run("quarantine", "park")
        assert mailer(org) == []
        run("release", "release")
        assert len(mailer(org)[0]["resources"]) == 2
        later(org, notices)
        outcomes_later(output)
    said = [each["users"][0]["what"].partition(":")[0] for each in told(notices, "informed")]
    assert sorted(said) == ["quarantined", "quarantined", "released", "released"]


def test_a_function_that_an_event_starts_tells_what_is_owed(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices, output = tmp_path / "notices", tmp_path / "out"
    with monkeypatch.context() as patched:
        refuse(patched, lambda _: True)
        with pytest.raises(PolicyExecutionError):
            delete_and_inform(notices, output).run()
    iam.create_user(UserName="carol")
    found = delete_and_inform(notices, output)
    found.ctx.initialize()
    found.resource_manager.source.get_resources(["carol"])
    assert {each["UserName"] for each in mailer(org)[0]["resources"]} == {"alice", "bob"}
