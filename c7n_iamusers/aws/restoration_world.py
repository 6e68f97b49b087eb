# SPDX-License-Identifier: Apache-2.0
"""Of the policies and groups that a snapshot names, those that still exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.aws.retries import Backoff, error_code


def existing_policies(client: Any, arns: Iterable[str], backoff: Backoff) -> frozenset[str]:
    """Those of ``arns`` that are managed policies. Raises ClientError where that can't be told."""
    return frozenset(arn for arn in arns if _exists(client.get_policy, backoff, PolicyArn=arn))


def existing_groups(client: Any, names: Iterable[str], backoff: Backoff) -> frozenset[str]:
    """Those of ``names`` that are groups. Raises ClientError where that can't be told."""
    return frozenset(name for name in names if _exists(client.get_group, backoff, GroupName=name, MaxItems=1))


def _exists(method: Callable[..., Any], backoff: Backoff, **parameters: Any) -> bool:
    try:
        backoff.call(method, **parameters)
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return False
        raise
    return True
