# SPDX-License-Identifier: Apache-2.0
"""Reads an account's users, roles, groups and policies in bulk: the number of calls grows by pages, not by users."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Any

from botocore.exceptions import ClientError
from botocore.loaders import create_loader

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.paging import items, pages
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam.attachments import ATTACHED_POLICY, GROUP, INLINE_POLICY
from c7n_iamusers.iam.policy_documents import PolicyInterner, default_documents, with_texts
from c7n_iamusers.iam.trust_principals import tells_apart
from c7n_iamusers.iam.user import Item
from c7n_iamusers.iam.users import read_detail, read_kind

#: Partition -> the Region of its only IAM endpoint ("IAM endpoints and quotas", AWS General Reference), in which
#: CloudTrail records IAM's events ("Global service events", CloudTrail User Guide).
HOME_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
#: How botocore's names end that stand for the endpoints of a whole partition.
_ENDPOINTS = "-global"
#: c7n-org's Regions for an account without ``regions`` in the accounts file.
DEFAULT_REGIONS = ("us-east-1", "us-west-2")


def home_region(region: str) -> str:
    """The Region of IAM's endpoint in the partition of ``region``."""
    partition = next((each for prefix, each in _PARTITIONS.items() if region.startswith(prefix)), "aws")
    return HOME_REGIONS[partition]


@cache
def partitions() -> Mapping[str, frozenset[str]]:
    """Partition -> its Regions, of all that the installed botocore knows."""
    found = create_loader().load_data("partitions")["partitions"]
    return {str(each["id"]): frozenset(each["regions"]) for each in found}


def region_fault(region: str) -> str:
    """Why ``region`` is the name of no Region, and what to do, with the nearest name; empty if it is one.

    The names are those of the installed botocore. One that it does not know is refused, whatever its form: a
    misspelt name has the form of one, too, and nothing tells them apart offline. So the fault says that a new Region
    takes a newer botocore. Where nobody names Regions, those that the account has enabled are read, known or not.
    """
    known = [each for regions in partitions().values() for each in regions if not each.endswith(_ENDPOINTS)]
    if region in known:
        return ""
    near = get_close_matches(region.strip().lower(), sorted(known), 1)
    right = f"correct it ({near[0]}?)" if near else "correct it"
    return (
        f"{region!r} is no Region that the installed botocore knows: {right}, or update botocore if it is new"
    )


@dataclass(frozen=True)
class PolicySource:
    """The input of derivation beside users. ``groups``: name -> ``GroupDetail``. ``policies``: ARN -> document.

    ``roles``: ARN -> trust policy, of roles whose trust policy can tell principals apart (see ``tells_apart``); None if
    roles were not read.
    """

    groups: Mapping[str, Any] = field(default_factory=dict)
    policies: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, Any] | None = None


#: The largest MaxItems (botocore: maxItemsType).
PAGE_SIZE = 1000
#: A user as botocore's ``UserDetail``, with PasswordLastUsed from ``User``.
Detail = dict[str, Any]
POLICY_KINDS = (GROUP, ATTACHED_POLICY, INLINE_POLICY)
#: AWS omits empty lists, UserPolicyList in particular; these are their values.
_EMPTY: Mapping[str, Any] = {"GroupList": [], "AttachedManagedPolicies": [], "UserPolicyList": []}
#: What the unique id of a user looks like ("IAM identifiers", IAM User Guide). A name can look the same.
_UNIQUE_ID = re.compile("AIDA[A-Z0-9]+")
#: How many times a user that is listed is read: it can be renamed in between, and IAM is eventually consistent.
_ATTEMPTS = 4


@dataclass(frozen=True)
class AccountDetails:
    """What GetAccountAuthorizationDetails returns, as botocore's ``UserDetail``, ``GroupDetail`` (by name),
    ``RoleDetail`` and ``ManagedPolicyDetail``.
    """

    users: tuple[Item, ...]
    groups: Mapping[str, Item]
    roles: tuple[Item, ...]
    policies: tuple[Item, ...]


@dataclass(frozen=True)
class AccountUsers:
    """``users``, and what else was read by the same calls."""

    users: list[Detail]
    account: AccountDetails


