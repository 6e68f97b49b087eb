# SPDX-License-Identifier: Apache-2.0
"""Measures how unused access keys are found, made inactive and deleted: ``python -m benchmarks --keys``.

Stock Cloud Custodian finds users by their keys, this package finds keys. One key of every tenth user is unused.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import key_questions
from benchmarks.contestants import Contestant, Facts, Resource, require_equal_evidence
from benchmarks.key_questions import Answer
from benchmarks.report import (
    EXTRAPOLATED,
    NOTHING,
    Table,
    as_mib,
    as_seconds,
    as_yaml,
    by_operation,
    compared,
)
from benchmarks.results import FULL as ALL
from benchmarks.results import QUICK as FEW
from benchmarks.results import BenchmarkError, Measurement, Plan, extrapolate
from benchmarks.suite import Run, measure, measure_in
from benchmarks.workload import USERS_PER_UNUSED_KEY, Organization, running_organization

HEADING = "## Access keys"
FULL, QUICK = (replace(each, ours_alone=each.ours_alone[-1:], repeats=1) for each in (ALL, FEW))
DAYS = 90

_UNUSED: dict[str, Any] = {
    "type": "credential",
    "key": "access_keys.last_used_date",
    "value_type": "age",
    "op": "gt",
    "value": DAYS,
}


def _stock(name: str, filters: Sequence[Mapping[str, Any]]) -> Contestant:
    policy = {"name": "stock-keys", "resource": "aws.iam-user", "filters": [_UNUSED, *filters]}
    return Contestant(name, False, policy, {}, _stock_facts)


def _stock_facts(resource: Resource) -> Facts:
    """The last use of the user's key that was unused for longer."""
    used = min(key["last_used_date"] for key in resource["c7n:credential-report"]["access_keys"])
    return {"last use": used[:19]}


def _our_facts(resource: Resource) -> Facts:
    """The last use of the key."""
    return {"last use": resource["c7n:IamUser"]["key"]["used"][:19]}


_OURS: dict[str, Any] = {
    "name": "ours-keys",
    "resource": "aws.iam-access-key",
    "source": "access-keys",
    "filters": [{"type": "unnecessary", "unused": DAYS, "exempt": "none"}],
}
#: Each filter asks whether any key of the user meets it. ``c7n:matched-keys`` are those that meet all ``credential``.
CREDENTIAL = _stock(
    "`credential`",
    (
        {"type": "credential", "key": "access_keys.active", "value": True},
        {"type": "value", "key": '"c7n:matched-keys"', "value_type": "size", "op": "gt", "value": 0},
    ),
)
ACCESS_KEY = _stock("`access-key`", ({"type": "access-key", "key": "Status", "value": "Active"},))
STOCK = (CREDENTIAL, ACCESS_KEY)
OURS = Contestant("c7n_iamusers", True, _OURS, {}, _our_facts)
_PARK: dict[str, Any] = {
    **_OURS,
    "name": "ours-park",
    "actions": [{"type": "deactivate", "noticed": "none"}],
}
_RETIRE: dict[str, Any] = {
    **_OURS,
    "name": "ours-retire",
    "filters": [{"type": "unnecessary", "status": "inactive", "exempt": "none"}],
    # in days: a moment
    "actions": [{"type": "retire", "parked-for": 0.000001, "noticed": "none"}],
}
#: Policy -> the call that changes a key.
CHANGES = {"deactivate": "UpdateAccessKey", "retire": "DeleteAccessKey"}


#: As ``key_questions.measured``.
Ask = Callable[[Organization, int, int, float], Sequence[Answer]]


