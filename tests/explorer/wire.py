# SPDX-License-Identifier: Apache-2.0
"""Between botocore and the local organization: counts the calls of a run, and lets things happen at one of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

from aws_local_org.application import MotoDispatcher
from aws_local_org.iam_random_faults import ConnectionLost
from tests.explorer.alone import CALL_SECONDS, CLOCK
from tests.in_process import _answer, _without_flask

#: No trace makes so many calls, unless it does not end.
MOST_CALLS = 3_000
_READING = ("Get", "List", "Describe", "Generate", "Simulate", "Assume", "Is", "Lookup", "Head")
_SCOPE = re.compile(r"Credential=[^/,]+/\d{8}/[^/]+/([^/]+)/aws4_request")


class Killed(BaseException):
    """The process of the run ends here. Nothing of it reaches AWS or the disk any more."""


class Endless(BaseException):
    """The run makes calls without an end."""


@dataclass(frozen=True)
class Call:
    """One request of a run, its ``nth`` of that operation. ``parameters``: as on the wire, and flat.

    ``body``, ``target``: as sent.
    """

    number: int
    nth: int
    service: str
    operation: str
    parameters: dict[str, str]
    body: str = field(repr=False, default="")
    target: str = field(repr=False, default="")

    @property
    def changes(self) -> bool:
        """Whether it is to change something."""
        return not self.operation.startswith(_READING)

    @property
    def question(self) -> str:
        """What it asks, whenever it does."""
        return f"{self.service} {self.operation} {sorted(self.parameters.items())}"

    @property
    def at(self) -> str:
        """The place in a trace: ``DeleteUser``, or ``GetUser#3`` for the third."""
        return self.operation if self.nth == 1 else f"{self.operation}#{self.nth}"

    def __str__(self) -> str:
        return f"{self.service}:{self.at}"


#: Sends the request to AWS and gives its answer.
Send = Callable[[], AWSResponse]
#: What happens in place of an exchange. It may raise what botocore's HTTP session raises.
Exchange = Callable[[Call, Any, Send], AWSResponse]


@dataclass
class Wire:
    """``before``, ``after``: called with each call of a run. ``exchange``: the one for a call; None: a plain one.

    ``answers``: the last one to each question. ``calls``: those of the run so far. ``aside``: others are at work, whose
    calls are not counted. ``dead``: the run was killed.
    """

    application: Any
    before: Callable[[Call, Any], None] = lambda _call, _request: None
    after: Callable[[Call, int], None] = lambda _call, _status: None
    exchange: Callable[[Call], Exchange | None] = lambda _call: None
    calls: list[Call] = field(default_factory=list)
    answers: dict[str, tuple[int, bytes, dict[str, str]]] = field(default_factory=dict)
    total: int = 0
    aside: bool = True
    dead: bool = False

    def install(self) -> None:
        """Take the place of HTTP in this process, for good."""
        http: Any = URLLib3Session
        moto: Any = MotoDispatcher
        http.send = lambda _session, request: self._send(request)
        moto.call = _without_flask(moto.call)

    @contextmanager
    def others(self) -> Iterator[None]:
        """In the block, calls are those of others."""
        before, self.aside = self.aside, True
        try:
            yield
        finally:
            self.aside = before

    def kill_at(self, place: str) -> None:
        """Kill the run at that place (see Call); none, if it is empty."""
        self.calls, self.dead, self.aside = [], False, not place

        def kill(call: Call, _request: Any) -> None:
            if call.at == place:
                self.dead = True
                raise Killed

        self.before = kill

    def plain(self, request: Any) -> AWSResponse:
        """The organization's own answer."""
        try:
            return _answer(self.application, request)
        except ConnectionLost as error:
            raise ConnectionClosedError(error=error, request=request, endpoint_url=request.url) from error

    def _send(self, request: Any) -> AWSResponse:
        self.total += 1
        if self.total > MOST_CALLS:
            raise Endless
        CLOCK.sleep(CALL_SECONDS)
        if self.aside:
            return self.plain(request)
        if self.dead:
            raise Killed
        call = parsed(self.calls, request)
        self.calls.append(call)
        self.before(call, request)
        statuses: list[int] = []

        def send() -> AWSResponse:
            answer = self.plain(request)
            statuses.append(answer.status_code)
            self.answers[call.question] = (answer.status_code, answer.content, dict(answer.headers.items()))
            return answer

        exchange = self.exchange(call)
        try:
            return exchange(call, request, send) if exchange else send()
        finally:
            self.after(call, statuses[0] if statuses else 0)


def parsed(earlier: Sequence[Call], request: Any) -> Call:
    """The call that ``request`` of botocore is."""
    found = _parsed(request)
    nth = 1 + sum(each.operation == found.operation for each in earlier)
    return replace(found, number=len(earlier), nth=nth)


def _parsed(request: Any) -> Call:
    body = request.body or b""
    body = body if isinstance(body, (bytes, str)) else body.read()
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    scope = _SCOPE.search(headers.get("authorization", ""))
    service, target = scope[1] if scope else "unsigned", headers.get("x-amz-target", "")
    if target:
        given = json.loads(text or "{}")
        return Call(0, 0, service, target.rpartition(".")[2], _flat(given), text, target)
    fields = dict(parse_qsl(text)) if "form-urlencoded" in headers.get("content-type", "") else {}
    operation = fields.pop("Action", "") or f"{request.method}{urlsplit(request.url).path}"
    fields.pop("Version", None)
    return Call(0, 0, service, operation, fields, text)


def _flat(given: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
