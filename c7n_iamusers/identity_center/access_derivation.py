# SPDX-License-Identifier: Apache-2.0
"""Compares permission sets with the policies of IAM users, and derives them for intents with ``derive``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timezone
from types import MappingProxyType
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.derivation.acceptances import is_permitted, parse_acceptances, with_acceptance
from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.derivation.model import (
    Derivation,
    DerivationOptions,
    DerivedGroup,
    DerivedSet,
    PolicyReference,
)
from c7n_iamusers.derivation.others import OTHERS_UNDECIDED, OTHERS_WIDER
from c7n_iamusers.derivation.proving import ExistingSetProofs, all_managed
from c7n_iamusers.derivation.refusals import in_words
from c7n_iamusers.derivation.requested_permission_set import MANAGED_TAG, PermissionSet
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.iam.policy_documents import COMPROMISED
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.aws.instance import Center, username_tags
from c7n_iamusers.identity_center.aws.organization_policies import read_organization_policies
from c7n_iamusers.identity_center.requests.ability import inability
from c7n_iamusers.identity_center.requests.desired import AccessRequest, Checks
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from c7n_iamusers.identity_center.requests.others import OrganizationPolicies, OthersIndex, ResourcePolicies
from c7n_iamusers.identity_center.requests.people import Candidate
from c7n_iamusers.lockout.before_quarantine import before_quarantine
from c7n_iamusers.lockout.denied_users import is_denied
from c7n_iamusers.policy_comparison.budgets import AccountTimes, Clock
from c7n_iamusers.policy_comparison.comparison import UNDECIDED, WIDER, Proof
from c7n_iamusers.policy_comparison.principals import (
    GroupPermissions,
    ManagedPolicy,
    PrincipalPermissions,
    principal_permissions,
)
from c7n_iamusers.text.wording import shown

_Row = tuple[Intents, UserIntent, Candidate]
_DESCRIPTION = "Derived from the policies of IAM users by c7n-iamusers"
QUARANTINED = reasons.QUARANTINED.code
_SHOWN = 3
_NO_ROLES: Mapping[str, Mapping[str, Any] | None] = MappingProxyType({})


class AccessDerivation:
    """The derivation and the checks for ``desired_access``.

    ``results``: for a report. ``warnings``: lines. ``proofs``: compares permission sets with the users' policies.
    """

    def __init__(
        self,
        username_tags: Callable[[], frozenset[str]] = frozenset,
        today: date | None = None,
        clock: Clock | None = None,
        organization: Callable[[], OrganizationPolicies | str] | None = None,
        resources: ResourcePolicies | None = None,
    ) -> None:
        """``username_tags``: reads the session tags that hold the username; by default there are none.

        ``clock``: bounds the time of each account; see ``budgets``.
        ``organization``, ``resources``: see ``OthersIndex``. ``organization`` is called at most once, if users must be
        compared.
        """
        self._times = AccountTimes(clock) if clock else None
        self._organization, self._resources = organization, resources
        self._others: OthersIndex | None = None
        self._username_tags = username_tags
        self._today = today or datetime.now(timezone.utc).date()
        self.warnings: list[str] = []
        self.results: list[Derivation] = []
        self.proofs = ExistingSetProofs()

    @classmethod
    def at(
        cls, center: Callable[[], Center], clock: Clock, resources: ResourcePolicies | None = None
    ) -> AccessDerivation:
        """The derivation for a run that gives access at ``center``, with the policies of its organization.

        ``center``: called only if something must be read.
        """

        def organization() -> OrganizationPolicies | str:
            at = center()
            return read_organization_policies(at.session, at.instance.region, at.backoff)

        return cls(lambda: username_tags(center()), None, clock, organization, resources)

    def checks(
        self, intents: Sequence[Intents], elsewhere: Mapping[str, Mapping[str, Any] | None] = _NO_ROLES
    ) -> Checks:
        """The checks before access is given, for one call of ``desired_access`` with these ``intents``.

        The policies of others count in every verdict from here on. ``elsewhere``: account id -> roles as in
        ``PolicySource``, for accounts whose intents this run leaves out.
        """
        self._index(intents, elsewhere)
        named = _NamedSets(self.proofs, self._today, self._times)
        return Checks(lambda intents, user: inability(intents, user, self._today), named.verdict)

    def __call__(self, rows: Sequence[_Row]) -> tuple[list[AccessRequest], list[model.RefusedUser]]:
        """The users' requests, and the refusals. Policies with the same options derive together.

        Raises InvalidPolicyData for invalid options.
        """
        requests: list[AccessRequest] = []
        refused: list[model.RefusedUser] = []
        by_options: defaultdict[str, list[_Row]] = defaultdict(list)
        if self._others is None:
            self._index([intents for intents, _, _ in rows])
        for row in rows:
            by_options[json.dumps(row[0].derive, sort_keys=True)].append(row)
        for options, alike in sorted(by_options.items()):
            found, left = self._derived(alike, self._options(json.loads(options)))
            requests += found
            refused += left
        return requests, refused

    def scope(self, account_id: str) -> str:
        """Which policies of others count in the account's verdicts, in words; empty if none were read."""
        return self.proofs.others(account_id).scope_text

    def scope_lines(self) -> list[str]:
        """Which policies of others count in the verdicts, in lines."""
        return list(self._others.lines()) if self._others else []

    def _index(
        self, intents: Sequence[Intents], elsewhere: Mapping[str, Mapping[str, Any] | None] = _NO_ROLES
    ) -> None:
        """Accounts without users count, too: their roles may trust principals of others."""
        roles = dict(elsewhere)
        for intent in intents:
            known = roles.get(intent.account_id)
            roles[intent.account_id] = known if known is not None else intent.source.roles
        compares = any(user.person for intent in intents for user in intent.users)
        organization = self._organization() if self._organization and compares else None
        self._others = OthersIndex(roles, organization, self._resources)
        self.proofs.others = self._others.of

    def _options(self, settings: Mapping[str, Any]) -> DerivationOptions:
        options = replace(derivation_options(settings, self._today), times=self._times)
        tag = options.username_tag
        if not tag or tag in self._username_tags():
            return options
        self.warnings.append(
            f"username-tag {tag}: Identity Center has no attribute for access control of that key whose value is "
            "${path:userName}, so policy elements with ${aws:username} are not derived: add it (Settings, Attributes "
            "for access control), and run again"
        )
        return replace(options, username_tag="")

    def _derived(
        self, rows: list[_Row], options: DerivationOptions
    ) -> tuple[list[AccessRequest], list[model.RefusedUser]]:
        # c7n-org may list a user in two Regions or policies. It is derived once.
        by_arn = {user.subject.arn: (intents, user, candidate) for intents, user, candidate in reversed(rows)}
        refused: list[model.RefusedUser] = []
        principals: list[PrincipalPermissions] = []
        shared = _Shared()
        for intents, user, candidate in by_arn.values():
            try:
                principal = shared.principal(intents, user, candidate)
                principals.append(principal)
                self.proofs.add([principal], options, intents.source.policies)
            except Exception as error:  # noqa: BLE001  # whatever one user has, it stops no other
                reason = f"its policies are unknown: {_told(error)}"
                refused.append(_refused(intents, user, reason, reasons.POLICIES_UNKNOWN))
        found = derive(principals, options, self.proofs.others)
        self.results.append(found)
        for refusal in found.refused:
            intents, user, _ = by_arn[refusal.subject.arn]
            verdict = refusal.proof.verdict if refusal.proof else ""
            refused.append(replace(_refused(intents, user, refusal.reason), verdict=verdict))
        return _asks(found, by_arn), refused


