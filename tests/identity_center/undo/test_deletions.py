# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center.model import UNKNOWN_ASSIGNMENT, Assignment, KnownGroup
from c7n_iamusers.identity_center.object_records import (
    Created,
    CreatedSet,
    CreatedState,
    CreatedUser,
)
from c7n_iamusers.identity_center.planning.operations import REMOVING
from c7n_iamusers.identity_center.undo.deletions import differ, plan_undo
from c7n_iamusers.identity_center.undo.undo_plan import UndoPlan
from c7n_iamusers.plugins.provisioning_settings import PERMISSIONS
from tests.access_center import ACCOUNT, INSTANCE, OTHER_ACCOUNT, SET_ARN, WANTED, known_set

USER: dict[str, Any] = {
    "UserName": "alice",
    "DisplayName": "Alice",
    "Name": {"GivenName": "A", "FamilyName": "L"},
    "Emails": [{"Value": "alice@example.com", "Type": "work", "Primary": True}],
}
GROUP = {"DisplayName": "readers", "Description": "Managed by c7n-iamusers for account 1"}
ASSIGNED = {"TargetId": ACCOUNT, "PermissionSetArn": SET_ARN, "PrincipalType": "GROUP", "PrincipalId": "g"}
CREATED = (
    Created("permission set", SET_ARN, {"Name": "Migrated"}),
    Created("group", "g", GROUP),
    Created("assignment", "", ASSIGNED),
    Created("user", "u", USER),
    Created("membership", "m", {"GroupId": "g", "MemberId": {"UserId": "u"}}),
)
OWN, FURTHER = Assignment(ACCOUNT, SET_ARN), Assignment(OTHER_ACCOUNT, SET_ARN)
READERS = KnownGroup("g", "readers", GROUP["Description"], frozenset({"u"}), frozenset({OWN}))
ALICE = CreatedUser("u", {**USER, "UserStatus": "ENABLED"}, frozenset({"g"}))
SET = CreatedSet(known_set(accounts=frozenset({ACCOUNT})), frozenset({(ACCOUNT, "g")}))
WHOLE = CreatedState(CREATED, {1: READERS}, {3: ALICE}, {0: SET}, {("g", "u"): "m"}, {"g": frozenset({OWN})})


def undone(state: CreatedState) -> UndoPlan:
    return plan_undo(state, {"Migrated": WANTED}, INSTANCE, before={"g": ()})


def deleted(state: CreatedState) -> list[str]:
    return [call.operation for change in undone(state).changes for call in change.calls]


EVERYTHING = [
    "DeleteGroupMembership",
    "DeleteAccountAssignment",
    "DeleteGroup",
    "DeletePermissionSet",
    "DeleteUser",
]


def test_all_of_it_goes_in_an_order_that_aws_takes() -> None:
    found = undone(WHOLE)
    assert deleted(WHOLE) == EVERYTHING
    assert found.kept == ()
    keys = [change.key for change in found.changes]
    assert all(keys.index(need) < keys.index(change.key) for change in found.changes for need in change.needs)
    by_kind = {change.kind: change for change in found.changes}
    assert len(by_kind["group"].needs) == 2
    calls = [call for change in found.changes for call in change.calls]
    made = {f"{call.service.removesuffix('-admin')}:{call.operation}" for call in calls}
    polled = {f"sso:{call.wait.operation}" for call in calls if call.wait}
    assert made | polled <= {*REMOVING, *PERMISSIONS}
    assert by_kind["assignment"].calls[0].wait is not None


THEIRS = {"g", SET_ARN}


@pytest.mark.parametrize(
    ("changes", "goes", "reasons"),
    [
        pytest.param(
            {"unmanaged": frozenset({"g"})},
            EVERYTHING,
            [],
            id="a-shared-group-with-a-set-of-ours",
        ),
        pytest.param(
            {"unmanaged": frozenset({"g"}), "assignments": {}},
            [],
            ["its group is not managed, and has no managed permission set"],
            id="a-group-of-theirs",
        ),
        pytest.param(
            {"unmanaged": frozenset({SET_ARN})},
            ["DeleteGroupMembership", "DeleteUser"],
            ["its permission set is not managed", "it has been assigned since"],
            id="a-set-of-theirs",
        ),
        pytest.param(
            {"memberships": {("g", "u"): "another"}},
            [],
            ["it was recreated since", "its group has other members"],
            id="another-membership",
        ),
        pytest.param(
            {"created": (*CREATED[:-1], replace(CREATED[-1], identifier=""))},
            EVERYTHING,
            [],
            id="a-membership-whose-id-no-answer-told",
        ),
        pytest.param(
            {"groups": {}, "members": {"g": frozenset({"u", "later"})}},
            ["DeleteGroupMembership", "DeleteUser"],
            ["its group has other members"],
            id="a-group-that-others-are-in-and-that-the-run-only-assigned",
        ),
        pytest.param(
            {"groups": {}, "members": {"g": frozenset({"u"})}},
            ["DeleteGroupMembership", "DeleteAccountAssignment", "DeletePermissionSet", "DeleteUser"],
            [],
            id="a-group-that-nobody-else-has-joined",
        ),
    ],
)
def test_what_identity_center_bears_out(changes: dict[str, Any], goes: list[str], reasons: list[str]) -> None:
    state = replace(WHOLE, **changes)
    assert deleted(state) == goes
    told = "; ".join(kept.reason for kept in undone(state).kept)
    assert all(reason in told for reason in reasons)


