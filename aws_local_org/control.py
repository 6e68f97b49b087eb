# SPDX-License-Identifier: Apache-2.0
"""The routes under /_local_org/, by which another process drives the organization."""

from __future__ import annotations

import dataclasses
import inspect
import json
import logging
from collections.abc import Callable
from typing import Any

from aws_local_org import load, scripted_events, seed
from aws_local_org.accounts import Accounts
from aws_local_org.errors import LocalOrgError, WireResponse

PREFIX = "/_local_org/"

logger = logging.getLogger(__name__)


def answer(org: Accounts, environ: dict[str, Any], body: bytes) -> WireResponse:
    """Answer a control request in JSON: 400 with `error` for an invalid request, 404 for an unknown route."""
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
