# SPDX-License-Identifier: Apache-2.0
"""Where the policies and templates that this package ships are: the wheel carries copies of the checkout's files."""

from __future__ import annotations

from pathlib import Path

#: Where setup.py puts the copies; an editable install has none, and reads the checkout's own files.
_COPIES = Path(__file__).parent / "shipped"


def shipped(name: str) -> Path:
    """The place of what the checkout has at its top, such as ``policies`` or ``deploy/runner.yml``."""
    return (_COPIES if _COPIES.is_dir() else Path(__file__).parent.parent) / name
