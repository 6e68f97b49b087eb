# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import re

import pytest
from moto.core.model_instances import model_data

from aws_local_org import LocalOrg


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ("123456789012", {"CloudCustodian", "IdentityCenterProvisioner", "LocalOrgOperator"}),
        ("111122223333", {"CloudCustodian", "OrganizationAccountAccessRole"}),
        ("777788889999", {"CloudCustodian", "OrganizationAccountAccessRole"}),
    ],
)
def test_the_roles_of_an_empty_account(org: LocalOrg, account: str, expected: set[str]) -> None:
    iam = org.client("iam", account)
    roles = iam.list_roles()["Roles"]
    assert {role["RoleName"] for role in roles} == expected
    for role in roles:
        assert re.fullmatch("AROA[A-Z2-7]{17}", role["RoleId"])
        attached = iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
        assert [policy["PolicyName"] for policy in attached] == ["AdministratorAccess"]


def test_a_reset_leaves_nothing_in_memory(org: LocalOrg) -> None:
    """moto lists every model it makes, for good."""
    backend = org.backend("iam", "111122223333")
    for number in range(100):
        backend.create_user("us-east-1", f"user{number}")
    org.reset()
    gc.collect()
    kept = sum(len(model.instances_tracked) for models in model_data.values() for model in models.values())
    assert kept < 50
