# SPDX-License-Identifier: Apache-2.0
"""What one run of one policy cost, and what a larger account would cost where calls a user are constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: The checkout, where every measured process starts.
ROOT = Path(__file__).parent.parent


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


#: Calls a user at two sizes may differ by so much: what is read once an account weighs more on fewer users.
TOLERANCE = 0.05


def deviation(smaller: Measurement, larger: Measurement) -> float:
    """How far calls a user at the two sizes lie apart, as a share of those at the larger one."""
    return abs(smaller.calls_per_user - larger.calls_per_user) / larger.calls_per_user


def extrapolate(smaller: Measurement, larger: Measurement, users: int) -> Measurement:
    """Calls on the straight line through two measurements; each call takes as long as at the larger one.

    Memory is not extrapolated.

    Raises BenchmarkError where calls a user are not constant, or the two don't compare.
    """
    if (smaller.contestant, smaller.latency_ms) != (larger.contestant, larger.latency_ms):
        raise BenchmarkError(f"{_title(smaller)} and {_title(larger)} are not two sizes of one thing")
    if smaller.users >= larger.users:
        raise BenchmarkError(f"{_title(smaller)} is not smaller than {_title(larger)}")
    if (apart := deviation(smaller, larger)) > TOLERANCE:
        raise BenchmarkError(
            f"{_title(smaller)} took {smaller.calls_per_user:.2f} calls a user and {_title(larger)} "
            f"{larger.calls_per_user:.2f}, {apart:.0%} apart: not constant, so nothing is extrapolated"
        )
    calls = _calls(smaller, larger, users)
    seconds = sum(calls.values()) * larger.seconds / larger.total_calls
    sizes = (smaller.users, larger.users)
    return Measurement(larger.contestant, users, larger.latency_ms, calls, seconds, extrapolated_from=sizes)


def _calls(smaller: Measurement, larger: Measurement, users: int) -> dict[str, int]:
    steps = (users - larger.users) / (larger.users - smaller.users)
    pairs = {
        name: (smaller.calls.get(name, 0), larger.calls.get(name, 0))
        for name in sorted({*smaller.calls, *larger.calls})
    }
    return {name: round(more + (more - fewer) * steps) for name, (fewer, more) in pairs.items()}


def _title(measurement: Measurement) -> str:
    return f"{measurement.contestant} at {measurement.users} users and {measurement.latency_ms:g} ms"
