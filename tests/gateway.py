# SPDX-License-Identifier: Apache-2.0
"""Answers as gateways and proxies give them, between a client of botocore and the local organization.

A client of botocore parses each answer as it would in production, since only the body and the status are exchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.httpsession import URLLib3Session

from c7n_iamusers.identity_center.applying.center_lock import LOCK
from c7n_iamusers.identity_center.aws.identity_store import PROBE

#: Name -> status and body. What botocore makes of each depends on the protocol of the service.
FORMS: dict[str, tuple[int, bytes]] = {
    "502-empty": (502, b""),
    "502-html": (502, b"<html><body>Bad gateway</body></html>"),
    "502-capitals": (502, b"<HTML><BODY>Bad gateway</BODY></HTML>"),
    "502-doctype": (502, b"<!DOCTYPE html><html><p>Bad gateway</html>"),
    "502-plain": (502, b"upstream connect error"),
    "504-html": (504, b"<html><body>Gateway timeout</body></html>"),
    "408-empty": (408, b""),
    "408-html": (408, b"<html><body>Request timeout</body></html>"),
    "403-empty": (403, b""),
    "403-html": (403, b"<html><body>Blocked by the proxy</body></html>"),
    "403-plain": (403, b"blocked"),
    "200-html": (200, b"<html><body>Please sign in</body></html>"),
    "200-empty": (200, b""),
}


#: Those that botocore parses each in a way of its own: for tests of a whole run, which take longer.
FEW_FORMS = ("502-html", "502-capitals", "502-doctype", "408-empty", "403-html", "200-html")


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._content

    def read(self, *_: Any) -> bytes:
        content, self._content = self._content, b""
        return content

    def close(self) -> None:
        """Nothing is open."""

    def readinto(self, buffer: bytearray) -> int:
        content = self.read()
        buffer[: len(content)] = content
        return len(content)


@dataclass
class Gateway:
    """Exchanges the answers to requests that ``about`` selects, ``times`` of them.

    ``about``: of the method with the URL, and of the body with the headers. ``applied``: whether the request reaches
    AWS. ``seen``: how many were exchanged.
    """

    form: str
    about: Callable[[str, str], bool]
    applied: bool = True
    times: int = 1_000
    seen: int = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Gateway:
        """Put it in the way of all clients of this process."""
        send = URLLib3Session.send

        def exchanged(session: Any, request: Any) -> Any:
            body = request.body
            text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
            asked = self.about(f"{request.method} {request.url}", text + str(dict(request.headers)))
            if self.seen >= self.times or not asked:
                return send(session, request)
            self.seen += 1
            if self.applied:
                with suppress(Exception):
                    _ = send(session, request).content
            status, content = FORMS[self.form]
            headers = {"Content-Type": "text/html", "Content-Length": str(len(content))}
            parts: Any = (HeadersDict(headers), _Body(content))
            return AWSResponse(request.url, status, *parts)

        monkeypatch.setattr(URLLib3Session, "send", exchanged)
        return self


def answer_with(monkeypatch: pytest.MonkeyPatch, body: bytes, headers: dict[str, str]) -> None:
    """Answer every request of this process with status 200, ``body`` and ``headers``."""

    def answered(_: Any, request: Any) -> Any:
        parts: Any = (HeadersDict(headers), _Body(body))
        return AWSResponse(request.url, 200, *parts)

    monkeypatch.setattr(URLLib3Session, "send", answered)


def operation(name: str) -> Callable[[str, str], bool]:
    """Selects requests of one operation of IAM, or of a service with JSON; not those for the lock of a run."""
    return lambda _url, text: (
        f"Action={name}&" in f"{text}&"
        or (f".{name}'" in text and f'"{LOCK}"' not in text and f'"{PROBE}"' not in text)
    )
