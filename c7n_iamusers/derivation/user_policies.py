# SPDX-License-Identifier: Apache-2.0
"""The policies of one IAM user, and their translation for a permission set. Pure.

Each statement is unchanged, changed, or left out with a remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from c7n_iamusers.derivation.canonical import Boundary, Content, canonical
from c7n_iamusers.derivation.model import DerivationOptions, PolicyReference
from c7n_iamusers.policy_comparison import principals
from c7n_iamusers.policy_comparison.comparison import CARRIED, LEFT_OUT, TRANSLATED, Remark
from c7n_iamusers.policy_comparison.conditions import Condition, outcomes
from c7n_iamusers.policy_comparison.patterns import Element, escaped, substituted, variables
from c7n_iamusers.policy_comparison.statement_scope import widest
from c7n_iamusers.policy_comparison.statements import (
    EVERYTHING,
    IAM_USERS_ONLY,
    PolicyStatement,
    managed_statements,
    parse_policy,
)

_MFA = (
    "have Identity Center ask for MFA every time people sign in (Settings, Authentication), then say so with "
    "derive: {identity-center-mfa: true}, as `c7n-iamusers init DIR --identity-center-mfa yes` writes it; it "
    "counts for users that have an MFA device"
)
_REMEDIES = {
    principals.MFA_PRESENT: _MFA,
    principals.MFA_AGE: (
        "Identity Center does not provide the age of an MFA sign-in: keep session-duration short, and remove the "
        "condition from the user's policy"
    ),
}
_UNKNOWN = "correct the operator or the key in the user's policy, or remove the condition"
_ANY_KEY = "remove the condition from the user's policy, or write the permission set by hand"
_VARIABLE = (
    "map the attribute for access control to the username and name it in derive: {username-tag: ...}, for people "
    "whose two usernames are the same; or allow a set for each value with derive: {write-out: true}; or grant it "
    "by hand"
)


def changed_condition(source: str, condition: Condition) -> Remark:
    """The remark on an Allow that is left out because its condition has another outcome in Identity Center."""
    if _is_unknown(condition):
        return _of_unknown("allows", source, condition)
    text = f"allows on the condition {condition}, whose outcome differs in Identity Center, so it is left out"
    return Remark("condition-changes", source, text, _REMEDIES.get(condition.key, _ANY_KEY))


def lost_deny(source: str, condition: Condition) -> Remark:
    """The remark on a Deny that is left out because its condition would lock people out, or never apply."""
    if _is_unknown(condition):
        return _of_unknown("denies", source, condition)
    effect = "would lock people out" if condition.key in _REMEDIES else "applies to nobody or to everybody"
    text = f"denies on the condition {condition}, which in Identity Center {effect}, so it is left out"
    return Remark("deny-lost", source, text, _REMEDIES.get(condition.key, _ANY_KEY))


def _is_unknown(condition: Condition) -> bool:
    return not (condition.is_known and principals.is_documented_key(condition.key))


def _of_unknown(does: str, source: str, condition: Condition) -> Remark:
    unknown = "whose operator or key AWS does not document"
    text = f"{does} on the condition {condition}, {unknown}, so it is left out"
    return Remark("condition-unknown", source, text, _UNKNOWN)


def lost_variable(statement: PolicyStatement, texts: Iterable[str]) -> Remark:
    """The remark on a variable without equivalent: an Allow loses the text with it, and a Deny denies more."""
    keys = sorted({key for text in texts for key in variables(text) if principals.depends_on_principal(key)})
    named = f"{', '.join(keys)} in {', '.join(sorted(texts))}"
    if statement.allows:
        text = f"{named} has no equivalent in Identity Center, so this part is not allowed"
        return Remark("variable-left-out", statement.source, text, _VARIABLE)
    text = f"{named} has no equivalent in Identity Center, so more is denied"
    return Remark("denied-more", statement.source, text, _VARIABLE)


def aws_remarks(policy: principals.ManagedPolicy, source: str) -> Iterator[Remark]:
    """The remarks on an AWS-managed policy, which can only be attached unchanged."""
    if policy.name in IAM_USERS_ONLY:
        text = "is for IAM users' own passwords and keys, which are deleted with the user, so it is left out"
        yield Remark("iam-users-only", source, text)
    elif policy.document is None:
        text = f"is attached as {policy.arn}; its document was not read, so it counts as equal on both sides"
        yield Remark("document-unknown", source, text)
    elif dependent := [statement for statement in managed_statements(policy, source) if statement.dependent]:
        text = f"{len(dependent)} of its statements read what changes with the way in, {dependent[0].source} first"
        yield Remark(
            "aws-managed-changes", source, text, "see whether its people need these, and grant them by hand"
        )


@dataclass(frozen=True)
class VariableTranslation:
    """How variables of an IAM user are replaced. ``context``: of the user. ``write_out``: replace them by known values.

    ``username_tag``: the session tag whose value equals the user's name, empty for none.
    """

    context: principals.RequestContext
    write_out: bool = False
    username_tag: str = ""

    def of(self, key: str) -> str | None:
        """The replacement of the variable ``key`` (in lower case); None if there is none."""
        if key == principals.USERNAME and self.username_tag:
            return f"${{aws:PrincipalTag/{self.username_tag}}}"
        values = self.context.values(key) if self.write_out else None
        value = next(iter(values)) if values and len(values) == 1 else None
        return None if value is None else escaped(value)


def variable_translation(
    principal: principals.PrincipalPermissions, options: DerivationOptions, context: principals.RequestContext
) -> VariableTranslation:
    """The replacements for ``principal``. The session tag applies only if the person's username is the user's name."""
    same = bool(principal.person) and principal.person == principal.user_name
    return VariableTranslation(context, options.write_out, options.username_tag if same else "")


def translate_texts(
    texts: Iterable[str], translation: VariableTranslation
) -> tuple[frozenset[str], frozenset[str]]:
    """The translated texts, and the originals of those that can't be translated."""
    kept, lost = set(), set()
    for text in texts:
        keys = [key for key in variables(text) if principals.depends_on_principal(key)]
        if any(translation.of(key) is None for key in keys):
            lost.add(text)
        else:
            kept.add(_replaced(text, translation))
    return frozenset(kept), frozenset(lost)


