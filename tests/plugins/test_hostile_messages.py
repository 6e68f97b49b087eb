# SPDX-License-Identifier: Apache-2.0
"""Messages with texts that somebody else chose, evaluated by c7n-mailer's own code."""

from __future__ import annotations

import json
import logging
import re
import zlib
from base64 import b64decode
from collections.abc import Mapping
from datetime import date, datetime, timezone
from email.header import decode_header, make_header
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n_mailer.utils import get_message_subject, get_rendered_jinja
from c7n_mailer.utils_email import get_mimetext_message

import c7n_iamusers
from aws_local_org import LocalOrg
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.notices.mailer_texts import for_mailer
from c7n_iamusers.notices.templates import template_fault
from c7n_iamusers.plugins.message_contents import for_message
from c7n_iamusers.report import digest
from tests.hostile_texts import COMMAND, INVISIBLE, LINK, TEXTS
from tests.plugins import test_notify_owners as owners
from tests.plugins import test_notify_people as people
from tests.policies import ACCOUNT, policy

TEMPLATES = Path(c7n_iamusers.__file__).parent / "mailer_templates"
CONFIG: Mapping[str, Any] = {
    "queue_url": owners.QUEUE,
    "region": "us-east-1",
    "from_address": "cloud@example.com",
    "smtp_server": "127.0.0.1",
    "contact_tags": ["Owner"],
    "templates_folders": [str(TEMPLATES)],
}
each_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


pytestmark = pytest.mark.usefixtures("elsewhere")


def mail(message: Mapping[str, Any]) -> tuple[str, str]:
    """The subject, and the whole mail, as c7n-mailer writes it."""
    found = get_mimetext_message(
        CONFIG, logging.getLogger("mailer"), message, message["resources"], ["a@example.com"]
    )
    assert "\nBcc:" not in found.as_string()
    payload = found.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return str(make_header(decode_header(found["Subject"]))), payload.decode()


def run(action: dict[str, Any], users: list[dict[str, Any]] | None = None, **variables: str) -> None:
    """Run the policy as c7n-org does, with the account's variables filled in."""
    filters = [*owners.EVERYBODY, *([] if users is None else [people.FILTER])]
    found = policy({"filters": filters, "actions": [action]})
    found.expand_variables(found.get_variables(variables))
    if users is None:
        found.run()
    else:
        found.resource_manager.actions[0].process(users)


def test_an_accounts_name_in_a_subject_runs_nothing(org: LocalOrg, tmp_path: Path) -> None:
    org.client("iam", account_id=ACCOUNT).create_user(UserName="alice")
    options = {"subject": "IAM users of {account_name}", "account-name": "{account_name}"}
    run(owners.action(tmp_path / "notices", **options), account_name=COMMAND)
    action = {
        "type": "notify-people",
        "notices": str(tmp_path / "notices"),
        "email-domains": ["example.com"],
        "template": "iam-users-your-access.html",
        "transport": {"type": "sqs", "queue": owners.QUEUE},
        "assume_role": False,
        **options,
    }
    run(action, [people.user("bob", "bob@example.com")], account_name=COMMAND)
    messages = owners.sent(org)
    assert len(messages) == 2
    for message in messages:
        subject, body = mail(message)
        assert subject == f"IAM users of {COMMAND.replace('{', '(').replace('}', ')')}"
        assert "{{ cycler" in body
    assert not Path("pwned").exists()


@each_text
def test_no_text_is_evaluated_in_a_subject(text: str) -> None:
    action, _ = for_mailer({"type": "notify-owners", "subject": f"users of {text}"})
    subject = get_message_subject({"action": action, "policy": {"name": "p"}})
    assert subject == action["subject"]
    assert not INVISIBLE & set(subject)
    assert "\n" not in subject
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        pytest.param({}, "", id="none"),
        pytest.param({"template": "iam-users-flagged.html", "slack_template": "slack_x"}, "", id="names"),
        pytest.param({"template": "ours/flagged.html"}, "", id="in-a-folder"),
        pytest.param({"template": "/output/payments/resources.json"}, "template is", id="any-file"),
        pytest.param({"template": "../flagged"}, "template is", id="upwards"),
        pytest.param({"template": "a/../../b"}, "template is", id="upwards-within"),
        pytest.param({"slack_template": "{{ x }}"}, "slack_template is", id="braces"),
        pytest.param({"template": "a\nb"}, "template is", id="line"),
        pytest.param({"template": "-t"}, "template is", id="dash"),
    ],
)
def test_only_templates_are_evaluated(action: dict[str, Any], fault: str) -> None:
    found = template_fault(action)
    assert found.startswith(fault)
    assert bool(found) is bool(fault)


