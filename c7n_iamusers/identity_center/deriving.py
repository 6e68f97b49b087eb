# SPDX-License-Identifier: Apache-2.0
"""From intents that ask for derivation to what their users are to have."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timezone
from typing import Any

from c7n_iamusers.derivation.acceptances import parse_acceptances
from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.derivation.existing_sets import ExistingSetProofs
from c7n_iamusers.derivation.model import (
    Derivation,
    DerivationOptions,
    DerivedGroup,
    DerivedSet,
    PolicyReference,
)
from c7n_iamusers.derivation.permission_set import MANAGED_TAG, PermissionSet
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.identity_center.desired import Ask
from c7n_iamusers.identity_center.intents import Intents, UserIntent
from c7n_iamusers.identity_center.model import Earlier, Grant, Group, Refused
from c7n_iamusers.identity_center.people import Candidate
from c7n_iamusers.policy_comparison.principals import (
    GroupPermissions,
    ManagedPolicy,
    PrincipalPermissions,
    principal_permissions,
)

_Row = tuple[Intents, UserIntent, Candidate]
_DESCRIPTION = "Derived from the policies of IAM users by c7n-iamusers"


class Deriving:
    """Derives for ``desired_access``.

    ``derivations`` keeps what was found, for a report, ``warnings`` what to say of it, and ``proofs`` the users, to
    compare with what they hold.
    """

    def __init__(
        self, username_tags: Callable[[], frozenset[str]] = frozenset, today: date | None = None
    ) -> None:
        """``username_tags``: asks for the session tags that are sure to be the username; by default none is."""
        self._username_tags = username_tags
        self._today = today or datetime.now(timezone.utc).date()
        self.warnings: list[str] = []
        self.derivations: list[Derivation] = []
        self.proofs = ExistingSetProofs()

    def __call__(self, rows: Sequence[_Row]) -> tuple[list[Ask], list[Refused]]:
        """What each row's user is to have, or why it gets nothing. Policies with the same options derive together.

        Raises InvalidPolicyData for options that are none.
        """
        asks: list[Ask] = []
        refused: list[Refused] = []
        by_options: defaultdict[str, list[_Row]] = defaultdict(list)
        for row in rows:
            by_options[json.dumps(row[0].derive, sort_keys=True)].append(row)
        for options, alike in sorted(by_options.items()):
            found, left = self._derived(alike, self._options(json.loads(options)))
            asks += found
            refused += left
        return asks, refused

    def _options(self, settings: Mapping[str, Any]) -> DerivationOptions:
        options = derivation_options(settings, self._today)
        tag = options.username_tag
        if not tag or tag in self._username_tags():
            return options
        self.warnings.append(
            f"username-tag {tag}: Identity Center has no attribute for access control of that key whose value is "
            "${path:userName}, so what policies say of ${aws:username} is not carried: add it (Settings, Attributes "
            "for access control), and run again"
        )
        return replace(options, username_tag="")

    def _derived(self, rows: list[_Row], options: DerivationOptions) -> tuple[list[Ask], list[Refused]]:
        # c7n-org over two regions, or two policies, may list a user twice: it is derived for once.
        by_arn = {user.subject.arn: (intents, user, candidate) for intents, user, candidate in reversed(rows)}
        refused: list[Refused] = []
        principals: list[PrincipalPermissions] = []
        shared = _Shared()
        for intents, user, candidate in by_arn.values():
            try:
                principal = shared.principal(intents, user, candidate)
                principals.append(principal)
                self.proofs.add([principal], options, intents.source.policies)
            except (EvidenceUnreadable, KeyError) as error:
                refused.append(_refused(intents, user, f"its policies can't be told: {error}"))
        found = derive(principals, options)
        self.derivations.append(found)
        for refusal in found.refused:
            intents, user, _ = by_arn[refusal.subject.arn]
            refused.append(_refused(intents, user, refusal.reason))
        return _asks(found, by_arn), refused


def derivation_options(settings: Mapping[str, Any], today: date) -> DerivationOptions:
    """A policy's ``derive:`` as a record. Raises InvalidPolicyData."""
    plain = {key.replace("-", "_"): value for key, value in settings.items() if key != "accept"}
    return DerivationOptions(**plain, accept=parse_acceptances(settings, "derive"), today=today)


def permission_set_of(derived: DerivedSet) -> PermissionSet:
    """A derived set as one that can be asked for, marked as ours."""
    return PermissionSet(
        derived.name,
        _DESCRIPTION,
        derived.session_duration,
        managed_policies=frozenset(derived.managed_policies),
        inline_policy=derived.inline_policy,
        tags=dict([MANAGED_TAG]),
        customer_policies=frozenset(map(_path_and_name, derived.customer_managed)),
        boundary=_path_and_name(derived.boundary) if derived.boundary else "",
    )


class _Shared:
    """What users of one account have in common, once: most of what they have."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, str], GroupPermissions] = {}
        self._policies: dict[tuple[int, str], ManagedPolicy] = {}

    def principal(self, intents: Intents, user: UserIntent, candidate: Candidate) -> PrincipalPermissions:
        """Raises EvidenceUnreadable, KeyError."""
        assert candidate.person is not None
        if user.detail is None:
            raise EvidenceUnreadable("its intents lack them: run the policy again")
        source, account = intents.source, id(intents)
        found = principal_permissions(user.detail, source.groups, source.policies, candidate.person.username)
        return replace(
            found,
            attached=tuple(self._policies.setdefault((account, each.arn), each) for each in found.attached),
            groups=tuple(self._groups.setdefault((account, each.name), each) for each in found.groups),
        )


def _asks(found: Derivation, by_arn: Mapping[str, _Row]) -> list[Ask]:
    sets = {each.name: permission_set_of(each) for each in found.sets}
    groups = {each.name: _grants(each) for each in found.groups}
    earlier = {each.name: _grants(each) for each in found.earlier_groups}
    once: dict[object, Any] = {}
    asks = []
    for each in found.principals:
        intents, user, candidate = by_arn[each.subject.arn]
        group = Group(each.group_name, groups[each.group_name], intents.external)
        group = once.setdefault(group, group)
        own = Grant(each.subject.account_id, each.set_name)
        own = once.setdefault(own, own)
        wanted = tuple(sets[name] for name in sorted({grant.permission_set for grant in group.grants}))
        before = Earlier(
            Group(each.earlier_group, earlier[each.earlier_group], intents.external),
            Grant(each.subject.account_id, each.earlier_set),
        )
        before = once.setdefault(before, before)
        wanted = once.setdefault(group.name, wanted)
        verdict = each.proof.verdict
        asks.append(Ask(user.subject, candidate, group, own, wanted, intents.place, verdict, before))
    return asks


def _grants(group: DerivedGroup) -> frozenset[Grant]:
    return frozenset(Grant(*assignment) for assignment in group.assignments)


def _refused(intents: Intents, user: UserIntent, reason: str) -> Refused:
    return Refused(user.subject, f"{user.subject}: {reason}", "NotDerived", intents.place)


def _path_and_name(policy: str | PolicyReference) -> str:
    return policy if isinstance(policy, str) else f"{policy.path}{policy.name}"
