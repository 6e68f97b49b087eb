# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.model import Shape
from moto.core.exceptions import ServiceException
from moto.core.utils import get_service_model

from aws_local_org.identity_center import rules
from tests.local_org.identity_center.center import Center, refusal


def token_of(center: Center, operation: str, **parameters: Any) -> str:
    return str(center.store(operation, MaxResults=1, **parameters)["NextToken"])


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("nonsense", id="not-base64"),
        pytest.param(base64.urlsafe_b64encode(b"{}").decode(), id="not-a-position"),
        pytest.param(base64.urlsafe_b64encode(b'["Users", -1]').decode(), id="before-the-start"),
        pytest.param(base64.urlsafe_b64encode(b'["Users", "1"]').decode(), id="not-a-number"),
    ],
)
def test_tokens_that_no_list_gave(center: Center, token: str) -> None:
    refusal("ValidationException", center.store, "list_users", NextToken=token)


def test_a_token_of_another_list(center: Center) -> None:
    for name in ("one", "two"):
        center.group(name)
    token = token_of(center, "list_groups")
    refusal("ValidationException", center.store, "list_users", NextToken=token)
    assert len(center.store("list_groups", NextToken=token)["Groups"]) == 1


@pytest.mark.parametrize("size", [0, 101])
def test_illegal_page_sizes(center: Center, size: int) -> None:
    refusal("ValidationException", center.store, "list_users", MaxResults=size)


def test_a_page_holds_at_most_a_hundred(center: Center) -> None:
    made = [center.permission_set(f"Set{number}") for number in range(101)]
    first = center.admin("list_permission_sets")
    assert first["PermissionSets"] == made[:100]
    last = center.admin("list_permission_sets", NextToken=first["NextToken"])
    assert last["PermissionSets"] == made[100:]
    assert "NextToken" not in last


def test_pages_can_be_forced_down_while_running(center: Center) -> None:
    for number in range(3):
        center.user(f"user{number}")
    center.org.configure(page_limit=2)
    assert len(center.store("list_users", MaxResults=100)["Users"]) == 2
    assert len(center.store("list_users", MaxResults=1)["Users"]) == 1
    center.org.configure(page_limit=None)
    assert len(center.store("list_users")["Users"]) == 3


INSTANCE = "arn:aws:sso:::instance/ssoins-0123456789abcdef"

SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"


def shape(operation: str, service: str = "sso-admin") -> Shape:
    found: Shape = get_service_model(service).operation_model(operation).input_shape
    return found


def test_every_violation_is_named_as_aws_names_it() -> None:
    with pytest.raises(ServiceException) as caught:
        rules.check_shape(shape("CreatePermissionSet"), {"Name": "a b", "RelayState": ""})
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
    (found,) = rules._violations(shape(operation), parameters)
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
    rules.check_shape(shape(operation), parameters)


def test_an_operation_without_input() -> None:
    rules.check_shape(None, {})


def test_people_are_not_echoed() -> None:
    request = {"IdentityStoreId": "d-0123456789", "UserName": "ann lee"}
    (found,) = rules._violations(shape("CreateUser", "identitystore"), request)
    assert found.startswith("Value at 'userName' failed")
    assert "ann" not in found


def test_long_values_are_not_echoed() -> None:
    request = {"InstanceArn": INSTANCE, "PermissionSetArn": SET, "InlinePolicy": "x" * 40_000}
    (found,) = rules._violations(shape("PutInlinePolicyToPermissionSet"), request)
    assert len(found) < 200
