# SPDX-License-Identifier: Apache-2.0
"""The AWS service, operation and parameters of an HTTP request, by the rules of its protocol."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from botocore.exceptions import UnknownServiceError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

#: SigV4 scope: Credential=<access key id>/<date>/<region>/<signing name>/aws4_request
_SCOPE = re.compile(r"Credential=([^/,=]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")

#: Signing names that are not boto3's name of the service.
_BOTO3_NAMES = {"sso": "sso-admin", "monitoring": "cloudwatch", "email": "ses"}


@dataclass(frozen=True)
class AwsRequest:
    """One request.

    service: boto3's name. operation: as in the API reference; for one that no model knows, method and path.
    parameters: as boto3 was given them. protocol: the one to answer in.
    access_key_id: None for an unsigned request. session_token: empty for none.
    """

    service: str
    operation: str
    protocol: str
    region: str
    access_key_id: str | None
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)
    session_token: str = field(default="", repr=False)


def read(environ: dict[str, Any], body: bytes) -> AwsRequest:
    """Parse a request. Never raises: moto rejects what can't be parsed."""
    scope = _scope(environ)
    access_key_id, region, signing_name = scope or (None, "us-east-1", "unsigned")
    service = _BOTO3_NAMES.get(signing_name.lower(), signing_name.lower())
    if service == "ses" and environ["PATH_INFO"].startswith("/v2/"):
        service = "sesv2"
    protocol = _protocol(environ, service)
    operation, parameters = _operation(environ, body, service)
    return AwsRequest(
        service, operation, protocol, region, access_key_id, parameters, _session_token(environ)
    )


def _session_token(environ: dict[str, Any]) -> str:
    in_url = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Security-Token", [""])[0]
    return str(environ.get("HTTP_X_AMZ_SECURITY_TOKEN") or in_url)


def _scope(environ: dict[str, Any]) -> tuple[str, str, str] | None:
    signed = environ.get("HTTP_AUTHORIZATION", "")
    if not signed:  # a presigned URL carries the same in its query string
        query = parse_qs(environ.get("QUERY_STRING", ""))
        signed = "Credential=" + query.get("X-Amz-Credential", [""])[0]
    found = _SCOPE.search(signed)
    return (found[1], found[2], found[3]) if found else None


def _protocol(environ: dict[str, Any], service: str) -> str:
    if environ.get("HTTP_X_AMZ_TARGET"):
        return "json"
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return "query"
    try:
        protocol = get_service_model(service).protocol
    except UnknownServiceError:
        return "rest-json"
    return str(protocol) if protocol.startswith("rest-") else "rest-json"


def _operation(environ: dict[str, Any], body: bytes, service: str) -> tuple[str, dict[str, Any]]:
    request = Request({**environ, "wsgi.input": io.BytesIO(body)})
    try:
        operation, uri_parameters = get_service_router(service).match(request)
    except (UnknownServiceError, HTTPException, NotImplementedError):
        return _named_without_model(request, body)  # the log names what is known
    parser = PROTOCOL_PARSERS[determine_request_protocol(get_service_model(service), request)](operation)
    wire = {"method": request.method, "values": request.values, "headers": request.headers, "body": body}
    try:
        return operation.name, dict(
            parser.parse({**wire, "url_path": request.path, "url_params": uri_parameters})
        )
    except Exception:  # noqa: BLE001 - whatever a malformed body makes moto's parser raise, moto itself answers it
        return _named_without_model(request, body)


def _named_without_model(request: Request, body: bytes) -> tuple[str, dict[str, Any]]:
    target = request.headers.get("X-Amz-Target", "")
    if target:
        return target.rpartition(".")[2], _json_object(body)
    flat = {name: value for name, value in request.values.items() if name not in ("Action", "Version")}
    return request.values.get("Action") or f"{request.method} {request.path}", flat


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body or b"{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
