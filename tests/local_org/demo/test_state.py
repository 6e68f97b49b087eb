# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from aws_local_org import LocalOrg
from aws_local_org.demo.state import DENY_ALL, account_states, announcements, let_days_pass
from aws_local_org.iam.seeding import set_password, set_password_last_used
from c7n_iamusers.cycle.approvals import PlanState, parse_state
from c7n_iamusers.cycle.waves import Record
from c7n_iamusers.cycle.waves import parse_record as parse_cycle
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.key_retirement.key_history import Parking, key_history
from tests.plugins.keys import NAME, WAIVED, key_of, on_keys
from tests.policies import ACCOUNT

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice", Tags=[{"Key": "Email", "Value": "alice@example.com"}])
    return client


def test_what_aws_tells_of_a_user(org: LocalOrg, iam: Any) -> None:
    arn = iam.get_user(UserName="alice")["User"]["Arn"]
    statement = {**TRUST["Statement"][0], "Principal": {"AWS": arn}}  # type: ignore[dict-item]
    iam.create_role(
        RoleName="deploy", AssumeRolePolicyDocument=json.dumps({**TRUST, "Statement": [statement]})
    )
    used = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=3)
    set_password(org.backend("iam", ACCOUNT).users[user_id(iam)], used, last_used=used)
    (user,) = account_states(org)[ACCOUNT].users
    assert (user.email, user.has_password, user.trusted_by) == ("alice@example.com", True, ("deploy",))
    assert user.last_used == used


def test_days_pass(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    used = datetime(2026, 11, 20, 8, 0)
    set_password_last_used(org.backend("iam", ACCOUNT).users[user_id(iam)], used)
    deny = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Quarantined20261120T080000ZxAKIAEXAMPLE",
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
            }
        ],
    }
    iam.put_user_policy(UserName="alice", PolicyName=DENY_ALL, PolicyDocument=json.dumps(deny))
    created = iam.create_access_key(UserName="alice")["AccessKey"]["CreateDate"]
    iam.create_login_profile(UserName="alice", Password="Wo!3rd-and-more")
    record = {
        "step": "announced",
        "time": "2026-11-20T08:00:00+00:00",
        "day": "2026-12-20",
        "addresses": ["owner@example.com"],
        "users": [{"unique-id": "AIDA1"}],
    }
    path = tmp_path / ACCOUNT / "x.json"
    path.parent.mkdir()
    path.write_text(json.dumps(record))
    lines = [
        {"phase": "quarantine", "record": {"since": "2026-11-20T08:00:00+00:00", "deny": "attached"}},
        {"phase": "before", "time": "2026-11-20T08:00:00+00:00"},
    ]
    journal = tmp_path / "output" / "policy" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    let_days_pass(org, tmp_path, tmp_path / "output", 16)
    aged = {"since": "2026-11-04T08:00:00+00:00", "deny": "attached"}
    assert [json.loads(line) for line in journal.read_text().splitlines()] == [
        {"phase": "quarantine", "record": aged},
        lines[1],
    ]
    assert iam.get_user(UserName="alice")["User"]["PasswordLastUsed"].date().isoformat() == "2026-11-04"
    (statement,) = iam.get_user_policy(UserName="alice", PolicyName=DENY_ALL)["PolicyDocument"]["Statement"]
    assert statement["Sid"] == "Quarantined20261104T080000ZxAKIAEXAMPLE"
    (key,) = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    assert key["CreateDate"] == created - timedelta(days=16)
    assert iam.get_login_profile(UserName="alice")["LoginProfile"]["CreateDate"] < created - timedelta(
        days=15
    )
    assert json.loads(path.read_text()) | {"users": []} == record | {
        "time": "2026-11-04T08:00:00+00:00",
        "day": "2026-12-04",
        "users": [],
    }
    assert announcements(tmp_path, ACCOUNT) == {"AIDA1": datetime(2026, 11, 4, 8, tzinfo=timezone.utc)}


def test_days_pass_for_the_records_of_cycles_and_their_plans(org: LocalOrg, tmp_path: Path) -> None:
    at = datetime(2026, 11, 20, 8, tzinfo=timezone.utc)
    record = Record(at, at, {1: at}, {1: at}, at, {"attempts": {ACCOUNT: at}})
    plan = PlanState("delete", "a" * 64, at, (ACCOUNT,), at)
    contents = {
        "runs/20261120T080000Z-x.json": record.as_json(),
        f"plans/{plan.sha256}/state.json": plan.as_json(),
    }
    for name, content in contents.items():
        (tmp_path / "cycle" / name).parent.mkdir(parents=True)
        (tmp_path / "cycle" / name).write_bytes(content)
    let_days_pass(org, tmp_path / "notices", tmp_path, 6)
    then = at - timedelta(days=6)
    (run, state) = ((tmp_path / "cycle" / name).read_bytes() for name in contents)
    moved = Record(then, then, {1: then}, {1: then}, then, {"attempts": {ACCOUNT: then}})
    assert parse_cycle(run) == moved
    assert parse_state(state) == PlanState("delete", "a" * 64, then, (ACCOUNT,), then)


@pytest.mark.parametrize(
    ("step", "what", "found"),
    [
        pytest.param("informed", "", {"AIDA1", "AIDA2"}, id="step"),
        pytest.param("informed", "deleted", {"AIDA1"}, id="what"),
        pytest.param("announced", "", set(), id="other-step"),
    ],
)
def test_records_of_a_step(tmp_path: Path, step: str, what: str, found: set[str]) -> None:
    users = [{"unique-id": "AIDA1", "what": "deleted"}, {"unique-id": "AIDA2", "what": "skipped: active"}]
    record = {
        "step": "informed",
        "time": "2026-11-20T08:00:00+00:00",
        "addresses": ["o@x.org"],
        "users": users,
    }
    (tmp_path / ACCOUNT).mkdir()
    (tmp_path / ACCOUNT / "x.json").write_text(json.dumps(record))
    assert set(announcements(tmp_path, ACCOUNT, step, what)) == found


def user_id(iam: Any) -> str:
    return str(iam.get_user(UserName="alice")["User"]["UserName"])


def test_days_pass_for_a_parked_key_and_for_one_that_was_never_used(org: LocalOrg, tmp_path: Path) -> None:
    """The record of a parking compares the last use: both move by the same time."""
    used, parked = key_of(org, "bot", 400, 365), key_of(org, "bot", 100)
    iam = org.client("iam", ACCOUNT)

    def shown() -> tuple[datetime, datetime]:
        created = {
            each["AccessKeyId"]: each["CreateDate"]
            for each in iam.list_access_keys(UserName="bot")["AccessKeyMetadata"]
        }
        at = iam.get_access_key_last_used(AccessKeyId=used)["AccessKeyLastUsed"]["LastUsedDate"]
        return created[parked], at

    (created, last), back = shown(), timedelta(days=14)
    asked = {"type": "deactivate", "reason": "unused", **WAIVED}
    on_keys(tmp_path / "output", asked)
    journal = tmp_path / "output" / NAME / "journal.jsonl"

    def record() -> Parking:
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        own = [line for line in lines if line.get("unique_id") == used]
        user = Subject("bot", f"arn:aws:iam::{ACCOUNT}:user/bot", used)
        found = key_history(user, own).parking
        assert found
        return found

    before = record()
    assert before.used == last
    let_days_pass(org, tmp_path / "notices", tmp_path / "output", 14)
    assert shown() == (created - back, last - back)
    assert record() == replace(before, since=before.since - back, used=last - back)
