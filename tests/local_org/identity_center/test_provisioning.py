# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from aws_local_org.identity_center import instance
from tests.local_org.identity_center.center import MANAGEMENT, PAYMENTS, RESEARCH, SETTINGS, Center, refusal

LATEST, OUTDATED = "LATEST_PERMISSION_SET_PROVISIONED", "LATEST_PERMISSION_SET_NOT_PROVISIONED"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
STATEMENT = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}}'
)


def provision(center: Center, permission_set: str, account: str | None = None) -> Any:
    target = {"TargetType": "AWS_ACCOUNT", "TargetId": account}
    everywhere = {"TargetType": "ALL_PROVISIONED_ACCOUNTS"}
    made = center.admin(
        "provision_permission_set", PermissionSetArn=permission_set, **(target if account else everywhere)
    )
    return made["PermissionSetProvisioningStatus"]


def described(center: Center, status: Any) -> Any:
    operation = "describe_permission_set_provisioning_status"
    found = center.admin(operation, ProvisionPermissionSetRequestId=status["RequestId"])
    return found["PermissionSetProvisioningStatus"]


def settled(center: Center, status: Any) -> Any:
    center.clock.advance(SETTINGS.assignment_seconds)
    return described(center, status)


def accounts(center: Center, permission_set: str, **parameters: str) -> list[str]:
    operation = "list_accounts_for_provisioned_permission_set"
    return list(center.admin(operation, PermissionSetArn=permission_set, **parameters)["AccountIds"])


def sets(center: Center, account: str, **parameters: str) -> list[str]:
    operation = "list_permission_sets_provisioned_to_account"
    return list(center.admin(operation, AccountId=account, **parameters)["PermissionSets"])


def attached(center: Center, account: str) -> list[str]:
    (role,) = center.reserved_roles(account)
    found = center.client("iam", account).list_attached_role_policies(RoleName=role["RoleName"])
    return [each["PolicyArn"] for each in found["AttachedPolicies"]]


@pytest.fixture
def permission_set(center: Center) -> str:
    """Assigned in two accounts."""
    arn, group = center.permission_set(), center.group()
    center.assigned(arn, group, PAYMENTS)
    center.assigned(arn, group, RESEARCH)
    return arn


CHANGES = [
    pytest.param(
        "attach_managed_policy_to_permission_set", {"ManagedPolicyArn": READ_ONLY}, id="managed-policy"
    ),
    pytest.param("put_inline_policy_to_permission_set", {"InlinePolicy": STATEMENT}, id="inline-policy"),
    pytest.param("update_permission_set", {"SessionDuration": "PT8H"}, id="session-duration"),
    pytest.param(
        "put_permissions_boundary_to_permission_set",
        {"PermissionsBoundary": {"ManagedPolicyArn": READ_ONLY}},
        id="boundary",
    ),
]


@pytest.mark.parametrize(("operation", "change"), CHANGES)
def test_a_changed_set_is_current_nowhere_until_provisioned(
    center: Center, permission_set: str, operation: str, change: dict[str, Any]
) -> None:
    assert accounts(center, permission_set, ProvisioningStatus=LATEST) == [PAYMENTS, RESEARCH]
    center.admin(operation, PermissionSetArn=permission_set, **change)
    assert accounts(center, permission_set, ProvisioningStatus=LATEST) == []
    assert accounts(center, permission_set, ProvisioningStatus=OUTDATED) == [PAYMENTS, RESEARCH]
    assert sets(center, PAYMENTS, ProvisioningStatus=OUTDATED) == [permission_set]
    status = provision(center, permission_set, PAYMENTS)
    assert (status["Status"], status["AccountId"]) == ("IN_PROGRESS", PAYMENTS)
    assert settled(center, status)["Status"] == "SUCCEEDED"
    assert accounts(center, permission_set, ProvisioningStatus=LATEST) == [PAYMENTS]
    assert accounts(center, permission_set) == [PAYMENTS, RESEARCH]
    assert settled(center, provision(center, permission_set))["Status"] == "SUCCEEDED"
    assert sets(center, RESEARCH, ProvisioningStatus=LATEST) == sets(center, RESEARCH) == [permission_set]


