# SPDX-License-Identifier: Apache-2.0
"""Directories whose content can't be read whole, also where the tests run as root."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lose = Callable[[pytest.MonkeyPatch, Path], None]


def locked(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Only another user of the machine may list ``directory``."""
    scandir = os.scandir

    def refused(path: Any = ".") -> object:
        if not isinstance(path, int) and Path(path) == directory:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)


def elsewhere(_: pytest.MonkeyPatch, directory: Path) -> None:
    """``directory`` is a link to where its content was moved."""
    moved = directory.parent.parent / f"{directory.parent.name}-{directory.name}-moved"
    directory.rename(moved)
    directory.symlink_to(moved)


#: The ways, each with what the error says.
UNREADABLE = [
    pytest.param(locked, "Permission denied", id="locked"),
    pytest.param(elsewhere, "is a symbolic link", id="link"),
]
