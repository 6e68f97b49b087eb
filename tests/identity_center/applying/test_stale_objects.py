# SPDX-License-Identifier: Apache-2.0
"""Assignments of shared groups that nobody requests any more, and managed groups without members."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from c7n_iamusers.identity_center import provisioning
from tests.access_center import ACCOUNT, AUDIT, OTHER_ACCOUNT
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import assign, create_user, join, set_by_hand

ALICE, BOB, MALLORY = "alice@example.com", "bob@example.com", "mallory@example.com"
GROUP = "Finance"
STALE = f"assignment {GROUP} -> Readers in account {ACCOUNT}"


def theirs(fleet: FleetRehearsal) -> None:
    fleet.make_group(GROUP, "Theirs")


def nothing(_fleet: FleetRehearsal) -> None:
    pass


def asked(fleet: FleetRehearsal, set_name: str, *names: str, group: str = GROUP) -> None:
    """These people's IAM users are to have the permission set, and nothing else is requested."""
    fleet.leave_only(intents(ACCOUNT, *names, set_name=set_name, group=group, shared_group=True))


def renamed(fleet: FleetRehearsal, *names: str) -> None:
    """A run gave both people Readers, and now these are to have Writers by the same group."""
    asked(fleet, "Readers", "alice", "bob")
    assert fleet.run() == []
    asked(fleet, "Writers", *names)


def sets_of_group(fleet: FleetRehearsal) -> set[str]:
    return {name for _, name, group in fleet.assigned() if group == GROUP}


@pytest.mark.parametrize("before", [nothing, theirs], ids=["ours", "theirs"])
def test_the_former_permission_set_of_a_shared_group_goes(
    fleet: FleetRehearsal, before: Callable[[FleetRehearsal], None]
) -> None:
    before(fleet)
    renamed(fleet, "alice", "bob")
    assert fleet.run() == []
    assert sets_of_group(fleet) == {"Readers", "Writers"}
    assert f"- {STALE} (no longer requested; provision prune --unrequested removes it)" in fleet.lines("-")
    assert any(each.startswith(f"{STALE}, which a run made, is not requested") for each in fleet.audit())
    assert fleet.run(prune=True) == []
    assert sets_of_group(fleet) == {"Writers"}
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    assert fleet.audit() == []
    assert fleet.undo(fleet.results()[-1]) == []
    assert sets_of_group(fleet) == {"Readers", "Writers"}


def test_it_goes_only_after_what_replaces_it(fleet: FleetRehearsal) -> None:
    renamed(fleet, "alice", "bob")
    assert fleet.run(prune=True) == []
    assert sets_of_group(fleet) == {"Writers"}
    changes = [each.operation for each in fleet.mutations() if "AccountAssignment" in each.operation]
    assert changes == ["CreateAccountAssignment", "DeleteAccountAssignment"]


def joined_by_mallory(fleet: FleetRehearsal) -> None:
    join(fleet, GROUP, create_user(fleet, MALLORY))


@pytest.mark.parametrize(
    ("names", "then", "why"),
    [
        pytest.param(["alice"], nothing, "an earlier run gave it to members", id="without-intents"),
        pytest.param(["alice", "bob"], joined_by_mallory, "find out who did", id="of-others"),
    ],
)
def test_it_stays_while_a_member_may_have_no_other_access(
    fleet: FleetRehearsal, names: list[str], then: Callable[[FleetRehearsal], None], why: str
) -> None:
    renamed(fleet, *names)
    assert fleet.run() == []
    then(fleet)
    fleet.run(prune=True)
    assert sets_of_group(fleet) == {"Readers", "Writers"}
    (line,) = [each for each in fleet.lines("-") if STALE in each]
    assert f"stays: {why}" in line or why in line
    assert any(each.startswith(STALE) and why in each for each in fleet.audit())
    fleet.run(prune=True, lock_out=True)
    assert sets_of_group(fleet) == {"Writers"}


def test_what_others_assigned_to_a_shared_group_stays(fleet: FleetRehearsal) -> None:
    theirs(fleet)
    renamed(fleet, "alice", "bob")
    (group_id,) = fleet.instance.store.groups
    assign(fleet, set_by_hand(fleet, "Theirs", AUDIT), group_id, ACCOUNT, "GROUP")
    fleet.run(prune=True, lock_out=True)
    assert sets_of_group(fleet) == {"Theirs", "Writers"}
    assert not any("Theirs" in each for each in fleet.lines("-"))


