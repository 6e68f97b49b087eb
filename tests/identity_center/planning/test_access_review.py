# SPDX-License-Identifier: Apache-2.0
"""What people end up holding: earlier groups, assignments by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.identity_center.requests.intents import Intents
from tests.access_center import ACCOUNT, AUDIT, OTHER_ACCOUNT, READ_ONLY
from tests.derivation.users import allow
from tests.derived import derived, holder
from tests.desired import holding, intents, person, readers
from tests.identity_center.fleet_rehearsal import FleetRehearsal, assert_wider, counted

ALL_OF_S3, READ_S3, EVERYTHING = allow("s3:*"), allow("s3:Get*"), allow("*")
ALICE, BOB, MALLORY = "alice@example.com", "bob@example.com", "mallory@example.com"
NO_LONGER = "no longer requested; provision prune --unrequested removes it"


def groups_of(fleet: FleetRehearsal, username: str) -> set[str]:
    return {group for group, people in fleet.members().items() if username in people}


def create_user(fleet: FleetRehearsal, username: str) -> str:
    created = fleet.org.client("identitystore").create_user(
        IdentityStoreId=fleet.instance.store.id,
        UserName=username,
        Name={"GivenName": "G", "FamilyName": "F"},
        DisplayName=username,
        Emails=[{"Value": username, "Primary": True}],
    )
    return str(created["UserId"])


def user_id(fleet: FleetRehearsal, username: str) -> str:
    users = fleet.instance.store.users.values()
    return next(each.id for each in users if each.attributes["UserName"] == username)


def join(fleet: FleetRehearsal, group: str, user: str) -> None:
    group_id = fleet.group_id(group)
    fleet.org.client("identitystore").create_group_membership(
        IdentityStoreId=fleet.instance.store.id, GroupId=group_id, MemberId={"UserId": user}
    )


def set_by_hand(fleet: FleetRehearsal, name: str, policy: str, inline: dict[str, Any] | None = None) -> str:
    client, arn = fleet.org.client("sso-admin"), fleet.instance.arn
    made = str(client.create_permission_set(InstanceArn=arn, Name=name)["PermissionSet"]["PermissionSetArn"])
    if inline:
        document = {"Version": "2012-10-17", "Statement": [inline]}
        client.put_inline_policy_to_permission_set(
            InstanceArn=arn, PermissionSetArn=made, InlinePolicy=json.dumps(document)
        )
    else:
        client.attach_managed_policy_to_permission_set(
            InstanceArn=arn, PermissionSetArn=made, ManagedPolicyArn=policy
        )
    return made


def assign(
    fleet: FleetRehearsal, permission_set: str, principal: str, account: str, kind: str = "USER"
) -> None:
    fleet.org.client("sso-admin").create_account_assignment(
        InstanceArn=fleet.instance.arn,
        TargetId=account,
        TargetType="AWS_ACCOUNT",
        PermissionSetArn=permission_set,
        PrincipalType=kind,
        PrincipalId=principal,
    )


def policy_in(fleet: FleetRehearsal, account: str, name: str, statement: dict[str, Any]) -> None:
    document = {"Version": "2012-10-17", "Statement": [statement]}
    fleet.org.client("iam", account).create_policy(PolicyName=name, PolicyDocument=json.dumps(document))


def definitions(fleet: FleetRehearsal) -> dict[str, object]:
    """Name -> all that each set is."""
    return {each.name: repr(each) for each in fleet.instance.permission_sets.values()}


def test_a_run_over_one_account_changes_nothing_for_another(fleet: FleetRehearsal) -> None:
    policy_in(fleet, ACCOUNT, "Team", ALL_OF_S3)
    of_a = derived(ACCOUNT, holder(ACCOUNT, "alice", attached=("Team",)), policies={"Team": ALL_OF_S3})
    fleet.provisioned(of_a, derived(OTHER_ACCOUNT, holder(OTHER_ACCOUNT, "bob", ALL_OF_S3)))
    before = definitions(fleet)
    assert len(before) == 2
    policy_in(fleet, OTHER_ACCOUNT, "Team", EVERYTHING)
    fleet.forget()
    fleet.provisioned(of_a)
    assert fleet.mutations() == []
    assert definitions(fleet) == before


def test_account_by_account(fleet: FleetRehearsal) -> None:
    policy_in(fleet, ACCOUNT, "Team", ALL_OF_S3)
    fleet.provisioned(
        derived(ACCOUNT, holder(ACCOUNT, "alice", attached=("Team",)), policies={"Team": ALL_OF_S3})
    )
    fleet.provisioned(derived(OTHER_ACCOUNT, holder(OTHER_ACCOUNT, "bob", ALL_OF_S3)))
    assert len(fleet.assigned()) == 2


def test_two_policies_that_differ_in_session_duration(fleet: FleetRehearsal) -> None:
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", ALL_OF_S3), session_duration="PT1H"))
    second = derived(OTHER_ACCOUNT, holder(OTHER_ACCOUNT, "bob", ALL_OF_S3), session_duration="PT8H")
    fleet.provisioned(second)
    assert len(fleet.instance.permission_sets) == 2


def shrunk(fleet: FleetRehearsal) -> tuple[str, str]:
    """Alice had all of S3, and has but reads now; her groups then and now."""
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", ALL_OF_S3)))
    (old,) = groups_of(fleet, ALICE)
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    failures = fleet.run()
    assert_wider(failures)
    assert failures[0].endswith(
        "no intents request it any more: run provision prune --unrequested, which ends it where requested access "
        "replaces it"
    )
    (new,) = groups_of(fleet, ALICE) - {old}
    return old, new


def test_who_shrank_and_still_holds_the_old_set_is_wider(fleet: FleetRehearsal) -> None:
    old, new = shrunk(fleet)
    assert groups_of(fleet, ALICE) == {old, new}
    old_set = old.removesuffix(f"-{ACCOUNT}")
    for _ in range(2):
        assert_wider(fleet.run())
        assert fleet.mutations() == []
        assert fleet.lines("-") == [
            f"- membership {ALICE} in {old} ({NO_LONGER})",
            f"- assignment {old} -> {old_set} in account {ACCOUNT} ({NO_LONGER})",
            f"- group {old} ({NO_LONGER})",
            f"- permission set {old_set} ({NO_LONGER})",
        ]
        (told,) = fleet.lines("!")
        assert told == (
            f"! total {ALICE} in account {ACCOUNT}: wider: also holds {old_set} through group {old} (managed; no "
            "longer requested)"
        )
    row = json.loads(
        (fleet.output / ACCOUNT / "us-east-1/provision-derived/identity-center-result.json").read_text()
    )["users"][0]
    assert f"; wider: also holds {old_set} through group {old}" in row["reason"]


def test_pruning_takes_the_old_set_after_the_new_one_is_held(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", ALL_OF_S3)))
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)), prune=True)
    operations = [call.operation for call in fleet.mutations()]
    assert operations.index("CreateGroupMembership") < operations.index("DeleteGroupMembership")
    assert operations[-3] == "DeleteAccountAssignment"
    assert set(operations[-2:]) == {"DeleteGroup", "DeletePermissionSet"}
    assert len(fleet.assigned()) == len(fleet.members()) == len(fleet.instance.permission_sets) == 1
    assert fleet.run() == []
    assert (fleet.lines("-"), fleet.lines("!"), fleet.mutations()) == ([], [], [])


def test_a_dry_run_shows_what_pruning_would_take(fleet: FleetRehearsal) -> None:
    shrunk(fleet)
    fleet.run(dry=True, prune=True)
    assert [line.split(" ")[1] for line in fleet.lines("-")] == [
        "membership",
        "assignment",
        "group",
        "permission",
    ]
    assert [line.strip() for line in fleet.said if line.startswith("      ")] == [
        f"loses {fleet.lines('-')[3].split()[-1]} in account {ACCOUNT}"
    ]
    assert "4 to remove" in fleet.said[-1]
    assert not fleet.lines("!")


def test_whom_a_corrected_tag_leaves_behind_goes_by_pruning(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", EVERYTHING, who=person("mallory"))))
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", EVERYTHING)))
    (group,) = fleet.members()
    assert fleet.lines("-") == [f"- membership {MALLORY} in {group} ({NO_LONGER})"]
    assert fleet.run(prune=True) == []
    assert fleet.members() == {group: {ALICE}}


def test_whoever_was_put_there_by_hand_is_told_of_and_left(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    (group,) = fleet.members()
    join(fleet, group, create_user(fleet, MALLORY))
    assert fleet.run(prune=True) == []
    assert fleet.mutations() == []
    (told,) = fleet.lines("!")
    assert told.startswith(
        f"! unexpected {MALLORY} in group {group} (account {ACCOUNT}): the membership is not requested"
    )
    assert fleet.run(prune=True, lock_out=True) == []
    assert fleet.members() == {group: {ALICE}}


def test_pruning_does_not_lock_out_whose_iam_user_is_gone(fleet: FleetRehearsal) -> None:
    both = [holder(ACCOUNT, name, READ_S3) for name in ("alice", "bob")]
    fleet.provisioned(derived(ACCOUNT, *both))
    fleet.provisioned(derived(ACCOUNT, both[0]), prune=True)
    assert fleet.mutations() == []
    assert groups_of(fleet, BOB)
    (told,) = fleet.lines("=")
    assert told.startswith(f"= former {BOB} in group ")
    assert "it may be the only access of their people" in told


def test_a_direct_assignment_by_hand_is_named_and_never_removed(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    assign(
        fleet,
        set_by_hand(fleet, "Admin", "arn:aws:iam::aws:policy/AdministratorAccess"),
        user_id(fleet, ALICE),
        ACCOUNT,
    )
    assert_wider(fleet.run(prune=True, lock_out=True))
    assert fleet.mutations() == []
    assert fleet.lines("!") == [
        f"! total {ALICE} in account {ACCOUNT}: wider: also holds Admin through a direct assignment (not "
        "managed by c7n-iamusers)"
    ]
    assert fleet.said[-2].endswith(", 1 wider.")


@pytest.mark.parametrize(
    ("inline", "wider"),
    [
        pytest.param(allow("s3:GetObject"), False, id="within-what-the-user-may-do"),
        pytest.param(allow("s3:PutObject"), True, id="beyond"),
    ],
)
def test_somebody_elses_group_counts_by_what_it_grants(
    fleet: FleetRehearsal, inline: dict[str, Any], wider: bool
) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    group_id = fleet.make_group("Everybody", "By hand")
    join(fleet, "Everybody", user_id(fleet, ALICE))
    assign(fleet, set_by_hand(fleet, "Theirs", "", inline), group_id, ACCOUNT, "GROUP")
    fleet.run()
    (told,) = fleet.lines("!")
    assert ("wider: also holds Theirs through group Everybody" in told) is wider
    assert ("equal: also holds Theirs" in told) is not wider


def test_a_group_that_also_gives_another_account_is_not_taken_by_a_run_over_one(
    fleet: FleetRehearsal,
) -> None:
    users = [holder(account, "alice", ALL_OF_S3) for account in (ACCOUNT, OTHER_ACCOUNT)]
    options: dict[str, Any] = {"group_by": "people"}
    fleet.provisioned(derived(ACCOUNT, users[0], **options), derived(OTHER_ACCOUNT, users[1], **options))
    fleet.leave_only(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3), **options))
    assert_wider(fleet.run(prune=True))
    assert not [call for call in fleet.mutations() if call.operation.startswith("Delete")]
    told = [line for line in fleet.lines("!") if line.startswith("! unexpected")]
    assert len(told) == 1
    assert f"it also gives account {OTHER_ACCOUNT}, which has no intents here" in told[0]


def test_what_is_asked_for_by_name_is_compared_too(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    fleet.forget()
    writers = replace(readers("Writers"), managed_policies=frozenset({AUDIT}))
    fleet.leave(holding(intents(ACCOUNT, "alice", set_name="Writers", permission_set=writers), AUDIT))
    assert_wider(fleet.run())
    (told,) = fleet.lines("!")
    assert f"wider: also holds Readers through group iam-{ACCOUNT}-Readers (managed" in told
    assert fleet.run(prune=True) == []
    assert groups_of(fleet, ALICE) == {f"iam-{ACCOUNT}-Writers"}


def test_an_external_groups_strangers_get_no_account(fleet: FleetRehearsal) -> None:
    name = f"iam-{ACCOUNT}-Readers"
    fleet.make_group(name)
    for each in (ALICE, MALLORY):
        join(fleet, name, create_user(fleet, each))
    fleet.leave(intents(ACCOUNT, "alice", external=True))
    (failure,) = fleet.run()
    assert "member(s) who are not among this run's users" in failure
    assert fleet.mutations() == []
    fleet.provisioned(intents(ACCOUNT, "alice", external=True, shared_group=True))
    assert len(fleet.assigned()) == 1


ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def test_people_whose_users_are_gone_are_one_line_a_group(fleet: FleetRehearsal) -> None:
    users = [holder(ACCOUNT, f"u{number:02}", READ_S3) for number in range(60)]
    fleet.provisioned(derived(ACCOUNT, *users))
    fleet.provisioned(derived(ACCOUNT, users[0]))
    (told,) = fleet.lines("=")
    assert "u01@example.com, u02@example.com, u03@example.com and 56 more in group" in told
    assert not [call for call in fleet.org.calls if call.operation == "DescribeUser"][2:]


@pytest.mark.parametrize("number", range(1, 5))
def test_pruning_that_dies_anywhere_is_carried_on(fleet: FleetRehearsal, number: int) -> None:
    shrunk(fleet)
    fleet.killed(number, lambda: fleet.run(prune=True))
    assert fleet.run(prune=True) == []
    assert len(fleet.assigned()) == len(fleet.members()) == len(fleet.instance.permission_sets) == 1
    assert fleet.run(prune=True) == []
    assert (fleet.lines("-"), fleet.mutations()) == ([], [])


def left_over(fleet: FleetRehearsal) -> tuple[str, str]:
    """The group and the set of alice, whose last assignment a run removed before it was killed."""
    old, _ = shrunk(fleet)
    fleet.killed(2, lambda: fleet.run(prune=True))
    return old, old.removesuffix(f"-{ACCOUNT}")


def test_what_an_interrupted_pruning_left_is_shown_and_removed(
    fleet: FleetRehearsal,
) -> None:
    group, name = left_over(fleet)
    fleet.run(dry=True, prune=True)
    assert fleet.lines("-") == [f"- group {group}", f"- permission set {name}"]
    assert fleet.run() == []
    assert (fleet.lines("-"), fleet.mutations()) == ([], [])
    assert fleet.run(prune=True) == []
    assert {call.operation for call in fleet.mutations()} == {"DeleteGroup", "DeletePermissionSet"}


def test_a_leftover_of_others_or_of_another_account_stays(
    fleet: FleetRehearsal,
) -> None:
    left_over(fleet)
    set_by_hand(fleet, "iam-by-hand", READ_ONLY)
    fleet.make_group("iam-elsewhere", f"Managed by c7n-iamusers for account {OTHER_ACCOUNT}")
    assert fleet.run(prune=True) == []
    assert "iam-elsewhere" in fleet.members()
    assert "iam-by-hand" in {each.name for each in fleet.instance.permission_sets.values()}


def test_looking_for_leftovers_takes_a_call_a_set(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    for number in range(5):
        set_by_hand(fleet, f"By-hand-{number}", READ_ONLY)
    fleet.run()
    before = counted(fleet.org.calls)
    fleet.run(prune=True)
    more = {name: count - before.get(name, 0) for name, count in counted(fleet.org.calls).items()}
    assert {name: count for name, count in more.items() if count} == {
        "ListPermissionSets": 1,
        # with the lock of the run
        "ListTagsForResource": 6,
        "ListGroups": 1,
    }


@pytest.mark.parametrize("adopted", [False, True], ids=["by-hand", "adopted-by-a-run"])
def test_a_membership_that_somebody_made_anew_is_theirs(fleet: FleetRehearsal, adopted: bool) -> None:
    both = intents(ACCOUNT, "bob"), intents(ACCOUNT, "bob", set_name="Auditors")
    fleet.provisioned(*both)
    group = f"iam-{ACCOUNT}-Readers"
    join(fleet, group, fleet.remove_member(group, BOB))
    if adopted:
        assert fleet.run() == []
    fleet.forget()
    fleet.provisioned(both[1], prune=True)
    assert fleet.members().get(group, set()) == (set() if adopted else {"bob@example.com"})
    assert any("no run with results here made it" in each for each in fleet.lines("!")) is not adopted


def test_what_a_set_gives_that_others_made_under_a_requested_name_is_theirs(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "ann", "bob"))
    group, arn = f"iam-{ACCOUNT}-Readers", next(iter(fleet.instance.permission_sets))
    (found,) = fleet.instance.assignments
    client = fleet.org.client("sso-admin")
    given = {"InstanceArn": fleet.instance.arn, "PermissionSetArn": arn}
    fleet.unassign(ACCOUNT, arn, found.principal_id)
    client.list_instances()
    client.delete_permission_set(**given)
    assign(fleet, set_by_hand(fleet, "Readers", AUDIT), found.principal_id, ACCOUNT, "GROUP")
    fleet.leave_only(intents(ACCOUNT, "ann"))
    fleet.run(prune=True, lock_out=True)
    assert fleet.members() == {group: {"ann@example.com", "bob@example.com"}}


ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def of_alice(*given: str, **changes: Any) -> Intents:
    """Intents of IAM users of alice, all of whom the people file names."""
    found = intents(ACCOUNT, *given, **changes)
    return replace(found, users=tuple(replace(u, person=person("alice"), on_file=True) for u in found.users))


def admins(*given: str, **changes: Any) -> Intents:
    found = of_alice(*given, set_name="Admins", policy="admins", place=f"{ACCOUNT}/admins", **changes)
    assert found.permission_set
    made = replace(found.permission_set, managed_policies=frozenset({ADMINISTRATOR}))
    return replace(found, permission_set=made)


@pytest.mark.parametrize("shared", [{}, {"group": "admins", "shared_group": True}], ids=["own", "shared"])
def test_access_that_replaces_a_deleted_user_of_the_person_is_not_more(
    fleet: FleetRehearsal, shared: dict[str, Any]
) -> None:
    reader = holding(of_alice("reader"), READ_ONLY)
    fleet.provisioned(admins("admin", **shared), reader)
    fleet.forget()
    fleet.provisioned(reader)
    group = shared.get("group", f"iam-{ACCOUNT}-Admins")
    (total,) = (line for line in fleet.said if " also holds " in line)
    assert f"{ALICE} in account {ACCOUNT}: equal: also holds Admins through group {group} (former:" in total
    # that nobody requests what a run assigned to a shared group is a finding by itself
    left = [each.partition(" ")[0] for each in fleet.audit()]
    assert left == (["assignment"] if shared else [])


def test_access_that_a_remaining_user_of_the_membership_lost_is_more(fleet: FleetRehearsal) -> None:
    """A run made the membership for two users. One is left, and has less now."""
    fleet.provisioned(admins("admin", "reader"))
    fleet.leave_only(holding(of_alice("reader"), READ_ONLY))
    (failure,) = fleet.run()
    assert "also holds Admins" in failure
