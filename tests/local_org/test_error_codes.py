# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from aws_local_org.error_codes import error_code_of
from aws_local_org.errors import WireResponse


@pytest.mark.parametrize(
    ("response", "protocol", "expected"),
    [
        (WireResponse(200, b"<Code>NoError</Code>"), "query", None),
        (WireResponse(404, b"<Error><Code>NoSuchEntity</Code></Error>"), "query", "NoSuchEntity"),
        (WireResponse(404, b"<Error><Code>NoSuchKey</Code></Error>"), "rest-xml", "NoSuchKey"),
        (WireResponse(404, b""), "rest-xml", "404"),
        (
            WireResponse(400, b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist"}'),
            "json",
            "QueueDoesNotExist",
        ),
        (
            WireResponse(400, b"{}", {"X-Amzn-ErrorType": "ConflictException:http://x/"}),
            "rest-json",
            "ConflictException",
        ),
        (WireResponse(400, b'{"code": "Oops"}'), "rest-json", "Oops"),
        (WireResponse(500, b"[]"), "json", "500"),
        (WireResponse(500, b"not JSON"), "json", "500"),
    ],
    ids=["success", "query", "rest-xml", "empty", "namespace", "header", "code", "no object", "no JSON"],
)
def test_codes(response: WireResponse, protocol: str, expected: str | None) -> None:
    assert error_code_of(response, protocol) == expected
