# SPDX-License-Identifier: Apache-2.0
"""Writes records into an account of the local organization without the API, its quotas and its latency."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.iam.models import AWSManagedPolicy, InstanceProfile
from moto.iam.models import ManagedPolicy as CustomerManagedPolicy
from moto.iam.models import PolicyVersion as IamPolicyVersion
from moto.iam.models import Role as IamRole

from aws_local_org.accounts import Accounts
from aws_local_org.errors import LocalOrgError
from aws_local_org.iam import seeding as iam
from aws_local_org.iam.entities import Group as IamGroup
from aws_local_org.iam.entities import User as IamUser
from aws_local_org.iam.seeding import naive_utc
from aws_local_org.seeding.records import AccountContents, Group, ManagedPolicy, Role, User


def refuse_filled_accounts(org: Accounts, account_ids: Iterable[str]) -> None:
    """Raise LocalOrgError for an account that has users, groups or customer-managed policies already."""
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


def write_account(org: Accounts, account_id: str, contents: AccountContents) -> None:
    """Write everything; call it with ``org.lock`` held, and only for an account that is not filled."""
    backend = org.backend("iam", account_id)
    for policy in contents.policies:
        _write_policy(backend, policy)
    for group in contents.groups:
        _write_group(backend, group)
    for role in contents.roles:
        _write_role(backend, role)
    for user in contents.users:
        _write_user(backend, user)
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


def _write_policy(backend: Any, policy: ManagedPolicy) -> None:
    """Add a customer-managed policy, or replace or add one in this account's view of AWS's catalogue."""
    entity = (AWSManagedPolicy if policy.aws_managed else CustomerManagedPolicy)(
        policy.name,
        account_id=backend.account_id,
        region=backend.region_name,
        default_version_id=policy.default_version,
        description=policy.description,
        path=policy.path,
        create_date=naive_utc(policy.created),
        update_date=naive_utc(policy.updated or policy.created),
        tags={key: {"Key": key, "Value": value} for key, value in policy.tags.items()},
    )
    entity.id = policy.policy_id
    entity.versions = [
        IamPolicyVersion(
            entity.arn,
            version.document,
            version.version_id == policy.default_version,
            version.version_id,
            naive_utc(version.created),
        )
        for version in policy.versions
    ]
    numbers = [int(version.version_id[1:]) for version in policy.versions if version.version_id[1:].isdigit()]
    entity.next_version_num = max(numbers, default=0) + 1
    backend.managed_policies[entity.arn] = entity
    if policy.aws_managed:
        others = (known for known in backend.aws_managed_policies if known.arn != entity.arn)
        backend.aws_managed_policies = [*others, entity]
    for holder in (*backend.users.values(), *backend.groups.values(), *backend.roles.values()):
        if entity.arn in holder.managed_policies:
            holder.managed_policies[entity.arn] = entity


def _write_user(account: Any, user: User) -> None:
    """Add a user to an account's IAM backend, which already has its groups and policies."""
    entity = iam.add_user(
        account,
        user.name,
        path=user.path,
        user_id=user.user_id,
        created=user.created,
        tags=user.tags,
        boundary=user.boundary,
    )
    _write_password_and_mfa(account, entity, user)
    _write_access_keys(account, entity, user)
    _write_public_keys(entity, user)
    _write_service_credentials(entity, user)
    _write_permissions(account, entity, user)


def _write_password_and_mfa(account: Any, entity: IamUser, user: User) -> None:
    if user.password:
        iam.set_password(entity, user.password.changed, last_used=user.password.last_used)
    for device in user.mfa_devices:
        iam.add_mfa_device(account, entity, device.serial, device.enabled)


def _write_access_keys(account: Any, entity: IamUser, user: User) -> None:
    for key in user.access_keys:
        made = iam.add_access_key(account, entity, key_id=key.key_id, created=key.created, active=key.active)
        if use := key.last_use:
            iam.set_access_key_last_used(made, use.date, service=use.service, region=use.region)


def _write_public_keys(entity: IamUser, user: User) -> None:
    for certificate in user.certificates:
        iam.add_signing_certificate(
            entity,
            certificate.body,
            certificate_id=certificate.key_id,
            uploaded=certificate.uploaded,
            active=certificate.active,
        )
    for key in user.ssh_keys:
        iam.add_ssh_public_key(entity, key.body, key_id=key.key_id, uploaded=key.uploaded, active=key.active)


def _write_service_credentials(entity: IamUser, user: User) -> None:
    for credential in user.service_credentials:
        iam.add_service_credential(
            entity,
            credential.service,
            credential.created,
            credential_id=credential.credential_id,
            expires=credential.expires,
            active=credential.active,
        )


def _write_permissions(account: Any, entity: IamUser, user: User) -> None:
    """Straight into the entities: documents of real accounts may exceed the default quotas that the API enforces."""
    entity.policies.update(user.inline)
    for name in user.groups:
        group = account.groups[name]
        group.users.append(entity)
        entity.groups.append(group)
    for arn in user.policies:
        account.managed_policies[arn].attach_to(entity)
