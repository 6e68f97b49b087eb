# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers forward``: from the functions' queue to c7n-mailer's."""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main
from tests import cloudtrail_events as trail
from tests.hostile_texts import COMMAND
from tests.notices.test_forwarding import MESSAGE, changed, packed, render
from tests.plugins.test_realtime import BOB, QUARANTINE, REALTIME, now_event, push
from tests.plugins.test_realtime import iam as iam  # a fixture

pytestmark = pytest.mark.usefixtures("functions_queue")
ROOT = Path(__file__).parents[2]
QUEUES = "https://sqs.us-east-1.amazonaws.com/123456789012"
FUNCTIONS, MAILER = f"{QUEUES}/iam-users-realtime", f"{QUEUES}/c7n-mailer"


@pytest.fixture(autouse=True)
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c7n_iamusers_cli.forward._WAIT", 0)


def forward(*options: str, source: str = FUNCTIONS, target: str = MAILER) -> Result:
    return CliRunner().invoke(
        main, ["forward", "--from", source, "--to", target, "-c", str(ROOT / "accounts.yml"), *options]
    )


def waiting(org: LocalOrg, queue: str) -> list[dict[str, Any]]:
    """What is in a queue; it stays there."""
    found = org.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [json.loads(zlib.decompress(base64.b64decode(each["Body"]))) for each in found.get("Messages", ())]


