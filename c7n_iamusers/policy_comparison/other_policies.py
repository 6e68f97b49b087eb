# SPDX-License-Identifier: Apache-2.0
"""Policies of others, which name or describe principals: trust, resource, service control and resource control
policies, parsed, and whom their statements apply to. Pure.

Sources: "AWS JSON policy elements: Principal", "Policy evaluation logic" (IAM User Guide), "Service control policies"
and "Resource control policies" (AWS Organizations User Guide).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from c7n_iamusers.iam.policy_documents import listed, parse_document
from c7n_iamusers.iam.policy_documents import statements as statements_of
from c7n_iamusers.policy_comparison.conditions import Condition, outcomes
from c7n_iamusers.policy_comparison.patterns import escaped, matches, required
from c7n_iamusers.policy_comparison.principals import RequestContext, SessionNames, depends_on_principal
from c7n_iamusers.policy_comparison.statement_scope import PLAIN, Interpretation
from c7n_iamusers.policy_comparison.statements import PolicyStatement, parse_policy

#: The kinds of policies, as people name them.
TRUST, RESOURCE = "trust policy", "resource policy"
SCP, RCP = "service control policy", "resource control policy"
#: They only limit what other policies grant.
_CONTROLS = frozenset({SCP, RCP})
#: Services in which identity-based policies alone allow nothing, even in their own account: key policies and trust
#: policies must allow it, too ("Key policies", AWS KMS Developer Guide; "Principal").
_GATED_ARN = re.compile(r"arn:[^:]+:kms:")

#: The possible answers to a question.
Answers = frozenset[bool]
YES, NO, EITHER = frozenset({True}), frozenset({False}), frozenset({True, False})


@dataclass(frozen=True)
class Principals:
    """The AWS principals of a statement. ``named``: ARNs of users, roles and sessions. ``accounts``: account ids.

    ``everybody``: ``*``. ``unclear``: NotPrincipal, or a principal of another form, hides whom it applies to. A
    statement only for services or federated principals has none of these.
    """

    named: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    everybody: bool = False
    unclear: bool = False

    @property
    def concern_aws(self) -> bool:
        """Whether a user or a role session can be among them."""
        return bool(self.named or self.accounts or self.everybody or self.unclear)


EVERYBODY = Principals(everybody=True)
_ACCOUNT = re.compile(r"(?:arn:[^:]+:iam::)?(\d{12})(?::root)?", re.ASCII)
_NAMED = re.compile(
    r"arn:[^:]+:(?:iam::\d{12}:(?:user|role)|sts::\d{12}:(?:assumed-role|federated-user))/[^*?]+"
)
#: The unique id of a principal that was deleted; AWS shows it in place of the ARN.
_DELETED = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}", re.ASCII)


def parse_principals(statement: Mapping[str, Any]) -> Principals:
    """The principals of a statement of a trust or resource policy. Raises ValueError if it has none."""
    if "NotPrincipal" in statement:
        return Principals(unclear=True)
    principal = statement.get("Principal")
    if principal == "*":
        return EVERYBODY
    if not isinstance(principal, Mapping):
        raise ValueError("a statement without Principal")
    names = [str(each) for each in listed(principal.get("AWS"))]
    accounts = [found.group(1) for name in names if (found := _ACCOUNT.fullmatch(name))]
    named = [name for name in names if _NAMED.fullmatch(name)]
    rest = {name for name in names if not (_ACCOUNT.fullmatch(name) or _NAMED.fullmatch(name))}
    unclear = any(not _DELETED.fullmatch(each) for each in rest - {"*"}) or "CanonicalUser" in principal
    return Principals(frozenset(named), frozenset(accounts), "*" in rest, unclear)


@dataclass(frozen=True)
class OtherStatement:
    """A statement and the principals that it is for."""

    statement: PolicyStatement
    principals: Principals

    @property
    def distinguishes(self) -> bool:
        """Whether it can distinguish between principals of an account."""
        who = self.principals
        return bool(who.named or who.everybody or who.unclear) or self.statement.dependent


@dataclass(frozen=True)
class OtherPolicy:
    """A policy of others. ``name``: for people, such as ``role Admin``. ``account_id``: the resource's account.

    ``problem``: why it can't be evaluated, in words; it then has no statements.
    """

    kind: str
    name: str
    account_id: str
    statements: tuple[OtherStatement, ...]
    gated: bool = False
    problem: str = ""

    @property
    def controls(self) -> bool:
        """Whether it only limits what other policies grant."""
        return self.kind in _CONTROLS

    @property
    def distinguishes(self) -> bool:
        """Whether it can grant something to only some principals of an account."""
        if self.controls:
            return bool(self.problem) or any(statement.statement.dependent for statement in self.statements)
        return bool(self.problem) or any(statement.distinguishes for statement in self.statements)

    def trusts(self, account_id: str) -> bool:
        """Whether it can name principals of the account."""
        if account_id == self.account_id or self.problem:
            return True
        return any(
            statement.principals.everybody
            or statement.principals.unclear
            or account_id in statement.principals.accounts
            or any(arn.split(":")[4] == account_id for arn in statement.principals.named)
            for statement in self.statements
        )


def parse_other_policy(kind: str, name: str, account_id: str, resource: str, document: Any) -> OtherPolicy:
    """The policy of ``resource`` (an ARN), in any form that ``parse_document`` accepts.

    Statements without Resource are for ``resource``. Statements that concern no AWS principal are left out. A policy
    that does not parse has a ``problem``.
    """
    gated = kind == TRUST or bool(_GATED_ARN.match(resource))
    try:
        found = tuple(_statements(kind, name, resource, document))
    except (ValueError, TypeError) as error:
        return OtherPolicy(kind, name, account_id, (), gated, str(error))
    return OtherPolicy(kind, name, account_id, found, gated)


def _statements(kind: str, name: str, resource: str, document: Any) -> Iterator[OtherStatement]:
    whole = parse_document(document)
    rows = statements_of(whole)
    plain = [without_principal(each, "" if kind in _CONTROLS else resource) for each in rows]
    parsed = parse_policy({**whole, "Statement": plain}, f"{kind} of {name}")
    for row, statement in zip(rows, parsed, strict=True):
        principals = EVERYBODY if kind in _CONTROLS else parse_principals(row)
        if principals.concern_aws:
            yield OtherStatement(statement, principals)


def without_principal(statement: Mapping[str, Any], resource: str) -> dict[str, Any]:
    """The statement as an identity-based one. ``resource``: the policy's own; empty for none."""
    found = {key: value for key, value in statement.items() if key not in ("Principal", "NotPrincipal")}
    if resource and "NotResource" not in found:
        # Other forms, such as * and execute-api:/*, are relative to the resource.
        given = listed(found.get("Resource"))
        whole = [each if str(each).startswith("arn:") else f"{escaped(resource)}*" for each in given]
        found["Resource"] = whole or [escaped(resource)]
    return found


