# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.instance import resolve_instance
from c7n_iamusers.identity_center.aws.permission_sets import PermissionSets
from c7n_iamusers.identity_center.model import KnownPermissionSet
from tests.access_center import ACCOUNT, AUDIT, MARK, OTHER_ACCOUNT, READ_ONLY

STATEMENT = '{"Action":"s3:Get*","Effect":"Allow","Resource":"*"}'


@pytest.fixture
def sets(org: LocalOrg) -> PermissionSets:
    client = org.client("sso-admin")
    return PermissionSets(client, resolve_instance(client, Backoff()), Backoff())


def create(sets: PermissionSets, name: str, **parameters: Any) -> str:
    created = sets.client.create_permission_set(InstanceArn=sets.instance.arn, Name=name, **parameters)
    return str(created["PermissionSet"]["PermissionSetArn"])


def provision(sets: PermissionSets, arn: str, account: str) -> None:
    target = {"TargetType": "AWS_ACCOUNT", "TargetId": account}
    sets.client.provision_permission_set(InstanceArn=sets.instance.arn, PermissionSetArn=arn, **target)


def find(sets: PermissionSets, name: str) -> KnownPermissionSet | None:
    return sets.find([name], [ACCOUNT]).get(name)


def test_everything_of_a_set(org: LocalOrg, sets: PermissionSets) -> None:
    org.configure(assignment_seconds=0)
    arn = create(
        sets,
        "Migrated",
        Description="Reads",
        SessionDuration="PT2H",
        RelayState="https://x",
        Tags=[{"Key": "c7n-iamusers", "Value": "managed"}],
    )
    of_it = {"InstanceArn": sets.instance.arn, "PermissionSetArn": arn}
    for policy in (READ_ONLY, AUDIT):
        sets.client.attach_managed_policy_to_permission_set(**of_it, ManagedPolicyArn=policy)
    sets.client.put_inline_policy_to_permission_set(
        **of_it, InlinePolicy=f'{{ "Version": "2012-10-17",\n"Statement": [{STATEMENT}] }}'
    )
    for account in (ACCOUNT, OTHER_ACCOUNT):
        provision(sets, arn, account)
    found = find(sets, "Migrated")
    assert found is not None
    assert found.arn == arn
    assert found.settings == PermissionSet(
        "Migrated",
        "Reads",
        "PT2H",
        "https://x",
        frozenset({READ_ONLY, AUDIT}),
        f'{{"Statement":[{STATEMENT}],"Version":"2012-10-17"}}',
        MARK,
    )
    assert (set(found.accounts), set(found.stale)) == ({ACCOUNT, OTHER_ACCOUNT}, set())
    assert sets.read(arn) == found


def test_a_set_as_bare_as_can_be(sets: PermissionSets) -> None:
    create(sets, "Bare")
    found = find(sets, "Bare")
    assert found is not None
    assert found.settings == PermissionSet("Bare")
    assert (found.accounts, found.stale) == (frozenset(), frozenset())


def test_accounts_left_behind(org: LocalOrg, sets: PermissionSets) -> None:
    org.configure(assignment_seconds=0)
    arn = create(sets, "Migrated")
    provision(sets, arn, ACCOUNT)
    sets.client.update_permission_set(
        InstanceArn=sets.instance.arn, PermissionSetArn=arn, SessionDuration="PT3H"
    )
    provision(sets, arn, OTHER_ACCOUNT)
    found = find(sets, "Migrated")
    assert found is not None
    assert (set(found.accounts), set(found.stale)) == ({ACCOUNT, OTHER_ACCOUNT}, {ACCOUNT})


@pytest.mark.parametrize(
    ("boundary", "told"),
    [
        pytest.param({"ManagedPolicyArn": READ_ONLY}, READ_ONLY, id="aws-managed"),
        pytest.param({"CustomerManagedPolicyReference": {"Name": "Edge"}}, "/Edge", id="customer-managed"),
    ],
)
def test_references_and_a_boundary(sets: PermissionSets, boundary: dict[str, Any], told: str) -> None:
    arn = create(sets, "Migrated")
    of_it = {"InstanceArn": sets.instance.arn, "PermissionSetArn": arn}
    reference = {"Name": "Auditor", "Path": "/team/"}
    sets.client.attach_customer_managed_policy_reference_to_permission_set(
        **of_it, CustomerManagedPolicyReference=reference
    )
    sets.client.put_permissions_boundary_to_permission_set(**of_it, PermissionsBoundary=boundary)
    found = find(sets, "Migrated")
    assert found is not None
    assert found.settings.customer_policies == {"/team/Auditor"}
    assert found.settings.boundary == told


def test_several_at_once_and_no_more_than_needed(org: LocalOrg, sets: PermissionSets) -> None:
    for number in range(10):
        create(sets, f"Set{number}")
    org.clear_calls()
    assert sets.find(["Set1", "Set0"], []).keys() == {"Set0", "Set1"}
    assert [call.operation for call in org.calls].count("DescribePermissionSet") == 2


def test_one_that_is_gone(sets: PermissionSets) -> None:
    arn = create(sets, "Migrated")
    sets.client.delete_permission_set(InstanceArn=sets.instance.arn, PermissionSetArn=arn)
    assert sets.read(arn) is None


def test_none_of_that_name_among_more_than_a_page(sets: PermissionSets) -> None:
    for number in range(101):
        create(sets, f"Set{number}")
    assert find(sets, "Set") is None
    assert find(sets, "Set100") is not None


def test_the_accounts_own_sets_are_looked_at_first(org: LocalOrg, sets: PermissionSets) -> None:
    org.configure(assignment_seconds=0)
    for number in range(10):
        create(sets, f"Set{number}")
    provision(sets, create(sets, "Migrated"), ACCOUNT)
    org.clear_calls()
    assert find(sets, "Migrated") is not None
    operations = [call.operation for call in org.calls]
    assert operations.count("DescribePermissionSet") == 1
    assert "ListPermissionSets" not in operations