def test_a_shared_group_that_nobody_requests_loses_what_a_run_assigned(fleet: FleetRehearsal) -> None:
    theirs(fleet)
    asked(fleet, "Readers", "alice", "bob")
    assert fleet.run() == []
    asked(fleet, "Audits", "carol", group="Auditors")
    fleet.run(prune=True, lock_out=True)
    assert sets_of_group(fleet) == {"Readers"}, "nobody knows what an undo would restore"
    assert any(each.startswith(STALE) and "was not read" in each for each in fleet.audit())
    asked(fleet, "Writers", "alice", "bob", group="Sales")
    assert fleet.run(prune=True) == []
    assert sets_of_group(fleet) == set()
    assert fleet.members()[GROUP] == {ALICE, BOB}
    assert fleet.undo(fleet.results()[-1]) == []
    assert sets_of_group(fleet) == {"Readers"}


def test_who_joins_since_the_plan_keeps_it(fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed(fleet, "alice", "bob")
    assert fleet.run() == []
    original = provisioning._apply

    def apply(*given: object) -> list[str]:
        joined_by_mallory(fleet)
        return original(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(provisioning, "_apply", apply)
    assert any("people have joined the group since it was read" in each for each in fleet.run(prune=True))
    assert sets_of_group(fleet) == {"Readers", "Writers"}


def test_a_group_of_certain_people_is_refused_with_another_permission_set(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice", group=GROUP))
    fleet.leave_only(intents(ACCOUNT, "alice", group=GROUP, set_name="Writers"))
    (failure,) = fleet.run(prune=True, lock_out=True)
    assert f"group {GROUP} also gives its members Readers in account {ACCOUNT}" in failure
    assert sets_of_group(fleet) == {"Readers"}


def without_members(fleet: FleetRehearsal) -> None:
    """A run made group and assignment, and somebody removed its only member."""
    fleet.provisioned(intents(ACCOUNT, "carol", set_name="Writers"))
    fleet.remove_member(f"iam-{ACCOUNT}-Writers", "carol@example.com")
    fleet.leave_only(intents(ACCOUNT, "alice"))


def group_of(description: str) -> Callable[[FleetRehearsal], None]:
    def make(fleet: FleetRehearsal) -> None:
        fleet.make_group(f"iam-{ACCOUNT}-Writers", description)

    return make


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(without_members, id="assigned"),
        pytest.param(group_of(f"Managed by c7n-iamusers for account {ACCOUNT}"), id="of-the-account"),
        pytest.param(group_of("Managed by c7n-iamusers for 2 accounts"), id="of-several-accounts"),
        pytest.param(group_of("Managed by c7n-iamusers, shared"), id="shared"),
    ],
)
def test_a_managed_group_without_members_is_found_and_goes(
    fleet: FleetRehearsal, before: Callable[[FleetRehearsal], None]
) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    before(fleet)
    name = f"iam-{ACCOUNT}-Writers"
    assert any(each.startswith(f"group {name}, which is managed, is not req") for each in fleet.audit())
    assert fleet.run(prune=True) == []
    assert name not in fleet.members()
    assert fleet.audit() == []


def test_an_empty_group_of_an_account_without_intents_is_found_and_stays(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    group_of(f"Managed by c7n-iamusers for account {OTHER_ACCOUNT}")(fleet)
    assert any("has no members" in each for each in fleet.audit())
    assert fleet.run(prune=True) == []
    assert f"iam-{ACCOUNT}-Writers" in fleet.members()


def by_hand(fleet: FleetRehearsal) -> None:
    group_id = fleet.group_id(GROUP)
    arn = fleet.set_arn()
    assign(fleet, arn, group_id, ACCOUNT, "GROUP")


def by_a_run(fleet: FleetRehearsal) -> None:
    asked(fleet, "Readers", "alice", "bob")
    assert fleet.run() == []
    assert "CreateAccountAssignment" in {each.operation for each in fleet.mutations()}
    asked(fleet, "Readers", "alice", "bob", group="Others")


@pytest.mark.parametrize(("anew", "stays"), [(by_hand, True), (by_a_run, False)], ids=["by-hand", "by-a-run"])
def test_who_assigned_it_after_an_undo_ended_it_decides_whose_it_is(
    fleet: FleetRehearsal, anew: Callable[[FleetRehearsal], None], stays: bool
) -> None:
    theirs(fleet)
    by_a_run(fleet)
    assert fleet.run() == []
    fleet.undo(fleet.results()[0])
    assert sets_of_group(fleet) == set()
    anew(fleet)
    told = any(each.startswith(STALE) for each in fleet.audit())
    fleet.run(prune=True, lock_out=True)
    assert (told, sets_of_group(fleet)) == (not stays, {"Readers"} if stays else set())
