# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from c7n_iamusers.decisions.provisioning import (
    assignment_calls,
    check_group,
    check_members,
    group_calls,
    person_calls,
    same_person,
)
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.calls import Ref
from c7n_iamusers.model.identity_center import Access, Assignment, KnownGroup, KnownPerson
from tests.identity_center import (
    ACCESS,
    ACCOUNT,
    ALICE,
    INSTANCE,
    KNOWN_ALICE,
    OTHER_ACCOUNT,
    SET_ARN,
    operations,
)

OWN = Assignment(ACCOUNT, SET_ARN)
ELSEWHERE = Assignment(OTHER_ACCOUNT, SET_ARN)
OTHER_SET = Assignment(ACCOUNT, SET_ARN.replace("ps-1", "ps-2"))
OURS = f"Managed by c7n-iamusers for account {ACCOUNT}"
SHARED, EXTERNAL = replace(ACCESS, shared_group=True), replace(ACCESS, external=True)


def group(
    description: str = OURS, *assignments: Assignment, members: frozenset[str] = frozenset()
) -> KnownGroup:
    return KnownGroup("group-1", "iam-readers", description, members, frozenset(assignments))


@pytest.mark.parametrize(
    ("access", "known"),
    [
        pytest.param(ACCESS, None, id="none-yet"),
        pytest.param(ACCESS, group(), id="ours"),
        pytest.param(ACCESS, group(OURS + ", see the wiki"), id="ours-with-more-text"),
        pytest.param(ACCESS, group(OURS, OWN), id="ours-and-assigned"),
        pytest.param(EXTERNAL, group("From the directory", OWN), id="external"),
        pytest.param(SHARED, group("Anybody's", ELSEWHERE, OTHER_SET), id="shared"),
    ],
)
def test_a_group_that_may_be_used(access: Access, known: KnownGroup | None) -> None:
    check_group(access, known, SET_ARN)


@pytest.mark.parametrize(
    ("access", "known", "refusal"),
    [
        pytest.param(ACCESS, group(""), "was not made for this", id="by-hand"),
        pytest.param(
            ACCESS, group("Managed by c7n-iamusers, shared"), "was not made for this", id="a-shared-one"
        ),
        pytest.param(
            ACCESS, group(OURS.replace(ACCOUNT, OTHER_ACCOUNT)), "was not made for this", id="other-account's"
        ),
        pytest.param(ACCESS, group(OURS, ELSEWHERE), f"in account {OTHER_ACCOUNT}", id="assigned-elsewhere"),
        pytest.param(ACCESS, group(OURS, OWN, OTHER_SET), "ps-2", id="holds-more-here"),
        pytest.param(
            EXTERNAL, group("", ELSEWHERE), f"in account {OTHER_ACCOUNT}", id="external-assigned-elsewhere"
        ),
    ],
)
def test_a_group_that_reaches_further_is_refused(access: Access, known: KnownGroup, refusal: str) -> None:
    with pytest.raises(IdentityCenterError, match=refusal) as error:
        check_group(access, known, SET_ARN)
    assert "shared-group: true" in str(error.value)


def test_a_set_yet_to_be_created_is_held_by_nobody() -> None:
    with pytest.raises(IdentityCenterError, match="also gives its members"):
        check_group(ACCESS, group(OURS, OWN), None)


def test_many_assignments_are_not_all_listed() -> None:
    many = [Assignment(str(number) * 12, SET_ARN) for number in range(5)]
    with pytest.raises(IdentityCenterError, match="and 2 more"):
        check_group(ACCESS, group(OURS, *many), SET_ARN)


STRANGER = group(members=frozenset({"user-1", "user-9"}))


@pytest.mark.parametrize(
    ("access", "known", "assigned"),
    [
        pytest.param(ACCESS, None, False, id="no-group"),
        pytest.param(ACCESS, group(members=frozenset({"user-1"})), False, id="only-this-runs-people"),
        pytest.param(ACCESS, STRANGER, True, id="they-have-it-already"),
        pytest.param(SHARED, STRANGER, False, id="shared"),
        pytest.param(EXTERNAL, STRANGER, False, id="external"),
    ],
)
def test_members_who_may_stay(access: Access, known: KnownGroup | None, assigned: bool) -> None:
    check_members(access, known, assigned, frozenset({"user-1"}))


