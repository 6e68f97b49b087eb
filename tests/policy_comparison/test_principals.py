# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.lockout.deny_all import Brownout
from c7n_iamusers.policy_comparison.principals import (
    GroupPermissions,
    ManagedPolicy,
    PrincipalPermissions,
    principal_permissions,
)

ARN = "arn:aws:iam::111122223333:user/finance/alice"
DEPLOY = "arn:aws:iam::111122223333:policy/ci/Deploy"
READ = "arn:aws:iam::aws:policy/ReadOnlyAccess"
BILLING = "arn:aws:iam::aws:policy/job-function/Billing"
DETAIL: dict[str, Any] = {
    "UserName": "alice",
    "Arn": ARN,
    "UserId": "AIDAALICE",
    "Path": "/finance/",
    "GroupList": ["Readers"],
    "AttachedManagedPolicies": [{"PolicyName": "Deploy", "PolicyArn": DEPLOY}],
    "UserPolicyList": [{"PolicyName": "Own", "PolicyDocument": {"Statement": []}}],
    "PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": BILLING},
    "Tags": [{"Key": "Team", "Value": "core"}],
}
GROUPS: dict[str, Any] = {
    "Readers": {
        "GroupName": "Readers",
        "AttachedManagedPolicies": [{"PolicyName": "ReadOnlyAccess", "PolicyArn": READ}],
        "GroupPolicyList": [{"PolicyName": "More", "PolicyDocument": "{}"}],
    },
    "Others": {"GroupName": "Others"},
}


def test_everything_that_a_user_has() -> None:
    assert principal_permissions(
        DETAIL, GROUPS, {DEPLOY: {"Statement": [1]}}, "a.smith"
    ) == PrincipalPermissions(
        account_id="111122223333",
        user_name="alice",
        arn=ARN,
        unique_id="AIDAALICE",
        attached=(ManagedPolicy(DEPLOY, "Deploy", "/ci/", {"Statement": [1]}),),
        inline=(("Own", {"Statement": []}),),
        groups=(GroupPermissions("Readers", (ManagedPolicy(READ, "ReadOnlyAccess"),), (("More", "{}"),)),),
        boundary=ManagedPolicy(BILLING, "Billing", "/job-function/"),
        tags={"Team": "core"},
        person="a.smith",
    )


def test_a_user_with_nothing_has_nothing_and_unread_tags_are_unknown() -> None:
    bare = {key: DETAIL[key] for key in ("UserName", "Arn", "UserId")}
    assert principal_permissions(bare, {}, {}) == PrincipalPermissions(
        "111122223333", "alice", ARN, "AIDAALICE", tags=None
    )


def test_a_group_that_was_not_read_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(EvidenceUnreadable, match=f"{ARN} is in group Readers, which was not read"):
        principal_permissions(DETAIL, {"Others": GROUPS["Others"]}, {})


@pytest.mark.parametrize(
    ("arn", "name", "path", "aws_managed"),
    [
        pytest.param(DEPLOY, "/ci/Deploy", "/ci/", False, id="path"),
        pytest.param(READ, "/ReadOnlyAccess", "/", True, id="aws"),
        pytest.param(
            "arn:aws-cn:iam::aws:policy/aws-service-role/X", "/aws-service-role/X", "/aws-service-role/", True,
            id="china",
        ),
    ],
)  # fmt: skip
def test_the_name_and_path_are_in_the_arn(arn: str, name: str, path: str, aws_managed: bool) -> None:
    detail = {**DETAIL, "AttachedManagedPolicies": [{"PolicyArn": arn}], "GroupList": []}
    (policy,) = principal_permissions(detail, {}, {}).attached
    assert (policy.path_and_name, policy.path, policy.aws_managed) == (name, path, aws_managed)


def test_a_brownout_is_no_permission_of_the_user() -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
    document = json.loads(Brownout(noon, noon + timedelta(minutes=15)).document)
    own = {"PolicyName": "c7n-iamusers-brownout", "PolicyDocument": document}
    kept = {"PolicyName": "own", "PolicyDocument": document}
    detail = {**DETAIL, "UserPolicyList": [own, kept]}
    assert [name for name, _ in principal_permissions(detail, GROUPS, {}).inline] == ["own"]
