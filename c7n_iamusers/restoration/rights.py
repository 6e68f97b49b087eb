# SPDX-License-Identifier: Apache-2.0
"""Whether a restored user could do more than the user in its snapshot. Pure.

A restoration gives back only names of groups, policies and a boundary, whose rights may have changed since. So the
rights in the snapshot's documents are compared with those in today's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from c7n_iamusers.derivation.canonical import written
from c7n_iamusers.derivation.proving import old_policies
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.policy_documents import PolicyVersion, policy_arns
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.policy_comparison.comparison import EQUAL, TOO_COMPLEX, UNPROVEN, Policies, Witness, compare
from c7n_iamusers.policy_comparison.patterns import Element
from c7n_iamusers.policy_comparison.principals import RequestContext, principal_permissions, user_context
from c7n_iamusers.policy_comparison.statements import ALLOW, EVERYTHING, PolicyStatement
from c7n_iamusers.snapshots.snapshot import Snapshot

#: Denies of a user that are compared. A snapshot may claim any number, and each takes longer than the one before.
_MOST_DENIES = 500
#: Allows all: a Deny takes the same from it as from what a resource's own policy allows.
_EVERYTHING = PolicyStatement(ALLOW, EVERYTHING, EVERYTHING, source="everything")
_USER_ID = "aws:userid"


@dataclass(frozen=True)
class CurrentRights:
    """What decides rights now. ``policies``: existing ones by ARN. ``groups``: existing ``GroupDetail`` by name."""

    policies: Mapping[str, PolicyVersion] = field(default_factory=dict)
    groups: Mapping[str, Item] = field(default_factory=dict)


def user_after(
    snapshot: Snapshot, now: IamUser | None, boundary: tuple[Item, ...], current: CurrentRights
) -> IamUser:
    """``now`` (None: a new user) with its own ``boundary`` and the parts of ``snapshot`` that still exist."""
    was, present = (
        snapshot.user,
        {attachments.GROUP: current.groups, attachments.ATTACHED_POLICY: current.policies},
    )
    held = dict((now or was).attachments)
    for kind in (attachments.GROUP, attachments.ATTACHED_POLICY, attachments.INLINE_POLICY):
        own = now.attachments[kind.name] if now else ()
        names = {item[kind.identifier] for item in own}
        given = (item for item in was.attachments[kind.name] if item[kind.identifier] not in names)
        held[kind.name] = (
            *own,
            *(item for item in given if kind not in present or item[kind.identifier] in present[kind]),
        )
    held[attachments.PERMISSIONS_BOUNDARY.name] = boundary
    return IamUser(now.detail if now else {**was.detail, "UserId": ""}, held)


@dataclass(frozen=True)
class RightsChange:
    """What a restored user could do that it could not do before, in words, one per line.

    ``wider``: from changes by people. ``unknown``: why the rights can't be compared. ``by_aws``: from what AWS added to
    its AWS-managed policies.
    """

    wider: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    by_aws: tuple[str, ...] = ()

    def __add__(self, other: RightsChange) -> RightsChange:
        """Both."""
        return RightsChange(
            self.wider + other.wider, self.unknown + other.unknown, self.by_aws + other.by_aws
        )

    def beyond(self, shown: RightsChange) -> tuple[str, ...]:
        """The lines that are not in ``shown``."""
        known = {*shown.wider, *shown.unknown, *shown.by_aws}
        return tuple(each for each in (*self.wider, *self.unknown, *self.by_aws) if each not in known)


def rights_change(
    was: Snapshot,
    after: IamUser,
    current: CurrentRights,
    own_groups: frozenset[str] = frozenset(),
    begun: Snapshot | None = None,
) -> RightsChange:
    """What the restored user ``after`` can do beyond the one in ``was``.

    ``own_groups``: names of groups that a restoration created in place of those in the snapshot. ``begun``: the last
    snapshot before anything was removed. A Deny that it has and ``after`` lacks counts, whoever removed it.
    """
    unknown = dict(_unknown(was, after, current))
    known = {each.arn: each.text for each in was.policies or ()}
    today = {arn: each.text for arn, each in current.policies.items()}
    by_aws = {arn: text for arn, text in known.items() if arn in today and arn.split(":")[4] == "aws"}
    lines, without = tuple(unknown.values()), frozenset(unknown)
    try:
        then = Rights.of(was.user, _by_name(was.groups), known, without)
        people = Rights.of(after, current.groups, {**today, **by_aws}, without)
        now = Rights.of(after, current.groups, today, without)
        for each in (then, people, now):
            each.require_few_denies()
    except (ValueError, EvidenceUnreadable) as error:
        return RightsChange(unknown=(*lines, str(error)))
    wider = (*_other_groups(was, after, current, own_groups), *then.exceeded_by(people))
    wider += tuple(each for each in _lost_since(begun, people) if each not in wider)
    return RightsChange(wider, lines, tuple(people.exceeded_by(now)))


def _by_name(groups: Iterable[Item]) -> dict[str, Item]:
    return {str(each["GroupName"]): each for each in groups}


def _lost_since(begun: Snapshot | None, people: Rights) -> Iterator[str]:
    """The Denies in ``begun`` that are missing, in words."""
    if begun is None:
        return
    documents = {each.arn: each.text for each in begun.policies or ()}
    without = frozenset(arn for arn in policy_arns(begun.user, begun.groups) if arn not in documents)
    try:
        first = Rights.of(begun.user, _by_name(begun.groups), documents, without)
        first.require_few_denies()
    except (ValueError, EvidenceUnreadable) as error:
        yield f"what it was denied when its deletion began can't be read: {error}"
        return
    yield from (f"no longer denied: {each.source}: {_text(each)}" for each in first.denies_gone_from(people))


def _unknown(was: Snapshot, after: IamUser, current: CurrentRights) -> Iterator[tuple[str, str]]:
    """The ARNs of policies and names of groups that can't be compared, each with the reason in words."""
    if was.policies is None:
        yield "", "the snapshot has no documents of policies, so it is unknown what the user could do"
    known, details = {each.arn for each in was.policies or ()}, _by_name(was.groups)
    for name in was.user.groups or ():
        if name not in details:
            yield name, f"the snapshot has no policies of group {name}"
    for arn in policy_arns(was.user, was.groups):
        if arn not in known:
            yield arn, f"the snapshot has no document of {arn}"
    groups = [current.groups[name] for name in after.groups or () if name in current.groups]
    for arn in policy_arns(after, groups):
        if arn not in current.policies:
            yield arn, f"policy {arn} no longer exists"


