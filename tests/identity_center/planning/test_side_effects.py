# SPDX-License-Identifier: Apache-2.0
"""Whom a plan concerns beside what intents ask for."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.planning.permission_sets import may_widen
from c7n_iamusers_cli.main import main
from tests.access_center import ACCOUNT, AUDIT, OTHER_ACCOUNT, READ_ONLY
from tests.derivation.users import allow
from tests.derived import derived, holder
from tests.desired import ACCEPT_ALL, intents, person, readers
from tests.fakes import client_error
from tests.identity_center.fleet_rehearsal import FleetRehearsal, assert_wider
from tests.identity_center.planning.test_access_review import (
    ALICE,
    BOB,
    MALLORY,
    assign,
    create_user,
    groups_of,
    join,
    set_by_hand,
    user_id,
)
from tests.identity_center.planning.test_review import reviewed
from tests.interference import on_call

SHARED: dict[str, Any] = {"group": "Everybody", "shared_group": True}


def group_by_hand(fleet: FleetRehearsal, name: str = "Everybody", *members: str) -> str:
    group_id = fleet.make_group(name, "By hand")
    for each in members:
        join(fleet, name, create_user(fleet, each))
    return group_id


def admin_elsewhere(fleet: FleetRehearsal, account: str = OTHER_ACCOUNT) -> None:
    """A group for everybody that also gives another account."""
    group = group_by_hand(fleet)
    assign(fleet, set_by_hand(fleet, "Admin", READ_ONLY), group, account, "GROUP")


@pytest.mark.parametrize("is_reviewed", [True, False], ids=["reviewed", "not-reviewed"])
@pytest.mark.parametrize("operation", ["CreateAccountAssignment", "CreateGroupMembership"])
def test_who_joins_a_shared_group_during_a_run(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, is_reviewed: bool, operation: str
) -> None:
    """A reviewer has seen who gains access, and nobody else may; without a review the policy consents."""
    fleet.provisioned(intents(ACCOUNT, "alice", **SHARED))
    fleet.leave(intents(OTHER_ACCOUNT, "bob", **SHARED))
    create_user(fleet, MALLORY)
    plan_options = reviewed(fleet) if is_reviewed else None
    pending = [MALLORY]

    def joins() -> None:
        while pending:
            join(fleet, "Everybody", user_id(fleet, pending.pop()))

    with monkeypatch.context() as patch:
        on_call(patch, operation, joins)
        failures = fleet.run(plan_options=plan_options)
    assert bool(failures) == is_reviewed
    assert all(MALLORY in each for each in failures)
    assert not any(ALICE in each for each in failures)


def test_who_was_in_a_shared_group_when_the_plan_was_reviewed(fleet: FleetRehearsal) -> None:
    group_by_hand(fleet, "Everybody", MALLORY)
    fleet.leave(intents(ACCOUNT, "alice", **SHARED))
    assert fleet.run(plan_options=reviewed(fleet)) == []
    assert len(fleet.assigned()) == 1


def test_who_joins_a_shared_group_before_its_assignment_by_a_reviewed_plan(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    group_by_hand(fleet)
    create_user(fleet, MALLORY)
    fleet.leave(intents(ACCOUNT, "alice", **SHARED))
    plan_options = reviewed(fleet)
    pending = [MALLORY]

    def joins() -> None:
        while pending:
            join(fleet, "Everybody", user_id(fleet, pending.pop()))

    with monkeypatch.context() as patch:
        on_call(patch, "CreatePermissionSet", joins)
        (failure,) = fleet.run(plan_options=plan_options)
    assert MALLORY in failure
    assert fleet.assigned() == set()


def test_who_joins_a_shared_group_gains_what_it_has_elsewhere(fleet: FleetRehearsal) -> None:
    admin_elsewhere(fleet)
    fleet.leave(intents(ACCOUNT, "alice", **SHARED))
    fleet.run(dry=True)
    gain = (
        f"gains Admin in account {OTHER_ACCOUNT}, which the group already has (IAM user none: shared-group)"
    )
    assert f"      {gain}" in fleet.said
    first, total = fleet.lines("!")
    assert fleet.said[1].split() == first.split()
    assert first == (
        f"! side-effect {ALICE} get permission set Admin in account {OTHER_ACCOUNT} through group Everybody, by "
        "joining group Everybody: no intents request it through that group; only a reviewed plan (--plan) may do this"
    )
    assert total == (
        f"! total {ALICE} in account {OTHER_ACCOUNT}, without intents of an IAM user of that person: wider: also holds "
        "Admin through group Everybody (shared-group; not requested)"
    )
    fleet.refuses(f"{ALICE} get permission set Admin", fleet.run)
    plan_options = reviewed(fleet)
    data = json.loads((fleet.output / "plan.json").read_text())
    assert [(each["account_id"], each["people"]) for each in data["reaches"]] == [(OTHER_ACCOUNT, [ALICE])]
    assert any(gain in change["details"] for change in data["changes"])
    assert_wider(fleet.run(plan_options=plan_options))
    assert groups_of(fleet, ALICE) == {"Everybody"}
    assert_wider(fleet.run())
    assert fleet.mutations() == []
    assert fleet.lines("!") == [total]


@pytest.mark.parametrize("plural", [False, True], ids=["few-groups", "a-delegate-of-many"])
def test_a_group_that_a_delegate_can_not_ask_about_refuses_its_own_claims_alone(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, plural: bool
) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "dora"))

    def refused() -> None:
        raise client_error("AccessDeniedException")

    on_call(monkeypatch, "ListAccountAssignmentsForPrincipal", refused)
    monkeypatch.setattr("c7n_iamusers.identity_center.aws.reader._FEW", 0 if plural else 50)
    fleet.leave(intents(ACCOUNT, "alice", "bob"), intents(OTHER_ACCOUNT, "dora", set_name="Writers"))
    failures = fleet.run()
    assert [each.partition(":")[0] for each in failures] == [
        f"user {name} of account {ACCOUNT}" for name in ("alice", "bob")
    ]
    assert all("only the management account may call" in each for each in failures)
    assert fleet.members() == {
        f"iam-{ACCOUNT}-Readers": {ALICE},
        f"iam-{OTHER_ACCOUNT}-Readers": {"dora@example.com"},
        f"iam-{OTHER_ACCOUNT}-Writers": {"dora@example.com"},
    }


def test_what_a_delegated_administrator_can_not_ask_is_not_passed_over(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    group_by_hand(fleet)
    fleet.leave(intents(ACCOUNT, "alice", **SHARED))

    def refused() -> None:
        raise client_error("AccessDeniedException")

    on_call(monkeypatch, "ListAccountAssignmentsForPrincipal", refused)
    plan_options = reviewed(fleet)
    (beyond, total) = fleet.lines("!")
    unknown = "any permission set in account (a delegated administrator can't tell)"
    assert beyond.startswith(f"! side-effect {ALICE} get permission set {unknown} through group Everybody")
    assert total.startswith(f"! total {ALICE} in account (a delegated administrator can't tell)")
    with pytest.raises(IdentityCenterError, match="only a reviewed plan"):
        fleet.run()
    assert_wider(fleet.run(plan_options=plan_options))
    assert groups_of(fleet, ALICE) == {"Everybody"}


@pytest.mark.parametrize(
    ("there", "verdict"),
    [
        pytest.param("s3:Get*", "wider", id="less-there"),
        pytest.param("*", "equal", id="as-much-there"),
    ],
)
def test_what_a_shared_group_gives_is_held_against_the_user_there(
    fleet: FleetRehearsal, there: str, verdict: str
) -> None:
    group = group_by_hand(fleet)
    assign(fleet, set_by_hand(fleet, "Theirs", "", allow("s3:*")), group, OTHER_ACCOUNT, "GROUP")
    fleet.leave(
        intents(ACCOUNT, "alice", **SHARED),
        derived(OTHER_ACCOUNT, holder(OTHER_ACCOUNT, "alice", allow(there))),
    )
    fleet.run(dry=True)
    (total,) = [line for line in fleet.lines("!") if line.startswith("! total")]
    assert (
        f"{ALICE} in account {OTHER_ACCOUNT}: {verdict}: also holds Theirs through group Everybody" in total
    )


def test_what_policies_consent_to_is_shown_and_applied(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice", **SHARED), intents(OTHER_ACCOUNT, "bob", **SHARED))
    told = [line for line in fleet.lines("!") if line.startswith("! side-effect")]
    assert [line.split()[2] for line in told] == [BOB, ALICE]
    assert all("shared-group: true consents" in line for line in told)
    totals = [line for line in fleet.lines("!") if line.startswith("! total")]
    assert [line.split()[2:5] for line in totals] == [[BOB, "in", "account"], [ALICE, "in", "account"]]


def test_members_who_gain_an_account_are_named(fleet: FleetRehearsal) -> None:
    group_by_hand(fleet, "Everybody", MALLORY)
    fleet.leave(intents(ACCOUNT, "alice", **SHARED))
    fleet.run(dry=True)
    assert f"also gives it to members for whom it is not requested: {MALLORY} (shared-group)" in "\n".join(
        fleet.said
    )
    (told,) = fleet.lines("!")
    assert told.startswith(
        f"! side-effect {MALLORY} get permission set Readers in account {ACCOUNT} through group"
    )


def test_a_reviewer_sees_everybody(fleet: FleetRehearsal) -> None:
    names = [f"u{number:02}@example.com" for number in range(12)]
    group_by_hand(fleet, "Everybody", *names)
    fleet.leave(intents(ACCOUNT, "alice", **SHARED))
    reviewed(fleet)
    assert "u09@example.com and 2 more get permission set Readers" in fleet.lines("!")[0]
    printed = CliRunner().invoke(main, ["plan", str(fleet.output / "plan.json")]).output
    (side_effect,) = [line for line in printed.splitlines() if line.startswith("  ! side-effect")]
    assert ", ".join(names) in side_effect


def test_an_assignment_under_way_elsewhere_counts_as_held(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    (group_id,) = fleet.instance.store.groups
    (arn,) = fleet.instance.permission_sets
    fleet.org.configure(assignment_seconds=60)
    assign(fleet, arn, group_id, OTHER_ACCOUNT, "GROUP")
    fleet.leave(intents(ACCOUNT, "alice", "bob"))
    assert any("also gives its members" in each for each in fleet.run())
    assert not [call for call in fleet.mutations() if call.operation == "CreateGroupMembership"]


def elsewhere(fleet: FleetRehearsal) -> None:
    """Readers is held in another account by bob's group, by a group that was made by hand, and by a person."""
    fleet.provisioned(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "bob"))
    fleet.forget()
    (arn,) = fleet.instance.permission_sets
    assign(fleet, arn, group_by_hand(fleet, "Ops", MALLORY), OTHER_ACCOUNT, "GROUP")
    assign(fleet, arn, create_user(fleet, "dave@example.com"), OTHER_ACCOUNT)


