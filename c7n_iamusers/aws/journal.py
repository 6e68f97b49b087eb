# SPDX-License-Identifier: Apache-2.0
"""The journal: a line before each mutating call and one after it, on disk before the call is made."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from c7n_iamusers.model.calls import Subject


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(timezone.utc)


class Journal:
    """Appends to ``path``; safe for several threads, and for a file that an earlier run has begun.

    A line is a JSON object: time, user, arn, phase (``before``, ``after``), service, operation,
    parameters, and after the call result (``done``, ``gone``, ``failed``) with the error code if any.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._file = path.open("ab")
        if self._file.tell() and not path.read_bytes().endswith(b"\n"):
            # A crash in mid-line: closing it keeps that remnant from swallowing the next entry.
            self._file.write(b"\n")

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        """One line, durable (fsync) when this returns."""
        who = {"time": self._now().isoformat(), "user": subject.name, "arn": subject.arn, "phase": phase}
        line = json.dumps({**who, **entry}, default=str) + "\n"
        with self._lock:
            self._file.write(line.encode())
            self._file.flush()
            os.fsync(self._file.fileno())

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
