# SPDX-License-Identifier: Apache-2.0
"""Undoing what pruning took: it comes back as it was, and nobody to more than was taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from aws_local_org.identity_center import injected_faults
from c7n_iamusers.identity_center.model import MANAGED_GROUP
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, READ_ONLY
from tests.derivation.users import allow
from tests.derived import derived, holder, policy_arn
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import (
    FleetRehearsal,
    assert_wider,
    counted,
    pin,
    provision_earlier_form,
)
from tests.identity_center.planning.test_access_review import (
    ALICE,
    MALLORY,
    assign,
    create_user,
    groups_of,
    join,
    policy_in,
)
from tests.identity_center.undo.test_undoing import incomplete
from tests.interference import after_change, on_call

READ_S3, TEAM, BOUND = allow("s3:Get*"), allow("sqs:*"), allow("*")
NEW_ROLE = "a new permission set: its role in each account has a new name"


def shrunk_from_everything(fleet: FleetRehearsal) -> tuple[str, str]:
    """Alice had inline, customer- and AWS-managed policies and a boundary, and has but reads now: both groups."""
    policies = {"Team": TEAM, "Bound": BOUND}
    for name, statement in policies.items():
        policy_in(fleet, ACCOUNT, name, statement)
    had = holder(ACCOUNT, "alice", allow("s3:*"), attached=("Team", READ_ONLY))
    assert had.detail
    bound = {"PermissionsBoundaryArn": policy_arn(ACCOUNT, "Bound"), "PermissionsBoundaryType": "Policy"}
    had.detail["PermissionsBoundary"] = bound  # type: ignore[index]
    fleet.provisioned(derived(ACCOUNT, had, policies=policies, session_duration="PT4H"))
    (old,) = groups_of(fleet, ALICE)
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    assert_wider(fleet.run())
    (new,) = groups_of(fleet, ALICE) - {old}
    return old, new


def content(fleet: FleetRehearsal) -> dict[str, dict[str, Any]]:
    """Name -> all that each set is, but for its ARN and the time it was made."""
    own = ("arn", "created")
    return {
        each.name: {key: value for key, value in vars(each).items() if key not in own}
        for each in fleet.instance.permission_sets.values()
    }


State = tuple[object, ...]


def held(fleet: FleetRehearsal) -> State:
    descriptions = {
        str(each.attributes["DisplayName"]): each.attributes.get("Description")
        for each in fleet.instance.store.groups.values()
    }
    return fleet.members(), fleet.assigned(), content(fleet), descriptions


def pruned(fleet: FleetRehearsal) -> tuple[State, Path]:
    """What was held before a pruning, and its result."""
    shrunk_from_everything(fleet)
    before = held(fleet)
    assert fleet.run(prune=True) == []
    assert held(fleet) != before
    return before, fleet.results()[-1]


def test_what_pruning_took_comes_back_as_it_was(fleet: FleetRehearsal) -> None:
    before, result = pruned(fleet)
    assert fleet.undo(result) == []
    assert held(fleet) == before
    (old,) = [each for each in content(fleet).values() if each["customer_policies"]]
    assert old["inline_policy"]
    assert old["boundary"]
    assert old["session_duration"] == "PT4H"
    operations = [call.operation for call in fleet.mutations()]
    assert operations[-2:] == ["CreateAccountAssignment", "CreateGroupMembership"]
    assert len(json.loads((result.parent / "undone.json").read_text())["returned"]) == 4


def test_the_plan_says_what_is_new(fleet: FleetRehearsal) -> None:
    _, result = pruned(fleet)
    assert fleet.undo(result, dry=True) == []
    assert fleet.mutations() == []
    assert [line.split()[1] for line in fleet.lines("+")] == [
        "permission",
        "group",
        "assignment",
        "membership",
    ]
    assert any(NEW_ROLE in line for line in fleet.said)
    assert any("a new group id" in line for line in fleet.said)
    assert fleet.said[-1] == "Plan: 4 to restore, 0 to delete, 0 kept."


def test_a_second_undo_finds_everything_there(fleet: FleetRehearsal) -> None:
    before, result = pruned(fleet)
    fleet.undo(result)
    assert fleet.undo(result) == []
    assert (fleet.mutations(), held(fleet)) == ([], before)


@pytest.mark.parametrize("number", range(1, 5))
def test_a_pruning_that_died_anywhere_comes_back_whole(fleet: FleetRehearsal, number: int) -> None:
    shrunk_from_everything(fleet)
    before = held(fleet)
    fleet.killed(number, lambda: fleet.run(prune=True))
    assert fleet.run(prune=True) == []
    assert fleet.undo(fleet.results()[-1]) == []
    assert held(fleet) == before


@pytest.mark.parametrize("number", range(1, 9))
def test_an_undo_that_dies_anywhere_is_carried_on(fleet: FleetRehearsal, number: int) -> None:
    before, result = pruned(fleet)
    fleet.killed(number, lambda: fleet.undo(result))
    assert fleet.undo(result) == []
    assert held(fleet) == before


@pytest.mark.parametrize("number", range(1, 9))
def test_an_answer_that_is_lost_makes_nothing_twice(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before, result = pruned(fleet)
    with monkeypatch.context() as patch:
        after_change(patch, number, ConnectionClosedError(endpoint_url="https://sso"))
        assert fleet.undo(result) == []
    assert held(fleet) == before


def test_the_old_comes_back_before_the_new_goes(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:*"))))
    before = held(fleet)
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)), prune=True)
    assert fleet.undo(fleet.results()[-1]) == []
    assert held(fleet) == before
    operations = [call.operation for call in fleet.mutations()]
    assert operations.index("CreateGroupMembership") < operations.index("DeleteGroupMembership")


def test_who_can_not_get_the_old_back_by_a_failure_keeps_the_new(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:*"))))
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)), prune=True)
    injected_faults.fail_next_assignment("The role quota of the account is exceeded")
    assert fleet.undo(fleet.results()[-1])
    assert len(groups_of(fleet, ALICE)) == 1
    assert fleet.undo(fleet.results()[-1]) == []
    assert len(groups_of(fleet, ALICE)) == 1


def test_what_the_same_run_made_and_took_was_nobodys_before(
    fleet: FleetRehearsal,
) -> None:
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:*"))))
    fleet.killed(6)
    assert groups_of(fleet, ALICE)
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)), prune=True, lock_out=True)
    assert fleet.undo(fleet.results()[-1]) == []
    assert (fleet.members(), fleet.assigned(), fleet.usernames()) == ({}, set(), set())


@pytest.mark.parametrize("number", range(1, 5))
def test_what_a_carried_on_run_took_and_made_again_stays(fleet: FleetRehearsal, number: int) -> None:
    """Alice shrinks, a pruning is killed, she has everything again, and the run that carries it on is undone."""
    grown = derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:*")))
    fleet.leave(grown)
    fleet.run()
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    fleet.run()
    before = held(fleet)
    fleet.killed(number, lambda: fleet.run(prune=True))
    fleet.provisioned(grown)
    assert fleet.undo(fleet.results()[-1]) == []
    assert held(fleet) == before


def with_one_member_less(fleet: FleetRehearsal) -> tuple[str, Path]:
    """Alice stays in the group that mallory was taken out of; the group, and the result of that."""
    fleet.provisioned(
        derived(
            ACCOUNT,
            holder(ACCOUNT, "alice", READ_S3),
            holder(ACCOUNT, "mallory", READ_S3),
        )
    )
    (group,) = fleet.members()
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)), prune=True, lock_out=True)
    assert fleet.members() == {group: {ALICE}}
    return group, fleet.results()[-1]


def test_a_membership_of_a_group_that_stays(fleet: FleetRehearsal) -> None:
    group, result = with_one_member_less(fleet)
    assert fleet.undo(result) == []
    assert fleet.members() == {group: {ALICE, MALLORY}}


def widen(fleet: FleetRehearsal, _group: str) -> None:
    (arn,) = fleet.instance.permission_sets
    fleet.org.client("sso-admin").attach_managed_policy_to_permission_set(
        InstanceArn=fleet.instance.arn,
        PermissionSetArn=arn,
        ManagedPolicyArn="arn:aws:iam::aws:policy/AdministratorAccess",
    )


def provision_wider(fleet: FleetRehearsal, _group: str) -> None:
    (arn,) = fleet.instance.permission_sets
    provision_earlier_form(fleet, arn)


def assign_elsewhere(fleet: FleetRehearsal, _group: str) -> None:
    (arn,) = fleet.instance.permission_sets
    (group_id,) = fleet.instance.store.groups
    assign(fleet, arn, group_id, OTHER_ACCOUNT, "GROUP")


def delete_user(fleet: FleetRehearsal, _group: str) -> None:
    fleet.delete_user(MALLORY)
    create_user(fleet, MALLORY)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(widen, f"its group gives other access than before, in account {ACCOUNT}", id="set-grew"),
        pytest.param(
            provision_wider, f"account {ACCOUNT} has an earlier form", id="role-is-of-an-earlier-form"
        ),
        pytest.param(assign_elsewhere, f"than before, in account {OTHER_ACCOUNT}", id="group-gives-more"),
        pytest.param(delete_user, "its user no longer exists", id="another-user-of-the-name"),
    ],
)
def test_nobody_comes_back_to_more(
    fleet: FleetRehearsal, change: Callable[[FleetRehearsal, str], None], reason: str
) -> None:
    group, result = with_one_member_less(fleet)
    change(fleet, group)
    fleet.undo(result)
    assert fleet.members() == {group: {ALICE}}
    (told,) = fleet.lines("!")
    assert told.startswith(f"! kept membership {MALLORY} in {group}: can't be restored: ")
    assert reason in told


def test_an_assignment_of_an_earlier_form_does_not_come_back(fleet: FleetRehearsal) -> None:
    """Another group still has the permission set in the account, where its role is an administrator by now."""
    fleet.provisioned(intents(ACCOUNT, "alice", group="Old"))
    fleet.forget()
    fleet.provisioned(intents(ACCOUNT, "alice", group="New"), prune=True)
    assert fleet.members() == {"New": {ALICE}}
    provision_earlier_form(fleet, next(iter(fleet.instance.permission_sets)))
    fleet.undo(fleet.results()[-1])
    assert (ACCOUNT, "Readers", "Old") not in fleet.assigned()
    assert any(f"account {ACCOUNT} has an earlier form" in line for line in fleet.lines("!"))


def make_group(fleet: FleetRehearsal, name: str, description: str, *members: str) -> None:
    fleet.make_group(name, description)
    for each in members:
        join(fleet, name, each)


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        pytest.param("Mine", "another group has its name", id="of-somebody-else"),
        pytest.param(
            f"{MANAGED_GROUP} for account {ACCOUNT}", "people have joined the group since", id="joined-since"
        ),
    ],
)
def test_a_group_of_the_name_that_others_are_in_is_assigned_nothing(
    fleet: FleetRehearsal, description: str, reason: str
) -> None:
    old, _ = shrunk_from_everything(fleet)
    fleet.run(prune=True)
    result = fleet.results()[-1]
    make_group(fleet, old, description, create_user(fleet, MALLORY))
    assigned = fleet.assigned()
    fleet.undo(result)
    assert fleet.assigned() == assigned
    assert any(reason in line for line in fleet.lines("!"))


def test_a_set_of_the_name_that_gives_something_else_is_not_assigned(fleet: FleetRehearsal) -> None:
    old, _ = shrunk_from_everything(fleet)
    fleet.run(prune=True)
    result = fleet.results()[-1]
    client, name = fleet.org.client("sso-admin"), old.removesuffix(f"-{ACCOUNT}")
    client.create_permission_set(InstanceArn=fleet.instance.arn, Name=name)
    assigned = fleet.assigned()
    fleet.undo(result)
    assert fleet.assigned() == assigned
    assert any("so it was not made by c7n-iamusers" in line for line in fleet.lines("!"))


def test_the_record_is_in_the_journal_before_the_call(fleet: FleetRehearsal) -> None:
    _, result = pruned(fleet)
    lines = [json.loads(line) for line in (result.parent / "journal.jsonl").read_text().splitlines()]
    kinds = [line["notes"]["removed"]["kind"] for line in lines if "notes" in line]
    assert sorted(kinds) == ["assignment", "group", "membership", "permission set"]
    assert all(line["phase"] == "before" for line in lines if "notes" in line)
    assert counted(fleet.mutations())["DeleteGroupMembership"] == 1


@pytest.mark.parametrize("mode", [0o666, 0o660], ids=["by-everybody", "by-a-group"])
@pytest.mark.parametrize("of", ["result.json", "journal.jsonl", "."])
@pytest.mark.parametrize("number", [0, -1], ids=["a-run-that-created", "a-run-that-removed"])
def test_what_others_can_write_is_not_undone(fleet: FleetRehearsal, of: str, number: int, mode: int) -> None:
    pruned(fleet)
    result = fleet.results()[number]
    path = result.parent / of
    path.chmod(mode | (0o111 if path.is_dir() else 0))
    fleet.refuses("can be written by other users", fleet.undo, result)


def forged(result: Path, *rows: dict[str, Any]) -> None:
    """Somebody has changed what the run removed, in the result and in the journal."""
    data = json.loads(result.read_text())
    result.write_text(json.dumps({**data, "removed": list(rows)}))
    lines = [
        {
            "phase": "before",
            "operation": "Delete",
            "parameters": {"number": number},
            "notes": {"removed": row},
        }
        for number, row in enumerate(rows)
    ]
    (result.parent / "journal.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    pin(result)


def test_nobody_is_put_into_a_group_that_is_not_ours(fleet: FleetRehearsal) -> None:
    _, result = pruned(fleet)
    mallory = create_user(fleet, MALLORY)
    make_group(fleet, "Admins", "By hand")
    admins = fleet.group_id("Admins")
    row = {
        "group": "Admins",
        "group-id": admins,
        "id": "m-1",
        "user-id": mallory,
        "username": MALLORY,
        "gives": [],
    }
    forged(result, {"kind": "membership", **row})
    assert incomplete(fleet.undo(result)) == 1
    assert fleet.mutations() == []
    assert fleet.lines("!") == [
        f"! kept membership {MALLORY} in Admins: can't be restored: its group no longer exists, or is not managed"
    ]


def test_what_comes_back_is_shown(fleet: FleetRehearsal) -> None:
    fleet.provisioned(
        derived(ACCOUNT, holder(ACCOUNT, "alice", attached=("arn:aws:iam::aws:policy/AdministratorAccess",)))
    )
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)), prune=True)
    fleet.undo(fleet.results()[-1], dry=True)
    assert fleet.lines("+")[0].endswith("ADMINISTRATOR by AdministratorAccess")
    assert "      AWS-managed policy: arn:aws:iam::aws:policy/AdministratorAccess" in fleet.said


def test_a_set_or_group_without_our_mark_was_removed_by_no_run(fleet: FleetRehearsal) -> None:
    _, result = pruned(fleet)
    rows = json.loads(result.read_text())["removed"]
    for row in rows:
        if row["kind"] == "permission set":
            row["settings"]["tags"] = {}
        if row["kind"] == "group":
            row["description"] = "By hand"
    forged(result, *rows)
    assert incomplete(fleet.undo(result)) == 4
    assert fleet.mutations() == []
    assert len(fleet.lines("!")) == 4


def test_records_that_are_none(fleet: FleetRehearsal) -> None:
    _, result = pruned(fleet)
    forged(result, {"kind": "membership"})
    fleet.refuses(r"result\.removed\[0\] lacks gives, group", fleet.undo, result)


@pytest.mark.parametrize(
    ("description", "joined", "comes_back"),
    [
        pytest.param(f"{MANAGED_GROUP} for account {ACCOUNT}", True, False, id="joined"),
        pytest.param("Mine", False, False, id="of-somebody-else"),
        pytest.param(f"{MANAGED_GROUP} for account {ACCOUNT}", False, True, id="ours-and-unused"),
    ],
)
def test_who_joins_a_group_while_it_comes_back_gains_nothing(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, description: str, joined: bool, comes_back: bool
) -> None:
    old, _ = shrunk_from_everything(fleet)
    before = fleet.assigned()
    fleet.run(prune=True)
    assigned, done = fleet.assigned(), list[str]()

    def makes() -> None:
        if not done:
            done.append(old)
            make_group(fleet, old, description, *([create_user(fleet, MALLORY)] if joined else []))

    with monkeypatch.context() as patch:
        on_call(patch, "CreateGroup", makes)
        failures = fleet.undo(fleet.results()[-1])
    assert (bool(failures), fleet.assigned()) == (not comes_back, before if comes_back else assigned)
    assert comes_back or "was created by others in the meantime" in " ".join(map(str, failures))


def test_who_joins_a_group_that_was_made_again_gains_nothing(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = shrunk_from_everything(fleet)
    fleet.run(prune=True)
    assigned, done = fleet.assigned(), list[str]()

    def joins() -> None:
        if not done and old in fleet.members():
            done.append(old)
            join(fleet, old, create_user(fleet, MALLORY))

    with monkeypatch.context() as patch:
        on_call(patch, "ListGroupMemberships", joins)
        (failure,) = fleet.undo(fleet.results()[-1])
    assert "people have joined the group since it was read" in failure
    assert fleet.assigned() == assigned
