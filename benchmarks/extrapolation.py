# SPDX-License-Identifier: Apache-2.0
"""What a larger account would cost, where cost is a constant number of calls a user, and only there."""

from __future__ import annotations

from benchmarks.measurement import BenchmarkError, Measurement

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
