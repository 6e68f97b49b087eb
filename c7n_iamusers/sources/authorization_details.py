# SPDX-License-Identifier: Apache-2.0
"""The source ``authorization-details``: an account's IAM users by pages, not by users."""

from __future__ import annotations

from typing import Any

from c7n.exceptions import PolicyValidationError
from c7n.query import DescribeSource
from c7n.utils import local_session

from c7n_iamusers.aws.accounts import listed_users, user_details
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.aws.users import read_detail, read_kind
from c7n_iamusers.model.attachments import ATTACHED_POLICY, GROUP, INLINE_POLICY
from c7n_iamusers.policy_errors import unreadable

Resource = dict[str, Any]
_POLICY_KINDS = (GROUP, ATTACHED_POLICY, INLINE_POLICY)


class AuthorizationDetails(DescribeSource):  # type: ignore[misc]  # c7n is untyped
    """Lists IAM users from account authorization details and ListUsers.

    Stock c7n spends a GetUser on each user; this spends two calls on each thousand. Resources have
    everything that the stock source gives (UserName, UserId, Arn, Path, CreateDate, PasswordLastUsed,
    Tags, PermissionsBoundary), so every stock filter and action takes them, and beside it, as botocore's
    ``UserDetail`` names them: GroupList, AttachedManagedPolicies, UserPolicyList.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-in-bulk
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
    """

    def __init__(self, manager: Any) -> None:
        if getattr(manager, "type", "") != "iam-user":
            raise PolicyValidationError(
                f"source authorization-details lists IAM users only, not {getattr(manager, 'type', manager)}: "
                "use it with resource aws.iam-user, or leave source out"
            )
        super().__init__(manager)
        self._backoff = Backoff()

    def get_permissions(self) -> list[str]:
        """The IAM actions that listing and event look-ups need."""
        by_name = sorted({operation for kind in _POLICY_KINDS for operation in kind.reads})
        return [
            f"iam:{name}" for name in ("GetAccountAuthorizationDetails", "ListUsers", "GetUser", *by_name)
        ]

    def resources(self, query: Any) -> list[Resource]:
        """Every user of the account. Raises PolicyExecutionError where the lists can't be read in full."""
        client = self._client()
        with unreadable(
            self.manager, "the account's IAM users", "iam:GetAccountAuthorizationDetails and iam:ListUsers"
        ):
            details = {detail["UserId"]: detail for detail in user_details(client, self._backoff)}
            listed = {user["UserId"]: user for user in listed_users(client, self._backoff)}
        known = [_merged(detail, listed[key]) for key, detail in details.items() if key in listed]
        # IAM is eventually consistent: a user made or removed a moment ago stands in one list only.
        doubtful = [{**details, **listed}[key]["UserName"] for key in details.keys() ^ listed.keys()]
        return known + self.get_resources(sorted(doubtful))

    def get_resources(self, ids: list[str], cache: bool = True) -> list[Resource]:
        """The users named ``ids`` (event modes), read one by one; those that are gone are left out."""
        client = self._client()
        with unreadable(self.manager, "IAM users by name", ", ".join(self.get_permissions()[2:])):
            found = [self._read(client, name) for name in ids]
        return [resource for resource in found if resource]

    def augment(self, resources: list[Resource]) -> list[Resource]:
        """As they are: the lists have already given everything."""
        return resources

    def _client(self) -> Any:
        return local_session(self.manager.session_factory).client("iam", self.manager.config.region)

    def _read(self, client: Any, name: str) -> Resource | None:
        detail = read_detail(client, name, self._backoff)
        if detail is None:
            return None
        groups, attached, inline = (read_kind(client, name, kind, self._backoff) for kind in _POLICY_KINDS)
        return {
            **detail,
            "GroupList": [item["GroupName"] for item in groups],
            "AttachedManagedPolicies": list(attached),
            "UserPolicyList": list(inline),
        }


def _merged(detail: Resource, listed: Resource) -> Resource:
    return {**listed, **detail}