def test_description_and_tags_are_not_part_of_the_role(center: Center, permission_set: str) -> None:
    center.admin("update_permission_set", PermissionSetArn=permission_set, Description="Other words")
    center.admin("tag_resource", ResourceArn=permission_set, Tags=[{"Key": "a", "Value": "b"}])
    assert accounts(center, permission_set, ProvisioningStatus=OUTDATED) == []


def test_the_role_changes_when_provisioning_succeeds_and_not_before(
    center: Center, permission_set: str
) -> None:
    center.admin(
        "attach_managed_policy_to_permission_set", PermissionSetArn=permission_set, ManagedPolicyArn=READ_ONLY
    )
    status = provision(center, permission_set, PAYMENTS)
    assert attached(center, PAYMENTS) == []
    (before,) = center.reserved_roles(PAYMENTS)
    settled(center, status)
    assert attached(center, PAYMENTS) == [READ_ONLY]
    assert attached(center, RESEARCH) == []
    assert [each["Arn"] for each in center.reserved_roles(PAYMENTS)] == [before["Arn"]]


def test_what_is_detached_leaves_the_role(center: Center, permission_set: str) -> None:
    policy = {"PermissionSetArn": permission_set, "ManagedPolicyArn": READ_ONLY}
    inline = {"PermissionSetArn": permission_set}
    center.admin("attach_managed_policy_to_permission_set", **policy)
    center.admin("put_inline_policy_to_permission_set", **inline, InlinePolicy=STATEMENT)
    settled(center, provision(center, permission_set))
    iam, (role,) = center.client("iam", RESEARCH), center.reserved_roles(RESEARCH)
    assert iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"] == ["AwsSSOInlinePolicy"]
    center.admin("detach_managed_policy_from_permission_set", **policy)
    center.admin("delete_inline_policy_from_permission_set", **inline)
    settled(center, provision(center, permission_set))
    assert attached(center, RESEARCH) == []
    assert iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"] == []


def test_a_further_assignment_brings_an_outdated_role_up_to_date(center: Center, permission_set: str) -> None:
    center.admin(
        "attach_managed_policy_to_permission_set", PermissionSetArn=permission_set, ManagedPolicyArn=READ_ONLY
    )
    assert PAYMENTS in accounts(center, permission_set, ProvisioningStatus=OUTDATED)
    center.assigned(permission_set, center.group("more"), PAYMENTS)
    assert attached(center, PAYMENTS) == [READ_ONLY]
    assert PAYMENTS not in accounts(center, permission_set, ProvisioningStatus=OUTDATED)


def test_a_set_can_be_provisioned_without_an_assignment(center: Center) -> None:
    arn = center.permission_set()
    assert settled(center, provision(center, arn))["Status"] == "SUCCEEDED"
    assert accounts(center, arn) == []
    assert settled(center, provision(center, arn, PAYMENTS))["Status"] == "SUCCEEDED"
    assert accounts(center, arn) == [PAYMENTS]
    assert len(center.reserved_roles(PAYMENTS)) == 1


def test_three_may_run_at_once(center: Center) -> None:
    arn = center.permission_set()
    running = [provision(center, arn, PAYMENTS) for _ in range(3)]
    refusal("ThrottlingException", provision, center, arn, PAYMENTS)
    assert {settled(center, each)["Status"] for each in running} == {"SUCCEEDED"}
    assert provision(center, arn, PAYMENTS)["Status"] == "IN_PROGRESS"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        pytest.param({"TargetType": "AWS_ACCOUNT"}, "ValidationException", id="no-account"),
        pytest.param({"TargetType": "OU", "TargetId": PAYMENTS}, "ValidationException", id="target-type"),
        pytest.param(
            {
                "TargetType": "ALL_PROVISIONED_ACCOUNTS",
                "PermissionSetArn": "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef",
            },
            "ResourceNotFoundException",
            id="unknown-set",
        ),
    ],
)
def test_refused_requests(center: Center, target: dict[str, str], code: str) -> None:
    parameters = {"PermissionSetArn": center.permission_set(), **target}
    refusal(code, center.admin, "provision_permission_set", **parameters)


def test_an_unknown_account_fails_later(center: Center) -> None:
    done = settled(center, provision(center, center.permission_set(), "999999999999"))
    assert (done["Status"], "999999999999" in done["FailureReason"]) == ("FAILED", True)


