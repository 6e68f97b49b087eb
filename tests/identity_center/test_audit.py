# SPDX-License-Identifier: Apache-2.0
"""Everybody who holds anything, beyond those whom the intents are of."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.derivation.users import allow
from tests.derived import derived, holder
from tests.desired import intents, user
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import (
    ALICE,
    BOB,
    MALLORY,
    assign,
    create_user,
    join,
    set_by_hand,
    user_id,
)

READ_S3 = allow("s3:Get*")


def test_everybody_in_every_account_where_anything_of_ours_is(fleet: FleetRehearsal) -> None:
    fleet.provisioned(
        derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)),
        derived(OTHER_ACCOUNT, holder(OTHER_ACCOUNT, "bob", READ_S3)),
    )
    names = {account: group for account, _, group in fleet.assigned()}
    mallory = create_user(fleet, MALLORY)
    join(fleet, names[OTHER_ACCOUNT], mallory)
    admin = set_by_hand(fleet, "Admin", "arn:aws:iam::aws:policy/AdministratorAccess")
    assign(fleet, admin, mallory, ACCOUNT)
    fleet.leave_only(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    failures = fleet.audit()
    assert fleet.mutations() == []
    set_name = names[ACCOUNT].removesuffix(f"-{ACCOUNT}")
    of_other = f"{set_name} through group {names[OTHER_ACCOUNT]} (managed)"
    elsewhere = (
        f"in group {names[OTHER_ACCOUNT]} (account {OTHER_ACCOUNT}): it also gives account {OTHER_ACCOUNT}"
    )
    scope, *said = fleet.said
    assert scope.startswith(f"Scope of the verdicts in account {ACCOUNT}: trust policies not readable")
    assert said == [
        f"  = {ALICE} in account {ACCOUNT}: equal",
        f"  ? {MALLORY} in account {ACCOUNT}: nothing is requested for this person: holds Admin through a direct "
        "assignment",
        f"  ! {BOB} in account {OTHER_ACCOUNT}: nothing is requested for this person: holds {of_other}",
        f"  ! {MALLORY} in account {OTHER_ACCOUNT}: nothing is requested for this person: holds {of_other}",
        f"  ! {BOB} {elsewhere}, which has no intents here: run over all accounts",
        f"  ! {MALLORY} {elsewhere}, which has no intents here: run over all accounts",
        "Audit: 2 accounts, 4 people and accounts; 0 wider or undecided, 3 not among the intents, 2 unexpected members "
        "of managed groups, 0 deviations from the requested access, 0 users refused.",
    ]
    assert failures == [line.removeprefix("  ! ") for line in fleet.said if line.startswith("  ! ")]


def test_who_is_wider_is_the_audits_failure(fleet: FleetRehearsal) -> None:
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:*"))))
    fleet.run()
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    fleet.run()
    (failure,) = fleet.audit()
    assert failure.startswith(f"{ALICE} in account {ACCOUNT}: wider: also holds ")


def test_whom_everything_is_asked_for_is_no_failure(fleet: FleetRehearsal) -> None:
    fleet.provisioned(
        derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3), holder(ACCOUNT, "bob", READ_S3)),
        intents(OTHER_ACCOUNT, "alice"),
    )
    assert fleet.audit() == []
    assert not fleet.lines("!")


def assigned_by_hand(fleet: FleetRehearsal, username: str, account: str, ours: bool) -> None:
    users = {str(each.attributes["UserName"]): each.id for each in fleet.instance.store.users.values()}
    arn = (
        next(iter(fleet.instance.permission_sets))
        if ours
        else set_by_hand(fleet, "Admin", "arn:aws:iam::aws:policy/AdministratorAccess")
    )
    assign(fleet, arn, users.get(username) or create_user(fleet, username), account)


def in_a_group_by_hand(fleet: FleetRehearsal, account: str) -> None:
    """Mallory holds a set of ours through a group of somebody else's."""
    group_id = fleet.make_group("Theirs")
    join(fleet, "Theirs", create_user(fleet, MALLORY))
    assign(fleet, next(iter(fleet.instance.permission_sets)), group_id, account, "GROUP")


def joins_ours(fleet: FleetRehearsal, username: str, account: str) -> None:
    users = {str(each.attributes["UserName"]): each.id for each in fleet.instance.store.users.values()}
    names = {each: group for each, _, group in fleet.assigned()}
    join(fleet, names[account], users.get(username) or create_user(fleet, username))


