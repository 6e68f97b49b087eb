# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Ref
from c7n_iamusers.identity_center import access_plan
from c7n_iamusers.identity_center import model as plan
from c7n_iamusers.identity_center.access_plan import AccessPlan
from c7n_iamusers.identity_center.model import (
    Assignment,
    CenterState,
    DesiredAccess,
    InProgress,
    KnownGroup,
    KnownPermissionSet,
    KnownPerson,
    Pending,
)
from c7n_iamusers.identity_center.planning.changeset import membership_key, membership_names
from c7n_iamusers.identity_center.planning.plan import plan_access
from tests.access_center import ACCOUNT, INSTANCE, OTHER_ACCOUNT, SET_ARN
from tests.desired import desired, intents, readers

GROUP = f"iam-{ACCOUNT}-Readers"
OURS = f"Managed by c7n-iamusers for account {ACCOUNT}"
OWN = Assignment(ACCOUNT, SET_ARN)


def known_person(name: str, **changes: Any) -> KnownPerson:
    return replace(KnownPerson(f"id-{name}", f"{name}@example.com", f"{name}@example.com"), **changes)


def state(
    *people: KnownPerson, assigned: bool = True, members: tuple[str, ...] = (), **fields: Any
) -> CenterState:
    """A permission set and a group of ours, as an earlier run has left them."""
    held = frozenset({OWN} if assigned else ())
    group = KnownGroup("group-1", GROUP, OURS, frozenset(members), held)
    accounts = frozenset({ACCOUNT} if assigned else ())
    found = CenterState(
        {each.username.casefold(): each for each in people},
        {each.email.casefold(): each for each in people},
        {GROUP: group},
        {"Readers": KnownPermissionSet(SET_ARN, readers(), accounts)},
    )
    return replace(found, **fields)


def made(found: AccessPlan) -> list[tuple[str, str]]:
    return [(change.kind, change.action) for change in found.changes]


def planned(requested: DesiredAccess, found: CenterState) -> AccessPlan:
    return plan_access(requested, found, INSTANCE)


ALICE = desired(intents(ACCOUNT, "alice"))


def test_everything_from_nothing_in_an_order_in_which_it_can_be_made() -> None:
    found = planned(ALICE, CenterState())
    assert made(found) == [
        (plan.PERMISSION_SET, access_plan.CREATE),
        (plan.GROUP, access_plan.CREATE),
        (plan.ASSIGNMENT, access_plan.ASSIGN),
        (plan.USER, access_plan.CREATE),
        (plan.MEMBERSHIP, access_plan.CREATE),
    ]
    keys = [change.key for change in found.changes]
    assert all(keys.index(need) < keys.index(change.key) for change in found.changes for need in change.needs)
    assignment, user, membership = found.changes[2:]
    assert assignment.calls[0].parameters["PermissionSetArn"] == Ref("permission set Readers:permission-set")
    assert assignment.calls[0].parameters["PrincipalId"] == Ref(f"group {GROUP}:group")
    assert user.lazy
    assert membership.calls[0].parameters["MemberId"] == {"UserId": Ref("user alice@example.com:user")}
    assert assignment.key in membership.needs


def test_nothing_where_all_of_it_stands() -> None:
    found = planned(ALICE, state(known_person("alice"), members=("id-alice",)))
    assert {action for _, action in made(found)} == {access_plan.UNCHANGED}
    assert found.work == ()
    assert len(found.served) == 1


def test_one_assignment_however_many_people() -> None:
    names = [f"user-{number}" for number in range(50)]
    found = planned(desired(intents(ACCOUNT, *names), intents(OTHER_ACCOUNT, *names)), CenterState())
    kinds = [change.kind for change in found.changes]
    assert (kinds.count(plan.ASSIGNMENT), kinds.count(plan.USER), kinds.count(plan.MEMBERSHIP)) == (
        2,
        50,
        100,
    )


def test_every_adoption_says_what_it_rests_on() -> None:
    found = planned(ALICE, state(known_person("alice"), assigned=False))
    adopted = {change.kind: change.rests_on for change in found.changes if change.action == access_plan.ADOPT}
    assert adopted == {
        plan.PERMISSION_SET: "its tag c7n-iamusers=managed",
        plan.GROUP: f"its description begins with '{OURS}'",
        plan.USER: f"username and e-mail are those of user alice of account {ACCOUNT}, by tag:Email",
    }


def test_a_set_in_an_earlier_form_is_mended_where_it_is_wanted() -> None:
    stale = KnownPermissionSet(SET_ARN, readers(), frozenset({ACCOUNT}), frozenset({ACCOUNT}))
    found = planned(ALICE, state(permission_sets={"Readers": stale}))
    assert made(found)[1] == (plan.PROVISIONING, access_plan.PROVISION)
    assert found.changes[1].accounts == {ACCOUNT}


def test_a_request_under_way_is_awaited() -> None:
    pending = {"request-1": Pending(ACCOUNT, SET_ARN, "group-1"), "other": Pending("1", SET_ARN, "group-2")}
    found = planned(ALICE, state(assigned=False, in_progress=InProgress(pending)))
    (assignment,) = [change for change in found.changes if change.kind == plan.ASSIGNMENT]
    assert (assignment.action, assignment.awaits) == (access_plan.AWAIT, "request-1")
    assert assignment in found.work