def test_statuses_are_listed(center: Center, permission_set: str) -> None:
    status = provision(center, permission_set, PAYMENTS)
    operation = "list_permission_set_provisioning_status"
    (found,) = center.admin(operation)["PermissionSetsProvisioningStatus"]
    assert found["RequestId"] == status["RequestId"]
    settled(center, status)
    assert center.admin(operation, Filter={"Status": "IN_PROGRESS"})["PermissionSetsProvisioningStatus"] == []
    refusal("ResourceNotFoundException", center.creation, status["RequestId"])


DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}


def attach(center: Center, permission_set: str, *arns: str) -> None:
    for arn in arns:
        operation = "attach_managed_policy_to_permission_set"
        center.admin(operation, PermissionSetArn=permission_set, ManagedPolicyArn=arn)


def refer(center: Center, permission_set: str, name: str, path: str = "/") -> None:
    center.admin(
        "attach_customer_managed_policy_reference_to_permission_set",
        PermissionSetArn=permission_set,
        CustomerManagedPolicyReference={"Name": name, "Path": path},
    )


def put_inline(center: Center, permission_set: str, document: Any) -> None:
    operation = "put_inline_policy_to_permission_set"
    center.admin(operation, PermissionSetArn=permission_set, InlinePolicy=json.dumps(document))


@pytest.fixture
def auditor(center: Center) -> Any:
    """A customer-managed policy in the payments account alone."""
    iam = center.client("iam", PAYMENTS)
    made = iam.create_policy(PolicyName="Auditor", Path="/team/", PolicyDocument=json.dumps(DOCUMENT))[
        "Policy"
    ]
    yield made["Arn"]
    center.remove_reserved_roles()
    iam.delete_policy(PolicyArn=made["Arn"])


def test_an_assignment_makes_a_role_in_the_account(center: Center, auditor: str) -> None:
    arn, group = center.permission_set("ReadOnly", Description="Reads"), center.group()
    attach(center, arn, READ_ONLY)
    refer(center, arn, "Auditor", "/team/")
    put_inline(center, arn, DOCUMENT)
    boundary = {"ManagedPolicyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}
    center.admin(
        "put_permissions_boundary_to_permission_set", PermissionSetArn=arn, PermissionsBoundary=boundary
    )
    center.assigned(arn, group)
    (role,) = center.reserved_roles()
    assert re.fullmatch("AWSReservedSSO_ReadOnly_[0-9a-f]{16}", role["RoleName"])
    assert role["Path"] == "/aws-reserved/sso.amazonaws.com/"
    iam = center.client("iam", PAYMENTS)
    attached = iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
    assert {each["PolicyArn"] for each in attached} == {READ_ONLY, auditor}
    inline = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="AwsSSOInlinePolicy")
    assert inline["PolicyDocument"] == DOCUMENT
    found = iam.get_role(RoleName=role["RoleName"])["Role"]
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary["ManagedPolicyArn"]
    assert (found["MaxSessionDuration"], found["Description"]) == (43200, "Reads")
    assert found["AssumeRolePolicyDocument"]["Statement"][0]["Action"][0] == "sts:AssumeRoleWithSAML"
    assert center.reserved_roles(RESEARCH) == center.reserved_roles(MANAGEMENT) == []


def test_the_role_is_there_when_its_time_has_come(center: Center) -> None:
    """IAM shows it though nobody asked Identity Center meanwhile."""
    center.assign(center.permission_set(), center.group())
    center.clock.advance(SETTINGS.assignment_seconds - 1)
    assert center.reserved_roles() == []
    center.clock.advance(1)
    assert len(center.reserved_roles()) == 1


def test_the_role_goes_with_the_last_assignment_and_comes_back_under_another_name(center: Center) -> None:
    arn, first, second = center.permission_set(), center.group("first"), center.group("second")
    attach(center, arn, READ_ONLY)
    for group in (first, second):
        center.assigned(arn, group)
    (role,) = center.reserved_roles()
    for group, left in ((first, [role["RoleName"]]), (second, [])):
        center.admin(
            "delete_account_assignment",
            PermissionSetArn=arn,
            PrincipalType="GROUP",
            PrincipalId=group,
            TargetType="AWS_ACCOUNT",
            TargetId=PAYMENTS,
        )
        center.clock.advance(SETTINGS.assignment_seconds)
        assert [each["RoleName"] for each in center.reserved_roles()] == left
    center.assigned(arn, first)
    (again,) = center.reserved_roles()
    assert again["RoleName"] != role["RoleName"]
    center.admin("describe_permission_set", PermissionSetArn=arn)


