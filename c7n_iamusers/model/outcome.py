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
PLANNED = "planned"
QUARANTINED = "quarantined"
RELEASED = "released"


@dataclass(frozen=True)
class Outcome:
    """``status``: one of this module's constants; ``calls``: mutating calls made; ``seconds``: wall time.

    ``code``: of the error, ``call``: that failed, such as ``iam:DeleteUser``, where one did.
    """

    user: str
    arn: str
    status: str
    reason: str = ""
    calls: int = 0
    seconds: float = 0.0
    code: str = ""
    call: str = ""

    def as_data(self) -> dict[str, Any]:
        """A row of ``outcomes.json``."""
        row = {"user": self.user, "arn": self.arn, "status": self.status, "reason": self.reason}
        failure = {"call": self.call, "code": self.code}
        return {**row, **failure, "calls": self.calls, "seconds": round(self.seconds, 3)}
