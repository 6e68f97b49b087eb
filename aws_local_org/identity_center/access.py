# SPDX-License-Identifier: Apache-2.0
"""Authorization: the owner may call everything, a delegated administrator less, member accounts only reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    return [each for each in state.instances if _administers(caller, each)]


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
    """A delegated administrator may not assign in the management account, nor touch permission sets provisioned
    there (IAM Identity Center User Guide, "Delegated administration")."""
    if caller.account_id == instance.owner or operation.startswith(READ_ONLY):
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
