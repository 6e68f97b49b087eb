# SPDX-License-Identifier: Apache-2.0
"""CloudFormation, over moto's stacks. It is loaded at the first call, because it imports most of moto."""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.models import CloudFormationBackend, Event, Stack, StackInstances
from moto.cloudformation.responses import CloudFormationResponse, StackResourceDTO
from moto.core.responses import ActionResult, EmptyResult

from aws_local_org import cloudformation_resources

_clean_json = parsing.clean_json
_execute = CloudFormationBackend.execute_change_set
_create_change_set = CloudFormationBackend.create_change_set
_delete_stack = CloudFormationBackend.delete_stack
_create_instances = StackInstances.create_instances
_load_parameters = parsing.ResourceMap.load_parameters
_create_resources, _update_stack = Stack.create_resources, Stack.update
_describe_resources = CloudFormationResponse.describe_stack_resources
_create_resource, _update_resource = parsing.parse_and_create_resource, parsing.parse_and_update_resource
#: What Fn::Sub replaces: the name of a resource or a parameter, with or without an attribute.
_PUT_IN = re.compile(r"\$\{(\w+)[.}]", re.ASCII)
#: Kinds that any change replaces, because moto updates few of their members.
_NEVER_UPDATED = frozenset({"AWS::ECS::TaskDefinition", "AWS::EC2::SecurityGroup"})
#: "Only the first 100 resources will be returned" (DescribeStackResources, CloudFormation API Reference).
_MOST_RESOURCES = 100
#: The state of a stack with only a change set so far.
_NEW = "REVIEW_IN_PROGRESS"


def install() -> None:
    """Patch moto's module and classes, for the whole process. Idempotent."""
    parsing.clean_json = _without_no_values
    parsing.parse_and_create_resource = _created
    parsing.ResourceMap.update = _brought_to
    parsing.ResourceMap.load_parameters = _with_lists
    CloudFormationBackend.create_change_set = _change_set
    CloudFormationBackend.execute_change_set = _with_outputs
    CloudFormationBackend.delete_stack = _deleted
    StackInstances.create_instances = _in_members
    CloudFormationResponse.activate_organizations_access = _activated
    CloudFormationResponse.describe_stack_resources = _resources_of
    Stack.create_resources = _created_or_rolled_back
    Stack.update = _updated_or_rolled_back
    Stack.stack_parameters = property(_as_given)
    cloudformation_resources.install()


def _in_members(
    self: Any,
    accounts: list[str],
    regions: Any,
    parameters: Any,
    deployment_targets: Any,
    permission_model: str,
) -> Any:
    """A stack set of the organization reaches all units below its targets, and skips the management account.

    moto knows units directly below a target only. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/
    stacksets-orgs-manage-auto-deployment.html, "Considerations". Closed accounts run no stacks.
    """
    units = [*deployment_targets.get("OrganizationalUnitIds", [])]
    if permission_model == "SERVICE_MANAGED":
        for unit in units:  # which grows
            units += [each.id for each in self.org_backend.ou if each.parent_id == unit]
        members = [each for each in self.org_backend.accounts if each.status == "ACTIVE"]
        own = self.org_backend.account_id
        accounts = [each.id for each in members if each.parent_id in units and each.id != own]
        deployment_targets = {}
    return _create_instances(self, accounts, regions, parameters, deployment_targets, permission_model)


def _activated(_: Any) -> EmptyResult:
    """ActivateOrganizationsAccess: stack sets of the organization work here from the beginning."""
    return EmptyResult()


def _resources_of(self: Any) -> Any:
    """DescribeStackResources by PhysicalResourceId: all resources of the stack that has this one. moto lacks it."""
    name, physical = self._get_param("StackName"), self._get_param("PhysicalResourceId")
    if not physical:
        return _describe_resources(self)
    if name:
        raise ValidationError(message="You cannot specify both StackName and PhysicalResourceId")
    for stack in self.cloudformation_backend.stacks.values():
        made = [each for each in stack.stack_resources if each is not None]
        if any(getattr(each, "physical_resource_id", None) == physical for each in made):
            shown = [StackResourceDTO(stack, each) for each in made[:_MOST_RESOURCES]]
            return ActionResult({"StackResources": shown})
    raise ValidationError(message=f"Stack for {physical} does not exist")


