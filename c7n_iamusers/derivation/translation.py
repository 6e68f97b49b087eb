# SPDX-License-Identifier: Apache-2.0
"""A user's statement in a permission set: unchanged, translated, or refused with a remedy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from c7n_iamusers.derivation.model import DerivationOptions
from c7n_iamusers.derivation.policies import IAM_USERS_ONLY, read
from c7n_iamusers.policy_comparison.conditions import Condition, outcomes
from c7n_iamusers.policy_comparison.languages import Element
from c7n_iamusers.policy_comparison.patterns import escaped, substituted, variables
from c7n_iamusers.policy_comparison.principals import (
    MFA_AGE,
    MFA_PRESENT,
    USERNAME,
    ManagedPolicy,
    PrincipalPermissions,
    RequestContext,
    depends_on_principal,
    is_documented_key,
)
from c7n_iamusers.policy_comparison.proof import CARRIED, LEFT_OUT, TRANSLATED, Remark
from c7n_iamusers.policy_comparison.statements import EVERYTHING, PolicyStatement

_MFA = (
    "have Identity Center ask for MFA every time people sign in (Settings, Authentication), then say so with "
    "derive: {identity-center-mfa: true}"
)
_MENDS = {
    MFA_PRESENT: _MFA,
    MFA_AGE: (
        "nothing in Identity Center says how old an MFA sign-in is: keep session-duration short, and take the "
        "condition out of the user's policy"
    ),
}
_UNKNOWN = "correct the operator or the key in the user's policy, or take the condition out"
_ANY_KEY = "take the condition out of the user's policy, or say by hand what the permission set shall grant"
_VARIABLE = (
    "map the attribute for access control to the username and name it in derive: {username-tag: ...}, for people "
    "whose two usernames are the same; or allow a set for each value with derive: {write-out: true}; or grant it "
    "by hand"
)


def changed_condition(source: str, condition: Condition) -> Remark:
    """An Allow is lost, since its condition means something else in Identity Center."""
    if _is_unknown(condition):
        return _of_unknown("allows", source, condition)
    text = f"allows on the condition {condition}, whose meaning changes with the way in, so it is left out"
    return Remark("condition-changes", source, text, _MENDS.get(condition.key, _ANY_KEY))


def lost_deny(source: str, condition: Condition) -> Remark:
    """A Deny is lost, since with its condition it would lock people out, or hold no longer."""
    if _is_unknown(condition):
        return _of_unknown("denies", source, condition)
    effect = (
        "would lock people out" if condition.key in _MENDS else "would no longer hold, or hold for everybody"
    )
    text = f"denies on the condition {condition}, which in Identity Center {effect}, so it is left out"
    return Remark("deny-lost", source, text, _MENDS.get(condition.key, _ANY_KEY))


def _is_unknown(condition: Condition) -> bool:
    return not (condition.is_known and is_documented_key(condition.key))


def _of_unknown(does: str, source: str, condition: Condition) -> Remark:
    unknown = "whose operator or key AWS's documentation does not have"
    text = f"{does} on the condition {condition}, {unknown}, so it is left out"
    return Remark("condition-unknown", source, text, _UNKNOWN)


def lost_variable(statement: PolicyStatement, texts: Iterable[str]) -> Remark:
    """A variable has no equivalent: an Allow goes without it, a Deny reaches further."""
    keys = sorted({key for text in texts for key in variables(text) if depends_on_principal(key)})
    named = f"{', '.join(keys)} in {', '.join(sorted(texts))}"
    if statement.allows:
        text = f"{named} has no equivalent in Identity Center, so that much is not allowed"
        return Remark("variable-left-out", statement.source, text, _VARIABLE)
    text = f"{named} has no equivalent in Identity Center, so more is denied"
    return Remark("denied-more", statement.source, text, _VARIABLE)


def aws_remarks(policy: ManagedPolicy, source: str) -> Iterator[Remark]:
    """What there is to say of an AWS-managed policy, which can be attached only as it is."""
    if policy.name in IAM_USERS_ONLY:
        text = "serves IAM users' own passwords and keys, which go with the user, so it is left out"
        yield Remark("iam-users-only", source, text)
    elif policy.document is None:
        text = (
            f"is attached as {policy.arn}; its document was not read, so it counts as the same on both sides"
        )
        yield Remark("document-unknown", source, text)
    elif dependent := [each for each in read(policy, source) if each.dependent]:
        text = f"{len(dependent)} of its statements read what changes with the way in, {dependent[0].source} first"
        yield Remark(
            "aws-managed-changes", source, text, "see whether its people need these, and grant them by hand"
        )


@dataclass(frozen=True)
class Translation:
    """``context``: how the user came in. ``write_out``: known values may be written out.

    ``username_tag``: the session tag that will have the very value of the user's name, empty for none.
    """

    context: RequestContext
    write_out: bool = False
    username_tag: str = ""

    def of(self, key: str) -> str | None:
        """What stands for the variable of ``key`` (in lower case); None where nothing does."""
        if key == USERNAME and self.username_tag:
            return f"${{aws:PrincipalTag/{self.username_tag}}}"
        values = self.context.values(key) if self.write_out else None
        value = next(iter(values)) if values and len(values) == 1 else None
        return None if value is None else escaped(value)

    def widest(self, texts: Iterable[str]) -> frozenset[str]:
        """``texts`` with a star for each variable that depends on the way in."""
        return frozenset(
            substituted(text, lambda key, _: "*" if depends_on_principal(key) else None) for text in texts
        )


def translation_for(
    principal: PrincipalPermissions, options: DerivationOptions, context: RequestContext
) -> Translation:
    """The session tag is the user's name only for a person whose Identity Center username is the same."""
    same = bool(principal.person) and principal.person == principal.user_name
    return Translation(context, options.write_out, options.username_tag if same else "")


