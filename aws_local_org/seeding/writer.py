# SPDX-License-Identifier: Apache-2.0
"""Puts records into an account of the local organization, past the API, whose quotas and pace they need not obey."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from moto.iam.models import InstanceProfile
from moto.iam.models import Role as IamRole

from aws_local_org.iam import seeding as iam
from aws_local_org.iam.entities import Group as IamGroup
from aws_local_org.seeding.policy_writer import write_policy
from aws_local_org.seeding.records import AccountContents, Group, Role
from aws_local_org.seeding.user_writer import write_user
from c7n_iamusers.exceptions import LocalOrgError

if TYPE_CHECKING:
    from aws_local_org import LocalOrg


def refuse_filled_accounts(org: LocalOrg, account_ids: Iterable[str]) -> None:
    """Raise LocalOrgError for an account that has users, groups or policies of its own already."""
    for account_id in account_ids:
        backend = org.backend("iam", account_id)
        if (
            backend.users
            or backend.groups
            or len(backend.managed_policies) > len(backend.aws_managed_policies)
        ):
            raise LocalOrgError(
                f"account {account_id} is filled already ({len(backend.users)} users, {len(backend.groups)} groups); "
                f"empty the organization first: `c7n-iamusers local-org reset`"
            )


def write_account(org: LocalOrg, account_id: str, contents: AccountContents) -> None:
    """Write everything; call it with ``org.lock`` held, and only for an account that is not filled."""
    backend = org.backend("iam", account_id)
    for policy in contents.policies:
        write_policy(backend, policy)
    for group in contents.groups:
        _write_group(backend, group)
    for role in contents.roles:
        _write_role(backend, role)
    for user in contents.users:
        write_user(backend, user)
    for name in contents.orphaned_mfa:
        iam.add_unassigned_mfa_device(backend, name)


def _write_group(backend: Any, group: Group) -> None:
    entity = IamGroup(backend.account_id, backend.region_name, group.name, group.path)
    entity.id = group.group_id
    iam.set_create_date(entity, group.created)
    entity.policies.update(group.inline)
    backend.groups[group.name] = entity
    for arn in group.policies:
        backend.managed_policies[arn].attach_to(entity)


def _write_role(backend: Any, role: Role) -> None:
    entity = IamRole(
        account_id=backend.account_id,
        partition=backend.partition,
        role_id=role.role_id,
        name=role.name,
        assume_role_policy_document=role.trust,
        path=role.path,
        permissions_boundary=role.boundary,
        description=role.description,
        tags=[{"Key": key, "Value": value} for key, value in role.tags.items()],
        max_session_duration=str(role.max_session),
    )
    iam.set_create_date(entity, role.created)
    entity.policies.update(role.inline)
    if role.last_use:
        iam.set_role_last_used(entity, role.last_use.date, role.last_use.region)
    backend.roles[role.role_id] = entity
    for arn in role.policies:
        backend.managed_policies[arn].attach_to(entity)
    for name in role.instance_profiles:
        _write_instance_profile(backend, name, entity)


def _write_instance_profile(backend: Any, name: str, role: IamRole) -> None:
    profile: InstanceProfile = backend.create_instance_profile(name=name, path=role.path, role_names=[])
    profile.roles.append(role)
