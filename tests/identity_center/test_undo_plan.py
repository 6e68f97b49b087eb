# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.identity_center.created import Created, Standing, StandingSet, StandingUser, UndoPlan
from c7n_iamusers.identity_center.model import Assignment, KnownGroup
from c7n_iamusers.identity_center.undo_plan import plan_undo
from tests.access_center import ACCOUNT, INSTANCE, OTHER_ACCOUNT, SET_ARN, WANTED, known_set

USER = {
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
ALICE = StandingUser("u", {**USER, "UserStatus": "ENABLED"}, frozenset({"g"}))
SET = StandingSet(known_set(accounts=frozenset({ACCOUNT})), frozenset({(ACCOUNT, "g")}))
WHOLE = Standing(CREATED, {1: READERS}, {3: ALICE}, {0: SET}, {("g", "u"): "m"}, {"g": frozenset({OWN})})


def undone(standing: Standing) -> UndoPlan:
    return plan_undo(standing, {"Migrated": WANTED}, INSTANCE)


def deleted(standing: Standing) -> list[str]:
    return [call.operation for change in undone(standing).changes for call in change.calls]


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
    assert by_kind["assignment"].calls[0].wait is not None


THEIRS = {"g", SET_ARN}


@pytest.mark.parametrize(
    ("changes", "goes", "reasons"),
    [
        pytest.param(
            {"foreign": frozenset({"g"})},
            EVERYTHING,
            [],
            id="a-shared-group-with-a-set-of-ours",
        ),
        pytest.param(
            {"foreign": frozenset({"g"}), "assignments": {}},
            [],
            ["its group is not ours, and has no set of ours"],
            id="a-group-of-theirs",
        ),
        pytest.param(
            {"foreign": frozenset({SET_ARN})},
            ["DeleteGroupMembership", "DeleteUser"],
            ["its permission set is not ours", "it has been assigned since"],
            id="a-set-of-theirs",
        ),
        pytest.param(
            {"memberships": {("g", "u"): "another"}},
            [],
            ["it was made anew since", "people rely on the group"],
            id="another-membership",
        ),
        pytest.param(
            {"groups": {}, "members": {"g": frozenset({"u", "later"})}},
            ["DeleteGroupMembership", "DeleteUser"],
            ["people rely on the group"],
            id="a-group-that-others-have-joined-and-that-the-run-only-assigned",
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
    standing = replace(WHOLE, **changes)
    assert deleted(standing) == goes
    told = "; ".join(kept.reason for kept in undone(standing).kept)
    assert all(reason in told for reason in reasons)


def test_what_is_gone_needs_no_deletion() -> None:
    assert deleted(Standing(CREATED)) == []


def test_what_the_run_did_not_create_is_not_even_looked_at() -> None:
    only_membership = Standing(CREATED[4:], memberships={("g", "u"): "m"})
    assert deleted(only_membership) == ["DeleteGroupMembership"]


@pytest.mark.parametrize(
    ("changes", "stays", "reason"),
    [
        pytest.param(
            {"groups": {1: replace(READERS, members=frozenset({"u", "new"}))}},
            ["DeleteAccountAssignment", "DeleteGroup", "DeletePermissionSet"],
            "people rely on it (new)",
            id="newcomers-keep-their-access",
        ),
        pytest.param(
            {"groups": {1: replace(READERS, assignments=frozenset({OWN, FURTHER}))}},
            ["DeleteGroup"],
            "it has been assigned since",
            id="group-assigned-elsewhere",
        ),
        pytest.param(
            {"groups": {1: replace(READERS, description="Mine now")}},
            ["DeleteGroup"],
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
            "its settings have been changed since",
            id="set-changed",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, groups=frozenset({"g", "other"}))}},
            ["DeleteUser"],
            "it is in other groups (other)",
            id="user-in-other-groups",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, assignments=frozenset({OWN}))}},
            ["DeleteUser"],
            "assigned a permission set directly",
            id="user-assigned-directly",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, attributes={**USER, "DisplayName": "Alicia"})}},
            ["DeleteUser"],
            "it has been changed since",
            id="user-renamed",
        ),
        pytest.param(
            {"users": {3: replace(ALICE, attributes={**USER, "ExternalIds": [{"Issuer": "i", "Id": "1"}]})}},
            ["DeleteUser"],
            "it has been changed since",
            id="user-of-an-identity-provider-by-now",
        ),
    ],
)
def test_what_changed_since_stays(changes: dict[str, Any], stays: list[str], reason: str) -> None:
    standing = replace(WHOLE, **changes)
    assert deleted(standing) == [operation for operation in EVERYTHING if operation not in stays]
    assert len(undone(standing).kept) == len(stays)
    assert reason in " ".join(kept.reason for kept in undone(standing).kept)


def test_a_set_that_the_run_failed_to_complete_goes() -> None:
    bare = known_set(replace(WANTED, managed_policies=frozenset(), inline_policy=""))
    assert "DeletePermissionSet" in deleted(replace(WHOLE, permission_sets={0: StandingSet(bare)}))


def test_a_name_that_other_systems_complete_is_no_change() -> None:
    formatted = {**USER, "Name": {"GivenName": "A", "FamilyName": "L", "Formatted": "A L"}}
    assert deleted(replace(WHOLE, users={3: replace(ALICE, attributes=formatted)})) == EVERYTHING
