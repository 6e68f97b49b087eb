# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md names rooms and files that exist, and every room."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import module_index
from tests.architecture_picture import drawn, picture

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "c7n_iamusers"
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PLACES = sorted(set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:/|\.py))`", TEXT)))
ROOMS = sorted(each.parent.name for each in PACKAGE.glob("*/__init__.py"))


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_is_named_exists(place: str) -> None:
    assert any((base / place).exists() for base in (PACKAGE, ROOT, PACKAGE / "identity_center"))


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_named(room: str) -> None:
    assert f"`{room}/`" in TEXT


def test_the_picture_is_that_of_the_contracts() -> None:
    assert drawn(TEXT) == TEXT, "run: make docs"


def test_the_picture_has_every_room() -> None:
    assert {*ROOMS} <= set(re.findall(r"\w+", picture()))


def test_the_index_of_modules_is_that_of_the_files() -> None:
    assert module_index.PAGE.read_text(encoding="utf-8") == module_index.page(), "run: make docs"


def test_every_file_of_the_index_says_what_it_is() -> None:
    rows = re.findall(r"^\| `(.+)` \| (.*) \|$", module_index.page(), re.MULTILINE)
    assert len(rows) > 500
    assert [name for name, words in rows if len(words) < 10] == []
