# SPDX-License-Identifier: Apache-2.0
"""Reading an account's users in bulk: cost grows by pages of a thousand, not by users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from c7n_iamusers.aws.paging import items, pages
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.model.iam_user import Item

#: The largest page that GetAccountAuthorizationDetails and ListUsers allow (botocore maxItemsType).
PAGE_SIZE = 1000

_EMPTY: Mapping[str, Any] = {"GroupList": [], "AttachedManagedPolicies": [], "UserPolicyList": []}


def user_details(client: Any, backoff: Backoff) -> Iterator[dict[str, Any]]:
    """Every user of the account as botocore's ``UserDetail``: groups, policies, boundary and tags included.

    AWS leaves out a list that is empty (``UserPolicyList`` above all); here it is there, and empty.
    """
    for page in pages(client, "GetAccountAuthorizationDetails", backoff, Filter=["User"], MaxItems=PAGE_SIZE):
        yield from ({**_EMPTY, **detail} for detail in page.get("UserDetailList", ()))


def listed_users(client: Any, backoff: Backoff) -> list[dict[str, Any]]:
    """Every user as ListUsers gives it: with PasswordLastUsed, which the details lack, without tags and boundary."""
    return items(client, "ListUsers", "Users", backoff, MaxItems=PAGE_SIZE)


def detail_attachments(detail: Mapping[str, Any]) -> dict[str, tuple[Item, ...]]:
    """What a ``UserDetail`` tells of attachments; a member that is missing leaves its kind unread.

    So a resource of another source, which has none of these members, is never taken for a bare user.
    """
    found: dict[str, tuple[Item, ...]] = {}
    if "GroupList" in detail:
        found["group"] = tuple({"GroupName": name} for name in detail["GroupList"])
    if "AttachedManagedPolicies" in detail:
        found["attached-policy"] = tuple(detail["AttachedManagedPolicies"])
    if "UserPolicyList" in detail:
        found["inline-policy"] = tuple(detail["UserPolicyList"])
    return found
