# SPDX-License-Identifier: Apache-2.0
"""The input of a review: a plan's input, with look-ups of people and permission sets. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.planning.plan_input import PlanInput
from c7n_iamusers.identity_center.planning.unrequested_access import SideEffects
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER


@dataclass(frozen=True)
class Comparison:
    """The input of a review. ``refused``: all refusals. ``side_effects``: of the ``given`` access.

    ``as_is``: totals show what people hold now, not after the plan.
    """

    given: PlanInput
    choices: access_plan.Choices
    side_effects: SideEffects
    refused: Sequence[model.RefusedUser] = ()
    as_is: bool = False

    @cached_property
    def persons(self) -> Mapping[str, model.PersonKey]:
        """User id -> the person with it in the requested access."""
        return {known.user_id: key for key, known in self.given.people.items()}

    @cached_property
    def claims(self) -> Mapping[tuple[model.PersonKey, str], Sequence[model.Claim]]:
        """Person and account id -> the person's claims there."""
        claims: defaultdict[tuple[model.PersonKey, str], list[model.Claim]] = defaultdict(list)
        for claim in self.given.claims:
            claims[claim.person, claim.grant.account_id].append(claim)
        return dict(claims)

    def user_id(self, person: model.PersonKey) -> str:
        """Empty if the person does not exist."""
        known = self.given.people.get(person)
        return known.user_id if known else ""

    def username(self, user_id: str) -> str:
        """The person's username, else the one that was read, else the id in words."""
        person = self.persons.get(user_id)
        if person:
            return self.given.people[person].username
        return self.given.state.current.usernames.get(user_id, f"user id {user_id}")

    def set_name(self, arn: str) -> str:
        """The name of the permission set, or else its ARN."""
        return self.given.state.current.set_names.get(arn, arn)

    def covers(self, claims: Sequence[model.Claim], name: str) -> bool:
        """Whether a claim's IAM user may do all that the permission set allows."""
        settings, stale = self._settings.get(name), self._stale.get(name, frozenset())
        verdicts = (
            self.given.evidence.proofs.verdict(claim.subject.arn, settings)
            for claim in claims
            if settings and claim.grant.account_id not in stale
        )
        return any(verdict in (EQUAL, NARROWER) for verdict in verdicts)

    @cached_property
    def _settings(self) -> Mapping[str, PermissionSet]:
        """Name -> known settings of permission sets once the plan is applied, or now."""
        current = {known.settings.name: known.settings for known in self.given.state.current.sets.values()}
        return {**current, **{name: self.given.desired.permission_sets[name] for name in self._made}}

    @cached_property
    def _stale(self) -> Mapping[str, frozenset[str]]:
        """Name of a permission set -> the accounts with an earlier form of it. AWS does not say its content."""
        return {
            known.settings.name: known.stale
            for known in self.given.state.current.sets.values()
            if known.settings.name not in self._made
        }

    @cached_property
    def _made(self) -> frozenset[str]:
        """The permission sets that the plan changes to their requested form."""
        if self.as_is:
            return frozenset()
        return frozenset(
            grant.permission_set
            for claim in self.given.claims
            for grant in self.given.desired.groups[claim.group].grants
        )
