# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from aws_local_org.redaction import LONGEST, SECRETS, redacted


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            {"Password": "p", "UserName": "ada"}, {"Password": "***", "UserName": "ada"}, id="secret"
        ),
        pytest.param([{"a": ({"PrivateKey": "k"},)}], [{"a": [{"PrivateKey": "***"}]}], id="deep inside"),
        pytest.param(
            {"NextToken": "t", "SecretId": "s"}, {"NextToken": "t", "SecretId": "s"}, id="no secrets"
        ),
        pytest.param({"PasswordResetRequired": True}, {"PasswordResetRequired": True}, id="about a secret"),
        pytest.param({"Body": b"abc"}, {"Body": "<3 bytes>"}, id="bytes"),
        pytest.param([1, 2.5, None, False], [1, 2.5, None, False], id="plain values"),
        pytest.param("x" * LONGEST, "x" * LONGEST, id="the longest text"),
        pytest.param(
            "x" * LONGEST + "y", "x" * LONGEST + f"... <{LONGEST + 1} characters>", id="too long a text"
        ),
    ],
)
def test_redaction(value: Any, expected: Any) -> None:
    assert redacted(value) == expected


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_every_parameter_that_the_model_calls_sensitive_is_hidden(service: str) -> None:
    model = botocore.session.get_session().get_service_model(service)
    inputs = (model.operation_model(name).input_shape for name in model.operation_names)
    sensitive = {
        name
        for shape in inputs
        if shape is not None
        for name, member in shape.members.items()
        if member.metadata.get("sensitive")
    }
    assert sensitive
    assert sensitive - SECRETS == set()