@pytest.mark.parametrize(
    ("identifier", "present", "counts"),
    [
        pytest.param("m", {("g", "u"): "m"}, {"m"}, id="of-the-run"),
        pytest.param("", {("g", "u"): "m"}, {"m"}, id="whose-id-no-answer-told"),
        pytest.param("m", {("g", "u"): "another"}, set(), id="recreated-by-others"),
        pytest.param("m", {}, set(), id="gone"),
    ],
)
def test_the_memberships_of_the_run_that_are_there(identifier: str, present: Any, counts: set[str]) -> None:
    created = (*CREATED[:-1], replace(CREATED[-1], identifier=identifier))
    assert undone(replace(WHOLE, created=created, memberships=present)).basis.memberships == counts


def test_what_is_gone_needs_no_deletion() -> None:
    assert deleted(CreatedState(CREATED)) == []


def test_what_the_run_did_not_create_is_not_even_looked_at() -> None:
    only_membership = CreatedState(CREATED[4:], memberships={("g", "u"): "m"})
    assert deleted(only_membership) == ["DeleteGroupMembership"]


@pytest.mark.parametrize(
    ("changes", "stays", "reason"),
    [
        pytest.param(
            {"groups": {1: replace(READERS, members=frozenset({"u", "new"}))}},
            EVERYTHING,
            "it has other members (new)",
            id="newcomers-keep-their-access",
        ),
        pytest.param(
            {"groups": {1: replace(READERS, assignments=frozenset({OWN, FURTHER}))}},
            ["DeleteGroupMembership", "DeleteGroup", "DeleteUser"],
            f"it has been assigned since ({SET_ARN} in account {OTHER_ACCOUNT})",
            id="group-assigned-elsewhere",
        ),
        pytest.param(
            {"groups": {1: replace(READERS, description="Mine now")}},
            ["DeleteGroupMembership", "DeleteGroup", "DeleteUser"],
            "its name or description",
            id="group-renamed",
        ),
        pytest.param(
            {"permission_sets": {0: replace(SET, holders=frozenset({(ACCOUNT, "g"), (OTHER_ACCOUNT, "x")}))}},
            ["DeletePermissionSet"],
            f"it has been assigned since (in account {OTHER_ACCOUNT})",
            id="set-assigned-elsewhere",
        ),
        pytest.param(
            {"permission_sets": {0: replace(SET, known=known_set(replace(WANTED, session_duration="PT8H")))}},
            ["DeletePermissionSet"],
            "its settings have changed",
            id="set-changed",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, groups=frozenset({"g", "other"}))}},
            ["DeleteUser"],
            "it is in groups that stay (other)",
            id="user-in-other-groups",
        ),
        pytest.param(
            {"groups": {1: replace(READERS, assignments=frozenset({OWN, UNKNOWN_ASSIGNMENT}))}},
            ["DeleteGroupMembership", "DeleteGroup", "DeleteUser"],
            "it is not known whether it has been assigned since: only the management account",
            id="assignments-of-the-group-not-listed",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, assignments=frozenset({UNKNOWN_ASSIGNMENT}))}},
            ["DeleteUser"],
            "it is not known whether it has direct assignments: only the management account",
            id="assignments-of-the-user-not-listed",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, assignments=frozenset({OWN}))}},
            ["DeleteUser"],
            "direct assignments",
            id="user-assigned-directly",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, attributes={**USER, "DisplayName": "Alicia"})}},
            ["DeleteUser"],
            "it has changed",
            id="user-renamed",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, attributes={**USER, "Title": "Director"})}},
            ["DeleteUser"],
            "it has changed",
            id="user-with-a-title",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, attributes={**USER, "PhoneNumbers": [{"Value": "+49 1"}]})}},
            ["DeleteUser"],
            "it has changed",
            id="user-with-a-phone",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, attributes={**USER, "Extensions": {"aws:x": {"y": 1}}})}},
            ["DeleteUser"],
            "it has changed",
            id="user-with-what-is-not-known",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, attributes={**USER, "Name": {**USER["Name"], "MiddleName": "B"}})}},
            ["DeleteUser"],
            "it has changed",
            id="user-with-a-middle-name",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, attributes={**USER, "ExternalIds": [{"Issuer": "i", "Id": "1"}]})}},
            ["DeleteUser"],
            "it has changed",
            id="user-of-an-identity-provider-by-now",
        ),
    ],
)
def test_what_changed_since_stays(changes: dict[str, Any], stays: list[str], reason: str) -> None:
    state = replace(WHOLE, **changes)
    assert deleted(state) == [operation for operation in EVERYTHING if operation not in stays]
    assert len(undone(state).kept) == len(stays)
    assert reason in " ".join(kept.reason for kept in undone(state).kept)


