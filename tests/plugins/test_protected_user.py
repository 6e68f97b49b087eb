# SPDX-License-Identifier: Apache-2.0
"""AWS refuses changes of one user, as an SCP that protects it does: the others are done as if it were not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, FORMS
from c7n_iamusers.plugins.user_action import UserAction
from tests.interference import deny
from tests.plugins.deletions import acting, outcomes, user_names
from tests.policies import ACCOUNT

#: By name, so the protected one comes first.
OTHERS = ("bob", "zed")


@pytest.fixture(autouse=True)
def one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UserAction, "max_workers", 1)


@pytest.fixture
def iam(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> Any:
    client = org.client("iam", ACCOUNT)
    for name in ("alice", *OTHERS):
        client.create_user(UserName=name)
        client.create_access_key(UserName=name)
        client.create_login_profile(UserName=name, Password="correct-Horse-7-battery")
    for operation in FORMS:
        deny(monkeypatch, operation, "alice")
    return client


def fail(action: str | dict[str, Any], output: Path) -> dict[str, Any]:
    """The rows, by user."""
    with pytest.raises(PolicyExecutionError, match="failed for 1 users"):
        acting(action, output).run()
    return outcomes(output)


def test_the_others_are_deleted(iam: Any, tmp_path: Path) -> None:
    rows = fail("composite-delete", tmp_path)
    assert {name: row["status"] for name, row in rows.items()} == {
        "alice": "failed",
        **dict.fromkeys(OTHERS, "deleted"),
    }
    assert "no Deny-all can be put on it" in rows["alice"]["reason"]
    assert user_names(iam) == ["alice"]


@pytest.mark.parametrize("credentials", ["keep", "deactivate"])
def test_the_others_are_quarantined_in_the_first_form(iam: Any, tmp_path: Path, credentials: str) -> None:
    rows = fail({"type": "quarantine", "credentials": credentials}, tmp_path)
    assert {name: row["status"] for name, row in rows.items()} == {
        "alice": "failed",
        **dict.fromkeys(OTHERS, "quarantined"),
    }
    for name in OTHERS:
        assert iam.list_user_policies(UserName=name)["PolicyNames"] == [DENY_ALL_NAME]


def test_nobody_is_told_that_a_deny_holds_that_could_not_be_put_on(iam: Any, tmp_path: Path) -> None:
    rows = fail("quarantine", tmp_path)
    assert "the Deny-all denies everything in that session" not in rows["alice"]["reason"]
    assert "its console password and its open sessions still work" in rows["alice"]["reason"]
    assert "the Deny-all denies everything in that session" in rows["bob"]["reason"]


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_is_refused_for_one_user_is_used_for_the_others(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    client = org.client("iam", ACCOUNT)
    for name in ("alice", *OTHERS):
        client.create_user(UserName=name)
        client.create_access_key(UserName=name)
    for operation in [*FORMS][: [*FORMS].index(form)]:
        deny(monkeypatch, operation)
    deny(monkeypatch, form, "alice")
    if form == [*FORMS][-1]:
        fail("composite-delete", tmp_path)
    else:
        acting("composite-delete", tmp_path).run()
    first = dict[str, str]()
    for line in next(tmp_path.glob("*/journal.jsonl")).read_text().splitlines():
        row = json.loads(line)
        if row["phase"] == "after" and row["result"] == "done":
            first.setdefault(row["user"], row["operation"])
    assert [first[name] for name in OTHERS] == [form] * len(OTHERS)
