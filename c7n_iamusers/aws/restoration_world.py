# SPDX-License-Identifier: Apache-2.0
"""Of the policies and groups that a snapshot names, those that still exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.aws.paging import items
from c7n_iamusers.aws.retries import Backoff, error_code


def existing_policies(client: Any, arns: Iterable[str], backoff: Backoff) -> frozenset[str]:
    """Those of ``arns`` that are managed policies. Raises ClientError where that can't be told."""
    return frozenset(arn for arn in arns if _exists(client.get_policy, backoff, PolicyArn=arn))


def existing_groups(client: Any, names: Iterable[str], backoff: Backoff) -> frozenset[str]:
    """Those of ``names`` that are groups. Raises ClientError where that can't be told."""
    return frozenset(name for name in names if _exists(client.get_group, backoff, GroupName=name, MaxItems=1))


def memberless_groups(client: Any, names: Iterable[str], backoff: Backoff) -> dict[str, frozenset[str]]:
    """Of the groups ``names`` those without a member -> names of their inline policies, ARNs of the attached ones.

    Raises ClientError where that can't be told.
    """
    return {
        name: frozenset(_policies(client, name, backoff))
        for name in names
        if not any(items(client, "get_group", "Users", backoff, GroupName=name))
    }


def _policies(client: Any, group: str, backoff: Backoff) -> Iterator[str]:
    yield from items(client, "list_group_policies", "PolicyNames", backoff, GroupName=group)
    attached = items(client, "list_attached_group_policies", "AttachedPolicies", backoff, GroupName=group)
    yield from (policy["PolicyArn"] for policy in attached)


def _exists(method: Callable[..., Any], backoff: Backoff, **parameters: Any) -> bool:
    try:
        backoff.call(method, **parameters)
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return False
        raise
    return True
