# SPDX-License-Identifier: Apache-2.0
"""CloudFormation, as moto creates stacks. It is loaded at the first call, since it brings most of moto with it."""

from __future__ import annotations

import json
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.models import CloudFormationBackend, Event, Stack
from moto.core.common_models import CloudFormationModel
from moto.iam.models import Role, iam_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends
from moto.utilities.utils import get_partition

from aws_local_org.iam.roles import check_principals

_clean_json = parsing.clean_json
_execute = CloudFormationBackend.execute_change_set
_create_change_set = CloudFormationBackend.create_change_set
_delete_stack = CloudFormationBackend.delete_stack
_create_resources, _update_stack = Stack.create_resources, Stack.update
_create_resource, _update_resource = parsing.parse_and_create_resource, parsing.parse_and_update_resource
#: The state of a stack that has a change set, and nothing else yet.
_NEW = "REVIEW_IN_PROGRESS"


def install() -> None:
    """Patch moto's module and classes, for the whole process. Idempotent."""
    parsing.clean_json = _without_no_values
    parsing.parse_and_create_resource = _created
    parsing.parse_and_update_resource = _updated
    CloudFormationBackend.create_change_set = _change_set
    CloudFormationBackend.execute_change_set = _with_outputs
    CloudFormationBackend.delete_stack = _deleted
    Stack.create_resources = _created_or_rolled_back
    Stack.update = _updated_or_rolled_back
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


class _ResourceFailed(Exception):
    """A resource that could not be created or updated. ``name``: its logical id."""

    def __init__(self, name: str, kind: str, error: Exception) -> None:
        super().__init__(f'Resource handler returned message: "{_said(error)}"')
        self.name = name
        self.kind = kind


def _said(error: Exception) -> str:
    return str(getattr(error, "message", None) or f"{type(error).__name__}: {error}")


def _created(logical_id: str, resource_json: Any, *of: Any, **more: Any) -> Any:
    try:
        return _create_resource(logical_id, resource_json, *of, **more)
    except _ResourceFailed:  # of one that this one refers to
        raise
    except Exception as error:
        raise _ResourceFailed(logical_id, resource_json["Type"], error) from error


def _updated(logical_id: str, resource_json: Any, *of: Any, **more: Any) -> Any:
    try:
        return _update_resource(logical_id, resource_json, *of, **more)
    except _ResourceFailed:
        raise
    except Exception as error:
        raise _ResourceFailed(logical_id, resource_json["Type"], error) from error


def _change_set(self: Any, stack_name: str, change_set_name: str, **given: Any) -> Any:
    """A stack has one name, and one that was not created can only be deleted. moto makes a second one of the name.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html (stack status codes)
    """
    found = next((each for each in self.stacks.values() if each.name == stack_name), None)
    if given["change_set_type"] == "UPDATE":
        if found and not found.status.endswith(
            ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
        ):
            told = f"Stack:{found.stack_id} is in {found.status} state and can not be updated."
            raise ValidationError(message=told)
    elif found and found.status == _NEW:
        del self.stacks[found.stack_id]
        for key in [key for key, each in self.change_sets.items() if each.stack_id == found.stack_id]:
            del self.change_sets[key]
    elif found:
        again = f"cannot be created again with the changeSet [{change_set_name}]."
        raise AlreadyExistsException(f"Stack [{stack_name}] already exists and {again}")
    return _create_change_set(self, stack_name, change_set_name, **given)


def _with_outputs(self: Any, change_set_name: str, stack_name: str | None = None) -> None:
    """`aws cloudformation deploy` makes stacks by change sets, which leave moto's stacks without outputs.

    It returns also where a resource fails: the stack's status and events tell of it, as in AWS.
    """
    change_set = self.describe_change_set(change_set_name)
    stack = self.stacks[change_set.stack_id]
    before, resources = stack.template, stack.resource_map
    parameters = resources.input_parameters
    try:
        _execute(self, change_set_name, stack_name)
    except _ResourceFailed as failed:
        change_set.execution_status = "EXECUTE_FAILED"
        if change_set.change_set_type == "CREATE":
            stack.template = change_set.template
            _roll_back_creation(stack, failed)
        else:
            _roll_back_update(stack, failed, before, parameters)
        return
    stack._parse_template()
    stack.output_map = stack._create_output_map()


def _created_or_rolled_back(self: Any) -> None:
    try:
        _create_resources(self)
    except _ResourceFailed as failed:
        _roll_back_creation(self, failed)


