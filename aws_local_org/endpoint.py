# SPDX-License-Identifier: Apache-2.0
"""Calls a running local organization over HTTP, and rejects any address that is not on this machine."""

from __future__ import annotations

import ipaddress
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import click

from aws_local_org.errors import LocalOrgError

START_IT = "start one with `c7n-iamusers local-org serve` and export what it prints"
endpoint_option = click.option(
    "--endpoint",
    envvar="AWS_ENDPOINT_URL",
    show_envvar=True,
    metavar="URL",
    help="Where the local organization listens; on this machine only.",
)

TIMEOUT_SECONDS = 600  # loading the documents of a very large account


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to another machine."""

    def redirect_request(self, *_: Any) -> None:
        return None


class LocalOrgEndpoint:
    """The control routes of the local organization at ``url``.

    Raises LocalOrgError at once where ``url`` is missing or not on loopback, so that nothing is ever sent to AWS.
    """

    def __init__(self, url: str | None) -> None:
        if not url:
            raise LocalOrgError(f"no endpoint: give --endpoint or set AWS_ENDPOINT_URL; {START_IT}")
        _refuse_other_machines(url)
        self.url = url.rstrip("/")
        # No proxy either: it would be another machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())

    def get(self, route: str) -> Any:
        return self._ask("GET", route, None)

    def post(self, route: str, arguments: Mapping[str, Any] | None = None) -> Any:
        return self._ask("POST", route, json.dumps(arguments or {}).encode())

    def _ask(self, method: str, route: str, body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_local_org/{route}", body, headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return self._content(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                refusal = self._content(error.read())
            raise LocalOrgError(self._reason(refusal)) from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise LocalOrgError(
                f"no local organization answers at {self.url} ({reason}); {START_IT}"
            ) from error

    def _content(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise LocalOrgError(self._not_a_local_org()) from error

    def _reason(self, refusal: Any) -> str:
        reason = refusal.get("error") if isinstance(refusal, dict) else None
        return reason if isinstance(reason, str) else self._not_a_local_org()

    def _not_a_local_org(self) -> str:
        return f"what answers at {self.url} is not a local organization; {START_IT}"


def _refuse_other_machines(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LocalOrgError(f"the endpoint {url!r} is not a URL such as http://127.0.0.1:5000")
    if not _is_loopback(parts.hostname):
        raise LocalOrgError(
            f"the endpoint {url} is not on this machine; a local organization listens on loopback only, and nothing "
            f"else may be seeded, loaded or reset"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
