# SPDX-License-Identifier: Apache-2.0
"""Output to S3: everything is there at once, and the next run finds it."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError, ResourceLimitExceeded
from c7n.policy import Policy

from aws_local_org import LocalOrg
from c7n_iamusers.exceptions import RunLockLost
from c7n_iamusers.execution.bucket_store import BucketStore
from c7n_iamusers.execution.locks import RUN_LOCK
from c7n_iamusers.execution.outcomes import FAILED, SKIPPED, Outcome
from c7n_iamusers.execution.stores import JOURNAL, DirectoryStore
from c7n_iamusers.plugins.run_outputs import RunStore, fail_at_the_end, stable_prefix
from c7n_iamusers.reasons import NOT_IN_PLAN
from c7n_iamusers.snapshots.snapshot import Snapshot
from tests.fakes import client_error
from tests.full_users import create_full_user
from tests.interference import deny, on_call
from tests.plugins.deletions import acting, user_names
from tests.policies import ACCOUNT, policy
from tests.unreadable import UNREADABLE, Lose
from tests.used_permissions import run_within_permissions

PREFIX = f"here/{ACCOUNT}/under-test"
LAMBDA = {
    "type": "cloudtrail",
    "events": [{"source": "iam.amazonaws.com", "event": "CreateUser", "ids": "requestParameters.userName"}],
    "packages": ["c7n_iamusers"],
    "handler": "c7n_iamusers.handler.run",
    "role": "arn:aws:iam::{account_id}:role/custodian",
    "execution-options": {"output_dir": "s3://outputs/here"},
}


@pytest.fixture
def s3(org: LocalOrg) -> Any:
    """The bucket is in the account of the credentials that run Cloud Custodian, as with c7n's own output."""
    client = org.client("s3")
    client.create_bucket(Bucket="outputs")
    return client


def to_bucket(
    action: str | dict[str, Any], url: str = "s3://outputs/here?region=us-east-1", **data: Any
) -> Policy:
    found = acting(action, None, **data)
    found.options["output_dir"] = url
    return found


def keys(s3: Any, prefix: str = PREFIX) -> list[str]:
    found = s3.list_objects_v2(Bucket="outputs", Prefix=prefix).get("Contents", ())
    return sorted(each["Key"].removeprefix(f"{prefix}/") for each in found)


def content(s3: Any, name: str) -> bytes:
    body: bytes = s3.get_object(Bucket="outputs", Key=f"{PREFIX}/{name}")["Body"].read()
    return body


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/here", "here/111122223333/delete"),
        ("", "111122223333/delete"),
        ("/here/payments/eu-west-1", "here/payments/eu-west-1/111122223333/delete"),
        ("/{account_id}/{region}/{policy_name}/{now:%Y/%m/%d/%H}", "111122223333/eu-west-1/delete"),
        ("/runs/{uuid}/", "runs/111122223333/delete"),
    ],
)
def test_the_prefix_is_the_same_for_every_run(path: str, prefix: str) -> None:
    assert stable_prefix(path, ACCOUNT, "eu-west-1", "delete") == prefix


