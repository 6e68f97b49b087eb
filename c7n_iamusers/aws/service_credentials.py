# SPDX-License-Identifier: Apache-2.0
"""Service-specific credentials of all users at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.aws.accounts import PAGE_SIZE
from c7n_iamusers.aws.paging import items
from c7n_iamusers.aws.retries import Backoff, error_code
from c7n_iamusers.model.iam_user import Item

#: What is known of ListServiceSpecificCredentials' "ServiceName" (IAM User Guide, "Service-specific credentials for
#: IAM users"). More services come: these only tell whether a list without a ServiceName is of all of them.
SERVICES = (
    "codecommit.amazonaws.com",
    "cassandra.amazonaws.com",
    "bedrock.amazonaws.com",
    "logs.amazonaws.com",
)
_AT_ONCE = 8
_NAME_A_SERVICE = frozenset({"InvalidInput", "ValidationError", "ValidationException", "MissingParameter"})
#: What a partition or Region that lacks a service says of it: nobody has credentials for it there.
_NO_SUCH_SERVICE = frozenset({"NoSuchEntity", "NotSupportedService", "ServiceNotSupported"})


def all_service_credentials(client: Any, backoff: Backoff) -> list[Item]:
    """Every user's ``ServiceSpecificCredentialMetadata``, of every service. Raises ClientError.

    Where no list has everybody's, each user is asked for, which gives all services.
    """
    found = listed_at_once(client, backoff)
    return _by_user(client, backoff) if found is None else found


def listed_at_once(client: Any, backoff: Backoff) -> list[Item] | None:
    """The same from a list of all users; None where that can't be had, or may lack services. Raises ClientError.

    No documentation settles what AllUsers without a ServiceName gives: everything, an error, or the
    credentials of one service. It is taken for everything where it shows several services, or no fewer than
    asking for SERVICES by name.
    """
    found = _of_any_service(client, backoff)
    return found if found is not None and _is_whole(client, backoff, found) else None


def _of_any_service(client: Any, backoff: Backoff) -> list[Item] | None:
    try:
        return _list(client, backoff, AllUsers=True)
    except ClientError as error:
        if error_code(error) in _NAME_A_SERVICE:
            return None
        raise


def _is_whole(client: Any, backoff: Backoff, found: list[Item]) -> bool:
    shown = {item.get("ServiceName") for item in found}
    missing = [service for service in SERVICES if service not in shown]
    return len(shown) > 1 or not any(_of_service(client, backoff, service) for service in missing)


def _of_service(client: Any, backoff: Backoff, service: str) -> list[Item]:
    try:
        return _list(client, backoff, AllUsers=True, ServiceName=service)
    except ClientError as error:
        if error_code(error) in _NO_SUCH_SERVICE:
            return []
        raise


def _by_user(client: Any, backoff: Backoff) -> list[Item]:
    users = [user["UserName"] for user in items(client, "ListUsers", "Users", backoff, MaxItems=PAGE_SIZE)]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return [
            item for held in pool.map(lambda name: _of_user(client, backoff, name), users) for item in held
        ]


def _of_user(client: Any, backoff: Backoff, name: str) -> list[Item]:
    try:
        return _list(client, backoff, UserName=name)
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":  # gone since it was listed
            return []
        raise


def _list(client: Any, backoff: Backoff, **chosen: Any) -> list[Item]:
    operation, result = "ListServiceSpecificCredentials", "ServiceSpecificCredentials"
    return items(client, operation, result, backoff, MaxItems=PAGE_SIZE, **chosen)