def test_what_identity_center_itself_adds_to_a_user_is_no_change() -> None:
    name = {**USER["Name"], "Formatted": "Alice Example", "MiddleName": ""}
    more = {"UserId": "u", "IdentityStoreId": "d-1", "UserStatus": "ENABLED", "CreatedBy": "x", "Title": ""}
    state = replace(WHOLE, users={3: replace(ALICE, attributes={**USER, **more, "Name": name})})
    assert deleted(state) == list(EVERYTHING)


EARLIER_GROUP = replace(
    WHOLE,
    created=CREATED[3:],
    groups={},
    users={0: ALICE},
    permission_sets={},
    assignments={"g": frozenset({OWN, FURTHER})},
)


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        pytest.param({"g": (OWN, FURTHER)}, "", id="as-before-the-run"),
        pytest.param({"g": (OWN,)}, "it has been assigned since", id="assigned-since"),
        pytest.param({}, "does not have what it gave before", id="not-recorded"),
    ],
)
def test_a_membership_of_a_group_that_existed_before(before: Any, reason: str) -> None:
    found = plan_undo(EARLIER_GROUP, {}, INSTANCE, before=before)
    operations = [call.operation for change in found.changes for call in change.calls]
    assert operations == ([] if reason else ["DeleteGroupMembership", "DeleteUser"])
    assert reason in " ".join(each.reason for each in found.kept)


def test_what_neither_the_run_nor_the_undo_could_list_counts_as_used() -> None:
    state = replace(EARLIER_GROUP, assignments={"g": frozenset({OWN, UNKNOWN_ASSIGNMENT})})
    found = plan_undo(state, {}, INSTANCE, before={"g": (OWN, UNKNOWN_ASSIGNMENT)})
    assert found.changes == ()
    assert "it is not known whether it has been assigned since" in found.kept[0].reason


def test_who_keeps_a_membership_against_a_lockout_keeps_nobody_else_in() -> None:
    bob = Created("membership", "n", {"GroupId": "g", "MemberId": {"UserId": "b"}})
    state = replace(
        WHOLE,
        created=(*CREATED, bob),
        groups={1: replace(READERS, members=frozenset({"u", "b"}))},
        memberships={("g", "u"): "m", ("g", "b"): "n"},
    )
    found = plan_undo(state, {"Migrated": WANTED}, INSTANCE, {("g", "b"): "no other access"})
    assert [change.key for change in found.changes] == ["membership g/u", "user u"]


def test_a_set_that_the_run_failed_to_complete_goes() -> None:
    bare = known_set(replace(WANTED, managed_policies=frozenset(), inline_policy=""))
    assert "DeletePermissionSet" in deleted(replace(WHOLE, permission_sets={0: CreatedSet(bare)}))


def test_a_name_that_other_systems_complete_is_no_change() -> None:
    formatted = {**USER, "Name": {"GivenName": "A", "FamilyName": "L", "Formatted": "A L"}}
    assert deleted(replace(WHOLE, users={3: replace(ALICE, attributes=formatted)})) == EVERYTHING


ASKED = PermissionSet(
    "Readers",
    "what they read",
    "PT2H",
    "https://console.aws.amazon.com",
    frozenset({"arn:aws:iam::aws:policy/ReadOnlyAccess"}),
    "{}",
    {"Team": "a"},
    frozenset({"/team/Auditor"}),
    "arn:aws:iam::aws:policy/PowerUserAccess",
)
LESS = {
    "managed_policies": frozenset(),
    "inline_policy": "",
    "tags": {},
    "customer_policies": frozenset(),
    "boundary": "",
}


@pytest.mark.whole
@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        pytest.param({}, False, id="the-same"),
        *(pytest.param({name: value}, False, id=f"no-{name}-yet") for name, value in LESS.items()),
        pytest.param({"session_duration": "PT120M"}, False, id="the-same-duration"),
        pytest.param({"managed_policies": ASKED.managed_policies | {"arn:x"}}, True, id="managed-policy"),
        pytest.param({"customer_policies": ASKED.customer_policies | {"/x"}}, True, id="customer-policy"),
        pytest.param({"inline_policy": '{"a": 1}'}, True, id="inline-policy"),
        pytest.param({"boundary": "arn:x"}, True, id="boundary"),
        pytest.param({"session_duration": "PT3H"}, True, id="duration"),
        pytest.param({"description": "others"}, True, id="description"),
        pytest.param({"relay_state": "https://example.com"}, True, id="relay-state"),
        pytest.param({"tags": {"Team": "b"}}, True, id="tag"),
        pytest.param({"tags": {"Team": "a", "Owner": "b"}}, True, id="further-tag"),
    ],
)
def test_a_set_differs_by_what_nobody_requested(changed: dict[str, Any], differs: bool) -> None:
    assert differ(ASKED, replace(ASKED, **changed)) is differs
