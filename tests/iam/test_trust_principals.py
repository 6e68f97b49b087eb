# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.iam.trust_principals import tells_apart
from tests.records import ACCOUNT

pytestmark = pytest.mark.pure

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
CONDITION = {"StringEquals": {"sts:ExternalId": "x"}}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param({"Principal": {"AWS": ROOT}}, False, id="account"),
        pytest.param({"Principal": {"AWS": ["111122223333", ROOT]}}, False, id="accounts"),
        pytest.param(
            {"Principal": {"Service": "ec2.amazonaws.com"}, "Condition": CONDITION}, False, id="service"
        ),
        pytest.param(
            {"Principal": {"Federated": "x"}, "Condition": CONDITION}, False, id="identity-provider"
        ),
        pytest.param({"Principal": {"AWS": ROOT}, "Condition": CONDITION}, True, id="account-on-a-condition"),
        pytest.param({"Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"}}, True, id="user"),
        pytest.param({"Principal": "*"}, True, id="everybody"),
        pytest.param({"Principal": {"AWS": "*"}}, True, id="everybody-of-aws"),
        pytest.param({"NotPrincipal": {"AWS": ROOT}}, True, id="not-principal"),
        pytest.param({}, True, id="no-principal"),
    ],
)
def test_whether_a_trust_policy_can_tell_principals_apart(statement: dict[str, Any], expected: bool) -> None:
    plain = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}
    whole = {"Effect": "Allow", "Action": "sts:AssumeRole", **statement}
    assert tells_apart({"Version": "2012-10-17", "Statement": [plain, whole]}) is expected
    assert tells_apart("{") is True
