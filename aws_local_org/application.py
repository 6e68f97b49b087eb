# SPDX-License-Identifier: Apache-2.0
"""The WSGI application: control routes, then moto behind one lock, its failures turned into AWS errors."""

from __future__ import annotations

import datetime
import io
import logging
import time
from collections.abc import Iterable
from http.client import responses as reasons
from typing import TYPE_CHECKING, Any, Protocol

from aws_local_org import aws_request, control, credentials, long_polling
from aws_local_org.aws_request import AwsRequest
from aws_local_org.call_log import CallLog, CallRecord
from aws_local_org.credentials import Principal
from aws_local_org.error_codes import error_code_of
from aws_local_org.errors import NOT_IMPLEMENTED, AwsError, WireResponse, render
from aws_local_org.faults import CONNECTION_RESET, ConnectionLost, Fault, Faults, refusal
from aws_local_org.moto_dispatch import MotoDispatcher, NoSuchService
from aws_local_org.redaction import redacted

if TYPE_CHECKING:
    from aws_local_org.emulator import LocalOrg

logger = logging.getLogger(__name__)


class StartResponse(Protocol):
    def __call__(self, status: str, headers: list[tuple[str, str]], /) -> Any: ...


class Application:
    """Serves one LocalOrg."""

    def __init__(self, org: LocalOrg, log: CallLog) -> None:
        self._org = org
        self._log = log
        self._moto = MotoDispatcher()
        self._faults = Faults()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        body: bytes = environ["wsgi.input"].read()
        if environ["PATH_INFO"].startswith(control.PREFIX):
            response = control.answer(self._org, environ, body)
        else:
            response = self._aws_call(environ, body)
        start_response(
            f"{response.status} {reasons.get(response.status, 'Unknown')}", list(response.headers.items())
        )
        return [response.body]

    def _aws_call(self, environ: dict[str, Any], body: bytes) -> WireResponse:
        request = aws_request.read(environ, body)
        if latency := self._org.settings.latency_ms:
            time.sleep(latency / 1000)
        fault = self._faults.of(self._org.settings, request)
        account = "unknown"
        try:
            principal = credentials.resolve(request.access_key_id)
            account = principal.account
            self._befall(fault, request, account)
            response = long_polling.poll(
                request, body, lambda sent: self._dispatch(environ, request, principal, sent)
            )
        except AwsError as error:
            response = render(error, request.protocol)
        self._record(request, account, response)
        if fault is Fault.LOST_AFTER:
            raise ConnectionLost
        return response

    def _befall(self, fault: Fault, request: AwsRequest, account: str) -> None:
        if fault is Fault.LOST_BEFORE:
            self._record(request, account, WireResponse(0, b"", error_code=CONNECTION_RESET))
            raise ConnectionLost
        if error := refusal(fault, request):
            raise error

    def _dispatch(
        self, environ: dict[str, Any], request: AwsRequest, caller: Principal, body: bytes
    ) -> WireResponse:
        # moto would else look the account up by access key, in every account and partition.
        inner = {**environ, "HTTP_X_MOTO_ACCOUNT_ID": caller.account, credentials.ENVIRON_KEY: caller}
        inner.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        with self._org.lock:
            try:
                response = self._moto.call(inner)
            except AwsError:
                raise
            except (NotImplementedError, NoSuchService) as gap:
                raise _not_implemented(request, gap) from gap
            except Exception as failure:
                logger.exception("%s %s failed in the local organization", request.service, request.operation)
                raise _failed(request, failure) from failure
        return _checked(request, response)

    def _record(self, request: AwsRequest, account: str, response: WireResponse) -> None:
        self._log.add(
            CallRecord(
                time=datetime.datetime.now(datetime.timezone.utc),
                account=account,
                service=request.service,
                operation=request.operation,
                parameters=redacted(request.parameters),
                status=response.status,
                error_code=response.error_code or error_code_of(response, request.protocol),
            )
        )


def _checked(request: AwsRequest, response: WireResponse) -> WireResponse:
    """A response that an AWS client can read; moto answers some gaps with an HTML page or an empty 404."""
    if response.status < 400:
        return response
    html = response.headers.get("Content-Type", "").startswith("text/html")
    if (html and b"<html" in response.body[:512].lower()) or (
        not response.body and request.protocol != "rest-xml"
    ):
        raise _not_implemented(request, None)
    return response


def _not_implemented(request: AwsRequest, gap: Exception | None) -> AwsError:
    detail = f" ({gap})" if gap and str(gap) else ""
    return AwsError(
        NOT_IMPLEMENTED,
        f"The local organization does not implement {request.service} {request.operation}{detail}.",
    )


def _failed(request: AwsRequest, failure: Exception) -> AwsError:
    return AwsError(
        "LocalOrgFailure",
        f"The local organization failed at {request.service} {request.operation}: {type(failure).__name__}: {failure}",
    )
