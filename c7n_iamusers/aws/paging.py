# SPDX-License-Identifier: Apache-2.0
"""Every page of every list: IAM may return fewer results than asked for, even when there are more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore import xform_name

from c7n_iamusers.aws.retries import Backoff


def pages(client: Any, operation: str, backoff: Backoff, **parameters: Any) -> Iterator[dict[str, Any]]:
    """The responses of ``operation``, a page each, following IAM's Marker or the SSO services' NextToken.

    One loop serves the lists that botocore has a paginator for and those that it has none for
    (ListServiceSpecificCredentials), and lets a page be retried without starting over.
    """
    method = getattr(client, xform_name(operation))
    while True:
        page = backoff.call(method, **parameters)
        yield page
        if page.get("NextToken"):
            parameters["NextToken"] = page["NextToken"]
        elif page.get("IsTruncated"):
            parameters["Marker"] = page["Marker"]
        else:
            return


def items(client: Any, operation: str, result: str, backoff: Backoff, **parameters: Any) -> list[Any]:
    """The members named ``result`` of every page of ``operation``."""
    return [item for page in pages(client, operation, backoff, **parameters) for item in page.get(result, ())]
