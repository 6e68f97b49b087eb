# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from c7n_iamusers.deletion.plan import plan_deletion
from c7n_iamusers.deletion.reviewed_plan import Asked, DeletionPlan, PlannedDeletion
from c7n_iamusers_cli.main import main
from tests.records import ACCOUNT, EVERYTHING, said, user

MADE = datetime(2026, 11, 24, tzinfo=timezone.utc)
ALICE, BOB = user(**EVERYTHING), user("bob", unique_id="AIDABOB")
COUNTS = {kind: count for kind, count in ALICE.counts().items() if count}
PLANNED = PlannedDeletion(ALICE.subject, "0" * 64, plan_deletion(ALICE, MADE).calls, COUNTS)
SPARED = PlannedDeletion(BOB.subject, skipped=said("exempt by user 'bob'"))
PLAN = DeletionPlan(ACCOUNT, "iam-users-delete", "2026-11-24T00:00:00+00:00", (PLANNED, SPARED))


def printed(path: Path, *options: str, content: str = PLAN.as_json()) -> Result:
    file = path / "deletion-plan.json"
    file.write_text(content)
    return CliRunner().invoke(main, ["plan", str(file), *options])


def test_a_reviewer_sees_every_call_in_its_order(tmp_path: Path) -> None:
    lines = printed(tmp_path).output.splitlines()
    assert "account 111122223333" in lines[0]
    assert f"1 users are deleted by {len(PLANNED.calls)} calls, 1 are skipped" in lines[0]
    assert hashlib.sha256(PLAN.as_json().encode()).hexdigest() in lines[0]
    assert lines[1] == (
        "which code manages them was asked by tags alone; policies of resources that may name them: none"
    )
    lines = lines[1:]
    assert lines[2].startswith(f"{ALICE.arn} (AIDAALICEALICEALICE23): 1 login-profile, 2 access-key")
    assert lines[3].startswith("  1 iam:PutUserPolicy ")
    assert "c7n-iamusers-deny-all" in lines[3]
    assert "Deletion20261124T000000Z" in lines[3]
    assert lines[4] == "  2 iam:DeleteLoginProfile"
    assert lines[5] == "  3 iam:DeleteAccessKey AccessKeyId=AKIA1"
    assert lines[-1] == f"{BOB.arn}: skipped: exempt by user 'bob'"
    assert len([line for line in lines if " iam:" in line]) == len(PLANNED.calls)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (Asked(stacks=("eu-west-1", "us-east-1")), "by tags, stacks in eu-west-1, us-east-1; "),
        (Asked(terraform_states=("s3://b/k",)), "by tags, states in s3://b/k; "),
        (
            Asked(("eu-west-1",), ("a", "b"), ("s3", "kms")),
            "by tags, stacks in eu-west-1 and states in a, b; policies of resources that may name them: s3, kms",
        ),
    ],
)
def test_a_reviewer_sees_what_was_asked(tmp_path: Path, asked: Asked, text: str) -> None:
    plan = replace(PLAN, asked=asked)
    assert text in printed(tmp_path, content=plan.as_json()).output.splitlines()[1]
    assert DeletionPlan.from_json(plan.as_json()).asked == asked


def test_on_a_terminal_it_is_a_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("rich.console.Console.print", lambda _, tree: drawn.append(tree))
    monkeypatch.setattr("c7n_iamusers_cli.plan.on_a_terminal", lambda: True)
    printed(tmp_path)
    (tree,) = drawn
    assert "1 users are deleted" in str(tree.label)
    assert "by tags alone" in str(tree.label)
    assert [len(branch.children) for branch in tree.children] == [len(PLANNED.calls), 0]


def test_programs_get_json(tmp_path: Path) -> None:
    assert json.loads(printed(tmp_path, "--format", "json").output) == json.loads(PLAN.as_json())


def test_what_is_no_plan_is_named(tmp_path: Path) -> None:
    result = printed(tmp_path, content="[]")
    assert result.exit_code == 1
    assert f"{tmp_path}/deletion-plan.json: not a plan of deletions" in result.output


HOSTILE = "exempt\x1b[2K\x1b[1A\r\n\x7f\x9b2J\u202e\u200b\u2028"
SHOWN = r"exempt\u001b[2K\u001b[1A\u000d\u000a\u007f\u009b2J\u202e\u200b\u2028"
TAMPERED = replace(
    PLAN, policy=HOSTILE, made=HOSTILE, users=(PLANNED, replace(SPARED, skipped=said(HOSTILE)))
).as_json()


def test_no_control_character_of_a_plan_reaches_a_terminal_raw(tmp_path: Path) -> None:
    output = printed(tmp_path, content=TAMPERED).output
    assert all(line.isprintable() for line in output.split("\n"))
    lines = output.splitlines()
    assert lines[0].startswith(f"policy {SHOWN}, account {ACCOUNT}, made {SHOWN}: 1 users are deleted")
    assert lines[-1] == f"{BOB.arn}: skipped: {SHOWN}"


def test_nor_drawn_as_a_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c7n_iamusers_cli.plan.on_a_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "400")
    output = printed(tmp_path, content=TAMPERED).output
    assert all(line.isprintable() for line in output.split("\n"))
    assert f"{BOB.arn}: skipped: {SHOWN}" in output


def test_control_characters_are_escaped_in_json_too(tmp_path: Path) -> None:
    output = printed(tmp_path, "--format", "json", content=TAMPERED).output
    assert all(line.isprintable() for line in output.split("\n"))
    assert json.loads(output) == json.loads(TAMPERED)


def test_a_user_has_one_entry_only(tmp_path: Path) -> None:
    twice = replace(PLAN, users=(PLANNED, replace(PLANNED, skipped=said("exempt"), calls=()))).as_json()
    result = printed(tmp_path, content=twice)
    assert result.exit_code == 1
    assert "user 'alice' of account '111122223333': another entry has the same ARN" in result.output
