# SPDX-License-Identifier: Apache-2.0
"""Files of a user's own account, checked here so that an error names the file, and the line where there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from aws_local_org.documents import pages_in, report_rows, text_of
from c7n_iamusers.exceptions import LocalOrgError

T = TypeVar("T")


def details_in(path: Path) -> list[dict[str, Any]]:
    """The pages of an authorization details file. Raises LocalOrgError with the file and where it is wrong."""
    return _named(path, lambda: pages_in(_text(path)))


def report_in(path: Path) -> str:
    """The text of a credential report that has been found readable. Raises LocalOrgError with the file."""
    text = _named(path, lambda: _text(path))
    _named(path, lambda: report_rows(text))
    return text


def _text(path: Path) -> str:
    try:
        return text_of(path.read_bytes())
    except OSError as error:
        raise LocalOrgError(f"cannot be read: {error.strerror or error}") from error


def _named(path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except LocalOrgError as error:
        raise LocalOrgError(f"{path}: {error}") from error
