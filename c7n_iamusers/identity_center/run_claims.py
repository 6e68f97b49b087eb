# SPDX-License-Identifier: Apache-2.0
"""Results and journals are claims, as anybody may have changed them: what they must look like to be read back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from c7n_iamusers.identity_center.created import CREATING, RECORD, Created
from c7n_iamusers.identity_center.model import (
    ASSIGNMENT,
    GROUP,
    KINDS,
    MEMBERSHIP,
    PERMISSION_SET,
    USER,
    Instance,
)
from c7n_iamusers.text.shapes import Shape, listing, mapping, one_of, record, text
from c7n_iamusers.text.wording import shown

#: More than any organization has.
_MANY = 10_000_000
_ANY, _ID, _ACCOUNT = text(65_536), text(2048, shortest=1), text(12, r"\d{12}")
_REGION = text(64, r"[a-z0-9-]+")
_USER_ARN = text(2048, r"arn:aws[a-z-]*:iam::\d{12}:user/[!-~]+")
#: The name of a run's directory.
_RUN = text(40, r"\d{8}T\d{6}\.\d+Z")


def _with(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """An object with these keys; others are nothing that is read back."""
    return record(required, optional, others=True)


_SETTINGS = record(
    {"name": _ID, **dict.fromkeys(("managed_policies", "customer_policies"), listing(_ID, 1000))},
    {
        **dict.fromkeys(
            ("description", "session_duration", "relay_state", "inline_policy", "boundary"), _ANY
        ),
        "tags": mapping(_ID, _ANY),
    },
)
#: The parameters of the calls that create.
_GIVEN = {
    PERMISSION_SET: _with({"InstanceArn": _ID, "Name": _ID}),
    GROUP: _with({"IdentityStoreId": _ID, "DisplayName": _ID}, {"Description": _ANY}),
    ASSIGNMENT: _with(
        {
            **dict.fromkeys(("InstanceArn", "PermissionSetArn", "PrincipalId"), _ID),
            "TargetId": _ACCOUNT,
            "PrincipalType": one_of("GROUP"),
        }
    ),
    USER: _with(
        {
            **dict.fromkeys(("IdentityStoreId", "UserName", "DisplayName"), _ID),
            "Name": mapping(_ID, _ANY),
            "Emails": listing(_with({"Value": _ID}), 100),
        }
    ),
    MEMBERSHIP: _with({"IdentityStoreId": _ID, "GroupId": _ID, "MemberId": _with({"UserId": _ID})}),
}
_CREATED = record(
    {"kind": one_of(*KINDS), "id": text(2048), "certain": one_of(True, False), "parameters": _with({})}
)
_PAIR = listing(_ANY, 2)
_NAMED = dict.fromkeys(("group", "group-id"), _ID)
_REMOVED = {
    MEMBERSHIP: _with({**_NAMED, "user-id": _ID, "username": _ID, "gives": listing(_PAIR, _MANY)}),
    ASSIGNMENT: _with(
        {**_NAMED, "account": _ACCOUNT, "permission-set": _ID, "permission-set-arn": _ID, "content": _ANY}
    ),
    GROUP: _with({**_NAMED, "description": _ANY}),
    PERMISSION_SET: _with({"permission-set-arn": _ID, "settings": _SETTINGS}),
}


def _created(value: Any, place: str) -> None:
    _CREATED(value, place)
    _GIVEN[value["kind"]](value["parameters"], f"{place}.parameters")


def _removed(value: Any, place: str) -> None:
    _with({"kind": one_of(*_REMOVED)})(value, place)
    _REMOVED[value["kind"]](value, place)
    if any(len(each) != 2 for each in value.get("gives", ())):
        raise ValueError(f"{place}.gives must have pairs of an account and a content")


_MEMBERSHIPS = listing(_with({"group": _ID, "username": _ID, "users": mapping(_USER_ARN, _ANY)}), _MANY)
_RESULT = _with(
    {"created": listing(_created, _MANY)},
    {
        "instance": _ID,
        "region": _REGION,
        "removed": listing(_removed, _MANY),
        "memberships": _MEMBERSHIPS,
        "permission-sets": mapping(_ID, _SETTINGS),
        "resumes": listing(_RUN, _MANY),
    },
)


def check_result(data: Any) -> None:
    """Raises ValueError, with the place and what is wrong, for data that is no result of a run."""
    _RESULT(data, "result")


def check_line(line: Mapping[str, Any]) -> None:
    """Raises ValueError for a journal's line whose parts that are read back no run has written so."""
    operation = line.get("operation", "")
    text(128)(operation, "line.operation")
    if operation in CREATING:
        _with({"phase": one_of("before", "after")}, {"saved": mapping(_ID, _ANY)})(line, "line")
        kind, _ = CREATING[operation]
        _GIVEN[kind](line.get("parameters"), "line.parameters")
    if line.get("notes") is not None:
        _with({}, {RECORD: _removed})(line["notes"], "line.notes")


def check_instance(created: Iterable[Created], instance: Instance) -> None:
    """Raises ValueError where something was created in another instance, or in another identity store."""
    own = {"InstanceArn": instance.arn, "IdentityStoreId": instance.identity_store_id}
    others = {
        str(each.parameters[name])
        for each in created
        for name, identifier in own.items()
        if each.parameters.get(name, identifier) != identifier
    }
    if others:
        raise ValueError(f"it is of {shown(sorted(others))}, not of {' and '.join(own.values())}")
