# SPDX-License-Identifier: Apache-2.0
"""Former settings come back in each account on its own: one that can't have them holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center.object_records import SETTINGS
from c7n_iamusers.identity_center.undo.former_settings import FormerSettings
from tests.access_center import ACCOUNT, AUDIT, INSTANCE, OTHER_ACCOUNT, known_set
from tests.desired import intents, readers
from tests.fakes import client_error
from tests.identity_center.applying.test_failing_account import (
    ADMINS,
    SHARED,
    WIDE,
    of_both,
    ran,
    requested,
)
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import assign, create_user, join
from tests.identity_center.planning.test_review import reviewed
from tests.identity_center.undo.test_undoing import incomplete, undone
from tests.interference import on_calls

BOTH = {ACCOUNT: "ann", OTHER_ACCOUNT: "bob"}
EARLIER = f"account {ACCOUNT} had an earlier form of it before the run"


def forms(fleet: FleetRehearsal) -> dict[str, list[str]]:
    """Account -> the policies that it has of the permission set."""
    return {
        account: sorted(each.rpartition("/")[2] for each in found.definition.managed_policies)
        for (account, _), found in fleet.instance.provisioned.items()
    }


def run_of(fleet: FleetRehearsal, by: PermissionSet, *accounts: str, shared: bool = False) -> list[str]:
    """A reviewed run for the people of ``accounts``; by default of both."""
    fleet.leave_only(*(requested(each, BOTH[each], by=by, shared=shared) for each in accounts or BOTH))
    return fleet.run(plan_options=reviewed(fleet))


def after_failure(
    fleet: FleetRehearsal, close: Callable[[str], None], shared: bool = False, stays: bool = False
) -> None:
    """Both have a narrower form, but for ACCOUNT, which is closed meanwhile, or ``stays`` closed; then both, or the
    other, have administrator access.
    """
    of_both(fleet, WIDE, shared)
    close(ACCOUNT)
    assert run_of(fleet, readers(), shared=shared) != []
    if not stays:
        close("")
    failures = run_of(fleet, ADMINS, *([OTHER_ACCOUNT] if stays else BOTH), shared=shared)
    assert bool(failures) == stays


def unassigned(fleet: FleetRehearsal) -> None:
    """ACCOUNT's assignments are removed by others."""
    group = SHARED if SHARED in fleet.members() else f"iam-{ACCOUNT}-Readers"
    fleet.unassign(ACCOUNT, fleet.set_arn(), fleet.group_id(group))


def earlier_policies(fleet: FleetRehearsal) -> None:
    assert run_of(fleet, readers(), shared=SHARED in fleet.members()) == []


@pytest.mark.parametrize("shared", [False, True], ids=["own-groups", "shared-group"])
@pytest.mark.parametrize(
    ("settled", "stays", "then"),
    [
        pytest.param(earlier_policies, False, "ReadOnlyAccess", id="earlier-policies"),
        pytest.param(unassigned, True, None, id="closed-and-unassigned"),
    ],
)
def test_an_account_with_an_earlier_form_holds_up_no_other(
    fleet: FleetRehearsal,
    closed: Callable[[str], None],
    settled: Callable[[FleetRehearsal], None],
    stays: bool,
    then: str | None,
    shared: bool,
) -> None:
    after_failure(fleet, closed, shared, stays)
    result, kept = fleet.results()[-1], forms(fleet)[ACCOUNT]
    for _ in range(2):
        assert incomplete(fleet.undo(result)) == 1
        (line,) = fleet.lines("!")
        assert f"{SETTINGS} Readers in account {ACCOUNT}: can't be restored: {EARLIER}" in line
        assert "by a run with the earlier policies" in line
        assert " aws " not in line
        assert forms(fleet) == {ACCOUNT: kept, OTHER_ACCOUNT: ["ReadOnlyAccess"]}
        assert undone(result)["complete"] is False
    settled(fleet)
    assert fleet.undo(result) == []
    assert forms(fleet) == {OTHER_ACCOUNT: ["ReadOnlyAccess"], **({ACCOUNT: [then]} if then else {})}


def test_the_undo_of_the_run_before_brings_its_account_back(
    fleet: FleetRehearsal, closed: Callable[[str], None]
) -> None:
    after_failure(fleet, closed)
    assert incomplete(fleet.undo(fleet.results()[-1])) == 1
    assert fleet.undo(fleet.results()[-2]) == []
    assert forms(fleet) == {each: ["ReadOnlyAccess", "SecurityAudit"] for each in BOTH}


