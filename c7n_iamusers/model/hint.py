# SPDX-License-Identifier: Apache-2.0
"""What an organization's own naming says of its users."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hint:
    """Users whose ``field`` (user, path, tag or group) matches ``pattern`` are of ``kind``."""

    kind: str
    field: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.field} {self.pattern!r}"
