# SPDX-License-Identifier: Apache-2.0
"""Service-specific credentials: CodeCommit and Keyspaces passwords, Bedrock and CloudWatch Logs API keys.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceSpecificCredential.html and its siblings.
The secret is returned once and not kept, since nothing here takes it.
"""

from __future__ import annotations

import base64
import datetime
import itertools
import secrets
from collections.abc import Iterable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

from aws_local_org.iam.base import Response
from aws_local_org.iam.entities import ServiceCredential, User
from aws_local_org.iam.errors import no_such_entity, quota_exceeded, validation_error
from aws_local_org.iam.identifiers import SERVICE_CREDENTIAL, new_id
from aws_local_org.iam.paging import Listing
from aws_local_org.iam.plain_result import PlainResult

#: Services with a user name and a password; services with an API key, and how such a key begins.
PASSWORD_SERVICES = frozenset({"codecommit.amazonaws.com", "cassandra.amazonaws.com"})
API_KEY_PREFIXES = {"bedrock.amazonaws.com": "ABSK", "logs.amazonaws.com": "ACWL"}

#: "a maximum of two sets of service-specific credentials for each supported service per user"
PER_SERVICE = 2


class ServiceCredentialsResponse(Response):
    def create_service_specific_credential(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        service = _supported(self.params["ServiceName"])
        days = self.params.get("CredentialAgeDays")
        if days is not None and service in PASSWORD_SERVICES:
            raise validation_error("CredentialAgeDays is only valid for API keys.")
        if sum(held.service_name == service for held in user.service_credentials.values()) >= PER_SERVICE:
            raise quota_exceeded("ServiceSpecificCredentialsPerUser", PER_SERVICE)
        expires = utcnow() + datetime.timedelta(days=int(days)) if days is not None else None
        credential = new_credential(user, service, utcnow(), expires=expires)
        return PlainResult({"ServiceSpecificCredential": {**metadata(credential), **_secret(credential)}})

    def list_service_specific_credentials(self) -> ActionResult:
        service = self.params.get("ServiceName")
        held = self._of_users(_supported(service) if service else None)
        return PlainResult({"ServiceSpecificCredentials": Listing(held, metadata)})

    def _of_users(self, service: str | None) -> Iterable[ServiceCredential]:
        name, everybody = self.params.get("UserName"), bool(self.params.get("AllUsers"))
        if name and everybody:
            raise validation_error("UserName and AllUsers cannot be specified together.")
        if not name and not everybody:
            name = self.caller.user_name
            if name is None:
                raise validation_error("Must specify userName when calling with non-User credentials")
        users = self.backend.users.values() if everybody else [self.backend.get_user(str(name))]
        credentials = (credential for user in users for credential in user.service_credentials.values())
        return [credential for credential in credentials if service in (None, credential.service_name)]

    def update_service_specific_credential(self) -> ActionResult:
        if self.params["Status"] == "Expired":
            raise validation_error("Status must be Active or Inactive.")
        self._credential().enabled = self.params["Status"] == "Active"
        return EmptyResult()

    def reset_service_specific_credential(self) -> ActionResult:
        credential = self._credential()
        return PlainResult({"ServiceSpecificCredential": {**metadata(credential), **_secret(credential)}})

    def delete_service_specific_credential(self) -> ActionResult:
        credential = self._credential()
        del credential.user.service_credentials[credential.service_specific_credential_id]
        return EmptyResult()

    def _credential(self) -> ServiceCredential:
        wanted = self.params["ServiceSpecificCredentialId"]
        found = self.backend.get_user(self.params["UserName"]).service_credentials.get(wanted)
        if found is None:
            raise no_such_entity(f"No such credential {wanted} exists")
        return found


def new_credential(
    user: User,
    service: str,
    created: datetime.datetime,
    *,
    credential_id: str | None = None,
    expires: datetime.datetime | None = None,
    enabled: bool = True,
) -> ServiceCredential:
    """Put a credential on a user. Its name is the user's with the account, and a number for the second of a service."""
    identity = credential_id or new_id(SERVICE_CREDENTIAL, user.account_id)
    held = [
        credential for credential in user.service_credentials.values() if credential.service_name == service
    ]
    taken = {credential.service_user_name or credential.alias for credential in held}
    suffixes = itertools.chain([""], (f"+{number}" for number in itertools.count(1)))
    names = (f"{user.name}{suffix}-at-{user.account_id}" for suffix in suffixes)
    name = next(name for name in names if name not in taken)
    credential = ServiceCredential(identity, user, service, created, expires=expires, enabled=enabled)
    if service in API_KEY_PREFIXES:
        credential.alias = name
    else:
        credential.service_user_name = name
    user.service_credentials[identity] = credential
    return credential


def metadata(credential: ServiceCredential) -> dict[str, Any]:
    """ServiceSpecificCredentialMetadata."""
    return {
        "UserName": credential.user.name,
        "Status": credential.status,
        "ServiceUserName": credential.service_user_name,
        "ServiceCredentialAlias": credential.alias,
        "CreateDate": credential.create_date,
        "ExpirationDate": credential.expires,
        "ServiceSpecificCredentialId": credential.service_specific_credential_id,
        "ServiceName": credential.service_name,
    }


def _supported(service: str) -> str:
    if service not in PASSWORD_SERVICES and service not in API_KEY_PREFIXES:
        raise no_such_entity(f"No such service {service} is supported for Service Specific Credentials")
    return service


def _secret(credential: ServiceCredential) -> dict[str, str]:
    password = secrets.token_urlsafe(45)
    if credential.alias is None:
        return {"ServicePassword": password}
    key = base64.b64encode(f"{credential.alias}:{password}".encode()).decode()
    return {"ServiceCredentialSecret": API_KEY_PREFIXES[credential.service_name] + key}
