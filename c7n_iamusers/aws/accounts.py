# SPDX-License-Identifier: Apache-2.0
"""An account's users, groups, roles and policies in bulk: cost grows by pages of a thousand, not by users."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.aws.paging import items, pages
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.aws.users import read_detail, read_kind
from c7n_iamusers.model.attachments import ATTACHED_POLICY, GROUP, INLINE_POLICY
from c7n_iamusers.model.iam_user import Item

#: The largest page that these lists allow (botocore maxItemsType).
PAGE_SIZE = 1000
#: A user as botocore's ``UserDetail``, with PasswordLastUsed of ``User``.
Detail = dict[str, Any]
POLICY_KINDS = (GROUP, ATTACHED_POLICY, INLINE_POLICY)
#: AWS leaves out a list that is empty, UserPolicyList above all; here it is there, and empty.
_EMPTY: Mapping[str, Any] = {"GroupList": [], "AttachedManagedPolicies": [], "UserPolicyList": []}


@dataclass(frozen=True)
class AccountDetails:
    """What was asked for of an account, as botocore's ``UserDetail``, ``GroupDetail`` (by name), ``RoleDetail``
    and ``ManagedPolicyDetail``.
    """

    users: tuple[Item, ...]
    groups: Mapping[str, Item]
    roles: tuple[Item, ...]
    policies: tuple[Item, ...]

    def groups_named(self, names: Collection[str]) -> tuple[Item, ...]:
        """The groups of those names."""
        return tuple(group for name, group in self.groups.items() if name in names)


@dataclass(frozen=True)
class AccountUsers:
    """``users``, and what else of the account was read with them."""

    users: list[Detail]
    account: AccountDetails


def read_account(client: Any, backoff: Backoff, *kinds: str) -> AccountDetails:
    """What the account has of ``kinds`` (User, Group, Role, LocalManagedPolicy), of one moment. Raises ClientError."""
    found: dict[str, list[Item]] = defaultdict(list)
    asked = {"Filter": list(kinds), "MaxItems": PAGE_SIZE}
    for page in pages(client, "GetAccountAuthorizationDetails", backoff, **asked):
        for name in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"):
            found[name] += page.get(name, ())
    return AccountDetails(
        tuple(found["UserDetailList"]),
        {str(group["GroupName"]): group for group in found["GroupDetailList"]},
        tuple(found["RoleDetailList"]),
        tuple(found["Policies"]),
    )


def read_users(client: Any, backoff: Backoff, *kinds: str) -> AccountUsers:
    """Every user of the account with groups, policies, boundary, tags and last sign-in. Raises ClientError.

    GetAccountAuthorizationDetails lacks the last sign-in, ListUsers lacks all the rest. ``kinds``: what else of the
    account to read by the same calls.
    """
    account = read_account(client, backoff, "User", *kinds)
    details = {user["UserId"]: {**_EMPTY, **user} for user in account.users}
    listed = {
        user["UserId"]: user for user in items(client, "ListUsers", "Users", backoff, MaxItems=PAGE_SIZE)
    }
    users = [{**listed[key], **detail} for key, detail in details.items() if key in listed]
    # IAM is eventually consistent: a user made or removed a moment ago stands in one list only.
    doubtful = [{**details, **listed}[key]["UserName"] for key in details.keys() ^ listed.keys()]
    return AccountUsers(users + users_by_name(client, sorted(doubtful), backoff), account)


def users_by_name(client: Any, names: Iterable[str], backoff: Backoff) -> list[Detail]:
    """The users ``names``, read one by one to the same shape; those that are gone are left out. Raises ClientError."""
    found = [_read(client, name, backoff) for name in names]
    return [detail for detail in found if detail]


def detail_attachments(detail: Mapping[str, Any]) -> dict[str, tuple[Item, ...]]:
    """What a ``UserDetail`` tells of attachments; a member that is missing leaves its kind unread.

    So a resource of another source, which has none of these members, is never taken for a bare user.
    """
    found: dict[str, tuple[Item, ...]] = {}
    if "GroupList" in detail:
        found[GROUP.name] = tuple({"GroupName": name} for name in detail["GroupList"])
    if "AttachedManagedPolicies" in detail:
        found[ATTACHED_POLICY.name] = tuple(detail["AttachedManagedPolicies"])
    if "UserPolicyList" in detail:
        found[INLINE_POLICY.name] = tuple(detail["UserPolicyList"])
    return found


def _read(client: Any, name: str, backoff: Backoff) -> Detail | None:
    detail = read_detail(client, name, backoff)
    if detail is None:
        return None
    groups, attached, inline = (read_kind(client, name, kind, backoff) for kind in POLICY_KINDS)
    return {
        **detail,
        "GroupList": [item["GroupName"] for item in groups],
        "AttachedManagedPolicies": list(attached),
        "UserPolicyList": list(inline),
    }