def read_account(client: Any, backoff: Backoff, *kinds: str) -> AccountDetails:
    """The entities of ``kinds`` (User, Group, Role, LocalManagedPolicy, AWSManagedPolicy), as of one time.

    Raises ClientError.
    """
    found: dict[str, list[Item]] = defaultdict(list)
    asked = {"Filter": list(kinds), "MaxItems": PAGE_SIZE}
    for page in map(with_texts, pages(client, "GetAccountAuthorizationDetails", backoff, **asked)):
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

    Only ListUsers returns the last sign-in, and only GetAccountAuthorizationDetails the rest. ``kinds``: other
    entities to read by the same calls.
    """
    account = read_account(client, backoff, "User", *kinds)
    details = {user["UserId"]: {**_EMPTY, **user} for user in account.users}
    listed = {
        user["UserId"]: user for user in items(client, "ListUsers", "Users", backoff, MaxItems=PAGE_SIZE)
    }
    users = [{**listed[key], **detail} for key, detail in details.items() if key in listed]
    # IAM is eventually consistent: a user created or deleted just now can be in only one of the lists.
    in_one_list = [{**details, **listed}[key]["UserName"] for key in details.keys() ^ listed.keys()]
    return AccountUsers(users + users_by_name(client, sorted(in_one_list), backoff), account)


def users_by_name(client: Any, names: Iterable[str], backoff: Backoff) -> list[Detail]:
    """The users called ``names``, read one by one; users that are gone are left out. Raises ClientError."""
    found = [_read(client, name, backoff) for name in names]
    return [detail for detail in found if detail]


def users_by_name_or_id(client: Any, ids: Iterable[str], backoff: Backoff) -> list[Detail]:
    """The users whose name or unique id is among ``ids``, as ``users_by_name`` does.

    Names come first, and the account's users are listed only for a unique id that no user of these names has. Raises
    ClientError, and EvidenceUnreadable as ``read_by_id`` does.
    """
    found: dict[str, Detail] = {}
    wanted = list(ids)
    for each in wanted:
        if each not in found:
            found |= {str(user["UserId"]): user for user in users_by_name(client, (each,), backoff)}
    for each in wanted:
        if each not in found and _UNIQUE_ID.fullmatch(each):
            user = read_by_id(client, each, backoff, _read)
            found |= {each: user} if user else {}
    return list(found.values())


def read_by_id(
    client: Any,
    unique_id: str,
    backoff: Backoff,
    read: Callable[[Any, str, Backoff], Detail | None] = read_detail,
) -> Detail | None:
    """The user with ``unique_id`` by ``read``, whatever its name is now; None if there is no such user.

    Raises ClientError, and EvidenceUnreadable where the user that is listed can't be read under the listed name.
    """
    name = None
    for delay, _ in zip(backoff.delays(), range(_ATTEMPTS), strict=False):
        name = name_of(client, unique_id, backoff)
        if name is None:
            return None
        user = read(client, name, backoff)
        if user and user["UserId"] == unique_id:
            return user
        backoff.sleep(delay)
    raise EvidenceUnreadable(
        f"the user {unique_id}, last listed as {name}, can't be read under that name: find out who renames it, and "
        "run again"
    )


def name_of(client: Any, unique_id: str, backoff: Backoff) -> str | None:
    """The current name of the user with ``unique_id``; None if there is no such user. Raises ClientError."""
    users = items(client, "ListUsers", "Users", backoff, MaxItems=PAGE_SIZE)
    return next((str(user["UserName"]) for user in users if user["UserId"] == unique_id), None)


def detail_attachments(detail: Mapping[str, Any]) -> dict[str, tuple[Item, ...]]:
    """The attachments in a ``UserDetail``. A member that is missing leaves its kind unread.

    So a resource of another source, which has none of these members, does not look like a user without attachments.
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


#: The members of botocore's ``UserDetail`` that permissions depend on.
_USER_MEMBERS = (
    "UserName",
    "UserId",
    "Arn",
    "UserPolicyList",
    "GroupList",
    "AttachedManagedPolicies",
    "PermissionsBoundary",
    "Tags",
)
_OF_ACCOUNT = ["User", "Role", "Group", "LocalManagedPolicy"]


