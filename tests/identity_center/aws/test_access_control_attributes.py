# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.instance import Center, username_tags
from tests.access_center import INSTANCE

OPERATION = "describe_instance_access_control_attribute_configuration"


def attribute(key: str, source: str) -> dict[str, Any]:
    return {"Key": key, "Value": {"Source": [source]}}


def answer(*attributes: dict[str, Any], status: str = "ENABLED") -> dict[str, Any]:
    configuration = {"AccessControlAttributes": list(attributes)}
    return {"Status": status, "InstanceAccessControlAttributeConfiguration": configuration}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param(answer(attribute("UserName", "${path:userName}")), {"UserName"}, id="the-username"),
        pytest.param(
            answer(attribute("UserName", "${path:emails[primary eq true].value}")), set(), id="the-email"
        ),
        pytest.param(
            answer(attribute("UserName", "${path:userName}"), status="CREATION_FAILED"),
            set(),
            id="not-enabled",
        ),
        pytest.param({"Status": "ENABLED"}, set(), id="nothing-told"),
        pytest.param(None, set(), id="switched-off"),
    ],
)
def test_the_tags_that_are_sure_to_be_the_username(
    response: dict[str, Any] | None, expected: set[str]
) -> None:
    client = boto3.client(
        "sso-admin", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stub:
        if response is None:
            stub.add_client_error(OPERATION, "ResourceNotFoundException")
        else:
            stub.add_response(OPERATION, response, {"InstanceArn": INSTANCE.arn})
        center = Center({"sso-admin": client}, INSTANCE, Backoff(), RateLimit(1000), INSTANCE.owner)
        assert username_tags(center) == expected
