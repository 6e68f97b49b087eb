# SPDX-License-Identifier: Apache-2.0
"""What of a message of a member account's function c7n-mailer gets."""

from __future__ import annotations

import base64
import json
import logging
import zlib
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import c7n_mailer
import pytest
from c7n_mailer.utils import get_message_subject, get_rendered_jinja
from c7n_mailer.utils_email import get_mimetext_message

import c7n_iamusers
from c7n_iamusers.notices.forwarding import LARGEST_MESSAGE, Addressed, forwarded
from tests.hostile_texts import COMMAND, TEXTS

PAYMENTS, OTHER = "111122223333", "444455556666"
SENT = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
HOOK = "https://hooks.slack.com/services/T0/B0/x"
ACCOUNTS = {
    PAYMENTS: Addressed(
        "payments",
        frozenset({"payments", "owner@example.com", "cloud-governance@example.com", HOOK, "resource-owner"}),
        ("example.com",),
    )
}
MESSAGE: dict[str, Any] = {
    "event": None,
    "account_id": PAYMENTS,
    "account": "alias",
    "version": "0.9",
    "region": "us-east-1",
    "execution_id": "x",
    "execution_start": 1.0,
    "policy": {"name": "iam-users-realtime", "resource": "aws.iam-user", "mode": {"role": "x"}},
    "action": {
        "type": "notify-owners",
        "step": "created",
        "days": 2,
        "notices": "s3://bucket/notices",
        "to": ["owner@example.com", "jane@example.com", HOOK],
        "template": "iam-users-created.html",
        "slack_template": "slack_iam_users",
        "account-name": "payments",
        "contact": "cloud-governance@example.com",
        "transport": {"type": "sqs", "queue": "x"},
        "subject": "payments: CreateUser for 1 IAM user on 2026-03-01",
        "violation_desc": "payments: CreateUser",
        "action_desc": "If nobody knows who did it: say so.",
        "part": 1,
        "parts": 1,
        "users": 1,
    },
    "resources": [
        {
            "UserName": "bob",
            "Path": "/eng/",
            "Tags": [{"Key": "Owner", "Value": "eve@evil.example"}],
            "c7n:IamUser": {
                "created": {"text": "jane called CreateUser", "event": "CreateUser"},
                "outcome": {"status": "skipped", "reason": "exempt by x", "code": None},
                "attachments": {"access-key": 1, "group": 2},
                "findings": [{"id": "x", "severity": "low", "text": "It is new."}],
                "unread": ["mfa-device"],
                "kind": "human",
            },
        }
    ],
}
ROW = {
    "UserName": "bob",
    "Path": "/",
    "Deletion on or after": "-",
    "What is known": "jane called CreateUser",
    "Kind": "person",
    "Findings": "-",
    "Last seen": "-",
}
MAILER = [
    str(Path(c7n_iamusers.__file__).parent / "mailer_templates"),
    str(Path(c7n_mailer.__file__).parent / "msg-templates"),
]


def packed(message: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(message).encode())).decode()


def changed(path: str, value: Any) -> dict[str, Any]:
    """MESSAGE with another value at a path such as action/to/0; ``...`` removes it."""
    message = deepcopy(MESSAGE)
    *parents, last = [int(each) if each.isdigit() else each for each in path.split("/")]
    place: Any = message
    for each in parents:
        place = place[each]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return message


def result(message: Any) -> dict[str, Any]:
    body = forwarded(packed(message), ACCOUNTS, SENT)
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(body)))
    return found


def render(message: dict[str, Any]) -> list[str]:
    """The mail, the subject and the Slack message, as c7n-mailer makes them."""
    config = {"from_address": "a@example.com", "templates_folders": MAILER}
    log = logging.getLogger("mailer")
    mail = get_mimetext_message(config, log, message, message["resources"], message["action"]["to"])
    text = mail.get_payload(decode=True)
    assert isinstance(text, bytes)
    slack = get_rendered_jinja(
        "#x", message, message["resources"], log, "slack_template", "slack_default", MAILER
    )
    json.loads(slack)
    return [text.decode(), get_message_subject(message), slack]


def test_a_message_of_a_function_is_forwarded_without_what_nothing_reads() -> None:
    message = result(MESSAGE)
    assert set(message) == {
        *("event", "account", "account_id", "region", "execution_start", "policy", "action", "resources")
    }
    assert (message["account"], message["execution_start"]) == ("payments", SENT.timestamp())
    assert message["policy"] == {"name": "iam-users-realtime", "resource": "aws.iam-user", "actions": []}
    kept = MESSAGE["action"].keys() - {"days", "notices", "transport"}
    assert message["action"] == {key: MESSAGE["action"][key] for key in kept}
    (user,) = message["resources"]
    assert set(user) == {"UserName", "Path", "c7n:IamUser"}
    assert user["c7n:IamUser"]["findings"] == [{"text": "It is new."}]
    mail, subject, slack = render(message)
    assert "jane called CreateUser" in mail
    assert subject == MESSAGE["action"]["subject"]
    assert "bob" in slack


def test_the_use_of_a_user_is_forwarded() -> None:
    message = changed("resources/0/c7n:IamUser", {"used": {"text": "ConsoleLogin", "event": "x"}})
    message["action"] |= {"step": "used", "template": "iam-users-used.html"}
    found = result(message)
    assert (found["action"]["step"], found["action"]["template"]) == ("used", "iam-users-used.html")
    assert found["resources"][0]["c7n:IamUser"] == {"used": {"text": "ConsoleLogin"}}


