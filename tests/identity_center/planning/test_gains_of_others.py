# SPDX-License-Identifier: Apache-2.0
"""What others' permission sets allow that people gain by joining a shared group: plans show it, and reviews pin it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.output.plan_files import PlanOptions
from c7n_iamusers.identity_center.requests.intents import Intents
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import holding, intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import ALICE, BOB, assign, set_by_hand

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


def attach(fleet: FleetRehearsal, arn: str) -> None:
    fleet.org.client("sso-admin").attach_managed_policy_to_permission_set(
        InstanceArn=fleet.instance.arn, PermissionSetArn=arn, ManagedPolicyArn=ADMINISTRATOR
    )


def put_inline(fleet: FleetRehearsal, arn: str) -> None:
    fleet.org.client("sso-admin").put_inline_policy_to_permission_set(
        InstanceArn=fleet.instance.arn, PermissionSetArn=arn, InlinePolicy=EVERYTHING
    )


def lengthen(fleet: FleetRehearsal, arn: str) -> None:
    fleet.org.client("sso-admin").update_permission_set(
        InstanceArn=fleet.instance.arn, PermissionSetArn=arn, SessionDuration="PT12H"
    )


def of_sales(*names: str) -> Intents:
    return holding(intents(ACCOUNT, *names, group="Sales", shared_group=True), READ_ONLY)


@pytest.fixture(params=[ACCOUNT, OTHER_ACCOUNT], ids=["same-account", "another-account"])
def theirs(fleet: FleetRehearsal, request: pytest.FixtureRequest) -> str:
    """The ARN of a permission set that others have assigned to a shared group, which Bob is to join."""
    fleet.provisioned(of_sales("alice"))
    arn = set_by_hand(fleet, "Theirs", AUDIT)
    group_id = fleet.group_id("Sales")
    assign(fleet, arn, group_id, request.param, "GROUP")
    fleet.leave(of_sales("alice", "bob"))
    return arn


@pytest.mark.parametrize(
    ("change", "administrative", "shows"),
    [
        pytest.param(None, False, f"AWS-managed policy: {AUDIT}", id="as-it-is"),
        pytest.param(attach, True, f"AWS-managed policy: {ADMINISTRATOR}", id="administrator"),
        pytest.param(put_inline, True, 'inline: {"Action": "*"', id="inline"),
        pytest.param(lengthen, False, "session duration: PT12H", id="longer-sessions"),
    ],
)
def test_a_plan_shows_what_it_allows(
    fleet: FleetRehearsal,
    theirs: str,
    change: Callable[[FleetRehearsal, str], None] | None,
    administrative: bool,
    shows: str,
) -> None:
    if change:
        change(fleet, theirs)
    fleet.run(dry=True)
    number, line = next(
        (at, each) for at, each in enumerate(fleet.said) if each.startswith("  ! side-effect")
    )
    assert f"{BOB} get permission set Theirs" in line
    assert ("ADMINISTRATOR by " in line) == administrative
    details = fleet.said[number + 1 : number + 6]
    assert any(each.strip().startswith(shows) for each in details), details


@pytest.mark.parametrize("change", [None, attach, put_inline, lengthen])
def test_a_review_pins_what_it_allows(
    fleet: FleetRehearsal, tmp_path: Path, theirs: str, change: Callable[[FleetRehearsal, str], None] | None
) -> None:
    path = tmp_path / "plan.json"
    fleet.run(dry=True, plan_options=PlanOptions(out=path))
    reviewed = PlanOptions(reviewed=path, digest=hashlib.sha256(path.read_bytes()).hexdigest())
    if change is None:
        fleet.run(plan_options=reviewed)
        assert fleet.members()["Sales"] == {ALICE, BOB}
        return
    change(fleet, theirs)
    with pytest.raises(
        IdentityCenterError, match=rf"the list of side effects differs .*{BOB}.*\(otherwise\)"
    ):
        fleet.run(plan_options=reviewed)
    assert fleet.mutations() == []
    assert fleet.members()["Sales"] == {ALICE}