def test_a_template_that_a_variable_names_must_be_one(org: LocalOrg, tmp_path: Path) -> None:
    org.client("iam", account_id=ACCOUNT).create_user(UserName="alice")
    (tmp_path / "evil.json").write_text(COMMAND)
    with pytest.raises(PolicyExecutionError, match=r"template is '/evil.json'.*Nobody was addressed"):
        run(owners.action(tmp_path / "notices", template="{account_name}"), account_name="/evil.json")
    assert owners.sent(org) == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param("a@example.com", True, id="address"),
        pytest.param("resource-owner", True, id="word"),
        pytest.param("slack://#cloud", True, id="channel"),
        pytest.param("slack://a@example.com", True, id="person-in-slack"),
        pytest.param("arn:aws:sns:us-east-1:111122223333:owners", True, id="topic"),
        pytest.param("a@example.com, eve@evil.example", False, id="two-with-a-comma"),
        pytest.param("a@example.com:eve@evil.example", False, id="two-with-a-colon"),
        pytest.param("a@example.com\nBcc: eve@evil.example", False, id="header"),
        pytest.param("Owner <a@example.com>", False, id="with-a-name"),
        pytest.param("slack://a@example.com,eve@evil.example", False, id="two-in-slack"),
        pytest.param("event-owner", False, id="the-name-of-a-session"),
        pytest.param("slack://tag/Channel", False, id="a-tag"),
    ],
)
def test_a_recipient_is_one_address(given: str, kept: bool) -> None:
    action, refused = for_mailer({"to": ["b@example.com", given], "cc": [given]})
    assert action["to"] == ["b@example.com", *([given] if kept else [])]
    assert (action["cc"], len(refused)) == (([given], 0) if kept else ([], 2))


@pytest.mark.parametrize("recipient", ["event-owner", "slack://tag/Channel"])
def test_a_recipient_that_others_choose_is_refused(tmp_path: Path, recipient: str) -> None:
    with pytest.raises(PolicyValidationError, match="chooses that recipient"):
        policy({"filters": owners.EVERYBODY, "actions": [owners.action(tmp_path, cc=[recipient])]})


def test_a_topic_in_a_tag_gets_no_message() -> None:
    """c7n-mailer publishes to each topic that it finds in ``contact_tags``."""
    topic = {"Key": "Owner", "Value": "arn:aws:sns:us-east-1:999999999999:eve"}
    user = {"UserName": "alice", "Tags": [topic, {"Key": "Team", "Value": "x"}]}
    ours, stock = (for_message([user], {"type": each})[0]["Tags"] for each in ("notify-owners", "notify"))
    assert ours == [{"Key": "Team", "Value": "x"}]
    assert len(stock) == 2


def message(text: str, template: str) -> dict[str, Any]:
    """A message in which every text that somebody else can choose is ``text``, as notify-owners sends it."""
    outcome = {"status": "skipped", "reason": text}
    finding = {"id": "x", "severity": "high", "text": text}
    attempt = dict.fromkeys(("service", "action", "address", "region", "error"), text)
    known = {
        "kind": "human",
        "replacement": ["identity-center"],
        "findings": [finding, {**finding, "severity": "medium"}],
        "notice": {"day": "2027-01-01", "was-exempt": text, "came-back": text},
        "created": {"text": text},
        "used": {"text": text},
        "outcome": outcome,
        "attempts": {"attempts": [{**attempt, "time": "2026-11-25T09:30:00+00:00"}]},
        "provisioning": {"status": "provisioned", "username": text, "permission-set": text, "region": text},
        "attachments": {"access-key": 1},
    }
    gone = {**known, "outcome": {"status": "deleted"}}
    waiting = {**known, "provisioning": {"status": "failed", "reason": text}}
    tags = [{"Key": "Owner", "Value": text}]
    users = [
        {"UserName": text, "Path": text, "Tags": tags, "c7n:IamUser": each} for each in (known, gone, waiting)
    ]
    given = {
        "type": "notify-owners",
        "template": f"{template}.html",
        "slack_template": "slack_iam_users",
        "subject": text,
        "account-name": text,
        "contact": "cloud@example.com",
        "to": ["owner@example.com"],
        "action_desc": text,
    }
    action, _ = for_mailer(given)
    return {
        "account": "",
        "account_id": "111122223333",
        "event": None,
        "execution_start": 1764000000,
        "policy": {"name": "iam-users", "resource": "aws.iam-user", "actions": []},
        "action": action,
        "resources": for_message(users, given),
    }


