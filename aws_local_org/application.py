# SPDX-License-Identifier: Apache-2.0
"""The WSGI application: control routes, and moto behind one lock, with its failures as AWS errors."""

from __future__ import annotations

import datetime
import io
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http.client import responses as reasons
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

from moto import backends
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from aws_local_org import aws_request, control, credentials, enforcement
from aws_local_org.accounts import Accounts
from aws_local_org.authorization import answering_account
from aws_local_org.aws_request import AwsRequest
from aws_local_org.call_log import CallRecord, redacted
from aws_local_org.cloudtrail import Sender, add_call
from aws_local_org.credentials import Principal
from aws_local_org.errors import NOT_IMPLEMENTED, AwsError, WireResponse, error_code_of, render
from aws_local_org.iam_random_faults import CONNECTION_RESET, ConnectionLost, Fault, Faults, refusal

logger = logging.getLogger(__name__)


class StartResponse(Protocol):
    def __call__(self, status: str, headers: list[tuple[str, str]], /) -> Any: ...


class Application:
    """Answers the requests to one organization."""

    def __init__(self, org: Accounts) -> None:
        self._org = org
        self._moto = MotoDispatcher()
        self._faults = Faults()

    def refusal(self, environ: Mapping[str, Any]) -> WireResponse | None:
        """The answer to a request that its line and headers forbid; None for any other."""
        return control.refusal_by_head(self._org, environ)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        refused = self.refusal(environ)
        body: bytes = b"" if refused else environ["wsgi.input"].read()
        if refused:
            response = refused
        elif environ["PATH_INFO"].startswith(control.PREFIX):
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
        fault, caller = Fault.NONE, None
        try:
            principal = caller = credentials.resolve(
                request.access_key_id, request.session_token, request.region
            )
            fault = self._faults.of(self._org.settings, request, principal.account)
            self._apply_fault(fault, request, principal)
            if self._org.settings.enforce:
                with self._org.lock:
                    enforcement.check(principal, request)
            response = poll(request, body, lambda sent: self._dispatch(environ, request, principal, sent))
        except AwsError as error:
            response = render(error, request.protocol)
        record = self._record(request, caller, response)
        if caller:
            sender = Sender(environ.get("REMOTE_ADDR", ""), environ.get("HTTP_USER_AGENT", ""))
            add_call(request, caller, sender, record, response)
        if fault is Fault.LOST_AFTER:
            raise ConnectionLost
        return response

    def _apply_fault(self, fault: Fault, request: AwsRequest, caller: Principal) -> None:
        if fault is Fault.LOST_BEFORE:
            self._record(request, caller, WireResponse(0, b"", error_code=CONNECTION_RESET))
            raise ConnectionLost
        if error := refusal(fault, request):
            raise error

    def _dispatch(
        self, environ: dict[str, Any], request: AwsRequest, caller: Principal, body: bytes
    ) -> WireResponse:
        # Otherwise moto looks up the account by access key, in every account and partition.
        account = answering_account(caller, request)
        inner = {**environ, "HTTP_X_MOTO_ACCOUNT_ID": account, credentials.ENVIRON_KEY: caller}
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

    def _record(self, request: AwsRequest, caller: Principal | None, response: WireResponse) -> CallRecord:
        record = CallRecord(
            time=datetime.datetime.now(datetime.timezone.utc),
            account=caller.account if caller else "unknown",
            service=request.service,
            operation=request.operation,
            parameters=redacted(request.parameters),
            status=response.status,
            error_code=response.error_code or error_code_of(response, request.protocol),
        )
        self._org.record(record)
        return record


def _checked(request: AwsRequest, response: WireResponse) -> WireResponse:
    """A response that an AWS client can read. For some gaps, moto answers with an HTML page or an empty 404."""
    if response.status < 400:
        return response
    html = response.headers.get("Content-Type", "").startswith("text/html")
    if (html and b"<html" in response.body[:512].lower()) or (
        not response.body and request.protocol != "rest-xml"
    ):
        raise _not_implemented(request, None)
    if response.status == 400 and str(error_code_of(response, request.protocol)).startswith("Internal"):
        # a failure at AWS; moto gives every error of a JSON service the status of a refusal
        return replace(response, status=500)
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


# SQS long polling: moto would wait under the lock and block all other calls.

#: Seconds between two reads of a queue.
INTERVAL = 0.05

#: The maximum of WaitTimeSeconds is 20 (ReceiveMessage, SQS API reference). Here messages arrive faster, and c7n-mailer
#: ends each run with such a wait.
LONGEST_WAIT = 1


def poll(request: AwsRequest, body: bytes, send: Callable[[bytes], WireResponse]) -> WireResponse:
    """Send a request. A long-polling ReceiveMessage becomes short polls until a message or the end of the wait."""
    if request.service != "sqs" or request.operation != "ReceiveMessage":
        return send(body)
    wait = _seconds(request.parameters.get("WaitTimeSeconds"))
    if not wait:
        return send(body)
    body = _without_wait(body, request.protocol)
    deadline = time.monotonic() + min(wait, LONGEST_WAIT)
    response = send(body)
    while _empty(response) and time.monotonic() < deadline:
        time.sleep(INTERVAL)
        response = send(body)
    return response


def _seconds(value: object) -> int:
    return int(value) if isinstance(value, (int, str)) and str(value).isdigit() else 0


def _without_wait(body: bytes, protocol: str) -> bytes:
    if protocol == "json":
        return json.dumps({**json.loads(body), "WaitTimeSeconds": 0}).encode()
    fields = [(name, "0" if name == "WaitTimeSeconds" else value) for name, value in parse_qsl(body.decode())]
    return urlencode(fields).encode()


def _empty(response: WireResponse) -> bool:
    return response.status == 200 and b"ReceiptHandle" not in response.body


#: moto's administration, which the control routes replace, and EC2's metadata service.
_OWN_HOSTS = ("moto_api", "instance_metadata")


# moto allows requests from any origin; no web page needs access to a local organization.
werkzeug_app.DISABLE_GLOBAL_CORS = True


class NoSuchService(Exception):
    """moto has no backend for the host that the request was signed for."""


class MotoDispatcher(DomainDispatcherApplication):
    """moto's dispatcher, which prints to stdout and fails with unclear errors for unknown services."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)

        self._backends: dict[str, str] = {}

    def get_backend_for_host(self, host: str | None) -> str | None:
        if host is None:
            return None
        if host not in self._backends:  # moto lists a directory for each request
            self._backends[host] = self._find_backend(host)
            if self._backends[host] == "cloudformation":
                from aws_local_org import cloudformation

                cloudformation.install()
        return self._backends[host]

    def _find_backend(self, host: str) -> str:
        if host in _OWN_HOSTS:
            raise NoSuchService("moto's own routes are not served")
        if host in backends.list_of_moto_modules():
            return host
        for backend, pattern in self.backend_url_patterns:
            if pattern.match(f"http://{host}"):
                return str(backend)
        raise NoSuchService(f"no backend for {host}")

    def call(self, environ: dict[str, Any]) -> WireResponse:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
            started[:] = [status, headers]
            return lambda _data: None

        chunks: Iterable[bytes] = self(environ, start_response)
        body = b"".join(chunks)
        if close := getattr(chunks, "close", None):
            close()
        status, headers = started
        return WireResponse(int(status.split(" ", 1)[0]), body, dict(headers))
