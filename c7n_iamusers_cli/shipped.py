# SPDX-License-Identifier: Apache-2.0
"""Where the policies and templates that this package ships are: the wheel carries copies of the checkout's files."""

from __future__ import annotations

from pathlib import Path

from c7n_iamusers.exceptions import InvalidPolicyData

#: Where setup.py puts the copies; an editable install has none, and reads the checkout's own files.
_COPIES = Path(__file__).parent / "shipped"


def shipped(name: str) -> Path:
    """The place of what the checkout has at its top, such as ``policies`` or ``deploy/runner.yml``.

    Raises InvalidPolicyData where the package was built without them.
    """
    found = (_COPIES if _COPIES.is_dir() else Path(__file__).parent.parent) / name
    if not found.exists():
        raise InvalidPolicyData(
            f"this installation lacks {name}, as one in an image does: install the wheel, or run in a checkout"
        )
    return found
