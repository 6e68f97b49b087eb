# SPDX-License-Identifier: Apache-2.0
"""What AWS, the network and the runner do wrong at one call: a row a fault, by the name that traces have.

A fault takes the place of one exchange, or of all that follow it (``-on``): of the same operation, or of every one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.session import get_session

from aws_local_org.errors import AwsError, render
from tests.explorer.wire import Call, Exchange, Send
from tests.gateway import _Body

#: The bodies of gateways. What botocore makes of each depends on the protocol of the service.
BODIES = {
    "xml": b"<ErrorResponse><Error><Code>ServiceUnavailable</Code></Error></ErrorResponse>",
    "html": b"<html><body>Bad gateway</body></html>",
    "capitals": b"<HTML><BODY>Bad gateway</BODY></HTML>",
    "doctype": b"<!DOCTYPE html><html><p>Bad gateway</html>",
    "plain": b"upstream connect error",
    "empty": b"",
}
STATUSES = (500, 502, 503, 504)
#: Other pages of proxies.
PAGES = (("408", "empty"), ("403", "html"), ("200", "html"), ("200", "empty"))
#: Common errors of IAM (its API reference, "Common Errors"), with their HTTP statuses; not in its model.
COMMON = {
    "AccessDenied": 403,
    "Throttling": 400,
    "ExpiredToken": 403,
    "InvalidClientTokenId": 403,
    "RequestExpired": 400,
    "OptInRequired": 403,
    "ServiceUnavailable": 503,
    "InternalFailure": 500,
    "ValidationError": 400,
}
#: What a service signs as -> its name in botocore, where these differ.
_NAMES = {"sso": "sso-admin", "monitoring": "cloudwatch"}


def faults_at(call: Call) -> Iterator[str]:
    """The names of all faults of AWS and the network that ``call`` can meet."""
    for code in (*COMMON, *sorted(_model_errors(call.service, call.operation) - COMMON.keys())):
        yield f"refused:{code}"
    kinds = ("", "-applied") if call.changes else ("",)
    for kind in kinds:
        for status in STATUSES:
            yield from (f"{status}-{form}{kind}" for form in BODIES)
        yield from (f"{status}-{form}{kind}" for status, form in PAGES)
        yield from (
            f"lost{kind}",
            f"timeout{kind}",
            f"lost{kind}-on",
            f"502-html{kind}-on",
            f"200-html{kind}-on",
        )
    yield from ("not-sent", "cut-off", "cut-in-half", "denied-on", "throttled-on", "expired-on", "down-on")
    if not call.changes and call.nth > 1:
        yield "stale"
    if not call.changes and call.operation.startswith(("List", "GetAccount", "GetGroup")):
        yield "short-page"


@cache
def _model_errors(service: str, operation: str) -> frozenset[str]:
    name = _NAMES.get(service, service)
    model: Any = get_session().get_service_model(name)
    if operation not in model.operation_names:
        return frozenset()
    return frozenset(str(shape.error_code) for shape in model.operation_model(operation).error_shapes)


def is_lasting(name: str) -> bool:
    """Whether the fault ``name`` lasts to the end of the run."""
    return name.endswith("-on")


def also_meets(name: str, first: Call, later: Call) -> bool:
    """Whether the lasting fault ``name``, which began at ``first``, meets ``later`` too."""
    return name in ("expired-on", "down-on") or later.operation == first.operation


def exchange_of(name: str, shortened: Callable[[Send], AWSResponse]) -> Exchange:
    """What happens in place of the exchange. ``shortened``: sends the request to an AWS that gives pages of one."""
    plain = name.removesuffix("-on")
    applied = plain.endswith("-applied")
    plain = plain.removesuffix("-applied")
    if plain.startswith("refused:"):
        code = plain.partition(":")[2]
        return lambda call, request, _: refused(call, request, code)
    if plain in ("denied", "throttled", "expired"):
        code = {"denied": "AccessDenied", "throttled": "Throttling", "expired": "ExpiredToken"}[plain]
        return lambda call, request, _: refused(call, request, code)
    if plain == "short-page":
        return lambda _call, _request, send: shortened(send)
    if plain in _BROKEN:
        return lambda call, request, send: _broken(plain, applied, call, request, send)
    status, _, form = plain.partition("-")
    if not status.isdigit():
        raise ValueError(f"no fault {name}")

    def answered(_call: Call, request: Any, send: Send) -> AWSResponse:
        if applied:
            send()
        return response(request.url, int(status), BODIES[form], {"Content-Type": "text/html"})

    return answered


_BROKEN = ("lost", "timeout", "not-sent", "cut-off", "cut-in-half", "down")


def _broken(name: str, applied: bool, _call: Call, request: Any, send: Send) -> AWSResponse:
    if name == "not-sent":
        raise EndpointConnectionError(endpoint_url=request.url, error="refused")
    if name.startswith("cut"):
        answer = send()
        content = answer.content
        headers = {key: value for key, value in answer.headers.items() if key.lower() != "content-length"}
        length = str(len(content) if name == "cut-off" else len(content) // 2)
        return response(
            request.url,
            answer.status_code,
            content[: len(content) // 2],
            {**headers, "Content-Length": length},
        )
    if applied:
        send()
    if name == "timeout":
        raise ReadTimeoutError(endpoint_url=request.url, error="timed out")
    raise ConnectionClosedError(endpoint_url=request.url, error="closed")


def refused(call: Call, request: Any, code: str) -> AWSResponse:
    """AWS's own refusal with ``code``."""
    protocol = "json" if call.target else "query"
    status = COMMON.get(code) or _status(call.service, code)
    answer = render(AwsError(code, f"{code} happened", status), protocol)
    return response(request.url, answer.status, answer.body, answer.headers)


@cache
def _status(service: str, code: str) -> int:
    model: Any = get_session().get_service_model(_NAMES.get(service, service))
    found = [each.metadata.get("error", {}) for each in model.error_shapes if each.error_code == code]
    return int(found[0].get("httpStatusCode", 400)) if found else 400


def response(url: str, status: int, content: bytes, headers: dict[str, str]) -> AWSResponse:
    """An answer as botocore's HTTP session returns it."""
    given = {"Content-Length": str(len(content)), **headers}
    parts: Any = (HeadersDict(given), _Body(content))
    return AWSResponse(url, status, *parts)
