# SPDX-License-Identifier: Apache-2.0
"""What ``notify`` sends of users, and what c7n-mailer's own templates make of it."""

from __future__ import annotations

import base64
import json
import logging
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import c7n_mailer
import pytest
from c7n.actions.notify import Notify
from c7n_mailer.utils import get_rendered_jinja

from aws_local_org import LocalOrg
from c7n_iamusers.evidence.attempts import NOT_QUARANTINED
from c7n_iamusers.plugins.resources import by_risk, for_message, register_messages
from tests.policies import ACCOUNT, policy

TEMPLATES = Path(c7n_mailer.__file__).parent / "msg-templates"
SECRET = "arn:aws:s3:::an-internal-bucket"
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": SECRET}],
}
NOTIFY = {"type": "notify", "to": ["x@example.com"], "transport": {"type": "sqs", "queue": "mailer"}}


def send(monkeypatch: pytest.MonkeyPatch, users: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a policy's notify puts into the queue for ``users``, decoded."""
    sent: list[str] = []
    monkeypatch.setattr(Notify, "send_data_message", lambda self, message, payload: sent.append(payload))
    policy({"actions": [NOTIFY]}).resource_manager.actions[0].process(users)
    decoded: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(sent[0])))
    return decoded


@pytest.fixture
def users(org: LocalOrg) -> list[dict[str, Any]]:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    iam.put_user_policy(UserName="alice", PolicyName="s3", PolicyDocument=json.dumps(DOCUMENT))
    listed: list[dict[str, Any]] = policy({}).resource_manager.resources()
    return listed


@pytest.mark.parametrize("template", ["default.html", "default", "slack_default"])
def test_stock_templates_print_no_policy_document(
    users: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    message = send(monkeypatch, users)
    text = get_rendered_jinja(
        "x@example.com",
        message,
        message["resources"],
        logging.getLogger("test"),
        "template",
        template,
        [str(TEMPLATES)],
    )
    assert "alice" in text
    assert SECRET not in text


def test_later_actions_and_filters_keep_the_documents(
    users: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = send(monkeypatch, users)
    (sent,), (kept,) = message["resources"], users
    assert kept.keys() - sent.keys() == {"UserPolicyList"}
    assert kept["UserPolicyList"][0]["PolicyDocument"] == DOCUMENT


def test_messages_of_other_resources_are_as_they_were() -> None:
    group = {"GroupName": "team", "UserPolicyList": [DOCUMENT]}
    notify = Notify(NOTIFY, SimpleNamespace(type="iam-group"))
    assert notify.prepare_resources([group]) == [group]


def test_a_method_of_stock_c7n_is_still_called_and_ours_is_added_once() -> None:
    seen: list[Any] = []

    class Future:
        data: ClassVar[dict[str, Any]] = {}

        def prepare_iam_user(self, resources: list[Any]) -> list[Any]:
            seen.append(resources)
            return [{**each, "stock": True} for each in resources]

    register_messages(Future)
    register_messages(Future)
    user = {"UserName": "alice", "UserPolicyList": [DOCUMENT]}
    assert Future().prepare_iam_user([user]) == [{"UserName": "alice", "stock": True}]
    assert seen == [[{"UserName": "alice"}]]


@pytest.mark.parametrize(
    ("action", "sent"),
    [
        pytest.param({"template": "iam-users-flagged.html"}, {"UserName", "Tags"}, id="our-template"),
        pytest.param(
            {"template": "iam-users-flagged.html", "slack_template": "slack_iam_users"},
            {"UserName", "Tags"},
            id="both-ours",
        ),
        pytest.param({"template": "mine.html"}, {"UserName", "Tags", "GroupList"}, id="another-template"),
        pytest.param(
            {"template": "iam-users-flagged.html", "slack_template": "mine"},
            {"UserName", "Tags", "GroupList"},
            id="another-for-slack",
        ),
        pytest.param({}, {"UserName", "Tags", "GroupList"}, id="default-template"),
    ],
)
def test_a_message_has_what_its_template_needs(action: dict[str, str], sent: set[str]) -> None:
    known = {"kind": "human", "sources": {"user": {}}, "notice": {"day": "2026-12-26"}}
    whole = {"UserName": "alice", "Tags": [], "GroupList": ["x"], "UserPolicyList": [DOCUMENT]}
    (found,) = for_message([{**whole, "c7n:IamUser": known}], action)
    assert found.keys() - {"c7n:IamUser"} == sent
    assert found["c7n:IamUser"].keys() == known.keys() - (set() if "GroupList" in sent else {"sources"})


@pytest.mark.parametrize(
    ("template", "reason"),
    [("iam-users-deleted.html", "it is not in quarantine"), ("mine.html", NOT_QUARANTINED)],
    ids=["ours", "another"],
)
def test_our_templates_tell_reasons_in_owners_words(template: str, reason: str) -> None:
    row = {"UserName": "alice", "c7n:IamUser": {"outcome": {"status": "skipped", "reason": NOT_QUARANTINED}}}
    (found,) = for_message([row], {"template": template})
    assert found["c7n:IamUser"]["outcome"] == {"status": "skipped", "reason": reason}
    assert row["c7n:IamUser"] == {"outcome": {"status": "skipped", "reason": NOT_QUARANTINED}}


def test_the_highest_risk_comes_first() -> None:
    severities = {"a": [], "b": ["low"], "c": ["medium", "high"], "d": ["low"], "e": ["medium"]}
    rows = [
        {"UserName": name, "c7n:IamUser": {"findings": [{"severity": each} for each in found]}}
        for name, found in severities.items()
    ]
    assert [each["UserName"] for each in by_risk([*rows, {"UserName": "f"}])] == [
        "c",
        "e",
        "b",
        "d",
        "a",
        "f",
    ]
