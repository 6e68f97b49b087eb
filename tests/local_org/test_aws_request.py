# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from aws_local_org.aws_request import read

FORM = "application/x-www-form-urlencoded; charset=utf-8"


def scope(service: str, region: str = "us-east-1") -> str:
    return f"AWS4-HMAC-SHA256 Credential=ASIALOCALORGOPERATOR/20260301/{region}/{service}/aws4_request, Signature=x"


def environ(service: str | None, path: str = "/", method: str = "POST", **more: str) -> dict[str, Any]:
    signed = {"HTTP_AUTHORIZATION": scope(service)} if service else {}
    path, _, query = path.partition("?")
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "RAW_URI": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "1",
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        **signed,
        **more,
    }


@pytest.mark.parametrize(
    ("given", "body", "expected"),
    [
        pytest.param(
            environ("iam", CONTENT_TYPE=FORM),
            "Action=TagUser&Version=2010-05-08&UserName=ada&Tags.member.1.Key=a&Tags.member.1.Value=b",
            ("iam", "TagUser", "query", {"UserName": "ada", "Tags": [{"Key": "a", "Value": "b"}]}),
            id="query",
        ),
        pytest.param(
            environ("iam", CONTENT_TYPE=FORM),
            "Action=Invented&Version=2010-05-08&A=b",
            ("iam", "Invented", "query", {"A": "b"}),
            id="query, an operation of no model",
        ),
        pytest.param(
            environ(
                "sso",
                HTTP_X_AMZ_TARGET="SWBExternalService.ListInstances",
                CONTENT_TYPE="application/x-amz-json-1.1",
            ),
            json.dumps({"MaxResults": 5}),
            ("sso-admin", "ListInstances", "json", {"MaxResults": 5}),
            id="json",
        ),
        pytest.param(
            environ(
                "sso",
                HTTP_X_AMZ_TARGET="SWBExternalService.Invented",
                CONTENT_TYPE="application/x-amz-json-1.1",
            ),
            json.dumps({"A": 1}),
            ("sso-admin", "Invented", "json", {"A": 1}),
            id="json, an operation of no model",
        ),
        pytest.param(
            environ(
                "sso",
                HTTP_X_AMZ_TARGET="SWBExternalService.ListInstances",
                CONTENT_TYPE="application/x-amz-json-1.1",
            ),
            "{",
            ("sso-admin", "ListInstances", "json", {}),
            id="json, malformed",
        ),
        pytest.param(
            environ("lambda", "/2015-03-31/functions/f", "DELETE"),
            "",
            ("lambda", "DeleteFunction", "rest-json", {"FunctionName": "f"}),
            id="rest-json",
        ),
        pytest.param(
            environ("s3", "/out/a/b", "DELETE"),
            "",
            ("s3", "DeleteObject", "rest-xml", {"Bucket": "out", "Key": "a/b"}),
            id="rest-xml",
        ),
        pytest.param(
            environ("ses", "/v2/email/account", "GET"),
            "",
            ("sesv2", "GetAccount", "rest-json", {}),
            id="two services of one signing name",
        ),
        pytest.param(
            environ("unheard-of", "/x/y", "PUT"),
            "",
            ("unheard-of", "PUT /x/y", "rest-json", {}),
            id="a service of no model",
        ),
        pytest.param(
            environ(None, CONTENT_TYPE=FORM),
            "Action=ListUsers",
            ("unsigned", "ListUsers", "query", {}),
            id="unsigned",
        ),
    ],
)
def test_reading(given: dict[str, Any], body: str, expected: tuple[Any, ...]) -> None:
    request = read({**given, "CONTENT_LENGTH": str(len(body))}, body.encode())
    assert (request.service, request.operation, request.protocol, request.parameters) == expected


def test_who_signed_and_for_which_region() -> None:
    request = read({**environ(None), "HTTP_AUTHORIZATION": scope("iam", "eu-west-1")}, b"")
    assert (request.access_key_id, request.region) == ("ASIALOCALORGOPERATOR", "eu-west-1")
    assert read(environ(None), b"").access_key_id is None


def test_a_presigned_url() -> None:
    credential = "ASIALOCALORGOPERATOR%2F20260301%2Fus-east-1%2Fs3%2Faws4_request"
    request = read(environ(None, f"/out/key?X-Amz-Credential={credential}&X-Amz-Signature=x", "GET"), b"")
    assert (request.service, request.access_key_id) == ("s3", "ASIALOCALORGOPERATOR")
