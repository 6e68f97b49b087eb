# SPDX-License-Identifier: Apache-2.0
"""An account in which AWS can't provision, as it is closed or lacks a policy, is the failure of that account alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from aws_local_org import organization
from aws_local_org.identity_center import injected_faults
from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center.output.aws_config import PROFILES
from c7n_iamusers.identity_center.provisioning import provision
from c7n_iamusers.identity_center.requests.intents import Intents
from tests.access_center import ACCOUNT, AUDIT, OTHER_ACCOUNT, READ_ONLY
from tests.derivation.users import allow
from tests.desired import ACCEPT_ALL, intents, readers
from tests.fakes import client_error
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import assign, create_user, join
from tests.identity_center.planning.test_review import reviewed
from tests.identity_center.test_delegated_administrator import delegated
from tests.interference import on_calls

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
OBJECTS = replace(readers(), managed_policies=frozenset(), customer_policies=frozenset({"/Objects"}))
ADMINS = replace(readers(), managed_policies=frozenset({ADMINISTRATOR}))
#: A change to `readers` makes less of it.
WIDE = replace(readers(), managed_policies=frozenset({READ_ONLY, AUDIT}))
SHARED = "shared-readers"
BOTH_ACCOUNTS = pytest.mark.parametrize("lacks", [ACCOUNT, OTHER_ACCOUNT], ids=["first", "second"])


def other(account: str) -> str:
    return OTHER_ACCOUNT if account == ACCOUNT else ACCOUNT


def with_objects(fleet: FleetRehearsal, account: str) -> None:
    """The account has the customer-managed policy of OBJECTS."""
    document = {"Version": "2012-10-17", "Statement": [allow("s3:GetObject")]}
    fleet.org.client("iam", account).create_policy(PolicyName="Objects", PolicyDocument=json.dumps(document))


def requested(account: str, *names: str, by: PermissionSet = OBJECTS, shared: bool = False) -> Intents:
    group = SHARED if shared else f"iam-{account}-Readers"
    return intents(account, *names, permission_set=by, accept=ACCEPT_ALL, group=group, shared_group=shared)


def ran(fleet: FleetRehearsal, *found: Intents, **choices: Any) -> list[str]:
    fleet.leave_only(*found)
    return fleet.run(**choices)


def of_both(fleet: FleetRehearsal, by: PermissionSet, shared: bool = False) -> None:
    """Ann has it in the first account, and Bob in the second."""
    found = [
        requested(account, name, by=by, shared=shared)
        for account, name in ((ACCOUNT, "ann"), (OTHER_ACCOUNT, "bob"))
    ]
    assert ran(fleet, *found) == []


def policies(fleet: FleetRehearsal, account: str) -> list[str]:
    """The policies of the permission set's role in the account."""
    iam = fleet.org.client("iam", account)
    (role,) = [
        each["RoleName"] for each in iam.list_roles()["Roles"] if each["RoleName"].startswith("AWSReserved")
    ]
    found = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return [each["PolicyName"] for each in found]


def of_users(failures: Sequence[str]) -> set[str]:
    """Name and account of the users that failures are about."""
    return {" ".join(each.split(":")[0].split()[1:]) for each in failures}


def people(*names: str) -> set[str]:
    return {f"{each}@example.com" for each in names}


@BOTH_ACCOUNTS
@pytest.mark.parametrize("before", [READ_ONLY, ADMINISTRATOR], ids=["else", "narrowed"])
def test_other_accounts_get_a_changed_set(fleet: FleetRehearsal, lacks: str, before: str) -> None:
    has = other(lacks)
    with_objects(fleet, has)
    earlier = replace(readers(), managed_policies=frozenset({before}))
    first = requested(lacks, "ann", by=earlier), requested(has, "bob", by=earlier)
    assert ran(fleet, *first) == []
    for _ in range(2):
        failures = ran(fleet, requested(lacks, "ann"), requested(has, "bob", "eve"))
        assert of_users(failures) == {f"ann of account {lacks}"}
        assert f"permission set Readers of account {lacks}: sso-admin:ProvisionPermissionSet" in failures[0]
        assert f"account {lacks} can be left out (-a with the other accounts" in failures[0]
        assert policies(fleet, has) == ["Objects"]
        assert fleet.members()[f"iam-{has}-Readers"] == people("bob", "eve")
    assert policies(fleet, lacks) == [before.rpartition("/")[2]]
    with_objects(fleet, lacks)
    assert fleet.run() == []
    assert policies(fleet, lacks) == ["Objects"]