@pytest.mark.parametrize("number", range(1, 4))
def test_a_killed_undo_leaves_the_account_what_it_has(
    fleet: FleetRehearsal, closed: Callable[[str], None], number: int
) -> None:
    after_failure(fleet, closed)
    result = fleet.results()[-1]
    fleet.killed(number, lambda: fleet.undo(result))
    assert incomplete(fleet.undo(result)) == 1
    assert forms(fleet) == {ACCOUNT: ["AdministratorAccess"], OTHER_ACCOUNT: ["ReadOnlyAccess"]}


def test_an_undo_says_what_to_do_about_a_closed_account(
    fleet: FleetRehearsal, closed: Callable[[str], None]
) -> None:
    of_both(fleet, WIDE)
    of_both(fleet, readers())
    closed(ACCOUNT)
    (failure,) = fleet.undo(fleet.results()[-1])
    assert f"if account {ACCOUNT} is closed, remove the permission set's assignments there" in failure
    assert forms(fleet)[OTHER_ACCOUNT] == ["ReadOnlyAccess", "SecurityAudit"]
    fleet.leave_only(*(requested(each, BOTH[each], by=WIDE) for each in BOTH))
    (found,) = (each for each in fleet.audit() if f"account {ACCOUNT} has an earlier form" in each)
    assert "which undo left it" in found
    assert "provision it" not in found


def test_a_run_that_only_provisioned_has_nothing_left_once_the_settings_are_others(
    fleet: FleetRehearsal, closed: Callable[[str], None]
) -> None:
    of_both(fleet, WIDE)
    closed(ACCOUNT)
    assert run_of(fleet, readers()) != []
    closed("")
    assert run_of(fleet, readers()) == []
    narrowing, repeated = fleet.results()[-2:]
    assert incomplete(fleet.undo(repeated)) == 1
    assert EARLIER in fleet.lines("!")[0]
    assert fleet.undo(narrowing) == []
    assert forms(fleet) == {each: ["ReadOnlyAccess", "SecurityAudit"] for each in BOTH}
    assert fleet.undo(repeated) == []
    assert undone(repeated)["complete"] is True


def refuses_deletion(operation: str, parameters: dict[str, Any]) -> None:
    if operation == "DeleteAccountAssignment" and parameters["TargetId"] == ACCOUNT:
        raise client_error("AccessDeniedException")


