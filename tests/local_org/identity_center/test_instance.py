# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from aws_local_org.identity_center import instance
from tests.local_org.identity_center.center import MANAGEMENT, PAYMENTS, RESEARCH, SETTINGS, Center, refusal


def test_the_organization_has_one_instance_in_the_management_account(center: Center) -> None:
    (found,) = center.client("sso-admin").list_instances()["Instances"]
    assert found["InstanceArn"] == center.instance.arn
    assert found["IdentityStoreId"] == center.instance.store.id
    assert (
        found["IdentityStoreArn"]
        == f"arn:aws:identitystore::{MANAGEMENT}:identitystore/{center.instance.store.id}"
    )
    assert (found["OwnerAccountId"], found["Status"], found["PrimaryRegion"]) == (
        MANAGEMENT,
        "ACTIVE",
        "us-east-1",
    )


@pytest.mark.parametrize(
    ("account", "region", "scope", "shown"),
    [
        pytest.param(MANAGEMENT, "us-east-1", "CURRENT_REGION", 1, id="management"),
        pytest.param(MANAGEMENT, "eu-west-1", "CURRENT_REGION", 0, id="management-elsewhere"),
        pytest.param(MANAGEMENT, "eu-west-1", "ALL_REGIONS", 1, id="management-all-regions"),
        pytest.param(PAYMENTS, "us-east-1", "CURRENT_REGION", 0, id="member"),
        pytest.param(PAYMENTS, "eu-west-1", "ALL_REGIONS", 0, id="member-all-regions"),
    ],
)
def test_who_is_shown_the_instance(center: Center, account: str, region: str, scope: str, shown: int) -> None:
    found = center.client("sso-admin", account, region).list_instances(RegionScope=scope)
    assert len(found["Instances"]) == shown


def test_the_instance_can_be_missing(center: Center) -> None:
    instance.remove_instance()
    assert center.client("sso-admin").list_instances()["Instances"] == []
    refusal("AccessDeniedException", center.admin, "describe_instance")


def test_there_can_be_several(center: Center) -> None:
    further = instance.add_instance(MANAGEMENT, "us-east-1", name="second")
    assert [each["InstanceArn"] for each in center.client("sso-admin").list_instances()["Instances"]] == [
        center.instance.arn,
        further.arn,
    ]
    instance.remove_instance(center.instance.arn)
    (left,) = center.client("sso-admin").list_instances()["Instances"]
    assert left["Name"] == "second"


def test_an_instance_may_be_visible_to_an_account_that_cannot_use_it(center: Center) -> None:
    shared = instance.add_instance(MANAGEMENT, "us-east-1", visible_to=[PAYMENTS])
    assert [i["InstanceArn"] for i in center.client("sso-admin", PAYMENTS).list_instances()["Instances"]] == [
        shared.arn
    ]
    assert center.client("sso-admin", RESEARCH).list_instances()["Instances"] == []
    refusal("AccessDeniedException", center.admin, "list_permission_sets", PAYMENTS, InstanceArn=shared.arn)


def test_describing(center: Center) -> None:
    found = center.admin("describe_instance")
    assert found["PermissionSetsEnabled"] is True
    assert found["EncryptionConfigurationDetails"]["KeyType"] == "AWS_OWNED_KMS_KEY"
    assert [each["RegionName"] for each in center.admin("list_regions")["Regions"]] == ["us-east-1"]


def test_permission_sets_can_be_off_and_only_be_switched_on(center: Center) -> None:
    off = instance.add_instance(MANAGEMENT, "us-east-1", permission_sets_enabled=False).arn
    assert center.admin("describe_instance", InstanceArn=off)["PermissionSetsEnabled"] is False
    refusal("ValidationException", center.admin, "create_permission_set", InstanceArn=off, Name="X")
    center.admin("update_instance", InstanceArn=off, PermissionSetsEnabled=True, Name="on")
    assert center.admin("create_permission_set", InstanceArn=off, Name="X")["PermissionSet"]["Name"] == "X"
    refusal(
        "ValidationException", center.admin, "update_instance", InstanceArn=off, PermissionSetsEnabled=False
    )
    assert center.admin("describe_instance", InstanceArn=off)["Name"] == "on"


def test_encryption_and_permission_sets_are_two_requests(center: Center) -> None:
    key = {"KeyType": "AWS_OWNED_KMS_KEY"}
    both = {"PermissionSetsEnabled": True, "EncryptionConfiguration": key}
    refusal("ValidationException", center.admin, "update_instance", **both)


def test_a_member_may_have_an_account_instance_and_the_management_account_may_not(center: Center) -> None:
    member = center.client("sso-admin", PAYMENTS)
    arn = member.create_instance(Name="own")["InstanceArn"]
    (found,) = member.list_instances()["Instances"]
    assert (found["InstanceArn"], found["OwnerAccountId"]) == (arn, PAYMENTS)
    refusal("ConflictException", member.create_instance, Name="again")
    refusal("ValidationException", center.client("sso-admin").create_instance, Name="own")
    refusal("AccessDeniedException", center.admin, "delete_instance", InstanceArn=arn)
    member.delete_instance(InstanceArn=arn)
    assert member.list_instances()["Instances"] == []


@pytest.mark.parametrize(("account", "status"), [(PAYMENTS, "SUCCEEDED"), (RESEARCH, "FAILED")])
def test_an_account_instance_is_for_its_own_account(center: Center, account: str, status: str) -> None:
    member, store = center.client("sso-admin", PAYMENTS), center.client("identitystore", PAYMENTS)
    given = {"InstanceArn": member.create_instance()["InstanceArn"]}
    member.update_instance(**given, PermissionSetsEnabled=True)
    found = member.describe_instance(**given)
    group = store.create_group(IdentityStoreId=found["IdentityStoreId"], DisplayName="own")["GroupId"]
    arn = member.create_permission_set(**given, Name="Own")["PermissionSet"]["PermissionSetArn"]
    target = {"TargetId": account, "TargetType": "AWS_ACCOUNT", "PermissionSetArn": arn}
    asked = member.create_account_assignment(**given, **target, PrincipalType="GROUP", PrincipalId=group)
    center.clock.advance(SETTINGS.assignment_seconds)
    ended = member.describe_account_assignment_creation_status(
        **given, AccountAssignmentCreationRequestId=asked["AccountAssignmentCreationStatus"]["RequestId"]
    )
    assert ended["AccountAssignmentCreationStatus"]["Status"] == status


def test_attributes_for_access_control(center: Center) -> None:
    describe = "describe_instance_access_control_attribute_configuration"
    refusal("ResourceNotFoundException", center.admin, describe)
    attributes = [{"Key": "UserName", "Value": {"Source": ["${path:userName}"]}}]
    wanted = {"AccessControlAttributes": attributes}
    create = "create_instance_access_control_attribute_configuration"
    center.admin(create, InstanceAccessControlAttributeConfiguration=wanted)
    found = center.admin(describe)
    assert (found["Status"], found["InstanceAccessControlAttributeConfiguration"]) == ("ENABLED", wanted)
    refusal("ConflictException", center.admin, create, InstanceAccessControlAttributeConfiguration=wanted)
