# SPDX-License-Identifier: Apache-2.0
"""The roles of an account whose trust policy names a user. Deleting the user breaks their trust. Pure.

After the deletion the trust policy shows the user's unique id, and a new user with the same name does not match it
("AWS JSON policy elements: Principal", IAM User Guide).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from c7n_iamusers.iam.policy_documents import Statement, listed, parse_document, statements
from c7n_iamusers.iam.user import IamUser, Item

#: Condition keys that name a user if the principal is the account.
_NAMING_KEYS = frozenset({"aws:principalarn", "aws:userid"})
_POSITIVE_OPERATORS = ("stringequals", "stringlike", "arnequals", "arnlike")


class TrustIndex:
    """The roles of an account by the users that their trust policies name."""

    def __init__(self, roles: Iterable[Item]) -> None:
        self._roles: defaultdict[str, list[str]] = defaultdict(list)
        #: ARNs of roles whose trust policy does not parse.
        self.unreadable: list[str] = []
        for role in roles:
            self._add(str(role.get("Arn") or role.get("RoleName")), role.get("AssumeRolePolicyDocument"))

    def of(self, user: IamUser) -> tuple[str, ...]:
        """The ARNs of the roles that name ``user`` by its ARN or unique id."""
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


def is_trusted(service: str, document: Any) -> bool:
    """Whether a role's trust policy lets ``service`` assume it. Conditions are not judged. Raises ValueError."""
    return any(
        str(each.get("Effect")) == "Allow"
        and isinstance(principal := each.get("Principal"), Mapping)
        and service in listed(principal.get("Service"))
        and {"sts:assumerole", "sts:*", "*"} & {str(action).lower() for action in listed(each.get("Action"))}
        for each in statements(parse_document(document))
    )


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