WIDER = replace(readers(), managed_policies=frozenset({READ_ONLY, AUDIT}))


def test_a_set_that_changes_names_everybody_who_holds_it(fleet: FleetRehearsal) -> None:
    elsewhere(fleet)
    fleet.leave(intents(ACCOUNT, "alice", permission_set=WIDER))
    fleet.run(dry=True)
    group = f"iam-{OTHER_ACCOUNT}-Readers"
    told = {line.split(" get ")[0].removeprefix("! side-effect "): line for line in fleet.lines("!")}
    assert set(told) == {BOB, MALLORY, "dave@example.com"}
    assert told[BOB] == (
        f"! side-effect {BOB} get a changed permission set Readers in account {OTHER_ACCOUNT} through group {group}, "
        "by the change of permission set Readers: it may give them more, and there are no intents of them; only a "
        "reviewed plan (--plan) may do this"
    )
    details = [line.strip() for line in fleet.said if line.startswith("      ")]
    assert details == [
        f"+ AWS-managed policy: {AUDIT}",
        f"changes account {ACCOUNT}: group iam-{ACCOUNT}-Readers: {ALICE}",
        *sorted(
            [
                f"changes account {OTHER_ACCOUNT}: group Ops: {MALLORY}",
                f"changes account {OTHER_ACCOUNT}: group {group}: {BOB}",
            ],
            key=details.index,
        ),
        f"changes account {OTHER_ACCOUNT}: a direct assignment: dave@example.com",
    ]
    fleet.refuses("only a reviewed plan", fleet.run)
    plan_options = reviewed(fleet)
    assert fleet.run(plan_options=plan_options) == []
    assert fleet.run() == []
    assert fleet.mutations() == []


