# SPDX-License-Identifier: Apache-2.0
"""What other people do meanwhile: a row each, by the name that traces have."""

from __future__ import annotations

from collections.abc import Callable

from tests.explorer.world import World

ACTORS: dict[str, Callable[[World], object]] = {}
