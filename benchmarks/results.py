# SPDX-License-Identifier: Apache-2.0
"""What is measured and what for: the plan, the cost of runs, the fewest calls that IAM permits, the results, the goals.

Goals are ratios and calls, because seconds depend on the machine. Source of the fewest calls: IAM API reference;
botocore ``iam`` 2010-05-08. ``contents``: what an account has -> how many, as the local organization's ``counts_of``
returns it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS


@dataclass(frozen=True)
class Plan:
    """``both``: at least two numbers of users that both contestants flag. ``ours_alone``: further, larger numbers.

    ``latencies``: milliseconds added to each call. ``repeats``: runs of which the median counts; stock c7n, whose
    runs take minutes, runs once. ``derived``, ``planned``, ``unchanged``: accounts, and users in each.
    """

    both: tuple[int, ...] = (100, 500)
    ours_alone: tuple[int, ...] = (2000, 5000)
    latencies: tuple[float, ...] = (0, 50)
    deleted: int = 200
    deletion_latency: float = 50
    repeats: int = 3
    derived: tuple[int, int] = (400, 200)
    planned: tuple[tuple[int, int], ...] = ((100, 200), (200, 200), (400, 200))
    unchanged: tuple[int, int] = (400, 20)

    @property
    def sizes(self) -> tuple[int, ...]:
        return (*self.both, *self.ours_alone)

    @property
    def steps(self) -> int:
        """The number of measurements, with repeats."""
        ours, stock = len(self.sizes) * self.repeats, len(self.both)
        return (ours + stock) * len(self.latencies) + 4 + len(self.planned)


FULL = Plan()
QUICK = Plan(
    (50, 100),
    (500,),
    (0, 10),
    deleted=20,
    deletion_latency=10,
    repeats=1,
    derived=(20, 50),
    planned=((10, 50), (20, 50)),
    unchanged=(5, 10),
)


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


# The fewest calls.

#: MaxItems: "Minimum value of 1. Maximum value of 1000."
PAGE = 1000
#: Operation -> calls for each user, whose results must be current at its deletion. GetUser twice: IAM deletes by name,
#: and another user can have the name by then. Policies and groups: an account-wide list is older than the user's turn,
#: and a restoration grants what the snapshot has. Account-wide lists replace the user's own where IAM has one for the
#: same operation.
CALLS_OF_A_USER = {
    "GetUser": 2,
    **{
        kind.reading.operation: 1
        for kind in ATTACHMENT_KINDS
        if kind.reading and kind.reading.bulk != kind.reading.operation
    },
}
#: Attachment kind -> its name in ``contents``, if that differs.
_CONTENTS = {
    "login-profile": "passwords",
    "access-key": "access_keys",
    "signing-certificate": "certificates",
    "ssh-public-key": "ssh_keys",
    "service-specific-credential": "service_credentials",
    "mfa-device": "mfa_devices",
    "group": "memberships",
    "attached-policy": "attached_policies",
    "inline-policy": "inline_policies",
}
#: Operation -> the items that need one call each. No list has a key's body and a policy's document, which a
#: restoration needs. Only virtual devices need a second call, and the measured users have none.
CALLS_OF_AN_ITEM = {
    operation: _CONTENTS.get(kind.name, kind.name)
    for kind in ATTACHMENT_KINDS
    for operation in (
        *([kind.detail.operation] if kind.detail else ()),
        *(removal.operation for removal in kind.removals if removal.by_user),
    )
} | {"DeleteUser": "users"}


def evidence_floor(contents: Mapping[str, int]) -> dict[str, int]:
    """Operation -> calls: every account-wide list once, in full pages, with an existing credential report."""
    entities = sum(contents[name] for name in ("users", "groups", "roles", "policies"))
    return {
        "GetAccountAuthorizationDetails": _pages(entities),
        "ListUsers": _pages(contents["users"]),
        "GetCredentialReport": 1,
        "ListVirtualMFADevices": _pages(contents["mfa_devices"] + contents["orphaned_mfa"]),
        "ListServiceSpecificCredentials": _pages(contents["service_credentials"]),
    }


def deletion_floor(contents: Mapping[str, int]) -> dict[str, int]:
    """Operation -> calls to record and delete all users, without account-wide lists."""
    lists = {name: calls * contents["users"] for name, calls in CALLS_OF_A_USER.items()}
    items = {name: contents[what] for name, what in CALLS_OF_AN_ITEM.items() if contents.get(what)}
    return {**lists, **items}


def _pages(items: int) -> int:
    return max(1, -(-items // PAGE))


# Identity Center in a large organization.


@dataclass(frozen=True)
class Derived:
    """``seconds``, ``floor``: CPU seconds. ``peak``, ``report``: MB."""

    accounts: int
    users: int
    sets: int
    seconds: float
    floor: float
    peak: float
    report: float


@dataclass(frozen=True)
class Planned:
    """``seconds``: CPU seconds by phase; ``floor``: of all. ``first_run`` measures memory."""

    accounts: int
    users: int
    seconds: Mapping[str, float]
    floor: float

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Unchanged:
    """``calls``: of a run that changes nothing. ``floor``: the fewest possible."""

    accounts: int
    groups: int
    users: int
    calls: int
    floor: int


@dataclass(frozen=True)
class CenterFigures:
    """The measurements of Identity Center in a large organization. ``planned``: the largest last."""

    derived: Derived
    planned: Sequence[Planned]
    unchanged: Unchanged


@dataclass(frozen=True)
class Deletion:
    """``contents``: what the account had -> how many."""

    stock: Measurement
    ours: Measurement
    contents: Mapping[str, int]


@dataclass(frozen=True)
class Results:
    """``stock``, ``ours``: flagging. ``contents``: number of users -> what the account had besides them."""

    plan: Plan
    stock: tuple[Measurement, ...]
    ours: tuple[Measurement, ...]
    contents: Mapping[int, Mapping[str, int]]
    deletion: Deletion
    center: CenterFigures

    def stock_at(self, users: int, latency_ms: float) -> Measurement:
        """As measured, or extrapolated from the two largest sizes. Raises BenchmarkError if that is impossible."""
        measured = sorted(_at(self.stock, latency_ms), key=lambda each: each.users)
        found = [each for each in measured if each.users == users]
        smaller, larger = measured[-2:]
        return found[0] if found else extrapolate(smaller, larger, users)

    def ours_at(self, users: int, latency_ms: float) -> Measurement:
        (found,) = (each for each in _at(self.ours, latency_ms) if each.users == users)
        return found


def _at(measurements: tuple[Measurement, ...], latency_ms: float) -> list[Measurement]:
    return [each for each in measurements if each.latency_ms == latency_ms]


MOST_EVIDENCE_CALLS = 60
FEWER_CALLS = 100
FASTER_FLAGGING = 20
MOST_CALLS_BY_FLOOR = 1.25
FASTER_DELETION = 5


@dataclass(frozen=True)
class Goal:
    """``most``: whether the bound is an upper bound."""

    title: str
    bound: float
    measured: float
    unit: str = "x"
    most: bool = False

    @property
    def met(self) -> bool:
        return self.measured <= self.bound if self.most else self.measured >= self.bound


def goals(results: Results) -> list[Goal]:
    plan, deletion = results.plan, results.deletion
    largest, shared, slowest = plan.sizes[-1], plan.both[-1], plan.latencies[-1]
    stock, ours = results.stock_at(largest, slowest), results.ours_at(largest, slowest)
    faster = results.stock_at(shared, slowest).seconds / results.ours_at(shared, slowest).seconds
    by_floor = deletion.ours.total_calls / sum(deletion_floor(deletion.contents).values())
    at = f"{plan.deleted:,} users, {plan.deletion_latency:g} ms"
    return [
        Goal(
            f"calls for the evidence on {largest:,} users",
            MOST_EVIDENCE_CALLS,
            ours.total_calls,
            "",
            most=True,
        ),
        Goal(f"fewer calls for it, {largest:,} users", FEWER_CALLS, stock.total_calls / ours.total_calls),
        Goal(f"faster flagging, {shared:,} users, {slowest:g} ms", FASTER_FLAGGING, faster),
        Goal("calls of a deletion by its floor", MOST_CALLS_BY_FLOOR, by_floor, most=True),
        Goal(f"faster deletion, {at}", FASTER_DELETION, deletion.stock.seconds / deletion.ours.seconds),
    ]
