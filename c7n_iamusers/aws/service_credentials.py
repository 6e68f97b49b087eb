# SPDX-License-Identifier: Apache-2.0
"""Service-specific credentials of all users at once."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.aws.accounts import PAGE_SIZE
from c7n_iamusers.aws.paging import items
from c7n_iamusers.aws.retries import Backoff, error_code
from c7n_iamusers.model.iam_user import Item

#: ListServiceSpecificCredentials: "ServiceName" (IAM API reference, CreateServiceSpecificCredential).
SERVICES = (
    "codecommit.amazonaws.com",
    "cassandra.amazonaws.com",
    "bedrock.amazonaws.com",
    "logs.amazonaws.com",
)
_NAME_A_SERVICE = frozenset({"InvalidInput", "ValidationError", "ValidationException", "MissingParameter"})
#: What a partition or Region that lacks a service says of it: nobody has credentials for it there.
_NO_SUCH_SERVICE = frozenset({"NoSuchEntity", "NotSupportedService", "ServiceNotSupported"})


def all_service_credentials(client: Any, backoff: Backoff) -> list[Item]:
    """Every user's ``ServiceSpecificCredentialMetadata``, of every service. Raises ClientError.

    No documentation settles what AllUsers without a ServiceName gives: everything, an error, or the
    credentials of one service. Only an answer with several services proves that it is everything; after any
    other one, the services that it doesn't show are asked for by name.
    """
    found = _of_any_service(client, backoff)
    shown = {item.get("ServiceName") for item in found}
    missing = [service for service in SERVICES if service not in shown] if len(shown) < 2 else []
    return found + [item for service in missing for item in _of_service(client, backoff, service)]


def _of_any_service(client: Any, backoff: Backoff) -> list[Item]:
    try:
        return _list(client, backoff)
    except ClientError as error:
        if error_code(error) in _NAME_A_SERVICE:
            return []
        raise


def _of_service(client: Any, backoff: Backoff, service: str) -> list[Item]:
    try:
        return _list(client, backoff, ServiceName=service)
    except ClientError as error:
        if error_code(error) in _NO_SUCH_SERVICE:
            return []
        raise


def _list(client: Any, backoff: Backoff, **service: str) -> list[Item]:
    operation, result = "ListServiceSpecificCredentials", "ServiceSpecificCredentials"
    return items(client, operation, result, backoff, AllUsers=True, MaxItems=PAGE_SIZE, **service)
