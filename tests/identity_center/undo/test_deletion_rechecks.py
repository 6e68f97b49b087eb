# SPDX-License-Identifier: Apache-2.0
"""What others did between a run and its undo, and while the undo asks whether to go on: nobody gets or loses more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.identity_center.applying.run_records import run_of_result
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.identity_center.undo.undoing import UndoOptions, undo
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import (
    ALICE,
    BOB,
    assign,
    create_user,
    join,
    set_by_hand,
)
from tests.identity_center.undo.test_undoing import GROUP, incomplete, undone

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
CAROL = "carol@example.com"
Happening = Callable[[FleetRehearsal], object]


def ran(fleet: FleetRehearsal, *found: Intents, prune: bool = False, lock_out: bool = False) -> Path:
    """The result of a run over these intents alone."""
    fleet.forget()
    fleet.provisioned(*found, prune=prune, lock_out=lock_out)
    return fleet.results()[-1]


def shared(account: str, *names: str) -> Intents:
    given: dict[str, Any] = {"group": "Sales", "shared_group": True, "policy": "shared"}
    return intents(account, *names, **given, place=f"{account}/shared")


def group_is_assigned(fleet: FleetRehearsal) -> None:
    assign(fleet, set_by_hand(fleet, "Theirs", ADMIN), fleet.group_id(GROUP), ACCOUNT, "GROUP")


def set_is_widened(fleet: FleetRehearsal) -> None:
    fleet.attach(ADMIN)


def set_is_widened_and_provisioned(fleet: FleetRehearsal) -> None:
    set_is_widened(fleet)
    fleet.provision_set()


def nothing(_fleet: FleetRehearsal) -> None:
    """Nobody else does anything."""


def undone_after(fleet: FleetRehearsal, result: Path, happens: Happening) -> list[str]:
    """The failures of an undo, while whose question to a person something happens."""

    def accepted() -> bool:
        happens(fleet)
        return True

    fleet.said = []
    _, name = run_of_result(str(result))
    asks = UndoOptions(None, accepted=accepted)
    return undo(fleet.store, name, fleet.center, fleet.said.append, fleet.options(), asks)


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        pytest.param(nothing, "", id="nothing"),
        pytest.param(group_is_assigned, "its group gives other access than before", id="group-assigned"),
        pytest.param(set_is_widened, "its group gives other access than before", id="set-widened"),
        pytest.param(
            set_is_widened_and_provisioned, "its group gives other access than before", id="set-provisioned"
        ),
    ],
)
def test_who_comes_back_gets_no_more_than_the_plan_says(
    fleet: FleetRehearsal, happens: Happening, reason: str
) -> None:
    ran(fleet, intents(ACCOUNT, "alice", "bob"))
    result = ran(fleet, intents(ACCOUNT, "alice"), prune=True, lock_out=True)
    failures = undone_after(fleet, result, happens)
    assert fleet.members() == {GROUP: {ALICE} if reason else {ALICE, BOB}}
    assert [f"membership {BOB} in {GROUP} is not restored: {reason}" in each for each in failures] == (
        [True] if reason else []
    )
    assert f"      gains Readers in account {ACCOUNT}" in fleet.said


def test_an_assignment_comes_back_by_no_other_permission_set(fleet: FleetRehearsal) -> None:
    ran(fleet, shared(ACCOUNT, "bob"), shared(OTHER_ACCOUNT, "bob"))
    result = ran(fleet, shared(ACCOUNT, "bob"), intents(OTHER_ACCOUNT, "bob"), prune=True)
    assert (OTHER_ACCOUNT, "Readers", "Sales") not in fleet.assigned()
    failures = undone_after(fleet, result, set_is_widened)
    assert any(
        "is not restored: its permission set no longer exists, or has changed" in each for each in failures
    )
    assert (OTHER_ACCOUNT, "Readers", "Sales") not in fleet.assigned()


@pytest.mark.parametrize("group", [GROUP, "Sales"], ids=["of-its-people", "shared"])
def test_what_an_account_had_of_an_earlier_form_does_not_come_back_wider(
    fleet: FleetRehearsal, group: str
) -> None:
    """The permission set is widened and not provisioned: the account has it as it was."""
    first = intents(ACCOUNT, "bob") if group == GROUP else shared(ACCOUNT, "bob")
    ran(fleet, first)
    set_is_widened(fleet)
    then = intents(ACCOUNT, "bob", set_name="Auditors")
    result = ran(fleet, then, prune=True, lock_out=True)
    told = f"no undo restores it: account {ACCOUNT} has permission set Readers in an earlier form"
    assert any(told in each for each in fleet.said)
    assert incomplete(fleet.undo(result)) == 1
    (line,) = fleet.lines("!")
    assert f"account {ACCOUNT} had an earlier form of it before the run" in line
    assert (ACCOUNT, "Readers", group) not in fleet.assigned()


def made_by_others(fleet: FleetRehearsal) -> None:
    fleet.make_group("Sales", "Sales")


@pytest.mark.parametrize("before", [nothing, made_by_others], ids=["ours", "of-others"])
@pytest.mark.parametrize("since", ["nobody", "before-the-plan", "after-the-plan"])
def test_who_joined_a_shared_group_keeps_what_the_run_assigned(
    fleet: FleetRehearsal, before: Happening, since: str
) -> None:
    before(fleet)
    ran(fleet, shared(ACCOUNT, "bob"))
    result = ran(fleet, shared(ACCOUNT, "bob"), shared(OTHER_ACCOUNT, "bob"))

    def joins() -> None:
        join(fleet, "Sales", create_user(fleet, CAROL))

    def say(line: str) -> None:
        if since == "after-the-plan" and line.startswith("Plan:"):
            joins()

    if since == "before-the-plan":
        joins()
    failures = fleet.undo(result, say=say)
    assert len(failures) == (since != "nobody")
    assert ((OTHER_ACCOUNT, "Readers", "Sales") in fleet.assigned()) == (since != "nobody")


def test_a_second_undo_ends_nothing_that_others_assigned_after_the_first(fleet: FleetRehearsal) -> None:
    ran(fleet, shared(ACCOUNT, "bob"))
    both = shared(ACCOUNT, "bob"), shared(OTHER_ACCOUNT, "bob")
    result = ran(fleet, *both, intents(OTHER_ACCOUNT, "ann", set_name="Auditors"))
    join(fleet, f"iam-{OTHER_ACCOUNT}-Auditors", create_user(fleet, CAROL))
    assert incomplete(fleet.undo(result)) == 5
    given = (OTHER_ACCOUNT, "Readers", "Sales")
    assert given not in fleet.assigned()
    assign(fleet, fleet.set_arn(), fleet.group_id("Sales"), OTHER_ACCOUNT, "GROUP")
    assert incomplete(fleet.undo(result)) == 5
    assert given in fleet.assigned()
    (line,) = (each for each in fleet.lines("!") if "Sales" in each)
    assert "an earlier undo ended the run's" in line
    assert undone(result)["complete"] is False
    assert fleet.mutations() == []


def test_what_others_assigned_after_a_pruning_is_not_the_earlier_runs(fleet: FleetRehearsal) -> None:
    ran(fleet, shared(ACCOUNT, "bob"))
    result = ran(fleet, shared(ACCOUNT, "bob"), shared(OTHER_ACCOUNT, "bob"))
    ran(fleet, shared(ACCOUNT, "bob"), intents(OTHER_ACCOUNT, "bob"), prune=True)
    given = (OTHER_ACCOUNT, "Readers", "Sales")
    assert given not in fleet.assigned()
    assign(fleet, fleet.set_arn(), fleet.group_id("Sales"), OTHER_ACCOUNT, "GROUP")
    assert incomplete(fleet.undo(result)) == 1
    assert given in fleet.assigned()