MAILS = sorted(path.name.removesuffix(".html.j2") for path in TEMPLATES.glob("*.html.j2"))
MAILS.remove(digest.POLICY)  # no action sends it


@pytest.mark.parametrize("template", MAILS)
@each_text
def test_no_mail_evaluates_or_hides_anything(text: str, template: str) -> None:
    hides_nothing(mail(message(text, template))[1])


@each_text
def test_no_digest_evaluates_or_hides_anything(text: str) -> None:
    subject = Subject(text, f"arn:aws:iam::111122223333:user/{text}/{text}", "AIDAALICE")
    history = cast(Any, SimpleNamespace(subject=subject, account="111122223333", state="deleted"))
    told = [digest.Entry(history, text, done, date(2027, 1, 1), "deleted") for done in (True, False)]
    owner = digest.Address("owner@example.com", {"111122223333": text}, "cloud@example.com")
    now = datetime(2026, 11, 30, tzinfo=timezone.utc)
    (message,) = digest.messages(owner, told, "us-east-1", now)
    found, whole = mail(json.loads(zlib.decompress(b64decode(message.body))))
    assert not INVISIBLE & set(found)
    hides_nothing(whole)


def hides_nothing(whole: str) -> None:
    # in a link to write to the contact, the names stand in the text of that mail
    body = re.sub('href="mailto:[^"]*"', "", whole)
    assert not Path("pwned").exists()
    assert not INVISIBLE & set(body)
    assert "<img" not in body
    assert "href='https://evil" not in body
    assert 'href="https://evil' not in body
    assert LINK not in body
    assert "evil.example" not in body
    assert "custodian.actions:INFO" not in "".join(line[:60] for line in body.split("\n"))


@each_text
def test_no_slack_message_evaluates_or_links_anything(text: str) -> None:
    sent = message(text, "iam-users-flagged")
    logger, folders = logging.getLogger("mailer"), CONFIG["templates_folders"]
    told = json.loads(
        get_rendered_jinja(
            "cloud", sent, sent["resources"], logger, "slack_template", "slack_default", folders
        )
    )
    assert told["channel"] == "cloud"
    shown = json.dumps(told, ensure_ascii=False)
    assert not INVISIBLE & set(shown)
    assert "<!channel>" not in shown
    assert LINK not in shown
    assert "https://evil" not in shown
    assert "evil.example" not in shown
    assert not Path("pwned").exists()


def test_where_lists_are_read_from_stays_out_of_messages(org: LocalOrg, tmp_path: Path) -> None:
    """c7n-mailer logs a whole policy where a mail or topic fails, and c7n-mailer's default template prints it."""
    org.client("iam", account_id=ACCOUNT).create_user(UserName="alice")
    (tmp_path / "x.csv").write_text("user,reason,expires\nzzz*,r,2099-09-09\n")
    (tmp_path / "to.json").write_text('["b@example.com"]')
    exempt = {
        "from": f"file://{tmp_path}/x.csv?sig=S3CRET",
        "format": "csv",
        "headers": {"Authorization": "Bearer S3CRET"},
    }
    acting = {
        **owners.action(tmp_path / "notices"),
        "to_from": {"url": f"file://{tmp_path}/to.json", "format": "json", "headers": {"X": "S3CRET"}},
    }
    marking = {"type": "mark-for-op", "op": "delete", "days": 3, "tag": "x"}
    data = {
        "description": "what it is",
        "metadata": {"team": "x"},
        "filters": [{"type": "unnecessary", "exempt-from": exempt}],
        "actions": [acting, marking],
    }
    policy(data).run()
    (message,) = owners.sent(org)
    assert "S3CRET" not in json.dumps(message)
    assert message["policy"] == {
        "name": "under-test",
        "resource": "aws.iam-user",
        "description": "what it is",
        "metadata": {"team": "x"},
        "actions": [marking],
    }
    assert "b@example.com" in message["action"]["to"]