def test_snapshot_and_announcement_are_there_before_the_first_change(
    org: LocalOrg, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create_full_user(org, "alice")
    unique_id = iam.get_user(UserName="alice")["User"]["UserId"]
    seen: list[list[str]] = []
    on_call(monkeypatch, "PutUserPolicy", lambda: seen.append(keys(s3)))
    to_bucket("composite-delete").run()
    (journal, lock, _, snapshot), *_ = seen
    assert lock == f"locks/{unique_id}.json"
    assert snapshot == f"snapshots/alice.{unique_id}.json"
    assert journal.startswith("journal/")
    assert Snapshot.from_json(content(s3, snapshot)).user.unique_id == unique_id
    lines = [json.loads(line) for line in content(s3, journal).splitlines()]
    assert (lines[0]["phase"], lines[0]["snapshot"]) == ("snapshot", snapshot)
    assert lines[0]["sha256"] == hashlib.sha256(content(s3, snapshot)).hexdigest()
    assert lines[1]["phase"] == "decision"
    assert lines[2]["operation"] == "PutUserPolicy"
    assert (lines[-1]["phase"], lines[-1]["status"]) == ("outcome", "deleted")
    assert json.loads(content(s3, "outcomes.json"))[0]["status"] == "deleted"
    assert user_names(iam) == []


def test_objects_are_encrypted_as_the_output_url_says(org: LocalOrg, s3: Any) -> None:
    org.client("iam", ACCOUNT).create_user(UserName="alice")
    to_bucket("composite-delete", "s3://outputs/here?region=us-east-1&kms-key=alias/custodian").run()
    for key in keys(s3):
        found = s3.head_object(Bucket="outputs", Key=f"{PREFIX}/{key}")
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "alias/custodian")