def _replaced(text: str, translation: VariableTranslation) -> str:
    return substituted(
        text, lambda key, _: translation.of(key) if principals.depends_on_principal(key) else None
    )


@dataclass(frozen=True)
class StatementTranslation:
    """The statement ``original`` and its translation; ``translated`` is None if it is left out."""

    original: PolicyStatement
    translated: PolicyStatement | None
    remarks: tuple[Remark, ...] = ()

    @property
    def how(self) -> str:
        """CARRIED, TRANSLATED or LEFT_OUT."""
        if self.translated is None:
            return LEFT_OUT
        return CARRIED if self.translated == self.original else TRANSLATED


class _LeftOut(Exception):
    """The statement can't be translated."""

    def __init__(self, remark: Remark) -> None:
        self.remark = remark
        super().__init__(remark.text)


def translate(
    statement: PolicyStatement, context: principals.RequestContext, translation: VariableTranslation
) -> StatementTranslation:
    """Translate ``statement`` of a user with ``context`` for a permission set."""
    remarks = list(_version(statement))
    try:
        conditions = list(_conditions(statement, context, translation, remarks))
        resources = _resources(statement, translation, remarks)
    except _LeftOut as left_out:
        return StatementTranslation(statement, None, (*remarks, left_out.remark))
    result = replace(statement, conditions=frozenset(conditions), resources=resources)
    return StatementTranslation(statement, result, tuple(remarks))


def _version(statement: PolicyStatement) -> Iterator[Remark]:
    if statement.legacy:
        yield Remark(
            "version",
            statement.source,
            "is in a policy with version 2008-10-17, which has no variables: each ${ is kept as literal text",
        )


def _conditions(
    statement: PolicyStatement,
    context: principals.RequestContext,
    translation: VariableTranslation,
    remarks: list[Remark],
) -> Iterator[Condition]:
    for condition in sorted(statement.conditions):
        if principals.depends_on_principal(condition.key) or not condition.is_known:
            remarks.append(_settled(statement, condition, context))
        elif (kept := _values(statement, condition, translation, remarks)) is not None:
            yield kept


def _settled(statement: PolicyStatement, condition: Condition, context: principals.RequestContext) -> Remark:
    """The remark on a condition that is always met and therefore removed. Raises _LeftOut for any other."""
    possible = outcomes(condition, context.values(condition.key))
    who = "after a sign-in with MFA" if condition.key == principals.MFA_PRESENT else "by this user"
    if possible == frozenset({True}):
        text = f"the condition {condition} is always met {who}, so the condition is removed"
        return Remark("condition-settled", statement.source, text)
    if possible == frozenset({False}):
        text = f"the condition {condition} is never met {who}, so the statement is left out"
        raise _LeftOut(Remark("never-applies", statement.source, text))
    changed = changed_condition if statement.allows else lost_deny
    raise _LeftOut(changed(statement.source, condition))


def _values(
    statement: PolicyStatement, condition: Condition, translation: VariableTranslation, remarks: list[Remark]
) -> Condition | None:
    """The condition without values that depend on the principal, stricter for an Allow. None to drop it from a Deny."""
    kept, lost = translate_texts(condition.values, translation)
    values = tuple(sorted(kept))
    if not lost:
        return replace(condition, values=values)
    remark = lost_variable(statement, lost)
    if statement.allows and (condition.negated or not values):
        raise _LeftOut(remark)
    remarks.append(remark)
    # Fewer values make a positive condition harder to meet, and a negated one easier.
    return replace(condition, values=values) if values and statement.allows != condition.negated else None


