# SPDX-License-Identifier: Apache-2.0
"""Stacks of the templates that `c7n-iamusers roles` prints, and of deploy/template.yml."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main

ROOT = Path(__file__).parents[2]
MANAGEMENT, MEMBER = "123456789012", "111122223333"
RUNNER = f"arn:aws:iam::{MANAGEMENT}:role/Runner"


def create(org: LocalOrg, account: str, name: str, template: str, **given: str) -> dict[str, str]:
    """The outputs of the stack ``name``, made as `aws cloudformation deploy` makes it."""
    client = org.client("cloudformation", account)
    made = client.create_change_set(
        StackName=name,
        ChangeSetName="deploy",
        ChangeSetType="CREATE",
        TemplateBody=template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    client.execute_change_set(ChangeSetName=made["Id"], StackName=name)
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}


def printed(role: str) -> Mapping[str, Any]:
    files = ("-u", str(ROOT / "policies" / "flag-and-notify.yml"), "-c", str(ROOT / "accounts.yml"))
    found = CliRunner().invoke(main, ["roles", *files, "--runner", RUNNER, "--role", role])
    assert found.exit_code == 0, found.output
    template: Mapping[str, Any] = json.loads(found.stdout)
    return template


def test_the_printed_roles_are_those_that_a_stack_makes(org: LocalOrg) -> None:
    iam = org.client("iam")
    own = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"},
        "Action": "sts:AssumeRole",
    }
    iam.create_role(
        RoleName="Runner", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [own]})
    )
    reader, runner = printed("member-reader"), printed("runner")
    arn = create(org, MEMBER, "reader", json.dumps(reader))["RoleArn"]
    assert arn == f"arn:aws:iam::{MEMBER}:role/IamUsersReader"
    create(org, MANAGEMENT, "runner", json.dumps(runner))
    made = iam.get_role_policy(RoleName="Runner", PolicyName="c7n-iamusers")["PolicyDocument"]
    assert made == runner["Resources"]["Policy"]["Properties"]["PolicyDocument"]
    there = org.client("iam", MEMBER)
    trust = there.get_role(RoleName="IamUsersReader")["Role"]["AssumeRolePolicyDocument"]
    assert trust == reader["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]


@pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto")
@pytest.mark.parametrize("provision", ["", "policies/provision-intents.yml#iam-users-intents"])
def test_a_condition_that_does_not_hold_leaves_its_item_out(org: LocalOrg, provision: str) -> None:
    given = {
        "Image": f"{MANAGEMENT}.dkr.ecr.us-east-1.amazonaws.com/iam-users@sha256:{'0' * 64}",
        "VpcId": "vpc-1",
        "Subnets": "subnet-1",
        "Provision": provision,
        "IdentityCenterRoleArn": f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner",
    }
    template = (ROOT / "deploy" / "template.yml").read_text()
    outputs = create(org, MANAGEMENT, "iam-users", template, **given)
    name = outputs["WriterRoleArn"].rpartition("/")[2]
    policies = org.client("iam").list_role_policies(RoleName=name)["PolicyNames"]
    assert ("provision" in policies) == bool(provision)