@BOTH_ACCOUNTS
def test_what_is_withdrawn_is_withdrawn_where_the_first_try_failed_for_all(
    fleet: FleetRehearsal, lacks: str
) -> None:
    has = other(lacks)
    with_objects(fleet, has)
    earlier = replace(readers(), managed_policies=frozenset({ADMINISTRATOR}))
    assert ran(fleet, requested(lacks, "ann", by=earlier), requested(has, "bob", by=earlier)) == []
    injected_faults.fail_next_provisioning("An unexpected internal error")
    failures = ran(fleet, requested(lacks, "ann"), requested(has, "bob"))
    assert of_users(failures) == {f"ann of account {lacks}"}
    assert policies(fleet, has) == ["Objects"]


def test_one_failure_of_all_at_once_is_none(fleet: FleetRehearsal) -> None:
    of_both(fleet, ADMINS)
    injected_faults.fail_next_provisioning("An unexpected internal error")
    of_both(fleet, readers())
    calls = [each for each in fleet.mutations() if each.operation == "ProvisionPermissionSet"]
    assert {each.parameters.get("TargetId") for each in calls} == {None, ACCOUNT, OTHER_ACCOUNT}


def test_an_account_without_intents_is_told(fleet: FleetRehearsal, closed: Callable[[str], None]) -> None:
    of_both(fleet, WIDE)
    closed(OTHER_ACCOUNT)
    (failure,) = ran(fleet, requested(ACCOUNT, "ann", "eve", by=readers()))
    assert failure.startswith(f"permission set Readers of account {OTHER_ACCOUNT}: ")
    assert "left out" not in failure
    assert fleet.members()[f"iam-{ACCOUNT}-Readers"] == people("ann", "eve")
    assert policies(fleet, ACCOUNT) == ["ReadOnlyAccess"]


@BOTH_ACCOUNTS
@pytest.mark.parametrize("stands", [True, False], ids=["a-group-that-stands", "a-new-group"])
def test_a_failed_assignment_of_a_shared_group(fleet: FleetRehearsal, lacks: str, stands: bool) -> None:
    """Who has an IAM user in each of the two accounts joins, too: the one that fails gives nothing."""
    has = other(lacks)
    with_objects(fleet, has)
    if stands:
        assert ran(fleet, requested(has, "bob", shared=True)) == []
    both = requested(lacks, "ann", "cat", shared=True), requested(has, "bob", "cat", "eve", shared=True)
    for _ in range(2):
        failures = ran(fleet, *both)
        assert of_users(failures) == {f"{name} of account {lacks}" for name in ("ann", "cat")}
        assert fleet.members() == {SHARED: people("bob", "cat", "eve")}
    assert "ann@example.com" not in fleet.usernames()
    assert {account for account, _, _ in fleet.assigned()} == {has}


def test_nobody_joins_a_group_whose_assignments_all_fail(fleet: FleetRehearsal) -> None:
    found = [requested(account, "cat", shared=True) for account in (ACCOUNT, OTHER_ACCOUNT)]
    assert of_users(ran(fleet, *found)) == {f"cat of account {ACCOUNT}", f"cat of account {OTHER_ACCOUNT}"}
    assert (fleet.members(), fleet.usernames()) == ({SHARED: set()}, set())


