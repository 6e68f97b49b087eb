# SPDX-License-Identifier: Apache-2.0
"""What was ended, and made anew by hand, is others', however often runs and undos made and ended it before."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.applying.assignment_history import AssignmentHistory, UndoStep
from c7n_iamusers.identity_center.requests.intents import Intents
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents
from tests.identity_center.applying.test_memberships_made_anew import existing
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import assign

ASSIGNED = "g-1", model.Assignment(ACCOUNT, "ps-1")
NOBODYS, REQUESTED, OURS = (False, False), (True, False), (True, True)
STILL, BY_RUN, BY_UNDO = None, False, True


@pytest.mark.pure
@pytest.mark.parametrize(
    ("events", "counts", "gone"),
    [
        pytest.param("made", OURS, STILL, id="made"),
        pytest.param("other requested", REQUESTED, STILL, id="requested"),
        pytest.param("made removed", NOBODYS, BY_RUN, id="removed"),
        pytest.param("made ended", NOBODYS, BY_UNDO, id="ended-by-an-undo"),
        pytest.param("made ended made", OURS, BY_UNDO, id="made-by-another-run"),
        pytest.param("made ended requested", REQUESTED, BY_UNDO, id="requested-after-its-end"),
        pytest.param("made removed restored", OURS, STILL, id="restored"),
        pytest.param("made removed restored removed", NOBODYS, BY_RUN, id="removed-again"),
        pytest.param("made removed restored removed restored", OURS, STILL, id="restored-again"),
        pytest.param("made removed restored ended", NOBODYS, BY_UNDO, id="restored-and-ended"),
        pytest.param(
            "made removed made removed restored", OURS, BY_RUN, id="that-of-another-run-is-restored"
        ),
        pytest.param("removed made", OURS, STILL, id="removed-before"),
        pytest.param("removed made ended restored", OURS, BY_UNDO, id="what-was-removed-before-is-restored"),
        pytest.param("made removed-and-made", NOBODYS, BY_RUN, id="removed-and-made-by-one-run"),
        pytest.param("made removed-made-and-requested", REQUESTED, BY_RUN, id="requested-by-that-run-too"),
    ],
)
def test_by_what_became_of_it(events: str, counts: tuple[bool, bool], gone: bool | None) -> None:
    """``gone``: of the first run that made or requested it."""
    listed = events.split()
    first = next(number for number, each in enumerate(listed) if each in ("made", "other", "requested"))
    found, removal = AssignmentHistory(time(first)), ""
    for number, event in enumerate(listed):
        if event in ("ended", "restored"):
            step = UndoStep(f"2026112900000{number}500000", ASSIGNED, removal if event == "restored" else "")
            found.add_step(step)
            continue
        if "removed" in event:
            removal = time(number)
        found.add_run(
            time(number),
            *({ASSIGNED} if each in event else set() for each in ("made", "removed", "requested")),
        )
    assert (ASSIGNED in found.known, ASSIGNED in found.made) == counts
    assert found.gone.get(ASSIGNED) is gone


def time(number: int) -> str:
    """Of the run with that number."""
    return f"20261129T00000{number}.000000Z"


def shared(account: str) -> Intents:
    fields: dict[str, Any] = {"group": "Sales", "shared_group": True, "policy": "shared"}
    return intents(account, "bob", **fields, place=f"{account}/shared")


@pytest.mark.parametrize("prunings", [1, 2])
@pytest.mark.parametrize("by_undo", [False, True], ids=["prune", "undo"])
def test_what_an_administrator_assigns_after_the_last_pruning_stays(
    fleet: FleetRehearsal, prunings: int, by_undo: bool
) -> None:
    fleet.provisioned(shared(ACCOUNT))
    fleet.provisioned(shared(OTHER_ACCOUNT))
    of_run = fleet.results()[-1]
    fleet.forget()
    fleet.provisioned(shared(ACCOUNT), intents(OTHER_ACCOUNT, "bob"), prune=True)
    for _ in range(prunings - 1):
        assert fleet.undo(fleet.results()[-1]) == []
        assert (OTHER_ACCOUNT, "Readers", "Sales") in fleet.assigned()
        assert fleet.run(prune=True) == []
    assert (OTHER_ACCOUNT, "Readers", "Sales") not in fleet.assigned()
    arn = fleet.set_arn()
    group_id = fleet.group_id("Sales")
    assign(fleet, arn, group_id, OTHER_ACCOUNT, "GROUP")
    if by_undo:
        (failure,) = fleet.undo(of_run, read_users=existing("bob"))
        assert failure.startswith("the undo is not complete")
        assert any("a later run removed the run's" in line for line in fleet.lines("!"))
    else:
        fleet.run(prune=True)
    assert (OTHER_ACCOUNT, "Readers", "Sales") in fleet.assigned()


def test_an_undo_ends_what_it_restored_itself(fleet: FleetRehearsal) -> None:
    """An undo of the pruning brought back what the run had made."""
    fleet.provisioned(shared(ACCOUNT))
    fleet.provisioned(shared(OTHER_ACCOUNT))
    of_run = fleet.results()[-1]
    fleet.forget()
    fleet.provisioned(shared(ACCOUNT), intents(OTHER_ACCOUNT, "bob"), prune=True)
    assert fleet.undo(fleet.results()[-1]) == []
    assert (OTHER_ACCOUNT, "Readers", "Sales") in fleet.assigned()
    assert fleet.undo(of_run) == []
    assert (OTHER_ACCOUNT, "Readers", "Sales") not in fleet.assigned()


def test_what_is_assigned_to_an_own_group_after_an_undo_is_others(fleet: FleetRehearsal) -> None:
    """The undo ended the assignment, and the group stays, since others had assigned it more."""
    fleet.provisioned(intents(ACCOUNT, "ann"), intents(OTHER_ACCOUNT, "bob"))
    arn = fleet.set_arn()
    group_id = fleet.group_id(f"iam-{ACCOUNT}-Readers")
    assign(fleet, arn, group_id, OTHER_ACCOUNT, "GROUP")
    fleet.undo(fleet.results()[-1])
    assert (ACCOUNT, "Readers", f"iam-{ACCOUNT}-Readers") not in fleet.assigned()
    fleet.unassign(OTHER_ACCOUNT, arn, group_id)
    assign(fleet, arn, group_id, ACCOUNT, "GROUP")
    fleet.leave_only(intents(OTHER_ACCOUNT, "bob"), intents(ACCOUNT, "ann", set_name="Writers"))
    fleet.run(prune=True, lock_out=True)
    assert fleet.members()[f"iam-{ACCOUNT}-Readers"] == {"ann@example.com"}
