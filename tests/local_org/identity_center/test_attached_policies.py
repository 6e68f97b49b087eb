# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.local_org.identity_center.center import Center, refusal

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
BILLING = "arn:aws:iam::aws:policy/job-function/Billing"


def managed(center: Center, operation: str, permission_set: str, arn: str) -> Any:
    return center.admin(
        f"{operation}_managed_policy_{'to' if operation == 'attach' else 'from'}_permission_set",
        PermissionSetArn=permission_set,
        ManagedPolicyArn=arn,
    )


def customer(center: Center, operation: str, permission_set: str, **reference: str) -> Any:
    return center.admin(
        f"{operation}_customer_managed_policy_reference_{'to' if operation == 'attach' else 'from'}_permission_set",
        PermissionSetArn=permission_set,
        CustomerManagedPolicyReference=reference,
    )


def managed_of(center: Center, permission_set: str) -> list[Any]:
    found = center.admin("list_managed_policies_in_permission_set", PermissionSetArn=permission_set)
    return list(found["AttachedManagedPolicies"])


def customer_of(center: Center, permission_set: str) -> list[Any]:
    operation = "list_customer_managed_policy_references_in_permission_set"
    return list(center.admin(operation, PermissionSetArn=permission_set)["CustomerManagedPolicyReferences"])


def test_attaching_and_detaching_aws_managed_policies(center: Center) -> None:
    arn = center.permission_set()
    managed(center, "attach", arn, READ_ONLY)
    managed(center, "attach", arn, BILLING)
    assert managed_of(center, arn) == [
        {"Name": "ReadOnlyAccess", "Arn": READ_ONLY},
        {"Name": "Billing", "Arn": BILLING},
    ]
    managed(center, "detach", arn, READ_ONLY)
    assert [each["Arn"] for each in managed_of(center, arn)] == [BILLING]


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        pytest.param("arn:aws:iam::aws:policy/NoSuchPolicy", "ResourceNotFoundException", id="unknown"),
        pytest.param("arn:aws:iam::aws:policy/Billing", "ResourceNotFoundException", id="without-its-path"),
        pytest.param(READ_ONLY, "ConflictException", id="attached-already"),
        pytest.param("arn:aws:iam::111122223333:policy/Own", "ValidationException", id="customer-managed"),
        pytest.param("ReadOnlyAccess", "ValidationException", id="not-an-arn"),
    ],
)
def test_what_cannot_be_attached(center: Center, policy: str, code: str) -> None:
    arn = center.permission_set()
    managed(center, "attach", arn, READ_ONLY)
    refusal(code, managed, center, "attach", arn, policy)
    assert [each["Arn"] for each in managed_of(center, arn)] == [READ_ONLY]


def test_customer_managed_policies_are_references_by_name_and_path(center: Center) -> None:
    arn = center.permission_set()
    customer(center, "attach", arn, Name="Auditor")
    customer(center, "attach", arn, Name="Auditor", Path="/team/")
    assert customer_of(center, arn) == [
        {"Name": "Auditor", "Path": "/"},
        {"Name": "Auditor", "Path": "/team/"},
    ]
    refusal("ConflictException", customer, center, "attach", arn, Name="Auditor", Path="/")
    customer(center, "detach", arn, Name="Auditor")
    assert customer_of(center, arn) == [{"Name": "Auditor", "Path": "/team/"}]


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param({"Name": "a/b"}, id="slash-in-name"),
        pytest.param({"Name": "a", "Path": "team"}, id="path-without-slashes"),
        pytest.param({"Path": "/team/"}, id="no-name"),
    ],
)
def test_illegal_references(center: Center, reference: dict[str, str]) -> None:
    refusal("ValidationException", customer, center, "attach", center.permission_set(), **reference)


def test_what_is_not_attached_cannot_be_detached(center: Center) -> None:
    arn = center.permission_set()
    refusal("ResourceNotFoundException", managed, center, "detach", arn, AUDIT)
    refusal("ResourceNotFoundException", customer, center, "detach", arn, Name="Auditor")


def test_twenty_policies_of_both_kinds_together(center: Center) -> None:
    arn = center.permission_set()
    managed(center, "attach", arn, READ_ONLY)
    for number in range(19):
        customer(center, "attach", arn, Name=f"Policy{number}")
    refusal("ServiceQuotaExceededException", managed, center, "attach", arn, AUDIT)
    refusal("ServiceQuotaExceededException", customer, center, "attach", arn, Name="Policy19")
    managed(center, "detach", arn, READ_ONLY)
    managed(center, "attach", arn, AUDIT)
    assert len(managed_of(center, arn)) + len(customer_of(center, arn)) == 20
