# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

from c7n_iamusers.decisions.policy_grants import grants_of
from c7n_iamusers.model.evidence import Grant
from c7n_iamusers.model.inventory import Inventory
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
        Grant("Own", OWN, "", "own"),
        Grant("inline", "", "", "alice"),
        Grant("ReadOnlyAccess", MANAGED, "Team", None),
        Grant("inline", "", "Team", "team"),
    )


def test_a_group_that_was_not_read_leaves_all_unknown() -> None:
    assert grants_of(user(group=groups("Team", "New")), INVENTORY) is None
    assert grants_of(user(group=groups("Team")), Inventory()) is None
    assert grants_of(replace(ALICE, attachments={}), INVENTORY) is None


def test_a_user_without_policies_has_none() -> None:
    assert grants_of(user(), INVENTORY) == ()
