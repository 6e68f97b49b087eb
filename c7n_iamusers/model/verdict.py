# SPDX-License-Identifier: Apache-2.0
"""What a user is, what led there, and what takes its place."""

from __future__ import annotations

from dataclasses import dataclass

HUMAN = "human"
MACHINE = "machine"
MIXED = "mixed"
BEDROCK_API_KEY = "bedrock-api-key"
NO_CREDENTIALS = "no-credentials"
UNKNOWN = "unknown"
KINDS = (HUMAN, MACHINE, MIXED, BEDROCK_API_KEY, NO_CREDENTIALS, UNKNOWN)


@dataclass(frozen=True)
class Verdict:
    """``kind``: one of KINDS. ``reasons``: for people. ``replacement``: see ``decisions/replacement.py``.

    ``wants``: the attachment kind that would settle an unknown, where one would.
    """

    kind: str
    reasons: tuple[str, ...] = ()
    replacement: tuple[str, ...] = ()
    wants: str = ""
