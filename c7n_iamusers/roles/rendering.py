# SPDX-License-Identifier: Apache-2.0
"""Roles with their properties, and SCPs, as JSON, CloudFormation templates and Terraform's JSON syntax. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from c7n_iamusers.notices.queue_counts import queue_url
from c7n_iamusers.roles.documents import RoleDocument
from c7n_iamusers.roles.guardrail import Guardrail
from c7n_iamusers.roles.resource_policies import BUCKET_POLICY, ResourcePolicy

CLOUDFORMATION, TERRAFORM, JSON = "cloudformation", "terraform", "json"
FORMATS = (CLOUDFORMATION, TERRAFORM, JSON)
#: The name of the inline policy of each role.
POLICY_NAME = "c7n-iamusers"
_Rendered = Mapping[str, Any]


def rendered_role(role: RoleDocument, output_format: str) -> _Rendered:
    """``role`` in one of FORMATS. A template has no parameters, so it is the same in each account of a stack set."""
    return {CLOUDFORMATION: _stack, TERRAFORM: _module, JSON: _plain}[output_format](role)


def rendered_resource_policy(policy: ResourcePolicy, output_format: str) -> _Rendered:
    """``policy`` in one of FORMATS. It replaces the policy that the bucket or queue has."""
    name, text = policy.resource.rpartition(":")[2], _text(policy.document)
    given: _Rendered
    label = policy.kind.replace("-", "_")
    if policy.kind.startswith(BUCKET_POLICY):
        kind, given = "AWS::S3::BucketPolicy", {"Bucket": name}
        module = {"aws_s3_bucket_policy": {label: {"bucket": name, "policy": text}}}
    else:
        url = queue_url(policy.resource, "", "")
        kind, given = "AWS::SQS::QueuePolicy", {"Queues": [url]}
        module = {"aws_sqs_queue_policy": {label: {"queue_url": url, "policy": text}}}
    if output_format == TERRAFORM:
        return {"resource": module}
    properties = {**given, "PolicyDocument": policy.document}
    if output_format == JSON:
        return properties
    description = f"Lets the roles of c7n-iamusers reach {name}"
    return _template(description, {"Policy": _resource(kind, properties)})


def rendered_guardrail(guardrail: Guardrail, output_format: str) -> _Rendered:
    """``guardrail`` in one of FORMATS, attached to nothing."""
    if output_format == CLOUDFORMATION:
        properties = {
            "Name": guardrail.name,
            "Description": guardrail.description,
            "Type": "SERVICE_CONTROL_POLICY",
            "Content": guardrail.document,
        }
        return _template(
            guardrail.description, {"Guardrail": _resource("AWS::Organizations::Policy", properties)}
        )
    if output_format == TERRAFORM:
        arguments = {
            "name": guardrail.name,
            "description": guardrail.description,
            "type": "SERVICE_CONTROL_POLICY",
            "content": _text(guardrail.document),
        }
        return {"resource": {"aws_organizations_policy": {"guardrail": arguments}}}
    return guardrail.document


def _plain(role: RoleDocument) -> _Rendered:
    return {
        "RoleName": role.name,
        "Path": role.path,
        "Description": role.description,
        **({"AssumeRolePolicyDocument": role.trust} if role.trust else {}),
        "PolicyName": POLICY_NAME,
        "PolicyDocument": role.policy,
    }


def _stack(role: RoleDocument) -> _Rendered:
    inline = {"PolicyName": POLICY_NAME, "PolicyDocument": role.policy}
    if role.trust is None:
        properties: dict[str, Any] = {"Roles": [role.name], **inline}
        return _template(role.description, {"Policy": _resource("AWS::IAM::Policy", properties)})
    properties = {
        "RoleName": role.name,
        "Path": role.path,
        "Description": role.description,
        "AssumeRolePolicyDocument": role.trust,
        "Policies": [inline],
    }
    outputs = {"RoleArn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}}
    return {
        **_template(role.description, {"Role": _resource("AWS::IAM::Role", properties)}),
        "Outputs": outputs,
    }


def _template(description: str, resources: _Rendered) -> _Rendered:
    return {"AWSTemplateFormatVersion": "2010-09-09", "Description": description, "Resources": resources}


def _resource(kind: str, properties: _Rendered) -> _Rendered:
    return {"Type": kind, "Properties": properties}


def _module(role: RoleDocument) -> _Rendered:
    label = role.kind.replace("-", "_")
    policy = {"name": POLICY_NAME, "policy": _text(role.policy)}
    if role.trust is None:
        return {"resource": {"aws_iam_role_policy": {label: {"role": role.name, **policy}}}}
    arguments = {
        "name": role.name,
        "path": role.path,
        "description": role.description,
        "assume_role_policy": _text(role.trust),
    }
    attached = {"role": f"${{aws_iam_role.{label}.id}}", **policy}
    return {"resource": {"aws_iam_role": {label: arguments}, "aws_iam_role_policy": {label: attached}}}


def _text(document: _Rendered) -> str:
    # Terraform evaluates templates in strings of its JSON syntax too.
    return json.dumps(document).replace("${", "$${").replace("%{", "%%{")
