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
    models = {model.cloudformation_type(): model for model in _Model.__subclasses__()}
    parsing.get_model_map().update(models)


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


class _Model(CloudFormationModel):
    """What moto's CloudFormation does not have. ``TYPE``: of the resource. ``physical_resource_id``: its name."""

    TYPE = ""

    def __init__(self, name: str) -> None:
        self.physical_resource_id = name

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.TYPE

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource: Any, new_resource_name: str, cloudformation_json: Any, **of: Any
    ) -> Any:
        return cls.create_from_cloudformation_json(
            original_resource.physical_resource_id, cloudformation_json, **of
        )


class _BucketPolicy(_Model):
    TYPE = "AWS::S3::BucketPolicy"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Any:
        given = cloudformation_json["Properties"]
        document = json.dumps(given["PolicyDocument"]).encode()
        s3_backends[account_id][get_partition(region_name)].put_bucket_policy(given["Bucket"], document)
        return cls(given["Bucket"])


class _QueuePolicy(_Model):
    TYPE = "AWS::SQS::QueuePolicy"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Any:
        given = cloudformation_json["Properties"]
        for url in given["Queues"]:
            queue = sqs_backends[account_id][region_name].get_queue(url.rpartition("/")[2])
            queue.policy = json.dumps(given["PolicyDocument"])
        return cls(resource_name)


class _Schedule(_Model):
    """It starts nothing here."""

    TYPE = "AWS::Scheduler::Schedule"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Any:
        return cls(resource_name)
