# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from botocore.model import Shape
from moto.core.exceptions import ServiceException
from moto.core.utils import get_service_model

from aws_local_org.identity_center import request_shape

INSTANCE = "arn:aws:sso:::instance/ssoins-0123456789abcdef"

SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"


def shape(operation: str, service: str = "sso-admin") -> Shape:
    found: Shape = get_service_model(service).operation_model(operation).input_shape
    return found


def test_every_violation_is_named_as_aws_names_it() -> None:
    with pytest.raises(ServiceException) as caught:
        request_shape.check(shape("CreatePermissionSet"), {"Name": "a b", "RelayState": ""})
    assert caught.value.code == "ValidationException"
    assert caught.value.message.startswith("4 validation errors detected: ")
    assert (
        "Value 'a b' at 'name' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [\w+=,.@-]+" in caught.value.message
    )
    assert (
        "Value null at 'instanceArn' failed to satisfy constraint: Member must not be null"
        in caught.value.message
    )
    assert (
        "at 'relayState' failed to satisfy constraint: Member must have length greater"
        in caught.value.message
    )


@pytest.mark.parametrize(
    ("operation", "parameters", "expected"),
    [
        pytest.param(
            "ListInstances", {"MaxResults": 0}, "at 'maxResults'.*have value greater", id="too-small"
        ),
        pytest.param(
            "ListInstances", {"MaxResults": 101}, "at 'maxResults'.*have value less", id="too-large"
        ),
        pytest.param(
            "ListInstances", {"MaxResults": "1"}, "at 'maxResults'.*of type integer", id="no-integer"
        ),
        pytest.param("ListInstances", {"RegionScope": "ALL"}, "enum value set: .CURRENT_REGION, ", id="enum"),
        pytest.param(
            "TagResource",
            {"ResourceArn": INSTANCE, "Tags": [{"Key": "a", "Value": "b"}, {"Key": "a"}]},
            "at 'tags.2.member.value'.*not be null",
            id="in-a-list",
        ),
        pytest.param(
            "TagResource",
            {"ResourceArn": INSTANCE, "Tags": {"a": "b"}},
            "at 'tags'.*of type list",
            id="no-list",
        ),
    ],
)
def test_refused(operation: str, parameters: dict[str, Any], expected: str) -> None:
    (found,) = request_shape.violations(shape(operation), parameters)
    assert pytest.RaisesExc(Exception, match=expected).matches(Exception(found)), found


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        pytest.param("ListInstances", {}, id="all-optional"),
        pytest.param("ListInstances", {"MaxResults": 100, "RegionScope": "ALL_REGIONS"}, id="at-the-limit"),
        pytest.param("ListInstances", {"Unknown": object()}, id="unknown-members-are-ignored"),
        pytest.param("TagResource", {"ResourceArn": INSTANCE, "Tags": []}, id="empty-list"),
    ],
)
def test_accepted(operation: str, parameters: dict[str, Any]) -> None:
    request_shape.check(shape(operation), parameters)


def test_an_operation_without_input() -> None:
    request_shape.check(None, {})


def test_people_are_not_echoed() -> None:
    request = {"IdentityStoreId": "d-0123456789", "UserName": "ann lee"}
    (found,) = request_shape.violations(shape("CreateUser", "identitystore"), request)
    assert found.startswith("Value at 'userName' failed")
    assert "ann" not in found


def test_long_values_are_not_echoed() -> None:
    request = {"InstanceArn": INSTANCE, "PermissionSetArn": SET, "InlinePolicy": "x" * 40_000}
    (found,) = request_shape.violations(shape("PutInlinePolicyToPermissionSet"), request)
    assert len(found) < 200
