# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from aws_local_org.identity_center import injected_faults
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.undo.only_access import ReadUsers, users_not_read
from c7n_iamusers.identity_center.undo.undoing import UndoOptions, undo
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal, pin
from tests.identity_center.planning.test_access_review import create_user

GROUP = f"iam-{ACCOUNT}-Readers"


@pytest.fixture
def result(fleet: FleetRehearsal) -> Path:
    """The result of a run for two people of one account, one of whom was there."""
    create_user(fleet, "alice@example.com")
    fleet.provisioned(intents(ACCOUNT, "alice", "bob"))
    (found,) = fleet.results()
    return found


def join(fleet: FleetRehearsal, user_id: str) -> None:
    (group_id,) = fleet.instance.store.groups
    fleet.org.client("identitystore").create_group_membership(
        IdentityStoreId=fleet.instance.store.id, GroupId=group_id, MemberId={"UserId": user_id}
    )


def incomplete(failures: list[str]) -> int:
    """How many objects the only failure says are kept."""
    (failure,) = failures
    found = re.match(r"the undo is not complete: (\d+) object", failure)
    assert found, failure
    return int(found[1])


def undone(result: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((result.parent / "undone.json").read_text())
    return found


def test_only_what_the_run_created_goes(fleet: FleetRehearsal, result: Path) -> None:
    assert fleet.undo(result) == []
    assert fleet.usernames() == {"alice@example.com"}
    assert (fleet.members(), fleet.assigned(), fleet.instance.permission_sets) == ({}, set(), {})
    assert fleet.said[-1] == "Undone: 6 of 6."
    assert len(undone(result)["removed"]) == 6


def test_a_later_run_is_not_undone_with_an_earlier_one(fleet: FleetRehearsal, result: Path) -> None:
    fleet.provisioned(intents(OTHER_ACCOUNT, "bob", set_name="Writers"))
    (_, second) = fleet.results()
    assert fleet.undo(second) == []
    assert fleet.members() == {GROUP: {"alice@example.com", "bob@example.com"}}
    assert fleet.assigned() == {(ACCOUNT, "Readers", GROUP)}


def test_a_dry_run(fleet: FleetRehearsal, result: Path) -> None:
    assert fleet.undo(result, dry=True) == []
    assert fleet.mutations() == []
    assert fleet.said[-1] == "Plan: 6 to delete, 0 kept."
    assert not (result.parent / "undone.json").exists()


def test_who_has_come_to_rely_on_it_keeps_it(fleet: FleetRehearsal, result: Path) -> None:
    join(fleet, create_user(fleet, "carol@example.com"))
    assert incomplete(fleet.undo(result)) == 6
    people = {f"{name}@example.com" for name in ("alice", "bob", "carol")}
    assert (fleet.members(), fleet.usernames()) == ({GROUP: people}, people)
    assert fleet.assigned() == {(ACCOUNT, "Readers", GROUP)}
    assert fleet.mutations() == []


def ids(fleet: FleetRehearsal) -> set[str]:
    """Of everything that has a name."""
    store = fleet.instance.store
    return {*store.users, *store.groups, *fleet.instance.permission_sets}


def test_a_plan_says_names_and_no_ids(fleet: FleetRehearsal, result: Path) -> None:
    known = ids(fleet)
    fleet.undo(result, dry=True)
    assert fleet.lines("-") == [
        *sorted(
            [f"- membership {name}@example.com in {GROUP}" for name in ("alice", "bob")],
            key=fleet.lines("-").index,
        ),
        f"- assignment {GROUP} -> Readers in account {ACCOUNT}",
        f"- group {GROUP}",
        "- permission set Readers",
        "- user bob@example.com",
    ]
    assert not [line for line in fleet.said for each in known if each in line]


def test_what_is_kept_says_names_and_no_ids(fleet: FleetRehearsal, result: Path) -> None:
    join(fleet, create_user(fleet, "carol@example.com"))
    known = ids(fleet)
    fleet.undo(result, dry=True, read_users=there(ALICE_ID))
    assert not [line for line in fleet.said for each in known if each in line]
    kept = fleet.lines("!")
    assert any(
        each.startswith(
            f"! kept membership bob@example.com in {GROUP}: IAM user arn:aws:iam::{ACCOUNT}:user/bob"
        )
        for each in kept
    )
    assert f"! kept assignment {GROUP} -> Readers in account {ACCOUNT}: its group has other members" in kept
    (people,) = [line for line in kept if line.startswith("! kept group")]
    assert "carol@example.com" in people
    fleet.undo(result, read_users=there(ALICE_ID))
    text = (result.parent / "undone.json").read_text()
    assert not [each for each in known if each in text]


def test_what_is_gone_has_the_name_that_the_run_gave_it(fleet: FleetRehearsal, result: Path) -> None:
    known = ids(fleet)
    fleet.delete_user("bob@example.com")
    fleet.undo(result, dry=True)
    assert not [line for line in fleet.said for each in known if each in line]


def test_accounts_go_by_their_names_where_these_are_known(fleet: FleetRehearsal, result: Path) -> None:
    said: list[str] = []
    accounts = {"production": ACCOUNT}
    name = f"identity-center-runs/{result.parent.name}/result.json"
    assert undo(fleet.store, name, fleet.center, said.append, None, UndoOptions(None, accounts)) == []
    assert f"  - assignment     {GROUP} -> Readers in account production ({ACCOUNT})" in said


def test_a_second_time_there_is_nothing_left(fleet: FleetRehearsal, result: Path) -> None:
    fleet.undo(result)
    assert fleet.undo(result) == []
    assert fleet.mutations() == []


def test_and_the_access_can_be_given_again(fleet: FleetRehearsal, result: Path) -> None:
    fleet.undo(result)
    assert fleet.run() == []
    assert fleet.assigned() == {(ACCOUNT, "Readers", GROUP)}


@pytest.mark.parametrize("number", range(1, 7))
def test_undoing_that_dies_anywhere_is_carried_on(fleet: FleetRehearsal, result: Path, number: int) -> None:
    fleet.killed(number, lambda: fleet.undo(result))
    assert fleet.undo(result) == []
    assert fleet.usernames() == {"alice@example.com"}
    assert (fleet.members(), fleet.assigned(), fleet.instance.permission_sets) == ({}, set(), {})


def test_a_deletion_that_fails_is_said_and_tried_again_by_the_next(
    fleet: FleetRehearsal, result: Path
) -> None:
    injected_faults.fail_next_deletion("Internal")
    failures = fleet.undo(result)
    assert any("DeleteAccountAssignment failed with FAILED: Internal" in each for each in failures)
    assert fleet.assigned() == {(ACCOUNT, "Readers", GROUP)}
    assert fleet.undo(result) == []
    assert fleet.assigned() == set()


def test_a_set_that_is_still_provisioned_for_a_moment(fleet: FleetRehearsal, result: Path) -> None:
    injected_faults.refuse_next("DeletePermissionSet", "ConflictException", times=2)
    assert fleet.undo(result) == []
    assert not fleet.instance.permission_sets


def test_a_result_of_another_instance(fleet: FleetRehearsal, result: Path) -> None:
    data = json.loads(result.read_text())
    result.write_text(json.dumps({**data, "instance": "arn:aws:sso:::instance/ssoins-other"}))
    pin(result)
    with pytest.raises(
        IdentityCenterError, match="belongs to instance arn:aws:sso:::instance/ssoins-other, not to"
    ):
        fleet.undo(result)
    assert fleet.mutations() == []


def there(*unique_ids: str, quarantined: Collection[str] = ()) -> ReadUsers:
    """IAM users of any account."""
    users = {**dict.fromkeys(unique_ids, ""), **dict.fromkeys(quarantined, "is quarantined")}

    def read_users(accounts: Iterable[str]) -> dict[str, Mapping[str, str] | str]:
        return dict.fromkeys(accounts, users)

    return read_users


ALICE_ID, BOB_ID = f"AIDA{ACCOUNT}ALICE", f"AIDA{ACCOUNT}BOB"


def test_whose_iam_user_is_there_still_has_another_way_in(fleet: FleetRehearsal, result: Path) -> None:
    assert fleet.undo(result, read_users=there(ALICE_ID, BOB_ID)) == []
    assert (fleet.members(), fleet.assigned()) == ({}, set())


def test_whose_iam_user_has_been_deleted_since_is_not_locked_out(fleet: FleetRehearsal, result: Path) -> None:
    assert incomplete(fleet.undo(result, read_users=there(ALICE_ID))) == 5
    assert fleet.members() == {GROUP: {"bob@example.com"}}
    assert fleet.assigned() == {(ACCOUNT, "Readers", GROUP)}
    assert "bob@example.com" in fleet.usernames()
    told = [line for line in fleet.said if "membership" in line and "! kept" in line]
    assert len(told) == 1
    assert f"IAM user arn:aws:iam::{ACCOUNT}:user/bob has been deleted" in told[0]
    assert "--lock-out" in told[0]
    assert fleet.undo(result) == []
    assert (fleet.members(), fleet.assigned()) == ({}, set())


def test_the_person_of_a_quarantined_iam_user_is_not_locked_out(fleet: FleetRehearsal, result: Path) -> None:
    read_users = there(ALICE_ID, quarantined=[BOB_ID])
    assert incomplete(fleet.undo(result, read_users=read_users)) == 5
    assert fleet.members() == {GROUP: {"bob@example.com"}}
    (told,) = (line for line in fleet.said if "membership" in line and "! kept" in line)
    assert f"IAM user arn:aws:iam::{ACCOUNT}:user/bob is quarantined" in told
    assert "--lock-out" in told


def test_a_user_of_the_same_name_is_another_one(fleet: FleetRehearsal, result: Path) -> None:
    fleet.undo(result, read_users=there(ALICE_ID, "AIDAANOTHERBOB"))
    assert fleet.members() == {GROUP: {"bob@example.com"}}


def test_who_holds_the_account_by_another_group_is_not_locked_out(
    fleet: FleetRehearsal, result: Path
) -> None:
    fleet.provisioned(intents(ACCOUNT, "bob", set_name="Writers"))
    assert incomplete(fleet.undo(result, read_users=there(ALICE_ID))) == 1
    assert GROUP not in fleet.members()
    assert "bob@example.com" in fleet.usernames()


def test_what_nobody_knows_keeps_access(fleet: FleetRehearsal, result: Path) -> None:
    assert incomplete(fleet.undo(result, read_users=users_not_read)) == 6
    assert fleet.mutations() == []
    assert sum("--lock-out" in line for line in fleet.said) == 2
