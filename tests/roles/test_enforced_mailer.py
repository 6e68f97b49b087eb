# SPDX-License-Identifier: Apache-2.0
"""c7n-mailer runs as exactly the role that ``roles --role mailer`` prints, and preflight says if it can."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from c7n_mailer import cli
from click.testing import CliRunner

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main
from tests.plugins.test_notify_owners import action
from tests.policies import policy
from tests.roles.enforced import MANAGEMENT, ROOT, RUNNER, act_as, without

QUEUE = f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/c7n-mailer"
#: What c7n-mailer imports says so of what it imports itself.
pytestmark = pytest.mark.filterwarnings(r"ignore:(tag|type)Map is deprecated:DeprecationWarning")
MAILER = f"arn:aws:iam::{MANAGEMENT}:role/IamUsersMailer"
SENDER = "cloud@example.com"


def printed(file: Path, *more: str) -> dict[str, Any]:
    policies = ("-u", str(ROOT / "policies/flag-and-notify.yml"), "-c", str(ROOT / "accounts.yml"))
    options = ("--runner", RUNNER, "--role", "mailer", "--mailer", str(file), "--format", "json")
    result = CliRunner().invoke(main, ["roles", *policies, *options, *more])
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def put(org: LocalOrg, document: dict[str, Any]) -> None:
    text = json.dumps(document["PolicyDocument"])
    org.client("iam").put_role_policy(RoleName="IamUsersMailer", PolicyName="p", PolicyDocument=text)


@pytest.fixture
def file(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of a mailer that sends by SES; one announcement is in the queue, and the role exists."""
    monkeypatch.chdir(tmp_path)
    org.client("ses").verify_email_identity(EmailAddress=SENDER)
    found = tmp_path / "mailer.yml"
    found.write_text(yaml.safe_dump({"queue_url": QUEUE, "from_address": SENDER}))
    org.client("iam", "111122223333").create_user(UserName="alice")
    given = action(tmp_path / "notices", to=["owner@example.com"])
    policy({"filters": [{"type": "unnecessary", "exempt": "none"}], "actions": [given]}).run()
    document = printed(found, "--mailer-principal", f"arn:aws:iam::{MANAGEMENT}:root", "--setup")
    trust = json.dumps(document["AssumeRolePolicyDocument"])
    org.client("iam").create_role(RoleName="IamUsersMailer", AssumeRolePolicyDocument=trust)
    put(org, document)
    return found


@pytest.fixture
def enforced(org: LocalOrg, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Act as the mailer's role from now on."""
    act_as(boto3.Session(), MAILER, monkeypatch)
    org.configure(enforce=True)


def run(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """c7n-mailer, once."""
    monkeypatch.setattr(sys, "argv", ["c7n-mailer", "--run", "-c", str(file)])
    monkeypatch.setattr("c7n_mailer.sqs_queue_processor.MailerSqsQueueIterator.__init__.__defaults__", (0, 0))
    cli.main()


def sent(org: LocalOrg) -> int:
    return int(org.client("ses").get_send_quota()["SentLast24Hours"])


def left(org: LocalOrg) -> int:
    counted = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    found = org.client("sqs").get_queue_attributes(QueueUrl=QUEUE, AttributeNames=list(counted))
    return sum(int(found["Attributes"][each]) for each in counted)


@pytest.mark.usefixtures("enforced")
def test_it_runs_as_the_printed_role(org: LocalOrg, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(file, monkeypatch)
    assert (sent(org), left(org)) == (1, 0)
    denied = [
        call.operation for call in org.calls if call.error_code in ("AccessDenied", "AccessDeniedException")
    ]
    assert denied == []


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize("lacking", ["sqs:ReceiveMessage", "sqs:DeleteMessage", "ses:SendRawEmail"])
def test_preflight_asks_as_its_role(
    org: LocalOrg, file: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    assert rights(file) == (
        "ok",
        f"{MAILER}: 3 actions are allowed, as far as identity policies tell: service control",
    )
    put(org, without(printed(file, "--setup"), lacking))
    status, text = rights(file)
    assert (status, lacking in text, MAILER in text) == ("hole", True, True)
    with suppress(ClientError):
        run(file, monkeypatch)
    assert (sent(org), left(org)) != (1, 0)


def test_preflight_asks_as_another_role_or_says_that_it_can_not(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rights(file, "--mailer-role", MAILER)[0] == "ok"
    assert rights(file)[0] == "ok"  # the base credentials may do everything
    document = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**document, "role": "IamUsersMailer"}))
    status, text = rights(file)
    assert (status, "logs:CreateLogGroup on" in text) == ("hole", True)
    status, text = rights(file, "--mailer-role", f"{MAILER}-2")
    assert (status, "not checked by iam:SimulatePrincipalPolicy" in text) == ("unknown", True)


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize(
    ("key", "status", "told"),
    [
        pytest.param("alias/aws/sqs", "ok", "3 actions", id="of-aws"),
        pytest.param(
            "alias/ours", "unknown", "is encrypted with alias/ours: whether c7n-mailer may", id="alias"
        ),
        pytest.param(
            "1234abcd", "hole", f"kms:Decrypt on arn:aws:kms:us-east-1:{MANAGEMENT}:key/1234abcd", id="ours"
        ),
    ],
)
def test_the_key_of_an_encrypted_queue(org: LocalOrg, file: Path, key: str, status: str, told: str) -> None:
    org.client("sqs").set_queue_attributes(QueueUrl=QUEUE, Attributes={"KmsMasterKeyId": key})
    grant(org, file, "sqs:GetQueueAttributes")
    found = rights(file)
    assert (found[0], told in found[1]) == (status, True), found


def grant(org: LocalOrg, file: Path, action: str) -> None:
    """Also let the role do ``action`` on anything."""
    document = printed(file, "--setup")
    allowed = {"Effect": "Allow", "Action": [action], "Resource": "*"}
    document["PolicyDocument"]["Statement"].append(allowed)
    put(org, document)


def rights(file: Path, *more: str) -> tuple[str, str]:
    """What preflight says of the mailer's permissions."""
    given = ("-c", str(ROOT / "accounts.yml"), "-a", "payments", "--mailer", str(file), "--format", "json")
    result = CliRunner().invoke(main, ["preflight", *given, *more])
    (found,) = (each for each in json.loads(result.stdout) if each["name"] == "mailer permissions")
    return found["status"], found["text"].partition(" policies may")[0]
