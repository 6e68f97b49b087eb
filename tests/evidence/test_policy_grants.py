# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.evidence.index import Inventory, applied_policies
from c7n_iamusers.iam.policy_documents import AppliedPolicy
from tests.records import groups, user

pytestmark = pytest.mark.pure

OWN = "arn:aws:iam::111122223333:policy/Own"
MANAGED = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def attached(arn: str) -> dict[str, str]:
    return {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn}


TEAM: dict[str, Any] = {
    "GroupName": "Team",
    "AttachedManagedPolicies": attached(MANAGED),  # single, as in AWS's own example
    "GroupPolicyList": [{"PolicyName": "inline", "PolicyDocument": "team"}],
}
INVENTORY = Inventory(groups={"Team": TEAM, "Empty": {"GroupName": "Empty"}}, policies={OWN: "own"})
ALICE = user(
    group=groups("Team", "Empty"),
    attached_policy=(attached(OWN),),
    inline_policy=({"PolicyName": "inline", "PolicyDocument": "alice"},),
)


def test_own_policies_and_those_of_groups() -> None:
    assert applied_policies(ALICE, INVENTORY) == (
        AppliedPolicy("Own", OWN, "", "own"),
        AppliedPolicy("inline", "", "", "alice"),
        AppliedPolicy("ReadOnlyAccess", MANAGED, "Team", None),
        AppliedPolicy("inline", "", "Team", "team"),
    )


def test_a_group_that_was_not_read_leaves_all_unknown() -> None:
    assert applied_policies(user(group=groups("Team", "New")), INVENTORY) is None
    assert applied_policies(user(group=groups("Team")), Inventory()) is None
    assert applied_policies(replace(ALICE, attachments={}), INVENTORY) is None


def test_a_user_without_policies_has_none() -> None:
    assert applied_policies(user(), INVENTORY) == ()
