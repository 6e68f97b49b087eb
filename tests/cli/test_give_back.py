# SPDX-License-Identifier: Apache-2.0
"""Giving a user back while others act: another user of its name, outputs in a bucket, runs and machines that meet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from c7n.exceptions import PolicyExecutionError
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main
from tests.cli.test_user import BUCKET, messages, refusing, run, state, subject, user
from tests.cli.test_user import iam as iam  # a fixture
from tests.interference import on_call


def test_another_user_of_the_name_is_left_alone(org: LocalOrg, iam: Any) -> None:
    run({"type": "quarantine"})
    iam.update_user(UserName="alice", NewUserName="alice-2")
    iam.create_user(UserName="alice")
    iam.create_access_key(UserName="alice")
    run({"type": "quarantine"}, "elsewhere")
    before = state(iam)
    assert before[:2] == (["c7n-iamusers-deny-all"], ["Inactive"])
    result = user("alice", "-a", "payments", "--give-back", "--yes")
    assert result.exit_code == 1
    assert "no user alice with this unique id now" in result.output
    assert state(iam) == before
    assert messages(org) == []


@pytest.fixture
def output(org: LocalOrg) -> str:
    """A place in a bucket."""
    org.client("s3").create_bucket(Bucket=BUCKET)
    return f"s3://{BUCKET}/runs?region=us-east-1"


def give_back(output: str) -> Result:
    return user("alice", "-a", "payments", "--give-back", "--yes", output=output)


def objects(org: LocalOrg) -> list[str]:
    return [each["Key"] for each in org.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def meanwhile(operation: str, happens: Callable[[], object], dead: bool = False) -> Iterator[None]:
    """``happens`` right before the first ``operation``. ``dead``: no call is made from then on."""
    met = list[str]()

    def once() -> None:
        if not met:
            met.append(operation)
            happens()

    def die(self: Any, name: str, parameters: dict[str, Any]) -> Any:
        if met:
            raise Killed
        return original(self, name, parameters)

    with pytest.MonkeyPatch.context() as patch:
        original: Any = BaseClient._make_api_call  # type: ignore[attr-defined]
        if dead:
            patch.setattr(BaseClient, "_make_api_call", die)
        on_call(patch, operation, once)
        yield
    assert met == [operation]


@contextmanager
def killed(operation: str) -> Iterator[None]:
    """What is done is killed right before the first ``operation``."""
    with meanwhile(operation, lambda: None, dead=True), pytest.raises(Killed):
        yield


def test_a_deletion_that_is_under_way_in_a_bucket_goes_on_alone(org: LocalOrg, iam: Any, output: str) -> None:
    groups, refused = state(iam)[2], list[Result]()
    with meanwhile("DetachUserPolicy", lambda: refused.append(give_back(output))):
        run({"type": "composite-delete"}, output)
    (result,) = refused
    assert result.exit_code == 1
    assert "nothing was restored: policy iam-users-composite-delete, process " in result.output
    assert messages(org) == []
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName="alice")
    result = give_back(output)
    assert result.exit_code == 0, result.output
    assert state(iam)[2] == groups


def test_no_deletion_begins_in_a_bucket_while_the_user_is_given_back(iam: Any, output: str) -> None:
    groups = state(iam)[2]
    with refusing("DetachUserPolicy"), pytest.raises(PolicyExecutionError):
        run({"type": "composite-delete"}, output)

    def deletion() -> None:
        with pytest.raises(PolicyExecutionError, match=r"user alice --give-back, process .* works on it"):
            run({"type": "composite-delete"}, output)

    with meanwhile("AddUserToGroup", deletion):
        result = give_back(output)
    assert result.exit_code == 0, result.output
    assert state(iam)[2] == groups


@pytest.mark.parametrize("tail", ["?x", "#x", "?region=eu-west-9", "?kms-key=arn:aws:kms:x", "{x}", "%3Fx"])
def test_a_key_is_no_url(org: LocalOrg, iam: Any, output: str, tail: str) -> None:
    """Who writes to the bucket names objects: what follows a ? in a key is no option, nor its place another one."""
    groups = state(iam)[2]
    with refusing("DetachUserPolicy"), pytest.raises(PolicyExecutionError):
        run({"type": "composite-delete"}, output)
    s3, (first, *_) = org.client("s3"), [each for each in objects(org) if "/journal/" in each]
    top = first.partition("/journal/")[0]
    for key in objects(org):
        copy = {"Bucket": BUCKET, "Key": key}
        s3.copy_object(Bucket=BUCKET, Key=f"{top}{tail}{key.removeprefix(top)}", CopySource=copy)
    result = give_back(output)
    assert result.exit_code == 0, result.output
    assert state(iam)[2] == groups
    named = f"s3://{BUCKET}/{top}{tail}: no run writes to a place of this name: it is left out"
    assert (named in result.output) is (tail != "%3Fx")


def test_a_deletion_that_was_killed_is_found_in_a_bucket(org: LocalOrg, iam: Any, output: str) -> None:
    before = state(iam)
    with killed("DetachUserPolicy"):
        run({"type": "composite-delete"}, output)
    result = give_back(output)
    assert (result.exit_code, "until" in result.output) == (1, True)
    after_its_lease(org)
    result = give_back(output)
    assert result.exit_code == 0, result.output
    assert state(iam)[::2] == before[::2]


@pytest.mark.parametrize("place", [None, "output"], ids=["bucket", "directory"])
def test_what_was_given_back_is_no_failure_of_the_account(iam: Any, output: str, place: str | None) -> None:
    where = place or output
    run({"type": "composite-delete"}, where)
    result = give_back(where)
    assert result.exit_code == 0, result.output
    checked = CliRunner().invoke(
        main, ["report", "-s", where, "-c", "accounts.yml", "-a", "payments", "--check"]
    )
    assert "before it had selected users" not in checked.output


@pytest.mark.parametrize("operation", ["UploadSSHPublicKey", "AddUserToGroup", "PutUserPermissionsBoundary"])
def test_a_restoration_that_was_killed_is_carried_on_by_another_machine(
    org: LocalOrg, iam: Any, output: str, operation: str
) -> None:
    before = state(iam)
    run({"type": "composite-delete"}, output)
    with killed(operation):
        give_back(output)
    Path("given-back").rename("on-another-machine")
    after_its_lease(org)
    result = give_back(output)
    assert result.exit_code == 0, result.output
    assert state(iam)[::2] == before[::2]


def test_an_outcome_that_rests_on_a_restoration_names_its_line(org: LocalOrg, iam: Any, output: str) -> None:
    run({"type": "composite-delete"}, output)
    assert give_back(output).exit_code == 0
    s3 = org.client("s3")
    read = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in objects(org)}
    rows = [row for key, text in read.items() if key.endswith("outcomes.json") for row in json.loads(text)]
    (restored,) = (row for row in rows if row["status"] == "restored")
    lines = [
        json.loads(each) for key, text in read.items() if key.endswith("jsonl") for each in text.splitlines()
    ]
    told = [line for line in lines if line.get("status") == "restored"]
    assert {restored["unique_id"]} < {each["unique_id"] for each in told}
    assert restored["rests_on"] in {line["time"] for line in told if "made" in line}
    result = CliRunner().invoke(main, ["verify", output])
    assert "; 0 wrong" in result.output, result.output


def after_its_lease(org: LocalOrg) -> None:
    """What was killed has no lock any more."""
    for key in objects(org):
        if "/locks/" in key:
            org.client("s3").delete_object(Bucket=BUCKET, Key=key)


def test_names_that_no_run_gives_are_left_out_and_told(org: LocalOrg, iam: Any, output: str) -> None:
    unique_id = subject(iam, "alice").unique_id
    run({"type": "composite-delete"}, output)
    s3 = org.client("s3")
    (snapshot,) = [key for key in objects(org) if f"/snapshots/alice.{unique_id}.json" in key]
    place = snapshot.rpartition("/")[0]
    foreign = (
        *(
            f"{place}/a/../q.{unique_id}.json",
            f"{place}/q\0.{unique_id}.json",
            f"{snapshot}/q.{unique_id}.json",
        ),
        f"{place}/{'q' * 250}.{unique_id}.json",
        f"{place.removesuffix('snapshots')}journal/elsewhere/q.{unique_id}.jsonl",
    )
    for key in foreign:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"FORGED")
    for key in objects(org):
        if key.startswith("runs/payments/us-east-1/") and key not in foreign:
            for place in ("payments/us-east-1/../../other", "o" * 260):
                planted = key.replace("runs/payments/us-east-1/", f"runs/{place}/us-east-1/")
                s3.copy_object(Bucket=BUCKET, Key=planted, CopySource={"Bucket": BUCKET, "Key": key})
    result = give_back(output)
    assert result.exit_code == 0, result.output
    left_out = [line for line in result.stderr.splitlines() if "is left out: no run gives this name" in line]
    assert len(left_out) == len(foreign)
    assert "has an empty part, or one of dots, in its name" in result.stderr
    assert f"{'o' * 260}/us-east-1" in result.stderr
    assert "is left out: it is no place that a run writes to" in result.stderr
    assert not Path("given-back", BUCKET, "runs", "other").exists()
    assert not Path("given-back", BUCKET, "other").exists()
    assert b"FORGED" not in {path.read_bytes() for path in Path("given-back").rglob("*") if path.is_file()}
