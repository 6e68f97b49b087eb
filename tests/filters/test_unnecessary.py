# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers.local_org import LocalOrg
from tests.interference import deny
from tests.policies import ACCOUNT, policy

RULE = {"reason": "a test", "expires": "2999-12-31"}


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """alice with attachments; bob under a path; carol tagged; dave in a group."""
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    client.create_access_key(UserName="alice")
    client.create_access_key(UserName="alice")
    client.create_login_profile(UserName="alice", Password="correct-Horse-7-battery")
    client.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    client.create_user(UserName="bob", Path="/emergency/")
    client.create_user(UserName="carol", Tags=[{"Key": "Purpose", "Value": "demo"}])
    client.create_user(UserName="dave")
    client.create_group(GroupName="Keep")
    client.add_user_to_group(UserName="dave", GroupName="Keep")
    return client


def flagged(*exempt: dict[str, Any], source: str = "authorization-details") -> dict[str, dict[str, Any]]:
    filters = [{"type": "unnecessary", "exempt": [{**RULE, **rule} for rule in exempt]}]
    found = policy({"filters": filters, "source": source}).resource_manager.resources()
    return {resource["UserName"]: resource["c7n:IamUser"] for resource in found}


@pytest.mark.parametrize("source", ["authorization-details", "describe"])
def test_any_user_is_flagged_with_what_is_attached(iam: Any, source: str) -> None:
    found = flagged(source=source)
    assert found.keys() == {"alice", "bob", "carol", "dave"}
    counts = {kind: count for kind, count in found["alice"]["attachments"].items() if count}
    assert counts == {"access-key": 2, "login-profile": 1, "attached-policy": 1}
    assert len(found["alice"]["attachments"]) == 11
    assert found["dave"]["attachments"]["group"] == 1
    assert [finding["id"] for finding in found["alice"]["findings"]] == ["iam-user"]
    assert found["alice"]["exemption"] is None


@pytest.mark.parametrize("source", ["authorization-details", "describe"])
@pytest.mark.parametrize(
    ("rule", "spared"),
    [
        pytest.param({"user": "al*"}, "alice", id="user"),
        pytest.param({"path": "/emergency/*"}, "bob", id="path"),
        pytest.param({"tag": "Purpose=d*"}, "carol", id="tag"),
        pytest.param({"group": "Keep"}, "dave", id="group"),
    ],
)
def test_rules_spare_users(iam: Any, source: str, rule: dict[str, Any], spared: str) -> None:
    assert {"alice", "bob", "carol", "dave"} - flagged(rule, source=source).keys() == {spared}


def test_an_expired_rule_flags_and_says_so(iam: Any) -> None:
    found = flagged({"user": "alice", "expires": "2020-02-01", "reason": "old times"})
    expired = [finding for finding in found["alice"]["findings"] if finding["id"] == "expired-exemption"]
    assert len(expired) == 1
    assert "until 2020-02-01 (old times)" in expired[0]["text"]
    assert "expired-exemption" not in [finding["id"] for finding in found["bob"]["findings"]]


def test_a_date_that_yaml_parsed_can_be_written_to_the_metadata(iam: Any, tmp_path: Path) -> None:
    rule = {"user": "alice", "reason": "r", "expires": date(2999, 12, 31)}
    policy({"filters": [{"type": "unnecessary", "exempt": [rule]}]}, tmp_path).run()
    metadata = json.loads((tmp_path / "under-test" / "metadata.json").read_text())
    assert metadata["policy"]["filters"][0]["exempt"][0]["expires"] == "2999-12-31"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        pytest.param(
            {"user": "x", "expires": "2999-12-31"}, r"exempt\[0\]: reason is missing", id="no-reason"
        ),
        pytest.param(
            {"user": "x", "reason": "r", "expires": "soon"}, r"exempt\[0\]: expires is not a date", id="date"
        ),
        pytest.param({"name": "x", **RULE}, r"exempt\[0\]: there is no key 'name'", id="pattern-key"),
    ],
)
def test_faulty_rules_do_not_validate(org: LocalOrg, rule: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyValidationError, match=r"policy under-test: filter unnecessary: " + message):
        policy({"filters": [{"type": "unnecessary", "exempt": [rule]}]})


def test_a_user_that_cannot_be_read_is_left_alone_and_named(
    iam: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deny(monkeypatch, "ListAccessKeys", "alice")
    assert flagged().keys() == {"bob", "carol", "dave"}
    assert "user alice of account 111122223333 is left alone" in caplog.text


def test_unreadable_groups_fail_the_policy(iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, "GetAccountAuthorizationDetails")
    with pytest.raises(
        PolicyExecutionError, match=r"account 111122223333: groups and policies .* can't be read"
    ):
        flagged({"group": "Keep"}, source="describe")
