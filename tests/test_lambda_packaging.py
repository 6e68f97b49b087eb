# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from c7n.exceptions import PolicyValidationError
from c7n.policy import LambdaMode, execution

from c7n_iamusers.lambda_packaging import validate_lambda_packaging

PACKAGES = {"packages": ["other", "c7n_iamusers"]}
HANDLER = {"handler": "c7n_iamusers.handler.run"}
ADD_PACKAGE = "add c7n_iamusers to mode.packages"
SET_HANDLER = "set mode.handler to c7n_iamusers.handler.run"


def manager(**data: Any) -> SimpleNamespace:
    return SimpleNamespace(data={"name": "delete-users", "resource": "aws.iam-user", **data})


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="no-mode"),
        pytest.param({"mode": {}}, id="empty-mode"),
        pytest.param({"mode": {"type": "pull"}}, id="pull"),
        pytest.param({"mode": {"type": "periodic", **PACKAGES, **HANDLER}}, id="carried"),
        pytest.param({"mode": {"type": "unknown-to-c7n"}}, id="left-to-the-schema"),
    ],
)
def test_accepted(data: dict[str, Any]) -> None:
    validate_lambda_packaging(manager(**data))


@pytest.mark.parametrize(
    ("mode", "mends"),
    [
        pytest.param({"type": "periodic"}, f"{ADD_PACKAGE} and {SET_HANDLER}", id="neither"),
        pytest.param({"type": "cloudtrail", **PACKAGES}, SET_HANDLER, id="no-handler"),
        pytest.param({"type": "cloudtrail", **HANDLER}, ADD_PACKAGE, id="no-packages"),
        pytest.param(
            {"type": "schedule", **HANDLER, "packages": ["botocore"]}, ADD_PACKAGE, id="other-package"
        ),
        pytest.param(
            {"type": "config-rule", **PACKAGES, "handler": "custodian_policy.run"},
            SET_HANDLER,
            id="other-handler",
        ),
    ],
)
def test_refused(mode: dict[str, Any], mends: str) -> None:
    with pytest.raises(
        PolicyValidationError, match=rf"policy delete-users: mode {mode['type']} .*: {re.escape(mends)}$"
    ):
        validate_lambda_packaging(manager(mode=mode))


@pytest.mark.parametrize(
    "name", sorted(name for name, mode in execution.items() if issubclass(mode, LambdaMode))
)
def test_every_lambda_mode_is_refused(name: str) -> None:
    with pytest.raises(PolicyValidationError, match=rf"mode {name} runs in AWS Lambda"):
        validate_lambda_packaging(manager(mode={"type": name}))
