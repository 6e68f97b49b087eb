# SPDX-License-Identifier: Apache-2.0
"""Reads one user live: its identity, everything attached to it, and the last use of its access keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam import attachments, read_back
from c7n_iamusers.iam.policy_documents import with_texts
from c7n_iamusers.iam.user import IamUser, Item

#: The kinds with their own operation; GetUser returns the others.
LISTED_KINDS = tuple(kind for kind in attachments.ATTACHMENT_KINDS if kind.reading)
#: Seconds to wait before reading a list again that has an item which is gone.
_RETRY_DELAYS = (0.0, 1.0, 2.0, 4.0)
_ENVELOPE = frozenset({"ResponseMetadata", "UserName"})


def read_user(client: Any, name: str, backoff: Backoff) -> IamUser | None:
    """The user with all its attachments in full detail, as a snapshot needs it; None if there is no such user.

    Raises ClientError if any part of it can't be read.
    """
    detail = read_detail(client, name, backoff)
    if detail is None:
        return None
    listed = {kind.name: read_kind(client, name, kind, backoff) for kind in LISTED_KINDS}
    return IamUser(detail, {**listed, **embedded_attachments(detail)})


def change_shows(client: Any, backoff: Backoff) -> Callable[[ApiCall, Mapping[str, Any]], bool]:
    """For an executor: a call and its parameters -> whether IAM, read now, shows its effect.

    It takes some ten reads, for a call with an unknown outcome. The function raises ClientError or BotoCoreError if it
    can't be read.
    """

    def shown(call: ApiCall, parameters: Mapping[str, Any]) -> bool:
        if call.permission == "iam:DeleteVirtualMFADevice":
            devices = items(client, "ListVirtualMFADevices", "VirtualMFADevices", backoff)
            return parameters["SerialNumber"] not in {device["SerialNumber"] for device in devices}
        if call.service != "iam" or "UserName" not in parameters:
            return False
        return read_back.shows(read_user(client, str(parameters["UserName"]), backoff), call, parameters)

    return shown


def key_shows(
    client: Any, backoff: Backoff, key: Subject, operation: str, parameters: Mapping[str, Any]
) -> bool:
    """Whether IAM, read now, shows the effect of ``operation`` with ``parameters`` on the access ``key``.

    False if there is no user of that name: it may have been renamed with its keys. Raises ClientError if it can't be
    read.
    """
    try:
        held = list_kind(client, key.name, attachments.ACCESS_KEY, backoff)
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return False
    status = next((each.get("Status") for each in held if each["AccessKeyId"] == key.unique_id), None)
    return status is None if operation == "DeleteAccessKey" else status == parameters.get("Status")


def read_detail(client: Any, name: str, backoff: Backoff) -> dict[str, Any] | None:
    """GetUser's ``User``, with tags and boundary, which ListUsers does not return; None if there is no such user."""
    try:
        return dict(backoff.call(client.get_user, UserName=name)["User"])
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return None
        raise


def embedded_attachments(detail: dict[str, Any]) -> dict[str, tuple[Item, ...]]:
    """The kinds in a user's own record: boundary and tags."""
    boundary = detail.get("PermissionsBoundary")
    return {
        attachments.PERMISSIONS_BOUNDARY.name: (boundary,) if boundary else (),
        attachments.TAG.name: tuple(detail.get("Tags") or ()),
    }


def list_kind(client: Any, name: str, kind: attachments.AttachmentKind, backoff: Backoff) -> tuple[Item, ...]:
    """The attachments of ``kind`` (one of LISTED_KINDS) of the user, as the list operation returns them.

    Raises ClientError; NoSuchEntity if the user is gone.
    """
    assert kind.reading, f"{kind.name} has no list operation: GetUser returns it"
    if kind.reading.single:
        return _read_single(client, name, kind.reading, backoff)
    found = items(client, kind.reading.operation, kind.reading.result, backoff, UserName=name)
    return tuple({kind.identifier: item} if isinstance(item, str) else item for item in found)


def read_kind(client: Any, name: str, kind: attachments.AttachmentKind, backoff: Backoff) -> tuple[Item, ...]:
    """As ``list_kind``, with the details that the list leaves out (documents, key bodies).

    If an item disappears between the list and its details, the list is read again.
    Raises ClientError; NoSuchEntity if the user is gone, or items keep disappearing.
    """
    for delay in (*_RETRY_DELAYS, None):
        found = list_kind(client, name, kind, backoff)
        if kind.detail is None:
            return found
        try:
            return tuple(_with_detail(client, name, item, kind.detail, backoff) for item in found)
        except ClientError as error:
            if delay is None or error_code(error) != "NoSuchEntity":
                raise
            backoff.sleep(delay)
    raise AssertionError("the last attempt returns or raises")


def unassigned_mfa(client: Any, backoff: Backoff) -> frozenset[str]:
    """The serial numbers of the account's virtual MFA devices that are assigned to no user."""
    devices = items(
        client,
        "ListVirtualMFADevices",
        "VirtualMFADevices",
        backoff,
        AssignmentStatus="Unassigned",
        MaxItems=1000,
    )
    return frozenset(str(device["SerialNumber"]) for device in devices)


def _read_single(
    client: Any, name: str, reading: attachments.ReadingCall, backoff: Backoff
) -> tuple[Item, ...]:
    try:
        response = backoff.call(getattr(client, xform_name(reading.operation)), UserName=name)
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return ()
        raise
    return (response[reading.result],)


def _with_detail(client: Any, name: str, item: Item, detail: attachments.Detail, backoff: Backoff) -> Item:
    parameters = {parameter: item[member] for parameter, member in detail.parameters.items()}
    method = getattr(client, xform_name(detail.operation))
    response = with_texts(backoff.call(method, UserName=name, **parameters, **detail.constants))
    for member in detail.result:
        response = response[member]
    return {**item, **{key: value for key, value in response.items() if key not in _ENVELOPE}}


@dataclass(frozen=True)
class KeyUse:
    """GetAccessKeyLastUsed's response. ``at``: None if never used. ``service`` and ``region`` can be ``N/A``."""

    key_id: str
    at: datetime | None
    service: str = ""
    region: str = ""


#: The errors of GetAccessKeyLastUsed for a key that does not exist. AccessDenied can also be a missing permission.
NO_KEY_OR_DENIED = frozenset({"AccessDenied", "NoSuchEntity"})


def read_key_use(client: Any, user: IamUser, backoff: Backoff) -> tuple[KeyUse, ...]:
    """The last use of each access key of ``user``.

    If a key is gone since ``user`` was read, the keys are listed again. Raises ClientError if a key that is still
    listed can't be read.
    """
    return _read_all(client, user.name, user.attachments[attachments.ACCESS_KEY.name], backoff)


def _read_all(client: Any, name: str, keys: Iterable[Item], backoff: Backoff) -> tuple[KeyUse, ...]:
    uses = []
    for key in keys:
        try:
            uses.append(_read(client, str(key["AccessKeyId"]), backoff))
        except ClientError as error:
            if error_code(error) not in NO_KEY_OR_DENIED:
                raise
            listed = list_kind(client, name, attachments.ACCESS_KEY, backoff)
            if key["AccessKeyId"] in {item["AccessKeyId"] for item in listed}:
                raise
            return _read_all(client, name, listed, backoff)
    return tuple(uses)


def _read(client: Any, key_id: str, backoff: Backoff) -> KeyUse:
    found = backoff.call(client.get_access_key_last_used, AccessKeyId=key_id)["AccessKeyLastUsed"]
    return KeyUse(key_id, found.get("LastUsedDate"), found.get("ServiceName", ""), found.get("Region", ""))