def count(org: LocalOrg, queue: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = org.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(map(int, found.values()))


def send(org: LocalOrg, *messages: Any) -> None:
    for each in messages:
        org.client("sqs").send_message(QueueUrl=FUNCTIONS, MessageBody=packed(each))


@pytest.mark.parametrize("name", [REALTIME, QUARANTINE])
def test_what_a_function_sends_reaches_the_mailer(org: LocalOrg, iam: Any, name: str) -> None:
    given = now_event("CreateUser", trail.CONSOLE, BOB)
    if name == QUARANTINE:
        given["detail"]["responseElements"]["user"]["userId"] = iam.get_user(UserName="bob")["User"]["UserId"]
    push(name, given)
    assert (count(org, FUNCTIONS), count(org, MAILER)) == (1, 0)
    done = forward()
    assert (done.exit_code, done.output) == (0, "1 forwarded\n")
    (message,) = waiting(org, MAILER)
    assert count(org, FUNCTIONS) == 0
    assert message["action"]["to"] == ["payments-owner@example.com", "jane@example.com"]
    mail, subject, _ = render(message)
    assert "CreateUser" in mail
    assert subject.startswith("payments: CreateUser for 1 IAM user on ")


def test_what_is_refused_is_named_and_left_or_deleted(org: LocalOrg) -> None:
    good = changed("action/to", ["payments-owner@example.com"])
    send(org, changed("action/subject", COMMAND), good, {}, changed("action/to", ["\x1b[2Kx@evil.example"]))
    org.client("sqs").send_message(QueueUrl=FUNCTIONS, MessageBody="no message")
    done = forward()
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert lines[-1] == "1 forwarded; 4 refused, left in the queue"
    assert len(lines) == 5
    assert all(each.startswith("refused: message ") and len(each) < 600 for each in lines[:-1])
    assert "\x1b" not in done.output
    assert (count(org, FUNCTIONS), count(org, MAILER)) == (4, 1)
    for message in waiting(org, MAILER):
        assert COMMAND not in json.dumps(message)


def test_delete_refused_empties_the_queue(org: LocalOrg) -> None:
    send(org, {}, MESSAGE)
    done = forward("--delete-refused")
    assert (done.exit_code, done.output.splitlines()[-1]) == (1, "0 forwarded; 2 refused, deleted")
    assert (count(org, FUNCTIONS), count(org, MAILER)) == (0, 0)


def test_a_full_queue_prints_a_bounded_number_of_lines(org: LocalOrg) -> None:
    send(org, *({} for _ in range(105)))
    lines = forward().output.splitlines()
    assert len(lines) == 102
    assert lines[-2:] == ["and 5 more were refused", "0 forwarded; 105 refused, left in the queue"]


class Queues:
    """The functions' queue: the sender of each message, in order. ``deleted``: what was deleted of it."""

    def __init__(self, *senders: str) -> None:
        self.left, self.deleted = list(senders), Counter[str]()

    def received(self) -> Iterator[dict[str, Any]]:
        for number, sender in enumerate(self.left):
            attributes = {"SentTimestamp": "0", "SenderId": sender}
            yield {"MessageId": str(number), "Body": packed({}), "Attributes": attributes}

    def delete(self, message: dict[str, Any]) -> None:
        self.deleted[message["Attributes"]["SenderId"].partition(":")[0]] += 1


@pytest.mark.parametrize(
    ("sent", "deleted"),
    [
        pytest.param({"flood": 1_000, "honest": 5}, {"flood": 800}, id="one-sender"),
        pytest.param({f"flood:session-{n}": 50 for n in range(20)}, {"flood": 800}, id="in-many-sessions"),
        pytest.param({f"flood-{n}": 200 for n in range(12)}, {"flood-10": 200, "flood-11": 200}, id="many"),
        pytest.param({"one": 200, "other": 200}, {}, id="few-of-each"),
    ],
)
def test_no_sender_fills_the_queue_for_others(
    monkeypatch: pytest.MonkeyPatch, org: LocalOrg, sent: dict[str, int], deleted: dict[str, int]
) -> None:
    """A refused message comes back to each run. Of one sender, and of all, only so many stay."""
    from c7n_iamusers_cli import forward as module

    queues = Queues(*Counter(sent).elements())
    monkeypatch.setattr(module, "_Queues", lambda *_: queues)
    done = forward()
    assert done.exit_code == 1
    assert queues.deleted == deleted
    for sender, count in deleted.items():
        assert f"{count} refused messages of {sender} were deleted, beyond what stays" in done.output
    refused, gone = sum(sent.values()), sum(deleted.values())
    kept = f"{refused - gone} of them left in the queue, {gone} deleted" if gone else "left in the queue"
    assert done.output.splitlines()[-1] == f"0 forwarded; {refused} refused, {kept}"


def test_the_sender_is_asked_for(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    from c7n_iamusers_cli import forward as module

    monkeypatch.setattr(module, "_KEPT_OF_ONE", 2)
    send(org, {}, {}, {})
    lines = forward().output.splitlines()
    assert lines[-1] == "0 forwarded; 3 refused, 2 of them left in the queue, 1 deleted"
    assert "1 refused messages of AIDA" in lines[-2]
    assert count(org, FUNCTIONS) == 2


def test_email_domain_replaces_that_of_the_accounts_file(org: LocalOrg) -> None:
    send(org, changed("action/to", ["payments-owner@example.com", "x@example.org"]))
    assert forward().exit_code == 1
    send(org, changed("action/to", ["payments-owner@example.com", "x@example.org"]))
    assert "1 forwarded" in forward("--email-domain", "example.org").output


@pytest.mark.parametrize(
    ("source", "target", "fault"),
    [
        (MAILER, MAILER, "are one queue"),
        (f"https://queue.amazonaws.com{MAILER.partition('.com')[2]}", MAILER, "are one queue"),
        (FUNCTIONS, "c7n-mailer", "is not the URL of a queue"),
        (FUNCTIONS, f"{MAILER}-gone", "c7n-mailer-gone"),
    ],
    ids=["same", "same-elsewhere", "no-url", "gone"],
)
def test_queues_that_do_not_fit(org: LocalOrg, source: str, target: str, fault: str) -> None:
    good = changed("action/to", ["payments-owner@example.com"])
    send(org, good)
    done = forward(source=source, target=target)
    assert done.exit_code in (1, 2)
    assert fault in done.output
    assert count(org, FUNCTIONS) == 1


def test_a_message_that_cannot_be_deleted_is_said(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    send(org, changed("action/to", ["payments-owner@example.com"]))
    from c7n_iamusers.exceptions import EvidenceUnreadable
    from c7n_iamusers_cli import forward as module

    def fail(*_: Any) -> None:
        raise EvidenceUnreadable("refused")

    monkeypatch.setattr(module._Queues, "delete", fail)
    done = forward()
    assert done.exit_code == 1
    assert "was forwarded, and can't be deleted: refused" in done.output
    assert count(org, MAILER) == 1


def test_the_shipped_accounts_file_and_policies_part_the_queues() -> None:
    variables = yaml.safe_load((ROOT / "accounts.yml").read_text())["vars"]
    assert (variables["queue_url"], variables["realtime_queue_url"]) == (MAILER, FUNCTIONS)
    for name in ("realtime", "realtime-alarm", "realtime-quarantine"):
        for each in yaml.safe_load((ROOT / "policies" / f"{name}.yml").read_text())["policies"]:
            transports = [action["transport"] for action in each["actions"] if "transport" in action]
            assert transports == [{"type": "sqs", "queue": "{realtime_queue_url}"}]
