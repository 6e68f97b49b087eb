# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

from c7n_iamusers.evidence.index import grants_of
from c7n_iamusers.evidence.inventory import Inventory
from c7n_iamusers.evidence.model import HeldPolicy
from tests.records import groups, user

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
    assert grants_of(ALICE, INVENTORY) == (
        HeldPolicy("Own", OWN, "", "own"),
        HeldPolicy("inline", "", "", "alice"),
        HeldPolicy("ReadOnlyAccess", MANAGED, "Team", None),
        HeldPolicy("inline", "", "Team", "team"),
    )


def test_a_group_that_was_not_read_leaves_all_unknown() -> None:
    assert grants_of(user(group=groups("Team", "New")), INVENTORY) is None
    assert grants_of(user(group=groups("Team")), Inventory()) is None
    assert grants_of(replace(ALICE, attachments={}), INVENTORY) is None


def test_a_user_without_policies_has_none() -> None:
    assert grants_of(user(), INVENTORY) == ()
