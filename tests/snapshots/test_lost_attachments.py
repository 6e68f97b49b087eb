# SPDX-License-Identifier: Apache-2.0
"""What a user has lost since its quarantine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from c7n_iamusers.iam.policy_documents import PolicyVersion
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.deny_all import BROWNOUT_NAME, DENY_ALL_NAME
from c7n_iamusers.snapshots.lost_attachments import lost_attachments
from c7n_iamusers.snapshots.snapshot import Snapshot
from tests.records import EVERYTHING, groups, user

ALLOW, DENY = ({"Statement": [{"Effect": effect, "Action": "s3:*"}]} for effect in ("Allow", "Deny"))
BOTH = {"Statement": [*ALLOW["Statement"], *DENY["Statement"]]}
ARN = "arn:aws:iam::111122223333:policy/p"
ATTACHED: dict[str, Any] = {"attached_policy": ({"PolicyName": "p", "PolicyArn": ARN},)}
BOUNDED: dict[str, Any] = {"permissions_boundary": ({"PermissionsBoundaryArn": ARN},)}
TEAM = groups("team")
KEY: dict[str, Any] = {"access_key": ({"AccessKeyId": "AKIA1"},)}


def taken(held: IamUser, **recorded: Any) -> Snapshot:
    return Snapshot(held, "2026-11-24T00:00:00+00:00", "0" * 64, **recorded)


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
    """With a key that is still there, so that no deletion has come to what else is gone."""
    snapshot = taken(user(**was, **KEY), **recorded)
    found = lost_attachments(snapshot, user(**now, **KEY))
    assert [*map(str, found)] == lost
    assert all(each.may_deny for each in found)


#: In the order in which a deletion removes them.
ORDER = (
    ("login_profile", ["console password"]),
    ("access_key", ["access key AKIA1", "access key AKIA2"]),
    ("signing_certificate", ["signing certificate CERT1"]),
    ("ssh_public_key", ["SSH public key APKA1"]),
    ("service_specific_credential", ["service-specific credential ACCA1"]),
    ("mfa_device", [f"MFA device {each['SerialNumber']}" for each in EVERYTHING["mfa_device"]]),
    ("group", ["group Developers"]),
    ("attached_policy", ["policy arn:aws:iam::aws:policy/ReadOnlyAccess"]),
    ("inline_policy", ["inline policy s3"]),
)
NOTHING_DENIES: dict[str, Any] = {
    "groups": ({"GroupName": "Developers", "GroupId": "AGPA1", "Path": "/"},),
    "policies": (PolicyVersion("arn:aws:iam::aws:policy/ReadOnlyAccess", "v1", json.dumps(ALLOW)),),
}


@pytest.mark.parametrize("place", range(len(ORDER) + 1))
def test_a_deletion_that_stopped_at_any_place_shows(place: int) -> None:
    left = {
        kind: items for kind, items in EVERYTHING.items() if kind not in [each for each, _ in ORDER[:place]]
    }
    found = lost_attachments(taken(user(**EVERYTHING), **NOTHING_DENIES), user(**left))
    assert [*map(str, found)] == [name for _, names in ORDER[:place] for name in names]
    assert not any(each.may_deny for each in found)


@pytest.mark.parametrize(
    ("gone", "lost"),
    [
        pytest.param(["access_key"], ["access key AKIA1", "access key AKIA2"], id="keys-first"),
        pytest.param(["signing_certificate"], [], id="keys-are-left"),
        pytest.param(["group", "attached_policy"], [], id="credentials-are-left"),
    ],
)
def test_what_no_deletion_has_come_to_was_removed_by_somebody_else(gone: list[str], lost: list[str]) -> None:
    left = {kind: items for kind, items in EVERYTHING.items() if kind not in gone}
    found = lost_attachments(taken(user(**EVERYTHING), **NOTHING_DENIES), user(**left))
    assert [*map(str, found)] == lost


@pytest.mark.parametrize(
    ("created", "lost"),
    [
        pytest.param("2026-01-01T00:00:00+00:00", [], id="the-same"),
        pytest.param("2026-11-25T00:00:00+00:00", ["group Developers"], id="set-anew-by-somebody"),
        pytest.param(None, ["group Developers"], id="unknown"),
    ],
)
def test_a_password_shows_that_no_deletion_came_to_the_groups_if_it_is_the_same(
    created: str | None, lost: list[str]
) -> None:
    def password(at: str | None) -> dict[str, Any]:
        return {"login_profile": ({"UserName": "alice", **({"CreateDate": at} if at else {})},)}

    was = user(**password(created and "2026-01-01T00:00:00+00:00"), group=groups("Developers"))
    found = lost_attachments(taken(was, **NOTHING_DENIES), user(**password(created)))
    assert [*map(str, found)] == lost


def test_a_renamed_user_has_its_password() -> None:
    now = user("alicia", login_profile=({"UserName": "alicia"},))
    assert lost_attachments(taken(user(login_profile=EVERYTHING["login_profile"])), now) == ()
