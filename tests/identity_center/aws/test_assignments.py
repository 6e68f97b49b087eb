# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from aws_local_org import LocalOrg
from aws_local_org.identity_center import injected_faults
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.instance import resolve_instance
from c7n_iamusers.identity_center.aws.permission_sets import Assignments
from c7n_iamusers.identity_center.model import Assignment, InProgress, Pending
from tests.access_center import ACCOUNT, OTHER_ACCOUNT


@pytest.fixture
def assignments(org: LocalOrg) -> Assignments:
    client = org.client("sso-admin")
    return Assignments(client, resolve_instance(client, Backoff()), Backoff())


@pytest.fixture
def arn(assignments: Assignments) -> str:
    created = assignments.client.create_permission_set(InstanceArn=assignments.instance.arn, Name="Migrated")
    return str(created["PermissionSet"]["PermissionSetArn"])


@pytest.fixture
def group_id(org: LocalOrg, assignments: Assignments) -> str:
    store = assignments.instance.identity_store_id
    created = org.client("identitystore").create_group(IdentityStoreId=store, DisplayName="readers")
    return str(created["GroupId"])


def assign(assignments: Assignments, arn: str, group_id: str, account: str = ACCOUNT) -> None:
    assignments.client.create_account_assignment(
        InstanceArn=assignments.instance.arn,
        TargetId=account,
        TargetType="AWS_ACCOUNT",
        PermissionSetArn=arn,
        PrincipalType="GROUP",
        PrincipalId=group_id,
    )


def test_none_yet(assignments: Assignments, arn: str, group_id: str) -> None:
    wanted = Assignment(ACCOUNT, arn)
    assert assignments.of_group(group_id) == frozenset()
    assert not assignments.exists(wanted, group_id)
    assert assignments.in_progress() == InProgress()


def test_one_that_is_under_way(org: LocalOrg, assignments: Assignments, arn: str, group_id: str) -> None:
    org.configure(assignment_seconds=60)
    assign(assignments, arn, group_id)
    assert list(assignments.in_progress().creations.values()) == [Pending(ACCOUNT, arn, group_id)]
    assert not assignments.exists(Assignment(ACCOUNT, arn), group_id)


def test_all_that_a_group_holds(org: LocalOrg, assignments: Assignments, arn: str, group_id: str) -> None:
    org.configure(assignment_seconds=0)
    for account in (ACCOUNT, OTHER_ACCOUNT):
        assign(assignments, arn, group_id, account)
    assert assignments.of_group(group_id) == {Assignment(ACCOUNT, arn), Assignment(OTHER_ACCOUNT, arn)}
    assert assignments.exists(Assignment(ACCOUNT, arn), group_id)
    assert not assignments.exists(Assignment(ACCOUNT, arn), "another-group")


def test_an_account_that_may_not_ask(assignments: Assignments) -> None:
    injected_faults.refuse_next("ListAccountAssignmentsForPrincipal", "AccessDeniedException")
    with pytest.raises(
        IdentityCenterError, match=r"only the management account may call .* shared-group: true"
    ):
        assignments.of_group("group-1")


def test_one_that_is_going(org: LocalOrg, assignments: Assignments, arn: str, group_id: str) -> None:
    org.configure(assignment_seconds=0)
    assign(assignments, arn, group_id)
    org.configure(assignment_seconds=60)
    assignments.client.delete_account_assignment(
        InstanceArn=assignments.instance.arn,
        TargetId=ACCOUNT,
        TargetType="AWS_ACCOUNT",
        PermissionSetArn=arn,
        PrincipalType="GROUP",
        PrincipalId=group_id,
    )
    assert assignments.exists(Assignment(ACCOUNT, arn), group_id)
    assert list(assignments.deletions().values()) == [Pending(ACCOUNT, arn, group_id)]


def test_what_a_user_has_itself(org: LocalOrg, assignments: Assignments, arn: str, group_id: str) -> None:
    org.configure(assignment_seconds=0)
    store, client = assignments.instance.identity_store_id, org.client("identitystore")
    user_id = client.create_user(
        IdentityStoreId=store, UserName="u", DisplayName="u", Name={"GivenName": "u", "FamilyName": "u"}
    )["UserId"]
    client.create_group_membership(IdentityStoreId=store, GroupId=group_id, MemberId={"UserId": user_id})
    assign(assignments, arn, group_id)
    assert assignments.directly_of(user_id) == frozenset()
    assignments.client.create_account_assignment(
        InstanceArn=assignments.instance.arn,
        TargetId=OTHER_ACCOUNT,
        TargetType="AWS_ACCOUNT",
        PermissionSetArn=arn,
        PrincipalType="USER",
        PrincipalId=user_id,
    )
    assert assignments.directly_of(user_id) == {Assignment(OTHER_ACCOUNT, arn)}
    assert assignments.holders(OTHER_ACCOUNT, arn) == {("USER", user_id)}
