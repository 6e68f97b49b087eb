# SPDX-License-Identifier: Apache-2.0
"""Permission sets, their policies and their tags.

A set's name is unique in an instance and never changes; the list gives ARNs only. A set has managed policies, one
inline policy and one permissions boundary. AWS's managed policies are named by ARN, the customer's by name and path. A
customer-managed policy is only a reference: whether it exists in a target account shows when the set is provisioned
there. Putting the inline policy checks that it is a JSON object of legal size; IAM's grammar, too, is checked only when
the set is provisioned.
"""

from __future__ import annotations

import json
import re
from typing import Any

from moto.moto_api._internal import mock_random

from aws_local_org.iam.policies import aws_policy_exists
from aws_local_org.identity_center import rules, state
from aws_local_org.identity_center.asynchronous import CREATION, PROVISIONING
from aws_local_org.identity_center.state import Instance, PermissionSet, RoleDefinition

DEFAULT_SESSION = "PT1H"
SHORTEST_SESSION, LONGEST_SESSION = 1 * 3600, 12 * 3600

_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:\.\d+)?S)?)?"
)
_SECONDS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def find(instance: Instance, arn: str) -> PermissionSet:
    """Raises ResourceNotFoundException, or ValidationException if the instance has permission sets off."""
    if not instance.permission_sets_enabled:
        # Which error AWS gives here is UNCONFIRMED: a caller can ask DescribeInstance for PermissionSetsEnabled.
        raise rules.invalid(f"Permission sets are not enabled for instance {instance.arn}")
    if arn not in instance.permission_sets:
        raise rules.not_found(f"Could not find PermissionSet with id {arn.rpartition('/')[2]}")
    return instance.permission_sets[arn]


