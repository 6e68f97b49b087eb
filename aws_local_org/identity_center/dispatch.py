# SPDX-License-Identifier: Apache-2.0
"""How moto comes to call our functions.

Each row of `operations` becomes a method of moto's response class, under the name by which moto dispatches the
operation, so moto still does the HTTP, the credentials, the routing and the serializing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores, get_service_model

from . import access, asynchronous, faults, request_shape, state
from .access import Caller
from .operations import OF_CALLER, OF_INSTANCE, OF_STORE, Handler

#: What the handler's first argument is, for a caller, an operation and a request.
Resolver = Callable[[Caller, str, dict[str, Any]], Any]


def install(service: str, responses: type[BaseResponse]) -> None:
    """Answer a service's operations from here. service: sso-admin or identitystore."""
    resolve: Resolver = access.instance_for if service == "sso-admin" else access.store_for
    bound = OF_INSTANCE if service == "sso-admin" else OF_STORE
    rows: list[tuple[str, Resolver, Handler]] = [
        (name, _caller, handler) for name, handler in OF_CALLER[service].items()
    ]
    rows += [(name, resolve, handler) for name, handler in bound.items()]
    for name, resolver, handler in rows:
        setattr(responses, camelcase_to_underscores(name), _method(service, name, resolver, handler))


def settle_before(responses: type[BaseResponse]) -> None:
    """Let every call of a service see the roles that are due by then, not only the calls that come through here."""

    def setup_class(self: BaseResponse, *request: Any, **options: Any) -> None:
        asynchronous.settle()
        super(responses, self).setup_class(*request, **options)

    responses.setup_class = setup_class


def _method(
    service: str, operation: str, resolve: Resolver, handler: Handler
) -> Callable[[BaseResponse], ActionResult]:
    def respond(self: BaseResponse) -> ActionResult:
        # A member that is null is as good as absent.
        parameters = {
            name: value for name, value in json.loads(self.body or "{}").items() if value is not None
        }
        with state.lock:
            asynchronous.settle()
            faults.raise_planned(operation)
            request_shape.check(get_service_model(service).operation_model(operation).input_shape, parameters)
            caller = Caller(self.current_account, self.region)
            return ActionResult(handler(resolve(caller, operation, parameters), parameters))

    return respond


def _caller(caller: Caller, _operation: str, _parameters: dict[str, Any]) -> Caller:
    return caller
