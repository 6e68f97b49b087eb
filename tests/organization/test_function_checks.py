# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.organization.function_checks import FunctionProbes, missing_statements
from c7n_iamusers.organization.readiness import Check, Target

ROLE = "arn:aws:iam::111122223333:role/IamUsersDeployer"
TARGET = Target("111122223333", "payments", (ROLE,), "", "", ("us-east-1",), {"runner_role": "team/Remover"})
WRITES = {"EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "WriteOnly"}]}


class Client:
    """Answers each operation with what is given, or raises it."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        answer = self._answers[name]

        def call(**_: Any) -> Any:
            if isinstance(answer, str):
                raise ClientError({"Error": {"Code": answer}}, name)
            return answer

        return call

    def can_paginate(self, _: str) -> bool:
        return False


def probes(**answers: Any) -> FunctionProbes:
    return FunctionProbes(TARGET, lambda _: Client(**answers), Backoff(sleep=lambda _: None))


def advanced(*fields: tuple[str, dict[str, list[str]]]) -> dict[str, Any]:
    selectors = [{"Field": name, **operators} for name, operators in fields]
    return {"AdvancedEventSelectors": [{"FieldSelectors": selectors}]}


MANAGEMENT = ("eventCategory", {"Equals": ["Management"]})


@pytest.mark.parametrize(
    ("logging", "selected", "status"),
    [
        pytest.param(True, WRITES, "ok", id="writes"),
        pytest.param(False, WRITES, "hole", id="stopped"),
        pytest.param(
            True,
            {"EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "ReadOnly"}]},
            "hole",
            id="reads alone",
        ),
        pytest.param(
            True,
            {"EventSelectors": [{"IncludeManagementEvents": False, "ReadWriteType": "All"}]},
            "hole",
            id="data events alone",
        ),
        pytest.param(True, advanced(MANAGEMENT), "ok", id="advanced"),
        pytest.param(
            True, advanced(MANAGEMENT, ("readOnly", {"Equals": ["false"]})), "ok", id="advanced writes"
        ),
        pytest.param(
            True, advanced(MANAGEMENT, ("readOnly", {"Equals": ["true"]})), "hole", id="advanced reads"
        ),
        pytest.param(
            True,
            advanced(MANAGEMENT, ("eventSource", {"NotEquals": ["kms.amazonaws.com"]})),
            "ok",
            id="without KMS",
        ),
        pytest.param(
            True,
            advanced(MANAGEMENT, ("eventSource", {"Equals": ["s3.amazonaws.com"]})),
            "hole",
            id="of another service",
        ),
        pytest.param(
            True, advanced(("eventCategory", {"Equals": ["Data"]})), "hole", id="advanced data events"
        ),
        pytest.param(True, "AccessDenied", "unknown", id="denied"),
    ],
)
def test_functions_run_on_the_events_of_a_trail(logging: bool, selected: Any, status: str) -> None:
    asked = probes(
        describe_trails={"trailList": [{"TrailARN": "arn:trail"}]},
        get_trail_status={"IsLogging": logging},
        get_event_selectors=selected,
        get_account_settings="AccessDenied",
    )
    found = {each.name: each for each in asked.all((), True, 0)}
    assert found["trail"].status == status
    # those on a schedule need none
    assert "trail" not in {each.name for each in asked.all((), False, 0)}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param({"Role": {"Arn": "arn:aws:iam::111122223333:role/team/Remover"}}, "ok", id="there"),
        pytest.param(
            {"Role": {"Arn": "arn:aws:iam::111122223333:role/Remover"}}, "hole", id="in another path"
        ),
        pytest.param("NoSuchEntity", "hole", id="missing"),
        pytest.param("AccessDenied", "unknown", id="denied"),
    ],
)
def test_the_roles_that_are_not_reported_are_there(answer: Any, status: str) -> None:
    found = {
        each.name: each
        for each in probes(get_role=answer, get_account_settings="AccessDenied").all(
            {"runner_role"}, False, 0
        )
    }
    assert found["runner_role"].status == status
    assert "restorer_role" not in found


@pytest.mark.parametrize(
    ("whole", "left", "reserved", "status"),
    [
        pytest.param(1000, 900, 2, "ok", id="enough"),
        pytest.param(1000, 101, 2, "hole", id="less than Lambda keeps"),
        pytest.param(10, 10, 0, "attention", id="a new account"),
        pytest.param(10, 10, 1, "hole", id="a new account that reserves"),
    ],
)
def test_the_account_has_the_concurrency(whole: int, left: int, reserved: int, status: str) -> None:
    limits = {"ConcurrentExecutions": whole, "UnreservedConcurrentExecutions": left}
    (found,) = probes(get_account_settings={"AccountLimit": limits}).all((), False, reserved)
    assert found.status == status


@pytest.mark.parametrize(
    ("decision", "fault", "status"),
    [
        pytest.param("allowed", "", "ok", id="allowed"),
        pytest.param("implicitDeny", "", "hole", id="denied"),
        pytest.param("allowed", "no mode.role", "unknown", id="not known"),
    ],
)
def test_the_deployer_may_deploy(decision: str, fault: str, status: str) -> None:
    rows = {"EvaluationResults": [{"EvalActionName": "iam:PassRole", "EvalDecision": decision}]}
    passing = {
        "Action": ["iam:PassRole"],
        "Resource": [ROLE],
        "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
    }
    found: Check = probes(simulate_principal_policy=rows).deployer([passing], fault)
    assert found.status == status
    assert ("iam:PassRole" in found.text) == (status == "hole")


ALLOW = {
    "Effect": "Allow",
    "Principal": {"AWS": ["111122223333", "444455556666"]},
    "Action": ["s3:PutObject"],
    "Resource": ["arn:aws:s3:::b/${aws:PrincipalAccount}/*"],
    "Condition": {"ArnLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/F"]}},
}


@pytest.mark.parametrize(
    ("changed", "is_missing"),
    [
        pytest.param({}, False, id="as printed"),
        pytest.param({"Principal": {"AWS": "*"}}, False, id="everybody"),
        pytest.param(
            {
                "Principal": {
                    "AWS": [f"arn:aws:iam::{each}:root" for each in ("111122223333", "444455556666")]
                }
            },
            False,
            id="by root",
        ),
        pytest.param({"Principal": {"AWS": ["111122223333"]}}, True, id="an account less"),
        pytest.param({"Action": "s3:*"}, False, id="more actions"),
        pytest.param({"Action": "s3:GetObject"}, True, id="another action"),
        pytest.param({"Resource": ["arn:aws:s3:::b/x/*"]}, True, id="another place"),
        pytest.param({"Condition": {}}, False, id="no condition"),
        pytest.param({"Condition": {"Bool": {"aws:ViaAWSService": "true"}}}, True, id="another condition"),
        pytest.param(
            {"Condition": {"ArnLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/G"]}}},
            True,
            id="another role",
        ),
        pytest.param(
            {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
            False,
            id="the organization",
        ),
        pytest.param({"Effect": "Deny"}, True, id="deny"),
    ],
)
def test_what_a_policy_lacks(changed: dict[str, Any], is_missing: bool) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": [{**ALLOW, **changed}]})
    assert bool(missing_statements({"Statement": [ALLOW]}, text)) == is_missing
    assert missing_statements({"Statement": [ALLOW]}, "") != []