@dataclass(frozen=True)
class KeyResults:
    """``found``: contestant -> its runs. ``changed``: action -> its run on ``plan.deleted`` keys.

    ``answers``: what questions about ``plan.deleted`` keys cost.
    """

    plan: Plan
    found: Mapping[str, Sequence[Measurement]]
    changed: Mapping[str, Measurement]
    answers: Sequence[Answer] = ()

    def at(self, contestant: Contestant, users: int, latency_ms: float) -> Measurement:
        """As measured, or extrapolated from the two largest sizes. Raises BenchmarkError if that is impossible."""
        runs = {each.users: each for each in self.found[contestant.name] if each.latency_ms == latency_ms}
        smaller, larger = (runs[size] for size in sorted(runs)[-2:])
        return runs[users] if users in runs else extrapolate(smaller, larger, users)


def finding_floor(users: int) -> dict[str, int]:
    """Operation -> calls: the report says which users have an unused key, and one list for each has its id."""
    return {"GetCredentialReport": 1, "ListAccessKeys": users // USERS_PER_UNUSED_KEY}


def change_floor(action: str, keys: int) -> dict[str, int]:
    """Operation -> calls: the user, its keys' status and the key's last use as they are now, and the change."""
    return dict.fromkeys(("GetUser", "ListAccessKeys", "GetAccessKeyLastUsed", CHANGES[action]), keys)


def measured(plan: Plan, progress: Callable[[str], None], ask: Ask = key_questions.measured) -> KeyResults:
    """Raises BenchmarkError if a run fails, or if not all find the same. ``ask``: measures the questions."""
    with running_organization() as organization:
        found: dict[str, list[Measurement]] = {each.name: [] for each in (*STOCK, OURS)}
        for users in plan.sizes:
            organization.fill("keys", users)
            for latency in plan.latencies:
                progress(f"find the unused keys of {users:,} users at {latency:g} ms")
                ours = _found(organization, OURS, users, latency)
                found[OURS.name].append(ours.measurement)
                for stock in STOCK if users in plan.both else ():
                    theirs = _found(organization, stock, users, latency)
                    require_equal_evidence(stock, theirs.resources, OURS, ours.resources)
                    found[stock.name].append(theirs.measurement)
        progress(f"make {plan.deleted:,} keys inactive, and delete them")
        changed = _changed(organization, plan)
        progress(f"ask about {plan.deleted:,} keys")
        answers = ask(organization, plan.deleted, plan.deleted // 2, plan.deletion_latency)
        return KeyResults(plan, found, changed, answers)


def _found(organization: Organization, contestant: Contestant, users: int, latency: float) -> Run:
    run = measure(organization, contestant, contestant.flagging, latency)
    if (flagged := run.measurement.users) != users // USERS_PER_UNUSED_KEY:
        raise BenchmarkError(f"{contestant.name} found {flagged} of {users // USERS_PER_UNUSED_KEY} keys")
    return replace(run, measurement=replace(run.measurement, users=users))


def _changed(organization: Organization, plan: Plan) -> dict[str, Measurement]:
    """``retire`` deletes what ``deactivate`` made inactive, by its journal."""
    organization.fill("keys", plan.deleted * USERS_PER_UNUSED_KEY)
    runs = {}
    with tempfile.TemporaryDirectory() as directory:
        for (action, call), policy in zip(CHANGES.items(), (_PARK, _RETIRE), strict=True):
            run = measure_in(Path(directory), organization, OURS, policy, plan.deletion_latency).measurement
            if (made := run.calls.get(call)) != plan.deleted:
                raise BenchmarkError(f"{action} changed {made} of {plan.deleted} keys")
            runs[action] = run
            organization.make_report()
    return runs


def finding_table(results: KeyResults) -> Table:
    plan = results.plan
    rows = [
        [
            stock.name,
            f"{users:,}",
            f"{latency:g}",
            *compared(results.at(stock, users, latency), results.at(OURS, users, latency)),
        ]
        for stock in STOCK
        for users in plan.sizes
        for latency in plan.latencies
    ]
    figures = ["calls, stock", "ours", "fewer", "seconds, stock", "ours", "faster"]
    memory = ["peak MiB, stock", "ours", "ratio"]
    columns = ["stock, by", "users", "latency, ms", *figures, *memory]
    return Table("Finding unused access keys", columns, rows, 1)


def finding_calls_table(results: KeyResults) -> Table:
    users, latency = results.plan.sizes[-1], results.plan.latencies[-1]
    runs = [results.at(each, users, latency) for each in (*STOCK, OURS)]
    rows = by_operation([*(run.calls for run in runs), finding_floor(users)])
    for row in rows:
        row[1:3] = [each if each == NOTHING else f"{EXTRAPOLATED}{each}" for each in row[1:3]]
    columns = ["operation", *(f"stock, {each.name}" for each in STOCK), "ours", "floor"]
    return Table(f"Calls by operation, {users:,} users", columns, rows, 1)


def change_table(results: KeyResults) -> Table:
    keys = results.plan.deleted
    rows = []
    for action, run in results.changed.items():
        floor = sum(change_floor(action, keys).values())
        each = [f"{run.total_calls / keys:.2f}", f"{floor / keys:.2f}", f"{run.total_calls / floor:.2f}"]
        rows.append([action, f"{run.total_calls:,}", *each, as_seconds(run.seconds), as_mib(run.peak_mib)])
    columns = ["", "calls", "calls per key", "floor", "by the floor", "seconds", "peak MiB"]
    return Table(f"Changing {keys:,} keys at {results.plan.deletion_latency:g} ms", columns, rows, 1)


def change_calls_table(results: KeyResults) -> Table:
    keys = results.plan.deleted
    columns = [
        each for action, run in results.changed.items() for each in (run.calls, change_floor(action, keys))
    ]
    heads = [each for action in results.changed for each in (action, "floor")]
    return Table("Calls by operation, changes", ["operation", *heads], by_operation(columns), 1)


def answers_table(results: KeyResults) -> Table:
    return key_questions.table(results.answers)


TABLES = (finding_table, finding_calls_table, change_table, change_calls_table, answers_table)


def section(results: KeyResults, date: str, machine: Mapping[str, str]) -> str:
    """The part of docs/benchmarks.md, with the empty line before it. ``machine``: title -> text."""
    plan, largest = results.plan, results.plan.sizes[-1]
    unused = largest // USERS_PER_UNUSED_KEY
    policies = "\n\n".join(
        f"```yaml\n{as_yaml(each)}\n```"
        for each in (CREDENTIAL.flagging, {**ACCESS_KEY.flagging, "name": "stock-access-key"}, _OURS)
    )
    return f"""
{HEADING}

`make bench BENCH_ARGS=--keys` measures how keys are found that were not used for {DAYS} days, and writes this section
alone: on {date}, {machine["processor"]}, {machine["Python"]}. The users are those of the section on flagging, with
two active keys each. One key of every tenth user is unused: {unused:,} of {2 * largest:,} keys of {largest:,} users.

{finding_table(results).as_markdown()}

{finding_calls_table(results).as_markdown()}

{policies}

Stock finds users; the credential report has no ids of keys. Ours finds keys with their ids, and also reads what says
the kind of their users. Each run is checked: all find the same users, by the same last use. Numbers are extrapolated as
in the section on flagging. Stock reads the report once for each filter `credential`, as c7n's cache is off.
With `credential` alone, `c7n:matched-keys` are the keys that meet all conditions. Before `access-key` it leaves fewer
users whose keys are listed. The floor is the report, and one list for each user with an unused key.

A run of each action on {plan.deleted} keys of as many users, at {plan.deletion_latency:g} ms:

{change_table(results).as_markdown()}

{change_calls_table(results).as_markdown()}

The floor is the user, the status of its keys and the key's last use as they are now, and the change. Ours reads the
whole user, of which it writes a snapshot, and leaves a user alone that is denied everything or half deleted. It asks
for the use of the user's other key, too. Right before the call it asks again for the user, its keys and the key's last
use, and afterwards for the user and what became of the key. The account's lists are read once for all keys.
{key_questions.section(results.answers, plan.deletion_latency)}"""
