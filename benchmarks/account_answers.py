# SPDX-License-Identifier: Apache-2.0
"""Responses of STS and IAM for any number of accounts, generated in this process: real clients, no server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, quote
from xml.sax.saxutils import escape

import boto3
import botocore.session
from botocore.awsrequest import AWSResponse

CALLER = "999999999999"
#: A key of a session in an account ends with the account's id.
_KEY = "ASIA"


class AccountAnswers:
    """``details``: account id -> the result of GetAccountAuthorizationDetails, as botocore parses it."""

    def __init__(self, details: Callable[[str], Mapping[str, Any]]) -> None:
        self._details = details
        self._made: list[float] = []

    @property
    def seconds(self) -> float:
        """CPU seconds for generating responses, which is not counted because AWS does it."""
        return sum(self._made)

    def session(self) -> boto3.Session:
        """A session of CALLER."""
        core = botocore.session.get_session()
        core.set_credentials(f"AKIA{CALLER}", "secret")
        core.register("before-send", self._answer)  # type: ignore[arg-type]
        return boto3.Session(botocore_session=core, region_name="us-east-1")

    def parse(self, account_ids: Iterable[str]) -> None:
        """Let botocore parse the responses of these accounts, without keeping them."""
        session = self.session()
        sts = session.client("sts")
        for account_id in account_ids:
            role = f"arn:aws:iam::{account_id}:role/Reader"
            keys = sts.assume_role(RoleArn=role, RoleSessionName="floor")["Credentials"]
            session.client(
                "iam",
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys["SessionToken"],
            ).get_account_authorization_details()

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        began = time.thread_time()
        asked = {name: values[0] for name, values in parse_qs(_text(request.body)).items()}
        operation = asked["Action"]
        result = self._result(operation, asked, _text(request.headers["Authorization"]))
        body = f"<{operation}Response>{_xml(f'{operation}Result', result)}</{operation}Response>".encode()
        self._made.append(time.thread_time() - began)
        return AWSResponse(request.url, 200, {}, _Body(body))  # type: ignore[arg-type]

    def _result(self, operation: str, asked: Mapping[str, str], authorization: str) -> Mapping[str, Any]:
        if operation == "GetCallerIdentity":
            return {"Account": CALLER, "Arn": f"arn:aws:iam::{CALLER}:root", "UserId": CALLER}
        if operation == "AssumeRole":
            account = asked["RoleArn"].split(":")[4]
            keys = {"AccessKeyId": f"{_KEY}{account}", "SecretAccessKey": "secret", "SessionToken": "token"}
            return {"Credentials": {**keys, "Expiration": "2100-01-01T00:00:00Z"}}
        return self._details(authorization.partition(f"Credential={_KEY}")[2][:12])


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _xml(name: str, value: Any) -> str:
    if isinstance(value, Mapping) and "Statement" in value:
        inner = quote(json.dumps(value))
    elif isinstance(value, Mapping):
        inner = "".join(_xml(key, each) for key, each in value.items())
    elif isinstance(value, list):
        inner = "".join(_xml("member", each) for each in value)
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"
