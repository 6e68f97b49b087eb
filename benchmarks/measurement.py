# SPDX-License-Identifier: Apache-2.0
"""What one run of one policy cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class BenchmarkError(Exception):
    """A run failed, or did not do what is compared; the message says which, and what was seen."""


@dataclass(frozen=True)
class Measurement:
    """``calls``: AWS operation -> calls in the account. ``seconds``: the policy's run alone, by a wall clock.

    ``process_seconds`` adds the start of the interpreter and the imports. ``loaded_mib``, ``peak_mib``: the most
    resident memory of the process, in MiB, before and after the run. None: not measured.
    ``extrapolated_from``: the numbers of users that were measured instead; empty for a measurement.
    """

    contestant: str
    users: int
    latency_ms: float
    calls: Mapping[str, int]
    seconds: float
    process_seconds: float | None = None
    loaded_mib: float | None = None
    peak_mib: float | None = None
    extrapolated_from: tuple[int, ...] = ()

    @property
    def total_calls(self) -> int:
        return sum(self.calls.values())

    @property
    def calls_per_user(self) -> float:
        return self.total_calls / self.users

    @property
    def run_mib(self) -> float | None:
        """What the run added to the memory of a process that had loaded everything."""
        if self.peak_mib is None or self.loaded_mib is None:
            return None
        return self.peak_mib - self.loaded_mib
