# SPDX-License-Identifier: Apache-2.0
"""Every page of a list in AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore import xform_name

from c7n_iamusers.execution.retries import AnswerUnreadable, Backoff


def pages(client: Any, operation: str, backoff: Backoff, **parameters: Any) -> Iterator[dict[str, Any]]:
    """The responses of ``operation``, one a page, by IAM's Marker, S3's or the SSO services' token.

    Unlike a botocore paginator, it also serves ListServiceSpecificCredentials, and retries a page without starting
    over. Raises AnswerUnreadable if a page announces another one, and names none or one that was read before.
    """
    method, read = getattr(client, xform_name(operation)), set[tuple[str, str]]()
    while True:
        page = backoff.call(method, **parameters)
        yield page
        following = _following(page)
        if following is None:
            return
        if not following[1] or following in read:
            raise AnswerUnreadable(operation=operation, why="it does not say where its next page is")
        read.add(following)
        parameters[following[0]] = following[1]


def _following(page: Mapping[str, Any]) -> tuple[str, str] | None:
    """The parameter that asks for the next page, and its value; None after the last page."""
    if page.get("NextToken"):
        return "NextToken", str(page["NextToken"])
    if page.get("NextContinuationToken"):
        return "ContinuationToken", str(page["NextContinuationToken"])
    return ("Marker", str(page.get("Marker") or "")) if page.get("IsTruncated") else None


def items(client: Any, operation: str, result: str, backoff: Backoff, **parameters: Any) -> list[Any]:
    """The elements of the list ``result`` in every page of ``operation``."""
    return [item for page in pages(client, operation, backoff, **parameters) for item in page.get(result, ())]
