# SPDX-License-Identifier: Apache-2.0
"""What a restoration asks about first: rights of an administrator, however a policy spells them."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.restoration.limits import administrative
from c7n_iamusers.snapshots.snapshot import Snapshot
from tests.records import groups, user


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
