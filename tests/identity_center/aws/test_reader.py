# SPDX-License-Identifier: Apache-2.0
"""What is read of groups and of permission sets elsewhere, by what AWS answers to single questions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.derivation.requested_permission_set import MANAGED_TAG, PermissionSet
from c7n_iamusers.identity_center.aws import reader as module
from c7n_iamusers.identity_center.aws.created_reader import CreatedReader, holders_of
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.model import (
    ASSIGNMENT,
    GROUP,
    MANAGED_GROUP,
    UNREADABLE,
    Assignment,
    CurrentAccess,
    DesiredAccess,
    Grant,
    Group,
    InProgress,
    KnownGroup,
    KnownPermissionSet,
    Pending,
    Principal,
)
from c7n_iamusers.identity_center.object_records import Created
from tests.access_center import ACCOUNT, OTHER_ACCOUNT

pytestmark = [pytest.mark.pure, pytest.mark.whole]

THIRD = "777788889999"


@dataclass
class Store:
    """Some groups; those ``gone`` are listed, and do not exist any more."""

    groups: list[KnownGroup]
    gone: frozenset[str] = frozenset()
    listed: int = 0

    def all_groups(self) -> dict[str, KnownGroup]:
        self.listed += 1
        return {each.name.casefold(): each for each in self.groups}

    def group(self, group_id: str) -> KnownGroup | None:
        found = (each for each in self.groups if each.group_id == group_id)
        return next((each for each in found if group_id not in self.gone), None)

    def find_group(self, name: str) -> KnownGroup | None:
        return self.all_groups().get(name.casefold())

    def with_members(self, group: KnownGroup) -> KnownGroup | None:
        return self.group(group.group_id)

    def name_of_group(self, group_id: str) -> str | None:
        known = self.group(group_id)
        return known.name if known else None

    def user_attributes(self, user_id: str) -> dict[str, str] | None:
        return None if user_id in self.gone else {"UserName": user_id}


@dataclass
class Assigned:
    """The principals of accounts and permission sets."""

    held: dict[tuple[str, str], frozenset[Principal]] = field(default_factory=dict)

    def holders(self, account: str, arn: str) -> frozenset[Principal]:
        return self.held.get((account, arn), frozenset())

    def of_group_if_listed(self, group_id: str, own: Any = ()) -> frozenset[Assignment]:
        return frozenset(Assignment(*pair) for pair, held in self.held.items() if ("GROUP", group_id) in held)

    def exists(self, assignment: Assignment, group_id: str) -> bool:
        return assignment in self.of_group_if_listed(group_id)

    def in_progress(self) -> InProgress:
        return InProgress()


def reader(*groups: KnownGroup, gone: tuple[str, ...] = (), **held: Any) -> CenterReader:
    store: Any = Store([*groups], frozenset(gone))
    assigned: Any = Assigned(held.get("held", {}))
    sets: Any = SimpleNamespace(is_managed=lambda _: True)
    return CenterReader(sets, store, assigned)


OURS = KnownGroup("g-1", "Ours", f"{MANAGED_GROUP} for account {ACCOUNT}")
THIRDS = KnownGroup("g-3", "Thirds")
THEIRS = KnownGroup("g-2", "Theirs", "of others")


@pytest.mark.parametrize(("few", "lists"), [(2, 0), (1, 1)])
def test_the_names_of_many_groups_are_listed(monkeypatch: pytest.MonkeyPatch, few: int, lists: int) -> None:
    monkeypatch.setattr(module, "_FEW", few)
    found = reader(OURS, THEIRS)
    assert found.group_names(["g-1", "g-2"]) == {"g-1": "Ours", "g-2": "Theirs"}
    assert found.store.listed == lists  # type: ignore[attr-defined]


def test_a_group_that_is_gone_has_no_name() -> None:
    assert reader(OURS, THEIRS, gone=("g-2",)).group_names(["g-1", "g-2"]) == {"g-1": "Ours"}


HELD = {
    (ACCOUNT, "arn"): frozenset({("GROUP", "g-1")}),
    (OTHER_ACCOUNT, "arn"): frozenset({("GROUP", "g-1")}),
}


@pytest.mark.parametrize(
    ("found", "unused"),
    [
        pytest.param(reader(OURS), True, id="unused"),
        pytest.param(reader(OURS, gone=("g-1",)), False, id="gone-meanwhile"),
        pytest.param(reader(replace(OURS, members=frozenset({"u-1"}))), False, id="with-a-member"),
        pytest.param(reader(OURS, held=HELD), False, id="assigned"),
    ],
)
def test_which_group_is_unused(found: CenterReader, unused: bool) -> None:
    assert found._if_unused(OURS, InProgress()) == (OURS if unused else None)


def test_a_group_that_is_being_assigned_is_in_use() -> None:
    going = InProgress({"r-1": Pending(ACCOUNT, "arn", "g-1")})
    assert reader(OURS)._if_unused(OURS, going) is None


@pytest.mark.parametrize(
    ("group", "accounts"),
    [
        pytest.param(OURS, {ACCOUNT, OTHER_ACCOUNT}, id="ours"),
        pytest.param(THEIRS, {ACCOUNT}, id="of-others"),
    ],
)
def test_what_groups_of_others_have_elsewhere_is_not_read(group: KnownGroup, accounts: set[str]) -> None:
    """It does not change, and each such group would take a call."""
    both = {place: frozenset({("GROUP", group.group_id)}) for place in HELD}
    here = {group.group_id: {Assignment(ACCOUNT, "arn")}}
    found = reader(group, held=both)._read(
        group.group_id, group, None, here, {}, DesiredAccess(), {}, InProgress()
    )
    assert found
    assert {each.account_id for each in found.assignments} == accounts


SET = PermissionSet("Readers", tags=dict([MANAGED_TAG]))


@pytest.mark.parametrize(("shared", "accounts"), [(False, {ACCOUNT, OTHER_ACCOUNT}), (True, {ACCOUNT})])
def test_the_assignments_of_a_shared_group_are_those_that_are_requested(
    shared: bool, accounts: set[str]
) -> None:
    wanted = Group("Ours", frozenset({Grant(ACCOUNT, "Readers"), Grant(THIRD, "Readers")}), shared=shared)
    found = reader(OURS, held=HELD).group(wanted, {"Readers": KnownPermissionSet("arn", SET)})
    assert found
    assert {each.account_id for each in found.assignments} == accounts


def test_only_managed_permission_sets_are_read_elsewhere() -> None:
    held = {
        (account, arn): frozenset({("USER", account)}) for account in (ACCOUNT, THIRD) for arn in ("a", "b")
    }
    everywhere = frozenset({ACCOUNT, THIRD})
    sets = [
        KnownPermissionSet("a", SET, everywhere),
        KnownPermissionSet("b", PermissionSet("Theirs"), everywhere),
    ]
    found = reader(held=held)._outside(sets, [ACCOUNT], InProgress())
    assert found == {(THIRD, "a"): frozenset({("USER", THIRD)})}


def test_who_is_gone() -> None:
    assigned: set[Principal] = {("USER", "u-1"), ("USER", "u-2"), ("GROUP", "g-1"), ("GROUP", "g-2")}
    found = reader(gone=("u-2",))
    assert found._gone(assigned, {"g-1"}, {}) == {("USER", "u-2"), ("GROUP", "g-2")}
    assert found._gone(assigned, {"g-1"}, None) == {("GROUP", "g-2")}


@pytest.mark.parametrize(
    ("description", "found"),
    [pytest.param(OURS.description, True, id="the-call's"), pytest.param("of others", False, id="of-others")],
)
def test_a_group_whose_creation_had_no_answer_is_known_by_its_description(
    description: str, found: bool
) -> None:
    """Another's group of that name is not taken for one that a run created: an undo deletes those."""
    created = Created(GROUP, "", {"DisplayName": "Ours", "Description": description})
    known = CreatedReader(reader(OURS))._group(created, {}, InProgress())
    assert (known == OURS) is found
    assert (known is None) is not found


