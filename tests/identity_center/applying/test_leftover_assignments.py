# SPDX-License-Identifier: Apache-2.0
"""AWS keeps the assignments of a group or user that was deleted: nobody holds anything by them, and they are named."""

from __future__ import annotations

import re

import pytest

from tests.access_center import ACCOUNT
from tests.desired import ACCEPT_ALL, intents, readers
from tests.identity_center.applying.test_failing_account import ADMINS, WIDE, of_both
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import assign, create_user, set_by_hand
from tests.identity_center.undo.test_former_settings_by_account import BOTH, forms, run_of

KINDS = pytest.mark.parametrize("kind", ["USER", "GROUP"])


def leftover(fleet: FleetRehearsal, kind: str, arn: str = "") -> str:
    """The id of a principal of others that was assigned the permission set in ACCOUNT, and deleted."""
    store, given = fleet.org.client("identitystore"), {"IdentityStoreId": fleet.instance.store.id}
    principal = (
        create_user(fleet, "zoe@example.com")
        if kind == "USER"
        else str(store.create_group(**given, DisplayName="Theirs")["GroupId"])
    )
    assign(fleet, arn or next(iter(fleet.instance.permission_sets)), principal, ACCOUNT, kind)
    if kind == "USER":
        store.delete_user(**given, UserId=principal)
    else:
        store.delete_group(**given, GroupId=principal)
    return principal


def remove_as_told(fleet: FleetRehearsal, line: str) -> None:
    """What the AWS CLI command in the line does."""
    command = line.partition("aws sso-admin delete-account-assignment ")[2]
    found = dict(re.findall(r"--([a-z-]+) (\S+)", command))
    assert found.pop("region") == fleet.instance.region
    named = {"".join(part.capitalize() for part in name.split("-")): each for name, each in found.items()}
    fleet.org.client("sso-admin").delete_account_assignment(**named)


@KINDS
def test_it_needs_no_review(fleet: FleetRehearsal, kind: str) -> None:
    of_both(fleet, readers())
    leftover(fleet, kind)
    of_both(fleet, ADMINS)
    assert forms(fleet) == {key: ["AdministratorAccess"] for key in BOTH}


@KINDS
def test_it_keeps_no_settings(fleet: FleetRehearsal, kind: str) -> None:
    of_both(fleet, WIDE)
    assert run_of(fleet, readers()) == []
    leftover(fleet, kind)
    assert fleet.undo(fleet.results()[-1]) == []
    assert forms(fleet) == {key: ["ReadOnlyAccess", "SecurityAudit"] for key in BOTH}


@KINDS
def test_the_audit_names_it_with_the_command_that_removes_it(fleet: FleetRehearsal, kind: str) -> None:
    of_both(fleet, readers())
    principal = leftover(fleet, kind)
    (line,) = fleet.audit()
    assert f"permission set Readers is assigned in account {ACCOUNT} to {kind.lower()} {principal}" in line
    assert fleet.run() == []
    assert fleet.run(prune=True) == [], "it serves people"
    remove_as_told(fleet, line)
    assert fleet.audit() == []


@KINDS
def test_a_pruning_says_what_keeps_a_permission_set(fleet: FleetRehearsal, kind: str) -> None:
    of_both(fleet, readers())
    leftover(fleet, kind)
    fleet.forget()
    fleet.leave(
        *(intents(account, name, set_name="Others", accept=ACCEPT_ALL) for account, name in BOTH.items())
    )
    for _ in range(2):
        (line,) = fleet.run(prune=True, lock_out=True)
        assert f"iam-{ACCOUNT}-Readers" not in fleet.members()
        assert "it keeps the permission set from being removed" in line
        assert fleet.lines("!") == [f"! leftover {line}"]
    remove_as_told(fleet, line)
    assert fleet.run(prune=True, lock_out=True) == []
    assert {each.name for each in fleet.instance.permission_sets.values()} == {"Others"}


@KINDS
def test_those_of_others_permission_sets_are_theirs(fleet: FleetRehearsal, kind: str) -> None:
    of_both(fleet, readers())
    leftover(fleet, kind, set_by_hand(fleet, "Theirs", "arn:aws:iam::aws:policy/SecurityAudit"))
    assert fleet.audit() == []
    assert fleet.run(prune=True) == []
