# SPDX-License-Identifier: Apache-2.0
"""What a permission set grants, in one form however and wherever it was written, and the name made of that. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from c7n_iamusers.decisions.derivation.writing import written
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement
from c7n_iamusers.model.derivation import PolicyReference
from c7n_iamusers.model.identity_center import canonical_policy

#: sso-admin PermissionSetName: [\w+=,.@-]+, at most 32.
_LONGEST = 32
_DIGEST = 10


@dataclass(frozen=True)
class Boundary:
    """An AWS-managed policy by ``arn``, or a customer-managed one by ``reference``, with what it says."""

    arn: str
    reference: PolicyReference | None
    statements: tuple[PolicyStatement, ...]


@dataclass(frozen=True)
class Content:
    """``managed``: ARNs of AWS-managed policies. ``statements``: of all other policies, canonical."""

    managed: frozenset[str]
    statements: tuple[PolicyStatement, ...]
    boundary: Boundary | None

    @property
    def grants(self) -> bool:
        """Whether there is anything in it that allows."""
        return bool(self.managed) or any(each.allows for each in self.statements)

    @cached_property
    def items(self) -> frozenset[str]:
        """Everything in it, piece by piece, in words that are the same wherever the piece is."""
        return frozenset(
            (
                *self.managed,
                *(canonical_policy(written(each)) for each in self.statements),
                *(["boundary " + canonical_policy(_as_data(self.boundary))] if self.boundary else []),
            )
        )

    @cached_property
    def name(self) -> str:
        """A permission set's name: what it is about, and a digest of all of it."""
        digest = sha256(canonical_policy(sorted(self.items)).encode()).hexdigest()[:_DIGEST]
        about = "+".join(dict.fromkeys(self._words()))[: _LONGEST - _DIGEST - 1]
        return f"{about.rstrip('+-,.=@_')}-{digest}"

    def _words(self) -> Iterator[str]:
        yield from sorted(arn.rpartition("/")[2] for arn in self.managed)
        services = {service for each in self.statements if each.allows for service in _services(each)}
        yield from sorted(services)


def _services(statement: PolicyStatement) -> Iterator[str]:
    for pattern in statement.actions.patterns:
        service = re.sub(r"[^\w-]", "", pattern.partition(":")[0], flags=re.ASCII)
        yield "most" if statement.actions.negated else service or "all"


def _as_data(boundary: Boundary) -> dict[str, Any]:
    reference = boundary.reference
    return {
        "arn": boundary.arn,
        "reference": f"{reference.path}{reference.name}" if reference else "",
        "statements": [written(each) for each in boundary.statements],
    }
