# SPDX-License-Identifier: Apache-2.0
"""Each source, filter and action on recorded responses, which pin the shapes of requests and responses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from c7n.config import Config
from c7n.executor import MainThreadExecutor
from c7n.policy import Policy
from c7n.resources import load_resources
from c7n.utils import reset_session_cache

from aws_local_org import LocalOrg, Settings
from c7n_iamusers.entry import ACTIONS, FILTERS, load_classes, register
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.attachments import ACTIVE
from c7n_iamusers.iam.switchable import switchable
from c7n_iamusers.iam.users import read_user
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.quarantine.user_quarantine import UserQuarantine
from tests.full_users import create_full_user
from tests.policies import ACCOUNT, waived
from tests.replay import RECORDING, Replay

MANAGEMENT = Settings().management_account
#: When the quarantine was recorded, by its own clock.
RECORDED = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
SPARED = {"user": "spared", "reason": "a test", "expires": "2999-12-31"}
FLAG = {"type": "unnecessary", "exempt": [SPARED]}


@pytest.fixture
def session(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """While recording: a session in an account with two full users. In replay: None, and nothing listens."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    if not RECORDING:
        yield None
        return
    with LocalOrg(Settings(assignment_seconds=0)) as org:
        create_full_user(org, "alice", "/a/", times=3)
        create_full_user(org, "spared", times=3)
        emailed = [{"Key": "Email", "Value": "alice@example.com"}]
        org.client("iam", ACCOUNT).tag_user(UserName="alice", Tags=emailed)
        yield org.session(MANAGEMENT if "identity_center" in request.node.name else ACCOUNT)


def replay_policy(
    name: str,
    session: Any,
    data: dict[str, Any],
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
    account: str = ACCOUNT,
) -> list[Any]:
    """Run a policy on the recordings ``name``; returns its resources."""
    load_resources(("aws.iam-user",))
    register()
    reset_session_cache()
    # threads would use the recordings in a different order each time
    for plugin in load_classes({**FILTERS, **ACTIONS}).values():
        monkeypatch.setattr(plugin, "executor_factory", MainThreadExecutor)
    replay = Replay(name, session)
    config = Config.empty(region="us-east-1", account_id=account, output_dir=str(output), cache_period=0)
    policy = Policy({"name": name, "resource": "aws.iam-user", **data}, config, replay)
    policy.validate()
    found: list[Any] = policy.run()
    replay.finish()
    reset_session_cache()
    return found


@pytest.mark.parametrize("source", ["authorization-details", "describe"])
def test_unnecessary(source: str, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"unnecessary-{source}"
    (found,) = replay_policy(name, session, {"source": source, "filters": [FLAG]}, tmp_path, monkeypatch)
    assert (found["UserName"], found["Path"]) == ("alice", "/a/")
    counts = found["c7n:IamUser"]["attachments"]
    assert (counts["access-key"], counts["group"], counts["inline-policy"]) == (2, 3, 3)
    assert {tag["Key"] for tag in found["Tags"]} >= {"Email", "key-0"}


def test_composite_delete(session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"source": "authorization-details", "filters": [FLAG], "actions": [waived("composite-delete")]}
    (found,) = replay_policy("composite-delete", session, data, tmp_path, monkeypatch)
    assert found["c7n:IamUser"]["outcome"]["status"] == "deleted"
    (snapshot,) = (tmp_path / "composite-delete" / "snapshots").iterdir()
    kinds = json.loads(snapshot.read_text())["attachments"]
    assert all(kinds[kind] for kind in kinds)


def test_quarantine(session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the Deny that AWS shows in the end has the time of the recording
    users = partial(UserQuarantine, now=lambda: RECORDED)
    monkeypatch.setattr("c7n_iamusers.plugins.quarantine.UserQuarantine", users)
    actions = [waived({"type": "quarantine", "reason": "a test"})]
    data = {"source": "authorization-details", "filters": [FLAG], "actions": actions}
    (found,) = replay_policy("quarantine", session, data, tmp_path, monkeypatch)
    assert found["c7n:IamUser"]["outcome"]["status"] == "quarantined"


def test_release(session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While recording, the user is first quarantined by hand, with a Deny-all that has the record, and the tag."""
    if session:
        iam, user = session.client("iam"), {"UserName": "alice"}
        before = read_user(iam, "alice", Backoff())
        assert before
        active = tuple(str(item[kind.identifier]) for kind, item in switchable(before, ACTIVE))
        key = next(each for each in active if each.startswith("AKIA"))
        iam.update_access_key(**user, AccessKeyId=key, Status="Inactive")
        record = QuarantineRecord(datetime.now(timezone.utc), "by-hand", "a test", active)
        document = deny_all_document(record.sids[0])
        iam.put_user_policy(**user, PolicyName=DENY_ALL_NAME, PolicyDocument=document)
        iam.tag_user(**user, Tags=[record.tag()])
    filters = [{"type": "value", "key": "UserName", "value": "alice"}]
    data = {"source": "authorization-details", "filters": filters, "actions": ["release"]}
    (found,) = replay_policy("release", session, data, tmp_path, monkeypatch)
    assert found["c7n:IamUser"]["outcome"]["status"] == "released"


def test_provision_identity_center(session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session is in the management account, whose only user is created for this test."""
    # A recorded credential report is as old as the recording.
    monkeypatch.setattr("c7n_iamusers.evidence.working_credentials.OLDEST_REPORT", timedelta.max)
    if session:
        emailed = [{"Key": "Email", "Value": "alice@example.com"}]
        iam = session.client("iam")
        iam.create_user(UserName="alice", Tags=emailed)
        iam.create_access_key(UserName="alice")
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
        iam.put_user_policy(UserName="alice", PolicyName="All", PolicyDocument=document)
    action = {
        "type": "provision-identity-center",
        "identity-source": "identity-center",
        "user": {"username": "tag:Email", "email": "tag:Email", "display-name": "UserName"},
        "group": "iam-readers",
        "permission-set": {
            "name": "Readers",
            "managed-policies": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"],
            "inline-policy": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}],
            },
        },
    }
    data = {"source": "authorization-details", "filters": ["unnecessary"], "actions": [action]}
    (found,) = replay_policy("provision-identity-center", session, data, tmp_path, monkeypatch, MANAGEMENT)
    assert found["c7n:IamUser"]["provisioning"]["status"] == "provisioned"
