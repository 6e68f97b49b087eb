# SPDX-License-Identifier: Apache-2.0
"""The cost of one run of one policy, and its extrapolation to larger accounts if calls per user are constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: The checkout, where every measured process starts.
ROOT = Path(__file__).parent.parent


class BenchmarkError(Exception):
    """A run failed, or its result can't be compared; the message says which run and why."""


@dataclass(frozen=True)
class Measurement:
    """``calls``: AWS operation -> calls in the account. ``seconds``: wall-clock seconds of the policy's run alone.

    ``process_seconds`` adds the start of the interpreter and the imports. ``loaded_mib``, ``peak_mib``: the most
    resident memory of the process, in MiB, before and after the run. None: not measured.
    ``extrapolated_from``: the numbers of users that were measured; empty for a measurement.
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
        """The memory that the run added to a process that had loaded everything."""
        if self.peak_mib is None or self.loaded_mib is None:
            return None
        return self.peak_mib - self.loaded_mib


#: Calls per user at two sizes may differ by this share, because calls per account count more with fewer users.
TOLERANCE = 0.05


def deviation(smaller: Measurement, larger: Measurement) -> float:
    """The difference of calls per user at the two sizes, as a share of those at the larger."""
    return abs(smaller.calls_per_user - larger.calls_per_user) / larger.calls_per_user


def extrapolate(smaller: Measurement, larger: Measurement, users: int) -> Measurement:
    """The linear extrapolation of calls from two measurements; each call takes as long as at the larger size.

    Memory is not extrapolated.

    Raises BenchmarkError if calls per user are not constant, or the two can't be compared.
    """
    if (smaller.contestant, smaller.latency_ms) != (larger.contestant, larger.latency_ms):
        raise BenchmarkError(f"{_title(smaller)} and {_title(larger)} are not two sizes of the same run")
    if smaller.users >= larger.users:
        raise BenchmarkError(f"{_title(smaller)} is not smaller than {_title(larger)}")
    if (apart := deviation(smaller, larger)) > TOLERANCE:
        raise BenchmarkError(
            f"{_title(smaller)} took {smaller.calls_per_user:.2f} calls per user and {_title(larger)} "
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
