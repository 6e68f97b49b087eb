# SPDX-License-Identifier: Apache-2.0
"""Which roles of an account trust a user and not everybody: by its name, or by a condition that it meets. Pure.

Deleting a user breaks the trust of roles that name it: after the deletion the trust policy shows the user's unique id,
and a new user with the same name does not match it ("AWS JSON policy elements: Principal", IAM User Guide). A condition
on its name, tag or unique id may not be met by a new one either. What can't be decided counts as trust. Not seen are
conditions on a role's own tags in which a user's name stands as a variable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from c7n_iamusers.iam.attachments import TAG
from c7n_iamusers.iam.policy_documents import Statement, listed, parse_document, statements
from c7n_iamusers.iam.role_trust import account_of
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.policy_comparison.conditions import Condition, outcomes, parse_conditions
from c7n_iamusers.policy_comparison.patterns import variables
from c7n_iamusers.policy_comparison.principals import TAG_PREFIX, USERNAME, RequestContext

_ARN, _ID = "aws:principalarn", "aws:userid"
#: Operators that compare with whole texts, where there is no wildcard in them.
_LITERAL = ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike")
_LEGACY = "2008-10-17"


def _context(arn: str, unique_id: str, name: str | None, tags: Mapping[str, str] | None) -> RequestContext:
    facts = {_ARN: frozenset({arn}), _ID: frozenset({unique_id}), USERNAME: frozenset({name})}
    tagged = {TAG_PREFIX + key.lower(): frozenset({value}) for key, value in (tags or {}).items()}
    return RequestContext({**facts, **tagged}, tags is not None)


#: A user and a role of which no trust policy knows: a condition that both meet tells nobody apart.
_STRANGERS = (
    _context("arn:aws:iam::{account}:user/c7n!stranger", "AIDA0C7N0STRANGER0000", "c7n!stranger", {}),
    _context("arn:aws:iam::{account}:role/c7n!stranger", "AROA0C7N0STRANGER0000:c7n!s", None, {}),
)


@dataclass(frozen=True)
class _Clause:
    """Conditions on who calls. ``accounts``: whose principals are trusted on these conditions; None for all."""

    accounts: frozenset[str] | None
    conditions: frozenset[Condition]

    def may_name(self, account: str, context: RequestContext) -> bool:
        """Whether a principal of ``account`` with this ``context`` may meet the conditions."""
        return (self.accounts is None or account in self.accounts) and all(
            True in _outcomes(each, context) for each in self.conditions
        )

    @cached_property
    def tells_apart(self) -> bool:
        """Whether one of the strangers may not meet the conditions."""
        account = min(self.accounts or {"000000000000"})
        return any(
            False in _outcomes(each, _in_account(stranger, account))
            for stranger in _STRANGERS
            for each in self.conditions
        )

    @cached_property
    def literals(self) -> frozenset[str] | None:
        """Texts in lower case, one of which a user's ARN, id or name is; None if any user may meet the conditions."""
        for each in self.conditions:
            plain = not any({"*", "?"} & set(value) or variables(value) for value in each.values)
            if plain and each.operator in _LITERAL and not each.key.startswith(TAG_PREFIX):
                return frozenset(value.lower() for value in each.values)
        return None


def _in_account(stranger: RequestContext, account: str) -> RequestContext:
    arns = frozenset(str(each).format(account=account) for each in stranger.facts[_ARN])
    return replace(stranger, facts={**stranger.facts, _ARN: arns})


def _outcomes(condition: Condition, context: RequestContext) -> frozenset[bool]:
    possible = context.values(condition.key)
    if possible == frozenset({None}) and condition.operator != "Null":
        # whatever the values are, also variables
        condition = replace(condition, values=())
    return outcomes(condition, possible)


class TrustIndex:
    """The roles of an account by the users that their trust policies name."""

    def __init__(self, roles: Iterable[Item]) -> None:
        self._roles: defaultdict[str, list[str]] = defaultdict(list)
        #: The roles of each clause that tells principals apart.
        self._clauses: defaultdict[_Clause, list[str]] = defaultdict(list)
        #: ARNs of roles whose trust policy does not parse.
        self.unreadable: list[str] = []
        for role in roles:
            self._add(str(role.get("Arn") or role.get("RoleName")), role.get("AssumeRolePolicyDocument"))
        self._literal: defaultdict[str, list[_Clause]] = defaultdict(list)
        self._others: list[_Clause] = []
        for clause in self._clauses:
            if clause.literals is None:
                self._others.append(clause)
            for text in clause.literals or ():
                self._literal[text].append(clause)

    def of(self, user: IamUser) -> tuple[str, ...]:
        """The ARNs of the roles that name ``user``, or trust who meets a condition that it may meet, sorted."""
        named = {*self._roles.get(user.arn, ()), *self._roles.get(user.unique_id, ())}
        if self._clauses:
            account, tags = user.arn.split(":")[4], user.tags if TAG.name in user.attachments else None
            context = _context(user.arn, user.unique_id, user.name, tags)
            known = {text.lower() for text in (user.arn, user.unique_id, user.name)}
            asked = (*(clause for text in known for clause in self._literal.get(text, ())), *self._others)
            for clause in asked:
                if clause.may_name(account, context):
                    named.update(self._clauses[clause])
        return tuple(sorted(named))

    def _add(self, role: str, document: Any) -> None:
        try:
            parsed = parse_document(document)
            is_legacy = str(parsed.get("Version", _LEGACY)) == _LEGACY
            allowed = [each for each in statements(parsed) if str(each.get("Effect", "")).lower() == "allow"]
            names = [name for each in allowed for name in _named(each)]
            clauses = [clause for each in allowed for clause in _clauses(each, is_legacy)]
        except ValueError:
            self.unreadable.append(role)
            return
        for name in names:
            self._roles[name].append(role)
        for clause in clauses:
            self._clauses[clause].append(role)


def _named(statement: Statement) -> Iterator[str]:
    principal = statement.get("Principal")
    if isinstance(principal, Mapping):
        yield from (str(name) for name in listed(principal.get("AWS")))


def _clauses(statement: Statement, is_legacy: bool) -> Iterator[_Clause]:
    """The conditions of a statement on who calls, where whole accounts are trusted on them. Raises ValueError."""
    accounts = _accounts(statement)
    if accounts is not None and not accounts:
        return
    found = parse_conditions(statement.get("Condition") or {}, is_legacy)
    keys = (_ARN, _ID, USERNAME)
    on_caller = frozenset(each for each in found if each.key in keys or each.key.startswith(TAG_PREFIX))
    clause = _Clause(accounts, on_caller)
    if clause.tells_apart:
        yield clause


def _accounts(statement: Statement) -> frozenset[str] | None:
    """The accounts that a statement trusts as a whole; None for all."""
    principal = statement.get("Principal")
    if not isinstance(principal, Mapping):
        return None  # everybody, or everybody but some
    names = [str(each) for each in listed(principal.get("AWS"))]
    return None if "*" in names else frozenset(filter(None, map(account_of, names)))
