# SPDX-License-Identifier: Apache-2.0
"""AWS keeps the assignments of a group or user that was deleted: nobody holds anything by them, and they are named."""

from __future__ import annotations

import re
from functools import partial

import pytest

from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import ACCEPT_ALL, intents, readers
from tests.identity_center.applying.test_failing_account import ADMINS, WIDE, of_both
from tests.identity_center.fleet_rehearsal import FleetRehearsal, counted
from tests.identity_center.planning.test_access_review import assign, create_user, set_by_hand
from tests.identity_center.undo.test_former_settings_by_account import BOTH, forms, run_of

KINDS = pytest.mark.parametrize("kind", ["USER", "GROUP"])


def leftover(fleet: FleetRehearsal, kind: str, arn: str = "", account: str = ACCOUNT) -> str:
    """The id of a principal of others that was assigned the permission set in the account, and deleted."""
    store, given = fleet.org.client("identitystore"), {"IdentityStoreId": fleet.instance.store.id}
    principal = (
        create_user(fleet, "zoe@example.com")
        if kind == "USER"
        else str(store.create_group(**given, DisplayName="Theirs")["GroupId"])
    )
    assign(fleet, arn or next(iter(fleet.instance.permission_sets)), principal, account, kind)
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


def request_others(fleet: FleetRehearsal) -> None:
    """From now on the people are to have another permission set."""
    fleet.leave_only(
        *(intents(account, name, set_name="Others", accept=ACCEPT_ALL) for account, name in BOTH.items())
    )


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
    request_others(fleet)
    for _ in range(2):
        (line,) = fleet.run(prune=True, lock_out=True)
        assert f"iam-{ACCOUNT}-Readers" not in fleet.members()
        assert "it keeps the permission set from being removed" in line
        assert fleet.lines("!") == [f"! leftover {line}"]
    remove_as_told(fleet, line)
    assert fleet.run(prune=True, lock_out=True) == []
    assert {each.name for each in fleet.instance.permission_sets.values()} == {"Others"}


@KINDS
def test_a_pruning_says_what_keeps_a_permission_set_in_an_account_without_intents(
    fleet: FleetRehearsal, kind: str
) -> None:
    fleet.provisioned(intents(ACCOUNT, "ann", accept=ACCEPT_ALL))
    leftover(fleet, kind, account=OTHER_ACCOUNT)
    assert fleet.run(prune=True) == []
    fleet.leave_only(intents(ACCOUNT, "ann", set_name="Others", accept=ACCEPT_ALL))
    for _ in range(3):
        (line,) = fleet.run(prune=True, lock_out=True)
        assert f"permission set Readers is assigned in account {OTHER_ACCOUNT} to {kind.lower()} " in line
        assert "it keeps the permission set from being removed" in line
    remove_as_told(fleet, line)
    assert fleet.run(prune=True, lock_out=True) == []
    assert {each.name for each in fleet.instance.permission_sets.values()} == {"Others"}


@KINDS
def test_where_others_use_the_permission_set_a_leftover_keeps_nothing(
    fleet: FleetRehearsal, kind: str
) -> None:
    of_both(fleet, readers())
    arn = next(iter(fleet.instance.permission_sets))
    leftover(fleet, kind)
    assign(fleet, arn, create_user(fleet, "eve@example.com"), ACCOUNT, "USER")
    request_others(fleet)
    for _ in range(2):
        assert fleet.run(prune=True, lock_out=True) == []
    (line,) = [each for each in fleet.audit() if "no longer exists" in each]
    assert "keeps the permission set" not in line


@KINDS
def test_a_pruning_of_chosen_accounts_removes_no_permission_set(fleet: FleetRehearsal, kind: str) -> None:
    """Those that were not chosen may request it."""
    fleet.provisioned(
        intents(ACCOUNT, "ann", accept=ACCEPT_ALL),
        intents(OTHER_ACCOUNT, "bob", set_name="Others", accept=ACCEPT_ALL),
    )
    arn = fleet.set_arn("Others")
    leftover(fleet, kind, arn)
    fleet.only = frozenset({ACCOUNT})
    assert fleet.run(prune=True) == []


@KINDS
def test_one_that_is_being_deleted_is_waited_for(fleet: FleetRehearsal, kind: str) -> None:
    of_both(fleet, readers())
    leftover(fleet, kind)
    (line,) = fleet.audit()
    assert "keeps the permission set" not in line, "it serves people"
    request_others(fleet)
    assert len(fleet.run(prune=True, lock_out=True)) == 1
    fleet.org.configure(assignment_seconds=60)
    remove_as_told(fleet, line)
    (told,) = fleet.run(prune=True, lock_out=True)
    assert told.endswith("removed. It is being deleted: run again when that has ended")
    assert fleet.audit() == []


@KINDS
def test_those_of_others_permission_sets_are_theirs(fleet: FleetRehearsal, kind: str) -> None:
    of_both(fleet, readers())
    leftover(fleet, kind, set_by_hand(fleet, "Theirs", "arn:aws:iam::aws:policy/SecurityAudit"))
    assert fleet.audit() == []
    assert fleet.run(prune=True) == []


def test_those_of_others_permission_sets_take_no_call_for_their_content(fleet: FleetRehearsal) -> None:
    def described() -> list[dict[str, int]]:
        found = list[dict[str, int]]()
        for run in (fleet.run, partial(fleet.run, prune=True), fleet.audit):
            assert run() == []
            found.append({"DescribePermissionSet": counted(fleet.org.calls)["DescribePermissionSet"]})
        return found

    of_both(fleet, readers())
    before = described()
    for number in range(3):
        arn = set_by_hand(fleet, f"Theirs{number}", "arn:aws:iam::aws:policy/SecurityAudit")
        leftover(fleet, "GROUP", arn)
    # Its name is read.
    assert described() == [{name: count + 3 for name, count in each.items()} for each in before]