@pytest.mark.parametrize(("few", "lists"), [(2, 2), (1, 1)])
def test_many_groups_are_listed_rather_than_asked_for(
    monkeypatch: pytest.MonkeyPatch, few: int, lists: int
) -> None:
    """The store here finds one by its name in a list."""
    monkeypatch.setattr(module, "_FEW", few)
    found, groups = reader(OURS, THIRDS), [Group(name, frozenset()) for name in ("Ours", "Thirds")]
    named, _ = found._groups(groups, {}, {}, DesiredAccess(), {}, InProgress())
    assert named == {"Ours": OURS, "Thirds": THIRDS}
    assert found.store.listed == lists  # type: ignore[attr-defined]


@pytest.mark.parametrize("assigned", [True, False])
def test_members_are_those_of_groups_that_a_run_assigned(assigned: bool) -> None:
    group = replace(OURS, members=frozenset({"u-1"}))
    made = {"PrincipalId": "g-1", "TargetId": ACCOUNT, "PermissionSetArn": "arn"}
    created = [Created(GROUP, "g-1", {}), *([Created(ASSIGNMENT, "", made)] if assigned else [])]
    state = CreatedReader(reader(group)).read(created)
    assert state.groups == {0: group}
    assert state.members == ({"g-1": group.members} if assigned else {})


