# SPDX-License-Identifier: Apache-2.0
"""Which roles of an account trust a particular user: by its name, or by a condition that it meets. Pure.

Deleting a user breaks the trust of roles that name it: afterwards the trust policy shows the user's unique id, which no
new user with that name matches ("AWS JSON policy elements: Principal", IAM User Guide). A new user may also fail a
condition on the name, tag or unique id. Undecided cases count as trust. Conditions on a role's own tags are overlooked
if a variable in them stands for a user's name.

Trust policies can be written to take long for each user. Literal texts in them find users quickly. The rest is compared
within bounds, beyond which a user is unknown.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from c7n_iamusers.iam.attachments import TAG
from c7n_iamusers.iam.policy_documents import Statement, listed, parse_document, statements
from c7n_iamusers.iam.trust_principals import account_of
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.policy_comparison.conditions import Condition, outcomes, parse_conditions
from c7n_iamusers.policy_comparison.patterns import variables
from c7n_iamusers.policy_comparison.principals import TAG_PREFIX, USERNAME, RequestContext
from c7n_iamusers.text.wording import shown

_ARN, _ID = "aws:principalarn", "aws:userid"
#: Operators that compare with whole texts, unless these have wildcards.
_LITERAL = ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike")
_LEGACY = "2008-10-17"
_WILDCARDS = re.compile(r"[*?]")
#: The characters of trust policies to compare with each user of an account, and further ones that all users share. A
#: million take a tenth of a second, or a second if each role has its own. Real accounts need far fewer, because most
#: users are found by name.
OWN_CHARACTERS, SHARED_CHARACTERS = 200_000, 50_000_000
#: The maximum of failures to report for one user.
_MOST_TOLD = 3


def _context(arn: str, unique_id: str, name: str | None, tags: Mapping[str, str] | None) -> RequestContext:
    facts = {_ARN: frozenset({arn}), _ID: frozenset({unique_id}), USERNAME: frozenset({name})}
    tagged = {TAG_PREFIX + key.lower(): frozenset({value}) for key, value in (tags or {}).items()}
    return RequestContext({**facts, **tagged}, tags is not None)


#: A user and a role that no trust policy knows. A condition that both meet distinguishes nobody.
_STRANGERS = (
    _context("arn:aws:iam::{account}:user/c7n!stranger", "AIDA0C7N0STRANGER0000", "c7n!stranger", {}),
    _context("arn:aws:iam::{account}:role/c7n!stranger", "AROA0C7N0STRANGER0000:c7n!s", None, {}),
)


@dataclass(frozen=True)
class _Clause:
    """Conditions on the caller. ``accounts``: whose principals are trusted on these conditions; None for all."""

    accounts: frozenset[str] | None
    conditions: frozenset[Condition]

    def may_name(self, account: str, context: RequestContext) -> bool:
        """Whether a principal of ``account`` with this ``context`` may meet the conditions."""
        return (self.accounts is None or account in self.accounts) and all(
            True in _outcomes(condition, context) for condition in self.conditions
        )

    @cached_property
    def tells_apart(self) -> bool:
        """Whether one of the strangers may not meet the conditions."""
        account = min(self.accounts or {"000000000000"})
        strangers = [_in_account(each, account) for each in _STRANGERS]
        if self.gate and not all(map(self.gate.lets_in, strangers)):
            return True
        return any(
            False in _outcomes(condition, stranger) for stranger in strangers for condition in self.conditions
        )

    @cached_property
    def cost(self) -> int:
        """The characters that are compared with those of a user."""
        return sum(1 + len(value) for condition in self.conditions for value in condition.values)

    @cached_property
    def gate(self) -> _Gate | None:
        """What each user that may meet the conditions has in common; None if unknown."""
        for condition in self.conditions:
            if condition.operator in _LITERAL and not any(map(variables, condition.values)):
                return _Gate(condition.key, frozenset(map(_ends, condition.values)))
        return None


@dataclass(frozen=True)
class _Gate:
    """The value of ``key`` begins and ends with one of the pairs of ``ends``, which are in lower case."""

    key: str
    ends: frozenset[tuple[str, str]]

    def lets_in(self, context: RequestContext) -> bool:
        """Whether a principal with this ``context`` may have such a value."""
        values = context.values(self.key)
        texts = [value.lower() for value in values or () if value is not None]
        fits = (text.startswith(head) and text.endswith(tail) for text in texts for head, tail in self.ends)
        return values is None or any(fits)


def _ends(pattern: str) -> tuple[str, str]:
    """The literal beginning and end, in lower case, of the texts of ``pattern``."""
    if "$" in pattern:
        return "", ""
    parts = _WILDCARDS.split(pattern.lower())
    return parts[0], parts[-1]


class _ByEnds:
    """The clauses with a gate of one key, by the beginnings and ends in it."""

    def __init__(self) -> None:
        self._found: defaultdict[str, defaultdict[str, list[_Clause]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def add(self, clause: _Clause, ends: Iterable[tuple[str, str]]) -> None:
        for head, tail in ends:
            self._found[head][tail].append(clause)

    def of(self, value: str) -> Iterator[_Clause]:
        """The clauses whose gate lets ``value`` in."""
        text = value.lower()
        for end in range(len(text) + 1):
            if tails := self._found.get(text[:end]):
                for begin in range(len(text) + 1):
                    yield from tails.get(text[begin:], ())

    def every(self) -> Iterator[_Clause]:
        """All of them."""
        for tails in self._found.values():
            for clauses in tails.values():
                yield from clauses


@dataclass(frozen=True)
class Trust:
    """``roles``: the ARNs of the roles that trust a user, sorted. ``unknown``: why there may be more; or empty."""

    roles: tuple[str, ...]
    unknown: str = ""


def _in_account(stranger: RequestContext, account: str) -> RequestContext:
    arns = frozenset(str(each).format(account=account) for each in stranger.facts[_ARN])
    return replace(stranger, facts={**stranger.facts, _ARN: arns})


def _outcomes(condition: Condition, context: RequestContext) -> frozenset[bool]:
    possible = context.values(condition.key)
    if possible == frozenset({None}) and condition.operator != "Null":
        # whatever the values are, even variables
        condition = replace(condition, values=())
    return outcomes(condition, possible)


class TrustIndex:
    """The roles of an account, by the users that their trust policies name. ``called``: what doubts call a policy."""

    def __init__(self, roles: Iterable[Item], called: str = "trust policy") -> None:
        self._called = called
        self._roles: defaultdict[str, list[str]] = defaultdict(list)
        #: The roles of each clause that distinguishes principals.
        self._clauses: defaultdict[_Clause, list[str]] = defaultdict(list)
        #: ARNs of roles whose trust policy does not parse.
        self._unreadable: list[str] = []
        self._left = SHARED_CHARACTERS
        for role in roles:
            self._add(str(role.get("Arn") or role.get("RoleName")), role.get("AssumeRolePolicyDocument"))
        self._by_key: defaultdict[str, _ByEnds] = defaultdict(_ByEnds)
        self._others: list[_Clause] = []
        for clause in self._clauses:
            if clause.gate:
                self._by_key[clause.gate.key].add(clause, clause.gate.ends)
            else:
                self._others.append(clause)

    def of(self, user: IamUser) -> Trust:
        """The roles that name ``user``, or have a condition on the caller that it may meet."""
        named = {*self._roles.get(user.arn, ()), *self._roles.get(user.unique_id, ())}
        doubts = (
            [f"the {self._called} of {shown(self._unreadable)} can't be read"] if self._unreadable else []
        )
        if self._clauses:
            account, tags = user.arn.split(":")[4], user.tags if TAG.name in user.attachments else None
            context = _context(user.arn, user.unique_id, user.name, tags)
            doubts += filter(None, [self._ask(account, context, named)])
        return Trust(tuple(sorted(named)), "; ".join(doubts))

    def _ask(self, account: str, context: RequestContext, named: set[str]) -> str:
        """Add to ``named`` the roles of clauses that may mean the user. Returns what is unknown, in words, or empty."""
        own, failed = OWN_CHARACTERS, set[str]()
        for clause in dict.fromkeys(self._asked(context)):
            if named.issuperset(self._clauses[clause]):
                continue
            own -= clause.cost
            if own < 0:
                self._left -= clause.cost
            if self._left < 0 and own < 0:
                return (
                    f"conditions on who calls, such as in the {self._called} of {self._clauses[clause][0]}, take too "
                    "long to compare with the account's users: shorten them"
                )
            try:
                if clause.may_name(account, context):
                    named.update(self._clauses[clause])
            except Exception as error:  # noqa: BLE001  # whatever one of them has, it concerns this user alone
                failed.add(f"the {self._called} of {self._clauses[clause][0]} can't be compared ({error!r})")
        return "; ".join(sorted(failed)[:_MOST_TOLD])

    def _asked(self, context: RequestContext) -> Iterator[_Clause]:
        """The clauses that may mean a principal with this ``context``."""
        yield from self._others
        for key, clauses in self._by_key.items():
            values = context.values(key)
            if values is None:
                yield from clauses.every()
            for value in values or ():
                if value is not None:
                    yield from clauses.of(value)

    def _add(self, role: str, document: Any) -> None:
        try:
            parsed = parse_document(document)
            is_legacy = str(parsed.get("Version", _LEGACY)) == _LEGACY
            allowed = [
                statement
                for statement in statements(parsed)
                if str(statement.get("Effect", "")).lower() == "allow"
            ]
            names = [name for each in allowed for name in _named(each)]
            clauses = [clause for each in allowed for clause in _clauses(each, is_legacy)]
        except Exception:  # noqa: BLE001  # whatever it has, the others can be read
            self._unreadable.append(role)
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
    """A statement's conditions on the caller, if it trusts whole accounts on them. Raises ValueError."""
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
        return None  # everybody, or all but some
    names = [str(each) for each in listed(principal.get("AWS"))]
    return None if "*" in names else frozenset(filter(None, map(account_of, names)))