def translated(texts: Iterable[str], translation: Translation) -> tuple[frozenset[str], frozenset[str]]:
    """The texts without variables that depend on the way in, and those, as they were, that have to be lost."""
    kept, lost = set(), set()
    for text in texts:
        keys = [key for key in variables(text) if depends_on_principal(key)]
        if any(translation.of(key) is None for key in keys):
            lost.add(text)
        else:
            kept.add(_replaced(text, translation))
    return frozenset(kept), frozenset(lost)


def _replaced(text: str, translation: Translation) -> str:
    return substituted(text, lambda key, _: translation.of(key) if depends_on_principal(key) else None)


@dataclass(frozen=True)
class StatementTranslation:
    """What became of the statement ``original``; ``carried`` is None where it was left out."""

    original: PolicyStatement
    carried: PolicyStatement | None
    remarks: tuple[Remark, ...] = ()

    @property
    def how(self) -> str:
        """CARRIED, TRANSLATED or LEFT_OUT."""
        if self.carried is None:
            return LEFT_OUT
        return CARRIED if self.carried == self.original else TRANSLATED


class _LeftOut(Exception):
    """The statement can't stand in a permission set."""

    def __init__(self, remark: Remark) -> None:
        self.remark = remark
        super().__init__(remark.text)


def carry(
    statement: PolicyStatement, context: RequestContext, translation: Translation
) -> StatementTranslation:
    """``statement`` of somebody who came in by ``context``, as a permission set can have it."""
    remarks = list(_version(statement))
    try:
        conditions = list(_conditions(statement, context, translation, remarks))
        resources = _resources(statement, translation, remarks)
    except _LeftOut as left_out:
        return StatementTranslation(statement, None, (*remarks, left_out.remark))
    carried = replace(statement, conditions=frozenset(conditions), resources=resources)
    return StatementTranslation(statement, carried, tuple(remarks))


def _version(statement: PolicyStatement) -> Iterator[Remark]:
    if statement.legacy:
        yield Remark(
            "version",
            statement.source,
            "stands in a policy of version 2008-10-17, which knows no variables: each ${ in it is kept as the mere "
            "text that it is there",
        )


def _conditions(
    statement: PolicyStatement, context: RequestContext, translation: Translation, remarks: list[Remark]
) -> Iterator[Condition]:
    for condition in sorted(statement.conditions):
        if depends_on_principal(condition.key) or not condition.is_known:
            remarks.append(_settled(statement, condition, context))
        elif (kept := _values(statement, condition, translation, remarks)) is not None:
            yield kept


def _settled(statement: PolicyStatement, condition: Condition, context: RequestContext) -> Remark:
    """Raises _LeftOut for a condition that is not always met."""
    possible = outcomes(condition, context.values(condition.key))
    who = "by somebody who signed in with MFA" if condition.key == MFA_PRESENT else "by this user"
    if possible == frozenset({True}):
        text = f"the condition {condition} is always met {who}, and is left out"
        return Remark("condition-settled", statement.source, text)
    if possible == frozenset({False}):
        text = f"the condition {condition} is never met {who}, so the statement is left out"
        raise _LeftOut(Remark("never-applies", statement.source, text))
    changed = changed_condition if statement.allows else lost_deny
    raise _LeftOut(changed(statement.source, condition))


def _values(
    statement: PolicyStatement, condition: Condition, translation: Translation, remarks: list[Remark]
) -> Condition | None:
    """The condition without what depends on the way in, stricter for an Allow; None for a Deny without it."""
    kept, lost = translated(condition.values, translation)
    values = tuple(sorted(kept))
    if not lost:
        return replace(condition, values=values)
    remark = lost_variable(statement, lost)
    if statement.allows and (condition.negated or not values):
        raise _LeftOut(remark)
    remarks.append(remark)
    # Fewer values make a positive condition harder to meet, and a negated one easier.
    return replace(condition, values=values) if values and statement.allows != condition.negated else None


def _resources(statement: PolicyStatement, translation: Translation, remarks: list[Remark]) -> Element:
    resources = statement.resources
    kept, lost = translated(resources.patterns, translation)
    if not lost:
        return Element(kept, resources.negated)
    remark = lost_variable(statement, lost)
    if statement.allows and not resources.negated and not kept:
        raise _LeftOut(remark)
    remarks.append(remark)
    # An Allow may shrink and a Deny may grow: what is listed goes from the one, and reaches further in the other.
    if statement.allows == resources.negated:
        return Element(kept | translation.widest(lost), resources.negated)
    return Element(kept, resources.negated) if kept else EVERYTHING
