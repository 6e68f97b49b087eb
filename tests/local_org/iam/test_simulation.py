# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local_org.refusals import refusal

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app"
TRUST = '{"Statement": [{"Effect": "Allow", "Principal": {"Service": "x.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
USERS = f"arn:aws:iam::{ACCOUNT}:user/*"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
CONTEXT = [{"ContextKeyName": "iam:PolicyARN", "ContextKeyValues": [DENY_ALL], "ContextKeyType": "string"}]


def statement(action: Any, effect: str = "Allow", resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def simulated(iam: Any, *statements: dict[str, Any], boundary: str = "", **asked: Any) -> list[str]:
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_role_policy(RoleName="app", PolicyName="p", PolicyDocument=document)
    if boundary:
        iam.put_role_permissions_boundary(RoleName="app", PermissionsBoundary=boundary)
    given: dict[str, Any] = {"PolicySourceArn": ROLE, "ActionNames": ["iam:DeleteUser"], **asked}
    return [each["EvalDecision"] for each in iam.simulate_principal_policy(**given)["EvaluationResults"]]


@pytest.mark.parametrize(
    ("statements", "asked", "expected"),
    [
        pytest.param([statement("iam:delete*")], {}, "allowed", id="pattern"),
        pytest.param([statement("iam:GetUser")], {}, "implicitDeny", id="other-action"),
        pytest.param([statement("*"), statement("iam:*", "Deny")], {}, "explicitDeny", id="denied"),
        pytest.param([statement("*", resource=USERS)], {}, "implicitDeny", id="not-on-everything"),
        pytest.param(
            [statement("*", resource=USERS)],
            {"ResourceArns": [f"arn:aws:iam::{ACCOUNT}:user/a"]},
            "allowed",
            id="on-a-user",
        ),
        pytest.param(
            [{"Effect": "Allow", "NotAction": "iam:Delete*", "Resource": "*"}],
            {},
            "implicitDeny",
            id="not-action",
        ),
        pytest.param(
            [statement("*", Condition={"ArnEquals": {"iam:PolicyARN": DENY_ALL}})],
            {"ContextEntries": CONTEXT},
            "allowed",
            id="condition",
        ),
        pytest.param(
            [statement("*", Condition={"ArnEquals": {"iam:PolicyARN": DENY_ALL}})],
            {},
            "implicitDeny",
            id="condition-without-context",
        ),
        pytest.param(
            [statement("*", Condition={"DateLessThan": {"iam:PolicyARN": "2020-01-01"}})],
            {"ContextEntries": CONTEXT},
            "implicitDeny",
            id="other-operator",
        ),
        pytest.param(
            [
                statement("*"),
                statement("*", "Deny", Condition={"DateLessThan": {"iam:PolicyARN": "2020-01-01"}}),
            ],
            {"ContextEntries": CONTEXT},
            "explicitDeny",
            id="other-operator-denies",
        ),
        pytest.param([statement("*")], {"boundary": DENY_ALL}, "explicitDeny", id="boundary"),
        pytest.param(
            [statement("*")],
            {"boundary": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"},
            "implicitDeny",
            id="beyond-the-boundary",
        ),
    ],
)
def test_what_a_role_may_do(iam: Any, statements: Any, asked: dict[str, Any], expected: str) -> None:
    assert simulated(iam, *statements, **asked) == [expected]


def test_there_is_a_result_for_each_action_on_each_resource(iam: Any) -> None:
    asked: dict[str, Any] = {"ActionNames": ["iam:GetUser", "iam:DeleteUser"], "ResourceArns": ["*", ROLE]}
    assert simulated(iam, statement("iam:GetUser"), **asked) == ["implicitDeny"] * 2 + ["allowed"] * 2


def test_what_a_user_may_do_by_its_groups(iam: Any) -> None:
    iam.create_user(UserName="a")
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName="a")
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement("iam:GetUser")]})
    iam.put_group_policy(GroupName="g", PolicyName="p", PolicyDocument=document)
    asked = {"ActionNames": ["iam:GetUser", "iam:DeleteUser"]}
    for kind in ("user/a", "group/g"):
        arn = f"arn:aws:iam::{ACCOUNT}:{kind}"
        found = iam.simulate_principal_policy(PolicySourceArn=arn, **asked)["EvaluationResults"]
        decisions = {each["EvalActionName"]: each["EvalDecision"] for each in found}
        assert decisions == {"iam:GetUser": "allowed", "iam:DeleteUser": "implicitDeny"}


def test_policies_of_the_call_are_added_and_its_boundary_takes_the_place(iam: Any) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:user/a"
    iam.create_user(UserName="a", PermissionsBoundary=DENY_ALL)
    everything = json.dumps({"Version": "2012-10-17", "Statement": [statement("*")]})
    asked = {"PolicySourceArn": arn, "ActionNames": ["iam:GetUser"], "PolicyInputList": [everything]}
    (bound,) = iam.simulate_principal_policy(**asked)["EvaluationResults"]
    (unbound,) = iam.simulate_principal_policy(**asked, PermissionsBoundaryPolicyInputList=[everything])[
        "EvaluationResults"
    ]
    assert (bound["EvalDecision"], unbound["EvalDecision"]) == ("explicitDeny", "allowed")


def test_managed_policies_count(iam: Any) -> None:
    given = {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian", "ActionNames": ["iam:GetUser"]}
    (found,) = iam.simulate_principal_policy(**given)["EvaluationResults"]
    assert (found["EvalActionName"], found["EvalDecision"]) == ("iam:GetUser", "allowed")


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        pytest.param(ROLE, ("NoSuchEntity", 404), id="missing"),
        pytest.param(f"arn:aws:iam::{ACCOUNT}:user/a", ("NoSuchEntity", 404), id="missing-user"),
        pytest.param("arn:aws:iam::444455556666:role/CloudCustodian", ("NoSuchEntity", 404), id="elsewhere"),
        pytest.param(f"arn:aws:iam::{ACCOUNT}:policy/p", ("InvalidInput", 400), id="policy"),
    ],
)
def test_of_whom_there_is_no_simulation(iam: Any, arn: str, expected: Any) -> None:
    assert (
        refusal(iam.simulate_principal_policy, PolicySourceArn=arn, ActionNames=["iam:GetUser"]) == expected
    )
