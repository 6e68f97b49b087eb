# SPDX-License-Identifier: Apache-2.0
"""The last use of an access key, as AWS tells it at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class KeyUse:
    """GetAccessKeyLastUsed's answer. ``at`` None: AWS knows of no use; ``service`` and ``region`` may be ``N/A``."""

    key_id: str
    at: datetime | None
    service: str = ""
    region: str = ""
