# SPDX-License-Identifier: Apache-2.0
"""Errors as AWS puts them on the wire, in the protocol that the caller speaks."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

#: A code that no retry mode of botocore or Cloud Custodian retries.
NOT_IMPLEMENTED = "NotImplementedByLocalOrg"


class AwsError(Exception):
    """An AWS error: code, message and HTTP status.

    May be raised from anywhere below the WSGI application, inside moto's classes too.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


_JSON_NAMES = {
    "AccessDenied": "AccessDeniedException",
    "ExpiredToken": "ExpiredTokenException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
}
#: What the common errors are called where they are not called as in the query protocol.
_NAMES = {
    "json": _JSON_NAMES,
    "rest-json": _JSON_NAMES,
    "rest-xml": {"InvalidClientTokenId": "InvalidAccessKeyId"},
}


@dataclass(frozen=True)
class WireResponse:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    error_code: str | None = None


def render(error: AwsError, protocol: str) -> WireResponse:
    """The response for an error in one of botocore's protocols: query, json, rest-json or rest-xml."""
    code = _NAMES.get(protocol, {}).get(error.code, error.code)
    error = AwsError(code, error.message, error.status)
    body, content_type = _BODIES.get(protocol, _query)(error)
    headers = {"Content-Type": content_type, "x-amzn-RequestId": str(uuid.uuid4())}
    if "json" in protocol:
        headers["x-amzn-ErrorType"] = error.code
    return WireResponse(error.status, body, headers, error.code)


def _query(error: AwsError) -> tuple[bytes, str]:
    text = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return text.encode(), "text/xml"


def _rest_xml(error: AwsError) -> tuple[bytes, str]:
    text = (
        f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        f"<RequestId>{uuid.uuid4()}</RequestId></Error>"
    )
    return text.encode(), "application/xml"


def _json(error: AwsError) -> tuple[bytes, str]:
    return json.dumps({"__type": error.code, "message": error.message}).encode(), "application/x-amz-json-1.1"


_BODIES = {"rest-xml": _rest_xml, "json": _json, "rest-json": _json}
