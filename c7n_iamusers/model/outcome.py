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

    ``code``: of the error, ``call``: that failed, such as ``iam:DeleteUser``, where one did. ``unique_id``: of the
    user; ``time``: when this was found, ISO 8601 in UTC.
    """

    user: str
    arn: str
    status: str
    reason: str = ""
    calls: int = 0
    seconds: float = 0.0
    code: str = ""
    call: str = ""
    unique_id: str = ""
    time: str = ""

    def as_data(self) -> dict[str, Any]:
        """A row of ``outcomes.json``."""
        who = {"user": self.user, "arn": self.arn, "unique_id": self.unique_id}
        what = {"status": self.status, "reason": self.reason, "call": self.call, "code": self.code}
        return {**who, **what, "calls": self.calls, "seconds": round(self.seconds, 3), "time": self.time}
