# SPDX-License-Identifier: Apache-2.0
"""An undo, and what other administrators did with the run's objects before it, or while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from aws_local_org.identity_center import injected_faults
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.identity_center.undo.undoing import UndoOptions, undo
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import assign, create_user, join, set_by_hand, user_id
from tests.identity_center.undo.test_undoing import GROUP, incomplete, undone

BOB, CAROL = "bob@example.com", "carol@example.com"
THIRD = "777788889999"
Happening = Callable[[FleetRehearsal], object]


@pytest.fixture
def result(fleet: FleetRehearsal) -> Path:
    """The result of a run that created a permission set, a group, its assignment, a user and a membership."""
    fleet.provisioned(intents(ACCOUNT, "bob"))
    (found,) = fleet.results()
    return found


def assigned_elsewhere(fleet: FleetRehearsal) -> None:
    admin = set_by_hand(fleet, "Theirs", "arn:aws:iam::aws:policy/ReadOnlyAccess")
    assign(fleet, admin, fleet.group_id(GROUP), OTHER_ACCOUNT, "GROUP")


def same_set_elsewhere(fleet: FleetRehearsal) -> None:
    assign(fleet, fleet.set_arn(), fleet.group_id(GROUP), OTHER_ACCOUNT, "GROUP")


def person_elsewhere(fleet: FleetRehearsal) -> None:
    admin = set_by_hand(fleet, "Theirs", "arn:aws:iam::aws:policy/ReadOnlyAccess")
    assign(fleet, admin, user_id(fleet, BOB), OTHER_ACCOUNT)


def carol_joins(fleet: FleetRehearsal) -> None:
    join(fleet, GROUP, create_user(fleet, CAROL))


def bob_joins_another(fleet: FleetRehearsal) -> None:
    fleet.make_group("Theirs")
    join(fleet, "Theirs", user_id(fleet, BOB))


def bob_is_renamed(fleet: FleetRehearsal) -> None:
    fleet.org.client("identitystore").update_user(
        IdentityStoreId=fleet.instance.store.id,
        UserId=user_id(fleet, BOB),
        Operations=[{"AttributePath": "title", "AttributeValue": "Director"}],
    )
    fleet.org.client("identitystore").update_user(
        IdentityStoreId=fleet.instance.store.id,
        UserId=user_id(fleet, BOB),
        Operations=[{"AttributePath": "displayName", "AttributeValue": "Robert"}],
    )


def group_is_described(fleet: FleetRehearsal) -> None:
    fleet.org.client("identitystore").update_group(
        IdentityStoreId=fleet.instance.store.id,
        GroupId=fleet.group_id(GROUP),
        Operations=[{"AttributePath": "description", "AttributeValue": "Ours now"}],
    )


def set_is_widened(fleet: FleetRehearsal) -> None:
    fleet.attach("arn:aws:iam::aws:policy/SecurityAudit")


def set_is_tagged(fleet: FleetRehearsal) -> None:
    fleet.org.client("sso-admin").tag_resource(
        InstanceArn=fleet.instance.arn,
        ResourceArn=fleet.set_arn(),
        Tags=[{"Key": "Owner", "Value": "platform-team"}],
    )


def set_is_assigned(fleet: FleetRehearsal) -> None:
    assign(fleet, fleet.set_arn(), create_user(fleet, CAROL), OTHER_ACCOUNT)


def test_who_was_given_a_second_account_through_the_group_keeps_it(
    fleet: FleetRehearsal, result: Path
) -> None:
    assigned_elsewhere(fleet)
    assert incomplete(fleet.undo(result)) == 3
    assert fleet.members() == {GROUP: {BOB}}
    assert fleet.usernames() == {BOB}
    assert fleet.assigned() == {(OTHER_ACCOUNT, "Theirs", GROUP)}
    kept = "it has been assigned since (Theirs in account 444455556666)"
    assert fleet.lines("!") == [
        f"! kept membership {BOB} in {GROUP}: its group stays, and gives what others gave it: {kept}",
        f"! kept group {GROUP}: {kept}",
        f"! kept user {BOB}: it is in groups that stay ({GROUP})",
    ]
    assert undone(result)["complete"] is False
    assert len(undone(result)["kept"]) == 3


@pytest.mark.parametrize(
    ("happens", "stays", "count"),
    [
        pytest.param(same_set_elsewhere, {"set", "group", "user", "membership"}, 4, id="the-set-too"),
        pytest.param(person_elsewhere, {"user"}, 1, id="a-direct-assignment"),
        pytest.param(bob_joins_another, {"user"}, 1, id="another-group"),
        pytest.param(
            carol_joins, {"set", "group", "user", "membership", "assignment"}, 5, id="another-member"
        ),
        pytest.param(set_is_assigned, {"set"}, 1, id="the-set-assigned"),
        pytest.param(set_is_widened, {"set"}, 1, id="the-set-changed"),
        pytest.param(set_is_tagged, {"set"}, 1, id="the-set-tagged"),
        pytest.param(group_is_described, {"group", "user", "membership"}, 3, id="the-group-described"),
        pytest.param(bob_is_renamed, {"user"}, 1, id="the-user-renamed"),
    ],
)
@pytest.mark.parametrize("meanwhile", [False, True], ids=["before-the-plan", "after-the-plan"])
def test_what_others_use_stays(
    fleet: FleetRehearsal, result: Path, happens: Happening, stays: set[str], count: int, meanwhile: bool
) -> None:
    said = list[str]()

    def say(line: str) -> None:
        if meanwhile and line.startswith("Plan:"):
            happens(fleet)
        said.append(line)

    if not meanwhile:
        happens(fleet)
    name = f"identity-center-runs/{result.parent.name}/result.json"
    failures = undo(fleet.store, name, fleet.center, say, ApplyOptions(30.0), UndoOptions(read_users=None))
    assert undone(result)["complete"] is False
    if meanwhile:
        # An object that needs others to be deleted first stays with them.
        assert left(fleet) >= stays
        assert any("is kept" in each and "since it was read" in each for each in failures)
    else:
        assert left(fleet) == stays
        assert incomplete(failures) == count


def left(fleet: FleetRehearsal) -> set[str]:
    """The kinds of the run's objects that still exist."""
    found = {
        "set": any(each.name == "Readers" for each in fleet.instance.permission_sets.values()),
        "group": GROUP in fleet.members(),
        "user": BOB in fleet.usernames(),
        "membership": BOB in fleet.members().get(GROUP, ()),
        "assignment": any(each.account_id == ACCOUNT for each in fleet.instance.assignments),
    }
    return {kind for kind, exists in found.items() if exists}


