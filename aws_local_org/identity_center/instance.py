# SPDX-License-Identifier: Apache-2.0
"""Instances of Identity Center, and who may use them.

The organization has one, in one primary Region, owned by the management account. The owner may call everything, a
delegated administrator less, and member accounts only read. Each instance has one identity store, and attributes for
access control: those that people's sessions carry as tags. `remove_instance` and `add_instance` are for tests of error
messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from moto.moto_api._internal import mock_random
from moto.utilities.utils import get_partition

from aws_local_org import organization
from aws_local_org.identity_center import rules, state
from aws_local_org.identity_center.state import IdentityStore, Instance

#: The prefixes of operations that change nothing.
READ_ONLY = ("List", "Describe", "Get", "Is")

SERVICE_PRINCIPAL = "sso.amazonaws.com"


@dataclass(frozen=True)
class Caller:
    account_id: str
    region: str


def instance_for(caller: Caller, operation: str, parameters: dict[str, Any]) -> Instance:
    """The instance of the request's InstanceArn, or of its ResourceArn where only that was given.

    Raises AccessDeniedException for an instance of another account or Region, and for one that does not exist:
    DescribeInstance has no ResourceNotFoundException, and answers so after a deletion (its API reference).
    """
    wanted = parameters.get("InstanceArn") or parameters.get("ResourceArn", "")
    instance = next((each for each in state.instances if _names(wanted, each)), None)
    if instance is None or instance.region != caller.region or not _administers(caller, instance):
        raise rules.denied(
            f"User: arn:aws:iam::{caller.account_id}:root is not authorized to perform: "
            f"sso:{operation} on resource: {wanted}"
        )
    _check_delegate(caller, operation, instance, parameters)
    return instance


def store_for(caller: Caller, operation: str, parameters: dict[str, Any]) -> IdentityStore:
    """The identity store of the request's IdentityStoreId, which may also be its ARN.

    Member accounts of the organization may read it, as every read operation's API reference says, not write it.
    """
    wanted = parameters["IdentityStoreId"].rpartition("/")[2]
    instance = next((i for i in state.instances if i.store.id == wanted and i.region == caller.region), None)
    if instance is None:
        raise rules.not_found("IDENTITY_STORE not found.", ResourceType="IDENTITY_STORE", ResourceId=wanted)
    if not _administers(caller, instance) and not _reads_as_member(caller, operation, instance):
        raise rules.denied(
            f"User: arn:aws:iam::{caller.account_id}:root is not authorized to perform: "
            f"identitystore:{operation} on resource: {instance.store.arn}"
        )
    return instance.store


def may_administer(caller: Caller) -> list[Instance]:
    return [instance for instance in state.instances if _administers(caller, instance)]


def _names(arn: str, instance: Instance) -> bool:
    return arn == instance.arn or f":permissionSet/{instance.id}/" in arn


def _administers(caller: Caller, instance: Instance) -> bool:
    return caller.account_id == instance.owner or _is_delegate(caller, instance)


def _is_delegate(caller: Caller, instance: Instance) -> bool:
    return instance.owner == organization.management_account() and (
        caller.account_id in organization.delegated_administrators(SERVICE_PRINCIPAL)
    )


def _reads_as_member(caller: Caller, operation: str, instance: Instance) -> bool:
    belongs = organization.has_active_account(caller.account_id)
    return operation.startswith(READ_ONLY) and belongs and instance.owner == organization.management_account()


def _check_delegate(caller: Caller, operation: str, instance: Instance, parameters: dict[str, Any]) -> None:
    """A delegated administrator may neither assign in the management account, nor change permission sets that are
    provisioned there (IAM Identity Center User Guide, "Delegated administration"), nor list all assignments of a
    principal, which "must be called from the management account" (its API reference)."""
    if caller.account_id == instance.owner:
        return
    if operation == "ListAccountAssignmentsForPrincipal":
        raise rules.denied(f"{operation} must be called from the management account of the organization")
    if operation.startswith(READ_ONLY):
        return
    permission_set = parameters.get("PermissionSetArn", parameters.get("ResourceArn"))
    if (
        parameters.get("TargetId") == instance.owner
        or (instance.owner, permission_set) in instance.provisioned
    ):
        raise rules.denied(
            f"Delegated administrator {caller.account_id} is not authorized to perform sso:{operation} on what "
            f"management account {instance.owner} uses"
        )


def add_instance(
    owner: str,
    region: str,
    *,
    name: str | None = None,
    permission_sets_enabled: bool = True,
    visible_to: Iterable[str] = (),
) -> Instance:
    """A further instance, owned by an account.

    visible_to: other accounts whose ListInstances shows it ("created in or visible to the account"); whether AWS
    shows members the organization's instance is UNCONFIRMED, and they cannot use it either way.
    """
    instance = Instance(
        arn=f"arn:{get_partition(region)}:sso:::instance/ssoins-{mock_random.get_random_hex(16)}",
        owner=owner,
        region=region,
        store=IdentityStore(f"d-{mock_random.get_random_hex(10)}", owner, region, get_partition(region)),
        created=state.now(),
        name=name,
        permission_sets_enabled=permission_sets_enabled,
        visible_to=frozenset(visible_to),
    )
    with state.lock:
        state.instances.append(instance)
    return instance


def remove_instance(arn: str | None = None) -> None:
    """Delete one instance with everything in it, or every instance."""
    with state.lock:
        state.instances[:] = [instance for instance in state.instances if arn not in (None, instance.arn)]


def list_instances(caller: Caller, parameters: dict[str, Any]) -> dict[str, Any]:
    found = [instance for instance in state.instances if _is_shown(instance, caller)]
    if parameters.get("RegionScope") != "ALL_REGIONS":
        found = [each for each in found if each.region == caller.region]
    return rules.page("Instances", [_described(each) for each in found], parameters)


def describe_instance(instance: Instance, _: dict[str, Any]) -> dict[str, Any]:
    encryption = {"KeyType": "AWS_OWNED_KMS_KEY", "EncryptionStatus": "ENABLED"}
    return {
        **_described(instance),
        "EncryptionConfigurationDetails": encryption,
        "PermissionSetsEnabled": instance.permission_sets_enabled,
    }


def list_regions(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    return rules.page("Regions", _regions(instance), parameters)


def create_instance(caller: Caller, parameters: dict[str, Any]) -> dict[str, Any]:
    """An account instance: none in the management account, one per other account (CreateInstance API reference)."""
    if caller.account_id == organization.management_account():
        raise rules.invalid("An account instance cannot be created in the organization's management account")
    if any(instance.owner == caller.account_id for instance in state.instances):
        raise rules.conflict(f"Account {caller.account_id} already has an instance of IAM Identity Center")
    name = parameters.get("Name")
    made = add_instance(caller.account_id, caller.region, name=name, permission_sets_enabled=False)
    made.tags = {tag["Key"]: tag["Value"] for tag in parameters.get("Tags", ())}
    return {"InstanceArn": made.arn}


def delete_instance(instance: Instance, _: dict[str, Any]) -> dict[str, Any]:
    remove_instance(instance.arn)
    return {}


def update_instance(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Name, or PermissionSetsEnabled, which can only be switched on (UpdateInstance API reference)."""
    enabling = parameters.get("PermissionSetsEnabled")
    if enabling is False:
        raise rules.invalid("Permission sets cannot be disabled: the only accepted value is true")
    if enabling and parameters.get("EncryptionConfiguration"):
        raise rules.invalid("EncryptionConfiguration and PermissionSetsEnabled need separate requests")
    instance.permission_sets_enabled = instance.permission_sets_enabled or bool(enabling)
    instance.name = parameters.get("Name", instance.name)
    return {}


