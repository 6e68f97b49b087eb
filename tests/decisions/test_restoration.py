# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.decisions.deny_all import DENY_ALL_NAME, INLINE_QUOTA, deny_all_document
from c7n_iamusers.decisions.quarantine import plan_quarantine
from c7n_iamusers.decisions.restoration import Restoration, plan_restoration
from c7n_iamusers.decisions.restoration_limits import World
from c7n_iamusers.exceptions import RestorationRefused
from c7n_iamusers.model.calls import Ref
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.snapshot import Snapshot
from tests.decisions.test_quarantine import LATER, apply
from tests.records import ACCOUNT, EVERYTHING, groups, user

BOUNDARY = "arn:aws:iam::aws:policy/PowerUserAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
POLICIES, GROUPS = frozenset({BOUNDARY, READ_ONLY}), frozenset({"Developers"})
PUBLIC: dict[str, Any] = {
    "signing_certificate": (
        {"CertificateId": "CERT1", "CertificateBody": "PEM 1\n", "Status": "Active"},
        {"CertificateId": "CERT2", "CertificateBody": "PEM 2\n", "Status": "Inactive"},
    ),
    "ssh_public_key": (
        {
            "SSHPublicKeyId": "APKA1",
            "SSHPublicKeyBody": "ssh-rsa 1",
            "Fingerprint": "f1",
            "Status": "Inactive",
        },
    ),
}
ALICE = user(path="/a/", tags={"Team": "a", "aws:made-by": "x"}, **{**EVERYTHING, **PUBLIC})
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deploy"
GROUP = {
    "GroupName": "Developers",
    "Path": "/teams/",
    "GroupPolicyList": [{"PolicyName": "s3", "PolicyDocument": {"Statement": []}}],
    "AttachedManagedPolicies": [
        {"PolicyName": "a", "PolicyArn": READ_ONLY},
        {"PolicyName": "b", "PolicyArn": "gone"},
    ],
}
SNAPSHOT = Snapshot(ALICE, "2026-11-24T00:00:00+00:00", "0" * 64, trusted_by=(ROLE,), groups=(GROUP,))
NEW_PUBLIC: dict[str, Any] = {
    "signing_certificate": (
        {"CertificateId": "CERT3", "CertificateBody": "PEM 1", "Status": "Active"},
        {"CertificateId": "CERT4", "CertificateBody": "PEM 2", "Status": "Inactive"},
    ),
    "ssh_public_key": ({"SSHPublicKeyId": "APKA9", "Fingerprint": "f1", "Status": "Inactive"},),
}
KEPT = ("group", "attached_policy", "inline_policy", "permissions_boundary")
MARK = {"c7n-iamusers-restored-from": ALICE.unique_id}
RESTORED = user(
    path="/a/",
    tags={"Team": "a", **MARK},
    unique_id="AIDANEW",
    **{k: EVERYTHING[k] for k in KEPT},
    **NEW_PUBLIC,
)


def tagged(of: IamUser, **tags: str) -> IamUser:
    """``of`` with these tags, and the mark of a restoration if ``tags`` has one, only."""
    items = [{"Key": key, "Value": value} for key, value in tags.items()]
    return replace(
        of, detail={**of.detail, "Tags": items}, attachments={**of.attachments, "tag": tuple(items)}
    )


def restore(now: IamUser | None, snapshot: Snapshot = SNAPSHOT, **given: Any) -> Restoration:
    world = World(now, given.pop("policies", POLICIES), given.pop("groups", GROUPS))
    return plan_restoration(snapshot, world, **given)


def operations(found: Restoration) -> list[str]:
    return [call.operation for call in found.plan.calls]


def holding(of: IamUser, **attachments: Any) -> IamUser:
    changed = {kind.replace("_", "-"): tuple(items) for kind, items in attachments.items()}
    return replace(of, attachments={**of.attachments, **changed})


def test_a_user_that_is_gone_comes_back_with_what_it_signs_in_with_last() -> None:
    found = restore(None)
    assert operations(found) == [
        "CreateUser",
        "PutUserPolicy",
        "AttachUserPolicy",
        "AddUserToGroup",
        "UploadSSHPublicKey",
        "UpdateSSHPublicKey",
        "UploadSigningCertificate",
        "UploadSigningCertificate",
        "UpdateSigningCertificate",
    ]
    created, inline = found.plan.calls[:2]
    assert created.parameters == {
        "UserName": "alice",
        "Path": "/a/",
        "Tags": [
            {"Key": "Team", "Value": "a"},
            {"Key": "c7n-iamusers-restored-from", "Value": ALICE.unique_id},
        ],
        "PermissionsBoundary": BOUNDARY,
    }
    assert json.loads(inline.parameters["PolicyDocument"]) == {"Version": "2012-10-17", "Statement": []}
    assert isinstance(found.plan.calls[5].parameters["SSHPublicKeyId"], Ref)


