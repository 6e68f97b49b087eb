# SPDX-License-Identifier: Apache-2.0
"""Which roles of the account trust a user by name; they break when it goes. Pure.

A trust policy that names a user shows its unique id once it is deleted, and re-creating the name does not
mend it ("AWS JSON policy elements: Principal", IAM User Guide).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from c7n_iamusers.iam.policy_documents import Statement, listed, parse_document, statements
from c7n_iamusers.iam.user import IamUser, Item

#: Condition keys whose value names a user, where the principal itself is the account.
_NAMING_KEYS = frozenset({"aws:principalarn", "aws:userid"})
_POSITIVE_OPERATORS = ("stringequals", "stringlike", "arnequals", "arnlike")


class TrustIndex:
    """Finds the roles that trust a user without reading every trust policy for every user."""

    def __init__(self, roles: Iterable[Item]) -> None:
        self._roles: defaultdict[str, list[str]] = defaultdict(list)
        #: ARNs of roles whose trust policy can't be read, so that nobody knows whom they trust.
        self.unreadable: list[str] = []
        for role in roles:
            self._add(str(role.get("Arn") or role.get("RoleName")), role.get("AssumeRolePolicyDocument"))

    def of(self, user: IamUser) -> tuple[str, ...]:
        """The ARNs of the roles that name ``user`` by its ARN or its unique id."""
        named = {*self._roles.get(user.arn, ()), *self._roles.get(user.unique_id, ())}
        return tuple(sorted(named))

    def _add(self, role: str, document: Any) -> None:
        try:
            found = [name for each in statements(parse_document(document)) for name in _named(each)]
        except ValueError:
            self.unreadable.append(role)
            return
        for name in found:
            self._roles[name].append(role)


def _named(statement: Statement) -> Iterator[str]:
    if str(statement.get("Effect", "")).lower() != "allow":
        return
    principal = statement.get("Principal")
    if isinstance(principal, Mapping):
        yield from (str(name) for name in listed(principal.get("AWS")))
    yield from _named_by_condition(statement.get("Condition"))


def _named_by_condition(condition: Any) -> Iterator[str]:
    for operator, keys in condition.items() if isinstance(condition, Mapping) else ():
        if str(operator).lower().rpartition(":")[2].removesuffix("ifexists") not in _POSITIVE_OPERATORS:
            continue
        for key, values in keys.items() if isinstance(keys, Mapping) else ():
            if str(key).lower() in _NAMING_KEYS:
                yield from (str(value) for value in listed(values))
