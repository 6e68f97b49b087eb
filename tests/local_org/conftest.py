# SPDX-License-Identifier: Apache-2.0
"""HTTP is part of what is under test here."""

from __future__ import annotations

import pytest


@pytest.fixture
def over_http() -> bool:
    return True
