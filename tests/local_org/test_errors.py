# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from botocore.parsers import create_parser

from aws_local_org.errors import AwsError, WireResponse, error_code_of, render

ERROR = AwsError("DeleteConflict", "Cannot delete <b> & c", 409)


@pytest.mark.parametrize("protocol", ["query", "json", "rest-json", "rest-xml"])
def test_botocore_understands_every_form(protocol: str) -> None:
    response = render(ERROR, protocol)
    wire = {"status_code": response.status, "headers": response.headers, "body": response.body}
    headers = {name.lower(): value for name, value in response.headers.items()}
    no_output: Any = None
    parsed = create_parser(protocol).parse({**wire, "headers": headers}, no_output)
    assert parsed["Error"]["Code"] == "DeleteConflict"
    assert parsed["Error"]["Message"] == "Cannot delete <b> & c"
    assert parsed["ResponseMetadata"]["HTTPStatusCode"] == 409


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("query", "InvalidClientTokenId"),
        ("json", "UnrecognizedClientException"),
        ("rest-json", "UnrecognizedClientException"),
        ("rest-xml", "InvalidAccessKeyId"),
    ],
)
def test_common_errors_have_other_names_elsewhere(protocol: str, expected: str) -> None:
    response = render(AwsError("InvalidClientTokenId", "no", 403), protocol)
    assert response.error_code == expected
    assert expected.encode() in response.body


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
