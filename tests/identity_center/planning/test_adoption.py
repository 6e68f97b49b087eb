# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import Ref
from c7n_iamusers.identity_center.model import Assignment, Grant, Group, KnownGroup
from c7n_iamusers.identity_center.planning import operations
from c7n_iamusers.identity_center.planning.adoption import check_group, check_members
from tests.access_center import ACCOUNT, GRANT, INSTANCE, OTHER_ACCOUNT, READERS, SET_ARN

OWN = Assignment(ACCOUNT, SET_ARN)
ELSEWHERE = Assignment(OTHER_ACCOUNT, SET_ARN)
OTHER_SET = Assignment(ACCOUNT, SET_ARN.replace("ps-1", "ps-2"))
OURS = f"Managed by c7n-iamusers for account {ACCOUNT}"
SHARED, EXTERNAL = replace(READERS, shared=True), replace(READERS, external=True)
OF_TWO = replace(READERS, grants=frozenset({GRANT, Grant(OTHER_ACCOUNT, "Migrated")}))


def known(
    description: str = OURS, *assignments: Assignment, members: frozenset[str] = frozenset()
) -> KnownGroup:
    return KnownGroup("group-1", "iam-readers", description, members, frozenset(assignments))


@pytest.mark.parametrize(
    ("group", "found"),
    [
        pytest.param(READERS, None, id="none-yet"),
        pytest.param(READERS, known(), id="ours"),
        pytest.param(READERS, known(OURS + ", see the wiki"), id="ours-with-more-text"),
        pytest.param(READERS, known(OURS, OWN), id="ours-and-assigned"),
        pytest.param(EXTERNAL, known("From the directory", OWN), id="external"),
        pytest.param(SHARED, known("Anybody's", ELSEWHERE, OTHER_SET), id="shared"),
    ],
)
def test_a_group_that_may_be_used(group: Group, found: KnownGroup | None) -> None:
    check_group(group, found, [OWN])


@pytest.mark.parametrize(
    ("group", "found", "refusal"),
    [
        pytest.param(READERS, known(""), "was not made for this", id="by-hand"),
        pytest.param(
            READERS, known("Managed by c7n-iamusers, shared"), "was not made for this", id="a-shared-one"
        ),
        pytest.param(
            READERS,
            known(OURS.replace(ACCOUNT, OTHER_ACCOUNT)),
            "was not made for this",
            id="other-account's",
        ),
        pytest.param(OF_TWO, known(OURS), "was not made for this", id="one-account's-for-two"),
        pytest.param(READERS, known(OURS, ELSEWHERE), f"in account {OTHER_ACCOUNT}", id="assigned-elsewhere"),
        pytest.param(READERS, known(OURS, OWN, OTHER_SET), "ps-2", id="holds-more-here"),
        pytest.param(
            EXTERNAL, known("", ELSEWHERE), f"in account {OTHER_ACCOUNT}", id="external-assigned-elsewhere"
        ),
    ],
)
def test_a_group_that_reaches_further_is_refused(group: Group, found: KnownGroup, refusal: str) -> None:
    with pytest.raises(IdentityCenterError, match=refusal) as error:
        check_group(group, found, [OWN])
    assert "shared-group: true" in str(error.value)


def test_a_set_yet_to_be_created_is_held_by_nobody() -> None:
    with pytest.raises(IdentityCenterError, match="also gives its members"):
        check_group(READERS, known(OURS, OWN), [])


def test_many_assignments_are_not_all_listed() -> None:
    many = [Assignment(str(number) * 12, SET_ARN) for number in range(5)]
    with pytest.raises(IdentityCenterError, match="and 2 more"):
        check_group(READERS, known(OURS, *many), [OWN])


JOINED = frozenset({"user-1", "user-9"})


@pytest.mark.parametrize(
    ("group", "found"),
    [
        pytest.param(READERS, None, id="no-group"),
        pytest.param(READERS, known(members=frozenset({"user-1"})), id="only-this-runs-people"),
        pytest.param(READERS, known(OURS, OWN, members=JOINED), id="they-have-it-already"),
        pytest.param(SHARED, known(members=JOINED), id="shared"),
    ],
)
def test_members_who_may_stay(group: Group, found: KnownGroup | None) -> None:
    check_members(group, found, [OWN], True, {"user-1"})


@pytest.mark.parametrize(
    ("found", "own", "complete"),
    [
        pytest.param(known(members=JOINED), [OWN], True, id="not-assigned"),
        pytest.param(known(OURS, OWN, members=JOINED), [OWN, ELSEWHERE], True, id="one-of-two-assigned"),
        pytest.param(known(members=JOINED), [], False, id="the-set-is-yet-to-be-made"),
    ],
)
def test_members_nobody_asked_for_get_no_access(
    found: KnownGroup, own: list[Assignment], complete: bool
) -> None:
    with pytest.raises(IdentityCenterError, match=r"has 1 member\(s\) who are not among .*user-9"):
        check_members(READERS, found, own, complete, {"user-1"})


def test_whom_an_identity_provider_put_there_gets_no_access_unasked() -> None:
    with pytest.raises(IdentityCenterError, match="have the identity provider's owner remove them"):
        check_members(EXTERNAL, known(members=JOINED), [OWN], True, {"user-1"})


@pytest.mark.parametrize(
    ("group", "description"),
    [
        pytest.param(READERS, OURS, id="one-account's"),
        pytest.param(OF_TWO, "Managed by c7n-iamusers for 2 accounts", id="several-accounts'"),
        pytest.param(SHARED, "Managed by c7n-iamusers, shared", id="shared"),
    ],
)
def test_a_new_group_is_marked(group: Group, description: str) -> None:
    (create,) = operations.group_creation_if_missing(group, None, INSTANCE)
    assert (create.operation, create.parameters["Description"]) == ("CreateGroup", description)


@pytest.mark.parametrize(
    ("group", "found"),
    [
        pytest.param(READERS, known(), id="it-is-there"),
        pytest.param(EXTERNAL, None, id="external-never-creates"),
    ],
)
def test_no_group_is_created(group: Group, found: KnownGroup | None) -> None:
    assert operations.group_creation_if_missing(group, found, INSTANCE) == ()


def test_the_assignment_is_seen_through() -> None:
    create = operations.assignment_creation(ACCOUNT, SET_ARN, Ref("g"), INSTANCE)
    assert create.parameters["TargetId"] == ACCOUNT
    assert (create.parameters["PrincipalType"], create.parameters["PrincipalId"]) == ("GROUP", Ref("g"))
    assert create.wait is not None
    assert create.wait.operation == "DescribeAccountAssignmentCreationStatus"


def test_the_membership() -> None:
    assert operations.membership_creation("g", "u", INSTANCE).parameters["MemberId"] == {"UserId": "u"}
