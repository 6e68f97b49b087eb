# SPDX-License-Identifier: Apache-2.0
"""What to tell people of permissions that can't be carried as they are, and how to mend it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from c7n_iamusers.decisions.derivation.reading import IAM_USERS_ONLY, read
from c7n_iamusers.decisions.policy_comparison.conditions import Condition
from c7n_iamusers.decisions.policy_comparison.patterns import variables
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement
from c7n_iamusers.decisions.policy_comparison.ways_in import (
    MFA_AGE,
    MFA_PRESENT,
    depends_on_way_in,
    has_known_meaning,
)
from c7n_iamusers.model.access_proof import Remark
from c7n_iamusers.model.principal_permissions import ManagedPolicy

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
    return not (condition.is_known and has_known_meaning(condition.key))


def _of_unknown(does: str, source: str, condition: Condition) -> Remark:
    unknown = "whose operator or key AWS's documentation does not have"
    text = f"{does} on the condition {condition}, {unknown}, so it is left out"
    return Remark("condition-unknown", source, text, _UNKNOWN)


def lost_variable(statement: PolicyStatement, texts: Iterable[str]) -> Remark:
    """A variable has no equivalent: an Allow goes without it, a Deny reaches further."""
    keys = sorted({key for text in texts for key in variables(text) if depends_on_way_in(key)})
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
