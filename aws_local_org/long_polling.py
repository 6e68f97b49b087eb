# SPDX-License-Identifier: Apache-2.0
"""SQS long polling without holding everybody else up: moto would spin through the whole wait, under the lock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from aws_local_org.aws_request import AwsRequest
from aws_local_org.errors import WireResponse

#: Seconds between two looks into a queue.
INTERVAL = 0.05

#: SQS takes no longer wait (ReceiveMessage, WaitTimeSeconds).
LONGEST_WAIT = 20


def poll(request: AwsRequest, body: bytes, send: Callable[[bytes], WireResponse]) -> WireResponse:
    """Send a request; a long-polling ReceiveMessage as short polls until a message is there or its wait is over."""
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
