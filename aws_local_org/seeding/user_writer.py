# SPDX-License-Identifier: Apache-2.0
"""Writes a user with everything that hangs off it."""

from __future__ import annotations

from typing import Any

from aws_local_org.iam import seeding as iam
from aws_local_org.iam.entities import User as IamUser
from aws_local_org.seeding.records import User


def write_user(account: Any, user: User) -> None:
    """Add a user to an account's IAM backend; its groups and policies are there already."""
    entity = iam.add_user(
        account,
        user.name,
        path=user.path,
        user_id=user.user_id,
        created=user.created,
        tags=user.tags,
        boundary=user.boundary,
    )
    _password_and_mfa(account, entity, user)
    _access_keys(account, entity, user)
    _public_keys(entity, user)
    _service_credentials(entity, user)
    _permissions(account, entity, user)


def _password_and_mfa(account: Any, entity: IamUser, user: User) -> None:
    if user.password:
        iam.set_password(entity, user.password.changed, last_used=user.password.last_used)
    for device in user.mfa_devices:
        iam.add_mfa_device(account, entity, device.serial, device.enabled)


def _access_keys(account: Any, entity: IamUser, user: User) -> None:
    for key in user.access_keys:
        made = iam.add_access_key(account, entity, key_id=key.key_id, created=key.created, active=key.active)
        if use := key.last_use:
            iam.set_access_key_last_used(made, use.date, service=use.service, region=use.region)


def _public_keys(entity: IamUser, user: User) -> None:
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


def _service_credentials(entity: IamUser, user: User) -> None:
    for credential in user.service_credentials:
        iam.add_service_credential(
            entity,
            credential.service,
            credential.created,
            credential_id=credential.credential_id,
            expires=credential.expires,
            active=credential.active,
        )


def _permissions(account: Any, entity: IamUser, user: User) -> None:
    """Straight into the entities: documents of real accounts may exceed the default quotas that the API enforces."""
    entity.policies.update(user.inline)
    for name in user.groups:
        group = account.groups[name]
        group.users.append(entity)
        entity.groups.append(group)
    for arn in user.policies:
        account.managed_policies[arn].attach_to(entity)
