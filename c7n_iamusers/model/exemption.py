# SPDX-License-Identifier: Apache-2.0
"""Who is left alone, why, on whose word and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True)
class ExemptionRule:
    """``pattern``: a case-sensitive shell glob over ``field`` (user, path, tag or group).

    ``expires``: the last day, in UTC, on which the rule protects.
    """

    field: str
    pattern: str
    reason: str
    expires: date
    owner: str = ""

    def as_data(self) -> dict[str, Any]:
        """The rule as a policy writes it."""
        data = {self.field: self.pattern, "reason": self.reason, "expires": self.expires.isoformat()}
        return {**data, "owner": self.owner} if self.owner else data


@dataclass(frozen=True)
class Exemption:
    """``rule`` protects the user today, if any does; ``expired``: those that would have, had they not run out."""

    rule: ExemptionRule | None
    expired: tuple[ExemptionRule, ...] = ()