def test_what_cannot_come_back_is_listed() -> None:
    found = restore(None)
    for word in (
        "AIDAALICE",
        "console password",
        "AKIA1",
        "AKIA2",
        "ACCA1",
        "mfa/alice",
        "GAHT",
        "aws:made-by",
    ):
        assert [line for line in found.lost if word in line], word
    assert not [line for line in found.lost if "certificate" in line]
    assert [note for note in found.notes if ROLE in note]


def test_a_restored_user_needs_nothing_more() -> None:
    assert restore(RESTORED).plan.calls == ()


def test_a_restored_user_that_has_moved_on_is_left_as_it_is() -> None:
    moved = holding(RESTORED, access_key=[{"AccessKeyId": "AKIANEW", "Status": "Active"}])
    found = restore(moved)
    assert found.plan.calls == ()
    assert [note for note in found.notes if "AKIANEW" in note]


@pytest.mark.parametrize(
    ("now", "calls"),
    [
        pytest.param(holding(RESTORED, group=()), ["AddUserToGroup"], id="group"),
        pytest.param(
            holding(RESTORED, permissions_boundary=()), ["PutUserPermissionsBoundary"], id="boundary"
        ),
        pytest.param(tagged(RESTORED, **MARK), ["TagUser"], id="tags"),
        pytest.param(
            holding(RESTORED, ssh_public_key=[{**NEW_PUBLIC["ssh_public_key"][0], "Status": "Active"}]),
            ["UpdateSSHPublicKey"],
            id="status",
        ),
        pytest.param(
            holding(RESTORED, signing_certificate=NEW_PUBLIC["signing_certificate"][:1]),
            ["UploadSigningCertificate", "UpdateSigningCertificate"],
            id="certificate",
        ),
    ],
)
def test_a_restoration_that_was_stopped_goes_on(now: IamUser, calls: list[str]) -> None:
    assert operations(restore(now)) == calls


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda u: holding(u, access_key=[{"AccessKeyId": "AKIA9"}]), "access key AKIA9", id="key"
        ),
        pytest.param(
            lambda u: holding(u, login_profile=[{"UserName": "alice"}]), "console password", id="password"
        ),
        pytest.param(lambda u: holding(u, group=groups("Admins")), "group membership Admins", id="group"),
        pytest.param(
            lambda u: holding(u, permissions_boundary=[{"PermissionsBoundaryArn": READ_ONLY}]),
            "permissions boundary .*ReadOnlyAccess",
            id="boundary",
        ),
        pytest.param(lambda u: replace(u, detail={**u.detail, "Path": "/x/"}), "the path /x/", id="path"),
    ],
)
def test_a_stranger_of_the_same_name_is_given_nothing(
    change: Callable[[IamUser], IamUser], message: str
) -> None:
    stranger = change(holding(RESTORED, inline_policy=()))
    with pytest.raises(
        RestorationRefused, match=rf"user alice of account {ACCOUNT}: not restored: .*{message}"
    ):
        restore(stranger)


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(user(path="/a/", unique_id="AIDANEW"), id="bare"),
        pytest.param(user(path="/a/", unique_id="AIDANEW", tags={"Team": "a"}), id="same-tags"),
        pytest.param(
            tagged(user(path="/a/", unique_id="AIDANEW"), **dict.fromkeys(MARK, "AIDAELSE")), id="mark"
        ),
    ],
)
def test_a_user_without_the_mark_of_a_restoration_is_a_stranger(stranger: IamUser) -> None:
    with pytest.raises(RestorationRefused, match=f"no tag c7n-iamusers-restored-from={ALICE.unique_id}"):
        restore(stranger)


@pytest.mark.parametrize(("count", "marked"), [(49, True), (50, False)])
def test_a_mark_takes_the_room_of_no_tag(count: int, marked: bool) -> None:
    tags = {f"t{number}": "x" for number in range(count)}
    found = restore(None, replace(SNAPSHOT, user=user(tags=tags)))
    given = {tag["Key"] for tag in found.plan.calls[0].parameters["Tags"]}
    assert (given - set(tags) == set(MARK), tags.keys() <= given) == (marked, True)
    assert any("it has no room for the tag" in note for note in found.notes) is not marked


@pytest.mark.parametrize(
    ("memberless", "calls"),
    [
        pytest.param({}, [], id="it-has-members"),
        pytest.param({"Developers": {"s3", READ_ONLY}}, [], id="nothing-is-missing"),
        pytest.param({"Developers": set()}, ["PutGroupPolicy", "AttachGroupPolicy"], id="bare"),
        pytest.param({"Developers": {"s3"}}, ["AttachGroupPolicy"], id="half"),
    ],
)
def test_a_group_that_a_stopped_restoration_began_is_finished(
    memberless: dict[str, set[str]], calls: list[str]
) -> None:
    lacking = {name: frozenset(held) for name, held in memberless.items()}
    world = World(holding(RESTORED, group=()), POLICIES, GROUPS, lacking)
    found = plan_restoration(SNAPSHOT, world, recreate_groups=True)
    assert operations(found) == [*calls, "AddUserToGroup"]
    assert any("lacks policies" in note for note in found.notes) is bool(calls)
    assert any("policy gone of group Developers no longer exists" in note for note in found.notes) is bool(
        calls
    )


