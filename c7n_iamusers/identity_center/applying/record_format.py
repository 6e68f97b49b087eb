# SPDX-License-Identifier: Apache-2.0
"""The form of runs' journals and results, which is checked before they are believed. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from c7n_iamusers.execution.calls import TRIED
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.object_records import CREATING, RECORD, SETTINGS
from c7n_iamusers.text import validators

#: A limit that no organization reaches.
_MANY = 10_000_000
_ANY, _ID = validators.text(65_536), validators.text(2048, shortest=1)
_REGION = validators.text(64, r"[a-z0-9-]+")
#: IAM users: ARN -> unique id.
iam_users = validators.mapping(validators.text(2048, r"arn:aws[a-z-]*:iam::\d{12}:user/[!-~]+"), _ANY)
_RUN_NAME = r"\d{8}T\d{6}\.\d+Z"
#: The name of the directory of a run.
_RUN = validators.text(40, _RUN_NAME)


def is_run(name: str) -> bool:
    """Whether a run would give a directory this name."""
    return bool(re.fullmatch(_RUN_NAME, name, re.ASCII))


def _with(
    required: Mapping[str, validators.Shape], optional: Mapping[str, validators.Shape] | None = None
) -> validators.Shape:
    """An object with at least these keys. Other keys are never read."""
    return validators.record(required, optional, others=True)


_SETTINGS = validators.record(
    {"name": _ID, **dict.fromkeys(("managed_policies", "customer_policies"), validators.listing(_ID, 1000))},
    {
        **dict.fromkeys(
            ("description", "session_duration", "relay_state", "inline_policy", "boundary"), _ANY
        ),
        "tags": validators.mapping(_ID, _ANY),
    },
)
#: The parameters of calls that create objects.
_GIVEN = {
    model.PERMISSION_SET: _with({"InstanceArn": _ID, "Name": _ID}),
    model.GROUP: _with({"IdentityStoreId": _ID, "DisplayName": _ID}, {"Description": _ANY}),
    model.ASSIGNMENT: _with(
        {
            **dict.fromkeys(("InstanceArn", "PermissionSetArn", "PrincipalId"), _ID),
            "TargetId": validators.account_id,
            "PrincipalType": validators.one_of("GROUP"),
        }
    ),
    model.USER: _with(
        {
            **dict.fromkeys(("IdentityStoreId", "UserName", "DisplayName"), _ID),
            "Name": validators.mapping(_ID, _ANY),
            "Emails": validators.listing(_with({"Value": _ID}), 100),
        }
    ),
    model.MEMBERSHIP: _with({"IdentityStoreId": _ID, "GroupId": _ID, "MemberId": _with({"UserId": _ID})}),
}
_CREATED = validators.record(
    {
        "kind": validators.one_of(*model.KINDS),
        "id": validators.text(2048),
        "certain": validators.one_of(True, False),
        "parameters": _with({}),
    }
)
_PAIR = validators.listing(_ANY, 2)
_GROUP_IDS = dict.fromkeys(("group", "group-id"), _ID)
_REMOVED = {
    model.MEMBERSHIP: _with(
        {
            **_GROUP_IDS,
            **dict.fromkeys(("id", "user-id", "username"), _ID),
            "gives": validators.listing(_PAIR, _MANY),
        }
    ),
    model.ASSIGNMENT: _with(
        {
            **_GROUP_IDS,
            "account": validators.account_id,
            "permission-set": _ID,
            "permission-set-arn": _ID,
            "content": _ANY,
        },
        {"members": validators.listing(_ID, _MANY)},
    ),
    model.GROUP: _with({**_GROUP_IDS, "description": _ANY}),
    model.PERMISSION_SET: _with({"permission-set-arn": _ID, "settings": _SETTINGS}),
    SETTINGS: _with(
        {
            "permission-set-arn": _ID,
            "settings": _SETTINGS,
            "stale": validators.listing(validators.account_id, _MANY),
            "holders": validators.listing(_PAIR, _MANY),
            "members": validators.mapping(_ID, validators.listing(_ID, _MANY)),
        }
    ),
}


def _created(value: Any, place: str) -> None:
    _CREATED(value, place)
    _GIVEN[value["kind"]](value["parameters"], f"{place}.parameters")


def _removed(value: Any, place: str) -> None:
    _with({"kind": validators.one_of(*_REMOVED)})(value, place)
    _REMOVED[value["kind"]](value, place)
    if any(len(each) != 2 for each in (*value.get("gives", ()), *value.get("holders", ()))):
        raise ValueError(f"{place} must have pairs of an account and a content or a principal")


_MEMBERSHIPS = validators.listing(
    _with(
        {
            **dict.fromkeys(("group", "username", "group-id", "user-id"), _ID),
            "users": iam_users,
        },
        {"id": validators.text(2048)},
    ),
    _MANY,
)


def assigned(value: Any, place: str) -> None:
    """Raises ValueError unless it is a pair of an account and the ARN of a permission set."""
    _PAIR(value, place)
    if len(value) != 2:
        raise ValueError(f"{place} must be a pair of an account and the ARN of a permission set")


_RESULT = _with(
    {"created": validators.listing(_created, _MANY)},
    {
        "instance": _ID,
        "region": _REGION,
        "removed": validators.listing(_removed, _MANY),
        "memberships": _MEMBERSHIPS,
        "permission-sets": validators.mapping(_ID, _SETTINGS),
        "members": validators.mapping(_ID, validators.listing(_ID, _MANY)),
        **dict.fromkeys(
            ("assignments", "groups"), validators.mapping(_ID, validators.listing(assigned, _MANY))
        ),
        **dict.fromkeys(("resumes", "follows"), validators.listing(_RUN, _MANY)),
    },
)


def check_result(data: Any) -> None:
    """Raises ValueError, with the place and the fault, for data that is no run's result."""
    _RESULT(data, "result")


def check_line(line: Mapping[str, Any]) -> None:
    """Raises ValueError for a line that is not from a run's journal. It checks only what is read back."""
    operation = line.get("operation", "")
    validators.text(128)(operation, "line.operation")
    if operation in CREATING:
        _with(
            {"phase": validators.one_of("before", TRIED, "after")}, {"saved": validators.mapping(_ID, _ANY)}
        )(line, "line")
        kind, _ = CREATING[operation]
        _GIVEN[kind](line.get("parameters"), "line.parameters")
    if line.get("notes") is not None:
        _with({}, {RECORD: _removed})(line["notes"], "line.notes")
