# SPDX-License-Identifier: Apache-2.0
"""Plan, review, apply."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from c7n_iamusers.deletion.reviewed_plan import DeletionPlan
from tests.full_users import create_full_user
from tests.interference import deny, on_call
from tests.plugins.deletions import NAME, acting, delete, journal, outcomes, user_names
from tests.policies import ACCOUNT
from tests.records import text_of

CHANGING = ("Put", "Delete", "Deactivate", "Detach", "Remove", "Update", "Attach", "Tag", "Untag", "Create")


def propose(output: Path, **options: Any) -> list[dict[str, Any]]:
    return delete(output, **{"plan-only": True}, **options)


def plan_file(output: Path) -> Path:
    return output / NAME / "deletion-plan.json"


def plan(output: Path) -> DeletionPlan:
    return DeletionPlan.from_json(plan_file(output).read_text())


def changes(org: LocalOrg) -> list[str]:
    return [call.operation for call in org.calls if call.operation.startswith(CHANGING)]


def _undated(operation: str, parameters: Mapping[str, Any]) -> tuple[str, str]:
    """The call without the time of the Deny, which is that of its own run."""
    return operation, re.sub(r"Deletion\d+T\d+Z", "Deletion", json.dumps(parameters, sort_keys=True))


def test_a_plan_changes_nothing_and_has_all_calls(org: LocalOrg, tmp_path: Path) -> None:
    iam = create_full_user(org, "alice")
    org.clear_calls()
    (resource,) = propose(tmp_path)
    assert changes(org) == []
    assert {path.name for path in (tmp_path / NAME).iterdir()} & {
        "journal.jsonl",
        "snapshots",
        "outcomes.json",
    } == set()
    (planned,) = plan(tmp_path).users
    assert plan(tmp_path).account_id == ACCOUNT
    assert (planned.attachments["access-key"], planned.attachments["mfa-device"]) == (2, 3)
    assert resource["c7n:IamUser"]["outcome"]["status"] == "planned"
    assert user_names(iam) == ["alice"]


def test_what_was_planned_is_what_is_called(org: LocalOrg, tmp_path: Path) -> None:
    create_full_user(org, "alice")
    propose(tmp_path)
    (planned,) = plan(tmp_path).users
    delete(tmp_path, plan=str(plan_file(tmp_path)))
    lines = [line for line in journal(tmp_path) if line["phase"] == "before"]
    made = [_undated(line["operation"], line["parameters"]) for line in lines]
    assert made == [_undated(call.operation, call.parameters) for call in planned.calls]
    assert outcomes(tmp_path)["alice"]["status"] == "deleted"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            lambda iam: iam.create_access_key(UserName="alice"), "has changed since", id="credential"
        ),
        pytest.param(
            lambda iam: iam.attach_user_policy(
                UserName="alice", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"
            ),
            "has changed since",
            id="policy",
        ),
        pytest.param(
            lambda iam: (iam.delete_user(UserName="alice"), iam.create_user(UserName="alice")),
            "not in the reviewed plan",
            id="recreated",
        ),
        pytest.param(
            lambda iam: iam.tag_user(UserName="alice", Tags=[{"Key": "c7n-iamusers-deletion", "Value": "x"}]),
            None,
            id="own-tag",
        ),
    ],
)
def test_a_user_that_changed_since_is_skipped_and_said(
    org: LocalOrg, tmp_path: Path, change: Any, reason: str | None
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    propose(tmp_path)
    change(iam)
    delete(tmp_path, plan=str(plan_file(tmp_path)))
    row = outcomes(tmp_path)["alice"]
    assert row["status"] == ("skipped" if reason else "deleted")
    assert (reason or "") in row["reason"]
    assert user_names(iam) == (["alice"] if reason else [])


def test_who_is_not_in_the_plan_stays(org: LocalOrg, tmp_path: Path) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    propose(tmp_path)
    iam.create_user(UserName="bob")
    delete(tmp_path, plan=str(plan_file(tmp_path)))
    assert user_names(iam) == ["bob"]
    assert outcomes(tmp_path)["bob"]["reason"] == "it is not in the reviewed plan"


def test_a_stopped_reviewed_deletion_continues(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create_full_user(org, "alice")
    propose(tmp_path)
    with monkeypatch.context() as patch:
        deny(patch, "DeleteVirtualMFADevice")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path, plan=str(plan_file(tmp_path)))
    delete(tmp_path, plan=str(plan_file(tmp_path)))
    assert user_names(iam) == []


def test_skipped_users_are_in_the_plan_with_the_reason(org: LocalOrg, tmp_path: Path) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    propose(tmp_path, **{"quarantined-for": 3})
    (planned,) = plan(tmp_path).users
    assert planned.calls == ()
    assert text_of(planned.skipped).startswith("not in quarantine")


def test_unreadable_users_are_in_the_plan_and_fail_the_run(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_full_user(org, "alice")
    on_call(monkeypatch, "GetUser", lambda: deny(monkeypatch, "GetSSHPublicKey", "alice"))
    deny(monkeypatch, "GetSSHPublicKey", "alice")
    with pytest.raises(PolicyExecutionError, match="composite-delete failed for 1 users"):
        propose(tmp_path)
    (planned,) = plan(tmp_path).users
    assert "AccessDenied" in text_of(planned.skipped)


def test_a_plan_is_pinned_by_its_digest(org: LocalOrg, tmp_path: Path) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    propose(tmp_path)
    digest = hashlib.sha256(plan_file(tmp_path).read_bytes()).hexdigest()
    reviewed = {"plan": str(plan_file(tmp_path)), "plan-sha256": digest}
    plan_file(tmp_path).write_text(plan_file(tmp_path).read_text() + "\n")
    with pytest.raises(PolicyExecutionError, match="it was changed since the review"):
        delete(tmp_path, **reviewed)
    assert user_names(iam) == ["alice"]
    plan_file(tmp_path).write_text(plan_file(tmp_path).read_text().rstrip("\n"))
    delete(tmp_path, **reviewed)
    assert user_names(iam) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "No such file", id="missing"),
        pytest.param("{", "not valid JSON", id="torn"),
        pytest.param(
            {"account_id": "444455556666", "users": []}, "it is of account 444455556666", id="other-account"
        ),
        pytest.param(
            {"account_id": "444455556666"}, f"its ARN is in account {ACCOUNT}", id="relabeled-account"
        ),
    ],
)
def test_a_plan_that_cannot_be_used_touches_nobody(
    org: LocalOrg, tmp_path: Path, content: Any, message: str
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    propose(tmp_path)
    path = tmp_path / "reviewed.json"
    if isinstance(content, dict):
        path.write_text(json.dumps({**json.loads(plan_file(tmp_path).read_text()), **content}))
    elif content is not None:
        path.write_text(content)
    with pytest.raises(PolicyExecutionError, match=rf"account {ACCOUNT}: the reviewed plan .*{message}"):
        delete(tmp_path, plan=str(path))
    assert user_names(iam) == ["alice"]


@pytest.mark.parametrize(
    ("twin", "message"),
    [
        pytest.param({"skipped": "exempt", "calls": []}, "another entry has the same ARN", id="duplicate"),
        pytest.param({"fingerprint": ""}, "no fingerprint", id="no-fingerprint"),
    ],
)
def test_a_plan_that_was_tampered_with_touches_nobody(
    org: LocalOrg, tmp_path: Path, twin: dict[str, Any], message: str
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    propose(tmp_path)
    data = json.loads(plan_file(tmp_path).read_text())
    (entry,) = data["users"]
    users = [{**entry, **twin}, entry] if "skipped" in twin else [{**entry, **twin}]
    plan_file(tmp_path).write_text(json.dumps({**data, "users": users}))
    with pytest.raises(
        PolicyExecutionError, match=rf"can't be used: not a plan that a run has made: .*{message}"
    ):
        delete(tmp_path, plan=str(plan_file(tmp_path)))
    assert user_names(iam) == ["alice"]


def test_a_plan_may_be_named_by_a_link_but_must_be_a_file(org: LocalOrg, tmp_path: Path) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    propose(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(PolicyExecutionError, match="fifo is a FIFO"):
        delete(tmp_path, plan=str(tmp_path / "fifo"))
    assert user_names(iam) == ["alice"]
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(PolicyExecutionError, match=r"symbolic link.*loop"):
        delete(tmp_path, plan=str(tmp_path / "loop"))
    (tmp_path / "link").symlink_to(plan_file(tmp_path))
    delete(tmp_path, plan=str(tmp_path / "link"))
    assert user_names(iam) == []


def test_a_reviewed_reason_reaches_outcomes_and_logs_escaped(org: LocalOrg, tmp_path: Path) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    propose(tmp_path, **{"quarantined-for": 3})
    data = json.loads(plan_file(tmp_path).read_text())
    data["users"][0]["skipped"] = "exempt\x1b[2K\u202e"
    plan_file(tmp_path).write_text(json.dumps(data))
    delete(tmp_path, plan=str(plan_file(tmp_path)))
    assert outcomes(tmp_path)["alice"]["reason"] == ("the reviewed plan skips it: exempt\\u001b[2K\\u202e")


def test_a_digest_without_a_plan_deletes_nothing(org: LocalOrg, tmp_path: Path) -> None:
    """As where a variable that should have named the plan came out empty after validation."""
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    found = acting({"type": "composite-delete", "plan": "x", "plan-sha256": "0" * 64}, tmp_path)
    del found.resource_manager.actions[0].data["plan"]
    with pytest.raises(PolicyExecutionError, match="plan-sha256 without plan"):
        found.run()
    assert user_names(iam) == ["alice"]
