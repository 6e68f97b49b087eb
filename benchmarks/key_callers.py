# SPDX-License-Identifier: Apache-2.0
"""Counts what it costs to ask who calls with access keys: ``python -m benchmarks --usage``.

The figure is calls to AWS. Two LookupEvents a second, an account and Region, decide how long it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.contestants import Contestant, Facts, Resource
from benchmarks.report import Table, as_seconds, as_yaml, by_operation
from benchmarks.results import BenchmarkError, Measurement
from benchmarks.suite import measure
from benchmarks.workload import running_organization

HEADING = "## Who calls with access keys"
#: Users, each with two active keys.
FULL, QUICK = (20, 100), (5,)
_KEYS = 2
_POLICY: dict[str, Any] = {
    "name": "ours-usage",
    "resource": "aws.iam-user",
    "source": "authorization-details",
    "filters": [{"type": "unnecessary", "exempt": "none", "usage": "cloudtrail"}],
}
_UNASKED: dict[str, Any] = {
    **_POLICY,
    "name": "ours-without",
    "filters": [{"type": "unnecessary", "exempt": "none"}],
}


def _facts(resource: Resource) -> Facts:
    """What is known of each key."""
    return {key["id"]: key["result"] for key in resource["c7n:IamUser"].get("usage", ())}


OURS = Contestant("c7n_iamusers", True, _POLICY, {}, _facts)


@dataclass(frozen=True)
class Asked:
    """A run of ``users`` with the option, and one without it. ``regions``: in which keys have calls."""

    users: int
    regions: int
    asked: Measurement
    unasked: Measurement


def measured(sizes: Sequence[int], progress: Callable[[str], None]) -> list[Asked]:
    """Raises BenchmarkError if a run fails, or if a caller is not found."""
    with running_organization() as organization:
        return [_of(organization, users, progress) for users in sizes]


def _of(organization: Any, users: int, progress: Callable[[str], None]) -> Asked:
    organization.fill("keys", users)
    regions = organization.call_with_keys()
    progress(f"ask who calls with the keys of {users:,} users")
    run = measure(organization, OURS, _POLICY, 0)
    found = [result for each in run.resources for result in _facts(each).values()]
    if found != ["calls"] * users * _KEYS:
        raise BenchmarkError(f"{found.count('calls')} of {users * _KEYS} keys have callers")
    unasked = measure(organization, OURS, _UNASKED, 0).measurement
    return Asked(users, len(regions), run.measurement, unasked)


def floor(each: Asked) -> dict[str, int]:
    """Operation -> calls: the ids of each user's keys, a page of each key, and the addresses of each Region."""
    addresses = dict.fromkeys(("DescribeAddresses", "DescribeNetworkInterfaces"), each.regions)
    return {"ListAccessKeys": each.users, "LookupEvents": each.users * _KEYS, **addresses}


def table(found: Sequence[Asked]) -> Table:
    rows = []
    for each in found:
        keys, more = each.users * _KEYS, each.asked.total_calls - each.unasked.total_calls
        calls = [f"{each.unasked.total_calls:,}", f"{each.asked.total_calls:,}", f"{more / keys:.2f}"]
        rows.append([f"{keys:,}", f"{each.regions}", *calls, as_seconds(each.asked.seconds)])
    columns = ["keys", "Regions", "calls, without", "with usage", "more, a key", "seconds"]
    return Table("Asking who calls with each key", columns, rows, 1)


def calls_table(found: Sequence[Asked]) -> Table:
    largest = found[-1]
    rows = by_operation([largest.unasked.calls, largest.asked.calls, floor(largest)])
    columns = ["operation", "without", "with usage", "floor of usage"]
    return Table(f"Calls by operation, {largest.users * _KEYS:,} keys", columns, rows, 1)


def section(found: Sequence[Asked], date: str, machine: Mapping[str, str]) -> str:
    """The part of docs/benchmarks.md, with the empty line before it. ``machine``: title -> text."""
    return f"""
{HEADING}

`make bench BENCH_ARGS=--usage` counts what [`usage: cloudtrail`](usage.md#in-a-policy) takes, and writes this section
alone: on {date}, {machine["processor"]}, {machine["Python"]}. Each user has {_KEYS} active keys, each with a call.

{table(found).as_markdown()}

{calls_table(found).as_markdown()}

```yaml
{as_yaml(_POLICY)}
```

The floor is a list for each user, a page of events for each key, and two lists for each Region with calls. Each Region
is asked twice a second, and the Regions at once: that decides how long it takes.
"""
