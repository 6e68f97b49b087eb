# SPDX-License-Identifier: Apache-2.0
"""What a user has lost since its quarantine that may have denied it something."""

from __future__ import annotations

import json
from typing import Any

import pytest

from c7n_iamusers.iam.policy_documents import PolicyVersion
from c7n_iamusers.lockout.deny_all import BROWNOUT_NAME, DENY_ALL_NAME
from c7n_iamusers.snapshots.lost_denies import lost_denies
from c7n_iamusers.snapshots.snapshot import Snapshot
from tests.records import groups, user

ALLOW, DENY = ({"Statement": [{"Effect": effect, "Action": "s3:*"}]} for effect in ("Allow", "Deny"))
BOTH = {"Statement": [*ALLOW["Statement"], *DENY["Statement"]]}
ARN = "arn:aws:iam::111122223333:policy/p"
ATTACHED: dict[str, Any] = {"attached_policy": ({"PolicyName": "p", "PolicyArn": ARN},)}
BOUNDED: dict[str, Any] = {"permissions_boundary": ({"PermissionsBoundaryArn": ARN},)}
TEAM = groups("team")


def inline(document: Any, name: str = "s3") -> dict[str, Any]:
    return {"inline_policy": ({"PolicyName": name, "PolicyDocument": document},)}


def version(document: Any) -> dict[str, Any]:
    return {
        "policies": (
            PolicyVersion(ARN, "v1", document if isinstance(document, str) else json.dumps(document)),
        )
    }


def team(**held: Any) -> dict[str, Any]:
    return {"groups": ({"GroupName": "team", "GroupId": "AGPA1", "Path": "/", **held},)}


IN_TEAM: dict[str, Any] = {"group": TEAM}
GROUP_INLINE = {"GroupPolicyList": [{"PolicyName": "a", "PolicyDocument": ALLOW}]}
GROUP_ATTACHED = {"AttachedManagedPolicies": [{"PolicyName": "p", "PolicyArn": ARN}]}


@pytest.mark.parametrize(
    ("was", "recorded", "now", "lost"),
    [
        pytest.param({}, {}, {}, [], id="nothing"),
        pytest.param(inline(DENY), {}, inline(DENY), [], id="inline-still-there"),
        pytest.param(inline(DENY), {}, inline(ALLOW), [], id="inline-of-the-name-is-there"),
        pytest.param(inline(DENY), {}, {}, ["inline policy s3"], id="inline"),
        pytest.param(inline(BOTH), {}, {}, ["inline policy s3"], id="inline-that-denies-too"),
        pytest.param(inline("{"), {}, {}, ["inline policy s3"], id="inline-that-nobody-can-read"),
        pytest.param(inline(ALLOW), {}, {}, [], id="inline-that-only-allows"),
        pytest.param(inline(DENY, DENY_ALL_NAME), {}, {}, [], id="our-deny"),
        pytest.param(inline(DENY, BROWNOUT_NAME), {}, {}, [], id="our-brownout"),
        pytest.param(ATTACHED, version(DENY), ATTACHED, [], id="attached-still-there"),
        pytest.param(ATTACHED, version(DENY), {}, [f"policy {ARN}"], id="attached"),
        pytest.param(ATTACHED, version(ALLOW), {}, [], id="attached-that-only-allows"),
        pytest.param(ATTACHED, {"policies": ()}, {}, [f"policy {ARN}"], id="attached-without-a-document"),
        pytest.param(ATTACHED, {"policies": None}, {}, [f"policy {ARN}"], id="documents-not-read"),
        pytest.param(IN_TEAM, team(), IN_TEAM, [], id="group-still-there"),
        pytest.param(IN_TEAM, team(), {}, [], id="group-without-policies"),
        pytest.param(IN_TEAM, {}, {}, ["group team"], id="group-without-details"),
        pytest.param(IN_TEAM, team(**GROUP_INLINE), {}, [], id="group-that-only-allows"),
        pytest.param(
            IN_TEAM,
            team(
                GroupPolicyList=[
                    *GROUP_INLINE["GroupPolicyList"],
                    {"PolicyName": "b", "PolicyDocument": DENY},
                ]
            ),
            {},
            ["group team"],
            id="group-with-inline",
        ),
        pytest.param(
            IN_TEAM, {**team(**GROUP_ATTACHED), **version(DENY)}, {}, ["group team"], id="group-with-attached"
        ),
        pytest.param(
            IN_TEAM, {**team(**GROUP_ATTACHED), **version(ALLOW)}, {}, [], id="group-with-attached-allow"
        ),
        pytest.param(BOUNDED, version(ALLOW), BOUNDED, [], id="boundary-still-there"),
        pytest.param(BOUNDED, version(ALLOW), {}, [f"permissions boundary {ARN}"], id="boundary"),
        pytest.param({}, {}, BOUNDED, [], id="boundary-that-came"),
    ],
)
def test_what_may_have_denied_something_and_is_gone(
    was: dict[str, Any], recorded: dict[str, Any], now: dict[str, Any], lost: list[str]
) -> None:
    snapshot = Snapshot(user(**was), "2026-11-24T00:00:00+00:00", "0" * 64, **recorded)
    assert lost_denies(snapshot, user(**now)) == lost
