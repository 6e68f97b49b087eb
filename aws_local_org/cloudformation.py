# SPDX-License-Identifier: Apache-2.0
"""CloudFormation, as moto creates stacks. It is loaded at the first call, since it brings most of moto with it."""

from __future__ import annotations

import json
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.models import CloudFormationBackend
from moto.core.common_models import CloudFormationModel
from moto.iam.models import Role
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends
from moto.utilities.utils import get_partition

_clean_json = parsing.clean_json
_execute = CloudFormationBackend.execute_change_set


def install() -> None:
    """Patch moto's module and classes, for the whole process. Idempotent."""
    parsing.clean_json = _without_no_values
    CloudFormationBackend.execute_change_set = _with_outputs
    Role.put_policy = _as_text
    Role.update_from_cloudformation_json = classmethod(_updated_role)


def _without_no_values(data: Any, resources: Any) -> Any:
    """moto lets AWS::NoValue remove members of mappings only, and CloudFormation also items of lists.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
    """
    if isinstance(data, list):
        return [each for part in data if (each := _without_no_values(part, resources)) is not None]
    return _clean_json(data, resources)


def _with_outputs(self: Any, change_set_name: str, stack_name: str | None = None) -> None:
    """`aws cloudformation deploy` makes stacks by change sets, which leave moto's stacks without outputs."""
    _execute(self, change_set_name, stack_name)
    (change_set,) = (
        each for key, each in self.change_sets.items() if change_set_name in (key, each.change_set_name)
    )
    stack = self.stacks[change_set.stack_id]
    stack._parse_template()
    stack.output_map = stack._create_output_map()


def _as_text(self: Any, name: str, document: Any) -> None:
    """IAM has policies as texts, and a template as mappings."""
    self.policies[name] = document if isinstance(document, str) else json.dumps(document)


def _updated_role(
    _class: Any, role: Any, _name: str, template: Any, _account_id: str, _region_name: str
) -> Any:
    """moto leaves who may assume a role, and its policies, as they were."""
    properties = template["Properties"]
    role.assume_role_policy_document = json.dumps(properties["AssumeRolePolicyDocument"])
    role.policies.clear()
    for policy in properties.get("Policies", ()):
        role.put_policy(policy["PolicyName"], policy["PolicyDocument"])
    return role


class _BucketPolicy(CloudFormationModel):
    """moto's CloudFormation has no policies of buckets."""

    def __init__(self, name: str) -> None:
        self.physical_resource_id = name

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::S3::BucketPolicy"

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Any:
        given = cloudformation_json["Properties"]
        document = json.dumps(given["PolicyDocument"]).encode()
        s3_backends[account_id][get_partition(region_name)].put_bucket_policy(given["Bucket"], document)
        return cls(given["Bucket"])

    @classmethod
    def update_from_cloudformation_json(
        cls,
        _original: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        return cls.create_from_cloudformation_json(
            new_resource_name, cloudformation_json, account_id, region_name
        )


class _QueuePolicy(CloudFormationModel):
    """Nor of queues."""

    def __init__(self, name: str) -> None:
        self.physical_resource_id = name

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SQS::QueuePolicy"

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Any:
        given = cloudformation_json["Properties"]
        for url in given["Queues"]:
            queue = sqs_backends[account_id][region_name].get_queue(url.rpartition("/")[2])
            queue.policy = json.dumps(given["PolicyDocument"])
        return cls(resource_name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        _original: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        return cls.create_from_cloudformation_json(
            new_resource_name, cloudformation_json, account_id, region_name
        )
