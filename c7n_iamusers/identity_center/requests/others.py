# SPDX-License-Identifier: Apache-2.0
"""The policies of others that count in an account's verdicts, and what was read. Pure.

Trust policies come with the users of each account that has intents, the controls from AWS Organizations, and resource
policies from the output of stock policies of Cloud Custodian.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.derivation.others import AccountPolicies
from c7n_iamusers.policy_comparison.comparison import NOT_ASKED, READ, UNREADABLE, Coverage
from c7n_iamusers.policy_comparison.other_policies import (
    RCP,
    RESOURCE,
    SCP,
    TRUST,
    OtherPolicy,
    parse_other_policy,
)
from c7n_iamusers.text.wording import shown


@dataclass(frozen=True)
class Control:
    """A service or resource control policy that can tell principals apart.

    ``accounts``: those that it applies to; None for all but the management account.
    """

    policy: OtherPolicy
    accounts: frozenset[str] | None = None


@dataclass(frozen=True)
class OrganizationPolicies:
    """``controls``: of the organization, attached anywhere, and able to tell principals apart.

    ``organization_id``: such as o-exampleorgid. ``counts``: kind -> the number of policies that were read.
    """

    organization_id: str
    management_account: str
    controls: tuple[Control, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ResourcePolicies:
    """``policies``: those that can tell principals apart. ``accounts``: those whose resources were read.

    ``place``: where they were found. ``types``: of the resources, such as aws.s3. ``regions``: of all but buckets.
    ``unread``: account id -> what was not read there, in words.
    """

    policies: tuple[OtherPolicy, ...]
    accounts: frozenset[str]
    place: str
    types: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    unread: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def coverage(self, account_id: str, accounts: Collection[str]) -> Coverage:
        """What was read for the account's verdicts. ``accounts``: those with intents."""
        if account_id not in self.accounts:
            return Coverage(RESOURCE, UNREADABLE, f"{self.place} has no run in this account")
        if unread := self.unread.get(account_id):
            return Coverage(RESOURCE, UNREADABLE, f"not all in {self.place}: {shown(unread)}")
        read = f"{', '.join(self.types)}{' in ' if self.regions else ''}{', '.join(self.regions)} of account "
        read += f"{shown(sorted(self.accounts))}, from {self.place}"
        read += f"; not all of account {shown(sorted(self.unread))}" if self.unread else ""
        without = sorted(set(accounts) - self.accounts)
        read += f"; nothing of account {shown(without)}" if without else ""
        return Coverage(RESOURCE, READ, read)


class OthersIndex:
    """The policies of others by account.

    ``roles``: account id -> see ``PolicySource.roles``. ``organization``: its policies, or why they were not read, in
    words; None if not asked for. ``resources``: likewise None.
    """

    def __init__(
        self,
        roles: Mapping[str, Mapping[str, Any] | None],
        organization: OrganizationPolicies | str | None = None,
        resources: ResourcePolicies | None = None,
    ) -> None:
        self._roles, self._organization, self._resources = roles, organization, resources
        found = [
            parse_other_policy(TRUST, arn, arn.split(":")[4], arn, document)
            for listed in roles.values()
            for arn, document in sorted((listed or {}).items())
        ]
        self._trust = [each for each in found if each.distinguishes]
        self._known: dict[str, AccountPolicies] = {}

    def of(self, account_id: str) -> AccountPolicies:
        """The policies that can tell principals of the account apart; the same object each time."""
        if account_id not in self._known:
            self._known[account_id] = AccountPolicies(
                tuple(self._policies(account_id)), self._facts(account_id), tuple(self._scope(account_id))
            )
        return self._known[account_id]

    def lines(self) -> Iterator[str]:
        """What the verdicts of the accounts rest on, in lines."""
        alike: defaultdict[str, list[str]] = defaultdict(list)
        for account_id, found in sorted(self._known.items()):
            alike[found.scope_text].append(account_id)
        for text, accounts in alike.items():
            yield f"Scope of the verdicts in account {shown(accounts)}: {text}"

    def _policies(self, account_id: str) -> Iterator[OtherPolicy]:
        for policy in (*self._trust, *(self._resources.policies if self._resources else ())):
            if policy.trusts(account_id) and not (policy.problem and policy.account_id != account_id):
                yield policy
        organization = self._organization
        if not isinstance(organization, OrganizationPolicies):
            return
        for control in organization.controls:
            # A principal can reach the resources of every account, and only its own account's SCPs apply to it.
            everywhere = control.policy.kind == RCP
            if everywhere or (
                account_id != organization.management_account
                and (control.accounts is None or account_id in control.accounts)
            ):
                yield control.policy

    def _facts(self, account_id: str) -> dict[str, frozenset[str | None]]:
        facts: dict[str, frozenset[str | None]] = {
            "aws:principalaccount": frozenset({account_id}),
            "aws:principalisawsservice": frozenset({"false"}),
        }
        if isinstance(self._organization, OrganizationPolicies):
            facts["aws:principalorgid"] = frozenset({self._organization.organization_id})
        return facts

    def _scope(self, account_id: str) -> Iterator[Coverage]:
        if self._roles.get(account_id) is None:
            yield Coverage(TRUST, UNREADABLE, "the account was not read again, which takes --member-role")
        else:
            unread = sorted(account for account, roles in self._roles.items() if roles is None)
            read = f"of {len(self._roles) - len(unread)} accounts with intents"
            read += f"; not of account {shown(unread)}, which could not be read" if unread else ""
            yield Coverage(TRUST, READ, read)
        for kind in (SCP, RCP):
            yield self._of_organization(kind)
        if self._resources is None:
            yield Coverage(RESOURCE, NOT_ASKED, "give --resource-policies")
        else:
            yield self._resources.coverage(account_id, self._roles)

    def _of_organization(self, kind: str) -> Coverage:
        if self._organization is None:
            return Coverage(kind, NOT_ASKED)
        if isinstance(self._organization, str):
            return Coverage(kind, UNREADABLE, self._organization)
        return Coverage(kind, READ, f"{self._organization.counts.get(kind, 0)} of the organization")
