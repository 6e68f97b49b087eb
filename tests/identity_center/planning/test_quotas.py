# SPDX-License-Identifier: Apache-2.0
"""What a plan may make of each kind, up to the quota and no more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.planning.quotas import CenterQuotas, check_policies, quota_faults
from tests.access_center import ACCOUNT, SET_ARN
from tests.desired import readers

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(("policies", "fits"), [(0, True), (19, True), (20, True), (21, False)])
def test_policies_of_a_set(policies: int, fits: bool) -> None:
    arns = frozenset(f"arn:aws:iam::aws:policy/P{number}" for number in range(policies))
    assert bool(check_policies(PermissionSet("Readers", managed_policies=arns), CenterQuotas())) is not fits


def change(kind: str, key: str) -> Any:
    return SimpleNamespace(kind=kind, key=key, action=access_plan.CREATE, is_work=True)


@pytest.mark.parametrize(("sets", "faults"), [(3498, 0), (3499, 1)])
def test_sets_of_an_instance(sets: int, faults: int) -> None:
    new = [change(model.PERMISSION_SET, str(number)) for number in range(2)]
    found = quota_faults(model.DesiredAccess(), model.CenterState(), new, sets, CenterQuotas())
    assert len(found) == faults
    assert quota_faults(model.DesiredAccess(), model.CenterState(), [], 9999, CenterQuotas()) == ()


def faults(
    held: dict[str, frozenset[model.Principal]], quotas: CenterQuotas, known: bool = True
) -> tuple[str, ...]:
    """Of a plan that assigns Readers to the group Ours in an account in which sets are ``held``, by ARN."""
    grant = model.Grant(ACCOUNT, "Readers")
    desired = model.DesiredAccess(groups={"Ours": model.Group("Ours", frozenset({grant}))})
    state = model.CenterState(
        permission_sets={"Readers": model.KnownPermissionSet(SET_ARN, readers())} if known else {},
        groups={"Ours": model.KnownGroup("g-1", "Ours")},
        current=model.CurrentAccess({ACCOUNT: held}, set_names={SET_ARN: "Readers"}),
    )
    made = [change(model.ASSIGNMENT, f"{model.ASSIGNMENT} {ACCOUNT}/Readers/Ours")]
    return quota_faults(desired, state, made, 0, quotas)


OTHERS = {"arn:other": frozenset({("GROUP", "g-9")})}
BOTH = frozenset({("GROUP", "g-2"), ("USER", "u-1")})


@pytest.mark.parametrize(
    ("held", "quota", "exceeded"),
    [
        pytest.param(OTHERS, {"sets_per_account": 2}, False, id="one-more-set"),
        pytest.param(OTHERS, {"sets_per_account": 1}, True, id="one-set-too-many"),
        pytest.param({SET_ARN: BOTH, **OTHERS}, {"sets_per_account": 2}, False, id="a-set-that-is-there"),
        pytest.param({SET_ARN: BOTH}, {"groups_per_set": 2}, False, id="one-more-group"),
        pytest.param({SET_ARN: BOTH}, {"groups_per_set": 1}, True, id="one-group-too-many"),
        pytest.param(
            {SET_ARN: frozenset({("GROUP", "g-1")})}, {"groups_per_set": 1}, False, id="the-same-group"
        ),
    ],
)
def test_sets_and_groups_of_an_account(held: Any, quota: dict[str, int], exceeded: bool) -> None:
    assert bool(faults(held, CenterQuotas(**quota))) is exceeded


def test_a_set_that_is_new_has_no_groups_yet() -> None:
    assert faults({SET_ARN: BOTH}, CenterQuotas(groups_per_set=1), known=False) == ()