def test_a_later_run_carries_on_from_the_bucket(
    org: LocalOrg, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create_full_user(org, "alice")
    with monkeypatch.context() as patch:
        deny(patch, "DeleteVirtualMFADevice")
        with pytest.raises(PolicyExecutionError):
            to_bucket("composite-delete").run()
    (name,) = [key for key in keys(s3) if key.startswith("snapshots/")]
    before = content(s3, name)
    to_bucket("composite-delete").run()
    assert user_names(iam) == []
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Unassigned")["VirtualMFADevices"] == []
    assert content(s3, name) == before
    later = name.replace(".json", ".2.json")
    assert {key for key in keys(s3) if key.startswith("snapshots/")} == {name, later}
    (row,) = json.loads(content(s3, "outcomes.json"))
    assert [row["status"], row["history"][0]["status"]] == ["deleted", "failed"]


def test_a_bucket_that_takes_nothing_touches_nobody(
    org: LocalOrg, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")

    def refusing(*_: Any, **__: Any) -> None:
        raise client_error("AccessDenied")

    monkeypatch.setattr(BucketStore, "_put", refusing)
    with pytest.raises(PolicyExecutionError, match=r"s3://outputs/here.*AccessDenied"):
        to_bucket("composite-delete").run()
    assert user_names(iam) == ["alice"]


def test_a_plan_goes_to_the_bucket_and_is_applied_from_there(org: LocalOrg, s3: Any) -> None:
    iam = create_full_user(org, "alice")
    to_bucket({"type": "composite-delete", "plan-only": True}).run()
    assert keys(s3) == ["deletion-plan.json"]
    place = f"s3://outputs/{PREFIX}/deletion-plan.json"
    to_bucket({"type": "composite-delete", "plan": place}).run()
    assert user_names(iam) == []


def event_policy(**data: Any) -> Policy:
    filters = [{"type": "unnecessary", "exempt": "none"}]
    found = policy({"filters": filters, "actions": ["composite-delete"], "mode": LAMBDA, **data})
    found.options["output_dir"] = "s3://outputs/here?region=us-east-1"
    return found


def event(*names: str) -> dict[str, Any]:
    detail = {
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "requestParameters": {"userName": list(names)},
    }
    return {"detail": detail, "account": ACCOUNT, "region": "us-east-1"}


def test_an_event_deletes_with_snapshot_and_journal_in_the_bucket(org: LocalOrg, s3: Any) -> None:
    iam = create_full_user(org, "alice")
    run_within_permissions(event_policy(), event("alice"), None)
    assert user_names(iam) == []
    assert {key.partition("/")[0] for key in keys(s3)} == {"snapshots", "journal", "locks", "outcomes.json"}


@pytest.mark.parametrize(
    "limit",
    [{"max-resources": 1}, {"max-resources-percent": 50}, {"max-resources": {"amount": 1, "op": "or"}}],
)
def test_max_resources_holds_in_event_modes_too(org: LocalOrg, s3: Any, limit: dict[str, Any]) -> None:
    iam = org.client("iam", ACCOUNT)
    for name in ("alice", "bob", "carol"):
        iam.create_user(UserName=name)
    with pytest.raises(ResourceLimitExceeded, match="found:2"):
        run_within_permissions(event_policy(**limit), event("alice", "bob"), None)
    assert user_names(iam) == ["alice", "bob", "carol"]


@pytest.mark.parametrize("count", [1, 10, 11, 13])
def test_an_error_names_ten_users_and_says_where_the_others_are(count: int) -> None:
    def outcome(number: int, status: str = FAILED) -> Outcome:
        return Outcome(f"u{number}", f"arn:{number}", status, NOT_IN_PLAN(), unique_id=f"AIDA{number}")

    manager = SimpleNamespace(data={"name": "p"}, actions=[])
    fail_at_the_end(manager, "deletion", [outcome(0, SKIPPED)])
    assert manager.actions == []
    fail_at_the_end(manager, "deletion", [outcome(number) for number in range(count)], ["more."])
    fail_at_the_end(manager, "notify", [outcome(0, SKIPPED)], ["last."])
    (last,) = manager.actions
    first, more, end = last.problems
    assert (more, end) == ("more.", "last.")
    assert first.startswith(f"deletion failed for {count} users: arn:0: ")
    assert first.count("arn:") == min(count, 10)
    assert first.endswith(f"; and {count - 10} more, see outcomes.json") is (count > 10)
    with pytest.raises(PolicyExecutionError, match=r"policy p: deletion failed .*; more\.; last\."):
        last.process([])


def test_a_lambda_without_a_bucket_is_refused_before_and_when_it_runs(org: LocalOrg, tmp_path: Path) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    mode = {key: value for key, value in LAMBDA.items() if key != "execution-options"}
    with pytest.raises(PolicyValidationError, match="keeps snapshots and journal in S3 only"):
        event_policy(mode=mode)
    found = event_policy()
    found.options["output_dir"] = str(tmp_path)
    with pytest.raises(PolicyExecutionError, match="does not outlive the run"):
        found.push(event("alice"), None)
    assert user_names(iam) == ["alice"]


def test_the_time_of_the_hour_is_in_no_key(org: LocalOrg, s3: Any) -> None:
    org.client("iam", ACCOUNT).create_user(UserName="alice")
    to_bucket("composite-delete").run()
    assert all(f"/{datetime.now(timezone.utc):%Y/%m}" not in key for key in keys(s3))


@pytest.mark.parametrize("name", [JOURNAL, RUN_LOCK])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_run_ends_once_its_lock_or_its_journal_is_no_longer_there(
    tmp_path: Path, name: str, replaced: bool
) -> None:
    tmp_path.chmod(0o755)
    with RunStore(DirectoryStore(tmp_path), "policy a").held() as output:
        output.check()
        assert tmp_path.stat().st_mode & 0o777 == 0o700
        assert "policy a, process" in (tmp_path / RUN_LOCK).read_text()
        (tmp_path / name).rename(tmp_path / "moved")
        if replaced:
            (tmp_path / name).touch()
        with pytest.raises(RunLockLost, match=f"{name} (was replaced|is gone)"):
            output.check()


@pytest.mark.parametrize(("lose", "told"), UNREADABLE)
def test_a_record_that_can_not_be_read_stops_the_run(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Lose, told: str
) -> None:
    for name in ("quarantine", "listen"):
        DirectoryStore(tmp_path / "there" / name).create(JOURNAL, b"")
    create_full_user(org, "jane")
    lose(monkeypatch, tmp_path / "there" / "listen")
    found = acting({"type": "release", "record-from": str(tmp_path / "there")}, tmp_path / "here")
    with pytest.raises(PolicyExecutionError, match=f"record-from: .*{told}.*Nothing was touched"):
        found.run()