def _is_shown(instance: Instance, caller: Caller) -> bool:
    return instance in may_administer(caller) or caller.account_id in instance.visible_to


def _described(instance: Instance) -> dict[str, Any]:
    return {
        "InstanceArn": instance.arn,
        "IdentityStoreId": instance.store.id,
        "IdentityStoreArn": instance.store.arn,
        "OwnerAccountId": instance.owner,
        "Name": instance.name,
        "CreatedDate": instance.created,
        "Status": instance.status,
        "PrimaryRegion": instance.region,
        "Regions": _regions(instance),
    }


def _regions(instance: Instance) -> list[dict[str, Any]]:
    region = {"RegionName": instance.region, "Status": "ACTIVE", "AddedDate": instance.created}
    return [{**region, "IsPrimaryRegion": True}]


def list_stores(caller: Caller, parameters: dict[str, Any]) -> dict[str, Any]:
    found = [each.store for each in may_administer(caller) if each.region == caller.region]
    return rules.page("IdentityStores", [_identified_store(each) for each in found], parameters)


def describe_store(store: IdentityStore, _: dict[str, Any]) -> dict[str, Any]:
    return _identified_store(store)


def _identified_store(store: IdentityStore) -> dict[str, Any]:
    return {"IdentityStoreId": store.id, "IdentityStoreArn": store.arn}


def create_access_control_attributes(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Switch the feature on, at once. AWS may take a while (CREATION_IN_PROGRESS)."""
    if instance.access_control_attributes is not None:
        raise rules.conflict("Attributes for access control are enabled already")
    given = parameters["InstanceAccessControlAttributeConfiguration"]
    instance.access_control_attributes = list(given["AccessControlAttributes"])
    return {}


def describe_access_control_attributes(instance: Instance, _: dict[str, Any]) -> dict[str, Any]:
    """Raises ResourceNotFoundException if the feature is off."""
    if instance.access_control_attributes is None:
        raise rules.not_found("Attributes for access control are not enabled")
    return {
        "Status": "ENABLED",
        "InstanceAccessControlAttributeConfiguration": {
            "AccessControlAttributes": instance.access_control_attributes
        },
    }
