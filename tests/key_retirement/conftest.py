# SPDX-License-Identifier: Apache-2.0
"""What each run of these tests leaves is as runs write it: ``verify`` calls nothing of it wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.verified_outputs import wrong


@pytest.fixture(autouse=True)
def _right(tmp_path: Path) -> Iterator[None]:
    yield
    assert wrong(tmp_path) == []
