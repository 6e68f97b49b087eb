# SPDX-License-Identifier: Apache-2.0
"""What a review removes: only what is whole. A part of the claims, members or assignments is not enough."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center.access_plan import Choices
from c7n_iamusers.identity_center.model import (
    MANAGED_GROUP,
    SHARED_GROUP,
    Assignment,
    CenterState,
    Claim,
    CurrentAccess,
    DesiredAccess,
    Grant,
    Group,
    KnownGroup,
    KnownPermissionSet,
    KnownPerson,
)
from c7n_iamusers.identity_center.planning.plan_input import PlanEvidence, PlanInput
from c7n_iamusers.identity_center.planning.removals import Removals, find_removals
from c7n_iamusers.identity_center.planning.review_input import Comparison
from c7n_iamusers.policy_comparison.comparison import EQUAL, UNDECIDED
from c7n_iamusers.reasons import FORMER_AND_GONE
from tests.access_center import ACCOUNT, INSTANCE, OTHER_ACCOUNT, SET_ARN
from tests.desired import readers

#: These are pure, so no case of a table is left out.
pytestmark = pytest.mark.whole
THIRD = "777788889999"
OTHER_SET = SET_ARN.replace("ps-1", "ps-2")
ANN, BOB = ("", "ann"), ("", "bob")
PEOPLE = {key: KnownPerson(f"user-{key[1]}", key[1], f"{key[1]}@example.com") for key in (ANN, BOB)}
HERE, THERE = Assignment(ACCOUNT, SET_ARN), Assignment(OTHER_ACCOUNT, SET_ARN)
MORE_HERE = Assignment(ACCOUNT, OTHER_SET)
EVERYBODY = frozenset({"user-ann", "user-bob"})
PRUNE = Choices(prune=True, lock_out=True)
NOTHING = Choices()
OWN = "arn:aws:iam::{}:user/ann"


def old(*assignments: Assignment, members: frozenset[str] = EVERYBODY) -> KnownGroup:
    """A group of ours that nobody requests."""
    return KnownGroup(
        "group-1",
        "iam-old",
        f"{MANAGED_GROUP} for account {ACCOUNT}",
        members,
        frozenset(assignments),
        {each: f"membership-of-{each}" for each in members},
    )


def claim(account: str, name: str = "ann", group: str = "iam-new", verdict: str = EQUAL) -> Claim:
    subject = Subject(name, f"arn:aws:iam::{account}:user/{name}", f"AIDA{account}{name}")
    return Claim(subject, ("", name), group, Grant(account, "New"), verdict=verdict)


def reviewed(
    group: KnownGroup,
    *claims: Claim,
    holders: dict[str, Any] | None = None,
    accounts: frozenset[str] | None = None,
    made: dict[tuple[str, str], dict[str, str]] | None = None,
    assigned: frozenset[Assignment] = frozenset(),
    choices: Choices = NOTHING,
    side_effects: Any = None,
    **evidence: Any,
) -> Removals:
    """``claims``: others' than the group's, in the accounts that have intents. ``accounts``: that have the sets.

    ``assigned``: what runs gave the group.
    """
    given = claims or (claim(ACCOUNT), claim(OTHER_ACCOUNT))
    held: dict[str, dict[str, frozenset[tuple[str, str]]]] = {}
    for each in group.assignments:
        held.setdefault(each.account_id, {})[each.permission_set_arn] = frozenset({("GROUP", group.group_id)})
    for account, sets in (holders or {}).items():
        held.setdefault(account, {}).update(sets)
    sets = {}
    for arn, name in ((SET_ARN, "Old"), (OTHER_SET, "Further")):
        of_group = frozenset(each.account_id for each in group.assignments if each.permission_set_arn == arn)
        if of_group:
            known = of_group | (accounts or frozenset())
            sets[arn] = KnownPermissionSet(arn, replace(readers(), name=name), known)
    current = CurrentAccess(
        held,
        {group.group_id: group},
        {arn: known.settings.name for arn, known in sets.items()},
        sets,
        {"user-ann": "ann", "user-bob": "bob"},
    )
    grants = frozenset(each.grant for each in given)
    desired = DesiredAccess({"New": readers("New")}, {"iam-new": Group("iam-new", grants)}, {}, given)
    history: Any = SimpleNamespace(
        membership_users=lambda _: made or {},
        with_met=SimpleNamespace(served={}),
        others_assignments=lambda _: [],
        made={(group.group_id, each) for each in assigned},
        joined=frozenset(),
    )
    nothing_else: Any = SimpleNamespace(further=lambda _: frozenset())
    found = PlanInput(
        desired,
        CenterState(current=current),
        PEOPLE,
        given,
        INSTANCE,
        PlanEvidence(history=history, **evidence),
    )
    return find_removals(Comparison(found, choices, side_effects or nothing_else))


def removed(found: Removals) -> list[str]:
    return [f"{each.kind} {each.name}" for each in found.going]


ANN_GOES, BOB_GOES = "membership ann in iam-old", "membership bob in iam-old"
HERE_GOES, THERE_GOES = (f"assignment iam-old -> Old in account {each}" for each in (ACCOUNT, OTHER_ACCOUNT))


def test_a_group_that_nobody_requests_goes_with_all_that_it_holds() -> None:
    found = reviewed(old(HERE, THERE), choices=PRUNE)
    assert removed(found) == [
        ANN_GOES,
        BOB_GOES,
        HERE_GOES,
        THERE_GOES,
        "group iam-old",
        "permission set Old",
    ]
    assert found.unexpected_members == ()
    by_key = {each.key: each for each in found.going}
    *_, group, permission_set = found.going
    assert {by_key[need].kind for need in group.needs} == {"membership", "assignment"}
    assert len(group.needs) == 4
    assert [by_key[need].kind for need in permission_set.needs] == ["assignment"] * 2


def test_without_prune_all_that_is_only_shown() -> None:
    found = reviewed(old(HERE, THERE), choices=Choices(lock_out=True))
    assert (len(found.stale), found.going) == (6, ())


def test_a_group_stays_as_long_as_one_member_does() -> None:
    expired = frozenset({("iam-old", "ann")})
    made = {("iam-old", "ann"): {OWN.format(ACCOUNT): "AIDA1"}}
    found = reviewed(old(HERE), choices=Choices(prune=True), expired=expired, made=made)
    assert removed(found) == [ANN_GOES]
    assert [each.username for each in found.unexpected_members] == ["bob"]


@pytest.mark.parametrize(
    ("assignments", "goes"),
    [pytest.param([HERE], True, id="of-its-account"), pytest.param([HERE, THERE], False, id="of-one-more")],
)
def test_a_membership_expires_with_the_users_of_all_accounts_that_it_gives(
    assignments: list[Assignment], goes: bool
) -> None:
    made = {("iam-old", "ann"): {OWN.format(ACCOUNT): "AIDA1"}}
    group = old(*assignments, members=frozenset({"user-ann"}))
    found = reviewed(group, choices=Choices(), expired=frozenset({("iam-old", "ann")}), made=made)
    assert removed(found) == ([ANN_GOES] if goes else [])


@pytest.mark.parametrize(
    ("emptied", "told"),
    [
        pytest.param({OTHER_ACCOUNT, THIRD}, FORMER_AND_GONE().text, id="all"),
        pytest.param({OTHER_ACCOUNT}, f"it also gives account {OTHER_ACCOUNT}, {THIRD}", id="one-of-two"),
        pytest.param(set(), f"it also gives account {OTHER_ACCOUNT}, {THIRD}", id="none"),
    ],
)
def test_accounts_without_intents_have_no_such_users_only_if_all_are_empty(
    emptied: set[str], told: str
) -> None:
    made = {("iam-old", "ann"): {OWN.format(ACCOUNT): "AIDA1"}}
    group = old(HERE, THERE, Assignment(THIRD, SET_ARN), members=frozenset({"user-ann"}))
    found = reviewed(group, claim(ACCOUNT), choices=PRUNE, emptied=frozenset(emptied), made=made)
    (member,) = found.unexpected_members
    assert (removed(found), member.reason.text[: len(told)]) == ([], told)


@pytest.mark.parametrize(
    ("more", "goes"),
    [
        pytest.param({}, True, id="nobody-else"),
        pytest.param(
            {"holders": {THIRD: {SET_ARN: {("GROUP", "group-2")}}}}, False, id="another-group-has-it"
        ),
        pytest.param({"accounts": frozenset({THIRD})}, False, id="in-an-account-without-intents"),
        pytest.param({"only": frozenset({ACCOUNT})}, False, id="of-chosen-accounts-only"),
    ],
)
def test_a_permission_set_goes_with_the_last_of_its_assignments(more: dict[str, Any], goes: bool) -> None:
    found = reviewed(old(HERE), choices=PRUNE, **more)
    assert ("permission set Old" in removed(found)) is goes
    assert "group iam-old" in removed(found)


@pytest.mark.parametrize(
    ("claims", "proven", "goes"),
    [
        pytest.param([claim(ACCOUNT)], {"Old", "Further"}, True, id="all-sets"),
        pytest.param([claim(ACCOUNT)], {"Old"}, False, id="one-set-of-two"),
        pytest.param([claim(ACCOUNT)], set(), False, id="none"),
        pytest.param(
            [claim(ACCOUNT, verdict=UNDECIDED)], {"Old", "Further"}, False, id="of-an-undecided-claim"
        ),
        pytest.param([claim(ACCOUNT, "bob")], {"Old", "Further"}, False, id="of-somebody-else"),
        pytest.param(
            [claim(OTHER_ACCOUNT), claim(ACCOUNT, "bob")], {"Old", "Further"}, False, id="elsewhere"
        ),
    ],
)
def test_a_membership_is_replaced_by_claims_that_give_all_that_it_gave(
    claims: list[Claim], proven: set[str], goes: bool
) -> None:
    proofs = SimpleNamespace(verdict=lambda _, settings: EQUAL if settings.name in proven else UNDECIDED)
    group = old(HERE, MORE_HERE, members=frozenset({"user-ann"}))
    found = reviewed(group, *claims, choices=Choices(prune=True), proofs=proofs)
    assert (ANN_GOES in removed(found)) is goes
    needs = [each.needs for each in found.going if each.kind == "membership"]
    assert all(needs) if goes else needs == []


@pytest.mark.parametrize(
    ("claims", "proven", "goes"),
    [
        pytest.param([claim(ACCOUNT)], {"Old"}, True, id="as-much"),
        pytest.param([claim(ACCOUNT)], set(), False, id="unproven"),
        pytest.param([claim(ACCOUNT, "bob")], {"Old"}, False, id="of-somebody-else"),
    ],
)
def test_an_assignment_of_a_shared_group_goes_once_its_members_have_as_much(
    claims: list[Claim], proven: set[str], goes: bool
) -> None:
    """No run made the membership; the other assignment of the group is not theirs to replace."""
    proofs = SimpleNamespace(verdict=lambda _, settings: EQUAL if settings.name in proven else UNDECIDED)
    group = replace(old(HERE, MORE_HERE, members=frozenset({"user-ann"})), description=SHARED_GROUP)
    found = reviewed(group, *claims, assigned=frozenset({HERE}), choices=Choices(prune=True), proofs=proofs)
    assert removed(found) == ([HERE_GOES, "permission set Old"] if goes else [])
    (ended, *_) = found.stale
    assert (bool(ended.needs), bool(ended.rests_on)) == (goes, not goes)
