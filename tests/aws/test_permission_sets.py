# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.aws.identity_center import resolve_instance
from c7n_iamusers.aws.permission_sets import PermissionSets
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.local_org import LocalOrg
from c7n_iamusers.model.identity_center import PermissionSet
from tests.identity_center import ACCOUNT, AUDIT, MARK, OTHER_ACCOUNT, READ_ONLY

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
    found = sets.find("Migrated", ACCOUNT)
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
    assert (found.foreign, set(found.accounts), set(found.stale)) == ((), {ACCOUNT, OTHER_ACCOUNT}, set())


def test_a_set_as_bare_as_can_be(sets: PermissionSets) -> None:
    create(sets, "Bare")
    found = sets.find("Bare", ACCOUNT)
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
    found = sets.find("Migrated", ACCOUNT)
    assert found is not None
    assert (set(found.accounts), set(found.stale)) == ({ACCOUNT, OTHER_ACCOUNT}, {ACCOUNT})


def test_what_a_policy_cannot_ask_for(sets: PermissionSets) -> None:
    arn = create(sets, "Migrated")
    of_it = {"InstanceArn": sets.instance.arn, "PermissionSetArn": arn}
    reference = {"Name": "Auditor", "Path": "/team/"}
    sets.client.attach_customer_managed_policy_reference_to_permission_set(
        **of_it, CustomerManagedPolicyReference=reference
    )
    sets.client.put_permissions_boundary_to_permission_set(
        **of_it, PermissionsBoundary={"ManagedPolicyArn": READ_ONLY}
    )
    found = sets.find("Migrated", ACCOUNT)
    assert found is not None
    assert found.foreign == ("customer-managed policy /team/Auditor", "a permissions boundary")


def test_none_of_that_name_among_more_than_a_page(sets: PermissionSets) -> None:
    for number in range(101):
        create(sets, f"Set{number}")
    assert sets.find("Set", ACCOUNT) is None
    assert sets.find("Set100", ACCOUNT) is not None


def test_the_accounts_own_sets_are_looked_at_first(org: LocalOrg, sets: PermissionSets) -> None:
    org.configure(assignment_seconds=0)
    for number in range(10):
        create(sets, f"Set{number}")
    provision(sets, create(sets, "Migrated"), ACCOUNT)
    org.clear_calls()
    assert sets.find("Migrated", ACCOUNT) is not None
    operations = [call.operation for call in org.calls]
    assert operations.count("DescribePermissionSet") == 1
    assert "ListPermissionSets" not in operations
