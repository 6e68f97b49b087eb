# SPDX-License-Identifier: Apache-2.0
"""One writer at a time over an output directory, for the sake of its journals and of AWS's 15 slots."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from c7n_iamusers.aws.stores import open_appending
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.fleet.run_directory import RUNS


@contextmanager
def exclusive(output: Path) -> Iterator[None]:
    """Holds the directory's lock, which ends with the process however it ends. Raises IdentityCenterError."""
    runs = output / RUNS
    with open_appending(runs / ".lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise IdentityCenterError(
                f"another run writes for {output}: wait until it has ended, or stop it"
            ) from error
        yield
