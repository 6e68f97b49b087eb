# SPDX-License-Identifier: Apache-2.0
"""Which AWS error a response carries, for the call log."""

from __future__ import annotations

import json
import re

from aws_local_org.errors import WireResponse

_XML_CODE = re.compile(rb"<Code>([^<]+)</Code>")


def error_code_of(response: WireResponse, protocol: str) -> str | None:
    """The error code of a failed response; None where it succeeded, the bare status where it names no code."""
    if response.status < 400:
        return None
    found = _of_json(response) if "json" in protocol else _of_xml(response)
    return found or str(response.status)


def _of_xml(response: WireResponse) -> str | None:
    found = _XML_CODE.search(response.body)
    return found[1].decode() if found else None


def _of_json(response: WireResponse) -> str | None:
    headers = {name.lower(): value for name, value in response.headers.items()}
    code = headers.get("x-amzn-errortype") or _type_member(response.body)
    # Both spellings of https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html: namespace#Code:uri
    return code.split(":", 1)[0].rpartition("#")[2] if code else None


def _type_member(body: bytes) -> str | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    code = parsed.get("__type") or parsed.get("code") if isinstance(parsed, dict) else None
    return code if isinstance(code, str) else None
