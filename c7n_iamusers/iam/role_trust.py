# SPDX-License-Identifier: Apache-2.0
"""Whom the trust policies of an account's roles name: a user, a service, or some principals and not others. Pure.

Deleting a user breaks the trust of roles that name it: after the deletion the trust policy shows the user's unique id,
and a new user with the same name does not match it ("AWS JSON policy elements: Principal", IAM User Guide).
"""

from __future__ import annotations

import re
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


#: An account as a principal: its id, or the ARN of its root.
_ACCOUNT = re.compile(r"(arn:[^:]+:iam::)?\d{12}(:root)?", re.ASCII)


def tells_apart(document: Any) -> bool:
    """Whether a role's trust policy can trust one AWS principal of an account and not another.

    It can't if it names services, identity providers, and accounts without conditions. It may if it does not parse.
    """
    try:
        found = statements(parse_document(document))
    except ValueError:
        return True
    return any(map(_tells_apart, found))


def _tells_apart(statement: Statement) -> bool:
    principal = statement.get("Principal")
    if not isinstance(principal, Mapping):
        return True
    names = [str(each) for each in listed(principal.get("AWS"))]
    if "CanonicalUser" in principal or not all(map(_ACCOUNT.fullmatch, names)):
        return True
    return bool(names and statement.get("Condition"))


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
