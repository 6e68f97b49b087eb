# SPDX-License-Identifier: Apache-2.0
"""Reading what an account's users are permitted, for permission sets to be derived from: one list, paged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from c7n_iamusers.aws.paging import pages
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.model.intents import PolicySource
from c7n_iamusers.model.inventory import default_documents
from c7n_iamusers.model.policy_documents import SharedDocuments

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
