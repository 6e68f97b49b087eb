# SPDX-License-Identifier: Apache-2.0
"""What the rules of findings look at, and what they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from c7n_iamusers.model.evidence import Credential, Evidence
from c7n_iamusers.model.exemption import Exemption
from c7n_iamusers.model.iam_user import IamUser

#: The texts of a rule's findings, none where the user is in order; None where that can't be told.
Answer = tuple[str, ...] | None


@dataclass(frozen=True)
class Thresholds:
    """Days after which a credential counts as unused, and a key as due for rotation."""

    unused: float = 90
    rotation: float = 90


@dataclass(frozen=True)
class Provisioning:
    """How users are created where it is done properly: globs over ``Key=value`` tags, and over creators' ARNs."""

    tags: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One user under judgement at ``now`` (UTC)."""

    user: IamUser
    evidence: Evidence
    exemption: Exemption
    now: datetime
    thresholds: Thresholds = field(default_factory=Thresholds)
    provisioning: Provisioning = field(default_factory=Provisioning)

    def credentials(self, kind: str) -> tuple[Credential, ...] | None:
        """The active credentials of ``kind``; None where the kind, or whether one is active, is unknown."""
        found = self.evidence.credentials.get(kind)
        if found is None or any(each.active is None for each in found):
            return None
        return tuple(each for each in found if each.active)

    def days_since(self, moment: datetime) -> int:
        """Whole days from ``moment`` to now."""
        return (self.now - moment).days


Rule = Callable[[Case], Answer]
