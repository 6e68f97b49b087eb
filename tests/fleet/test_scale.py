# SPDX-License-Identifier: Apache-2.0
"""Work that grows with the organization and no faster, counted in calls: no test depends on a machine's speed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from c7n_iamusers.aws import center_reader
from c7n_iamusers.aws.rate_limit import RateLimit
from c7n_iamusers.decisions.access_plan import plan_access
from c7n_iamusers.decisions.derivation.derive import derive
from c7n_iamusers.model.access_plan import CenterState
from tests.decisions.derivation.users import PLAIN, READ, WRITE, allow, user
from tests.derived import derived, holder
from tests.desired import desired, intents
from tests.fleet.fleet_rehearsal import FleetRehearsal
from tests.identity_center import ACCOUNT, INSTANCE, OTHER_ACCOUNT

ACCOUNTS = (ACCOUNT, OTHER_ACCOUNT, "777788889999", "123456789012")
GROUPS, PEOPLE, WANTED_ACCOUNTS, WANTED_SECONDS = 3, 70_000, 400, 180


class VirtualClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def calls_of_nothing_to_do(fleet: FleetRehearsal, accounts: tuple[str, ...]) -> int:
    """Calls of a run that changes nothing, over ``accounts`` with three groups each."""
    fleet.forget()
    for account in accounts:
        users = [holder(account, f"u{number}", allow(f"svc{number}:*")) for number in range(GROUPS)]
        fleet.leave(derived(account, *users))
    assert fleet.run() == []
    assert fleet.run() == []
    assert fleet.mutations() == []
    return sum(call.service in ("sso-admin", "identitystore") for call in fleet.org.calls)


def test_400_accounts_with_nothing_to_do_take_three_minutes(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fifty people and groups are looked up one by one, and more are listed by hundreds.
    monkeypatch.setattr(center_reader, "_FEW", 0)
    few, more = (calls_of_nothing_to_do(fleet, ACCOUNTS[:count]) for count in (2, 4))
    # One for what the account has, one for the holders of each set, and one for the members of each group.
    assert (more - few) / 2 == 1 + 2 * GROUPS
    pages = (PEOPLE + WANTED_ACCOUNTS * GROUPS) // 100
    clock = VirtualClock()
    rate = RateLimit(20.0, lambda: clock.now, clock.sleep)
    for _ in range(few + (1 + 2 * GROUPS) * (WANTED_ACCOUNTS - 2) + pages):
        rate.take()
    assert clock.now <= WANTED_SECONDS


def python_calls(of: Callable[[], Any]) -> int:
    """How many functions are called on the way."""
    count = 0

    def counted(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        of()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("groups", [1, 40], ids=["one-group", "many-groups"])
def test_planning_is_linear(groups: int) -> None:
    def planned(count: int) -> int:
        sets = max(1, groups * count // 400)
        found = [
            intents(ACCOUNT, *(f"u{each}" for each in range(number, count, sets)), set_name=f"Set{number}")
            for number in range(sets)
        ]
        wanted = desired(*found)
        return python_calls(lambda: plan_access(wanted, CenterState(), INSTANCE))

    assert planned(800) <= 2.3 * planned(400)


def test_deriving_for_users_alike_is_linear_and_cheap() -> None:
    def made(count: int) -> int:
        users = [user(f"u{number:04}", inline=[READ, WRITE]) for number in range(count)]
        return python_calls(lambda: derive(users, PLAIN))

    made(1)  # what is cached for good
    few, more = made(500), made(1000)
    assert more <= 2.3 * few
    assert (more - few) / 500 < 100