def derivation_options(settings: Mapping[str, Any], today: date) -> DerivationOptions:
    """The record of a policy's ``derive:``. Raises InvalidPolicyData."""
    plain = {key.replace("-", "_"): value for key, value in settings.items() if key != "accept"}
    return DerivationOptions(**plain, accept=parse_acceptances(settings, "derive"), today=today)


def permission_set_of(derived: DerivedSet) -> PermissionSet:
    """A derived permission set, with the tag of managed ones."""
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
    """Shares equal policies and groups of the users of an account, and equal lists of them, which saves most of the
    memory.

    A user in our own quarantine keeps its earlier policies here: ``ability`` decides whether it gets anything.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[int, str], GroupPermissions] = {}
        self._policies: dict[tuple[int, str], ManagedPolicy] = {}
        #: Keyed by the objects in them.
        self._lists: dict[tuple[object, ...], tuple[Any, ...]] = {}

    def principal(self, intents: Intents, user: UserIntent, candidate: Candidate) -> PrincipalPermissions:
        """Raises EvidenceUnreadable, KeyError."""
        assert candidate.person is not None
        if user.detail is None:
            raise EvidenceUnreadable("its intents have none: run the policy again")
        source, account = intents.source, id(intents)
        detail = before_quarantine(user.detail)
        found = principal_permissions(detail, source.groups, source.policies, candidate.person.username)
        attached = [self._policies.setdefault((account, each.arn), each) for each in found.attached]
        groups = [self._groups.setdefault((account, group.name), group) for group in found.groups]
        inline = tuple((name, id(document)) for name, document in found.inline)
        return replace(
            found,
            mfa=user.credentials is not None and user.credentials.mfa is True,
            attached=self._lists.setdefault(tuple(map(id, attached)), tuple(attached)),
            groups=self._lists.setdefault(tuple(map(id, groups)), tuple(groups)),
            # Documents are shared already (PolicyInterner).
            inline=self._lists.setdefault(inline, found.inline),
        )


def _asks(found: Derivation, by_arn: Mapping[str, _Row]) -> list[AccessRequest]:
    once: dict[object, Any] = {}
    sets = {each.name: permission_set_of(each) for each in found.sets}
    groups = {each.name: _grants(each, once) for each in found.groups}
    requests = []
    for principal in found.principals:
        intents, user, candidate = by_arn[principal.subject.arn]
        group = model.Group(principal.group_name, groups[principal.group_name], intents.external)
        group = once.setdefault(group, group)
        own = model.Grant(principal.subject.account_id, principal.set_name)
        own = once.setdefault(own, own)
        requested = tuple(sets[name] for name in sorted({grant.permission_set for grant in group.grants}))
        requested = once.setdefault(group.name, requested)
        verdict = principal.proof.verdict
        requests.append(AccessRequest(user.subject, candidate, group, own, requested, intents.place, verdict))
    return requests


def _grants(group: DerivedGroup, once: dict[object, Any]) -> frozenset[model.Grant]:
    """``once``: an object -> the one to use for all equal ones."""
    grants = (model.Grant(*assignment) for assignment in group.assignments)
    return frozenset(once.setdefault(grant, grant) for grant in grants)


class _NamedSets:
    """Compares permission sets that intents request by name with the policies of their users."""

    def __init__(self, proofs: ExistingSetProofs, today: date, times: AccountTimes | None) -> None:
        self._proofs, self._today, self._times = proofs, today, times
        self._shared = _Shared()
        self._options: dict[int, DerivationOptions] = {}

    def verdict(self, intents: Intents, user: UserIntent, candidate: Candidate) -> str | model.RefusedUser:
        """The verdict on the permission set of ``intents``, or the refusal of the user."""
        requested = intents.permission_set
        assert requested is not None
        try:
            principal = self._shared.principal(intents, user, candidate)
        except Exception as error:  # noqa: BLE001  # whatever one user has, it stops no other
            reason = (
                f"its policies are unknown, so {requested.name} can't be compared with them: {_told(error)}"
            )
            return _refused(intents, user, reason, reasons.POLICIES_UNKNOWN)
        exposed = (each for each in all_managed(principal) if each.name.startswith(COMPROMISED))
        if found := next(exposed, None):
            reason = f"has policy {found.name}: AWS detected an exposed access key; investigate it first"
            return _refused(intents, user, reason, reasons.NOT_PROVEN)
        options = self._options_of(intents, requested)
        self._proofs.add([principal], options, intents.source.policies)
        proof = self._proofs.proof(user.subject.arn, requested)
        unread = sorted(requested.managed_policies - _known(principal, intents.source.policies))
        if unread and proof.verdict == WIDER:
            proof = replace(proof, verdict=UNDECIDED)
        if is_permitted(with_acceptance(proof, user.subject, options.accept, options.today)):
            return proof.verdict
        refusal = _refused(intents, user, _unproven(requested, proof, unread), reasons.NOT_PROVEN)
        return replace(refusal, verdict=proof.verdict)

    def _options_of(self, intents: Intents, requested: PermissionSet) -> DerivationOptions:
        if id(intents) not in self._options:
            rows = parse_acceptances({"accept": intents.accept}, "accept", for_all=True)
            self._options[id(intents)] = DerivationOptions(
                requested.session_duration, accept=rows, today=self._today, times=self._times
            )
        return self._options[id(intents)]


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, (EvidenceUnreadable, KeyError)) else repr(error)


def _known(principal: PrincipalPermissions, policies: Mapping[str, Any]) -> frozenset[str]:
    """The ARNs of comparable policies: their document is known, or the user has them itself."""
    return frozenset(policies) | {each.arn for each in all_managed(principal)}


#: Remarks on policies of others that let a person's sessions do more.
_OF_OTHERS = (OTHERS_WIDER, OTHERS_UNDECIDED)


def _unproven(requested: PermissionSet, proof: Proof, unread: Sequence[str]) -> str:
    """Why a permission set by name is not given, in words."""
    accept = f"name it in accept: [...] with verdict: {proof.verdict}"
    if unread:
        return (
            f"it is undecided whether permission set {requested.name} grants more than its policies, as "
            f"{shown(unread)} could not be read: allow iam:GetPolicy and iam:GetPolicyVersion to the role that reads "
            f"the account, or {accept}"
        )
    examples = "; ".join(map(in_words, proof.witnesses[:_SHOWN]))
    example = f", for example {examples}" if examples else ""
    of_others = (f"{remark.source} {remark.text}" for remark in proof.remarks if remark.id in _OF_OTHERS)
    example += "".join(f"; {other}" for other in of_others)
    found = (
        f"it is undecided whether permission set {requested.name} grants more than its policies"
        if proof.verdict == UNDECIDED
        else f"permission set {requested.name} was not proven to grant no more than its policies"
    )
    return f"{found}{example}: request what it may do by derive: true, or {accept}"


def _refused(
    intents: Intents, user: UserIntent, why: str, kind: reasons.Kind = reasons.NOT_DERIVED
) -> model.RefusedUser:
    kind = reasons.QUARANTINED if user.detail and is_denied(user.detail, intents.source) else kind
    return model.RefusedUser(user.subject, kind(user=user.subject, why=why), intents.place)


def _path_and_name(policy: str | PolicyReference) -> str:
    return policy if isinstance(policy, str) else f"{policy.path}{policy.name}"
