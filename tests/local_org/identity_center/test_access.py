# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.local_org.identity_center.center import MANAGEMENT, PAYMENTS, RESEARCH, Center, refusal

UNKNOWN_INSTANCE = "arn:aws:sso:::instance/ssoins-0123456789abcdef"


@pytest.mark.parametrize(
    ("account", "region", "instance"),
    [
        pytest.param(PAYMENTS, "us-east-1", None, id="member"),
        pytest.param(MANAGEMENT, "eu-west-1", None, id="other-region"),
        pytest.param(MANAGEMENT, "us-east-1", UNKNOWN_INSTANCE, id="unknown-instance"),
    ],
)
@pytest.mark.parametrize("operation", ["describe_instance", "list_permission_sets"])
def test_an_instance_answers_its_owner_in_its_region_only(
    center: Center, account: str, region: str, instance: str | None, operation: str
) -> None:
    call = getattr(center.client("sso-admin", account, region), operation)
    refusal("AccessDeniedException", call, InstanceArn=instance or center.instance.arn)


def test_a_member_may_read_the_identity_store_and_not_write_it(center: Center) -> None:
    group = center.group("auditors")
    assert center.store("describe_group", PAYMENTS, GroupId=group)["DisplayName"] == "auditors"
    assert [each["GroupId"] for each in center.store("list_groups", PAYMENTS)["Groups"]] == [group]
    refusal("AccessDeniedException", center.store, "create_group", PAYMENTS, DisplayName="more")
    refusal("AccessDeniedException", center.store, "delete_group", PAYMENTS, GroupId=group)
    assert center.store("describe_group", GroupId=group)["GroupId"] == group


@pytest.mark.parametrize(
    ("region", "store"),
    [
        pytest.param("us-east-1", "d-0123456789", id="unknown"),
        pytest.param("eu-west-1", None, id="other-region"),
    ],
)
def test_an_unknown_identity_store(center: Center, region: str, store: str | None) -> None:
    call = center.client("identitystore", MANAGEMENT, region).list_users
    error = refusal("ResourceNotFoundException", call, IdentityStoreId=store or center.instance.store.id)
    assert error["ResourceType"] == "IDENTITY_STORE"


def test_an_identity_store_may_be_named_by_its_arn(center: Center) -> None:
    user = center.user("ann")
    found = center.store("describe_user", IdentityStoreId=center.instance.store.arn, UserId=user)
    assert found["UserName"] == "ann"


@pytest.fixture
def delegate(center: Center) -> Center:
    center.client("organizations").register_delegated_administrator(
        AccountId=RESEARCH, ServicePrincipal="sso.amazonaws.com"
    )
    return center


def test_a_delegated_administrator_works_for_member_accounts(delegate: Center) -> None:
    (found,) = delegate.client("sso-admin", RESEARCH).list_instances()["Instances"]
    assert found["OwnerAccountId"] == MANAGEMENT
    made = delegate.admin("create_permission_set", RESEARCH, Name="Delegated")["PermissionSet"]
    assert delegate.admin("describe_permission_set", PermissionSetArn=made["PermissionSetArn"])
    group = delegate.store("create_group", RESEARCH, DisplayName="delegated")["GroupId"]
    request = _assignment(made["PermissionSetArn"], group, PAYMENTS)
    assert delegate.admin("create_account_assignment", RESEARCH, **request)


def test_a_delegated_administrator_stays_out_of_the_management_account(delegate: Center) -> None:
    group, used = delegate.group(), delegate.permission_set("UsedByManagement")
    delegate.assigned(used, group, MANAGEMENT)
    refused = [
        ("create_account_assignment", _assignment(delegate.permission_set("New"), group, MANAGEMENT)),
        ("create_account_assignment", _assignment(used, group, PAYMENTS)),
        ("delete_account_assignment", _assignment(used, group, MANAGEMENT)),
        ("update_permission_set", {"PermissionSetArn": used, "Description": "mine now"}),
        ("tag_resource", {"ResourceArn": used, "Tags": [{"Key": "a", "Value": "b"}]}),
    ]
    for operation, parameters in refused:
        refusal("AccessDeniedException", delegate.admin, operation, RESEARCH, **parameters)
    assert delegate.admin("describe_permission_set", RESEARCH, PermissionSetArn=used)


def _assignment(permission_set: str, group: str, account: str) -> dict[str, Any]:
    return {
        "PermissionSetArn": permission_set,
        "PrincipalType": "GROUP",
        "PrincipalId": group,
        "TargetType": "AWS_ACCOUNT",
        "TargetId": account,
    }
