# SPDX-License-Identifier: Apache-2.0
"""The routes under /_local_org/, with which another process drives the organization; and the checks of any request.

A web page in a browser on this machine reaches a server on loopback, too. So a request must name this machine as its
host, because a page's own name can lead to loopback (DNS rebinding). It must not come from another site, and a control
request must show the token of this run.
"""

from __future__ import annotations

import dataclasses
import hmac
import inspect
import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from aws_local_org import load, scripted_events, seed
from aws_local_org.accounts import Accounts
from aws_local_org.environment import TOKEN_HEADER, TOKEN_VARIABLE
from aws_local_org.errors import LocalOrgError, WireResponse

PREFIX = "/_local_org/"
_TOKEN_KEY = "HTTP_" + TOKEN_HEADER.upper().replace("-", "_")
#: botocore puts a bucket before localhost. No other machine can have a name with this ending (RFC 6761).
_HOST = re.compile(r"(?:127\.0\.0\.1|(?:[a-z0-9.-]+\.)?localhost)(?::\d{1,5})?", re.IGNORECASE | re.ASCII)

#: Values of Sec-Fetch-Site for requests by a person or a page of this server.
_OWN_SITE = ("none", "same-origin")
LOAD_IT = f"export what `c7n-iamusers local-org serve` printed, {TOKEN_VARIABLE} among it"

logger = logging.getLogger(__name__)


def refusal(environ: Mapping[str, Any]) -> WireResponse | None:
    """The answer to a request that may come from another site's web page; None for any other."""
    host, origin = environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN")
    if not _HOST.fullmatch(host):
        return _json(403, {"error": f"the local organization is 127.0.0.1 or localhost, not {host[:80]!r}"})
    # browsers send one or the other, even if a page may not read the answer
    if origin not in (None, f"http://{host}") or environ.get("HTTP_SEC_FETCH_SITE", "none") not in _OWN_SITE:
        return _json(403, {"error": "the local organization answers no page of another site"})
    return None


def refusal_by_head(org: Accounts, environ: Mapping[str, Any]) -> WireResponse | None:
    """The answer to a request that its line and headers forbid, before its body is read; None for any other."""
    if foreign := refusal(environ):
        return foreign
    if str(environ["PATH_INFO"]).startswith(PREFIX) and not hmac.compare_digest(
        environ.get(_TOKEN_KEY, "").encode("latin-1"), org.token.encode()
    ):
        return _json(403, {"error": f"the token of this run is missing: {LOAD_IT}"})
    return None


def answer(org: Accounts, environ: dict[str, Any], body: bytes) -> WireResponse:
    """Answer a control request that passed ``refusal_by_head``, in JSON, with `error` if it is refused.

    400 for an invalid request, 404 for an unknown route.
    """
    route = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO'].removeprefix(PREFIX)}"
    handler = ROUTES.get(route)
    if handler is None:
        return _json(404, {"error": f"no route {route}; there are: {', '.join(sorted(ROUTES))}"})
    try:
        return _json(200, handler(org, _arguments(body)))
    except LocalOrgError as error:
        return _json(400, {"error": str(error)})
    except Exception as failure:
        logger.exception("%s failed", route)
        return _json(500, {"error": f"{route} failed: {type(failure).__name__}: {failure}"})


def _arguments(body: bytes) -> dict[str, Any]:
    try:
        arguments = json.loads(body or b"{}")
    except ValueError as error:
        raise LocalOrgError(f"the request body is not JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise LocalOrgError(f"the request body must be a JSON object, not {type(arguments).__name__}")
    return arguments


def _health(org: Accounts, _arguments: dict[str, Any]) -> Any:
    return {"status": "ok", "settings": dataclasses.asdict(org.settings)}


def _calls(org: Accounts, _arguments: dict[str, Any]) -> Any:
    return [record.as_json() for record in org.calls]


def _clear_calls(org: Accounts, _arguments: dict[str, Any]) -> Any:
    org.clear_calls()
    return {}


def _reset(org: Accounts, _arguments: dict[str, Any]) -> Any:
    org.reset()
    return {}


def _settings(org: Accounts, changes: dict[str, Any]) -> Any:
    return dataclasses.asdict(org.configure(**changes))


def _seed(org: Accounts, arguments: dict[str, Any]) -> Any:
    return _called(seed.seed, org, arguments)


def _load(org: Accounts, arguments: dict[str, Any]) -> Any:
    return _called(load.load, org, arguments)


def _attempt(org: Accounts, arguments: dict[str, Any]) -> Any:
    return _called(scripted_events.attempt, org, arguments)


def _sign_in(org: Accounts, arguments: dict[str, Any]) -> Any:
    return _called(scripted_events.sign_in, org, arguments)


def _called(function: Callable[..., Any], org: Accounts, arguments: dict[str, Any]) -> Any:
    try:
        bound = inspect.signature(function).bind(org, **arguments)
    except TypeError as error:
        raise LocalOrgError(f"{function.__name__}: {error}") from error
    return function(*bound.args, **bound.kwargs)


ROUTES: dict[str, Callable[[Accounts, dict[str, Any]], Any]] = {
    "GET health": _health,
    "GET calls": _calls,
    "DELETE calls": _clear_calls,
    "POST reset": _reset,
    "POST settings": _settings,
    "POST seed": _seed,
    "POST load": _load,
    "POST attempt": _attempt,
    "POST sign-in": _sign_in,
}


def _json(status: int, content: Any) -> WireResponse:
    body = json.dumps(content, default=str).encode()
    return WireResponse(status, body, {"Content-Type": "application/json"})