def test_a_set_that_shrinks_is_shown_and_needs_no_review(fleet: FleetRehearsal) -> None:
    fleet.provisioned(*(intents(each, "alice", permission_set=WIDER) for each in (ACCOUNT, OTHER_ACCOUNT)))
    fleet.forget()
    fleet.provisioned(intents(ACCOUNT, "alice"))
    (told,) = fleet.lines("!")
    assert told.startswith(
        f"! side-effect {ALICE} get a changed permission set Readers in account {OTHER_ACCOUNT}"
    )
    assert told.endswith("it gives them nothing more")


def test_an_earlier_form_that_is_provisioned_again_is_shown(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    fleet.attach(AUDIT)
    fleet.leave(intents(ACCOUNT, "alice", permission_set=WIDER))
    fleet.run(dry=True)
    assert f"  ~ provisioning   Readers in account {ACCOUNT}" in "\n".join(fleet.said)
    assert f"      changes account {ACCOUNT}: group iam-{ACCOUNT}-Readers: {ALICE}" in fleet.said


def test_who_is_refused_in_an_account_does_not_get_it_by_a_group_of_several(fleet: FleetRehearsal) -> None:
    all_of_s3 = allow("s3:*")
    fleet.leave(
        *(
            derived(account, holder(account, "alice", all_of_s3), group_by="people")
            for account in (ACCOUNT, OTHER_ACCOUNT)
        ),
        intents(
            OTHER_ACCOUNT, users=(holder(OTHER_ACCOUNT, "alice", who=person("mallory")),), accept=ACCEPT_ALL
        ),
    )
    failures = fleet.run()
    (told,) = [each for each in failures if f"user alice of account {ACCOUNT}" in each]
    assert re.search(rf"also gives iam-s3-\S+ in account {OTHER_ACCOUNT}, which the person is refused", told)
    assert fleet.mutations() == []


DENY = {**allow("s3:Delete*"), "Effect": "Deny"}


def inline(*statements: dict[str, Any]) -> PermissionSet:
    return replace(
        readers(), inline_policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    )


@pytest.mark.parametrize(
    ("present", "requested", "grows"),
    [
        pytest.param(readers(), readers(), False, id="same"),
        pytest.param(readers(), WIDER, True, id="a-policy-more"),
        pytest.param(WIDER, readers(), False, id="a-policy-less"),
        pytest.param(
            replace(readers(), managed_policies=frozenset({"arn:aws:iam::aws:policy/AWSDenyAll"})),
            replace(readers(), managed_policies=frozenset()),
            True,
            id="a-denying-policy-less",
        ),
        pytest.param(readers(), replace(readers(), session_duration="PT2H"), True, id="longer"),
        pytest.param(replace(readers(), session_duration="PT2H"), readers(), False, id="shorter"),
        pytest.param(readers(), replace(readers(), boundary="/Edge"), True, id="boundary"),
        pytest.param(readers(), replace(readers(), customer_policies=frozenset({"/T"})), True, id="customer"),
        pytest.param(readers(), inline(allow("s3:*")), True, id="statement-more"),
        pytest.param(inline(allow("s3:*")), readers(), False, id="statement-less"),
        pytest.param(inline(allow("s3:*"), DENY), inline(allow("s3:*")), True, id="deny-less"),
        pytest.param(inline(allow("s3:*")), inline(allow("s3:*"), DENY), False, id="deny-more"),
        pytest.param(replace(readers(), inline_policy="{"), readers(), True, id="not-readable"),
    ],
)
def test_what_may_give_more(present: PermissionSet, requested: PermissionSet, grows: bool) -> None:
    assert may_widen(requested, present) is grows