def _other_groups(
    was: Snapshot, after: IamUser, current: CurrentRights, own_groups: frozenset[str]
) -> Iterator[str]:
    """Names of the user's groups that now belong to other groups."""
    ids = {str(each["GroupName"]): each.get("GroupId") for each in was.groups}
    for name in after.groups or ():
        now = current.groups[name].get("GroupId")
        if name in ids and ids[name] != now and name not in own_groups:
            yield f"group {name} is another one: it was {ids[name]}, and {now} has the name now"


@dataclass(frozen=True)
class Rights:
    """What ``policies`` allow a principal whose requests have ``context``."""

    policies: Policies
    context: RequestContext

    @classmethod
    def of(
        cls, user: IamUser, groups: Mapping[str, Item], documents: Mapping[str, str], without: frozenset[str]
    ) -> Rights:
        """The rights of ``user`` from all but the policies (ARNs) and groups (names) in ``without``.

        Raises ValueError for a policy that does not parse, EvidenceUnreadable for a group that is missing.
        """

        def left(kind: attachments.AttachmentKind, items: Iterable[Item]) -> list[Item]:
            return [item for item in items if item[kind.identifier] not in without]

        held = user.attachments
        boundary = left(attachments.PERMISSIONS_BOUNDARY, held[attachments.PERMISSIONS_BOUNDARY.name])
        attached = attachments.ATTACHED_POLICY
        member = "AttachedManagedPolicies"
        groups = {
            name: {**group, member: left(attached, group.get(member) or ())} for name, group in groups.items()
        }
        detail = {
            **user.detail,
            "Tags": held[attachments.TAG.name],
            "GroupList": [name for name in user.groups or () if name not in without],
            member: left(attached, held[attached.name]),
            "UserPolicyList": held[attachments.INLINE_POLICY.name],
            "PermissionsBoundary": boundary[0] if boundary else None,
        }
        principal = principal_permissions(detail, groups, documents)
        context = user_context(principal)
        if not user.unique_id:
            known = {key: values for key, values in context.facts.items() if key != _USER_ID}
            context = replace(context, facts=known)
        return cls(old_policies(principal), context)

    @property
    def denies(self) -> tuple[PolicyStatement, ...]:
        whole = (*self.policies.statements, *(self.policies.boundary or ()))
        return tuple(each for each in whole if not each.allows)

    def exceeded_by(self, other: Rights) -> Iterator[str]:
        """What ``other`` allows, or no longer denies, beyond these rights, in words."""
        gone = [
            each for each in self._changed(self.denies, other, other.denies) if self._is_gone(each, other)
        ]
        yield from (f"no longer denied: {each.source}: {_text(each)}" for each in gone)
        # No second proof below for what is denied as before.
        before, after = self.policies if gone else _without_denies(self.policies), other.policies
        allowed, limits = _allows(after.statements), _allows(after.boundary)
        added = self._changed(allowed, other, _allows(before.statements))
        raised = self._changed(limits, other, _allows(before.boundary))
        unbounded = before.boundary is not None and after.boundary is None
        # An earlier Allow grants no more while all its limits remain.
        compared = allowed if gone or raised or unbounded else added
        new = replace(after, statements=(*compared, *(each for each in after.statements if not each.allows)))
        verdict, witnesses = compare(new, other.context, before, self.context) if compared else (EQUAL, ())
        if verdict not in UNPROVEN:
            return
        yield from (f"newly allowed: {_in_words(each)}" for each in witnesses)
        if unbounded:
            yield "it would no longer have a permissions boundary"
        sources = {each.statement for each in witnesses}
        for statement in (each for each in added if each.source in sources):
            yield f"new statement: {statement.source}: {_text(_rest(statement, before.statements))}"
        for statement in raised:
            yield f"new statement: {statement.source}: {_text(_rest(statement, before.boundary or ()))}"

    def require_few_denies(self) -> None:
        """Raises ValueError if there are more Denies than are compared: each is, with all others."""
        if len(self.denies) > _MOST_DENIES:
            raise ValueError(f"it has {len(self.denies)} Denies, and at most {_MOST_DENIES} are compared")

    def denies_gone_from(self, other: Rights) -> list[PolicyStatement]:
        """The Denies that ``other`` lacks without a substitute."""
        return [
            each for each in self._changed(self.denies, other, other.denies) if self._is_gone(each, other)
        ]

    def _changed(
        self, statements: Iterable[PolicyStatement], other: Rights, against: Iterable[PolicyStatement]
    ) -> list[PolicyStatement]:
        """The ``statements`` that ``against`` lacks, or that can mean something else for the other user."""
        same = set(against)
        return [each for each in statements if each not in same or self._varies(each, other)]

    def _varies(self, statement: PolicyStatement, other: Rights) -> bool:
        """Whether the same text can mean something else for the other user.

        A unique id in a variable does not count: each user's own id leads to its own resources. A condition on the
        unique id counts, because it names one of them.
        """
        conditions = {each.key for each in statement.conditions}
        return any(
            self.context.values(key) != other.context.values(key)
            for key in statement.keys
            if key != _USER_ID or key in conditions
        )

    def _is_gone(self, deny: PolicyStatement, other: Rights) -> bool:
        """Whether ``other`` does not deny all that ``deny`` denies."""
        before, after = Policies((_EVERYTHING, deny)), Policies((_EVERYTHING, *other.denies))
        return compare(after, other.context, before, self.context)[0] in UNPROVEN


def _allows(statements: Iterable[PolicyStatement] | None) -> tuple[PolicyStatement, ...]:
    return tuple(each for each in statements or () if each.allows)


def _without_denies(policies: Policies) -> Policies:
    boundary = policies.boundary
    return Policies(_allows(policies.statements), None if boundary is None else _allows(boundary))


def _rest(statement: PolicyStatement, before: Iterable[PolicyStatement]) -> PolicyStatement:
    """``statement`` without actions that similar statements of ``before`` have. AWS's can have thousands."""
    alike = (each for each in before if replace(each, actions=statement.actions) == statement)
    known = [each.actions.patterns for each in alike if not each.actions.negated]
    rest = statement.actions.patterns.difference(*known)
    return replace(statement, actions=Element(rest)) if rest and not statement.actions.negated else statement


def _text(statement: PolicyStatement) -> str:
    return json.dumps(written(statement), ensure_ascii=False)


def _in_words(witness: Witness) -> str:
    conditions = f" ({witness.conditions})" if witness.conditions else ""
    if witness.action == TOO_COMPLEX:
        return f"{witness.statement}{conditions}, which is too complex to compare"
    return f"{witness.action} on {witness.resource}{conditions}, by {witness.statement}"
