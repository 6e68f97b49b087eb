# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from moto.core.utils import get_service_model

from aws_local_org.errors import AwsError
from aws_local_org.iam.parameters import check_parameters

ONE = "1 validation error detected: "
NAME = (
    "The specified value for userName is invalid. "
    "It must contain only alphanumeric characters and/or the following: +=,.@_-"
)
PATH = (
    "The specified value for path is invalid. "
    "It must begin and end with / and contain only alphanumeric characters and/or / characters."
)


def complaint(operation: str, parameters: dict[str, Any]) -> str | None:
    try:
        check_parameters(get_service_model("iam").operation_model(operation), parameters)
    except AwsError as error:
        return f"{error.code}: {error.message}"
    return None


@pytest.mark.parametrize(
    ("operation", "parameters", "expected"),
    [
        pytest.param("ListUsers", {}, None, id="nothing asked for"),
        pytest.param("GetCredentialReport", {}, None, id="no parameters at all"),
        pytest.param("ListUsers", {"MaxItems": 1000, "PathPrefix": "/a/"}, None, id="within bounds"),
        pytest.param(
            "ListUsers",
            {"MaxItems": 1001},
            ONE + "Value at 'maxItems' failed to satisfy constraint: "
            "Member must have value less than or equal to 1000",
            id="too many",
        ),
        pytest.param(
            "DeleteUser",
            {},
            ONE + "Value at 'userName' failed to satisfy constraint: Member must not be null",
            id="missing",
        ),
        pytest.param(
            "GetUser",
            {"UserName": "a b"},
            NAME,
            id="name",
        ),
        pytest.param("GetUser", {"UserName": ""}, NAME, id="empty name"),
        pytest.param(
            "DeletePolicyVersion",
            {"PolicyArn": "a" * 20, "VersionId": "version1"},
            ONE + "Value at 'versionId' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: v[1-9][0-9]*(\.[A-Za-z0-9-]*)?",
            id="pattern",
        ),
        pytest.param(
            "UpdateAccessKey",
            {"AccessKeyId": "A" * 20, "Status": "Off"},
            ONE + "Value at 'status' failed to satisfy constraint: Member must satisfy enum value set",
            id="enumeration",
        ),
        pytest.param(
            "TagUser",
            {"UserName": "ada", "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c" * 129, "Value": ""}]},
            ONE + "Value at 'tags.2.member.key' failed to satisfy constraint: "
            "Member must have length less than or equal to 128",
            id="inside a list",
        ),
        pytest.param("UntagUser", {"UserName": "ada", "TagKeys": ["a", "b"]}, None, id="texts in a list"),
        pytest.param(
            "UntagUser",
            {"UserName": "ada", "TagKeys": ["a", "b" * 129, "c?"]},
            ONE + "Value at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: "
            "[Member must have length less than or equal to 128, Member must have length greater than or equal to 1, "
            r"Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+, Member must not be null]",
            id="wrong texts in a list",
        ),
        pytest.param(
            "UntagUser",
            {"UserName": "ada", "TagKeys": ["a"] * 51},
            ONE + "Value at 'tagKeys' failed to satisfy constraint: "
            "Member must have length less than or equal to 50",
            id="too many in a list",
        ),
        pytest.param(
            "CreateLoginProfile",
            {"UserName": "ada", "Password": "p" * 129},
            ONE + "Value at 'password' failed to satisfy constraint: "
            "Member must have length less than or equal to 128",
            id="secret",
        ),
        pytest.param(
            "CreateUser",
            {"UserName": "a" * 65, "Path": f"/{'b' * 512}/"},
            "2 validation errors detected: "
            "Value at 'path' failed to satisfy constraint: Member must have length less than or equal to 512; "
            "Value at 'userName' failed to satisfy constraint: Member must have length less than or equal to 64",
            id="several",
        ),
        pytest.param(
            "CreateUser",
            {"UserName": "a/b", "Path": "/" + "b" * 512},
            ONE
            + "Value at 'path' failed to satisfy constraint: Member must have length less than or equal to 512",
            id="length before form",
        ),
        pytest.param("CreateUser", {"UserName": "ada", "Path": "x"}, PATH, id="path"),
        pytest.param(
            "UpdateUser", {"UserName": "ada", "NewPath": "/x"}, PATH.replace("path", "newPath"), id="new path"
        ),
    ],
)
def test_complaints(operation: str, parameters: dict[str, Any], expected: str | None) -> None:
    assert complaint(operation, parameters) == (expected and f"ValidationError: {expected}")