def _without_no_values(data: Any, resources: Any) -> Any:
    """In moto AWS::NoValue removes only members of mappings, in CloudFormation also items of lists.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
    """
    if isinstance(data, list):
        return [each for part in data if (each := _without_no_values(part, resources)) is not None]
    return _clean_json(data, resources)


def _with_lists(self: Any) -> None:
    """In moto the default of a list is one text; CloudFormation divides it as it does a value that is given."""
    _load_parameters(self)
    for name, parameter in self._template.get("Parameters", {}).items():
        value = self.resolved_parameters.get(name)
        if parameter["Type"] == "CommaDelimitedList" and isinstance(value, str):
            self.resolved_parameters[name] = self._parsed_resources[name] = value.split(",")


class _ResourceFailed(Exception):
    """A resource that could not be created or updated. ``name``: its logical id."""

    def __init__(self, name: str, kind: str, error: Exception) -> None:
        super().__init__(f'Resource handler returned message: "{_said(error)}"')
        self.name = name
        self.kind = kind


def _said(error: Exception) -> str:
    return str(getattr(error, "message", None) or f"{type(error).__name__}: {error}")


def _created(logical_id: str, resource_json: Any, resources_map: Any, **of: Any) -> Any:
    try:
        resource = _create_resource(logical_id, resource_json, resources_map, **of)
        if resource is not None:
            _applied(resources_map)[logical_id] = _evaluated(resources_map, resource_json)
        return resource
    except _ResourceFailed:  # of one that this one refers to
        raise
    except Exception as error:
        raise _ResourceFailed(logical_id, resource_json["Type"], error) from error


def _brought_to(self: Any, template: Any, parameters: dict[str, Any] | None = None) -> None:
    """Create and update resources, each after those that it refers to, then delete those that the stack lost.

    moto compares templates instead of their evaluated properties, updates resources that a condition had left out, and
    does so in any order.
    """
    former, replaced = _existing(self), dict[str, tuple[Any, Any]]()
    self._template, self._resource_json_map = template, template["Resources"]
    self.input_parameters = self.input_parameters if parameters is None else parameters
    self.load_mapping()
    self.load_parameters()
    self.load_conditions()
    try:
        for name in _in_order(self._resource_json_map):
            if _is_wanted(self, name):
                _bring(self, name, replaced)
    except _ResourceFailed:
        _take_back(self, former, replaced)
        raise
    for name in reversed([*_in_order(former)]):
        if name in replaced:
            _let_go(self, replaced[name][0], former[name], "UpdateReplacePolicy")
        if not _is_wanted(self, name):
            _let_go(self, self._parsed_resources.pop(name), former[name], "DeletionPolicy")


def _take_back(resources: Any, former: dict[str, Any], replaced: dict[str, tuple[Any, Any]]) -> None:
    """The ``replaced`` resources take the place of their replacements. ``former``: each resource's template."""
    there = resources._parsed_resources
    for name, (resource, given) in replaced.items():
        if made := there.get(name):
            resources._delete_resource(made, former[name])
        there[name], _applied(resources)[name] = resource, given


def _let_go(resources: Any, resource: Any, given: Any, policy: str) -> None:
    """Delete a resource that the stack lost, unless its ``policy`` keeps it."""
    if given.get(policy) != "Retain":
        resources._delete_resource(resource, given)


def _bring(resources: Any, name: str, replaced: dict[str, tuple[Any, Any]]) -> None:
    """Create a resource, or update it if its template now evaluates to other properties.

    A resource whose name changes is replaced. ``replaced``: gets the former one with its properties.
    """
    given, there = resources._resource_json_map[name], resources._parsed_resources
    if name not in there:
        _ = resources[name]  # moto creates what is requested and missing
        return
    try:
        before, wanted, kind = _applied(resources)[name], _evaluated(resources, given), given["Type"]
        named = parsing.resource_name_property_from_type(kind)
        if wanted != before and (kind in _NEVER_UPDATED or before.get(named) != wanted.get(named)):
            replaced[name] = there.pop(name), before
            _ = resources[name]
        elif wanted != before:
            there[name] = _updated(resources, name, given)
            _applied(resources)[name] = wanted
    except _ResourceFailed:  # of one that this one refers to
        raise
    except Exception as error:
        raise _ResourceFailed(name, given["Type"], error) from error