def test_a_set_that_no_group_is_assigned_changes_for_nobody() -> None:
    """The accounts that it is in are the groups'."""
    desired = DesiredAccess(permission_sets={"Readers": replace(SET, description="another")})
    sets = {"Readers": KnownPermissionSet("arn", SET, frozenset({ACCOUNT}))}
    assert reader(held=HELD)._changing(sets, CurrentAccess(), desired).holders == {}


@pytest.mark.parametrize(
    ("found", "unused"),
    [
        pytest.param(reader(OURS), {"g-1"}, id="ours"),
        pytest.param(reader(THEIRS), set(), id="of-others"),
        pytest.param(
            reader(replace(OURS, description=f"{MANAGED_GROUP} for account {THIRD}")), set(), id="elsewhere"
        ),
        pytest.param(reader(replace(OURS, name="Asked For")), set(), id="requested"),
        pytest.param(reader(replace(OURS, group_id="g-known")), set(), id="known-before"),
    ],
)
def test_which_groups_are_left_unused(found: CenterReader, unused: set[str]) -> None:
    """Those that are requested or assigned are read otherwise."""
    sets: Any = SimpleNamespace(managed_besides=lambda _: [])
    given = CenterReader(sets, found.store, found.assignments)
    desired = DesiredAccess(groups={"Asked for": Group("Asked for", frozenset())})
    known = CurrentAccess(groups={"g-known": THIRDS})
    left = given._with_unused(known, desired, [ACCOUNT], InProgress())
    assert left.groups.keys() == {"g-known", *unused}
    assert left.groups["g-known"] == THIRDS


def test_sets_of_ours_that_are_not_requested_are_left_unused() -> None:
    ours = [KnownPermissionSet(name, PermissionSet(name, tags=SET.tags)) for name in ("Readers", "Former")]
    sets: Any = SimpleNamespace(
        managed_besides=lambda known: [each for each in ours if each.arn not in known]
    )
    desired = DesiredAccess(permission_sets={"Readers": SET})
    given = CenterReader(sets, reader().store, reader().assignments)
    left = given._with_unused(CurrentAccess(), desired, [ACCOUNT], InProgress())
    assert (left.sets, left.set_names) == ({"Former": ours[1]}, {"Former": "Former"})


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        pytest.param(set(), {"u-direct", "u-gone", "u-member"}, id="all"),
        pytest.param({(ACCOUNT, "u-member")}, {"u-direct", "u-gone"}, id="not-a-member-of-before"),
        pytest.param(
            {(ACCOUNT, "u-direct"), (ACCOUNT, "u-gone")}, {"u-direct", "u-gone", "u-member"}, id="direct-ones"
        ),
        pytest.param(
            {(OTHER_ACCOUNT, "u-member")}, {"u-direct", "u-gone", "u-member"}, id="of-another-account"
        ),
    ],
)
def test_holders_are_those_that_exist(before: set[tuple[str, str]], asked: set[str]) -> None:
    store: Any = SimpleNamespace(members=lambda group: ["u-member", "u-living"])
    direct = frozenset({("USER", "u-direct"), ("USER", "u-gone"), ("USER", UNREADABLE), ("GROUP", "g-1")})
    names = list[list[str]]()

    def usernames(ids: list[str]) -> dict[str, str]:
        names.append(ids)
        return {each: each for each in ids if each != "u-gone"}

    found: Any = SimpleNamespace(store=store, holders_as_far_as_known=lambda *_: direct, usernames=usernames)
    living = {"u-living"}
    known = KnownPermissionSet("arn", SET, frozenset({ACCOUNT}))
    pending = InProgress({"r-1": Pending(OTHER_ACCOUNT, "arn", "u-direct", "USER")})
    held = holders_of(found, known, pending, before, living)
    assert {each for each in held if each[0] == ACCOUNT} == {
        (ACCOUNT, "u-direct", "u-direct"),
        (ACCOUNT, UNREADABLE, UNREADABLE),
        (ACCOUNT, "g-1", "u-member"),
        (ACCOUNT, "g-1", "u-living"),
    }
    assert names == [sorted(asked)]
    assert living == {"u-living", *asked} - {"u-gone"}
    assert not {
        each for each in holders_of(found, known, pending, before, set(), [ACCOUNT]) if each[0] != ACCOUNT
    }
