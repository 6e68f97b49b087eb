# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local_org.identity_center.center import Center, refusal


def document(padding: int = 0, filler: str = "x") -> str:
    statement = {"Sid": filler * padding, "Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, ensure_ascii=False)


def put(center: Center, permission_set: str, policy: str) -> Any:
    operation = "put_inline_policy_to_permission_set"
    return center.admin(operation, PermissionSetArn=permission_set, InlinePolicy=policy)


def get(center: Center, permission_set: str) -> Any:
    return center.admin("get_inline_policy_for_permission_set", PermissionSetArn=permission_set)[
        "InlinePolicy"
    ]


def dense(characters: int) -> str:
    """A policy of so many non-whitespace characters."""
    return document(characters - len("".join(document().split())))


def test_put_get_replace_delete(center: Center) -> None:
    arn = center.permission_set()
    assert get(center, arn) == ""
    put(center, arn, document(1))
    put(center, arn, document(2))
    assert get(center, arn) == document(2)
    center.admin("delete_inline_policy_from_permission_set", PermissionSetArn=arn)
    assert get(center, arn) == ""


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
    refusal(code, put, center, arn, policy)
    assert get(center, arn) == ""


def test_as_large_as_it_may_be(center: Center) -> None:
    arn, largest = center.permission_set(), dense(10_240)
    put(center, arn, largest + " " * (32_768 - len(largest)))
    assert get(center, arn).strip() == largest
