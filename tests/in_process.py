# SPDX-License-Identifier: Apache-2.0
"""Sends boto3's requests to a local organization in the same process without HTTP and Flask: half of a call's time.

What goes over the wire is the same text: botocore builds the request and parses the answer, and between the two
stands the application that the server serves. HTTP and Flask are tested in tests/local_org, and by every test that
starts another process.
"""

from __future__ import annotations

import functools
import io
import sys
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from moto.core.utils import convert_to_flask_response
from urllib3 import HTTPHeaderDict, HTTPResponse
from werkzeug.datastructures import ImmutableMultiDict

from aws_local_org import LocalOrg
from aws_local_org.application import MotoDispatcher
from aws_local_org.errors import WireResponse
from aws_local_org.iam_random_faults import ConnectionLost


def is_running(org: LocalOrg) -> bool:
    """Whether ``org`` has been started, and not stopped since."""
    return org._server is not None


def short_circuit(monkeypatch: pytest.MonkeyPatch, org: LocalOrg) -> None:
    """Hand boto3's requests to ``org``, which runs, to what its server serves; those to anywhere else go there."""
    over_http = URLLib3Session.send
    assert org._server is not None
    endpoint, application = org.endpoint_url, org._server._server.app

    def send(self: Any, request: Any) -> Any:
        if not request.url.startswith(f"{endpoint}/"):
            return over_http(self, request)
        try:
            return _answer(application, request)
        except ConnectionLost as error:
            raise ConnectionClosedError(error=error, request=request, endpoint_url=request.url) from error

    monkeypatch.setattr(URLLib3Session, "send", send)
    monkeypatch.setattr(MotoDispatcher, "call", _without_flask(MotoDispatcher.call))


def _without_flask(by_flask: Any) -> Any:
    """What a service of one path serves, called without Flask's routing and contexts; S3 has more than one."""

    def call(self: Any, environ: dict[str, Any]) -> WireResponse:
        app = self.get_application(environ)
        view = _only_view(app)
        if view is None:
            response: WireResponse = by_flask(self, environ)
            return response
        request = app.request_class(environ)
        _read_body(request, environ)
        url = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{environ['RAW_URI']}"
        status, headers, content = view(request, url, dict(request.headers))
        body = content.encode() if isinstance(content, str) else content
        return WireResponse(int(status), body, {"Content-Type": "text/html; charset=utf-8", **headers})

    return call


def _only_view(app: Any) -> Any:
    """moto's function for the only path of a service; None for a service of more than one."""
    if "only_view" not in app.extensions:
        rules = list(app.url_map.iter_rules())
        view = app.view_functions[rules[0].endpoint]
        one = len({rule.rule for rule in rules}) == 1 and isinstance(view, convert_to_flask_response)
        app.extensions["only_view"] = view.callback if one else None
    return app.extensions["only_view"]


def _read_body(request: Any, environ: dict[str, Any]) -> None:
    """Give werkzeug's request the parts that it would read from its body, a form or none."""
    kind, body = environ.get("CONTENT_TYPE", ""), environ["wsgi.input"].getvalue()
    is_form = kind.startswith("application/x-www-form-urlencoded")
    form = _form(body) if is_form else ImmutableMultiDict[str, str]()
    request.__dict__.update(form=form, data=b"" if is_form else body, files=ImmutableMultiDict())


@functools.lru_cache(1000)
def _form(body: bytes) -> ImmutableMultiDict[str, str]:
    return ImmutableMultiDict(parse_qsl(body.decode(), keep_blank_values=True))


def _answer(application: Any, request: Any) -> AWSResponse:
    started: list[Any] = []
    body = b"".join(application(_environ(request), lambda *start: started.extend(start[:2])))
    status = int(started[0].partition(" ")[0])
    headers: Any = {"Content-Length": str(len(body)), **dict(started[1])}
    if not request.stream_output:
        # with its content, as botocore reads it to its end
        read = AWSResponse(request.url, status, headers, io.BytesIO(body))
        vars(read)["_content"] = body
        return read
    raw = HTTPResponse(
        io.BytesIO(body),
        HTTPHeaderDict(headers),
        status,
        preload_content=False,
        decode_content=False,
        enforce_content_length=False,  # that of HEAD is of a body that is not sent
    )
    return AWSResponse(request.url, status, headers, raw)


def _environ(request: Any) -> dict[str, Any]:
    """What werkzeug's server makes of the same prepared request of botocore (WSGI: PEP 3333)."""
    url, body = urlsplit(request.url), _body(request)
    target = f"{url.path}?{url.query}" if url.query else url.path
    environ: dict[str, Any] = {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(url.path).encode().decode("latin-1"),
        "QUERY_STRING": url.query,
        "REQUEST_URI": target,
        "RAW_URI": target,
        "REMOTE_ADDR": url.hostname,
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": url.netloc,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        text = value.decode() if isinstance(value, bytes) else str(value)
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = text
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def _body(request: Any) -> bytes:
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body)
