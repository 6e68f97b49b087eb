# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.local_org.identity_center.center import Center, refusal

MANAGED = {"ManagedPolicyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}
CUSTOMER = {"CustomerManagedPolicyReference": {"Name": "Boundary", "Path": "/security/"}}


def put(center: Center, permission_set: str, boundary: dict[str, Any]) -> Any:
    operation = "put_permissions_boundary_to_permission_set"
    return center.admin(operation, PermissionSetArn=permission_set, PermissionsBoundary=boundary)


def get(center: Center, permission_set: str) -> Any:
    operation = "get_permissions_boundary_for_permission_set"
    return center.admin(operation, PermissionSetArn=permission_set)["PermissionsBoundary"]


def test_put_replace_delete(center: Center) -> None:
    arn = center.permission_set()
    put(center, arn, MANAGED)
    assert get(center, arn) == MANAGED
    put(center, arn, CUSTOMER)
    assert get(center, arn) == CUSTOMER
    operation = "delete_permissions_boundary_from_permission_set"
    center.admin(operation, PermissionSetArn=arn)
    refusal("ResourceNotFoundException", get, center, arn)
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
    refusal(code, put, center, arn, boundary)
    refusal("ResourceNotFoundException", get, center, arn)
