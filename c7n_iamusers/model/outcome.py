# SPDX-License-Identifier: Apache-2.0
"""How it went for one user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DELETED = "deleted"
SKIPPED = "skipped"
FAILED = "failed"
PROVISIONED = "provisioned"
UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Outcome:
    """``status``: one of this module's constants; ``calls``: mutating calls made; ``seconds``: wall time."""

    user: str
    arn: str
    status: str
    reason: str = ""
    calls: int = 0
    seconds: float = 0.0
    code: str = ""

    def as_data(self) -> dict[str, Any]:
        """A row of ``outcomes.json``."""
        row = {"user": self.user, "arn": self.arn, "status": self.status, "reason": self.reason}
        return {**row, "code": self.code, "calls": self.calls, "seconds": round(self.seconds, 3)}
