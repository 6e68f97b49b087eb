# SPDX-License-Identifier: Apache-2.0
"""Results of operations: paged as AWS does, and written as XML in one pass over botocore's shapes.

moto's serializer tries half a dozen names for every member of every object, which takes most of a second for a page of
a thousand users. Here the members of a result have the names of the API reference.

Which operations page, and which members of their results are lists, is read from botocore's paginators for IAM.
Source of the rules: any of IAM's list operations, e.g.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html (Marker, MaxItems, IsTruncated).
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias
from xml.sax.saxutils import escape

import botocore.session
from moto.core.responses import TYPE_RESPONSE, ActionContext, ActionResult
from moto.core.serialize import QuerySerializer

from aws_local_org import settings
from aws_local_org.errors import validation_error


class PlainResult(ActionResult):
    """The XML of a result of dicts, lists, strings, numbers, booleans, bytes and naive UTC dates. It omits None."""

    def execute_result(self, context: ActionContext) -> TYPE_RESPONSE:
        operation = context.operation_model
        pieces: list[str] = []
        _write_xml(pieces, operation.output_shape, self.result, f"{operation.name}Result")
        namespace = context.service_model.metadata["xmlNamespace"]
        request_id = str(uuid.uuid4())
        body = (
            f'<{operation.name}Response xmlns="{namespace}">{"".join(pieces)}'
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation.name}Response>"
        )
        return 200, {"Content-Type": "text/xml"}, body


def _write_xml(pieces: list[str], shape: Any, value: Any, tag: str) -> None:
    kind = shape.type_name
    if kind == "structure":
        pieces.append(f"<{tag}>")
        for name, member in shape.members.items():
            if (inner := value.get(name)) is not None:
                _write_xml(pieces, member, inner, name)
        pieces.append(f"</{tag}>")
    elif kind == "list":
        pieces.append(f"<{tag}>")
        for item in value:
            _write_xml(pieces, shape.member, item, "member")
        pieces.append(f"</{tag}>")
    else:
        pieces.append(f"<{tag}>{_scalar(kind, value)}</{tag}>")


def _scalar(kind: str, value: Any) -> str:
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        return whole_seconds(value)
    if kind == "blob":
        return base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
    return escape(str(value))


class WholeSecondsSerializer(QuerySerializer):
    """moto's serializer, for the results that are still moto's own."""

    def _serialize_type_timestamp(self, serialized: Any, value: Any, shape: Any, key: str) -> None:
        text = whole_seconds(value) if isinstance(value, datetime) else str(value)
        self._default_serialize(serialized, text, shape, key)


def whole_seconds(moment: datetime) -> str:
    """A date in IAM's form, without fractions."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


DEFAULT_PAGE = 100

#: The number of the list among the concatenated ones, and the order key of an item in it.
_Position: TypeAlias = tuple[int, tuple[str, ...]]

#: The only paged list without a paginator in botocore.
_WITHOUT_PAGINATOR = {"ListServiceSpecificCredentials": ("ServiceSpecificCredentials",)}


@dataclass(frozen=True)
class Listing:
    """A whole list, of which only the items of the page are rendered."""

    items: Iterable[Any]
    render: Callable[[Any], Any]


@dataclass(frozen=True)
class PageRequest:
    operation: str
    marker: str | None
    max_items: int

    @property
    def limit(self) -> int:
        """The maximum items of the page: IAM may return fewer than MaxItems, as it does here with a page limit."""
        return min(self.max_items, settings.current().page_limit or self.max_items)


@cache
def paged_members(operation: str) -> tuple[str, ...]:
    """The members of an operation's result that are paged as one long list; none if it does not page."""
    if operation in _WITHOUT_PAGINATOR:
        return _WITHOUT_PAGINATOR[operation]
    found = _paginators().get(operation, {}).get("result_key", [])
    return (found,) if isinstance(found, str) else tuple(found)


@cache
def _paginators() -> dict[str, Any]:
    loader = botocore.session.get_session().get_component("data_loader")
    pagination: dict[str, Any] = loader.load_service_model("iam", "paginators-1")["pagination"]
    return pagination


def page_of(request: PageRequest, result: dict[str, Any]) -> dict[str, Any]:
    """The result cut to one page, with IsTruncated, and with Marker if more follows.

    A marker names the last item of the previous page, so items deleted meanwhile don't shift the next page.
    Raises ValidationError for a marker that this operation did not give.
    """
    members = paged_members(request.operation)
    listings = [_listing(result.get(member)) for member in members]
    entries = sorted(
        ((index, _order(item), item) for index, listing in enumerate(listings) for item in listing.items),
        key=_position,
    )
    start = bisect.bisect_right(entries, _position_of_marker(request), key=_position) if request.marker else 0
    page = entries[start : start + request.limit]
    rendered: dict[str, list[Any]] = {member: [] for member in members if member in result}
    for index, _, item in page:
        rendered[members[index]].append(listings[index].render(item))
    truncated = start + len(page) < len(entries)
    marker = _new_marker(request.operation, _position(page[-1])) if truncated else None
    return {**result, **rendered, "IsTruncated": truncated, "Marker": marker}


def _position(entry: tuple[Any, ...]) -> _Position:
    return entry[0], entry[1]


def _listing(value: Any) -> Listing:
    return value if isinstance(value, Listing) else Listing(value or (), lambda item: item)


#: Credentials are listed in the order of their creation, those of one moment by their unique ids.
_IDS = (
    "access_key_id ssh_public_key_id certificate_id service_specific_credential_id serial_number "
    "AccessKeyId SerialNumber ServiceSpecificCredentialId"
).split()
_DATES = ("create_date", "CreateDate", "upload_date", "enable_date", "EnableDate")
#: Entities, policies, tags and simulated actions are listed by name, ignoring case, then by ARN.
_NAMES = ("name", "PolicyName", "Key", "ServerCertificateName", "EvalActionName")
_ARNS = ("arn", "PolicyArn", "EvalResourceName")


def _order(item: Any) -> tuple[str, ...]:
    if isinstance(item, str):
        return item.casefold(), item
    if version := _first(item, ("version_id",)):
        return newest_first(version)
    if unique := _first(item, _IDS):
        made = _first(item, _DATES)
        return made.isoformat() if isinstance(made, datetime) else "", str(unique)
    if name := _first(item, _NAMES):
        return name.casefold(), name, _first(item, _ARNS) or ""
    raise TypeError(f"nothing identifies a {type(item).__name__} in a page: {item!r}")


def newest_first(version_id: str) -> tuple[str, ...]:
    """The order key of a policy's version, such as v12. AWS numbers them as they are created, and lists the last
    first."""
    number = version_id[1:].partition(".")[0]
    return (f"{10**9 - int(number):010}" if number.isdecimal() else "", version_id)


def _first(item: Any, names: Iterable[str]) -> Any:
    values = (item.get(name) if isinstance(item, dict) else getattr(item, name, None) for name in names)
    return next((value for value in values if value is not None), None)


#: Issued markers: digests of positions, because a position can exceed the 320 characters of a marker.
_given: dict[str, tuple[str, _Position]] = {}


def forget_markers() -> None:
    _given.clear()


def _new_marker(operation: str, position: _Position) -> str:
    marker = hashlib.sha256(repr((operation, position)).encode()).hexdigest()
    _given[marker] = (operation, position)
    return marker


def _position_of_marker(request: PageRequest) -> _Position:
    operation, position = _given.get(request.marker or "", ("", (0, ())))
    if operation != request.operation:
        raise validation_error("Invalid Marker.")
    return position
