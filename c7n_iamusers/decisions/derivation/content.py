# SPDX-License-Identifier: Apache-2.0
"""What a permission set grants, in one form however and wherever it was written, and names made of that. Pure."""

from __future__ import annotations

import re
from base64 import b32encode
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
PREFIX = "iam-"
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
    def digest(self) -> bytes:
        """Of everything in it."""
        return sha256(canonical_policy(sorted(self.items)).encode()).digest()

    def name(self, form: object) -> str:
        """A permission set's name: what it is about, and a digest of all of it in the ``form`` (JSON) that it has.

        What changes is another set, so a set that stands never changes under those who hold it. The beginning is
        neutral: other people's policies name roles by patterns such as ``*AWSReservedSSO_AdministratorAccess*``.
        """
        told = canonical_policy({"content": self.digest.hex(), "form": form})
        digest = b32encode(sha256(told.encode()).digest()).decode().lower()[:_DIGEST]
        return f"{PREFIX}{self._about(_LONGEST - len(PREFIX) - _DIGEST - 1)}-{digest}"

    @cached_property
    def earlier_name(self) -> str:
        """The name that the version before gave, to a set that could change."""
        return f"{self._about(_LONGEST - _DIGEST - 1)}-{self.digest.hex()[:_DIGEST]}"

    def _about(self, characters: int) -> str:
        return "+".join(dict.fromkeys(self._words()))[:characters].rstrip("+-,.=@_")

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