def read_policy_source(
    client: Any,
    backoff: Backoff,
    shared: PolicyInterner | None = None,
    aws_managed: bool = True,
    created: dict[str, Any] | None = None,
) -> tuple[PolicySource, dict[str, Mapping[str, Any]]]:
    """The account's groups, policies and roles, and unique id of a user -> ``UserDetail``, as of one time.

    ``shared``: equal policies become one object, in this account or in all accounts read with the same interner.
    ``aws_managed``: read the documents of the attached AWS-managed policies, too. ``created``: gets unique id of a user
    -> CreateDate. Raises ClientError.
    """
    shared = shared or PolicyInterner()
    users: dict[str, Mapping[str, Any]] = {}
    groups: dict[str, Any] = {}
    documents: dict[str, Any] = {}
    roles: dict[str, Any] = {}
    wanted = [*_OF_ACCOUNT, "AWSManagedPolicy"] if aws_managed else _OF_ACCOUNT
    asked = {"Filter": wanted, "MaxItems": PAGE_SIZE}
    for page in map(with_texts, pages(client, "GetAccountAuthorizationDetails", backoff, **asked)):
        users.update({user["UserId"]: shared.of(_trimmed(user)) for user in page.get("UserDetailList", ())})
        if created is not None:
            created.update(
                {user["UserId"]: user.get("CreateDate") for user in page.get("UserDetailList", ())}
            )
        groups.update(
            {group["GroupName"]: shared.of(_group(group)) for group in page.get("GroupDetailList", ())}
        )
        # A policy has up to five versions; one is the default.
        documents.update(shared.of(default_documents(page.get("Policies", ()))))
        for role in page.get("RoleDetailList", ()):
            document = role.get("AssumeRolePolicyDocument")
            if tells_apart(document):
                roles[str(role["Arn"])] = shared.of(document)
    return PolicySource(groups, documents, roles), users


def read_aws_policies(client: Any, backoff: Backoff, arns: Iterable[str]) -> dict[str, Any]:
    """ARN -> document of the default version, of AWS-managed policies, which are the same in all accounts.

    Authorization details have the documents only of those that are attached in the account. What the caller may not
    read is left out. Raises ClientError for other errors.
    """
    found = {}
    for arn in sorted(arns):
        try:
            version = backoff.call(client.get_policy, PolicyArn=arn)["Policy"]["DefaultVersionId"]
            answer = with_texts(backoff.call(client.get_policy_version, PolicyArn=arn, VersionId=version))
        except ClientError as error:
            if error_code(error).startswith("AccessDenied") or error_code(error) == "NoSuchEntity":
                continue
            raise
        found[arn] = answer["PolicyVersion"]["Document"]
    return found


def _trimmed(user: Mapping[str, Any]) -> dict[str, Any]:
    return {key: user[key] for key in _USER_MEMBERS if key in user}


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    return {key: group.get(key) or [] for key in ("GroupPolicyList", "AttachedManagedPolicies")}


#: Known values of ServiceName (IAM User Guide, "Service-specific credentials for IAM users"). The list can be
#: incomplete: it only serves to check whether a list without ServiceName has all services.
SERVICES = (
    "codecommit.amazonaws.com",
    "cassandra.amazonaws.com",
    "bedrock.amazonaws.com",
    "logs.amazonaws.com",
)
_WORKERS = 8
_NAME_A_SERVICE = frozenset({"InvalidInput", "ValidationError", "ValidationException", "MissingParameter"})
#: The errors for a service that a partition or Region does not have: no user has credentials for it.
_NO_SUCH_SERVICE = frozenset({"NoSuchEntity", "NotSupportedService", "ServiceNotSupported"})


def all_service_credentials(client: Any, backoff: Backoff) -> list[Item]:
    """Every user's ``ServiceSpecificCredentialMetadata``, of every service. Raises ClientError.

    If no account-wide list has all of them, lists each user's own.
    """
    found = listed_at_once(client, backoff)
    return _by_user(client, backoff) if found is None else found


def listed_at_once(client: Any, backoff: Backoff) -> list[Item] | None:
    """The same from the account-wide list; None if it fails without ServiceName or may lack services.

    AWS does not document whether AllUsers without ServiceName returns all services, one service or an error. The
    list counts as complete if it has several services, or none of SERVICES has credentials that it lacks.
    Raises ClientError.
    """
    found = _of_any_service(client, backoff)
    return found if found is not None and _is_complete(client, backoff, found) else None


def _of_any_service(client: Any, backoff: Backoff) -> list[Item] | None:
    try:
        return _list(client, backoff, AllUsers=True)
    except ClientError as error:
        if error_code(error) in _NAME_A_SERVICE:
            return None
        raise


def _is_complete(client: Any, backoff: Backoff, found: list[Item]) -> bool:
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
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
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
