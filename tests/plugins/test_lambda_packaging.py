# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from c7n.exceptions import PolicyValidationError
from c7n.policy import LambdaMode, execution

from c7n_iamusers.plugins.lambda_packaging import validate_lambda_packaging

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


CARRIED = {"type": "periodic", **PACKAGES, **HANDLER}
YAML_TOO = {**CARRIED, "packages": ["c7n_iamusers", "yaml"]}
S3 = "s3://governance/exemptions"
ADD_YAML = "add yaml to mode.packages, for exempt-from, or keep that list as .json or .csv"


def exempting(source: Any, mode: dict[str, Any], *around: str) -> SimpleNamespace:
    """A policy with ``exempt-from``, within the blocks ``around``."""
    chosen: Any = {"type": "unnecessary", "exempt-from": source}
    for name in around:
        chosen = {name: ["other", chosen]}
    return manager(mode=mode, filters=["other", {"UserName": "x"}, chosen])


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(exempting(f"{S3}.csv", CARRIED), id="csv"),
        pytest.param(exempting(f"{S3}.json", CARRIED), id="json"),
        pytest.param(exempting({"url": f"{S3}.yaml", "format": "json"}, CARRIED), id="json-by-format"),
        pytest.param(exempting(f"{S3}.yaml", YAML_TOO), id="yaml-carried"),
        pytest.param(exempting(f"{S3}.yaml", {"type": "pull"}), id="pull"),
        pytest.param(exempting(["faulty"], CARRIED), id="left-to-the-filter"),
        pytest.param(
            manager(mode=CARRIED, filters=[{"type": "value", "exempt-from": "x.yaml"}]), id="other-filter"
        ),
    ],
)
def test_lists_that_lambda_can_read(found: SimpleNamespace) -> None:
    validate_lambda_packaging(found)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(exempting(f"{S3}.yaml", CARRIED), id="yaml"),
        pytest.param(exempting(f"{S3}.yml.gz", CARRIED), id="yml-compressed"),
        pytest.param(exempting({"url": S3, "format": "yaml"}, CARRIED), id="yaml-by-format"),
        pytest.param(exempting({"from": f"{S3}.yaml"}, CARRIED), id="yaml-by-from"),
        pytest.param(exempting(f"{S3}.yaml", CARRIED, "not", "or", "and"), id="within-blocks"),
    ],
)
def test_lists_that_lambda_cannot_read(found: SimpleNamespace) -> None:
    with pytest.raises(PolicyValidationError, match=rf"policy delete-users: .*: {re.escape(ADD_YAML)}$"):
        validate_lambda_packaging(found)


@pytest.mark.parametrize(
    ("source", "local"),
    [
        pytest.param("policies/exemptions.csv", "policies/exemptions.csv", id="path"),
        pytest.param({"from": "exemptions.json", "min-rules": 2}, "exemptions.json", id="from"),
        pytest.param("file:///srv/exemptions.csv", "file:///srv/exemptions.csv", id="file"),
        pytest.param("{list}", "", id="variable"),
        pytest.param("https://example.com/exemptions.csv", "", id="url"),
    ],
)
def test_lists_on_this_machine_are_not_in_the_archive(source: Any, local: str) -> None:
    if not local:
        validate_lambda_packaging(exempting(source, CARRIED))
        return
    with pytest.raises(PolicyValidationError, match=f"since the archive does not have {re.escape(local)}$"):
        validate_lambda_packaging(exempting(source, CARRIED))


OF_INSTANCES = ("asg-instance-state", "ec2-instance-state")


@pytest.mark.parametrize("name", OF_INSTANCES)
def test_modes_of_instances_select_no_user(name: str) -> None:
    with pytest.raises(PolicyValidationError, match=rf"mode {name} .* would select no user: use cloudtrail"):
        validate_lambda_packaging(manager(mode={"type": name, **PACKAGES, **HANDLER}))


@pytest.mark.parametrize(
    "name",
    sorted(
        name for name, mode in execution.items() if issubclass(mode, LambdaMode) and name not in OF_INSTANCES
    ),
)
def test_every_lambda_mode_is_refused(name: str) -> None:
    with pytest.raises(PolicyValidationError, match=rf"mode {name} runs in AWS Lambda"):
        validate_lambda_packaging(manager(mode={"type": name}))
