# SPDX-License-Identifier: Apache-2.0
"""A snapshot that a journal names and that is gone for good: who says so goes on, and nothing wider comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from c7n_iamusers.report.verification import NOTE, Verified, verify_outputs
from c7n_iamusers_cli.arguments import open_place
from tests.cli.test_user import BUCKET, run, state, user
from tests.cli.test_user import iam as iam  # a fixture

READ_ONLY = "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"
NAME = "iam-users-quarantine"


@pytest.fixture(params=["directory", "bucket"])
def output(request: pytest.FixtureRequest, org: LocalOrg) -> str:
    if request.param == "directory":
        return "output"
    org.client("s3").create_bucket(Bucket=BUCKET)
    return f"s3://{BUCKET}/runs?region=us-east-1"


def outcome(org: LocalOrg, output: str, name: str = NAME) -> dict[str, Any]:
    (place,) = [each for each in everything(org, output) if each.endswith(f"{name}/outcomes.json")]
    (row,) = [each for each in json.loads(everything(org, output)[place]) if each["user"] == "alice"]
    return dict(row)


def everything(org: LocalOrg, output: str) -> dict[str, bytes]:
    if not output.startswith("s3://"):
        return {str(each): each.read_bytes() for each in Path(output).rglob("*") if each.is_file()}
    s3 = org.client("s3")
    found = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    return {each["Key"]: s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in found}


def remove(org: LocalOrg, output: str, place: str) -> None:
    if output.startswith("s3://"):
        org.client("s3").delete_object(Bucket=BUCKET, Key=place)
    else:
        Path(place).unlink()


def test_whose_old_snapshot_is_gone_is_taken_and_given_back_once_that_is_said(
    org: LocalOrg, iam: Any, output: str
) -> None:
    run({"type": "quarantine"}, output)
    run({"type": "release"}, output)
    (snapshot,) = [each for each in everything(org, output) if "/snapshots/alice" in each]
    remove(org, output, snapshot)
    iam.attach_user_policy(UserName="alice", PolicyArn=READ_ONLY)
    before = state(iam)
    run_failing(output)
    assert outcome(org, output)["code"] == "SnapshotMissing"
    assert state(iam) == before
    said = user(
        "alice", "-a", "payments", "--gone-for-good", f"snapshots/{Path(snapshot).name}", output=output
    )
    assert (said.exit_code, "counts as gone for good" in said.output) == (0, True), said.output
    run({"type": "quarantine"}, output)
    assert outcome(org, output)["status"] == "quarantined"
    assert [each for each in everything(org, output) if each.endswith(".2.json")]
    run({"type": "release"}, output)
    assert outcome(org, output, "iam-users-release")["status"] == "released"
    assert state(iam) == before
    run({"type": "composite-delete"}, output)
    assert [each.level for each in verify(output).found if "is gone" in each.why] == [NOTE]
    given_back = user("alice", "-a", "payments", "--give-back", "--yes", output=output)
    assert given_back.exit_code == 0, given_back.output
    assert state(iam)[2] == before[2]


def verify(output: str) -> Verified:
    verified = Verified()
    verify_outputs(open_place(output), lambda _: "", verified)
    return verified


@pytest.mark.parametrize("name", ["snapshots/alice.AIDA.json", "{there}", "snapshots/../journal.jsonl"])
def test_only_what_a_journal_misses_can_be_given_up(org: LocalOrg, iam: Any, name: str) -> None:
    run({"type": "quarantine"})
    before = everything(org, "output")
    (there,) = [each for each in before if "/snapshots/alice" in each]
    said = user("alice", "--gone-for-good", name.format(there=f"snapshots/{Path(there).name}"))
    assert said.exit_code == 1
    assert "no journal here names it, or it is there" in said.output
    assert everything(org, "output") == before


def run_failing(output: str) -> None:
    with pytest.raises(PolicyExecutionError):
        run({"type": "quarantine"}, output)
