# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a user: a stable id, a severity, and prose that may change."""

from __future__ import annotations

from dataclasses import asdict, dataclass

IAM_USER = "iam-user"
EXPIRED_EXEMPTION = "expired-exemption"


@dataclass(frozen=True)
class Finding:
    """``id`` is what programs match on; ``severity`` is low, medium or high; ``text`` is for people."""

    id: str
    severity: str
    text: str

    def as_data(self) -> dict[str, str]:
        """The finding as it stands in an annotation."""
        return asdict(self)