@dataclass(frozen=True)
class Caller:
    """A principal of an account: the IAM user ``arn``, or the sessions ``names`` if that is empty.

    ``context``: of its requests. ``known``: further keys in lower case, which have the same value for all principals of
    the account.
    """

    account_id: str
    context: RequestContext
    arn: str = ""
    names: SessionNames | None = None
    known: Mapping[str, frozenset[str | None]] = field(default_factory=dict)

    def named_in(self, named: Iterable[str]) -> tuple[Answers, Answers]:
        """Whether ``named`` has the caller as a user or session, and whether as a role."""
        if self.names is None:
            return frozenset({self.arn in named}), NO
        as_session = [_certain_or_possible(self.names.sessions, each) for each in named]
        as_role = [_certain_or_possible(self.names.roles, each) for each in named]
        return any_of(as_session), any_of(as_role)


def _certain_or_possible(patterns: frozenset[str], text: str) -> Answers:
    return EITHER if matches(patterns, text) else NO


def any_of(answers: Iterable[Answers]) -> Answers:
    """Whether any is true."""
    found = list(answers)
    if YES in found:
        return YES
    return EITHER if EITHER in found else NO


@dataclass(frozen=True)
class Standing:
    """How a statement applies to a caller. ``direct``: by itself. ``delegated``: through its account, whose own
    policies then decide. ``unbounded``: ``direct`` is not limited by a permissions boundary.
    """

    direct: Answers
    delegated: Answers
    unbounded: bool = False

    @property
    def any(self) -> Answers:
        return any_of((self.direct, self.delegated))


def standing(
    statement: OtherStatement, policy: OtherPolicy, caller: Caller, everybody_direct: bool
) -> Standing:
    """``everybody_direct``: whether ``*`` grants by itself in the resource's account. AWS's pages differ on that."""
    who = statement.principals
    by_itself, by_role = caller.named_in(who.named)
    account = frozenset({caller.account_id in who.accounts})
    everybody = frozenset({who.everybody})
    unclear = EITHER if who.unclear else NO
    direct = any_of((by_itself, by_role, unclear, everybody if everybody_direct else NO))
    delegated = any_of((account, unclear, NO if everybody_direct else everybody))
    if caller.account_id != policy.account_id and not policy.controls:
        return Standing(NO, any_of((direct, delegated)))
    return Standing(direct, delegated, True in by_itself)


def settled(
    statement: PolicyStatement, caller: Caller, interpretation: Interpretation = PLAIN
) -> PolicyStatement | None:
    """The statement without the conditions that ``caller`` always meets; None if it never applies to it."""
    kept: list[Condition] = []
    for condition in statement.conditions:
        possible = caller.known.get(condition.key)
        found = outcomes(condition, possible) if possible and condition.is_known else EITHER
        if found == NO:
            return None
        if found == YES:
            continue
        if interpretation.whole_statements and any(
            _valueless(value, caller.context) for value in condition.values
        ):
            return None
        without = _without_impossible(condition, caller.context)
        if without is None:
            return None
        kept.append(without)
    return replace(statement, conditions=frozenset(kept))


def _without_impossible(condition: Condition, context: RequestContext) -> Condition | None:
    """The condition without values that match nothing, as a variable in them has no value; None if it is never met."""
    plain = not condition.operator.startswith("For") and condition.operator != "Null"
    if not (plain and condition.is_known) or condition.negated or condition.if_exists:
        return condition
    values = tuple(value for value in condition.values if not _valueless(value, context))
    return replace(condition, values=values) if values else None


def _valueless(text: str, context: RequestContext) -> bool:
    missing: frozenset[str | None] = frozenset({None})
    return any(depends_on_principal(key) and context.values(key) == missing for key in required(text))