def test_two_names_of_one_group_are_refused() -> None:
    named = {
        "a team": KnownGroup("group-1", "a team", OURS),
        "a  team": KnownGroup("group-1", "a team", OURS),
    }
    wanted = desired(
        intents(ACCOUNT, "alice", group="a team"),
        intents(ACCOUNT, "bob", group="a  team", set_name="Writers"),
        intents(OTHER_ACCOUNT, "carol"),
    )
    found = planned(wanted, CenterState(groups=named))
    assert [each.subject.name for each in found.refused] == ["alice", "bob"]
    assert all(
        "groups a  team, a team are one group in Identity Center" in each.reason.text
        for each in found.refused
    )
    assert [claim.subject.name for claim in found.served] == ["carol"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(("a/team", "x"), ("a", "team/x"), id="slash"),
        pytest.param(("a~1team", "x"), ("a", "team/x"), id="escaped-slash"),
        pytest.param(("a~1b", "x"), ("a/b", "x"), id="tilde"),
    ],
)
def test_every_membership_has_its_own_key(first: tuple[str, str], second: tuple[str, str]) -> None:
    keys = [membership_key((username, ""), group) for username, group in (first, second)]
    assert len(set(keys)) == 2
    assert [membership_names(key) for key in keys] == [first, second]


BOTH = desired(intents(ACCOUNT, "alice", "bob"))


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        pytest.param(
            state(known_person("alice", email="x@example.com")),
            "exists with an e-mail other than",
            id="email",
        ),
        pytest.param(state(known_person("alice", enabled=False)), "is disabled", id="disabled"),
        pytest.param(
            state(known_person("mallory", email="alice@example.com")),
            "belongs to Identity Center user",
            id="other",
        ),
    ],
)
def test_somebody_elses_identity_is_refused_and_the_others_go_on(found: CenterState, reason: str) -> None:
    made_plan = planned(BOTH, found)
    (refused,) = made_plan.refused
    assert (refused.subject.name, refused.shared) == ("alice", False)
    assert reason in refused.reason.text
    assert [claim.subject.name for claim in made_plan.served] == ["bob"]
    assert all("alice" not in change.key for change in made_plan.changes)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        pytest.param(
            state(permission_sets={"Readers": KnownPermissionSet(SET_ARN, replace(readers(), tags={}))}),
            "without the tag",
            id="set-of-somebody",
        ),
        pytest.param(
            state(groups={GROUP: KnownGroup("g", GROUP, "By hand")}),
            "was not made for this",
            id="group-of-somebody",
        ),
        pytest.param(
            state(assigned=False, members=("stranger",)), "who are not among this run's", id="strangers"
        ),
    ],
)
def test_what_people_share_refuses_all_of_them_and_nothing_is_made(found: CenterState, reason: str) -> None:
    made_plan = planned(BOTH, found)
    assert [each.subject.name for each in made_plan.refused] == ["alice", "bob"]
    assert all(each.shared and reason in each.reason.text for each in made_plan.refused)
    assert made_plan.changes == ()


EXTERNAL = desired(intents(ACCOUNT, "alice", external=True))


@pytest.mark.parametrize(
    ("found", "missing", "kinds"),
    [
        pytest.param(CenterState(), "user", {plan.PERMISSION_SET, plan.GROUP}, id="user"),
        pytest.param(
            state(known_person("alice"), groups={}), "group", {plan.PERMISSION_SET, plan.GROUP}, id="group"
        ),
        pytest.param(
            state(known_person("alice")),
            "membership",
            {plan.PERMISSION_SET, plan.GROUP, plan.ASSIGNMENT},
            id="membership",
        ),
    ],
)
def test_an_external_store_is_never_written(found: CenterState, missing: str, kinds: set[str]) -> None:
    made_plan = planned(EXTERNAL, found)
    assert [each.what for each in made_plan.missing] == [missing]
    assert {change.kind for change in made_plan.changes} == kinds
    assert {call.service for change in made_plan.changes for call in change.calls} <= {"sso-admin"}
    assert made_plan.served == {}


def test_an_external_person_with_everything() -> None:
    found = planned(EXTERNAL, state(known_person("alice"), members=("id-alice",)))
    assert (found.missing, found.work) == ((), ())
    assert len(found.served) == 1


MANAGEMENT = INSTANCE.owner


def test_a_delegated_administrator_does_not_assign_in_the_management_account() -> None:
    requested = desired(intents(MANAGEMENT, "root-user"), intents(ACCOUNT, "alice"))
    found = planned(requested, CenterState(is_delegated=True))
    (refused,) = found.refused
    assert refused.subject.name == "root-user"
    assert f"in management account {MANAGEMENT}, which a delegated administrator can't" in refused.reason.text
    assert [claim.subject.name for claim in found.served] == ["alice"]
    assert planned(requested, CenterState()).refused == ()


@pytest.mark.parametrize(
    ("accounts", "settings", "refused"),
    [
        pytest.param({MANAGEMENT, ACCOUNT}, {"session_duration": "PT8H"}, True, id="to-be-changed-there"),
        pytest.param({MANAGEMENT, ACCOUNT}, {}, False, id="no-change-needed"),
        pytest.param({MANAGEMENT}, {}, True, id="to-be-assigned"),
        pytest.param({ACCOUNT}, {"session_duration": "PT8H"}, False, id="not-in-the-management-account"),
    ],
)
def test_a_delegated_administrator_leaves_the_management_accounts_sets_alone(
    accounts: set[str], settings: dict[str, str], refused: bool
) -> None:
    changed = replace(readers(), **settings)  # type: ignore[arg-type]
    known = KnownPermissionSet(SET_ARN, changed, frozenset(accounts))
    assigned = ACCOUNT in accounts
    found = planned(ALICE, state(permission_sets={"Readers": known}, is_delegated=True, assigned=assigned))
    assert bool(found.refused) is refused
