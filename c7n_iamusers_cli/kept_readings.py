# SPDX-License-Identifier: Apache-2.0
"""The file of ``usage --resume``: what was read of the event history, so that the next run reads on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from c7n_iamusers.key_usage.history_reading import Reading


@dataclass
class KeptReadings:
    """What was read of the event history. ``path``: of the file; None keeps nothing.

    Raises ClickException if it can't be read or written, before anything is asked of AWS.
    """

    path: Path | None
    _readings: dict[tuple[str, str, str], Reading] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from c7n_iamusers.execution.given import parsed_file
        from c7n_iamusers.key_usage.history_reading import parse_readings

        if self.path is None:
            return
        try:
            if self.path.exists():
                self._readings = parsed_file(self.path, parse_readings)
        except (OSError, ValueError) as error:
            raise click.ClickException(f"--resume {self.path}: {error}") from error
        self._write(self.path)

    def of(self, account_id: str, region: str, key_id: str) -> Reading:
        """How far it was read for a key."""
        from c7n_iamusers.key_usage.history_reading import Reading

        return self._readings.get((account_id, region, key_id)) or Reading(key_id, region)

    def keep(self, account_id: str, reading: Reading) -> None:
        """Write down how far it was read; durable when this returns."""
        place = (account_id, reading.region, reading.key_id)
        if self.path and reading != self._readings.get(place):
            self._readings[place] = reading
            self._write(self.path)

    def _write(self, path: Path) -> None:
        from c7n_iamusers.execution.stores import DirectoryStore
        from c7n_iamusers.key_usage.history_reading import readings_as_json

        try:
            DirectoryStore(path.parent).replace(path.name, readings_as_json(self._readings))
        except (OSError, ValueError) as error:
            raise click.ClickException(f"--resume {path} can't be written: {error}") from error
