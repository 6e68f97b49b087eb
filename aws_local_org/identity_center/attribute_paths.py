# SPDX-License-Identifier: Apache-2.0
"""UpdateUser and UpdateGroup: attributes changed by path, `displayName` or `name.givenName`.

Names are matched whatever their case: AWS's own examples write `displayName` where the shapes say DisplayName.
"""

from __future__ import annotations

import copy
from typing import Any

from botocore.model import Shape

from . import errors


def changed(attributes: dict[str, Any], shape: Shape, operations: list[dict[str, Any]]) -> dict[str, Any]:
    """A copy of attributes with the operations applied in order; an absent or null AttributeValue removes.

    shape: the structure that knows the attributes (CreateUser's or CreateGroup's request).
    Raises ValidationException for a path that the shape does not have.
    """
    result = copy.deepcopy(attributes)
    for operation in operations:
        path = operation["AttributePath"]
        _set(result, shape, path.split("."), operation.get("AttributeValue"), path)
    return result


def _set(target: dict[str, Any], shape: Shape, steps: list[str], value: Any, path: str) -> None:
    name = _member(shape, steps[0])
    if name is None or name == "IdentityStoreId":
        raise errors.invalid(f"The attribute path {path} is not supported")
    member = shape.members[name]  # type: ignore[attr-defined]
    if len(steps) > 1:
        _set_within(target, name, member, steps[1:], value, path)
    elif value is None:
        target.pop(name, None)
    else:
        target[name] = _normalized(member, value)


def _set_within(
    target: dict[str, Any], name: str, member: Shape, steps: list[str], value: Any, path: str
) -> None:
    if member.type_name != "structure":
        raise errors.invalid(f"The attribute path {path} is not supported")
    _set(target.setdefault(name, {}), member, steps, value, path)


def _normalized(shape: Shape, value: Any) -> Any:
    """value with the names of its members as the shape writes them; unknown ones stay, to be refused as such."""
    if shape.type_name == "list" and isinstance(value, list):
        return [_normalized(shape.member, item) for item in value]  # type: ignore[attr-defined]
    if shape.type_name == "structure" and isinstance(value, dict):
        names = {given: _member(shape, given) or given for given in value}
        return {names[given]: item for given, item in value.items()}
    return value


def _member(shape: Shape, given: str) -> str | None:
    if shape.type_name != "structure":
        return None
    members = shape.members  # type: ignore[attr-defined]
    return next((name for name in members if name.casefold() == given.casefold()), None)