@pytest.mark.parametrize(
    ("happens", "who", "told"),
    [
        pytest.param(
            lambda fleet: assigned_by_hand(fleet, ALICE, ACCOUNT, ours=False),
            f"{ALICE} in account {ACCOUNT}",
            "wider: also holds Admin through a direct assignment",
            id="a-direct-assignment",
        ),
        pytest.param(
            lambda fleet: assigned_by_hand(fleet, ALICE, OTHER_ACCOUNT, ours=False),
            f"{ALICE} in account {OTHER_ACCOUNT}",
            "no IAM user there is this person's: holds Admin through a direct assignment",
            id="a-direct-assignment-where-there-is-no-iam-user",
        ),
        pytest.param(
            lambda fleet: joins_ours(fleet, MALLORY, ACCOUNT),
            MALLORY,
            "find out who did",
            id="a-stranger-in-a-group-of-ours",
        ),
        pytest.param(
            lambda fleet: assigned_by_hand(fleet, MALLORY, ACCOUNT, ours=True),
            f"{MALLORY} in account {ACCOUNT}",
            "nothing is requested for this person: holds iam-",
            id="a-set-of-ours-by-hand",
        ),
        pytest.param(
            lambda fleet: in_a_group_by_hand(fleet, ACCOUNT),
            f"{MALLORY} in account {ACCOUNT}",
            "through group Theirs",
            id="a-set-of-ours-through-a-group-that-is-not",
        ),
    ],
)
def test_what_is_held_beyond_what_is_asked_for(
    fleet: FleetRehearsal, happens: Any, who: str, told: str
) -> None:
    fleet.provisioned(
        derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)),
        derived(OTHER_ACCOUNT, holder(OTHER_ACCOUNT, "bob", READ_S3)),
    )
    happens(fleet)
    failures = fleet.audit()
    assert any(each.startswith(who) and told in each for each in failures), failures
    assert [f"  ! {each}" for each in failures] == [each for each in fleet.said if each.startswith("  ! ")]


def test_somebody_elses_access_is_no_failure(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    admin = set_by_hand(fleet, "Admin", "arn:aws:iam::aws:policy/AdministratorAccess")
    assign(fleet, admin, create_user(fleet, MALLORY), ACCOUNT)
    assert fleet.audit() == []
    assert len(fleet.lines("?")) == 1


def test_a_former_group_that_gives_no_more_than_the_iam_user_could_do(fleet: FleetRehearsal) -> None:
    fleet.provisioned(
        derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3), holder(ACCOUNT, "bob", allow("s3:*")))
    )
    (narrow,) = (group for group, people in fleet.members().items() if people == {ALICE})
    join(fleet, narrow, user_id(fleet, BOB))
    assert fleet.audit() == []
    assert any(f"through group {narrow} (allows nothing that" in line for line in fleet.said)


def test_access_for_an_iam_user_that_is_gone(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3), holder(ACCOUNT, "bob", READ_S3)))
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    assert fleet.audit() == []
    assert any(BOB in line and "that have no intents now" in line for line in fleet.lines("="))


def test_a_member_of_an_earlier_run_who_holds_a_set_of_ours_by_hand_too(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3), holder(ACCOUNT, "bob", READ_S3)))
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    assigned_by_hand(fleet, BOB, ACCOUNT, ours=True)
    (failure,) = fleet.audit()
    assert failure.startswith(BOB)


def test_who_could_not_be_compared(fleet: FleetRehearsal) -> None:
    fleet.leave(
        intents(ACCOUNT, "alice"),
        intents(
            OTHER_ACCOUNT,
            set_name="Robots",
            users=(user(OTHER_ACCOUNT, "robot", None, "was not read again (here): account can't be read"),),
        ),
    )
    fleet.run()
    (failure,) = fleet.audit()
    assert failure.startswith(f"user robot of account {OTHER_ACCOUNT}: was not read again")


@pytest.mark.parametrize("ran", [False, True], ids=["nothing-was-ever-made", "something-was"])
def test_an_audit_of_nobody_is_no_clean_bill(fleet: FleetRehearsal, ran: bool) -> None:
    if ran:
        fleet.provisioned(intents(ACCOUNT, "alice"))
    fleet.leave_only(intents(OTHER_ACCOUNT))
    failures = fleet.audit()
    assert any("nothing was compared" in each for each in failures)


def test_no_intents_at_all(fleet: FleetRehearsal) -> None:
    fleet.output.mkdir()
    with pytest.raises(IdentityCenterError):
        fleet.audit()


THIRD = "777788889999"


def test_a_group_of_ours_that_was_assigned_elsewhere_by_hand(fleet: FleetRehearsal) -> None:
    """In an account that has nothing of ours, and of which there are no intents."""
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)), intents(OTHER_ACCOUNT, "bob"))
    names = {account: group for account, _, group in fleet.assigned()}
    admin = set_by_hand(fleet, "Admin", "arn:aws:iam::aws:policy/AdministratorAccess")
    assign(fleet, admin, fleet.group_id(names[ACCOUNT]), THIRD, "GROUP")
    failures = fleet.audit()
    assert any(f"also gives its members {admin} in account {THIRD}" in each for each in failures)
    assert any(each.startswith(f"{ALICE} in account {ACCOUNT}: could not be compared: ") for each in failures)
    assert not any(BOB in each for each in failures)


def test_a_group_of_ours_that_has_nothing_but_what_was_assigned_by_hand(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    fleet.make_group("left", f"Managed by c7n-iamusers for account {THIRD}")
    (failure,) = fleet.audit()
    assert failure.startswith("group left, which is managed, is not requested and has no members: run")
    admin = set_by_hand(fleet, "Admin", "arn:aws:iam::aws:policy/AdministratorAccess")
    assign(fleet, admin, fleet.group_id("left"), THIRD, "GROUP")
    (failure,) = fleet.audit()
    assert failure.startswith(f"group left, which is managed, has Admin in account {THIRD}")
    assert failure.endswith("find out who assigned it")
