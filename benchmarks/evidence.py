# SPDX-License-Identifier: Apache-2.0
"""Proof that two runs gathered the same evidence on the same users."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.contestant import Contestant, Facts, Resource
from benchmarks.measurement import BenchmarkError


def require_equal_evidence(
    one: Contestant, ones: Iterable[Resource], other: Contestant, others: Iterable[Resource]
) -> None:
    """Raises BenchmarkError that names the first user of whom the two learnt different things, or only one did."""
    left, right = _facts(one, ones), _facts(other, others)
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name):
            raise BenchmarkError(
                f"the evidence on {name} differs, so that costs don't compare: "
                f"{one.name}: {left.get(name)}; {other.name}: {right.get(name)}"
            )


def _facts(contestant: Contestant, resources: Iterable[Resource]) -> dict[str, Facts]:
    return {str(resource["UserName"]): contestant.facts(resource) for resource in resources}
