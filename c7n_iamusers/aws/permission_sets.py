# SPDX-License-Identifier: Apache-2.0
"""Reading permission sets: by name, with everything that two of them can differ in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.aws.paging import items
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.model.identity_center import (
    Instance,
    KnownPermissionSet,
    PermissionSet,
    canonical_policy,
)

_PAGE = 100
_OUTDATED = "LATEST_PERMISSION_SET_NOT_PROVISIONED"


@dataclass(frozen=True)
class PermissionSets:
    """The permission sets of ``instance``, through ``client`` (sso-admin)."""

    client: Any
    instance: Instance
    backoff: Backoff

    def find(self, name: str, account_id: str) -> KnownPermissionSet | None:
        """The set of that name; None where there is none. ``account_id``: where to look first."""
        for arn in self._arns(account_id):
            described = self._call("describe_permission_set", arn)["PermissionSet"]
            if described["Name"] == name:
                return self._complete(arn, described)
        return None

    def _arns(self, account_id: str) -> Iterator[str]:
        # Lists give ARNs only, and there may be thousands of sets: those of the account hold the wanted
        # one in every run but the first.
        here = self._list("ListPermissionSetsProvisionedToAccount", "PermissionSets", AccountId=account_id)
        yield from here
        yield from (arn for arn in self._list("ListPermissionSets", "PermissionSets") if arn not in set(here))

    def _complete(self, arn: str, described: dict[str, Any]) -> KnownPermissionSet:
        attached = self._list(
            "ListManagedPoliciesInPermissionSet", "AttachedManagedPolicies", PermissionSetArn=arn
        )
        tags = items(
            self.client,
            "ListTagsForResource",
            "Tags",
            self.backoff,
            InstanceArn=self.instance.arn,
            ResourceArn=arn,
        )
        settings = PermissionSet(
            name=described["Name"],
            description=described.get("Description", ""),
            session_duration=described.get("SessionDuration", "PT1H"),
            relay_state=described.get("RelayState", ""),
            managed_policies=frozenset(policy["Arn"] for policy in attached),
            inline_policy=self._inline_policy(arn),
            tags={tag["Key"]: tag["Value"] for tag in tags},
        )
        accounts = self._accounts(arn)
        stale = self._accounts(arn, ProvisioningStatus=_OUTDATED) if accounts else frozenset()
        return KnownPermissionSet(arn, settings, tuple(self._foreign(arn)), accounts, stale)

    def _inline_policy(self, arn: str) -> str:
        text = self._call("get_inline_policy_for_permission_set", arn).get("InlinePolicy") or ""
        try:
            return canonical_policy(json.loads(text)) if text else ""
        except ValueError:
            return str(text)

    def _foreign(self, arn: str) -> Iterator[str]:
        references = self._list(
            "ListCustomerManagedPolicyReferencesInPermissionSet",
            "CustomerManagedPolicyReferences",
            PermissionSetArn=arn,
        )
        for reference in references:
            yield f"customer-managed policy {reference.get('Path', '/')}{reference['Name']}"
        if self._has_boundary(arn):
            yield "a permissions boundary"

    def _has_boundary(self, arn: str) -> bool:
        missing = self.client.exceptions.ResourceNotFoundException
        try:
            return bool(
                self._call("get_permissions_boundary_for_permission_set", arn).get("PermissionsBoundary")
            )
        except missing:
            return False

    def _accounts(self, arn: str, **status: str) -> frozenset[str]:
        operation = "ListAccountsForProvisionedPermissionSet"
        return frozenset(self._list(operation, "AccountIds", PermissionSetArn=arn, **status))

    def _list(self, operation: str, result: str, **parameters: Any) -> list[Any]:
        parameters = {"InstanceArn": self.instance.arn, "MaxResults": _PAGE, **parameters}
        return items(self.client, operation, result, self.backoff, **parameters)

    def _call(self, method: str, arn: str) -> dict[str, Any]:
        call = getattr(self.client, method)
        response: dict[str, Any] = self.backoff.call(
            call, InstanceArn=self.instance.arn, PermissionSetArn=arn
        )
        return response
