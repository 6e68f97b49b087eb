# SPDX-License-Identifier: Apache-2.0
"""Reads AWS Organizations and AWS Account Management: accounts, their tags and their alternate contacts."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.executor import SINGLE_TRY
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.organization.owners import Account, Member

#: Calls a second. "Rate of GetAlternateContact requests per account: 10 per second" (quotas of Account Management).
_RATE = 8.0
_WHO = "give --role, a role of the management account or of a delegated administrator"


class OrganizationReader:
    """Reads the organization of ``session`` (boto3's), of its management account or a delegated administrator."""

    def __init__(self, session: Any, backoff: Backoff) -> None:
        self._session, self._backoff = session, backoff
        self._clients: dict[str, Any] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._own: str | None = None

    def members(self) -> dict[str, Member]:
        """Account id -> account, closed accounts included. Raises EvidenceUnreadable."""
        try:
            found = items(self._client("organizations"), "ListAccounts", "Accounts", self._backoff)
        except (ClientError, BotoCoreError) as error:
            raise EvidenceUnreadable(
                f"the organization's accounts can't be listed: {error}: {_WHO}"
            ) from error
        return {
            each["Id"]: Member(
                Account(each["Id"], str(each.get("Name") or each["Id"])),
                str(each.get("Email", "")),
                # State takes the place of Status (Organizations API Reference, Account).
                str(each.get("State") or each.get("Status")),
            )
            for each in found
        }

    def units(self) -> tuple[str, dict[str, str]]:
        """The id of the root; and account id -> the path of its unit, such as ``/Workloads/Prod``, or ``/``.

        Two lists for each unit, and none for an account. Raises EvidenceUnreadable.
        """
        client, paths = self._client("organizations"), dict[str, str]()

        def listed(operation: str, result: str, **given: str) -> list[Any]:
            try:
                return items(client, operation, result, self._backoff, **given)
            except (ClientError, BotoCoreError) as error:
                raise EvidenceUnreadable(
                    f"the organization's units can't be listed: {error}: {_WHO}, that may call "
                    f"organizations:{operation}"
                ) from error

        (root,) = (each["Id"] for each in listed("ListRoots", "Roots"))
        left = [(str(root), "/")]
        while left:
            unit, path = left.pop()
            accounts = listed("ListAccountsForParent", "Accounts", ParentId=unit)
            paths |= {str(each["Id"]): path for each in accounts}
            below = listed("ListOrganizationalUnitsForParent", "OrganizationalUnits", ParentId=unit)
            left += [(str(each["Id"]), f"{path.rstrip('/')}/{each['Name']}") for each in below]
        return str(root), paths

    def tag(self, account_id: str, key: str) -> str:
        """The value of an account's tag; empty where it has none. Raises EvidenceUnreadable."""
        if account_id not in self._tags:
            try:
                client = self._client("organizations")
                listed = items(client, "ListTagsForResource", "Tags", self._backoff, ResourceId=account_id)
            except (ClientError, BotoCoreError) as error:
                raise EvidenceUnreadable(
                    f"{error}: {_WHO}, that may call organizations:ListTagsForResource"
                ) from error
            self._tags[account_id] = {each["Key"]: each["Value"] for each in listed}
        return self._tags[account_id].get(key, "").strip()

    def contact(self, account_id: str, kind: str) -> str:
        """The e-mail address of an alternate contact; empty where there is none. Raises EvidenceUnreadable."""
        try:
            # "The management account can't specify its own AccountId" (GetAlternateContact).
            named = {} if account_id == self._own_account() else {"AccountId": account_id}
            call = self._client("account").get_alternate_contact
            found = self._backoff.call(call, AlternateContactType=kind, **named)
        except (ClientError, BotoCoreError) as error:
            if error_code(error) == "ResourceNotFoundException":
                return ""
            raise EvidenceUnreadable(
                f"{error}: {_WHO}, that may call account:GetAlternateContact, and enable trusted access for AWS "
                "Account Management in the organization; or leave this source out of --from"
            ) from error
        return str(found["AlternateContact"].get("EmailAddress", "")).strip()

    def management_account(self) -> str:
        """The id of the management account; every member may ask. Raises EvidenceUnreadable."""
        try:
            found = self._backoff.call(self._client("organizations").describe_organization)
        except (ClientError, BotoCoreError) as error:
            raise EvidenceUnreadable(f"the organization can't be described: {error}") from error
        return str(found["Organization"]["MasterAccountId"])

    def _own_account(self) -> str:
        if self._own is None:
            self._own = str(self._backoff.call(self._client("sts").get_caller_identity)["Account"])
        return self._own

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(service, config=SINGLE_TRY)
            RateLimit(_RATE).attach(self._clients[service])
        return self._clients[service]
