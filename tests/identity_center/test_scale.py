# SPDX-License-Identifier: Apache-2.0
"""Work that grows with the organization and no faster, counted in calls: no test depends on a machine's speed."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center.access_plan import AccessPlan, Change, Choices
from c7n_iamusers.identity_center.applying.run_results import write_account_results
from c7n_iamusers.identity_center.aws import reader as center_reader
from c7n_iamusers.identity_center.model import MEMBERSHIP, USER, CenterState
from c7n_iamusers.identity_center.output.plan_files import write_plan
from c7n_iamusers.identity_center.output.run_report import Report
from c7n_iamusers.identity_center.planning.plan import plan_access
from c7n_iamusers.identity_center.requests.intent_files import read_intents, write_intents
from c7n_iamusers.identity_center.writer.writer import DONE, LEFT, ChangeResult
from tests.access_center import ACCOUNT, INSTANCE, OTHER_ACCOUNT
from tests.derivation.users import PLAIN, READ, WRITE, allow, user
from tests.derived import derived, holder
from tests.desired import desired, intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal

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
        requested = desired(*found)
        return python_calls(lambda: plan_access(requested, CenterState(), INSTANCE))

    assert planned(800) <= 2.3 * planned(400)


def test_what_all_people_of_a_group_have_in_common_is_held_once() -> None:
    """A plan for 600,000 people has two changes for each of them in memory."""
    requested = desired(intents(ACCOUNT, "alice", "bob"))
    plan = plan_access(requested, CenterState(), INSTANCE)
    for kind in (USER, MEMBERSHIP):
        (one,), (other,) = (each.calls for each in plan.changes if each.kind == kind)
        assert one.save is other.save
    assert one.parameters["GroupId"] is other.parameters["GroupId"]
    first, second = requested.claims
    assert first.grant is second.grant
    assert not hasattr(first.grant, "__dict__")


def test_deriving_for_users_alike_is_linear_and_cheap() -> None:
    def made(count: int) -> int:
        users = [user(f"u{number:04}", inline=[READ, WRITE]) for number in range(count)]
        return python_calls(lambda: derive(users, PLAIN))

    made(1)  # what is cached for good
    few, more = made(500), made(1000)
    assert more <= 2.3 * few
    assert (more - few) / 500 < 100


class Walked(tuple[Change, ...]):
    """Changes that count how often somebody walks through all of them."""

    times = 0

    def __iter__(self) -> Iterator[Change]:
        type(self).times += 1
        return super().__iter__()


@pytest.mark.parametrize("stopped", [False, True], ids=["made", "stopped"])
def test_results_walk_through_the_changes_a_few_times_however_many_accounts_there_are(
    tmp_path: Path, stopped: bool
) -> None:
    found = [intents(f"{100000000001 + number}", "alice", "bob") for number in range(20)]
    requested = desired(*found)
    plan = plan_access(requested, CenterState(), INSTANCE)
    ended = {each.key: ChangeResult(LEFT if stopped else DONE, 1) for each in plan.changes}
    Walked.times = 0
    report = Report(requested, replace(plan, changes=Walked(plan.changes)), ended)
    write_account_results(DirectoryStore(tmp_path), {each.place for each in found}, report)
    assert Walked.times <= 3


def test_a_plan_is_written_change_by_change(tmp_path: Path) -> None:
    plan = plan_access(
        desired(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "bob")), CenterState(), INSTANCE
    )
    for each in (plan, AccessPlan()):
        digest = write_plan(tmp_path / "plan.json", each, INSTANCE, Choices())
        content = (tmp_path / "plan.json").read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        data = json.loads(content)
        assert content.decode() == json.dumps(data, indent=1, sort_keys=True)
        assert len(data["changes"]) == len(each.work)
        assert data["totals"] == json.loads(json.dumps([asdict(total) for total in each.totals]))


def test_a_plan_holds_each_key_once() -> None:
    plan = plan_access(desired(intents(ACCOUNT, "alice", "bob")), CenterState(), INSTANCE)
    texts = [key for keys in plan.served.values() for key in keys]
    texts += [key for change in plan.changes for key in (change.key, *change.needs)]
    assert len({id(each) for each in texts}) == len(set(texts))


def test_users_of_intents_share_their_policies(tmp_path: Path) -> None:
    for account in ACCOUNTS:
        users = [holder(account, f"u{number}", allow("s3:*")) for number in range(5)]
        found = derived(account, *users)
        write_intents(tmp_path / account / "us-east-1" / found.policy, found)
    details = [user.detail or {} for each in read_intents(tmp_path) for user in each.users]
    assert len(details) == 20
    assert len({id(each["UserPolicyList"]) for each in details}) == 1
