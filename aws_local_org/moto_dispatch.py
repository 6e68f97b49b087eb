# SPDX-License-Identifier: Apache-2.0
"""moto's WSGI applications, one a service, called without a socket in between."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto import backends
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from aws_local_org.errors import WireResponse

#: moto's routes for its own administration, which ours take the place of, and EC2's metadata service.
_OWN_HOSTS = ("moto_api", "instance_metadata")


# moto lets pages of any origin in; no page in a browser has business with a local organization.
werkzeug_app.DISABLE_GLOBAL_CORS = True


class NoSuchService(Exception):
    """moto has no backend for the host that the request was signed for."""


class MotoDispatcher(DomainDispatcherApplication):
    """moto's dispatcher, which prints to stdout and fails oddly for a service that it lacks."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)

        self._backends: dict[str, str] = {}

    def get_backend_for_host(self, host: str | None) -> str | None:
        if host is None:
            return None
        if host not in self._backends:  # moto lists a directory for each request
            self._backends[host] = self._find_backend(host)
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