def _eleven_policies(center: Center, permission_set: str) -> None:
    for number in range(11):
        refer(center, permission_set, f"Policy{number}")


def _absent_policy(center: Center, permission_set: str) -> None:
    refer(center, permission_set, "Auditor", "/team/")


def _absent_boundary(center: Center, permission_set: str) -> None:
    boundary = {"CustomerManagedPolicyReference": {"Name": "Auditor", "Path": "/team/"}}
    operation = "put_permissions_boundary_to_permission_set"
    center.admin(operation, PermissionSetArn=permission_set, PermissionsBoundary=boundary)


def _ungrammatical_policy(center: Center, permission_set: str) -> None:
    put_inline(center, permission_set, {"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps"}]})


def _full_account(center: Center, _: str) -> None:
    center.instance.quotas = dataclasses.replace(center.instance.quotas, roles_per_account=1)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        pytest.param(
            _absent_policy, f"404 .* arn:aws:iam::{RESEARCH}:policy/team/Auditor", id="absent-policy"
        ),
        pytest.param(
            _absent_boundary, f"404 .* arn:aws:iam::{RESEARCH}:policy/team/Auditor", id="absent-boundary"
        ),
        pytest.param(_eleven_policies, "409 .* PoliciesPerRole: 10", id="policies-per-role"),
        pytest.param(_full_account, "409 .* RolesPerAccount: 1", id="roles-per-account"),
        pytest.param(_ungrammatical_policy, "400 status error", id="ungrammatical-policy"),
    ],
)
def test_what_iam_refuses_fails_the_assignment_and_leaves_nothing(
    center: Center, auditor: str, prepare: Any, reason: str
) -> None:
    arn = center.permission_set()
    prepare(center, arn)
    done = center.settled(center.assign(arn, center.group(), RESEARCH))
    assert done["Status"] == "FAILED"
    assert re.search(reason, done["FailureReason"])
    assert center.reserved_roles(RESEARCH) == []
    assert (
        center.admin("list_permission_sets_provisioned_to_account", AccountId=RESEARCH)["PermissionSets"]
        == []
    )


def test_a_failed_update_leaves_the_role_as_it_was(center: Center, auditor: str) -> None:
    arn = center.permission_set()
    attach(center, arn, READ_ONLY)
    center.assigned(arn, center.group(), RESEARCH)
    refer(center, arn, "Auditor", "/team/")
    operation = "provision_permission_set"
    target = {"TargetType": "AWS_ACCOUNT", "TargetId": RESEARCH}
    status = center.admin(operation, PermissionSetArn=arn, **target)["PermissionSetProvisioningStatus"]
    center.clock.advance(SETTINGS.assignment_seconds)
    done = center.admin(
        "describe_permission_set_provisioning_status", ProvisionPermissionSetRequestId=status["RequestId"]
    )["PermissionSetProvisioningStatus"]
    assert done["Status"] == "FAILED"
    (role,) = center.reserved_roles(RESEARCH)
    attached = center.client("iam", RESEARCH).list_attached_role_policies(RoleName=role["RoleName"])
    assert [each["PolicyArn"] for each in attached["AttachedPolicies"]] == [READ_ONLY]


def test_outside_us_east_1_the_path_names_the_region(center: Center) -> None:
    elsewhere = instance.add_instance(MANAGEMENT, "eu-central-1")
    admin = center.client("sso-admin", region="eu-central-1")
    store = center.client("identitystore", region="eu-central-1")
    arn = admin.create_permission_set(InstanceArn=elsewhere.arn, Name="X")["PermissionSet"][
        "PermissionSetArn"
    ]
    group = store.create_group(IdentityStoreId=elsewhere.store.id, DisplayName="g")["GroupId"]
    admin.create_account_assignment(
        InstanceArn=elsewhere.arn,
        PermissionSetArn=arn,
        PrincipalType="GROUP",
        PrincipalId=group,
        TargetType="AWS_ACCOUNT",
        TargetId=PAYMENTS,
    )
    center.clock.advance(SETTINGS.assignment_seconds)
    assert [each["Path"] for each in center.reserved_roles()] == [
        "/aws-reserved/sso.amazonaws.com/eu-central-1/"
    ]
