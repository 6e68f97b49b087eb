# SPDX-License-Identifier: Apache-2.0
"""Where users stand, and how far their fleet is: by outcomes, evidence, notices and the accounts file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices.notices import ANNOUNCED, OVERDUE, Notice, Notices
from c7n_iamusers.reasons import Reason
from c7n_iamusers.report.accounts import Expected
from c7n_iamusers.report.fleet import FleetReport, fleet_of
from c7n_iamusers.report.output_reader import read_outputs
from c7n_iamusers.report.progress import ACCOUNT as BY_ACCOUNT
from c7n_iamusers.report.progress import OU, OWNER
from tests.report.fleet_outputs import (
    ACCOUNT,
    DELETE,
    FLAG,
    NOW,
    OTHER_ACCOUNT,
    Outputs,
    at,
    exempt_user,
    metadata,
    outcome,
    resource,
    seen,
)

TODAY = NOW.date()
ALICE = "alice@example.com"
ANNOUNCES = {"type": "notify-owners", "step": "announce", "notices": "notices"}
PAYMENTS = Expected(ACCOUNT, "payments", "payments@example.com", "/workloads/prod")


@pytest.fixture
def left(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def day(days: float) -> str:
    return (TODAY + timedelta(days=days)).isoformat()


def notice(
    *names: str,
    ahead: float = 10,
    quiet: int | None = None,
    ago: float = 5,
    to: Sequence[str] = ("payments@example.com",),
    step: str = ANNOUNCED,
    account: str = ACCOUNT,
) -> Notice:
    """A message ``ago`` days before now about users whose day is ``ahead``, ``quiet`` days after their Deny."""
    users = tuple(
        Subject(each, f"arn:aws:iam::{account}:user/{each}", f"AIDA{each.upper()}") for each in names
    )
    of = TODAY + timedelta(days=ahead)
    stop = None if quiet is None else of - timedelta(days=quiet)
    time = NOW - timedelta(days=ago)
    return Notice(account, step, time, of, tuple(to), f"{step}{ago}", FLAG, users, stop=stop)


def announcing(account: str = ACCOUNT, **options: Any) -> dict[str, str | None]:
    """The metadata of a policy that announces."""
    data = metadata(FLAG, account, 0, ["ResourceCount"], actions=[{**ANNOUNCES, **options}])
    return {"metadata.json": json.dumps(data)}


def fleet(
    left: Outputs, *notices: Notice, expected: Sequence[Expected] = (), since: datetime | None = None
) -> FleetReport:
    places = {(each.account_id, "notices") for each in notices}
    known = {
        key: Notices([each for each in notices if each.account_id == key[0]], "notices", readings=None)
        for key in places
    }
    return fleet_of(read_outputs(DirectoryStore(left.root)), expected, NOW, notices=known, since=since)


def users(found: FleetReport) -> dict[str, Mapping[str, Any]]:
    return {each["user"]: each for each in found.as_data()["users"]}


SINCE = NOW - timedelta(days=3)
USED: dict[str, Any] = {"last_activity": {"time": at(1)}}


@pytest.mark.parametrize(
    ("annotation", "said", "told", "blocked", "goes"),
    [
        pytest.param({}, None, notice("alice"), "", day(10), id="goes-on-its-day"),
        pytest.param({}, None, notice("alice", ahead=-2, ago=40), "", day(0), id="goes-today"),
        pytest.param(
            {}, None, notice("alice", ahead=3, quiet=14, ago=20), "", day(14), id="goes-after-the-quiet-days"
        ),
        pytest.param({}, None, None, "not announced", "", id="nobody-was-told"),
        pytest.param({}, None, notice("alice", ahead=-91, ago=120), "not announced", "", id="lapsed"),
        pytest.param(USED, None, notice("alice"), "in use", "", id="in-use-by-evidence"),
        pytest.param(USED, None, notice("alice", ahead=40), "", day(40), id="quiet-long-enough-by-then"),
        pytest.param(
            USED, None, notice("alice", ahead=40, quiet=14), "in use", "", id="in-use-on-the-day-of-the-deny"
        ),
        pytest.param(
            {"trusted_by": ["arn:aws:iam::1:role/x"]},
            None,
            notice("alice"),
            "trusted by a role",
            "",
            id="trust",
        ),
        pytest.param(
            {"identity-center": {"state": "absent"}},
            None,
            notice("alice"),
            "no replacement",
            "",
            id="no-access",
        ),
        pytest.param(
            {"identity-center": {"state": "absent"}, "kind": "machine"},
            None,
            notice("alice"),
            "",
            day(10),
            id="a-machine-needs-no-access",
        ),
        pytest.param(
            {"kind": "bedrock-api-key"}, None, notice("alice"), "no replacement", "", id="bedrock-key"
        ),
        pytest.param(
            {},
            ("skipped", reasons.ACTIVE(days=30, use="its password")),
            notice("alice"),
            "in use",
            "",
            id="in-use-by-a-step",
        ),
        pytest.param(
            {},
            ("skipped", reasons.USED_IN_QUARANTINE(since=SINCE, use="its password")),
            notice("alice"),
            "in use",
            "",
            id="used-in-quarantine",
        ),
        pytest.param(
            {},
            ("skipped", reasons.NO_ACCESS(state="absent", why="-")),
            notice("alice"),
            "no replacement",
            "",
            id="no-access-by-a-step",
        ),
        pytest.param(
            USED,
            ("skipped", reasons.TRUST_UNKNOWN(why="-")),
            notice("alice"),
            "trusted by a role",
            "",
            id="a-step-counts-before-evidence",
        ),
        pytest.param(
            USED,
            ("skipped", reasons.BEFORE_ITS_DAY(sent="-", day="-")),
            notice("alice"),
            "in use",
            "",
            id="a-step-that-waits-says-nothing",
        ),
        pytest.param(
            {},
            ("skipped", reasons.COMPROMISED(policy="-")),
            notice("alice"),
            "left alone",
            "",
            id="compromised",
        ),
        pytest.param(
            {},
            ("skipped", reasons.NOT_DERIVED(user="-", why="-")),
            notice("alice"),
            "no replacement",
            "",
            id="no-permission-set-yet",
        ),
        pytest.param(
            {},
            ("skipped", reasons.NO_WORKING_CREDENTIALS(user="-", as_of="-")),
            notice("alice"),
            "",
            day(10),
            id="nobody-can-use-it",
        ),
        pytest.param({}, ("failed", Reason()), notice("alice"), "failed", "", id="failed"),
        pytest.param(
            USED, ("quarantined", Reason()), notice("alice", quiet=14), "", day(14), id="denied-today"
        ),
    ],
)
def test_what_is_in_the_way_and_when_users_go(
    left: Outputs,
    annotation: dict[str, Any],
    said: tuple[str, Reason] | None,
    told: Notice | None,
    blocked: str,
    goes: str,
) -> None:
    left.leave(resource("alice", **annotation), files=announcing())
    if said:
        left.leave("alice", policy=DELETE, days=1, outcomes=[outcome("alice", *said)])
    alice = users(fleet(left, *filter(None, [told])))["alice"]
    assert (alice["blocked"], alice["goes"]) == (blocked, goes)


@pytest.mark.parametrize(
    ("kept", "ago", "annotation", "blocked"),
    [
        pytest.param({"group": "in-use", "code": reasons.ACTIVE.code}, 0, {}, "in use", id="in-use"),
        pytest.param(
            {"group": "replace-first", "code": reasons.NO_ACCESS.code}, 0, {}, "no replacement", id="replace"
        ),
        pytest.param(
            {"group": "replace-first", "code": reasons.TRUSTED.code}, 0, {}, "trusted by a role", id="trusted"
        ),
        pytest.param({"group": "stays", "code": reasons.COMPROMISED.code}, 0, {}, "left alone", id="stays"),
        pytest.param({"group": "goes"}, 0, USED, "", id="goes-whatever-the-evidence-suggests"),
        pytest.param(
            {"group": "in-use", "code": reasons.ACTIVE.code}, 5, {}, "", id="a-later-run-found-it-quiet"
        ),
        pytest.param({"group": "goes"}, 5, USED, "in use", id="a-later-run-found-it-in-use"),
        pytest.param({}, 0, USED, "in use", id="nothing-is-kept"),
    ],
)
def test_what_the_gates_said_at_the_announcement_counts_until_a_run_knows_more(
    left: Outputs, kept: dict[str, Any], ago: float, annotation: dict[str, Any], blocked: str
) -> None:
    left.leave(resource("alice", **annotation), files=announcing())
    told = replace(notice("alice", ago=ago), evidence={"AIDAALICE": {"findings": [], **kept}})
    assert users(fleet(left, told))["alice"]["blocked"] == blocked


@pytest.mark.parametrize(
    ("options", "annotation"),
    [
        ({"active-within": "none"}, USED),
        ({"trusted-by-role": True}, {"trusted_by": ["arn:aws:iam::1:role/x"]}),
        ({"require": "none"}, {"identity-center": {"state": "absent"}}),
    ],
)
def test_what_the_announcement_waives_is_not_in_the_way(
    left: Outputs, options: dict[str, Any], annotation: dict[str, Any]
) -> None:
    left.leave(resource("alice", **annotation), files=announcing(**options))
    assert users(fleet(left, notice("alice")))["alice"]["blocked"] == ""


def test_an_exempt_user_says_until_when_and_is_never_overdue(left: Outputs) -> None:
    left.leave("bob", seen=seen(exempt_user("alice")))
    alice = users(fleet(left, notice("alice", ahead=-1, ago=30)))["alice"]
    assert (alice["blocked"], alice["until"], alice["overdue"]) == ("exempt", "2999-06-30", False)


def test_who_is_spared_after_the_day_is_overdue_with_its_mails(left: Outputs) -> None:
    left.leave(resource("alice", **USED), "bob", files=announcing())
    told = notice("alice", "bob", ahead=0, ago=30)
    mails = [notice("alice", ahead=0, ago=each, step=OVERDUE) for each in (2, 0.5)]
    found = fleet(left, told, *mails)
    assert [(each["overdue"], each["overdue_mails"]) for each in users(found).values()] == [
        (True, 2),
        (False, 0),
    ]
    before = fleet(left, notice("alice", "bob", ahead=1, ago=30))
    assert before.progress.totals["overdue"] == 0


def test_the_owner_is_who_was_told_or_else_that_of_the_accounts_file(left: Outputs) -> None:
    left.leave("alice", "bob", "carol")
    left.leave("dave", name="research", account=OTHER_ACCOUNT)
    told = [
        notice("alice", to=["z@example.com", ALICE]),
        notice("bob", to=["security@example.com", "payments@example.com"]),
    ]
    found = users(fleet(left, *told, expected=[PAYMENTS]))
    assert {name: each["owner"] for name, each in found.items()} == {
        "alice": f"{ALICE}, z@example.com",
        "bob": "payments@example.com",
        "carol": "payments@example.com",
        "dave": "",
    }
    assert {each["ou"] for each in found.values()} == {"/workloads/prod", ""}


def test_the_burn_down_has_a_point_a_day_and_what_was_planned_beside_what_happened(left: Outputs) -> None:
    names = ["alice", "bob", "carol", "dave"]
    left.leave(*names, days=6, run="1")
    left.leave(resource("dave", **USED), *names[1:3], days=0, files=announcing())
    left.leave(*names, policy=DELETE, days=2, outcomes=[outcome("alice", "deleted", days=2)])
    told = [notice("alice", "bob", ahead=-3, ago=6), notice("carol", "dave", ahead=2, ago=6)]
    progress = fleet(left, *told).progress
    assert [each["day"] for each in progress.days] == [day(-each) for each in range(6, -1, -1)]
    assert [each["left"] for each in progress.days] == [4, 4, 4, 4, 3, 3, 3]
    assert [each["planned"] for each in progress.days] == [4, 4, 4, 2, 2, 2, 2]
    # bob is late, and goes today at the earliest; dave is in use
    assert progress.coming == (
        {"day": day(1), "left": 2, "planned": 2},
        {"day": day(2), "left": 1, "planned": 0},
    )
    assert progress.ahead == (
        {
            **{"day": day(-3), "users": 2, "gone": 1, "goes": 1, "last": day(0)},
            **{"blocked": {}, "overdue": 0},
        },
        {
            **{"day": day(2), "users": 2, "gone": 0, "goes": 1, "last": day(2)},
            **{"blocked": {"in use": 1}, "overdue": 0},
        },
    )


def test_who_is_in_the_way_by_owner_unit_and_account_the_overdue_first(left: Outputs) -> None:
    left.leave(resource("alice", **USED), "bob", "erin", files=announcing(), seen=seen(exempt_user("carol")))
    left.leave(
        *(resource(name, OTHER_ACCOUNT, **USED) for name in ("dave", "frank")),
        name="research",
        account=OTHER_ACCOUNT,
        files=announcing(OTHER_ACCOUNT),
    )
    told = [
        notice("alice", ahead=-1, ago=30),
        notice("bob"),
        notice("dave", "frank", account=OTHER_ACCOUNT, to=["research@example.com"]),
    ]
    research = Expected(OTHER_ACCOUNT, "research", "research@example.com", "/sandbox")
    blocking = fleet(left, *told, expected=[PAYMENTS, research]).progress.blocking
    assert [each["key"] for each in blocking[OWNER]] == ["payments@example.com", "research@example.com"]
    assert [each["key"] for each in blocking[OU]] == ["/workloads/prod", "/sandbox"]
    assert [each["name"] for each in blocking[BY_ACCOUNT]] == ["payments", "research"]
    assert blocking[OWNER][0] == {
        **{"key": "payments@example.com", "name": "", "left": 4, "goes": 1, "overdue": 1},
        **{"until": "2999-06-30", "until_last": "2999-06-30"},
        "blocked": {"in use": 1, "exempt": 1, "not announced": 1},
    }


def test_what_changed_since_a_time(left: Outputs) -> None:
    left.leave("alice", "bob", "carol", "dave", days=9, run="1")
    left.leave("bob", "carol", resource("dave", **USED), "erin", days=0, files=announcing())
    rows = [
        outcome("alice", "deleted", days=1),
        outcome("bob", "quarantined", days=1),
        outcome("carol", "failed", days=1),
    ]
    left.leave("alice", "bob", "carol", policy=DELETE, days=1, outcomes=rows)
    told = [notice("dave", ahead=-1, ago=9), notice("erin", ago=1)]
    found = fleet(left, *told, since=NOW - timedelta(days=2))
    assert {name: each["changed"] for name, each in users(found).items()} == {
        "alice": ["deleted"],
        "bob": ["denied"],
        "carol": ["failed"],
        "dave": ["overdue"],
        "erin": ["announced", "new"],
    }
    assert found.progress.changed == dict.fromkeys(
        ("deleted", "denied", "overdue", "failed", "announced", "new"), 1
    )
    assert fleet(left, *told, since=NOW).progress.changed == {}


def test_an_owners_part_has_nothing_of_others(left: Outputs) -> None:
    left.leave("alice", "bob", policy=DELETE, outcomes=[outcome("bob", "failed", "bobs-reason")])
    left.leave("dave", name="research", account=OTHER_ACCOUNT)
    found = fleet(left, notice("alice", to=[ALICE]), expected=[PAYMENTS])
    parts = dict(found.of_owners(NOW))
    assert sorted(parts) == ["", ALICE, "payments@example.com"]
    data = parts[ALICE].as_data()
    text = json.dumps({**data, **{each: list(data[each]) for each in ("users", "keys")}})
    assert "alice" in text
    assert not [each for each in ("bob", "dave", "research", OTHER_ACCOUNT, "git-*") if each in text]
    assert data["totals"]["users"] == data["accounts"][0]["users"] == 1
