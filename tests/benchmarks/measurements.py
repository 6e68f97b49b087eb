# SPDX-License-Identifier: Apache-2.0
"""Measurements for tests, as a run would give them."""

from __future__ import annotations

from collections.abc import Mapping

from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks import access_keys
from benchmarks.access_keys import KeyResults
from benchmarks.first_run import FirstRun
from benchmarks.key_callers import Asked
from benchmarks.results import (
    CenterFigures,
    Deletion,
    Derived,
    Measurement,
    Plan,
    Planned,
    Results,
    Unchanged,
)

CONTENTS = {
    "users": 0,
    "groups": 0,
    "roles": 0,
    "policies": 0,
    "passwords": 0,
    "access_keys": 0,
    "mfa_devices": 0,
    "orphaned_mfa": 0,
    "certificates": 0,
    "ssh_keys": 0,
    "service_credentials": 0,
    "memberships": 0,
    "attached_policies": 0,
    "inline_policies": 0,
}


def contents(**counts: int) -> dict[str, int]:
    """What an account holds; none of its permissions is not named."""
    assert counts.keys() <= CONTENTS.keys()
    return {**CONTENTS, **counts}


def measured(
    contestant: str, users: int, calls: Mapping[str, int], seconds: float = 1.0, latency_ms: float = 50
) -> Measurement:
    return Measurement(contestant, users, latency_ms, calls, seconds, seconds + 2, 65.0, 130.0)


def stock(users: int, seconds: float) -> Measurement:
    """Six calls per user and three an account."""
    calls = {"GetUser": users, "ListMFADevices": 5 * users, "ListUsers": 3}
    return measured("stock c7n", users, calls, seconds)


def ours(users: int, calls: int, seconds: float) -> Measurement:
    return measured("c7n_iamusers", users, {"GetAccountAuthorizationDetails": calls}, seconds)


def deletion(calls: int = 13, seconds: float = 10.0) -> Deletion:
    """Two users with a password and an SSH key each: the floor is 18 calls."""
    return Deletion(
        measured("stock c7n", 2, {"DeleteUser": 2, "ListAccessKeys": 15}, 60.0),
        measured("c7n_iamusers", 2, {"DeleteUser": 2, "GetUser": calls - 2}, seconds),
        contents(users=2, passwords=2, ssh_keys=2),
    )


def results(deleted: Deletion | None = None) -> Results:
    """Stock at 100 and 500 users, ours at 5,000 too, at 50 ms."""
    plan = Plan((100, 500), (5000,), (50,), deleted=2, deletion_latency=50, repeats=1)
    return Results(
        plan,
        (stock(100, 40.0), stock(500, 200.0)),
        (ours(100, 5, 0.5), ours(500, 6, 2.0), ours(5000, 20, 12.0)),
        {users: contents(users=users, groups=users // 25, roles=users // 10) for users in plan.sizes},
        deleted or deletion(),
        CenterFigures(
            Derived(400, 80000, 1200, 18.0, 3.0, 400.0, 20.0),
            (
                Planned(100, 20000, {"plan": 2.0, "results": 1.0}, 2.0),
                Planned(400, 80000, {"plan": 8.0, "results": 4.0}, 8.0),
            ),
            Unchanged(400, 1200, 8000, 2831, 2800),
        ),
    )


def keys() -> KeyResults:
    """Both of stock's filters at 100 and 500 users, ours at 5,000 too, at 50 ms; two keys were changed."""
    plan = Plan((100, 500), (5000,), (50,), deleted=2, deletion_latency=50, repeats=1)
    stock = {
        each.name: [
            measured(each.name, users, {"GetUser": users, "ListAccessKeys": listed * users // 10}, users / 10)
            for users in plan.both
        ]
        for listed, each in enumerate(access_keys.STOCK)
    }
    found = [
        measured(access_keys.OURS.name, users, {"ListUsers": 2, "ListAccessKeys": users // 10}, users / 100)
        for users in plan.sizes
    ]
    changed = {
        action: measured(access_keys.OURS.name, 2, {call: 2, "GetUser": 8}, 3.0)
        for action, call in access_keys.CHANGES.items()
    }
    return KeyResults(plan, {**stock, access_keys.OURS.name: found}, changed)


#: The first is as long as its calls take at 20 a second, the second as its assignments take in 15 slots.
FIRST_RUNS = [
    FirstRun("three", 10, 5_000, 30, 14_000, 12_000, 11.0, 9.5, 50.0, 101.0, 120.0),
    FirstRun("derived", 10, 300, 200, 3_000, 1_200, 11.5, 0.9, 50.0, 71.0, 74.0),
]


def _usage_run(**calls: int) -> Measurement:
    return Measurement("c7n_iamusers", 10, 0, calls, 4.0)


#: Ten users with two keys each, in two Regions: with the option, and without it.
USAGE = Asked(
    10,
    2,
    _usage_run(
        GetCredentialReport=1,
        ListAccessKeys=10,
        LookupEvents=20,
        DescribeAddresses=2,
        DescribeNetworkInterfaces=2,
    ),
    _usage_run(GetCredentialReport=1),
)


def ran(*arguments: str) -> str:
    """The output of the program, which must succeed."""
    done = CliRunner().invoke(program.main, arguments)
    assert done.exit_code == 0, done.output
    return done.output
