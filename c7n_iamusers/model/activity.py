# SPDX-License-Identifier: Apache-2.0
"""When a user was last active, as far as anybody can tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from c7n_iamusers.model.evidence import LastUse
from c7n_iamusers.model.moments import as_text


@dataclass(frozen=True)
class Activity:
    """``last``: the latest use known, None where none is; ``by``: the credential that was used.

    ``idle_since``: the latest sign of life, the making of user and credentials included; None where unknown.
    ``as_of``: nothing is known of the time after; None where not all of the evidence has been read.
    ``unknown``: what keeps the activity from being fully known, in words; empty where nothing does.
    """

    last: LastUse | None
    by: str
    idle_since: datetime | None
    as_of: datetime | None
    unknown: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """``time`` None and no ``unknown``: never active. With ``unknown``, there may be later activity."""
        data: dict[str, Any] = {"time": as_text(self.last.at) if self.last else None, "by": self.by}
        if self.last and self.last.service:
            data |= {"service": self.last.service, "region": self.last.region}
        return {**data, "unknown": list(self.unknown)}