def _updated(resources: Any, name: str, given: Any) -> Any:
    account, region = resources._account_id, resources._region_name
    found = _update_resource(name, given, resources, account_id=account, region_name=region)
    if found is None:
        raise ValidationError(message=f"moto can't update {given['Type']}.")
    return found


def _applied(resources: Any) -> dict[str, Any]:
    """The name of each existing resource -> its properties."""
    found: dict[str, Any] = resources.__dict__.setdefault("properties_of_resources", {})
    return found


def _is_wanted(resources: Any, name: str) -> bool:
    """Whether the template has a resource, and its condition holds."""
    given = resources._resource_json_map.get(name)
    return bool(given) and ("Condition" not in given or resources.lazy_condition_map[given["Condition"]])


def _evaluated(resources: Any, given: Any) -> Any:
    return parsing.clean_json(given.get("Properties", {}), resources)


def _in_order(given: dict[str, Any]) -> Iterator[str]:
    """The names of resources, each after those that it refers to."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name, resource in given.items():
        sorter.add(name, *(each for each in _referred(resource) if each in given))
    yield from sorter.static_order()


def _referred(data: Any) -> Iterator[str]:
    """The names of resources and others to which a part of a template refers."""
    if isinstance(data, str):
        yield from _PUT_IN.findall(data)
    elif isinstance(data, list):
        for each in data:
            yield from _referred(each)
    elif isinstance(data, dict):
        for key, value in data.items():
            if key in ("Ref", "DependsOn", "Fn::GetAtt"):
                names = [value] if isinstance(value, str) else value[:1] if key == "Fn::GetAtt" else value
                yield from (each.partition(".")[0] for each in names)
            else:
                yield from _referred(value)


def _change_set(self: Any, stack_name: str, change_set_name: str, **given: Any) -> Any:
    """Names of stacks are unique, and a stack that failed to be created can only be deleted. moto creates a second one.

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
    """`aws cloudformation deploy` uses change sets, with which moto's stacks get no outputs.

    It returns even if a resource fails: as in AWS, the stack's status and events say so.
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


def _as_given(self: Any) -> dict[str, Any]:
    """The values of parameters, for an update that reuses them. Lists, which moto has split, become text again."""
    resources = self.resource_map
    return {
        key: resources.input_parameters.get(key, value)
        for key, value in resources.resolved_parameters.items()
    }


def _updated_or_rolled_back(self: Any, template: str, *of: Any, **more: Any) -> None:
    before, parameters = self.template, self.resource_map.input_parameters
    try:
        _update_stack(self, template, *of, **more)
    except _ResourceFailed as failed:
        _roll_back_update(self, failed, before, parameters)


def _deleted(self: Any, name_or_stack_id: str) -> None:
    """A stack stays if a resource can't be deleted, such as a role to which somebody attached a policy.

    moto knows only the deletion policy Retain.
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
    """Deletes the created resources. The stack stays without resources and outputs until it is deleted."""
    _tell(stack, failed, "CREATE_FAILED")
    told = f"The following resource(s) failed to create: [{failed.name}]. Rollback requested by user."
    stack._add_stack_event("ROLLBACK_IN_PROGRESS", resource_status_reason=told)
    resources = stack.resource_map
    # only these: moto creates what is requested and missing
    resources._resource_json_map = _existing(resources)
    _end(stack, "ROLLBACK", resources.delete)
    resources._resource_json_map, stack.template_dict = {}, {}
    stack.output_map = stack._create_output_map()


def _roll_back_update(stack: Any, failed: _ResourceFailed, before: str, parameters: Any) -> None:
    """The stack gets back its template and parameters."""
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
