# SPDX-License-Identifier: Apache-2.0
"""Errors: the local organization's own, and AWS's as each protocol sends them."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from functools import cache
from xml.sax.saxutils import escape


class LocalOrgError(Exception):
    """The local organization could not be started, seeded or loaded. The message says what to do."""


#: A code that no retry mode of botocore or Cloud Custodian retries.
NOT_IMPLEMENTED = "NotImplementedByLocalOrg"


class AwsError(Exception):
    """An AWS error: code, message and HTTP status.

    May be raised anywhere below the WSGI application, even inside moto's classes.
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
#: Names of the common errors in protocols where they differ from the query protocol.
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

_XML_CODE = re.compile(rb"<Code>([^<]+)</Code>")


def error_code_of(response: WireResponse, protocol: str) -> str | None:
    """The error code of a failed response, or its bare status if it has no code; None for success."""
    if response.status < 400:
        return None
    found = _of_json(response) if "json" in protocol else _of_xml(response)
    return found or str(response.status)


def _of_xml(response: WireResponse) -> str | None:
    found = _XML_CODE.search(response.body)
    return found[1].decode() if found else None


def _of_json(response: WireResponse) -> str | None:
    headers = {name.lower(): value for name, value in response.headers.items()}
    code = headers.get("x-amzn-errortype") or _type_member(response.body)
    # Both spellings of https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html: namespace#Code:uri
    return code.split(":", 1)[0].rpartition("#")[2] if code else None


def _type_member(body: bytes) -> str | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    code = parsed.get("__type") or parsed.get("code") if isinstance(parsed, dict) else None
    return code if isinstance(code, str) else None


@cache
def _statuses() -> dict[str, int]:
    """IAM's error code -> HTTP status."""
    # imported here because it takes a second, which most commands don't need
    from moto.core.utils import get_service_model

    shapes = get_service_model("iam").error_shapes
    errors = (shape.metadata.get("error", {}) for shape in shapes)
    return {error["code"]: error["httpStatusCode"] for error in errors if "httpStatusCode" in error}


def iam_error(code: str, message: str) -> AwsError:
    """An error of IAM; its HTTP status is from botocore's model of IAM."""
    return AwsError(code, message, _statuses().get(code, 400))


def no_such_entity(message: str) -> AwsError:
    return iam_error("NoSuchEntity", message)


def already_exists(message: str) -> AwsError:
    return iam_error("EntityAlreadyExists", message)


def delete_conflict(message: str) -> AwsError:
    return iam_error("DeleteConflict", message)


def quota_exceeded(quota: str, limit: int) -> AwsError:
    """LimitExceeded in AWS's wording, e.g. for quota `AccessKeysPerUser`."""
    return iam_error("LimitExceeded", f"Cannot exceed quota for {quota}: {limit}")


def validation_error(message: str) -> AwsError:
    return iam_error("ValidationError", message)


def invalid_input(message: str) -> AwsError:
    return iam_error("InvalidInput", message)


def access_denied(message: str) -> AwsError:
    return AwsError("AccessDenied", message, 403)
