# SPDX-License-Identifier: Apache-2.0
"""Runs policies on recorded responses, in c7n's own format.

``tests/data/placebo/<replay>/<service>.<Operation>_<n>.json`` holds what the local organization answered. In
replay nothing listens: a request without its file fails the test, and so does a file that nothing asked
for. To record anew: ``C7N_IAMUSERS_RECORD=1 pytest tests/test_replay.py``.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import boto3
from placebo.pill import Pill

RECORDING = os.environ.get("C7N_IAMUSERS_RECORD") == "1"
DATA = Path(__file__).parent / "data" / "placebo"


class StrictPill(Pill):  # type: ignore[misc]  # placebo is untyped
    """A Pill that fails if recordings run out or are left over; placebo's own starts again from the first."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[Path] = set()

    def get_next_file_path(self, service: str, operation: str) -> tuple[str, str]:
        """The next unused recording. Raises FileNotFoundError if there is none."""
        index = self._index.setdefault(f"{service}.{operation}", 1)
        path = Path(self.data_path) / f"{service}.{operation}_{index}.json"
        if not path.exists():
            raise FileNotFoundError(f"nothing was recorded for this request: {path}")
        self._index[f"{service}.{operation}"] = index + 1
        self.used.add(path)
        return str(path), "json"

    @property
    def left_over(self) -> list[str]:
        """The recordings that no request used."""
        return sorted(path.name for path in set(Path(self.data_path).iterdir()) - self.used)


class Replay:
    """A session factory for c7n, with one session that records or replays."""

    region = "us-east-1"

    def __init__(self, name: str, recorded: boto3.Session | None) -> None:
        self.directory, self.pill = DATA / name, StrictPill()
        self._session = recorded or boto3.Session("replayed", "replayed", region_name=self.region)
        if recorded:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory.mkdir(parents=True)
        self.pill.attach(self._session, str(self.directory))
        if recorded:
            self.pill.record()
        else:
            self.pill.playback()

    def __call__(self, assume: bool = True, region: str | None = None) -> Any:
        return self._session

    def finish(self) -> None:
        """End the replay. Fails if a recording was not used."""
        self.pill.stop()
        if not RECORDING:
            assert self.pill.left_over == []
