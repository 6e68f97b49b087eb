# SPDX-License-Identifier: Apache-2.0
"""Pages by MaxResults and NextToken, as every list of sso-admin and identitystore does."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from aws_local_org import settings

from . import errors

#: The highest MaxResults of both service models.
LARGEST_PAGE = 100


def page(result: str, items: Sequence[Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """`{result: [one page of items], "NextToken": ...}`; NextToken is None on the last page.

    The running settings' page_limit shortens these pages too: a short page with a token is legal everywhere.
    Raises ValidationException for a token that this list did not give.
    """
    start = _position(result, parameters.get("NextToken"), len(items))
    size = parameters.get("MaxResults") or LARGEST_PAGE
    limit = settings.current().page_limit
    end = start + min(size, limit or size)
    token = _token(result, end) if end < len(items) else None
    return {result: list(items[start:end]), "NextToken": token}


def _token(result: str, position: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([result, position]).encode()).decode()


def _position(result: str, token: str | None, count: int) -> int:
    if not token:
        return 0
    try:
        given_for, position = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError, binascii.Error):
        raise errors.invalid("The NextToken is not valid") from None
    if given_for != result or not isinstance(position, int) or position < 0:
        raise errors.invalid(f"The NextToken was not given by a list of {result}")
    return min(position, count)