def test_nobody_joins_for_the_accounts_of_others_alone(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = "777788889999"
    monkeypatch.setattr(organization, "has_active_account", lambda account: account == third)
    found = {ACCOUNT: "cat", OTHER_ACCOUNT: "cat", third: "dan"}
    failures = ran(fleet, *(requested(each, name, by=readers(), shared=True) for each, name in found.items()))
    assert of_users(failures) == {f"cat of account {each}" for each in (ACCOUNT, OTHER_ACCOUNT)}
    assert fleet.members() == {SHARED: people("dan")}
    assert fleet.usernames() == people("dan")


@BOTH_ACCOUNTS
def test_nobody_new_gets_an_earlier_form_by_a_shared_group(
    fleet: FleetRehearsal, closed: Callable[[str], None], lacks: str
) -> None:
    """Who is in it keeps it. Who is not would get what was not reviewed, in the account that has that."""
    has = other(lacks)
    of_both(fleet, WIDE, shared=True)
    closed(lacks)
    names = {ACCOUNT: ["ann"], OTHER_ACCOUNT: ["bob"]}
    of_lacks = names[lacks][0]
    names[has].append("eve")
    both = [requested(account, *found, by=readers(), shared=True) for account, found in names.items()]
    for why in ("not an active account", "only a reviewed plan"):
        failures = ran(fleet, *both)
        assert of_users(failures) == {f"{of_lacks} of account {lacks}", f"eve of account {has}"}
        assert all(why in each for each in failures)
        for told in (
            "can be left out",
            f"nobody new joins group {SHARED} until account {lacks} is corrected",
        ):
            assert all((told in each) == ("active" in why) for each in failures)
        assert fleet.members() == {SHARED: people("ann", "bob")}
        assert "eve@example.com" not in fleet.usernames()
        assert policies(fleet, has) == ["ReadOnlyAccess"]
    closed("")
    assert fleet.run(plan_options=reviewed(fleet)) == []
    assert fleet.members() == {SHARED: people("ann", "bob", "eve")}


@pytest.mark.parametrize("by_other_policy", [False, True], ids=["left-out", "other-policy"])
def test_nobody_new_gets_an_earlier_form_that_another_run_would_provision(
    fleet: FleetRehearsal, closed: Callable[[str], None], by_other_policy: bool
) -> None:
    """Not even by a reviewed plan: it says what the permission set allows, and not what that account has of it."""
    of_both(fleet, WIDE, shared=True)
    closed(ACCOUNT)
    narrow = requested(OTHER_ACCOUNT, "bob", by=readers(), shared=True)
    assert ran(fleet, requested(ACCOUNT, "ann", by=readers(), shared=True), narrow) != []
    closed("")
    fleet.forget()
    eve = requested(OTHER_ACCOUNT, "bob", "eve", by=readers(), shared=True)
    if by_other_policy:
        eve = intents(
            OTHER_ACCOUNT, "eve", set_name="Other", accept=ACCEPT_ALL, group=SHARED, shared_group=True
        )
    fleet.leave(eve)
    failures = fleet.run(plan_options=reviewed(fleet))
    assert [each for each in failures if f"in account {ACCOUNT}, which has an earlier form" in each]
    assert fleet.members() == {SHARED: people("ann", "bob")}
    assert "eve@example.com" not in fleet.usernames()


@pytest.mark.parametrize(
    ("shared", "is_delegated"),
    [(False, False), (True, False), (True, True)],
    ids=["own-group", "shared-group", "delegated-administrator"],
)
def test_nobody_new_gets_a_form_that_is_an_earlier_one_since_the_plan(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, shared: bool, is_delegated: bool
) -> None:
    of_both(fleet, WIDE, shared=shared)
    (known,) = fleet.instance.permission_sets.values()
    target = {"InstanceArn": fleet.instance.arn, "PermissionSetArn": known.arn}

    def happens(operation: str, parameters: dict[str, Any]) -> None:
        if operation == "CreateUser":
            sso = fleet.org.client("sso-admin")
            if AUDIT in known.managed_policies:
                sso.detach_managed_policy_from_permission_set(**target, ManagedPolicyArn=AUDIT)

    on_calls(monkeypatch, happens)
    if is_delegated:
        delegated(fleet)
    found = [
        requested(account, *names, by=WIDE, shared=shared)
        for account, names in ((ACCOUNT, ["ann"]), (OTHER_ACCOUNT, ["bob", "eve"]))
    ]
    fleet.leave_only(*found)
    failures = fleet.run(plan_options=reviewed(fleet))
    assert [each for each in failures if "which has an earlier form" in each], failures
    assert "eve@example.com" not in {each for members in fleet.members().values() for each in members}


@pytest.mark.parametrize(
    ("assigned_at", "why"),
    [
        ("CreatePermissionSet", "already has their form of it: run again"),
        ("DetachManagedPolicyFromPermissionSet", ""),
    ],
    ids=["before-the-run-looks", "after"],
)
def test_nobody_gets_what_others_made_a_new_permission_set_meanwhile(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, assigned_at: str, why: str
) -> None:
    """With the tag of a managed one, and more policies, before the run creates it; the account has it like that.

    ``why``: the failure; empty if the run's own assignment has brought the account up to date.
    """
    sso, instance = fleet.org.client("sso-admin"), {"InstanceArn": fleet.instance.arn}
    made: list[str] = []
    pending = [assigned_at]

    def others(operation: str, parameters: dict[str, Any]) -> None:
        if operation == "CreatePermissionSet" and parameters["Name"] == "Readers" and not made:
            made.append("")
            made[0] = sso.create_permission_set(**parameters)["PermissionSet"]["PermissionSetArn"]
            sso.attach_managed_policy_to_permission_set(
                **instance, PermissionSetArn=made[0], ManagedPolicyArn=ADMINISTRATOR
            )
        if pending and operation == assigned_at and made and made[0]:
            group = fleet.make_group(pending.pop())
            assign(fleet, made[0], group, ACCOUNT, "GROUP")

    on_calls(monkeypatch, others)
    failures = ran(fleet, requested(ACCOUNT, "ann", by=readers()))
    assert [each for each in failures if why in each] or not why, failures
    assert bool(fleet.members().get(f"iam-{ACCOUNT}-Readers")) == (not failures) == (not why)
    assert why or policies(fleet, ACCOUNT) == ["ReadOnlyAccess"]
    assert fleet.run() == []
    assert policies(fleet, ACCOUNT) == ["ReadOnlyAccess"]
    assert fleet.members()[f"iam-{ACCOUNT}-Readers"] == people("ann")


def test_a_reviewed_plan_goes_on_after_its_run_was_killed(
    fleet: FleetRehearsal,
) -> None:
    """Between a permission set and the accounts, each of which the plan has."""
    of_both(fleet, readers())
    changed = [
        requested(account, name, by=ADMINS) for account, name in ((ACCOUNT, "ann"), (OTHER_ACCOUNT, "bob"))
    ]
    fleet.leave(*changed)
    plan = reviewed(fleet)
    fleet.killed(2, lambda: fleet.run(plan_options=plan))
    assert fleet.run(plan_options=plan) == []
    assert {*policies(fleet, ACCOUNT), *policies(fleet, OTHER_ACCOUNT)} == {"AdministratorAccess"}


@BOTH_ACCOUNTS
def test_an_undo_takes_a_set_back_in_other_accounts(
    fleet: FleetRehearsal, closed: Callable[[str], None], lacks: str
) -> None:
    has = other(lacks)
    of_both(fleet, readers())
    of_both(fleet, ADMINS)
    closed(lacks)
    result = fleet.results()[-1]
    for _ in range(2):
        (failure,) = fleet.undo(result)
        assert failure.startswith(f"permission set Readers of account {lacks}: ")
        assert policies(fleet, has) == ["ReadOnlyAccess"]
    closed("")
    assert policies(fleet, lacks) == ["AdministratorAccess"]
    assert fleet.undo(result) == []
    assert policies(fleet, lacks) == ["ReadOnlyAccess"]


@pytest.mark.parametrize("answers", ["refused", "failed"])
@pytest.mark.parametrize("name", ["Readers", "Other"], ids=["same-set", "other-set"])
def test_an_undo_restores_settings_although_an_assignment_does_not_end(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, name: str, answers: str
) -> None:
    """Who got access by that is out of its group, so the settings that allow more are nobody new's."""
    assert ran(fleet, requested(OTHER_ACCOUNT, "bob", by=WIDE)) == []
    new = intents(ACCOUNT, "ann", set_name=name, accept=ACCEPT_ALL)
    assert ran(fleet, requested(OTHER_ACCOUNT, "bob", by=readers()), new) == []

    def refuse(operation: str, parameters: dict[str, Any]) -> None:
        if operation == "DeleteAccountAssignment" and parameters["TargetId"] == ACCOUNT:
            raise client_error("AccessDeniedException")

    with monkeypatch.context() as patch:
        if answers == "refused":
            on_calls(patch, refuse)
        else:
            injected_faults.fail_next_deletion(
                "Obtaining permissions to manage your account takes longer than usual"
            )
        failures = fleet.undo(fleet.results()[-1])
    assert [each for each in failures if "DeleteAccountAssignment" in each]
    assert policies(fleet, OTHER_ACCOUNT) == ["ReadOnlyAccess", "SecurityAudit"]
    assert fleet.members()[f"iam-{ACCOUNT}-{name}"] == set()
    fleet.undo(fleet.results()[-1])
    assert {account for account, _, _ in fleet.assigned()} == {OTHER_ACCOUNT}


def test_an_undo_gives_nobody_settings_that_allow_more(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who did not have them, and can't be removed."""
    assert ran(fleet, requested(OTHER_ACCOUNT, "bob", by=WIDE)) == []
    both = [
        requested(account, name, by=readers()) for account, name in ((ACCOUNT, "ann"), (OTHER_ACCOUNT, "bob"))
    ]
    assert ran(fleet, *both) == []

    def refuse(operation: str, _: dict[str, Any]) -> None:
        if operation == "DeleteGroupMembership":
            raise client_error("AccessDeniedException")

    on_calls(monkeypatch, refuse)
    failures = fleet.undo(fleet.results()[-1])
    assert [each for each in failures if "they may allow more, and ann@example.com did not hold it" in each]
    assert policies(fleet, ACCOUNT) == ["ReadOnlyAccess"]
    assert policies(fleet, OTHER_ACCOUNT) == ["ReadOnlyAccess", "SecurityAudit"]


@pytest.mark.parametrize("by", ["own-group", "same-group"])
def test_an_undo_of_a_pruning_keeps_what_it_can_replace_in_one_account_only(
    fleet: FleetRehearsal, closed: Callable[[str], None], by: str
) -> None:
    """A shared group stays, and was assigned something else, or its members got groups of their own."""
    given = {ACCOUNT: ("ann", "cat"), OTHER_ACCOUNT: ("bob", "cat")}
    assert (
        ran(fleet, *(requested(each, *names, by=readers(), shared=True) for each, names in given.items()))
        == []
    )
    group = {"group": SHARED, "shared_group": True} if by == "same-group" else {}
    others = [
        intents(each, *names, set_name="Other", accept=ACCEPT_ALL, **group) for each, names in given.items()
    ]
    assert ran(fleet, *others, prune=True, lock_out=True) == []
    assert {name for _, name, _ in fleet.assigned()} == {"Other"}
    closed(ACCOUNT)
    (pruning,) = fleet.results()[-1:]
    for _ in range(2):
        assert fleet.undo(pruning) != []
        assert {(account, name) for account, name, _ in fleet.assigned()} == {
            (ACCOUNT, "Other"),
            (OTHER_ACCOUNT, "Readers"),
        }
        held = fleet.members()[SHARED if by == "same-group" else f"iam-{ACCOUNT}-Other"]
        assert held >= people(*given[ACCOUNT])
    closed("")
    assert fleet.undo(pruning) == []
    assert {name for _, name, _ in fleet.assigned()} == {"Readers"}


def test_access_stays_whose_replacement_could_not_be_assigned(fleet: FleetRehearsal) -> None:
    """By a group that the person joins all the same, for another account."""
    with_objects(fleet, OTHER_ACCOUNT)
    old = intents(ACCOUNT, "ann", set_name="Old", accept=ACCEPT_ALL)
    assert ran(fleet, old) == []
    both = requested(ACCOUNT, "ann", shared=True), requested(OTHER_ACCOUNT, "ann", shared=True)
    failures = ran(fleet, *both, prune=True)
    assert f"ann of account {ACCOUNT}" in of_users(failures)
    assert fleet.members() == {f"iam-{ACCOUNT}-Old": people("ann"), SHARED: people("ann")}


def test_a_file_of_profiles_has_no_role_that_could_not_be_assigned(fleet: FleetRehearsal) -> None:
    with_objects(fleet, OTHER_ACCOUNT)
    fleet.leave(*(requested(account, "cat", shared=True) for account in (ACCOUNT, OTHER_ACCOUNT)))
    found = replace(fleet.fleet, profile_names="{account_id}-{permission_set}")
    assert of_users(provision(found, fleet.center(), fleet.said.append, fleet.options())) == {
        f"cat of account {ACCOUNT}"
    }
    (profiles,) = (fleet.output / PROFILES).iterdir()
    text = profiles.read_text()
    assert f"sso_account_id = {OTHER_ACCOUNT}" in text
    assert f"sso_account_id = {ACCOUNT}" not in text


def test_groups_of_an_identity_provider(fleet: FleetRehearsal) -> None:
    """Nobody joins these by a run."""
    with_objects(fleet, OTHER_ACCOUNT)
    found = []
    for account, name in ((ACCOUNT, "ann"), (OTHER_ACCOUNT, "bob")):
        group = f"iam-{account}-Readers"
        fleet.make_group(group)
        join(fleet, group, create_user(fleet, f"{name}@example.com"))
        found.append(replace(requested(account, name), external=True))
    assert of_users(ran(fleet, *found)) == {f"ann of account {ACCOUNT}"}
    assert {account for account, _, _ in fleet.assigned()} == {OTHER_ACCOUNT}