def _resources(
    statement: PolicyStatement, translation: VariableTranslation, remarks: list[Remark]
) -> Element:
    resources = statement.resources
    kept, lost = translate_texts(resources.patterns, translation)
    if not lost:
        return Element(kept, resources.negated)
    remark = lost_variable(statement, lost)
    if statement.allows and not resources.negated and not kept:
        raise _LeftOut(remark)
    remarks.append(remark)
    # An Allow may only get narrower and a Deny only wider.
    if statement.allows == resources.negated:
        return Element(kept | frozenset(map(widest, lost)), resources.negated)
    return Element(kept, resources.negated) if kept else EVERYTHING


@dataclass(frozen=True)
class AwsPolicy:
    """An AWS-managed policy of the user. ``source``: the policy and group, in words."""

    policy: principals.ManagedPolicy
    source: str

    @property
    def left_out(self) -> bool:
        """Whether it is useful only to IAM users."""
        return self.policy.name in IAM_USERS_ONLY


@dataclass(frozen=True)
class CustomerPolicy:
    """A customer-managed policy (``reference``) or an inline policy (None), statement by statement."""

    translations: tuple[StatementTranslation, ...]
    reference: PolicyReference | None = None

    @property
    def whole(self) -> bool:
        """Whether a permission set can refer to the policy, because no statement changes."""
        return self.reference is not None and all(
            translation.how == CARRIED for translation in self.translations
        )

    @property
    def translated(self) -> tuple[PolicyStatement, ...]:
        """Its statements that a permission set can have."""
        return tuple(translation.translated for translation in self.translations if translation.translated)


@dataclass(frozen=True)
class UserPolicies:
    """A user with all its policies. ``own``: customer-managed and inline."""

    principal: principals.PrincipalPermissions
    aws: tuple[AwsPolicy, ...]
    own: tuple[CustomerPolicy, ...]
    boundary: Boundary | None

    @cached_property
    def content(self) -> Content:
        """What the user's permission set must grant."""
        statements = canonical(each for policy in self.own for each in policy.translated)
        managed = frozenset(each.policy.arn for each in self.aws if not each.left_out)
        return Content(managed, statements, self.boundary)

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """The remarks on all its policies."""
        own = [
            remark
            for policy in self.own
            for translation in policy.translations
            for remark in translation.remarks
        ]
        return (*(remark for each in self.aws for remark in aws_remarks(each.policy, each.source)), *own)


def read_user_policies(
    principal: principals.PrincipalPermissions, options: DerivationOptions
) -> UserPolicies:
    """The policies of ``principal``. Raises ValueError for a policy that was not read or does not parse."""
    context = principals.user_context(principal, options.identity_center_mfa)
    managed = list(principal.managed_policies)
    return UserPolicies(
        principal,
        tuple(_aws(policy, source) for policy, source in managed if policy.aws_managed),
        (
            *(
                _own(managed_statements(policy, source), principal, context, options, policy)
                for policy, source in managed
                if not policy.aws_managed
            ),
            *(
                _own(parse_policy(document, source), principal, context, options)
                for document, source in principal.inline_policies
            ),
        ),
        _boundary(principal.boundary),
    )


def _aws(policy: principals.ManagedPolicy, source: str) -> AwsPolicy:
    managed_statements(policy, source)  # raises for a document that does not parse
    return AwsPolicy(policy, source)


def _own(
    statements: tuple[PolicyStatement, ...],
    principal: principals.PrincipalPermissions,
    context: principals.RequestContext,
    options: DerivationOptions,
    policy: principals.ManagedPolicy | None = None,
) -> CustomerPolicy:
    translation = variable_translation(principal, options, context)
    translations = tuple(translate(statement, context, translation) for statement in statements)
    return CustomerPolicy(translations, PolicyReference(policy.name, policy.path) if policy else None)


def _boundary(policy: principals.ManagedPolicy | None) -> Boundary | None:
    if policy is None:
        return None
    statements = managed_statements(policy, f"permissions boundary {policy.name}")
    if locked := [
        statement.source for statement in statements if not statement.allows and statement.dependent
    ]:
        raise ValueError(
            f"{locked[0]} denies on a condition whose outcome differs in Identity Center. A permission set uses a "
            "boundary unchanged, and this one would lock people out: give the user a boundary without this statement"
        )
    if policy.aws_managed:
        return Boundary(policy.arn, None, ())
    return Boundary("", PolicyReference(policy.name, policy.path), canonical(statements))
