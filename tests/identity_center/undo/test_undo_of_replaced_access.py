# SPDX-License-Identifier: Apache-2.0
"""An undo ends no access that replaces an IAM user's, unless the person is known to keep as much."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from c7n_iamusers.identity_center.undo.only_access import ReadUsers
from tests.access_center import ACCOUNT
from tests.derivation.users import allow
from tests.derived import derived, holder
from tests.desired import person
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import assign, set_by_hand

ALICE = "alice@example.com"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def of_alice(name: str) -> UserIntent:
    return replace(holder(ACCOUNT, name, allow("s3:*"), who=person("alice")), on_file=True)


def now(*users: UserIntent) -> Intents:
    return replace(derived(ACCOUNT, *users), time=datetime.now(timezone.utc).replace(microsecond=0))


def with_users(*users: UserIntent) -> ReadUsers:
    """The account has these IAM users alone."""

    def read(accounts: Iterable[str]) -> Mapping[str, Mapping[str, str] | str]:
        return {account: {each.subject.unique_id: "" for each in users} for account in accounts}

    return read


def by_hand(fleet: FleetRehearsal, arn: str) -> None:
    """Alice is in a group of others that has the permission set."""
    store, instance = fleet.instance.store, fleet.instance.arn
    people, sso = fleet.org.client("identitystore"), fleet.org.client("sso-admin")
    (alice,) = store.users
    group = people.create_group(IdentityStoreId=store.id, DisplayName="Theirs")["GroupId"]
    people.create_group_membership(IdentityStoreId=store.id, GroupId=group, MemberId={"UserId": alice})
    sso.create_account_assignment(
        InstanceArn=instance,
        TargetId=ACCOUNT,
        TargetType="AWS_ACCOUNT",
        PermissionSetArn=arn,
        PrincipalType="GROUP",
        PrincipalId=group,
    )
    time.sleep(0.5)


def another_set(fleet: FleetRehearsal, **inline: Any) -> str:
    sso, (made,) = fleet.org.client("sso-admin"), fleet.instance.permission_sets
    instance = fleet.instance.arn
    known = sso.describe_permission_set(InstanceArn=instance, PermissionSetArn=made)["PermissionSet"]
    created = sso.create_permission_set(
        InstanceArn=instance, Name="Other", SessionDuration=known["SessionDuration"]
    )
    arn = str(created["PermissionSet"]["PermissionSetArn"])
    policy = sso.get_inline_policy_for_permission_set(InstanceArn=instance, PermissionSetArn=made)
    text = json.dumps(inline) if inline else policy["InlinePolicy"]
    sso.put_inline_policy_to_permission_set(InstanceArn=instance, PermissionSetArn=arn, InlinePolicy=text)
    return arn


def narrower(fleet: FleetRehearsal) -> None:
    statement = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
    by_hand(fleet, another_set(fleet, Version="2012-10-17", Statement=[statement]))


def the_same_set(fleet: FleetRehearsal) -> None:
    (made,) = fleet.instance.permission_sets
    by_hand(fleet, made)


def an_equal_set(fleet: FleetRehearsal) -> None:
    by_hand(fleet, another_set(fleet))


def an_equal_set_of_which_the_account_has_an_earlier_form(fleet: FleetRehearsal) -> None:
    statement = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
    arn = another_set(fleet, Version="2012-10-17", Statement=[statement])
    by_hand(fleet, arn)
    sso, made = (
        fleet.org.client("sso-admin"),
        next(each for each in fleet.instance.permission_sets if each != arn),
    )
    instance = fleet.instance.arn
    policy = sso.get_inline_policy_for_permission_set(InstanceArn=instance, PermissionSetArn=made)
    sso.put_inline_policy_to_permission_set(
        InstanceArn=instance, PermissionSetArn=arn, InlinePolicy=policy["InlinePolicy"]
    )


@pytest.mark.parametrize(
    ("other", "goes"),
    [
        (narrower, False),
        (the_same_set, True),
        (an_equal_set, True),
        (an_equal_set_of_which_the_account_has_an_earlier_form, False),
    ],
)
def test_other_access_must_be_known_to_give_as_much(fleet: FleetRehearsal, other: Any, goes: bool) -> None:
    fleet.provisioned(now(of_alice("first")))
    (group,) = fleet.members()
    other(fleet)
    fleet.undo(fleet.results()[-1], read_users=with_users())
    assert (ALICE in fleet.members().get(group, ())) is not goes


def test_users_of_later_runs_count_although_these_had_nothing_to_do(fleet: FleetRehearsal) -> None:
    first, second = of_alice("first"), of_alice("second")
    fleet.provisioned(now(first))
    (result,) = fleet.results()
    before = fleet.members()
    fleet.leave(now(first, second))
    for _ in range(2):
        assert fleet.run() == []
        assert "Nothing to do." in fleet.said
        assert len(fleet.results()) == 2
    fleet.undo(result, read_users=with_users(first))
    assert fleet.members() == before
    (kept,) = (line for line in fleet.lines("!") if "membership" in line)
    assert f"IAM user {second.subject.arn} has been deleted" in kept
    fleet.undo(result, read_users=with_users(first, second))
    assert fleet.members() == {}


def test_a_run_that_only_records_users_has_nothing_to_undo(fleet: FleetRehearsal) -> None:
    fleet.provisioned(now(of_alice("first")))
    before = fleet.members()
    fleet.provisioned(now(of_alice("first"), of_alice("second")))
    assert fleet.mutations() == []
    assert fleet.undo(fleet.results()[-1]) == []
    assert fleet.members() == before


def test_a_later_record_adds_users_and_replaces_none(fleet: FleetRehearsal) -> None:
    """The user of the run is gone, whatever a later record says of another one with its ARN."""
    first = of_alice("first")
    fleet.provisioned(now(first))
    (result,), before = fleet.results(), fleet.members()
    another = replace(first, subject=replace(first.subject, unique_id="AIDAANOTHER"))
    another = replace(another, detail={**(first.detail or {}), "UserId": "AIDAANOTHER"})
    fleet.provisioned(now(another))
    assert len(fleet.results()) == 2
    fleet.undo(result, read_users=with_users(another))
    assert fleet.members() == before


def test_runs_are_undone_one_after_the_other(fleet: FleetRehearsal) -> None:
    """An undo recreates a group and a permission set under new ids, which the undo of an earlier run finds."""
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:*"))))
    first = fleet.members()
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:Get*"))))
    fleet.run()
    assert fleet.run(prune=True) == []
    assert fleet.members().keys().isdisjoint(first)
    created, replaced, pruned = fleet.results()
    assert fleet.undo(pruned) == []
    assert fleet.undo(replaced) == []
    assert fleet.members() == first
    assert fleet.undo(created) == []
    assert (fleet.members(), fleet.assigned(), fleet.usernames()) == ({}, set(), set())
    assert not [each for each in fleet.instance.permission_sets.values() if each.name.startswith("iam-")]


def test_what_an_undo_recreated_is_pruned_and_recreated_again(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:*"))))
    first = fleet.members()
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:Get*"))))
    fleet.run()
    for _ in range(2):
        assert fleet.run(prune=True) == []
        assert fleet.members().keys().isdisjoint(first)
        assert fleet.undo(fleet.results()[-1]) == []
        assert fleet.members().keys() > first.keys()
    fleet.undo(fleet.results()[1])
    assert fleet.undo(fleet.results()[0]) == []
    assert (fleet.members(), fleet.assigned(), fleet.usernames()) == ({}, set(), set())


@pytest.mark.parametrize("lock_out", [False, True], ids=["prune", "lock-out"])
def test_a_pruned_run_leaves_what_a_colleague_assigned(fleet: FleetRehearsal, lock_out: bool) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:*"))))
    ((group, members),) = fleet.members().items()
    (group_id,) = fleet.instance.store.groups
    on_call = set_by_hand(fleet, "OnCall", "arn:aws:iam::aws:policy/PowerUserAccess")
    assign(fleet, on_call, group_id, ACCOUNT, "GROUP")
    before = fleet.assigned()
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:Get*"))))
    fleet.run(prune=True, lock_out=lock_out)
    assert fleet.members()[group] == members
    assert fleet.assigned() > before
    assert any(f"the group also has OnCall in account {ACCOUNT}" in each for each in fleet.said)
