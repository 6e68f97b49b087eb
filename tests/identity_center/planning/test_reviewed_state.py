# SPDX-License-Identifier: Apache-2.0
"""A plan that was reviewed holds only for the Identity Center that was looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, READ_ONLY
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import (
    ALICE,
    BOB,
    MALLORY,
    assign,
    create_user,
    join,
    set_by_hand,
    user_id,
)
from tests.identity_center.planning.test_review import reviewed
from tests.interference import on_call

GROUP = f"iam-{ACCOUNT}-Readers"
MANAGED = f"Managed by c7n-iamusers for account {ACCOUNT}"


def group_of_ours(fleet: FleetRehearsal) -> str:
    return fleet.make_group(GROUP, MANAGED)


def delete_group(fleet: FleetRehearsal) -> None:
    (group,) = fleet.instance.store.groups
    fleet.org.client("identitystore").delete_group(IdentityStoreId=fleet.instance.store.id, GroupId=group)


def set_of_ours(fleet: FleetRehearsal) -> str:
    """One that is as it is asked for."""
    client, arn = fleet.org.client("sso-admin"), fleet.instance.arn
    tags = [{"Key": "c7n-iamusers", "Value": "managed"}]
    created = client.create_permission_set(InstanceArn=arn, Name="Readers", Description="Reads", Tags=tags)
    made = str(created["PermissionSet"]["PermissionSetArn"])
    client.attach_managed_policy_to_permission_set(
        InstanceArn=arn, PermissionSetArn=made, ManagedPolicyArn=READ_ONLY
    )
    return made


def replace_user(fleet: FleetRehearsal) -> None:
    fleet.delete_user(BOB)
    create_user(fleet, BOB)


def replace_group(fleet: FleetRehearsal) -> None:
    delete_group(fleet)
    group_of_ours(fleet)


def replace_set(fleet: FleetRehearsal) -> None:
    (arn,) = fleet.instance.permission_sets
    fleet.org.client("sso-admin").delete_permission_set(InstanceArn=fleet.instance.arn, PermissionSetArn=arn)
    set_of_ours(fleet)


def nothing(_: FleetRehearsal) -> None:
    pass


Step = Callable[[FleetRehearsal], object]


@pytest.mark.parametrize(
    ("before", "between", "told"),
    [
        pytest.param(
            nothing,
            lambda fleet: create_user(fleet, BOB),
            rf"objects differ from the reviewed ones: user {BOB} <{BOB}> was to be created, and has been",
            id="user-made-by-somebody",
        ),
        pytest.param(
            lambda fleet: create_user(fleet, BOB),
            replace_user,
            rf"user {BOB} <{BOB}> was replaced: it has id \S+, and had \S+",
            id="user-made-again",
        ),
        pytest.param(nothing, group_of_ours, f"group {GROUP} was to be created", id="group-made-by-somebody"),
        pytest.param(group_of_ours, replace_group, f"group {GROUP} was replaced", id="group-made-again"),
        pytest.param(
            nothing, set_of_ours, "permission set Readers was to be created", id="set-made-by-somebody"
        ),
        pytest.param(set_of_ours, replace_set, "permission set Readers was replaced", id="set-made-again"),
    ],
)
def test_what_is_taken_over_is_what_was_reviewed(
    fleet: FleetRehearsal, before: Step, between: Step, told: str
) -> None:
    fleet.new_records = True
    before(fleet)
    fleet.leave(intents(ACCOUNT, "bob"))
    plan_options = reviewed(fleet)
    between(fleet)
    fleet.refuses(told, fleet.run, plan_options=plan_options)
    assert fleet.run(plan_options=reviewed(fleet)) == []
    assert fleet.members() == {GROUP: {BOB}}


@pytest.mark.parametrize(
    ("operation", "somebody", "told"),
    [
        pytest.param("CreateUser", lambda fleet: create_user(fleet, BOB), "user bob", id="user"),
        pytest.param("CreateGroup", group_of_ours, f"group {GROUP}", id="group"),
        pytest.param("CreatePermissionSet", set_of_ours, "permission set Readers", id="set"),
    ],
)
@pytest.mark.parametrize("by_plan", [True, False], ids=["reviewed", "not-reviewed"])
def test_what_somebody_makes_while_a_reviewed_plan_is_applied_is_not_used(
    fleet: FleetRehearsal,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    somebody: Step,
    told: str,
    by_plan: bool,
) -> None:
    fleet.leave(intents(ACCOUNT, "bob"))
    plan_options = reviewed(fleet) if by_plan else None
    pending = [somebody]

    def once() -> None:
        if pending:
            pending.pop()(fleet)

    with monkeypatch.context() as patch:
        on_call(patch, operation, once)
        failures = fleet.run(plan_options=plan_options)
    if by_plan:
        (failure,) = failures
        assert told in failure
        assert "others have created it since the plan was reviewed" in failure
        assert not [user for users in fleet.members().values() for user in users]
    else:
        assert failures == []
        assert fleet.members() == {GROUP: {BOB}}


def hold_more(fleet: FleetRehearsal) -> None:
    assign(fleet, set_by_hand(fleet, "Admin", READ_ONLY), user_id(fleet, ALICE), ACCOUNT)


def stranger(fleet: FleetRehearsal) -> None:
    join(fleet, GROUP, create_user(fleet, MALLORY))


def newcomer_elsewhere(fleet: FleetRehearsal) -> None:
    """Somebody has become stale who is in a group of ours and was not when the plan was made."""
    join(fleet, GROUP, user_id(fleet, BOB))


@pytest.mark.parametrize(
    ("between", "told"),
    [
        pytest.param(
            hold_more,
            rf"the total access differs from the reviewed one: {ALICE} in account {ACCOUNT} \(otherwise\)",
            id="totals",
        ),
        pytest.param(
            stranger,
            rf"the list of unexpected members differs from the reviewed one: {MALLORY} in group {GROUP} \(not in it\)",
            id="strangers",
        ),
        pytest.param(
            newcomer_elsewhere,
            rf"the total access differs .*{BOB} in account {ACCOUNT}|objects no longer requested .*{BOB} in {GROUP}",
            id="stale",
        ),
    ],
)
def test_what_people_hold_is_what_was_reviewed(fleet: FleetRehearsal, between: Step, told: str) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    writers = intents(ACCOUNT, "bob", set_name="Writers")
    fleet.provisioned(writers)
    fleet.leave(intents(OTHER_ACCOUNT, "carol"))
    plan_options = reviewed(fleet)
    between(fleet)
    fleet.refuses(told, fleet.run, plan_options=plan_options)


def test_nothing_that_was_reviewed_is_missed_by_a_run_that_goes_on(
    fleet: FleetRehearsal,
) -> None:
    """A shared group, an adoption and people who hold more, with a kill in the middle."""
    create_user(fleet, ALICE)
    shared: dict[str, Any] = {"group": "Everybody", "shared_group": True}
    fleet.leave(intents(ACCOUNT, "alice", "bob", **shared), intents(OTHER_ACCOUNT, "carol", **shared))
    plan_options = reviewed(fleet)
    for number in (5, 1, 1):
        fleet.killed(number, lambda: fleet.run(plan_options=plan_options))
    assert fleet.run(plan_options=plan_options) == []
    assert len(fleet.members()["Everybody"]) == 3


def test_a_plan_of_another_format_is_made_again(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    plan_options = reviewed(fleet)
    assert plan_options.reviewed
    text = plan_options.reviewed.read_text().replace('"schema": 3', '"schema": 2')
    plan_options.reviewed.write_text(text)
    plan_options = type(plan_options)(
        reviewed=plan_options.reviewed, digest=hashlib.sha256(text.encode()).hexdigest()
    )
    with pytest.raises(IdentityCenterError, match="schema 2 is not 3: make the plan again"):
        fleet.run(plan_options=plan_options)
