# SPDX-License-Identifier: Apache-2.0
"""Errors, paging and request validation for every operation of sso-admin and identitystore.

Requests are checked against botocore's service models: required members, lengths, ranges, enumerations and patterns.
boto3 checks only required members, types and minima before it sends; AWS checks the rest on arrival, and moto nothing
at all. Reading the rules from the models keeps them AWS's: permission set names of 32 characters, user names without
whitespace, AWS-managed policy ARNs only, and so on.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import regex
from botocore.model import Shape
from moto.core.exceptions import ServiceException

from aws_local_org import settings


class ApiError(ServiceException):
    """An error that the client sees; members are the further members of its shape (`Reason`, `ResourceType`)."""

    def __init__(self, error_code: str, text: str, **members: object) -> None:
        super().__init__(error_code, text)
        # moto serializes whatever members of the modelled error shape it finds as attributes.
        self.__dict__.update(members)


def invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def not_found(message: str, **members: object) -> ApiError:
    return ApiError("ResourceNotFoundException", message, **members)


def conflict(message: str, **members: object) -> ApiError:
    return ApiError("ConflictException", message, **members)


def denied(message: str) -> ApiError:
    return ApiError("AccessDeniedException", message)


def over_quota(message: str) -> ApiError:
    return ApiError("ServiceQuotaExceededException", message)


def throttled(message: str) -> ApiError:
    return ApiError("ThrottlingException", message)


#: The highest MaxResults of both service models.
LARGEST_PAGE = 100


def page(result: str, items: Sequence[Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """`{result: [one page of items], "NextToken": ...}`; NextToken is None on the last page.

    The running settings' page_limit shortens these pages too: a short page with a token is legal everywhere.
    Raises ValidationException for a token that this list did not give.
    """
    start = _position(result, parameters.get("NextToken"), len(items))
    size = parameters.get("MaxResults") or LARGEST_PAGE
    limit = settings.current().page_limit
    end = start + min(size, limit or size)
    token = _token(result, end) if end < len(items) else None
    return {result: list(items[start:end]), "NextToken": token}


def _token(result: str, position: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([result, position]).encode()).decode()


def _position(result: str, token: str | None, count: int) -> int:
    if not token:
        return 0
    try:
        given_for, position = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError, binascii.Error):
        raise invalid("The NextToken is not valid") from None
    if given_for != result or not isinstance(position, int) or position < 0:
        raise invalid(f"The NextToken was not given by a list of {result}")
    return min(position, count)


#: AWS echoes the refused value; a long one would bury the message.
LONGEST_ECHO = 100

_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "list": list,
    "map": dict,
    "string": str,
    "integer": int,
    "boolean": bool,
}


def check_shape(shape: Shape | None, value: Any) -> None:
    """Raises ValidationException naming every violation, as AWS words them."""
    found = list(_violations(shape, value)) if shape is not None else []
    if found:
        noun = "error" if len(found) == 1 else "errors"
        raise invalid(f"{len(found)} validation {noun} detected: {'; '.join(found)}")


def _violations(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    if shape.metadata.get("document"):
        return
    expected = _PYTHON_TYPES.get(shape.type_name)
    if expected and not isinstance(value, expected):
        yield _violation(shape, value, path, f"Member must be of type {shape.type_name}")
    elif shape.type_name == "structure":
        yield from _in_structure(shape, value, path)
    elif shape.type_name == "list":
        yield from _in_range(shape, value, path, len(value), "have length")
        for index, item in enumerate(value, start=1):
            yield from _violations(shape.member, item, f"{path}.{index}.member")  # type: ignore[attr-defined]
    elif shape.type_name == "string":
        yield from _in_string(shape, value, path)
    elif shape.type_name == "integer":
        yield from _in_range(shape, value, path, value, "have value")


def _in_structure(shape: Shape, value: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():  # type: ignore[attr-defined]
        place = f"{path}.{_lower_camel(name)}" if path else _lower_camel(name)
        if value.get(name) is not None:
            yield from _violations(member, value[name], place)
        elif name in shape.metadata.get("required", ()):
            yield f"Value null at '{place}' failed to satisfy constraint: Member must not be null"


def _in_string(shape: Shape, value: str, path: str) -> Iterator[str]:
    yield from _in_range(shape, value, path, len(value), "have length")
    allowed: Iterable[str] = shape.metadata.get("enum", ())
    if allowed and value not in allowed:
        yield _violation(shape, value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not regex.fullmatch(pattern, value):
        yield _violation(shape, value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _in_range(shape: Shape, value: Any, path: str, size: int, measure: str) -> Iterator[str]:
    lowest, highest = shape.metadata.get("min"), shape.metadata.get("max")
    if lowest is not None and size < lowest:
        yield _violation(shape, value, path, f"Member must {measure} greater than or equal to {lowest}")
    if highest is not None and size > highest:
        yield _violation(shape, value, path, f"Member must {measure} less than or equal to {highest}")


def _violation(shape: Shape, value: Any, path: str, constraint: str) -> str:
    echo = str(value)
    hidden = shape.metadata.get("sensitive") or len(echo) > LONGEST_ECHO
    shown = "Value" if hidden else f"Value '{echo}'"
    return f"{shown} at '{path}' failed to satisfy constraint: {constraint}"


def _lower_camel(name: str) -> str:
    return name[:1].lower() + name[1:]
