# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
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


def document(padding: int = 0, filler: str = "x") -> str:
    statement = {"Sid": filler * padding, "Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, ensure_ascii=False)


def put_inline(center: Center, permission_set: str, policy: str) -> Any:
    operation = "put_inline_policy_to_permission_set"
    return center.admin(operation, PermissionSetArn=permission_set, InlinePolicy=policy)


def get_inline(center: Center, permission_set: str) -> Any:
    return center.admin("get_inline_policy_for_permission_set", PermissionSetArn=permission_set)[
        "InlinePolicy"
    ]


def dense(characters: int) -> str:
    """A policy of so many non-whitespace characters."""
    return document(characters - len("".join(document().split())))


def test_inline_put_get_replace_delete(center: Center) -> None:
    arn = center.permission_set()
    assert get_inline(center, arn) == ""
    put_inline(center, arn, document(1))
    put_inline(center, arn, document(2))
    assert get_inline(center, arn) == document(2)
    center.admin("delete_inline_policy_from_permission_set", PermissionSetArn=arn)
    assert get_inline(center, arn) == ""


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        pytest.param("", "ValidationException", id="empty"),
        pytest.param("{", "ValidationException", id="no-json"),
        pytest.param("[]", "ValidationException", id="no-object"),
        pytest.param("{}", "ValidationException", id="no-statement"),
        pytest.param(document() + " " * 32_768, "ValidationException", id="too-long"),
        pytest.param(document(17_000, "\u00e9"), "ValidationException", id="too-many-bytes"),
        pytest.param(document(1, "\u20ac"), "ValidationException", id="beyond-latin-1"),
        pytest.param(dense(10_241), "ServiceQuotaExceededException", id="too-dense"),
    ],
)
def test_refused_documents(center: Center, policy: str, code: str) -> None:
    arn = center.permission_set()
    refusal(code, put_inline, center, arn, policy)
    assert get_inline(center, arn) == ""


def test_as_large_as_it_may_be(center: Center) -> None:
    arn, largest = center.permission_set(), dense(10_240)
    put_inline(center, arn, largest + " " * (32_768 - len(largest)))
    assert get_inline(center, arn).strip() == largest


MANAGED = {"ManagedPolicyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}
CUSTOMER = {"CustomerManagedPolicyReference": {"Name": "Boundary", "Path": "/security/"}}


def put_boundary(center: Center, permission_set: str, boundary: dict[str, Any]) -> Any:
    operation = "put_permissions_boundary_to_permission_set"
    return center.admin(operation, PermissionSetArn=permission_set, PermissionsBoundary=boundary)


def get_boundary(center: Center, permission_set: str) -> Any:
    operation = "get_permissions_boundary_for_permission_set"
    return center.admin(operation, PermissionSetArn=permission_set)["PermissionsBoundary"]


def test_boundary_put_replace_delete(center: Center) -> None:
    arn = center.permission_set()
    put_boundary(center, arn, MANAGED)
    assert get_boundary(center, arn) == MANAGED
    put_boundary(center, arn, CUSTOMER)
    assert get_boundary(center, arn) == CUSTOMER
    operation = "delete_permissions_boundary_from_permission_set"
    center.admin(operation, PermissionSetArn=arn)
    refusal("ResourceNotFoundException", get_boundary, center, arn)
    refusal("ResourceNotFoundException", center.admin, operation, PermissionSetArn=arn)


@pytest.mark.parametrize(
    ("boundary", "code"),
    [
        pytest.param({}, "ValidationException", id="neither"),
        pytest.param({**MANAGED, **CUSTOMER}, "ValidationException", id="both"),
        pytest.param(
            {"ManagedPolicyArn": "arn:aws:iam::aws:policy/NoSuch"},
            "ResourceNotFoundException",
            id="unknown-policy",
        ),
        pytest.param(
            {"CustomerManagedPolicyReference": {"Path": "/x/"}}, "ValidationException", id="nameless"
        ),
    ],
)
def test_refused_boundaries(center: Center, boundary: dict[str, Any], code: str) -> None:
    arn = center.permission_set()
    refusal(code, put_boundary, center, arn, boundary)
    refusal("ResourceNotFoundException", get_boundary, center, arn)
