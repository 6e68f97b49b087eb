# SPDX-License-Identifier: Apache-2.0
"""What a restoration asks about first: rights of an administrator, however a policy spells them."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.iam.policy_documents import PolicyVersion
from c7n_iamusers.restoration.cannot_come_back import administrative, administrative_today
from c7n_iamusers.restoration.rights import CurrentRights
from c7n_iamusers.snapshots.snapshot import Snapshot
from tests.records import groups, user

pytestmark = pytest.mark.pure


def test_what_the_snapshot_cannot_tell_is_asked_about() -> None:
    own, aws = "arn:aws:iam::111122223333:policy/Deploy", "arn:aws:iam::aws:policy/ReadOnlyAccess"
    attached = [{"PolicyName": each.rpartition("/")[2], "PolicyArn": each} for each in (own, aws)]
    team = {"GroupName": "Team", "Path": "/", "AttachedManagedPolicies": attached, "GroupPolicyList": []}
    whole = user(group=groups("Team"), attached_policy=tuple(attached))
    found = administrative(Snapshot(whole, "2026-11-24T00:00:00+00:00", "0" * 64, groups=(team,)))
    unknown = "perhaps: the snapshot does not have its document"
    assert found == (f"Deploy, {unknown}", f"Deploy through group Team, {unknown}")


@pytest.mark.parametrize(
    ("statement", "asked"),
    [
        pytest.param({"Action": "iam:*", "Resource": "arn:aws:iam::111122223333:*"}, True, id="account"),
        pytest.param({"Action": "iam:*", "Resource": ["arn:aws:iam::*:user/*"]}, True, id="users"),
        pytest.param({"NotAction": "iam:GetUser", "Resource": "*"}, True, id="all-but-one"),
        pytest.param({"Action": "*", "NotResource": "arn:aws:s3:::x"}, True, id="not-resource"),
        pytest.param({"Action": "iam:PutUserPolicy", "Resource": "*"}, True, id="one-action"),
        pytest.param({"Action": "s3:*", "Resource": "*"}, False, id="one-service"),
    ],
)
def test_what_is_asked_about(statement: dict[str, Any], asked: bool) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
    policy = {"PolicyName": "own", "PolicyDocument": document}
    snapshot = Snapshot(user(inline_policy=(policy,)), "2026-11-24T00:00:00+00:00", "0" * 64)
    found = administrative(snapshot)
    assert bool(found) is asked
    assert all("own" in each for each in found)


OWN, NEW = "arn:aws:iam::111122223333:policy/Deploy", "arn:aws:iam::aws:policy/BrandNewAccess"


def attached(*arns: str) -> tuple[dict[str, str], ...]:
    return tuple({"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in arns)


def version(arn: str, action: str) -> PolicyVersion:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return PolicyVersion.of(arn, "v1", {"Version": "2012-10-17", "Statement": [statement]})


def test_an_aws_managed_policy_that_is_not_known_is_asked_about() -> None:
    snapshot = Snapshot(user(attached_policy=attached(NEW)), "2026-11-24T00:00:00+00:00", "0" * 64)
    assert administrative(snapshot) == (
        "BrandNewAccess, perhaps: AWS manages it, and what it grants is not known",
    )
    after = user(attached_policy=attached(NEW))
    assert administrative_today(after, CurrentRights({NEW: version(NEW, "s3:*")})) == ()
    assert administrative_today(after, CurrentRights({NEW: version(NEW, "*")})) == ("BrandNewAccess",)


@pytest.mark.parametrize(
    ("action", "asked"),
    [
        pytest.param("iam:*", ("Deploy",), id="administrator"),
        pytest.param("iam:PutUserPolicy", ("a known way: iam:PutUserPolicy (Deploy)",), id="a-way"),
        pytest.param("s3:*", (), id="one-service"),
    ],
)
def test_a_policy_of_today_is_asked_about_whatever_the_snapshot_says(
    action: str, asked: tuple[str, ...]
) -> None:
    whole = user(attached_policy=attached(OWN))
    forged = Snapshot(whole, "2026-11-24T00:00:00+00:00", "0" * 64, policies=(version(OWN, "s3:*"),))
    assert administrative(forged) == ()
    assert administrative_today(whole, CurrentRights({OWN: version(OWN, action)})) == asked


def test_what_cannot_be_read_today_is_asked_about() -> None:
    assert administrative_today(user(attached_policy=attached(OWN)), CurrentRights()) == (
        "Deploy, perhaps: its document of today can't be read",
    )
    assert administrative_today(user(group=groups("Team")), CurrentRights()) == (
        "a group, perhaps: not all of its groups can be read",
    )
    team = {"GroupName": "Team", "AttachedManagedPolicies": list(attached(OWN)), "GroupPolicyList": []}
    rights = CurrentRights({OWN: version(OWN, "*")}, {"Team": team})
    assert administrative_today(user(group=groups("Team")), rights) == ("Deploy through group Team",)