@pytest.mark.parametrize("template", ["default", "default.html", None])
def test_rows_for_templates_of_c7n_mailer_are_forwarded(template: str | None) -> None:
    message = {**changed("action/template", template), "resources": [{**ROW, "Tags": []}]}
    message["action"].pop("slack_template")
    found = result(message)
    assert found["resources"] == [ROW]
    assert "bob" in render(found)[0]


CASES = [
    *[
        pytest.param("action/subject", text, "action.subject", id=f"subject-{name}")
        for name, text in TEXTS.items()
        if {"{", "}", "\n"} & set(text)
    ],
    pytest.param("action/subject", ..., "action lacks subject", id="no-subject"),
    pytest.param("action/subject", "a\u202eb", "invisible", id="direction"),
    pytest.param("policy/name", COMMAND, "policy.name", id="policy"),
    pytest.param("account_id", OTHER, f"account {OTHER} is not in the accounts file", id="account"),
    pytest.param("account_id", COMMAND, "account_id", id="no-account"),
    pytest.param("region", COMMAND, "region", id="region"),
    pytest.param("action/type", "notify", "action.type", id="stock-notify"),
    pytest.param("action/step", "announce", "action.step", id="another-step"),
    pytest.param("action/template", "/tmp/evil", "action.template", id="any-file"),
    pytest.param("action/template", "iam-users-flagged.html", "action.template", id="announcement"),
    pytest.param("action/slack_template", "../x", "action.slack_template", id="slack-file"),
    pytest.param("action/to", ["eve@evil.example"], "eve@evil.example", id="stranger"),
    pytest.param("action/to", ["owner@example.com, eve@evil.example"], "neither", id="two-addresses"),
    pytest.param("action/cc", ["eve@evil.example"], "action.cc", id="copy"),
    pytest.param("action/to", ["resource-owner"], "resource-owner", id="tags-choose"),
    pytest.param("action/to", ["event-owner"], "event-owner", id="session-chooses"),
    pytest.param("action/to", ["slack://tag/Owner"], "slack://tag", id="slack-tag"),
    pytest.param("action/to", ["slack://#general"], "slack://#general", id="channel"),
    pytest.param("action/to", ["arn:aws:sns:us-east-1:999999999999:x"], "arn:aws:sns", id="topic"),
    pytest.param("action/to", [HOOK], "no e-mail address", id="nobody"),
    pytest.param("action/to", "owner@example.com", "must be a list", id="text"),
    pytest.param("action/contact", "eve@evil.example", "action.contact", id="contact"),
    pytest.param("action/account-name", "production", "action.account-name", id="account-name"),
    pytest.param("action/violation_desc", "<img src=x>", "action.violation_desc", id="markup"),
    pytest.param("action/action_desc", 'x","channel":"#general', "action.action_desc", id="quote"),
    pytest.param("action/slack_msg_color", 'a","b', "action.slack_msg_color", id="color"),
    pytest.param("action/priority_header", True, "action.priority_header", id="priority"),
    pytest.param("action/parts", "x", "action.parts", id="parts"),
    pytest.param("resources", {}, "resources must be a list", id="no-list"),
    pytest.param("resources/0/UserName", "<b>", "UserName", id="name"),
    pytest.param("resources/0/c7n:IamUser", [], "c7n:IamUser must be an object", id="annotation"),
    pytest.param("resources/0/c7n:IamUser/unread", [1], "unread", id="unread"),
    pytest.param("resources/0/c7n:IamUser/attachments", {"x": "y"}, "attachments", id="attachments"),
    pytest.param("resources/0/c7n:IamUser/outcome", {}, "lacks status", id="outcome"),
]


@pytest.mark.parametrize(("path", "value", "fault"), CASES)
def test_what_no_function_of_ours_sends_is_refused(path: str, value: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        result(changed(path, value))


@pytest.mark.parametrize("key", [each for each in ROW if each != "UserName"])
def test_a_row_with_markup_is_refused(key: str) -> None:
    message = {**changed("action/template", "default.html"), "resources": [{**ROW, key: "<img src=x>"}]}
    with pytest.raises(ValueError, match=key):
        result(message)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        pytest.param(lambda: "{}", "not base64", id="json"),
        pytest.param(lambda: "é", "not base64", id="letters"),
        pytest.param(lambda: "A" * 2_000_000, "more than", id="large"),
        pytest.param(lambda: base64.b64encode(b"a text").decode(), "not zlib", id="plain"),
        pytest.param(lambda: packed(" " * (LARGEST_MESSAGE + 1)), "when it is unpacked", id="bomb"),
        pytest.param(lambda: packed([]), "must be an object", id="list"),
        pytest.param(lambda: packed(MESSAGE)[:400], "can't be read|not base64", id="cut-off"),
        pytest.param(
            lambda: base64.b64encode(zlib.compress(b'{"a":1,"a":2}')).decode(), "duplicate", id="twice"
        ),
        pytest.param(
            lambda: base64.b64encode(zlib.compress(b"[" * 100_000)).decode(), "nested|Expecting", id="deep"
        ),
    ],
)
def test_what_is_no_message_is_refused(body: Callable[[], str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        forwarded(body(), ACCOUNTS, SENT)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("place", ["created/text", "outcome/reason", "findings/0/text", "unread/0"])
def test_no_text_of_a_user_runs_or_breaks_anything(
    text: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        found = result(changed(f"resources/0/c7n:IamUser/{place}", text))
    except ValueError:
        return
    for each in render(found):
        assert "<img" not in each
        assert "www.evil-login.com" not in each
    assert not Path("pwned").exists()
