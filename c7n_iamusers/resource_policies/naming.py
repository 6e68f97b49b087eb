# SPDX-License-Identifier: Apache-2.0
"""Which policies of resources name a user: by its ARN or unique id, or by a condition on the caller. Pure.

Whoever deletes a user breaks what names it: afterwards the policy shows the user's unique id, which no new user with
that name matches ("AWS JSON policy elements: Principal", IAM User Guide). How a condition means a user is decided as
for trust policies of roles, in ``policy_comparison/trusted_users.py``. Of a Deny, and of a condition such as
StringNotLike, it counts that the user is named, whether it is let in or kept out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from c7n_iamusers.iam.policy_documents import Statement
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.policy_comparison.trusted_users import TrustIndex
from c7n_iamusers.resource_policies.reading import Reading, ResourcePolicy
from c7n_iamusers.resource_policies.sources import EKS

#: The elements of a statement that name principals.
PRINCIPALS = ("Principal", "NotPrincipal")
ACCESS_ENTRY = "access entry"
_NOT = re.compile("not", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class NamedBy:
    """A policy that names a user. ``where``: the element and the statement, such as ``Principal of statement 2``."""

    service: str
    resource: str
    region: str
    where: str

    def as_data(self) -> dict[str, str]:
        """As the annotation shows it."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.resource} ({self.where})"


@dataclass(frozen=True)
class Naming:
    """``named``: where a user is named, sorted. ``unknown``: why there may be more, in words; or empty."""

    named: tuple[NamedBy, ...]
    unknown: str = ""


class NamingIndex:
    """The policies of ``reading``, by the users that they name. Each is taken apart once."""

    def __init__(self, reading: Reading) -> None:
        self._problem = reading.problem
        self._places: dict[str, NamedBy] = {}
        self._index = TrustIndex(self._parts(reading), "policy")

    def of(self, user: IamUser) -> Naming:
        """The policies and access entries that name ``user``, or have a condition on the caller that it may meet."""
        found = self._index.of(user)
        named = {self._places[each] for each in found.roles}
        doubts = filter(None, (self._problem, found.unknown))
        return Naming(tuple(sorted(named)), "; ".join(doubts))

    def _parts(self, reading: Reading) -> Iterator[dict[str, Any]]:
        """Each element that may name somebody, as the trust policy of a role that has nothing else."""
        for policy in reading.policies:
            for number, statement in enumerate(policy.statements, 1):
                for element, document in _elements(statement):
                    yield self._part(policy, f"{element} of statement {number}", document, policy.document)
        for entry in reading.entries:
            place = NamedBy(EKS, entry.cluster, entry.region, ACCESS_ENTRY)
            yield self._noted(
                place, {"Statement": _allow(Principal={"AWS": entry.principal})}, entry.principal
            )

    def _part(
        self, policy: ResourcePolicy, where: str, statement: Statement, whole: Mapping[str, Any]
    ) -> dict[str, Any]:
        named = f"{where} in {policy.name}" if policy.name else where
        place = NamedBy(policy.service, policy.resource, policy.region, named)
        version = {"Version": whole["Version"]} if "Version" in whole else {}
        return self._noted(place, {**version, "Statement": statement})

    def _noted(self, place: NamedBy, document: Mapping[str, Any], whose: str = "") -> dict[str, Any]:
        key = f"{place.resource} in {place.region}, {place.where}{f' of {whose}' if whose else ''}"
        self._places[key] = place
        return {"Arn": key, "AssumeRolePolicyDocument": document}


def _allow(**rest: Any) -> dict[str, Any]:
    return {"Effect": "Allow", **rest}


def _elements(statement: Statement) -> Iterator[tuple[str, Statement]]:
    """Each element of a statement that may name somebody -> a statement that trusts whom it names."""
    for element in PRINCIPALS:
        if isinstance(statement.get(element), Mapping):
            yield element, _allow(Principal=statement[element])
    principal = {key: statement[key] for key in ("Principal",) if key in statement}
    for condition in _named_in(statement):
        yield "Condition", _allow(**principal, Condition=condition)


def _named_in(statement: Statement) -> Iterator[Mapping[str, Any]]:
    """The conditions, as those that the users whom they name meet.

    Those of an Allow count together, if none is negated. Otherwise each counts by itself: a user that meets one of
    them is let in by it, or kept out.
    """
    conditions = statement.get("Condition")
    if not conditions:
        return
    if not isinstance(conditions, Mapping):
        yield conditions  # which is told as unreadable
        return
    allows = str(statement.get("Effect", "")).lower() == "allow"
    if allows and not any("not" in str(operator).lower() for operator in conditions):
        yield conditions
        return
    for operator, keys in conditions.items():
        if isinstance(keys, Mapping):
            yield from ({_positive(str(operator)): {key: values}} for key, values in keys.items())
        else:
            yield {operator: keys}


def _positive(operator: str) -> str:
    """``StringNotLike`` as ``StringLike``, in any spelling."""
    return _NOT.sub("", operator)
