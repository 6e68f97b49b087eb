# SPDX-License-Identifier: Apache-2.0
"""What our messages have of users."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.plugins.message_contents import by_risk, for_message
from c7n_iamusers.reasons import NOT_IN_QUARANTINE, NOT_PROVEN
from tests.plugins.test_notify_owners import EVERYBODY, action, sent
from tests.policies import ACCOUNT, policy

DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::an-internal-bucket"}],
}


@pytest.mark.parametrize("template", ["default.html", "iam-users-flagged.html"])
def test_messages_have_no_policy_documents_and_later_actions_do(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    monkeypatch.chdir(tmp_path)
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    iam.put_user_policy(UserName="alice", PolicyName="s3", PolicyDocument=json.dumps(DOCUMENT))
    (user,) = policy(
        {"filters": EVERYBODY, "actions": [action(tmp_path / "notices", template=template)]}
    ).run()
    (message,) = sent(org)
    assert "UserPolicyList" not in message["resources"][0]
    assert user["UserPolicyList"][0]["PolicyDocument"] == DOCUMENT


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
        pytest.param({}, {"UserName", "Tags"}, id="default-template"),
        pytest.param({"template": "default.html"}, {"UserName", "Tags"}, id="stock-template"),
        pytest.param({"slack_template": "mine"}, {"UserName", "Tags", "GroupList"}, id="stock-and-another"),
    ],
)
def test_a_message_has_what_its_template_needs(action: dict[str, str], sent: set[str]) -> None:
    known = {"kind": "human", "sources": {"user": {}}, "notice": {"day": "2026-12-26"}}
    whole = {"UserName": "alice", "Tags": [], "GroupList": ["x"], "UserPolicyList": [DOCUMENT]}
    (found,) = for_message([{**whole, "c7n:IamUser": known}], action)
    assert found.keys() - {"c7n:IamUser"} == sent
    assert found["c7n:IamUser"].keys() == known.keys() - (set() if "GroupList" in sent else {"sources"})


def test_an_owner_reads_why_nobody_got_access_and_not_what_the_operator_does() -> None:
    reason = NOT_PROVEN(
        user="alice", why="for example ec2:x on *; say so with derive: {identity-center-mfa: true}"
    )
    user = {"UserName": "alice", "c7n:IamUser": {"provisioning": {"status": "skipped", **reason.as_data()}}}
    (found,) = for_message([user], {"template": "iam-users-replaced.html"})
    made = found["c7n:IamUser"]["provisioning"]
    assert made["reason"].startswith("it is not proven that the role made from its policies allows no more")
    assert "identity-center-mfa" not in json.dumps(made)


@pytest.mark.parametrize(
    ("template", "reason"),
    [("iam-users-deleted.html", "it is not in quarantine"), ("mine.html", NOT_IN_QUARANTINE().text)],
    ids=["ours", "another"],
)
def test_our_templates_tell_reasons_in_owners_words(template: str, reason: str) -> None:
    outcome = {"status": "skipped", **NOT_IN_QUARANTINE().as_data()}
    row = {"UserName": "alice", "c7n:IamUser": {"outcome": dict(outcome)}}
    (found,) = for_message([row], {"template": template})
    told = found["c7n:IamUser"]["outcome"]
    assert (told["status"], told["reason"], told["code"]) == ("skipped", reason, "NotInQuarantine")
    assert row["c7n:IamUser"] == {"outcome": outcome}


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
