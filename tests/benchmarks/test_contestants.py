# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.contestants import OURS, STOCK, require_equal_evidence
from benchmarks.results import BenchmarkError

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
TAGS = [{"Key": "Department", "Value": "Engineering"}]
THEIRS: dict[str, Any] = {
    "UserName": "ada",
    "Tags": TAGS,
    "c7n:credential-report": {"password_enabled": True, "access_keys": [{}, {}]},
    "c7n:Groups": [{"GroupName": "team", "AttachedPolicies": [{"PolicyArn": AUDIT}]}],
    "c7n:Policies": [{"Arn": READ_ONLY}, {"Arn": AUDIT}],
    "c7n:InlinePolicies": ["Upload"],
    "MFADevices": [{}],
}
OWN: dict[str, Any] = {
    "UserName": "ada",
    "Tags": TAGS,
    "GroupList": ["team"],
    "AttachedManagedPolicies": [{"PolicyArn": READ_ONLY}],
    "UserPolicyList": [{"PolicyName": "Upload"}],
    "c7n:IamUser": {
        "attachments": {
            "login-profile": 1,
            "access-key": 2,
            "signing-certificate": 0,
            "mfa-device": 1,
            "service-specific-credential": 0,
        }
    },
}


def test_the_same_evidence_in_other_words() -> None:
    require_equal_evidence(STOCK, [THEIRS], OURS, [OWN])


def _tag(own: dict[str, Any]) -> None:
    own["Tags"] = []


def _key(own: dict[str, Any]) -> None:
    own["c7n:IamUser"]["attachments"]["access-key"] = 1


def _group(own: dict[str, Any]) -> None:
    own["GroupList"] = ["others"]


def _policy(own: dict[str, Any]) -> None:
    own["AttachedManagedPolicies"] = [{"PolicyArn": AUDIT}]


def _user(own: dict[str, Any]) -> None:
    own["UserName"] = "bob"


@pytest.mark.parametrize(
    "change", [_tag, _key, _group, _policy, _user], ids=lambda change: change.__name__[1:]
)
def test_a_difference_is_refused(change: Callable[[dict[str, Any]], None]) -> None:
    own = copy.deepcopy(OWN)
    change(own)
    with pytest.raises(BenchmarkError, match="evidence on ada differs"):
        require_equal_evidence(STOCK, [THEIRS], OURS, [own])


def test_a_user_whom_only_one_saw_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="evidence on ada differs"):
        require_equal_evidence(STOCK, [THEIRS], OURS, [])