def create(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    name, partition = parameters["Name"], instance.store.partition
    _check_new(instance, name)
    permission_set = PermissionSet(
        arn=f"arn:{partition}:sso:::permissionSet/{instance.id}/ps-{mock_random.get_random_hex(16)}",
        name=name,
        session_duration=_checked_duration(parameters.get("SessionDuration", DEFAULT_SESSION)),
        created=state.now(),
        description=parameters.get("Description"),
        relay_state=parameters.get("RelayState"),
        tags=merged_tags({}, parameters.get("Tags", []), instance.quotas.tags_per_resource),
    )
    instance.permission_sets[permission_set.arn] = permission_set
    return {"PermissionSet": _described(permission_set)}


def describe(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"PermissionSet": _described(find(instance, parameters["PermissionSetArn"]))}


def update(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    if "SessionDuration" in parameters:
        permission_set.session_duration = _checked_duration(parameters["SessionDuration"])
    permission_set.description = parameters.get("Description", permission_set.description)
    permission_set.relay_state = parameters.get("RelayState", permission_set.relay_state)
    return {}


def delete(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Raises ConflictException while the set is provisioned in an account or about to be."""
    permission_set = find(instance, parameters["PermissionSetArn"])
    provisioned = any(arn == permission_set.arn for _, arn in instance.provisioned)
    coming = [*CREATION.in_progress(instance), *PROVISIONING.in_progress(instance)]
    if provisioned or any(each.subject["PermissionSetArn"] == permission_set.arn for each in coming):
        raise rules.conflict(
            "Could not delete because PermissionSet has ApplicationProfile associated with it"
        )
    del instance.permission_sets[permission_set.arn]
    return {}


def list_arns(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    return rules.page("PermissionSets", list(instance.permission_sets), parameters)


def role_definition(permission_set: PermissionSet) -> RoleDefinition:
    boundary = permission_set.boundary or {}
    reference = boundary.get("CustomerManagedPolicyReference")
    return RoleDefinition(
        managed_policies=frozenset(permission_set.managed_policies),
        customer_policies=frozenset(permission_set.customer_policies),
        inline_policy=permission_set.inline_policy,
        boundary=policy_path(reference) if reference else boundary.get("ManagedPolicyArn", ""),
        session_duration=permission_set.session_duration,
    )


def policy_path(reference: dict[str, str]) -> str:
    """`/team/Auditor` of a CustomerManagedPolicyReference; its Path is `/` where left out (its API reference)."""
    return f"{reference.get('Path', '/')}{reference['Name']}"


def _check_new(instance: Instance, name: str) -> None:
    if not instance.permission_sets_enabled:
        raise rules.invalid(f"Permission sets are not enabled for instance {instance.arn}")
    if any(each.name == name for each in instance.permission_sets.values()):
        raise rules.conflict(f"PermissionSet with name {name} already exists.")
    if len(instance.permission_sets) >= instance.quotas.permission_sets:
        raise rules.over_quota(f"No more than {instance.quotas.permission_sets} permission sets are allowed")


def _checked_duration(duration: str) -> str:
    matched = _DURATION.fullmatch(duration)
    units = matched.groupdict() if matched else {}
    seconds = sum(int(amount or 0) * _SECONDS[unit] for unit, amount in units.items())
    if not SHORTEST_SESSION <= seconds <= LONGEST_SESSION:
        raise rules.invalid(f"SessionDuration {duration} is not between PT1H and PT12H")
    return duration


def _described(permission_set: PermissionSet) -> dict[str, Any]:
    return {
        "Name": permission_set.name,
        "PermissionSetArn": permission_set.arn,
        "Description": permission_set.description,
        "CreatedDate": permission_set.created,
        "SessionDuration": permission_set.session_duration,
        "RelayState": permission_set.relay_state,
    }


def tag(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    holder = _holder(instance, parameters)
    holder.tags = merged_tags(holder.tags, parameters["Tags"], instance.quotas.tags_per_resource)
    return {}


def untag(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    holder = _holder(instance, parameters)
    holder.tags = {key: value for key, value in holder.tags.items() if key not in parameters["TagKeys"]}
    return {}


def list_tags(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    present = _holder(instance, parameters).tags
    return rules.page("Tags", [{"Key": key, "Value": value} for key, value in present.items()], parameters)


def _holder(instance: Instance, parameters: dict[str, Any]) -> Any:
    arn = parameters["ResourceArn"]
    return instance if arn == instance.arn else find(instance, arn)


#: The prefix of the keys of AWS's own tags (IAM Identity Center User Guide, "Tagging", restrictions).
RESERVED_PREFIX = "aws:"


def merged_tags(present: dict[str, str], added: list[dict[str, str]], quota: int) -> dict[str, str]:
    """present with added (`[{"Key": ..., "Value": ...}]`) replacing tags of the same key.

    Raises ValidationException for a key that is given twice or reserved, ServiceQuotaExceededException beyond quota.
    """
    keys = [tag["Key"] for tag in added]
    if len(set(keys)) < len(keys):
        raise rules.invalid("A tag key may be given only once")
    if reserved := [key for key in keys if key.lower().startswith(RESERVED_PREFIX)]:
        raise rules.invalid(f"Tag keys that begin with {RESERVED_PREFIX} are reserved: {', '.join(reserved)}")
    result = {**present, **{tag["Key"]: tag["Value"] for tag in added}}
    if len(result) > quota:
        raise rules.over_quota(f"A resource may have no more than {quota} tags")
    return result


def attach_managed(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set, arn = find(instance, parameters["PermissionSetArn"]), parameters["ManagedPolicyArn"]
    if not aws_policy_exists(arn):
        raise rules.not_found(f"Policy does not exist with ARN: {arn}")
    if arn in permission_set.managed_policies:
        raise rules.conflict(
            f"Permission set with id {_id(permission_set)} already has a typed link attachment to a "
            f"managed policy with {arn}"
        )
    _check_room(instance, permission_set)
    permission_set.managed_policies[arn] = arn.rpartition("/")[2]
    return {}


def detach_managed(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set, arn = find(instance, parameters["PermissionSetArn"]), parameters["ManagedPolicyArn"]
    if arn not in permission_set.managed_policies:
        raise rules.not_found(f"Could not find ManagedPolicy with arn {arn}")
    del permission_set.managed_policies[arn]
    return {}


def list_managed(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    attached = find(instance, parameters["PermissionSetArn"]).managed_policies
    items = [{"Arn": arn, "Name": name} for arn, name in attached.items()]
    return rules.page("AttachedManagedPolicies", items, parameters)


def attach_customer(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    reference = parameters["CustomerManagedPolicyReference"]
    place = policy_path(reference)
    if place in permission_set.customer_policies:
        raise rules.conflict(f"Given customer managed policy {place} is already attached")
    _check_room(instance, permission_set)
    permission_set.customer_policies[place] = {"Name": reference["Name"], "Path": reference.get("Path", "/")}
    return {}


def detach_customer(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    place = policy_path(parameters["CustomerManagedPolicyReference"])
    if place not in permission_set.customer_policies:
        raise rules.not_found(f"Given customer managed policy {place} does not exist on the permission set")
    del permission_set.customer_policies[place]
    return {}


def list_customer(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    attached = find(instance, parameters["PermissionSetArn"]).customer_policies
    return rules.page("CustomerManagedPolicyReferences", list(attached.values()), parameters)


def _check_room(instance: Instance, permission_set: PermissionSet) -> None:
    """Managed and customer-managed policies count together (Quotas and limits, AWS account quotas)."""
    quota = instance.quotas.policies_per_set
    if len(permission_set.managed_policies) + len(permission_set.customer_policies) >= quota:
        raise rules.over_quota(
            f"You have exceeded AWS SSO limits. Cannot attach more than {quota} policies to "
            f"permission set {_id(permission_set)}"
        )


def _id(permission_set: PermissionSet) -> str:
    return permission_set.arn.rpartition("/")[2]


def put_inline(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    document = parameters["InlinePolicy"]
    _check_size(instance, document)
    _check_json(document)
    permission_set.inline_policy = document
    return {}


def get_inline(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """InlinePolicy is the empty string if there is none."""
    return {"InlinePolicy": find(instance, parameters["PermissionSetArn"]).inline_policy}


def delete_inline(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    find(instance, parameters["PermissionSetArn"]).inline_policy = ""
    return {}


def _check_size(instance: Instance, document: str) -> None:
    quotas = instance.quotas
    if len(document.encode()) > quotas.inline_policy_bytes:
        raise rules.invalid(f"The inline policy is larger than {quotas.inline_policy_bytes} bytes")
    if len("".join(document.split())) > quotas.inline_policy_characters:
        # Which error AWS gives is UNCONFIRMED; of those the operation declares, this one is about sizes.
        raise rules.over_quota(
            f"The inline policy has more than {quotas.inline_policy_characters} non-whitespace characters"
        )


def _check_json(document: str) -> None:
    try:
        parsed = json.loads(document)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or "Statement" not in parsed:
        raise rules.invalid("Invalid PermissionsPolicy Document")


def put_boundary(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Replaces any boundary there is."""
    permission_set = find(instance, parameters["PermissionSetArn"])
    boundary = parameters["PermissionsBoundary"]
    if len(boundary.keys() & {"CustomerManagedPolicyReference", "ManagedPolicyArn"}) != 1:
        raise rules.invalid("Specify either CustomerManagedPolicyReference or ManagedPolicyArn")
    arn = boundary.get("ManagedPolicyArn")
    if arn and not aws_policy_exists(arn):
        raise rules.not_found(f"Policy does not exist with ARN: {arn}")
    permission_set.boundary = boundary
    return {}


def get_boundary(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"PermissionsBoundary": _present_boundary(instance, parameters)}


def delete_boundary(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    _present_boundary(instance, parameters)
    find(instance, parameters["PermissionSetArn"]).boundary = None
    return {}


def _present_boundary(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    if permission_set.boundary is None:
        raise rules.not_found(f"Permissions boundary does not exist for {permission_set.arn}")
    return permission_set.boundary
