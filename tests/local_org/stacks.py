# SPDX-License-Identifier: Apache-2.0
"""Stacks of the local organization, as `aws cloudformation` makes them and tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from aws_local_org import LocalOrg


def create(org: LocalOrg, account: str, name: str, template: str, **given: str) -> dict[str, str]:
    """The outputs of the stack ``name``, made as `aws cloudformation deploy` makes it."""
    stack = deploy(org, account, name, template, **given)
    assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}


def deploy(org: LocalOrg, account: str, name: str, template: str, **given: str) -> Mapping[str, Any]:
    """The stack ``name`` after `aws cloudformation deploy`, which looks at its status first.

    A parameter that is not ``given`` keeps its value.
    """
    client, kept = org.client("cloudformation", account), set[str]()
    try:
        (there,) = client.describe_stacks(StackName=name)["Stacks"]
        exists = there["StackStatus"] != "REVIEW_IN_PROGRESS"
        kept = {each["ParameterKey"] for each in there.get("Parameters", ())} - given.keys()
    except ClientError:
        exists = False
    made = client.create_change_set(
        StackName=name,
        ChangeSetName="deploy",
        ChangeSetType="UPDATE" if exists else "CREATE",
        TemplateBody=template,
        Parameters=[
            *({"ParameterKey": key, "ParameterValue": value} for key, value in given.items()),
            *({"ParameterKey": key, "UsePreviousValue": True} for key in kept if exists),
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    client.execute_change_set(ChangeSetName=made["Id"], StackName=name)
    stack: Mapping[str, Any] = client.describe_stacks(StackName=name)["Stacks"][0]
    return stack


def reasons(org: LocalOrg, account: str, name: str) -> list[tuple[str, str, str]]:
    """What failed in the stack, as `aws cloudformation describe-stack-events` says it."""
    events = org.client("cloudformation", account).describe_stack_events(StackName=name)["StackEvents"]
    return [
        (each["LogicalResourceId"], each["ResourceStatus"], each["ResourceStatusReason"])
        for each in events
        if each["ResourceStatus"].endswith("_FAILED")
    ]
