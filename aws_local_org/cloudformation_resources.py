# SPDX-License-Identifier: Apache-2.0
"""The resources that moto's CloudFormation lacks, or creates and updates differently from AWS."""

from __future__ import annotations

import json
from typing import Any

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.parsing import get_model_map
from moto.core.common_models import CloudFormationModel
from moto.ecs.models import TaskDefinition, ecs_backends
from moto.iam.models import Role, iam_backends
from moto.logs.models import LogGroup
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends
from moto.utilities.utils import get_partition

from aws_local_org.iam.roles import check_principals


def install() -> None:
    """Patch moto's map of models, and its class, for the whole process. Idempotent."""
    Role.put_policy = _as_text
    models = {model.cloudformation_type(): model for model in ResourceModel.__subclasses__()}
    get_model_map().update(models)


def _as_text(self: Any, name: str, document: Any) -> None:
    """IAM has policies as text, a template as mappings."""
    self.policies[name] = document if isinstance(document, str) else json.dumps(document)


def _policy_names(given: Any) -> set[str]:
    return {policy["PolicyName"] for policy in given.get("Policies", ())}


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document, default=str)


class ResourceModel(CloudFormationModel):
    """A resource that moto's CloudFormation lacks. ``TYPE``: of the resource. ``physical_resource_id``: its name."""

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


class _BucketPolicy(ResourceModel):
    TYPE = "AWS::S3::BucketPolicy"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Any:
        given = cloudformation_json["Properties"]
        document = json.dumps(given["PolicyDocument"]).encode()
        s3_backends[account_id][get_partition(region_name)].put_bucket_policy(given["Bucket"], document)
        return cls(given["Bucket"])


class _QueuePolicy(ResourceModel):
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


class _Schedule(ResourceModel):
    """It starts nothing here."""

    TYPE = "AWS::Scheduler::Schedule"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Any:
        return cls(resource_name)


class _LogGroup(ResourceModel):
    """moto neither updates log groups nor sets their retention."""

    TYPE = "AWS::Logs::LogGroup"

    @staticmethod
    def cloudformation_name_type() -> str:
        return str(LogGroup.cloudformation_name_type())

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return bool(LogGroup.has_cfn_attr(attr))

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **of: Any
    ) -> Any:
        group: Any = LogGroup.create_from_cloudformation_json(
            resource_name, cloudformation_json, account_id, region_name, **of
        )
        return cls.update_from_cloudformation_json(group, resource_name, cloudformation_json)

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource: Any, new_resource_name: str, cloudformation_json: Any, **of: Any
    ) -> Any:
        given = cloudformation_json["Properties"]
        original_resource.set_retention_policy(given.get("RetentionInDays"))
        original_resource.kms_key_id = given.get("KmsKeyId")
        return original_resource


class _TaskDefinition(ResourceModel):
    """moto keeps it when its stack is deleted."""

    TYPE = "AWS::ECS::TaskDefinition"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **of: Any
    ) -> Any:
        return TaskDefinition.create_from_cloudformation_json(
            resource_name, cloudformation_json, account_id, region_name, **of
        )

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
    ) -> None:
        ecs_backends[account_id][region_name].deregister_task_definition(resource_name)


class _Role(ResourceModel):
    """Unlike CreateRole, moto does not check whom a role trusts. It updates only the description."""

    TYPE = "AWS::IAM::Role"

    @staticmethod
    def cloudformation_name_type() -> str:
        return str(Role.cloudformation_name_type())

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return bool(Role.has_cfn_attr(attr))

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **of: Any
    ) -> Any:
        given = cloudformation_json["Properties"]
        check_principals(_text(given["AssumeRolePolicyDocument"]))
        role: Any = Role.create_from_cloudformation_json(
            resource_name, cloudformation_json, account_id, region_name, **of
        )
        role.policies_of_stack = _policy_names(given)
        return role

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource: Any, new_resource_name: str, cloudformation_json: Any, **of: Any
    ) -> Any:
        """A new path is refused, and all else is updated. Others' additions stay.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html
        """
        role, given = original_resource, cloudformation_json["Properties"]
        name = role.name
        if given.get("Path", "/") != role.path:
            told = "CloudFormation cannot update a stack when a custom-named resource requires replacing."
            raise ValidationError(message=f"{told} Rename {name} and update the stack again.")
        trust = _text(given["AssumeRolePolicyDocument"])
        check_principals(trust)
        backend = iam_backends[of["account_id"]][get_partition(of["region_name"])]
        if boundary := given.get("PermissionsBoundary"):
            backend.put_role_permissions_boundary(name, boundary)
        else:
            role.permissions_boundary_arn = None
        role.assume_role_policy_document = trust
        role.description = given.get("Description", "")
        role.max_session_duration = given.get("MaxSessionDuration", 3600)
        role.tags = given.get("Tags", [])
        for each in role.policies_of_stack - _policy_names(given):
            role.policies.pop(each, None)
        for policy in given.get("Policies", ()):
            role.put_policy(policy["PolicyName"], policy["PolicyDocument"])
        role.policies_of_stack = _policy_names(given)
        return role

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
    ) -> None:
        Role.delete_from_cloudformation_json(resource_name, cloudformation_json, account_id, region_name)