def _updated_or_rolled_back(self: Any, template: str, *of: Any, **more: Any) -> None:
    before, parameters = self.template, self.resource_map.input_parameters
    try:
        _update_stack(self, template, *of, **more)
    except _ResourceFailed as failed:
        _roll_back_update(self, failed, before, parameters)


def _deleted(self: Any, name_or_stack_id: str) -> None:
    """A stack with a resource that can't be deleted stays, such as with a role that somebody attached a policy to.

    moto knows the deletion policy Retain alone.
    """
    found = [each for each in self.stacks.values() if name_or_stack_id in (each.name, each.stack_id)]
    for stack in found:
        for resource in stack.resource_map._resource_json_map.values():
            if resource.get("DeletionPolicy") == "RetainExceptOnCreate":
                resource["DeletionPolicy"] = "Retain"
    try:
        _delete_stack(self, name_or_stack_id)
    # Whatever moto can't delete stays, and is told.
    except Exception as error:  # noqa: BLE001
        for stack in found:
            self.stacks[stack.stack_id] = stack
            stack.resource_map._resource_json_map = _existing(stack.resource_map)
            stack.status = "DELETE_FAILED"
            stack._add_stack_event(stack.status, resource_status_reason=_said(error))


def _roll_back_creation(stack: Any, failed: _ResourceFailed) -> None:
    """What was created is deleted again. The stack stays, without resources and outputs, until it is deleted."""
    _tell(stack, failed, "CREATE_FAILED")
    told = f"The following resource(s) failed to create: [{failed.name}]. Rollback requested by user."
    stack._add_stack_event("ROLLBACK_IN_PROGRESS", resource_status_reason=told)
    resources = stack.resource_map
    # only these: moto creates what is asked for and not there
    resources._resource_json_map = _existing(resources)
    _end(stack, "ROLLBACK", resources.delete)
    resources._resource_json_map, stack.template_dict = {}, {}
    stack.output_map = stack._create_output_map()


def _roll_back_update(stack: Any, failed: _ResourceFailed, before: str, parameters: Any) -> None:
    """The stack gets the template and the parameters that it had."""
    _tell(
        stack,
        failed,
        "UPDATE_FAILED" if failed.name in stack.resource_map._parsed_resources else "CREATE_FAILED",
    )
    told = f"The following resource(s) failed to create or update: [{failed.name}]."
    stack._add_stack_event("UPDATE_ROLLBACK_IN_PROGRESS", resource_status_reason=told)
    resources = stack.resource_map
    resources._resource_json_map = _existing(resources)
    stack.template = before
    stack._parse_template()
    _end(stack, "UPDATE_ROLLBACK", lambda: resources.update(stack.template_dict, parameters))
    stack.output_map = stack._create_output_map()


def _existing(resources: Any) -> dict[str, Any]:
    return {
        name: each
        for name, each in resources._resource_json_map.items()
        if name in resources._parsed_resources
    }


def _tell(stack: Any, failed: _ResourceFailed, status: str) -> None:
    stack.events.append(
        Event(stack.stack_id, stack.name, failed.name, "", failed.kind, status, str(failed), None)
    )


def _end(stack: Any, status: str, act: Any) -> None:
    reason = None
    try:
        act()
        stack.status = f"{status}_COMPLETE"
    # Whatever moto can't delete stays, and is told.
    except Exception as error:  # noqa: BLE001
        stack.status, reason = f"{status}_FAILED", _said(error)
    stack._add_stack_event(stack.status, resource_status_reason=reason)


def _as_text(self: Any, name: str, document: Any) -> None:
    """IAM has policies as texts, and a template as mappings."""
    self.policies[name] = document if isinstance(document, str) else json.dumps(document)


def _policy_names(given: Any) -> set[str]:
    return {policy["PolicyName"] for policy in given.get("Policies", ())}


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document, default=str)


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


class _Role(_Model):
    """moto neither checks whom a role trusts, as CreateRole does, nor updates more than the description."""

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
        """A new name or path replaces the role, and all else is updated. What others added to it stays.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html
        """
        role, given = original_resource, cloudformation_json["Properties"]
        name = given.get("RoleName", role.name)
        if name != role.name:
            created = cls.create_from_cloudformation_json(name, cloudformation_json, **of)
            cls.delete_from_cloudformation_json(role.name, cloudformation_json, **of)
            return created
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
