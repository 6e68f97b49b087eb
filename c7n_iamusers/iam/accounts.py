# SPDX-License-Identifier: Apache-2.0
"""An account's users, roles, groups and policies in bulk: cost grows by pages, not by users."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.execution.client import Backoff, error_code, items, pages
from c7n_iamusers.iam.attachments import ATTACHED_POLICY, GROUP, INLINE_POLICY
from c7n_iamusers.iam.policy_documents import SharedDocuments, default_documents
from c7n_iamusers.iam.user import Item
from c7n_iamusers.iam.users import read_detail, read_kind


@dataclass(frozen=True)
class PolicySource:
    """What derivation reads beside users: ``groups`` by name as ``GroupDetail``, ``policies`` by ARN as documents."""

    groups: Mapping[str, Any] = field(default_factory=dict)
    policies: Mapping[str, Any] = field(default_factory=dict)


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


_PAGE = 1000
#: What of botocore's ``UserDetail`` permissions hang on.
_OF_USERS = (
    "UserName",
    "UserId",
    "Arn",
    "UserPolicyList",
    "GroupList",
    "AttachedManagedPolicies",
    "PermissionsBoundary",
    "Tags",
)
_USERS, _FILTER = ["User"], ["User", "Group", "LocalManagedPolicy", "AWSManagedPolicy"]


def read_policy_source(
    client: Any, backoff: Backoff, shared: SharedDocuments | None = None, users_alone: bool = False
) -> tuple[PolicySource, dict[str, Mapping[str, Any]]]:
    """The account's groups and policies, and user id -> ``UserDetail``, all of one moment. Raises ClientError.

    Policies that say the same are one object: of this account, or of all that are read with ``shared``. With
    ``users_alone`` groups and policies are not asked for.
    """
    shared = shared or SharedDocuments()
    users: dict[str, Mapping[str, Any]] = {}
    groups: dict[str, Any] = {}
    documents: dict[str, Any] = {}
    wanted = _USERS if users_alone else _FILTER
    for page in pages(client, "GetAccountAuthorizationDetails", backoff, Filter=wanted, MaxItems=_PAGE):
        users.update({user["UserId"]: shared.of(_trimmed(user)) for user in page.get("UserDetailList", ())})
        groups.update(
            {group["GroupName"]: shared.of(_group(group)) for group in page.get("GroupDetailList", ())}
        )
        # A policy comes with up to five versions, of which one is in force.
        documents.update(shared.of(default_documents(page.get("Policies", ()))))
    return PolicySource(groups, documents), users


def _trimmed(user: Mapping[str, Any]) -> dict[str, Any]:
    return {key: user[key] for key in _OF_USERS if key in user}


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    return {key: group.get(key) or [] for key in ("GroupPolicyList", "AttachedManagedPolicies")}


#: What is known of ListServiceSpecificCredentials' "ServiceName" (IAM User Guide, "Service-specific credentials for
#: IAM users"). More services come: these only tell whether a list without a ServiceName is of all of them.
SERVICES = (
    "codecommit.amazonaws.com",
    "cassandra.amazonaws.com",
    "bedrock.amazonaws.com",
    "logs.amazonaws.com",
)
_AT_ONCE = 8
_NAME_A_SERVICE = frozenset({"InvalidInput", "ValidationError", "ValidationException", "MissingParameter"})
#: What a partition or Region that lacks a service says of it: nobody has credentials for it there.
_NO_SUCH_SERVICE = frozenset({"NoSuchEntity", "NotSupportedService", "ServiceNotSupported"})


def all_service_credentials(client: Any, backoff: Backoff) -> list[Item]:
    """Every user's ``ServiceSpecificCredentialMetadata``, of every service. Raises ClientError.

    Where no list has everybody's, each user is asked for, which gives all services.
    """
    found = listed_at_once(client, backoff)
    return _by_user(client, backoff) if found is None else found


def listed_at_once(client: Any, backoff: Backoff) -> list[Item] | None:
    """The same from a list of all users; None where that can't be had, or may lack services. Raises ClientError.

    No documentation settles what AllUsers without a ServiceName gives: everything, an error, or the
    credentials of one service. It is taken for everything where it shows several services, or no fewer than
    asking for SERVICES by name.
    """
    found = _of_any_service(client, backoff)
    return found if found is not None and _is_whole(client, backoff, found) else None


def _of_any_service(client: Any, backoff: Backoff) -> list[Item] | None:
    try:
        return _list(client, backoff, AllUsers=True)
    except ClientError as error:
        if error_code(error) in _NAME_A_SERVICE:
            return None
        raise


def _is_whole(client: Any, backoff: Backoff, found: list[Item]) -> bool:
    shown = {item.get("ServiceName") for item in found}
    missing = [service for service in SERVICES if service not in shown]
    return len(shown) > 1 or not any(_of_service(client, backoff, service) for service in missing)


def _of_service(client: Any, backoff: Backoff, service: str) -> list[Item]:
    try:
        return _list(client, backoff, AllUsers=True, ServiceName=service)
    except ClientError as error:
        if error_code(error) in _NO_SUCH_SERVICE:
            return []
        raise


def _by_user(client: Any, backoff: Backoff) -> list[Item]:
    users = [user["UserName"] for user in items(client, "ListUsers", "Users", backoff, MaxItems=PAGE_SIZE)]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return [
            item for held in pool.map(lambda name: _of_user(client, backoff, name), users) for item in held
        ]


def _of_user(client: Any, backoff: Backoff, name: str) -> list[Item]:
    try:
        return _list(client, backoff, UserName=name)
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":  # gone since it was listed
            return []
        raise


def _list(client: Any, backoff: Backoff, **chosen: Any) -> list[Item]:
    operation, result = "ListServiceSpecificCredentials", "ServiceSpecificCredentials"
    return items(client, operation, result, backoff, MaxItems=PAGE_SIZE, **chosen)
