# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.iam.accounts import read_account
from c7n_iamusers.iam.live_policies import ENTITIES, LivePolicies, read_group, read_policy
from c7n_iamusers.iam.policy_documents import PolicyVersion
from tests.fakes import ScriptedClient, Sleeps, client_error
from tests.interference import deny
from tests.policies import ACCOUNT
from tests.records import groups, user

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
OWN = f"arn:aws:iam::{ACCOUNT}:policy/Team"
ALICE = user(attached_policy=({"PolicyArn": OWN},), group=groups("Ops"))


def document(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self, per_read: float = 0.0) -> None:
        self.seconds, self.per_read = 0.0, per_read

    def __call__(self) -> float:
        self.seconds += self.per_read
        return self.seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    iam = org.client("iam", ACCOUNT)
    iam.create_policy(PolicyName="Team", PolicyDocument=json.dumps(document("s3:*")))
    iam.create_group(GroupName="Ops")
    return iam


def live(iam: Any, clock: Clock) -> LivePolicies:
    backoff = Sleeps().backoff()
    return LivePolicies(iam, backoff, read_account(iam, backoff, "Role", *ENTITIES), clock, clock.now)


def actions(found: tuple[PolicyVersion, ...] | None) -> list[str]:
    return [json.loads(each.text)["Statement"][0]["Action"] for each in found or ()]


def change(iam: Any) -> None:
    iam.create_policy_version(PolicyArn=OWN, PolicyDocument=json.dumps(document("ec2:*")), SetAsDefault=True)


@pytest.mark.parametrize(
    ("seconds", "action", "reads"),
    [pytest.param(29, "s3:*", 0, id="fresh"), pytest.param(31, "ec2:*", 1, id="read-again")],
)
def test_all_users_share_what_is_at_most_half_a_minute_old(
    org: LocalOrg, iam: Any, seconds: int, action: str, reads: int
) -> None:
    clock = Clock()
    found = live(iam, clock)
    change(iam)
    clock.seconds += seconds
    org.clear_calls()
    for _ in range(3):
        held = found.of(ALICE)
        assert (actions(held.policies), held.read) == ([action], NOW + timedelta(seconds=seconds * reads))
        assert [group["GroupName"] for group in held.groups] == ["Ops"]
    assert Counter(call.operation for call in org.calls) == Counter(
        {"GetAccountAuthorizationDetails": reads} if reads else {}
    )


def test_an_account_that_takes_too_long_is_not_read_for_each_user(org: LocalOrg, iam: Any) -> None:
    clock = Clock()
    found = live(iam, clock)
    clock.seconds, clock.per_read = 40.0, 35.0
    org.clear_calls()
    for _ in range(3):
        held = found.of(ALICE)
        assert actions(held.policies) == ["s3:*"]
        assert held.read > NOW
    assert [call.operation for call in org.calls] == ["GetAccountAuthorizationDetails"]


def test_what_cannot_be_read_again_is_not_read(iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    found = live(iam, clock)
    clock.seconds = 31.0
    deny(monkeypatch, "GetAccountAuthorizationDetails")
    held = found.of(ALICE)
    assert (held.policies, held.read) == (None, NOW)
    assert "AccessDenied" in held.unread
    assert [group["GroupName"] for group in held.groups] == ["Ops"]


def test_what_was_deleted_meanwhile_is_left_out(iam: Any) -> None:
    gone = user(attached_policy=({"PolicyArn": OWN + "Gone"},), group=groups("Gone"))
    held = live(iam, Clock()).of(gone)
    assert (held.groups, held.policies, held.unread) == ((), (), "")


def test_a_version_that_is_replaced_in_between_is_read_again() -> None:
    client = ScriptedClient(
        get_policy=[{"Policy": {"DefaultVersionId": "v1"}}, {"Policy": {"DefaultVersionId": "v2"}}],
        get_policy_version=[client_error("NoSuchEntity"), {"PolicyVersion": {"Document": document("s3:*")}}],
    )
    assert read_policy(client, OWN, Sleeps().backoff()) == PolicyVersion.of(OWN, "v2", document("s3:*"))


def test_a_group_comes_whole(iam: Any) -> None:
    iam.put_group_policy(GroupName="Ops", PolicyName="in", PolicyDocument=json.dumps(document("sqs:*")))
    iam.attach_group_policy(GroupName="Ops", PolicyArn=OWN)
    found = read_group(iam, "Ops", Sleeps().backoff())
    assert found is not None
    (listed,) = read_account(iam, Sleeps().backoff(), "Group").groups.values()
    assert {key: found[key] for key in listed} == listed
    assert read_group(iam, "Gone", Sleeps().backoff()) is None
