# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from moto.core.utils import get_service_model

from c7n_iamusers.local_org.errors import AwsError
from c7n_iamusers.local_org.iam.parameters import check_parameters

ONE = "1 validation error detected: "


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
            ONE + "Value '1001' at 'maxItems' failed to satisfy constraint: "
            "Member must have value less than or equal to 1000",
            id="too many",
        ),
        pytest.param(
            "DeleteUser",
            {},
            ONE + "Value null at 'userName' failed to satisfy constraint: Member must not be null",
            id="missing",
        ),
        pytest.param(
            "GetUser",
            {"UserName": "a b"},
            ONE + "Value 'a b' at 'userName' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\w+=,.@-]+",
            id="pattern",
        ),
        pytest.param(
            "UpdateAccessKey",
            {"AccessKeyId": "A" * 20, "Status": "Off"},
            ONE + "Value 'Off' at 'status' failed to satisfy constraint: "
            "Member must satisfy enum value set: [Active, Inactive, Expired]",
            id="enumeration",
        ),
        pytest.param(
            "TagUser",
            {"UserName": "ada", "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c" * 129, "Value": ""}]},
            ONE + f"Value '{'c' * 129}' at 'tags.2.member.key' failed to satisfy constraint: "
            "Member must have length less than or equal to 128",
            id="inside a list",
        ),
        pytest.param(
            "CreateLoginProfile",
            {"UserName": "ada", "Password": "p" * 129},
            ONE + "Value '***' at 'password' failed to satisfy constraint: "
            "Member must have length less than or equal to 128",
            id="secret",
        ),
        pytest.param(
            "CreateUser",
            {"UserName": "", "Path": "x"},
            "3 validation errors detected: "
            r"Value 'x' at 'path' failed to satisfy constraint: Member must satisfy regular expression pattern: "
            r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F); "
            "Value '' at 'userName' failed to satisfy constraint: Member must have length greater than or equal to 1; "
            "Value '' at 'userName' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\w+=,.@-]+",
            id="several",
        ),
    ],
)
def test_complaints(operation: str, parameters: dict[str, Any], expected: str | None) -> None:
    assert complaint(operation, parameters) == (expected and f"ValidationError: {expected}")
