# SPDX-License-Identifier: Apache-2.0
"""Signed HTTP requests as boto3 does not make them: other protocols, operations that do not exist."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aws_local_org import LocalOrg, credentials

FORM = "application/x-www-form-urlencoded; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


def send(
    org: LocalOrg,
    service: str,
    method: str = "POST",
    path: str = "/",
    body: str = "",
    unsigned: dict[str, str] | None = None,
    **headers: str,
) -> Answer:
    """A request with the base credentials; service: its signing name. Header names are given with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method, org.endpoint_url + path, data=body, headers=named)
    keys = credentials.base(org.token)
    signer = SigV4Auth(Credentials(*vars(keys).values()), service, org.settings.region)
    signer.add_auth(request)
    return exchange(org, method, path, body, {**dict(request.headers.items()), **(unsigned or {})})


def query(
    org: LocalOrg, service: str, action: str, _headers: dict[str, str] | None = None, **parameters: Any
) -> Answer:
    """A request in the query protocol. ``_headers``: as they are sent, beside those that are signed."""
    body = urlencode({"Action": action, **parameters})
    return send(org, service, body=body, unsigned=_headers, Content_Type=FORM)


def exchange(
    org: LocalOrg, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
) -> Answer:
    connection = HTTPConnection(urlsplit(org.endpoint_url).netloc, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        lower = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, lower, response.read().decode())
    finally:
        connection.close()
