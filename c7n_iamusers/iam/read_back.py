# SPDX-License-Identifier: Apache-2.0
"""Whether AWS shows the effect of a call, by a user that was read after it. Pure.

It settles calls with an unknown outcome. It lets a release and a restoration report the actual state, and not what they
asked for. IAM is eventually consistent, so a change that is not shown may still become visible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.policy_documents import comparable
from c7n_iamusers.iam.user import IamUser, Item


def shows(user: IamUser | None, call: ApiCall, parameters: Mapping[str, Any]) -> bool:
    """Whether ``user`` (None: nobody has the name) is as ``call`` with these ``parameters`` leaves it.

    False for a call that a user does not show, such as one on a group or a sign-in session.
    """
    if call.service != "iam" or user is None or parameters.get("UserName") != user.name:
        return call.permission == "iam:DeleteUser" and user is None
    if special := _OF_THE_USER.get(call.operation):
        return special(user, parameters)
    for kind in attachments.ATTACHMENT_KINDS:
        for removal in kind.removals:
            if removal.operation == call.operation:
                return _held(user, kind, removal.parameters, parameters) is None
        change, back = kind.status_change, kind.restoration
        if change and change.operation == call.operation:
            item = _held(user, kind, change.parameters, parameters)
            return item is not None and item.get("Status") == parameters["Status"]
        if back and back.operation == call.operation:
            return any(_equal(item, back.parameters, parameters) for item in user.attachments[kind.name])
    return False


def _held(
    user: IamUser, kind: attachments.AttachmentKind, members: Mapping[str, str], given: Mapping[str, Any]
) -> Item | None:
    """The item of ``kind`` that ``given`` names. ``members``: parameter -> member of an item."""
    named = {member: given[name] for name, member in members.items()}
    items = user.attachments[kind.name]
    return next((item for item in items if all(item[key] == value for key, value in named.items())), None)


def _equal(item: Item, members: Mapping[str, str], given: Mapping[str, Any]) -> bool:
    return all(_plain(item.get(member)) == _plain(given[name]) for name, member in members.items())


def _plain(value: Any) -> Any:
    """A policy document as data, and any other text without the white space at its ends, which IAM may drop."""
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        return value.strip()
    return comparable(value)


def _tags(given: Mapping[str, Any]) -> dict[str, str]:
    return {str(tag["Key"]): str(tag["Value"]) for tag in given.get("Tags", ())}


def _is_created(user: IamUser, given: Mapping[str, Any]) -> bool:
    same = user.path == given.get("Path", "/") and user.boundary_arn == given.get("PermissionsBoundary", "")
    return same and _tags(given).items() <= dict(user.tags).items()


#: The operations whose change GetUser itself shows -> whether it does.
_OF_THE_USER: Mapping[str, Callable[[IamUser, Mapping[str, Any]], bool]] = {
    "CreateUser": _is_created,
    "PutUserPermissionsBoundary": lambda user, given: user.boundary_arn == given["PermissionsBoundary"],
    "DeleteUserPermissionsBoundary": lambda user, _: not user.boundary_arn,
    "TagUser": lambda user, given: _tags(given).items() <= dict(user.tags).items(),
    "UntagUser": lambda user, given: not {str(key) for key in given["TagKeys"]} & set(user.tags),
}
