# SPDX-License-Identifier: Apache-2.0
"""Lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 3


def shown(texts: Sequence[str], limit: int = _SHOWN) -> str:
    """The first few of ``texts``, and how many more there are."""
    more = len(texts) - limit
    return ", ".join(texts[:limit]) + (f" and {more} more" if more > 0 else "")