def test_a_delegated_administrator_keeps_what_it_cannot_ask_about(
    fleet: FleetRehearsal, result: Path
) -> None:
    injected_faults.refuse_next("ListAccountAssignmentsForPrincipal", "AccessDeniedException", times=50)
    assert incomplete(fleet.undo(result)) == 3
    assert left(fleet) == {"group", "user", "membership"}
    assert all("only the management account may list that" in each for each in fleet.lines("!")[:2])


def test_an_earlier_group_that_was_assigned_since(fleet: FleetRehearsal, result: Path) -> None:
    fleet.provisioned(intents(ACCOUNT, "bob", "dave"))
    second = fleet.results()[-1]
    assigned_elsewhere(fleet)
    assert incomplete(fleet.undo(second)) == 2
    assert fleet.members() == {GROUP: {BOB, "dave@example.com"}}


def test_an_earlier_group_that_is_as_before(fleet: FleetRehearsal, result: Path) -> None:
    fleet.provisioned(intents(ACCOUNT, "bob", "dave"))
    assert fleet.undo(fleet.results()[-1]) == []
    assert (fleet.members(), fleet.usernames()) == ({GROUP: {BOB}}, {BOB})
    assert fleet.assigned() == {(ACCOUNT, "Readers", GROUP)}


def shared(account: str, *names: str) -> Intents:
    given: dict[str, Any] = {"group": GROUP, "shared_group": True, "policy": "shared"}
    return intents(account, *names, **given, place=f"{account}/shared")


def all_exist(accounts: Iterable[str]) -> dict[str, dict[str, str]]:
    users = ("bob", "dave")
    return {
        account: {user.subject.unique_id: "" for user in intents(account, *users).users}
        for account in accounts
    }


