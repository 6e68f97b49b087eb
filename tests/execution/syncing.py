# SPDX-License-Identifier: Apache-2.0
"""What is made durable: the calls of fsync, by path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def synced(monkeypatch: pytest.MonkeyPatch, root: Path) -> Iterator[list[Path]]:
    """The directories from ``root`` down that fsync is called for meanwhile, in order."""
    found: list[Path] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        fsync(descriptor)
        there = os.fstat(descriptor)
        every = (root, *root.rglob("*"))
        found.extend(each for each in every if each.is_dir() and os.path.samestat(each.stat(), there))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", noting)
        yield found