def test_a_user_whose_boundary_is_gone_is_refused() -> None:
    with pytest.raises(RestorationRefused, match=r"its permissions boundary .* no longer exists"):
        restore(None, policies=frozenset({READ_ONLY}))


def test_a_policy_that_is_gone_is_said_and_the_rest_comes_back() -> None:
    found = restore(None, policies=frozenset({BOUNDARY}))
    assert "AttachUserPolicy" not in operations(found)
    assert [note for note in found.notes if READ_ONLY in note]


def test_a_vanished_group_is_made_again_on_request_only() -> None:
    without = restore(None, groups=frozenset())
    assert not {"CreateGroup", "AddUserToGroup"} & set(operations(without))
    assert [note for note in without.notes if "--recreate-groups" in note]
    found = restore(None, groups=frozenset(), recreate_groups=True)
    made = [(c.operation, dict(c.parameters)) for c in found.plan.calls if "Group" in c.operation]
    assert made == [
        ("CreateGroup", {"GroupName": "Developers", "Path": "/teams/"}),
        (
            "PutGroupPolicy",
            {"GroupName": "Developers", "PolicyName": "s3", "PolicyDocument": '{"Statement":[]}'},
        ),
        ("AttachGroupPolicy", {"GroupName": "Developers", "PolicyArn": READ_ONLY}),
        ("AddUserToGroup", {"UserName": "alice", "GroupName": "Developers"}),
    ]


def test_what_a_quarantine_had_switched_off_comes_back_active() -> None:
    quarantined = replace(
        SNAPSHOT, quarantine={"since": "2026-11-01T00:00:00+00:00", "deactivated": ["APKA1"]}
    )
    found = restore(None, quarantined)
    assert "UpdateSSHPublicKey" not in operations(found)
    assert [note for note in found.notes if "in quarantine since 2026-11-01" in note]


HALF = holding(ALICE, access_key=(), login_profile=(), group=())
OUR_DENY = {"PolicyName": DENY_ALL_NAME, "PolicyDocument": json.loads(deny_all_document())}
FULL = holding(ALICE, inline_policy=[{"PolicyName": "big", "PolicyDocument": {"Sid": "x" * INLINE_QUOTA}}])


@pytest.mark.parametrize(
    ("was", "now", "calls"),
    [
        pytest.param(
            ALICE,
            holding(HALF, inline_policy=(*ALICE.attachments["inline-policy"], OUR_DENY)),
            ["AddUserToGroup", "DeleteUserPolicy"],
            id="inline",
        ),
        pytest.param(
            FULL,
            holding(
                FULL,
                attached_policy=(
                    *FULL.attachments["attached-policy"],
                    {"PolicyName": "d", "PolicyArn": DENY_ALL},
                ),
            ),
            ["DetachUserPolicy"],
            id="attached",
        ),
        pytest.param(
            FULL,
            holding(FULL, permissions_boundary=[{"PermissionsBoundaryArn": DENY_ALL}]),
            ["PutUserPermissionsBoundary"],
            id="boundary",
        ),
        pytest.param(
            holding(FULL, permissions_boundary=()),
            holding(FULL, permissions_boundary=[{"PermissionsBoundaryArn": DENY_ALL}]),
            ["DeleteUserPermissionsBoundary"],
            id="boundary-and-none-before",
        ),
        pytest.param(
            ALICE,
            holding(
                ALICE,
                attached_policy=(
                    *ALICE.attachments["attached-policy"],
                    {"PolicyName": "d", "PolicyArn": DENY_ALL},
                ),
            ),
            [],
            id="parked-by-somebody-else",
        ),
        pytest.param(
            ALICE, apply(ALICE, plan_quarantine(ALICE, LATER, "p", "r").plan), [], id="in-quarantine"
        ),
        pytest.param(
            ALICE,
            holding(
                apply(ALICE, plan_quarantine(ALICE, LATER, "p", "r").plan),
                permissions_boundary=[{"PermissionsBoundaryArn": DENY_ALL}],
            ),
            ["PutUserPermissionsBoundary"],
            id="in-quarantine-and-half-deleted",
        ),
    ],
)
def test_the_deny_all_of_a_stopped_deletion_is_lifted_last(
    was: IamUser, now: IamUser, calls: list[str]
) -> None:
    found = plan_restoration(replace(SNAPSHOT, user=was), World(now, POLICIES | {DENY_ALL}, GROUPS))
    made = [
        c.operation
        for c in found.plan.calls
        if c.parameters.get("Status") != "Inactive" and "Tag" not in c.operation
    ]
    assert made == calls
    assert found.lost == ()