@pytest.mark.parametrize("again", [False, True], ids=["killed-once", "killed-twice"])
@pytest.mark.parametrize(
    ("first", "then", "after", "happens", "kept"),
    [
        pytest.param(
            [], [intents(ACCOUNT, "bob")], 5, carol_joins, "it has other members", id="its-group-joined"
        ),
        pytest.param(
            [],
            [intents(ACCOUNT, "bob")],
            5,
            assigned_elsewhere,
            "it has been assigned since (Theirs in account",
            id="its-group-assigned",
        ),
        pytest.param(
            [shared(ACCOUNT, "bob")],
            [shared(ACCOUNT, "bob", "dave")],
            2,
            assigned_elsewhere,
            "it has been assigned since (Theirs in account",
            id="earlier-group-assigned",
        ),
        pytest.param(
            [shared(ACCOUNT, "bob")],
            [shared(ACCOUNT, "bob"), shared(OTHER_ACCOUNT, "bob")],
            1,
            carol_joins,
            "its group has other members",
            id="earlier-group-joined",
        ),
    ],
)
def test_what_others_did_while_a_run_was_killed_stays(
    fleet: FleetRehearsal,
    first: list[Intents],
    then: list[Intents],
    after: int,
    happens: Happening,
    kept: str,
    again: bool,
) -> None:
    """Before the run is what there was before the killed run that it continues."""
    if first:
        fleet.provisioned(*first)
    fleet.leave_only(*then)
    fleet.killed(after)
    happens(fleet)
    theirs = fleet.members() if happens is carol_joins else {}
    others = {each for each in fleet.assigned() if theirs or "Theirs" in each}
    if again:
        fleet.leave(intents(THIRD, "erin"))
        fleet.killed(1)
    fleet.run()
    result = fleet.results()[-1]
    assert incomplete(fleet.undo(result, read_users=None if happens is carol_joins else all_exist)) > 0
    assert any(kept in each for each in fleet.lines("!"))
    assert undone(result)["complete"] is False
    assert fleet.assigned() >= others
    assert (CAROL in fleet.members()[GROUP]) == bool(theirs)


def test_what_a_killed_run_did_not_record_counts_as_of_others(fleet: FleetRehearsal) -> None:
    fleet.provisioned(shared(ACCOUNT, "bob"))
    fleet.leave(shared(ACCOUNT, "bob", "dave"))
    fleet.killed(2)
    for each in fleet.output.glob("identity-center-runs/*/groups-before.json"):
        each.unlink()
    assert fleet.run() == []
    result = fleet.results()[-1]
    assert incomplete(fleet.undo(result)) == 2
    assert any("does not have what it gave before" in each for each in fleet.lines("!"))
    assert fleet.members() == {GROUP: {BOB, "dave@example.com"}}


def test_who_was_put_into_a_group_anew_stays_although_the_first_answer_was_lost(
    fleet: FleetRehearsal,
) -> None:
    """A killed run has no id of its last membership, and the run that continues it has met it."""
    fleet.leave(intents(ACCOUNT, "bob"))
    fleet.killed(6)
    assert fleet.run() == []
    join(fleet, GROUP, fleet.remove_member(GROUP, BOB))
    assert incomplete(fleet.undo(fleet.results()[-1])) > 0
    assert any("it was recreated since" in each for each in fleet.lines("!"))
    assert fleet.members() == {GROUP: {BOB}}


def test_a_record_of_groups_that_no_run_has_written(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "bob"))
    fleet.killed(2)
    (name,) = fleet.output.glob("identity-center-runs/*/groups-before.json")
    name.write_text('{"schema": 1, "groups": {"g": {"assignments": [["1"]], "members": []}}}')
    fleet.refuses("what groups had before a killed run", fleet.run)


def test_an_assignment_that_the_undo_ends_is_no_other_access(fleet: FleetRehearsal) -> None:
    """Bob has the set by his own group and by a shared one, both of the run, and his IAM user there is deleted."""
    given: dict[str, Any] = {"group": "Sales", "shared_group": True, "policy": "shared"}
    sales = {
        each: intents(each, name, **given, place=f"{each}/shared")
        for each, name in ((OTHER_ACCOUNT, "bob"), (ACCOUNT, "ann"))
    }
    fleet.provisioned(sales[OTHER_ACCOUNT])
    fleet.forget()
    fleet.provisioned(*sales.values(), intents(ACCOUNT, "bob"))

    def read_users(accounts: Iterable[str]) -> dict[str, dict[str, str]]:
        (bob,) = intents(ACCOUNT, "bob").users
        everybody = (*intents(OTHER_ACCOUNT, "bob", "ann").users, *intents(ACCOUNT, "ann").users)
        exist = {user.subject.unique_id: "" for user in everybody}
        assert bob.subject.unique_id not in exist
        return dict.fromkeys(accounts, exist)

    assert incomplete(fleet.undo(fleet.results()[-1], read_users=read_users)) > 0
    assert BOB in fleet.members()[GROUP]
    assert (ACCOUNT, "Readers", GROUP) in fleet.assigned()