def test_members_nobody_asked_for_get_no_access() -> None:
    with pytest.raises(IdentityCenterError, match=r"has 1 member\(s\) who are not among .*user-9"):
        check_members(ACCESS, STRANGER, False, frozenset({"user-1"}))


@pytest.mark.parametrize(
    ("access", "description"),
    [
        pytest.param(ACCESS, OURS, id="own"),
        pytest.param(SHARED, "Managed by c7n-iamusers, shared", id="shared"),
    ],
)
def test_a_new_group_is_marked(access: Access, description: str) -> None:
    (create,) = group_calls(access, None, INSTANCE)
    assert (create.operation, create.parameters["Description"]) == ("CreateGroup", description)


@pytest.mark.parametrize(
    ("access", "known"),
    [
        pytest.param(ACCESS, group(), id="it-is-there"),
        pytest.param(EXTERNAL, None, id="external-never-creates"),
    ],
)
def test_no_group_is_created(access: Access, known: KnownGroup | None) -> None:
    assert group_calls(access, known, INSTANCE) == ()


def test_the_assignment_is_seen_through() -> None:
    (create,) = assignment_calls(OWN, "group-1", False, INSTANCE)
    assert create.parameters["TargetId"] == ACCOUNT
    assert create.parameters["PrincipalType"] == "GROUP"
    assert create.wait is not None
    assert create.wait.operation == "DescribeAccountAssignmentCreationStatus"
    assert assignment_calls(OWN, "group-1", True, INSTANCE) == ()


@pytest.mark.parametrize(
    ("known", "member", "expected"),
    [
        pytest.param(None, False, ["CreateUser", "CreateGroupMembership"], id="new"),
        pytest.param(KNOWN_ALICE, False, ["CreateGroupMembership"], id="adopted"),
        pytest.param(KNOWN_ALICE, True, [], id="in-place"),
    ],
)
def test_what_a_person_lacks(known: KnownPerson | None, member: bool, expected: list[str]) -> None:
    assert operations(person_calls(ALICE, known, member, "group-1", INSTANCE)) == expected


def test_a_new_user_is_complete_and_becomes_the_member() -> None:
    create, join = person_calls(ALICE, None, False, "group-1", INSTANCE)
    assert create.parameters == {
        "IdentityStoreId": INSTANCE.identity_store_id,
        "UserName": "alice@example.com",
        "Name": {"GivenName": "Alice", "FamilyName": "Liddell"},
        "DisplayName": "Alice Liddell",
        "Emails": [{"Value": "alice@example.com", "Type": "work", "Primary": True}],
    }
    assert join.parameters["MemberId"] == {"UserId": Ref("user")}


@pytest.mark.parametrize(
    ("by_username", "by_email", "expected"),
    [
        pytest.param(None, None, None, id="nobody"),
        pytest.param(KNOWN_ALICE, None, KNOWN_ALICE, id="both-lead-to-one-whatever-the-case"),
    ],
)
def test_whom_it_adopts(
    by_username: KnownPerson | None, by_email: KnownPerson | None, expected: KnownPerson | None
) -> None:
    assert same_person(ALICE, by_username, by_email) == expected


@pytest.mark.parametrize(
    ("by_username", "by_email", "refusal"),
    [
        pytest.param(
            replace(KNOWN_ALICE, email="al@example.com"), None, "exists with another e-mail", id="email"
        ),
        pytest.param(replace(KNOWN_ALICE, email=""), None, "exists with another e-mail", id="no-email"),
        pytest.param(
            None, replace(KNOWN_ALICE, username="bob"), "belongs to Identity Center user bob", id="username"
        ),
        pytest.param(replace(KNOWN_ALICE, enabled=False), None, "is disabled", id="disabled"),
    ],
)
def test_somebody_elses_identity_is_refused(
    by_username: KnownPerson | None, by_email: KnownPerson | None, refusal: str
) -> None:
    with pytest.raises(IdentityCenterError, match=refusal):
        same_person(ALICE, by_username, by_email)