def test_who_keeps_new_access_in_one_account_holds_up_no_other(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member of an earlier shared group, whose new assignment AWS does not end."""
    assert ran(fleet, requested(OTHER_ACCOUNT, "bob", by=WIDE, shared=True)) == []
    found = [requested(account, "bob", by=readers(), shared=True) for account in BOTH]
    assert ran(fleet, *found) == []
    with monkeypatch.context() as patch:
        on_calls(patch, refuses_deletion)
        for _ in range(2):
            failures = fleet.undo(fleet.results()[-1])
            assert [
                each
                for each in failures
                if f"they may allow more, and bob@example.com did not hold it in account {ACCOUNT}" in each
            ]
            assert forms(fleet) == {
                ACCOUNT: ["ReadOnlyAccess"],
                OTHER_ACCOUNT: ["ReadOnlyAccess", "SecurityAudit"],
            }
            assert undone(fleet.results()[-1])["complete"] is False
    assert fleet.undo(fleet.results()[-1]) == []
    assert forms(fleet) == {OTHER_ACCOUNT: ["ReadOnlyAccess", "SecurityAudit"]}


@pytest.mark.parametrize("calls", [1, 2], ids=["healthy", "one-of-two-refused"])
def test_accounts_are_provisioned_at_once_where_all_may_be(fleet: FleetRehearsal, calls: int) -> None:
    of_both(fleet, WIDE)
    of_both(fleet, readers())
    if calls == 2:
        join(fleet, f"iam-{ACCOUNT}-Readers", create_user(fleet, "carol@example.com"))
    failures = fleet.undo(fleet.results()[-1])
    assert len(failures) == calls - 1
    made = [
        each.parameters.get("TargetId") for each in fleet.mutations() if each.operation.startswith("Prov")
    ]
    assert made == ([None] if calls == 1 else [OTHER_ACCOUNT])


def test_the_members_of_a_shared_group_are_read_once_before_a_call(fleet: FleetRehearsal) -> None:
    of_both(fleet, WIDE, shared=True)
    of_both(fleet, readers(), shared=True)
    assert fleet.undo(fleet.results()[-1]) == []
    made = [each.operation for each in fleet.org.calls]
    check = made[: made.index("ProvisionPermissionSet")]
    since = len(check) - check[::-1].index("DescribePermissionSet")
    assert check[since:].count("ListAccountAssignments") == len(BOTH)
    assert check[since:].count("ListGroupMemberships") == 1


def test_an_account_that_is_assigned_after_the_plan_is_the_next_undos(fleet: FleetRehearsal) -> None:
    assert ran(fleet, requested(OTHER_ACCOUNT, "bob", by=WIDE)) == []
    assert ran(fleet, requested(OTHER_ACCOUNT, "bob", by=readers())) == []

    def say(line: str) -> None:
        if line.startswith("Plan:"):
            (arn,) = (arn for arn, each in fleet.instance.permission_sets.items() if each.name == "Readers")
            assign(fleet, arn, create_user(fleet, "carol@example.com"), ACCOUNT, "USER")

    (failure,) = fleet.undo(fleet.results()[-1], say=say)
    assert f"carol@example.com did not hold it in account {ACCOUNT}" in failure
    assert set(map(tuple, forms(fleet).values())) == {("ReadOnlyAccess",)}
    (failure,) = fleet.undo(fleet.results()[-1])
    assert f"carol@example.com did not hold it in account {ACCOUNT}" in failure
    assert forms(fleet) == {ACCOUNT: ["ReadOnlyAccess"], OTHER_ACCOUNT: ["ReadOnlyAccess", "SecurityAudit"]}


def test_whose_user_is_deleted_keeps_the_settings_in_that_account(fleet: FleetRehearsal) -> None:
    of_both(fleet, readers())
    of_both(fleet, WIDE)
    (bob,) = intents(OTHER_ACCOUNT, "bob").users

    def read_users(accounts: Iterable[str]) -> dict[str, dict[str, str] | str]:
        (ann,) = intents(ACCOUNT, "ann").users
        return {each: {ann.subject.unique_id: ""} if each == ACCOUNT else {} for each in accounts}

    result = fleet.results()[-1]
    for _ in range(2):
        assert incomplete(fleet.undo(result, read_users=read_users)) == 1
        (line,) = fleet.lines("!")
        assert f"Readers in account {OTHER_ACCOUNT}: can't be restored: IAM user {bob.subject.arn}" in line
        assert forms(fleet) == {
            ACCOUNT: ["ReadOnlyAccess"],
            OTHER_ACCOUNT: ["ReadOnlyAccess", "SecurityAudit"],
        }
    assert fleet.undo(result, read_users=None) == []
    assert forms(fleet) == {each: ["ReadOnlyAccess"] for each in BOTH}


def provisioned_there(fleet: FleetRehearsal) -> None:
    """By an administrator, in ACCOUNT."""
    fleet.call_for_set("provision_permission_set", TargetType="AWS_ACCOUNT", TargetId=ACCOUNT)


def test_who_holds_it_since_the_run_is_named_where_an_account_had_an_earlier_form(
    fleet: FleetRehearsal, closed: Callable[[str], None]
) -> None:
    """Before and after somebody provisions it there, until the access ends."""
    of_both(fleet, ADMINS)
    closed(ACCOUNT)
    assert run_of(fleet, WIDE) != []
    closed("")
    assert run_of(fleet, BETWEEN) == []
    result = fleet.results()[-1]
    join(fleet, f"iam-{ACCOUNT}-Readers", create_user(fleet, "eve@example.com"))
    since = "eve@example.com did not hold it there before the run"
    for settled in (False, False, True):
        if settled:
            provisioned_there(fleet)
        assert incomplete(fleet.undo(result)) == 1
        (line,) = fleet.lines("!")
        assert since in line
        assert " aws " not in line
        assert forms(fleet)[ACCOUNT] == (
            ["ReadOnlyAccess", "SecurityAudit"] if settled else ["SecurityAudit"]
        )
        assert undone(result)["complete"] is False
    unassigned(fleet)
    assert fleet.undo(result) == []
    assert undone(result)["complete"] is True


def test_who_was_refused_them_is_named_once_others_provision_the_account(fleet: FleetRehearsal) -> None:
    of_both(fleet, WIDE)
    assert run_of(fleet, readers()) == []
    result, eve = fleet.results()[-1], create_user(fleet, "eve@example.com")
    join(fleet, f"iam-{ACCOUNT}-Readers", eve)
    (failure,) = fleet.undo(result)
    assert "eve@example.com did not hold it in account" in failure
    assert "don't provision or assign it there" in failure
    assert forms(fleet)[ACCOUNT] == ["ReadOnlyAccess"]
    provisioned_there(fleet)
    for _ in range(2):
        assert incomplete(fleet.undo(result)) == 1
        (line,) = fleet.lines("!")
        assert f"in account {ACCOUNT}: it was provisioned there, and eve@example.com did not hold it" in line
        assert undone(result)["complete"] is False
    fleet.delete_user("eve@example.com")
    assert fleet.undo(result) == []
    assert undone(result)["complete"] is True


@pytest.mark.parametrize("shared", [False, True], ids=["own-groups", "shared-group"])
def test_where_the_permission_set_stays_no_account_is_told_to_provision_it(
    fleet: FleetRehearsal, closed: Callable[[str], None], shared: bool
) -> None:
    """The only account that could have the settings of before needs those of the run."""
    of_both(fleet, readers(), shared)
    closed(ACCOUNT)
    assert run_of(fleet, BETWEEN, shared=shared) != []
    closed("")
    assert run_of(fleet, ADMINS, OTHER_ACCOUNT, shared=shared) == [] or shared
    (ann,) = intents(ACCOUNT, "ann").users

    def read_users(accounts: Iterable[str]) -> dict[str, dict[str, str] | str]:
        return {each: {ann.subject.unique_id: ""} if each == ACCOUNT else {} for each in accounts}

    before = forms(fleet)
    fleet.undo(fleet.results()[-1], read_users=read_users)
    (line,) = (each for each in fleet.lines("!") if EARLIER in each)
    assert "the permission set stays as it is, too: don't provision or assign it there" in line
    assert " aws " not in line
    assert forms(fleet) == before


def test_what_a_later_run_has_changed_is_not_told_to_be_provisioned() -> None:
    """The run only provisioned it, and the account has an earlier form of what it has by now."""
    known = replace(known_set(ADMINS, accounts=frozenset({ACCOUNT})), stale=frozenset({ACCOUNT}))
    found = FormerSettings(known.arn, readers(), readers()).by_accounts(known, [ACCOUNT], {}, INSTANCE)
    (kept,) = found.kept
    assert "don't provision or assign it there; undo the later runs first" in kept.text
    assert "aws " not in kept.text


def test_what_the_run_only_provisioned_is_undone_with_the_run_before() -> None:
    known = known_set(readers(), accounts=frozenset({ACCOUNT}))
    found = FormerSettings(known.arn, readers(), readers()).by_accounts(known, [ACCOUNT], {}, INSTANCE)
    (kept,) = found.kept
    assert "undo the run that gave it these, too" in kept.text


def test_what_is_as_before_needs_no_request_of_the_run() -> None:
    known = known_set(readers(), accounts=frozenset({ACCOUNT}))
    found = FormerSettings(known.arn, readers(), None).by_accounts(known, [], {}, INSTANCE)
    assert (found.reason, found.calls, found.kept) == ("", (), ())


BETWEEN = replace(readers(), managed_policies=frozenset({AUDIT}))
THIRD = "777788889999"


@pytest.mark.parametrize(
    ("run", "now", "earlier", "stale", "needed", "restored", "kept"),
    [
        pytest.param(WIDE, WIDE, "", "", "", "ABC", "", id="healthy"),
        pytest.param(WIDE, WIDE, "A", "", "", "BC", "A", id="earlier-form-before-the-run"),
        pytest.param(WIDE, WIDE, "A", "A", "", "BC", "A", id="and-now"),
        pytest.param(WIDE, readers(), "A", "A", "", "", "A", id="restored-in-the-others"),
        pytest.param(WIDE, readers(), "A", "AB", "", "B", "A", id="but-for-one"),
        pytest.param(WIDE, readers(), "A", "", "", "", "", id="settled"),
        pytest.param(WIDE, WIDE, "", "", "B", "AC", "B", id="needed"),
        pytest.param(WIDE, WIDE, "A", "", "B", "C", "AB", id="both"),
        pytest.param(WIDE, WIDE, "AB", "", "AC", "", "ABC", id="earlier-counts-first"),
        pytest.param(readers(), readers(), "A", "", "", "", "A", id="only-provisioned"),
        pytest.param(readers(), readers(), "A", "A", "", "", "", id="failed-again"),
        pytest.param(readers(), BETWEEN, "A", "", "", "", "", id="changed-since"),
        pytest.param(readers(), BETWEEN, "A", "A", "", "", "A", id="changed-since-but-there"),
    ],
)
def test_the_accounts_in_which_they_are_restored(
    run: PermissionSet, now: PermissionSet, earlier: str, stale: str, needed: str, restored: str, kept: str
) -> None:
    """``earlier``, ``stale``: those with an earlier form before the run, and now. The settings before are less."""
    ids = {"A": ACCOUNT, "B": OTHER_ACCOUNT, "C": THIRD}
    known = known_set(now, accounts=frozenset(ids.values()))
    known = replace(known, stale=frozenset(ids[each] for each in stale))
    former = FormerSettings(known.arn, readers(), run)
    relied_on = {(known.arn, ids[each]): "needed" for each in needed}
    found = former.by_accounts(known, [ids[each] for each in earlier], relied_on, INSTANCE)
    assert found.former.accounts == {ids[each] for each in restored}
    assert {name for name, number in ids.items() if number in str([each.name for each in found.kept])} == {
        *kept
    }
    assert bool(found.calls) == (now == WIDE and bool(restored or not needed))
    assert found.former.narrowing <= found.former.accounts


def test_where_all_need_the_settings_these_stay_the_definition() -> None:
    known = known_set(WIDE, accounts=frozenset({ACCOUNT}))
    former = FormerSettings(known.arn, readers(), WIDE)
    found = former.by_accounts(known, [], {(known.arn, ACCOUNT): "needed"}, INSTANCE)
    assert (found.calls, found.former.accounts, len(found.kept)) == ((), frozenset(), 1)


@pytest.mark.parametrize("shared", [False, True], ids=["own-groups", "shared-group"])
@pytest.mark.parametrize("since", [False, True], ids=["before-the-run", "since-the-run"])
def test_an_assignment_outlives_its_group_and_holds_up_nobody(
    fleet: FleetRehearsal, shared: bool, since: bool
) -> None:
    """AWS keeps the assignments of a group that was deleted. Nobody is in it."""
    of_both(fleet, readers(), shared)
    identities, store = fleet.org.client("identitystore"), {"IdentityStoreId": fleet.instance.store.id}
    group = fleet.make_group("others")
    (arn,) = fleet.instance.permission_sets
    assign(fleet, arn, group, ACCOUNT, "GROUP")
    if not since:
        identities.delete_group(**store, GroupId=group)
    assert run_of(fleet, WIDE, shared=shared) == []
    if since:
        identities.delete_group(**store, GroupId=group)
    assert [each for each in fleet.instance.assignments if each.principal_id == group] != []
    assert fleet.undo(fleet.results()[-1]) == []
    assert forms(fleet) == {account: ["ReadOnlyAccess"] for account in BOTH}


@pytest.mark.parametrize("few", [50, 3], ids=["one-by-one", "many"])
def test_who_exists_is_asked_once(fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """Not before each call, and not by a list of the whole store for a few people."""
    monkeypatch.setattr("c7n_iamusers.identity_center.aws.reader._FEW", few)
    of_both(fleet, WIDE)
    assert run_of(fleet, readers()) == []
    joined = [create_user(fleet, f"joined{number}@example.com") for number in range(4)]
    for user in joined:
        join(fleet, f"iam-{ACCOUNT}-Readers", user)
    fleet.undo(fleet.results()[-1])
    calls = [each for each in fleet.org.calls if each.operation in ("DescribeUser", "ListUsers")]
    asked = [each.parameters.get("UserId", "") for each in calls]
    # For the plan, and for what says why.
    assert sorted(asked) == sorted(2 * (joined if few > 4 else [""]))
    assert forms(fleet) == {ACCOUNT: ["ReadOnlyAccess"], OTHER_ACCOUNT: ["ReadOnlyAccess", "SecurityAudit"]}
