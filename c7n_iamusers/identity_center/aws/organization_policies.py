# SPDX-License-Identifier: Apache-2.0
"""Reads the organization's service and resource control policies once, and where relevant ones are attached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.execution.executor import SINGLE_TRY
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.identity_center.requests.others import Control, OrganizationPolicies
from c7n_iamusers.policy_comparison.other_policies import RCP, SCP, OtherPolicy, parse_other_policy

#: Kind -> the filter of ListPolicies.
_FILTERS = {SCP: "SERVICE_CONTROL_POLICY", RCP: "RESOURCE_CONTROL_POLICY"}
#: Calls a second. AWS Organizations throttles by account ("Quotas for AWS Organizations": 1 to 2 a second sustained for
#: most reads, with bursts). Backoff retries calls that are still refused.
_RATE = 5.0
#: The IAM actions that reading takes.
PERMISSIONS = (
    "organizations:DescribeOrganization",
    "organizations:DescribePolicy",
    "organizations:ListAccountsForParent",
    "organizations:ListOrganizationalUnitsForParent",
    "organizations:ListPolicies",
    "organizations:ListTargetsForPolicy",
)
_NONE = "AWSOrganizationsNotInUseException"


def read_organization_policies(
    session: Any, region: str | None, backoff: Backoff
) -> OrganizationPolicies | str:
    """The policies, or why they can't be read, in words. Never raises ClientError and BotoCoreError.

    ``session``: boto3's, of the management account or of a delegated administrator for policies. Takes a call for each
    policy, and a few for each one that can tell principals apart.
    """
    try:
        client = session.client("organizations", region_name=region, config=SINGLE_TRY)
        RateLimit(_RATE).attach(client)
        return _Organization(client, backoff).read()
    except (ClientError, BotoCoreError) as error:
        if error_code(error) == _NONE:
            return "the account is in no organization"
        return (
            f"{error}: to have them counted, allow {', '.join(PERMISSIONS)} to the role for Identity Center, in the "
            "management account or in a delegated administrator's for policies"
        )


class _Organization:
    def __init__(self, client: Any, backoff: Backoff) -> None:
        self._client, self._backoff = client, backoff

    def read(self) -> OrganizationPolicies:
        found = self._backoff.call(self._client.describe_organization)["Organization"]
        controls: list[Control] = []
        counts: dict[str, int] = {}
        for kind, name in _FILTERS.items():
            listed = self._items("ListPolicies", "Policies", Filter=name)
            counts[kind] = len(listed)
            for summary in listed:
                policy = self._policy(kind, summary, str(found["MasterAccountId"]))
                if policy.distinguishes:
                    controls += self._attached(policy, str(summary["Id"]))
        return OrganizationPolicies(str(found["Id"]), str(found["MasterAccountId"]), tuple(controls), counts)

    def _policy(self, kind: str, summary: dict[str, Any], owner: str) -> OtherPolicy:
        content = self._backoff.call(self._client.describe_policy, PolicyId=summary["Id"])["Policy"][
            "Content"
        ]
        return parse_other_policy(kind, f"{summary['Name']} ({summary['Id']})", owner, "", content)

    def _attached(self, policy: OtherPolicy, policy_id: str) -> Iterator[Control]:
        targets = self._items("ListTargetsForPolicy", "Targets", PolicyId=policy_id)
        if any(target["Type"] == "ROOT" for target in targets):
            yield Control(policy)
        elif targets:
            yield Control(
                policy, frozenset(account for target in targets for account in self._accounts(target))
            )

    def _accounts(self, target: dict[str, Any]) -> Iterator[str]:
        """The accounts of a target, which is an account or an organizational unit."""
        if target["Type"] == "ACCOUNT":
            yield str(target["TargetId"])
            return
        units = [str(target["TargetId"])]
        while units:
            unit = units.pop()
            yield from (
                str(item["Id"]) for item in self._items("ListAccountsForParent", "Accounts", ParentId=unit)
            )
            below = self._items("ListOrganizationalUnitsForParent", "OrganizationalUnits", ParentId=unit)
            units += [str(each["Id"]) for each in below]

    def _items(self, operation: str, result: str, **asked: Any) -> list[Any]:
        return items(self._client, operation, result, self._backoff, **asked)
