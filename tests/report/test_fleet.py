# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers import reasons
from c7n_iamusers.evidence.seen_users import BY_OTHERS, BY_US, EXEMPT, FLAGGED, LEFT_OUT, SeenUsers
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.exemptions import ExemptionRule, parse_rules
from c7n_iamusers.reasons import Reason
from c7n_iamusers.report import checks
from c7n_iamusers.report.accounts import ANY, Expected, Wanted
from c7n_iamusers.report.checks import ATTENTION, BLOCKING, need
from c7n_iamusers.report.csv_columns import render_csv
from c7n_iamusers.report.fleet import FleetReport, fleet_of
from c7n_iamusers.report.output_reader import read_outputs
from c7n_iamusers.report.rendering import render_html, render_json
from tests.report.fleet_outputs import (
    ACCOUNT,
    DELETE,
    FLAG,
    NOW,
    OTHER_ACCOUNT,
    RULE,
    Outputs,
    at,
    exempt_user,
    finding,
    metadata,
    outcome,
    resource,
    seen,
    seen_user,
)

SINCE = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
IN_USE = reasons.USED_IN_QUARANTINE(since=SINCE, use="its password was used on 2026-11-20 12:00 UTC")
BROKEN = reasons.QUARANTINE_UNDONE(since=SINCE, how="its Deny-all is gone")
PARK, RELEASE = "iam-users-park", "iam-users-release"


@pytest.fixture
def left(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def fleet(left: Outputs, *expected: Expected, wanted: Wanted = ANY) -> FleetReport:
    names = {each.name: each.id for each in expected}
    return fleet_of(read_outputs(DirectoryStore(left.root), names), expected, NOW, wanted)


def users(found: FleetReport) -> dict[str, dict[str, Any]]:
    return {each["user"]: each for each in rows(found)}


def dry_run(policy: str) -> dict[str, str | None]:
    """The files of a dry run that differ."""
    data = metadata(policy, ACCOUNT, 0, ["ResourceCount"])
    return {"metadata.json": json.dumps({**data, "config": {**data["config"], "dryrun": True}})}


def rows(found: FleetReport) -> list[dict[str, Any]]:
    return list(found.as_data()["users"])


def needs(found: FleetReport) -> list[tuple[str, str, str]]:
    return [(each["account"], each["user"], each["what"]) for each in found.attention]


def test_a_user_is_as_the_latest_run_saw_it_with_all_its_outcomes(left: Outputs) -> None:
    left.leave(resource("alice", kind="unknown", findings=[finding("admin-rights", "high")]), days=30)
    left.leave(
        resource("alice", kind="human"),
        policy=DELETE,
        days=1,
        outcomes=[outcome("alice", "deleted", days=0.9)],
    )
    left.leave("alice", policy=PARK, days=9, outcomes=[outcome("alice", "quarantined", days=9)])
    found = users(fleet(left))["alice"]
    assert (found["kind"], found["severity"], found["status"]) == ("human", "medium", "deleted")
    assert [each["status"] for each in found["outcomes"]] == ["deleted", "quarantined"]
    assert found["last_seen"] == "2026-11-24T12:00:00+00:00"


@pytest.mark.parametrize(
    ("events", "status"),
    [
        pytest.param([], "flagged", id="none"),
        pytest.param([(PARK, "quarantined", 3)], "quarantined", id="one"),
        pytest.param([(PARK, "quarantined", 3), (RELEASE, "released", 1)], "released", id="the-latest"),
        pytest.param([(DELETE, "failed", 3), (DELETE, "deleted", 1)], "deleted", id="failed-and-done"),
        pytest.param([(DELETE, "failed", 3), (DELETE, "skipped", 1)], "skipped", id="failed-and-skipped"),
        pytest.param(
            [(DELETE, "failed", 3), (PARK, "unchanged", 1)], "failed", id="another-policy-hides-nothing"
        ),
        pytest.param([("provision", "failed", 3), (DELETE, "deleted", 1)], "deleted", id="it-is-gone"),
        pytest.param([(DELETE, "deleted", 3), ("provision", "failed", 1)], "failed", id="after-its-deletion"),
    ],
)
def test_the_outcome_that_counts(left: Outputs, events: list[tuple[str, str, float]], status: str) -> None:
    left.leave("alice", days=10)
    for number, (policy, outcome_status, days) in enumerate(events):
        row = outcome("alice", outcome_status, days=days)
        left.leave("alice", policy=policy, days=days, outcomes=[row], run=str(number))
    assert users(fleet(left))["alice"]["status"] == status


def test_in_a_bucket_outcomes_are_of_the_run_that_was_the_latest_then(left: Outputs) -> None:
    rows = [outcome("alice", "quarantined", days=4.9), outcome("bob", "skipped", ACTIVE, 0.9)]
    rows.append(outcome("carol", "released", days=7))  # of a run whose files were moved away
    for days, selected, outcomes in ((5, ("alice",), rows[:1]), (1, ("bob", "alice"), rows)):
        directory = left.leave(*selected, policy=PARK, days=days, outcomes=outcomes)
        left.as_in_bucket(directory, days)
    found = fleet(left)
    (policy,) = found.policies
    assert (policy["selected"], policy["outcomes"]) == (2, {"skipped": 1})
    assert policy["skipped"] == [{"codes": [ACTIVE.code], "users": 1}]
    assert [each["outcomes"] for each in found.runs] == [{"quarantined": 1}, {"skipped": 1}]
    assert {name: each["status"] for name, each in users(found).items()} == {
        "alice": "quarantined",
        "bob": "skipped",
        "carol": "released",
    }


def test_history_counts_once(left: Outputs) -> None:
    row = {
        **outcome("alice", "deleted", days=1),
        "history": [outcome("alice", "failed", days=2)],
    }
    left.leave("alice", policy=DELETE, days=2, outcomes=[row])
    left.leave(policy="iam-users-old", days=3, outcomes=[outcome("alice", "skipped", days=3)])
    found = users(fleet(left))
    assert list(found) == ["alice"]
    assert [each["status"] for each in found["alice"]["outcomes"]] == ["deleted", "failed", "skipped"]


def test_of_two_outcomes_in_the_same_second_the_later_counts(left: Outputs) -> None:
    """A run first writes that the one before was stopped, and then what it did itself."""
    stopped = {**outcome("alice", "failed"), "time": "2026-11-01T10:00:00.100000+00:00"}
    row = {**outcome("alice", "deleted"), "time": "2026-11-01T10:00:00.700000+00:00", "history": [stopped]}
    left.leave("alice", policy=DELETE, outcomes=[row])
    assert users(fleet(left))["alice"]["status"] == "deleted"


def test_a_second_user_of_a_name_is_another(left: Outputs) -> None:
    left.leave("alice", days=9, policy=DELETE, outcomes=[outcome("alice", "deleted", days=9)])
    left.leave({**resource("alice"), "UserId": "AIDAOTHER"})
    found = rows(fleet(left))
    assert {each["unique_id"]: each["status"] for each in found} == {
        "AIDAALICE": "deleted",
        "AIDAOTHER": "flagged",
    }


@pytest.mark.parametrize(
    ("annotation", "severity"),
    [
        pytest.param({"findings": [finding("a", "low"), finding("b", "high")]}, "high", id="the-worst"),
        pytest.param({"findings": [finding("a", "low")]}, "low", id="low"),
        pytest.param({"findings": []}, "low", id="no-finding"),
        pytest.param({"kind": None}, "unknown", id="not-judged"),
    ],
)
def test_severity(left: Outputs, annotation: dict[str, Any], severity: str) -> None:
    left.leave(resource("alice", **annotation))
    assert users(fleet(left))["alice"]["severity"] == severity


ACTIVE = reasons.ACTIVE(days=30, use="its password was used on 2026-11-20 12:00 UTC")
NOT_ANNOUNCED = reasons.NOT_ANNOUNCED(place="notices")


@pytest.mark.parametrize("says", [reasons.NOT_IN_QUARANTINE(), reasons.NOTHING_TO_RELEASE()])
@pytest.mark.parametrize(
    ("before", "reason"),
    [
        pytest.param([("skipped", NOT_ANNOUNCED, 4), ("skipped", ACTIVE, 3)], ACTIVE, id="the-latest"),
        pytest.param([("skipped", ACTIVE, 3), ("released", "", 2)], None, id="released-since"),
        pytest.param([("unchanged", "as before", 4)], None, id="not-skipped"),
        pytest.param([], None, id="nothing-else"),
    ],
)
def test_why_a_user_is_in_no_quarantine_says_more_than_that_it_is_in_none(
    left: Outputs, says: Reason, before: list[tuple[str, str | Reason, float]], reason: Reason | None
) -> None:
    rows = [outcome("alice", status, why, days) for status, why, days in before]
    for number, row in enumerate(rows):
        left.leave("alice", policy=f"policy-{number}", days=5, outcomes=[row])
    left.leave("alice", policy=DELETE, days=1, outcomes=[outcome("alice", "skipped", says, 1)])
    found = fleet(left)
    alice = users(found)["alice"]
    assert (alice["status"], alice["reason"], alice["outcomes"][0]["reason"]) == (
        "skipped",
        (reason or says).text,
        says.text,
    )
    assert alice["code"] == (reason or says).code
    skipped = {each["policy"]: each["skipped"] for each in found.policies}
    assert skipped[DELETE] == [{"codes": [says.code, *([reason.code] if reason else [])], "users": 1}]


def test_evidence_that_a_later_run_did_not_ask_for_stays(left: Outputs) -> None:
    left.leave(resource("alice", attempts={"state": "quiet"}, findings=[finding("a", "high")]), days=3)
    for days in (2, 1):
        left.leave(resource("alice", findings=[finding("b", "low")]), days=days, run=f"run-{days}")
    alice = users(fleet(left))["alice"]
    assert (alice["attempts"], alice["severity"]) == ({"state": "quiet"}, "low")
    assert [each["id"] for each in alice["findings"]] == ["b"]


def test_users_of_other_filters_are_not_judged(left: Outputs) -> None:
    left.leave({key: value for key, value in resource("alice").items() if key != "c7n:IamUser"})
    found = users(fleet(left))["alice"]
    assert (found["severity"], found["kind"], found["credentials"]) == ("unknown", "unknown", None)


def test_the_oldest_active_credential(left: Outputs) -> None:
    credentials = [
        {
            "kind": "access-key",
            "title": "access key 1",
            "active": False,
            "created": "2010-01-01T00:00:00+00:00",
        },
        {
            "kind": "access-key",
            "title": "access key 2",
            "active": True,
            "created": "2020-01-01T00:00:00+00:00",
        },
        {"kind": "login-profile", "title": "password", "active": True, "created": None},
    ]
    left.leave(resource("alice", credentials=credentials))
    assert users(fleet(left))["alice"]["oldest_credential"] == "2020-01-01T00:00:00+00:00"


def test_policy_documents_tags_and_what_is_not_known_stay_out(left: Outputs) -> None:
    left.leave(resource("alice", unknown_key="the-unknown"))
    text = b"".join(render_json(fleet(left).as_data())).decode()
    assert not [each for each in ("the-document", "the-tag", "the-unknown") if each in text]


STOPPED = {"metadata.json": None, "resources.json": None}


def test_accounts_that_left_nothing_or_no_users_are_first_and_never_clean(left: Outputs) -> None:
    left.leave("alice", name="payments")
    left.leave(
        name="denied", account="333333333333", metrics=["PolicyException"], files={"resources.json": None}
    )
    left.leave(name="stopped", files=STOPPED)
    left.leave(name="torn", account="555555555555", files={"resources.json": "["})
    left.leave(name="empty", account="666666666666")
    expected = (
        Expected("111122223333", "payments"),
        Expected("222222222222", "stopped"),
        Expected("777777777777", "absent"),
    )
    found = fleet(left, *expected)
    assert [(each.id, each.name, each.state) for each in found.accounts] == [
        ("777777777777", "absent", "never ran"),
        ("555555555555", "torn", "unreadable"),
        ("222222222222", "stopped", "did not run"),
        ("333333333333", "denied", "failed"),
        (ACCOUNT, "payments", "ran"),
        ("666666666666", "empty", "ran"),
    ]
    assert [each[0] for each in needs(found)] == [
        "777777777777",
        "555555555555",
        "222222222222",
        "333333333333",
    ]
    assert found.as_data()["totals"]["accounts_seen"] == 2


@pytest.mark.parametrize(
    ("later", "state"),
    [
        pytest.param({"metrics": ["PolicyException"], "days": 1}, "failed", id="a-later-failure-counts"),
        pytest.param({"metrics": ["PolicyException"], "days": 9}, "ran", id="an-earlier-one-does-not"),
        pytest.param({"files": STOPPED}, "did not run", id="one-without-a-date-counts-as-the-last"),
        pytest.param(
            {"policy": DELETE, "metrics": ["PolicyException"], "days": 9}, "failed", id="each-policy-counts"
        ),
        pytest.param(
            {"files": {"resources.json": "["}, "days": 9}, "unreadable", id="a-torn-file-always-counts"
        ),
    ],
)
def test_the_latest_run_of_each_policy_counts(left: Outputs, later: dict[str, Any], state: str) -> None:
    left.leave("alice", days=3, run="first")
    left.leave(**later, run="second")
    assert [each.state for each in fleet(left).accounts] == [state]


@pytest.mark.parametrize(
    ("days", "states"),
    [
        pytest.param([1, 1, 1], ["ran", "ran", "ran"], id="one-run"),
        pytest.param([1, 1, 1.2], ["ran", "ran", "ran"], id="a-run-that-took-long"),
        pytest.param([1, 1, 2], ["ran", "ran", "older result"], id="left-out-of-the-latest-run"),
        pytest.param([1, 2, 2], ["ran", "ran", "ran"], id="one-that-was-run-again"),
    ],
)
def test_a_result_that_most_accounts_have_replaced_is_older(
    left: Outputs, days: list[float], states: list[str]
) -> None:
    expected = [Expected(f"{number:012}", f"account-{number}") for number in range(3)]
    for account, each in zip(expected, days, strict=True):
        left.leave("alice", name=account.name, account=account.id, days=each)
    found = fleet(left, *expected)
    assert [each.state for each in sorted(found.accounts, key=lambda each: each.id)] == states
    assert [each["what"] for each in found.attention] == [each for each in states if each != "ran"]
    wave = fleet(left, expected[2])
    assert [each.state for each in wave.accounts if each.id == expected[2].id] == ["ran"]


PAYMENTS, RESEARCH = Expected(ACCOUNT, "payments"), Expected(OTHER_ACCOUNT, "research")
YESTERDAY = NOW - timedelta(days=1.5)


@pytest.mark.parametrize(
    ("wanted", "expected", "lacking"),
    [
        pytest.param(ANY, [PAYMENTS, RESEARCH], {}, id="nothing-is-wanted"),
        pytest.param(Wanted([FLAG], YESTERDAY), [PAYMENTS], {}, id="it-ran"),
        pytest.param(
            Wanted([FLAG], YESTERDAY),
            [PAYMENTS, RESEARCH],
            {"research": "since 2026-11-24 00:00:00 UTC"},
            id="the-output-of-the-run-before",
        ),
        pytest.param(
            Wanted([FLAG], YESTERDAY),
            [],
            {"research": "its result is of 2026-11-23"},
            id="of-all-in-the-outputs",
        ),
        pytest.param(Wanted([FLAG], NOW - timedelta(days=2)), [RESEARCH], {}, id="it-began-right-then"),
        pytest.param(
            Wanted((), YESTERDAY),
            [PAYMENTS, RESEARCH],
            {"research": f"{DELETE} in "},
            id="a-policy-of-one-account-is-asked-of-no-other",
        ),
        pytest.param(
            Wanted([PARK]), [PAYMENTS], {"payments": f"{PARK} left no result"}, id="no-output-at-all"
        ),
        pytest.param(Wanted([DELETE]), [RESEARCH], {}, id="at-any-time"),
    ],
)
def test_a_run_that_did_not_happen_needs_attention(
    left: Outputs, wanted: Wanted, expected: list[Expected], lacking: dict[str, str]
) -> None:
    left.leave("alice", days=1)
    left.leave("bob", name="research", account=OTHER_ACCOUNT, days=2)
    left.leave("bob", name="research", account=OTHER_ACCOUNT, policy=DELETE, days=2)
    attention = {each["name"]: each for each in fleet(left, *expected, wanted=wanted).attention}
    assert attention.keys() == lacking.keys()
    for name, why in lacking.items():
        assert attention[name]["what"] == "did not run"
        assert why in attention[name]["why"]


@pytest.mark.parametrize(
    ("wanted", "real_days", "why"),
    [
        pytest.param(Wanted([FLAG]), None, "but that of a dry run", id="no-run-but-it"),
        pytest.param(Wanted((), YESTERDAY), None, "but that of a dry run", id="of-all-in-the-outputs"),
        pytest.param(Wanted([FLAG], YESTERDAY), 3, "its result is of 2026-11-22", id="an-old-run-before"),
        pytest.param(Wanted([FLAG], YESTERDAY), 1, "", id="a-run-before"),
        pytest.param(ANY, None, "", id="nothing-is-wanted"),
    ],
)
def test_a_dry_run_is_no_result(left: Outputs, wanted: Wanted, real_days: float | None, why: str) -> None:
    left.leave("alice", files=dry_run(FLAG), run="dry")
    if real_days:
        left.leave("alice", days=real_days, run="real")
    found = [each for each in fleet(left, PAYMENTS, wanted=wanted).attention if each["kind"] == "account"]
    assert [each["what"] for each in found] == ["did not run"] * bool(why)
    assert all(why in each["why"] for each in found)


def test_a_report_on_some_accounts_leaves_the_others_out(left: Outputs) -> None:
    left.leave("alice", seen=NOBODY)
    failed = {**outcome("bob", "failed"), "arn": f"arn:aws:iam::{OTHER_ACCOUNT}:user/bob"}
    left.leave("bob", name="research", account=OTHER_ACCOUNT, outcomes=[failed], seen=NOBODY)
    left.leave(name="research", account=OTHER_ACCOUNT, policy=DELETE, files=STOPPED)
    assert len(fleet(left, PAYMENTS).attention) == 2
    found = fleet(left, PAYMENTS, wanted=Wanted(expected_only=True))
    data = found.as_data()
    assert (found.attention, list(users(found)), data["totals"]["accounts"]) == ((), ["alice"], 1)
    assert [(each["policy"], each["accounts"]) for each in found.runs] == [(FLAG, 1)]
    assert [each["users"] for each in found.exemptions] == [None], "it may protect users of other accounts"


def test_each_region_counts(left: Outputs) -> None:
    directory = left.leave("alice")
    other = Path(*directory.parts[:-2], "eu-west-1", FLAG)
    other.mkdir(parents=True)
    (other / "resources.json").write_text("[")
    assert [each.state for each in fleet(left).accounts] == ["unreadable"]


def test_failures_and_quarantines_need_attention(left: Outputs) -> None:
    rows = [
        outcome("alice", "failed", "iam:DeleteUser was denied"),
        outcome("bob", "skipped", IN_USE),
        outcome("carol", "skipped", BROKEN),
        outcome("dave", "skipped", "active within 14 days"),
    ]
    left.leave(
        "alice",
        *("bob", "carol", "dave"),
        policy=DELETE,
        outcomes=rows,
        metrics=["ResourceCount", "PolicyException"],
    )
    found = fleet(left)
    assert needs(found) == [
        (ACCOUNT, "alice", f"{DELETE} failed"),
        (ACCOUNT, "bob", "quarantine in use"),
        (ACCOUNT, "carol", "quarantine broken"),
    ]
    assert [each["why"] for each in found.attention] == [
        "iam:DeleteUser was denied",
        IN_USE.text,
        BROKEN.text,
    ]


def restoring(phase: str, days: float, operation: str = "AttachUserPolicy", **more: Any) -> dict[str, Any]:
    """A line of the journal of a restoration of alice."""
    who = {"user": "alice", "arn": f"arn:aws:iam::{ACCOUNT}:user/alice", "unique_id": "AIDAALICE"}
    return {"time": at(days), **who, "phase": phase, "operation": operation, **more}


CREATED = [
    restoring("before", 2, "CreateUser"),
    restoring("after", 2, "CreateUser", result="done", saved={"created-user": "AIDANEW"}),
]
REFUSED = [restoring("before", 1), restoring("after", 1, result="failed")]
ENDED = restoring("outcome", 1, status="restored", made=["AIDANEW"])


@pytest.mark.parametrize(
    ("lines", "rows", "named"),
    [
        pytest.param([*CREATED, *REFUSED], [], ["restore failed"], id="refused-half-way"),
        pytest.param([CREATED[0]], [], ["restore failed"], id="killed"),
        pytest.param([*CREATED, *REFUSED, ENDED], [], [], id="ended"),
        pytest.param([*CREATED, ENDED, restoring("lapsed", 0)], [], [], id="ended-and-what-it-saw"),
        pytest.param([ENDED, restoring("before", 0.5)], [], ["restore failed"], id="another-one-began"),
        pytest.param(REFUSED, [], [], id="refused-at-once"),
        pytest.param(
            [*CREATED, *REFUSED],
            [outcome("alice", "skipped", "not announced") | {"unique_id": "AIDANEW"}],
            ["restore failed"],
            id="and-a-policy-skipped-it",
        ),
        pytest.param(
            [*CREATED, *REFUSED],
            [outcome("alice", "deleted") | {"unique_id": "AIDANEW"}],
            [],
            id="and-it-was-deleted",
        ),
    ],
)
def test_a_restoration_that_is_not_done_needs_attention(
    left: Outputs, lines: list[dict[str, Any]], rows: list[dict[str, Any]], named: list[str]
) -> None:
    journal = "".join(json.dumps(each) + "\n" for each in lines)
    deleted = outcome("alice", "deleted", days=9)
    left.leave(policy=DELETE, outcomes=[deleted, *rows], files={"restore-journal.jsonl": journal})
    assert [what for _, user, what in needs(fleet(left)) if user == "alice"] == named


AGAIN = BROKEN.and_also(reasons.QUARANTINED_AGAIN())


@pytest.mark.parametrize(
    ("events", "what"),
    [
        pytest.param([("failed", AGAIN, 3)], ["quarantine broken"], id="named-once"),
        pytest.param(
            [("failed", AGAIN, 3), ("unchanged", "", 1)], ["quarantine broken"], id="completed-since"
        ),
        pytest.param([("failed", AGAIN, 14), ("unchanged", "", 1)], ["quarantine broken"], id="14-days-ago"),
        pytest.param([("failed", AGAIN, 15), ("unchanged", "", 1)], [], id="long-ago"),
        pytest.param([("failed", AGAIN, 15)], ["quarantine broken"], id="not-looked-at-since"),
        pytest.param(
            [("failed", AGAIN, 3), ("skipped", IN_USE, 1)], ["quarantine broken"], id="and-in-use-since"
        ),
        pytest.param([("failed", AGAIN, 3), ("released", IN_USE, 1)], [], id="released-since"),
        pytest.param([("failed", AGAIN, 3), ("deleted", "", 1)], [], id="deleted-since"),
        pytest.param(
            [("released", "", 5), ("failed", AGAIN, 3), ("unchanged", "", 1)],
            ["quarantine broken"],
            id="released-before",
        ),
    ],
)
def test_a_broken_quarantine_stays_named_and_once(
    left: Outputs, events: list[tuple[str, str | Reason, float]], what: list[str]
) -> None:
    *history, row = (outcome("alice", status, reason, days) for status, reason, days in events)
    left.leave("alice", policy=PARK, outcomes=[{**row, "history": history}])
    found = fleet(left).attention
    assert [each["what"] for each in found] == what
    assert all(each["why"].startswith("its quarantine of 2026-11-01") for each in found)
    named = len(events) > 1 and events[-1][0] != "failed"
    assert all(("; it is named until 2026-" in each["why"]) is named for each in found)


def test_a_release_ends_the_failure_of_a_policy_that_found_the_quarantine_broken(left: Outputs) -> None:
    left.leave("alice", policy=PARK, days=3, outcomes=[outcome("alice", "failed", AGAIN, 3)])
    left.leave("alice", policy=RELEASE, days=1, outcomes=[outcome("alice", "released", days=1)])
    assert (users(fleet(left))["alice"]["status"], needs(fleet(left))) == ("released", [])


QUARANTINED_BEFORE = [outcome("alice", "quarantined", days=9)]


@pytest.mark.parametrize(
    ("denied", "outcomes", "named"),
    [
        pytest.param(BY_US, QUARANTINED_BEFORE, True, id="in-quarantine"),
        pytest.param(BY_US, [], True, id="by-the-deny-itself"),
        pytest.param(BY_OTHERS, QUARANTINED_BEFORE, True, id="by-the-outcomes"),
        pytest.param(BY_OTHERS, [], False, id="denied-by-others"),
        pytest.param("", QUARANTINED_BEFORE, False, id="not-denied"),
        pytest.param(None, QUARANTINED_BEFORE, False, id="not-exempt"),
        pytest.param(BY_US, [outcome("alice", "released", days=1)], False, id="released-since"),
        pytest.param(BY_US, [outcome("alice", "released", days=3)], True, id="released-before"),
        pytest.param(BY_US, [outcome("alice", "quarantined", IN_USE, days=9)], True, id="in-use-before"),
    ],
)
def test_an_exempt_user_that_is_still_denied_needs_attention(
    left: Outputs, denied: str | None, outcomes: list[dict[str, Any]], named: bool
) -> None:
    left.leave("bob", days=9, policy=DELETE, seen=seen(exempt_user("alice", denied=BY_US)))
    alice = seen_user("alice") if denied is None else exempt_user("alice", denied=denied)
    left.leave("bob", days=2, seen=seen(alice))
    left.leave(policy=PARK, days=9, outcomes=outcomes)
    assert needs(fleet(left)) == ([(ACCOUNT, "alice", "quarantine of an exempt user")] if named else [])


STOP = reasons.STOPPED(file="notices/STOP")


def test_users_that_a_stop_file_kept_are_one_line(left: Outputs) -> None:
    rows = [outcome(each, "failed", STOP) for each in "abc"]
    left.leave(*"abcd", policy=DELETE, outcomes=rows, metrics=["ResourceCount", "PolicyException"])
    (found,) = fleet(left).attention
    assert (found["what"], found["account"], found["user"]) == ("stopped", ACCOUNT, "")
    assert found["why"].startswith(f"3 users: {STOP.text}. ")
    assert users(fleet(left))["a"]["status"] == "failed"
    left.leave("a", policy=PARK, days=1, outcomes=[outcome("a", "failed", "iam:PutUserPolicy was denied", 1)])
    assert [each[1:] for each in needs(fleet(left))] == [("", "stopped"), ("a", f"{PARK} failed")]


def test_a_stop_is_told_of_each_account_that_it_kept(left: Outputs) -> None:
    """Its reason is a text that an account writes: one for all would let each account block the others."""
    for name, account in (("payments", ACCOUNT), ("research", OTHER_ACCOUNT)):
        row = {**outcome("a", "failed", STOP), "arn": f"arn:aws:iam::{account}:user/a"}
        left.leave(
            {**resource("a"), "Arn": row["arn"]}, name=name, account=account, policy=DELETE, outcomes=[row]
        )
    assert [
        (each["account"], each["why"][:7]) for each in fleet(left).attention if each["what"] == "stopped"
    ] == [(ACCOUNT, "1 user:"), (OTHER_ACCOUNT, "1 user:")]


def test_who_is_exempt_after_a_stop_is_no_longer_named(left: Outputs) -> None:
    rows = [outcome(each, "failed", STOP, days=2) for each in ("alice", "bob")]
    left.leave("alice", "bob", policy=DELETE, days=2, outcomes=rows)
    assert [each["why"][:7] for each in fleet(left).attention] == ["2 users"]
    left.leave("bob", days=1, seen=seen(exempt_user("alice")))
    assert [each["why"][:7] for each in fleet(left).attention] == ["1 user:"]
    assert users(fleet(left))["alice"]["status"] == "exempt"


def test_what_the_latest_run_of_each_policy_did(left: Outputs) -> None:
    soon = reasons.ANNOUNCED_LATELY
    rows = [
        outcome("alice", "quarantined"),
        outcome("bob", "skipped", ACTIVE),
        outcome("carol", "skipped", soon(days=23, sent="on 2026-11-10 to a@example.com")),
        outcome("dave", "skipped", soon(days=23, sent="on 2026-11-11 to b@example.com")),
        outcome("erin", "quarantined", days=2),
    ]
    left.leave("erin", policy=PARK, days=2, run="before")
    left.leave("alice", "bob", "carol", "dave", policy=PARK, outcomes=rows)
    left.leave("frank", name="research", account=OTHER_ACCOUNT, policy=PARK, days=1)
    left.leave(policy=RELEASE, days=1)
    left.leave(
        name="late",
        account="999999999999",
        policy=RELEASE,
        days=1,
        metrics=[],
        files={"resources.json": None},
    )
    park = {
        "policy": PARK,
        "time": at(0),
        "accounts": 2,
        "not_run": [],
        "dry_run": False,
        "deployed": [],
        "selected": 5,
        "outcomes": {"quarantined": 1, "skipped": 3},
        "skipped": [{"codes": ["AnnouncedLately"], "users": 2}, {"codes": ["Active"], "users": 1}],
    }
    release = {"policy": RELEASE, "time": at(1), "accounts": 2, "not_run": ["999999999999"], "dry_run": False}
    nobody = {"deployed": [], "selected": 0, "outcomes": {}, "skipped": []}
    assert fleet(left).policies == (park, {**release, **nobody})
    assert fleet(left, wanted=Wanted([PARK])).policies == (park,)
    (since,) = fleet(left, wanted=Wanted((), NOW - timedelta(hours=1))).policies
    assert (since["policy"], since["accounts"], since["selected"]) == (PARK, 1, 4)


ATTEMPTS = {
    "state": "attempted",
    "since": at(7),
    "as_of": at(1),
    "quarantined": True,
    "attempts": [{"source": "cloudtrail", "time": at(2), "service": "ec2", "action": "RunInstances"}],
}


@pytest.mark.parametrize(
    ("attempts", "outcomes", "expected"),
    [
        pytest.param(ATTEMPTS, [], ["quarantine in use"], id="attempted"),
        pytest.param({**ATTEMPTS, "state": "unobservable", "attempts": []}, [], [], id="unobservable"),
        pytest.param({**ATTEMPTS, "quarantined": False}, [], [], id="in-no-quarantine"),
        pytest.param(ATTEMPTS, [outcome("alice", "released")], [], id="released-since"),
        pytest.param(ATTEMPTS, [outcome("alice", "released", days=3)], ["quarantine in use"], id="before"),
        pytest.param({**ATTEMPTS, "attempts": "x"}, [], ["quarantine in use"], id="malformed"),
    ],
)
def test_who_is_heard_under_quarantine_needs_attention(
    left: Outputs, attempts: dict[str, Any], outcomes: list[dict[str, Any]], expected: list[str]
) -> None:
    left.leave(resource("alice", attempts=attempts), outcomes=outcomes)
    found = fleet(left)
    assert [each["what"] for each in found.attention] == expected
    (user,) = rows(found)
    assert user["attempts"] == attempts
    if attempts is ATTEMPTS and expected:
        assert "ec2 RunInstances on" in found.attention[0]["why"]


def test_an_action_that_failed_without_naming_a_user_needs_attention(left: Outputs) -> None:
    left.leave("alice", metrics=["ResourceCount", "PolicyException"])
    assert needs(fleet(left)) == [(ACCOUNT, "", "action failed")]


def test_a_quarantine_is_no_trouble_once_a_later_run_finds_it_well_or_the_user_is_gone(left: Outputs) -> None:
    left.leave(
        "alice", "bob", policy=DELETE, days=5, run="1", outcomes=[outcome("alice", "skipped", IN_USE, 5)]
    )
    left.leave(
        "alice", policy=DELETE, days=1, run="2", outcomes=[outcome("alice", "skipped", "not yet 14 days", 1)]
    )
    rows = [outcome("bob", "unchanged", BROKEN, 4)]
    left.leave("bob", policy=PARK, days=4, run="3", outcomes=rows)
    left.leave("bob", policy="by-hand", days=2, run="4", outcomes=[outcome("bob", "deleted", "", 2)])
    assert fleet(left).attention == ()


@pytest.mark.parametrize(
    ("events", "known"),
    [
        pytest.param([], "", id="none"),
        pytest.param([("quarantined", "")], "stands", id="put-in"),
        pytest.param(
            [("quarantined", ""), ("skipped", "active within 14 days")], "stands", id="skipped-since"
        ),
        pytest.param([("quarantined", ""), ("skipped", IN_USE)], "in use", id="in-use"),
        pytest.param([("quarantined", ""), ("skipped", BROKEN)], "broken", id="broken"),
        pytest.param([("quarantined", ""), ("released", "")], "", id="released"),
        pytest.param([("quarantined", ""), ("deleted", "")], "", id="deleted"),
    ],
)
def test_what_is_known_of_a_quarantine(
    left: Outputs, events: list[tuple[str, str | Reason]], known: str
) -> None:
    left.leave("alice", days=10)
    for number, (status, reason) in enumerate(events):
        row = outcome("alice", status, reason, days=5 - number)
        left.leave("alice", policy=f"policy-{number}", days=5 - number, outcomes=[row])
    found = fleet(left)
    assert users(found)["alice"]["quarantine"] == known
    assert found.as_data()["totals"]["quarantined"] == bool(known)


def test_runs_are_dated_and_show_the_progress(left: Outputs) -> None:
    left.leave("alice", "bob", days=30, run="first")
    left.leave("carol", name="research", account=OTHER_ACCOUNT, days=30, run="first")
    left.leave(name="late", account="999999999999", days=30, run="first", metrics=["PolicyException"])
    left.leave("alice", policy=DELETE, days=20, run="second", outcomes=[outcome("alice", "deleted", days=20)])
    left.leave(
        "bob",
        policy=DELETE,
        days=10,
        run="third",
        outcomes=[outcome("bob", "deleted", days=10), outcome("dave", "skipped", days=10)],
    )
    found = fleet(left).runs
    assert [(each["time"][:10], each["policy"], each["selected"], each["left"]) for each in found] == [
        ("2026-10-26", FLAG, 3, 3),
        ("2026-11-05", DELETE, 1, 2),
        ("2026-11-15", DELETE, 1, 2),
    ]
    assert (found[0]["accounts"], found[0]["not_run"]) == (3, ["999999999999"])
    assert found[2]["outcomes"] == {"deleted": 1, "skipped": 1}


USED, NOBODY = seen(exempt_user("git-a"), exempt_user("git-b"), seen_user("alice")), seen(seen_user("alice"))


@pytest.mark.parametrize(
    ("in_accounts", "count"),
    [
        pytest.param([USED, USED], 4, id="of-all-accounts"),
        pytest.param([USED, NOBODY], 2, id="of-one"),
        pytest.param([NOBODY, NOBODY], 0, id="nobody"),
        pytest.param([NOBODY, None], None, id="not-known-of-one"),
        pytest.param([NOBODY, seen(complete=False)], None, id="not-all-users-of-one"),
    ],
)
def test_whom_a_rule_protects(left: Outputs, in_accounts: list[SeenUsers | None], count: int | None) -> None:
    for name, account, each in zip(
        ("payments", "research"), (ACCOUNT, OTHER_ACCOUNT), in_accounts, strict=True
    ):
        left.leave("alice", name=name, account=account, seen=each)
    (rule,) = fleet(left).exemptions
    assert (rule["pattern"], rule["users"], rule["owner"]) == ("git-*", count, "platform@example.com")


def test_an_account_without_users_hides_no_exemption_that_protects_nobody(left: Outputs) -> None:
    """Cloud Custodian calls no filter there."""
    left.leave("alice", seen=NOBODY)
    left.leave(name="research", account=OTHER_ACCOUNT)
    (rule,) = fleet(left).exemptions
    assert rule["users"] == 0


@pytest.mark.parametrize("users", [1, 0], ids=["used", "unused"])
def test_a_rule_of_a_list_has_its_reason_and_owner(left: Outputs, users: int) -> None:
    """The list itself is not in the output."""
    rule = ExemptionRule("user", "ci-*", "a list's", date(2999, 1, 1), "team <a>")
    left.leave("alice", seen=seen(*[exempt_user("ci-a")] * users, rules=[rule]))
    found = {each["pattern"]: (each["reason"], each["owner"]) for each in fleet(left).exemptions}
    assert found == {"git-*": ("CodeCommit", "platform@example.com"), "ci-*": ("a list's", "team <a>")}


def test_a_rule_matches_nobody_only_where_all_accounts_were_seen(left: Outputs) -> None:
    left.leave("alice", seen=NOBODY)
    (rule,) = fleet(left, Expected(ACCOUNT, "payments"), Expected(OTHER_ACCOUNT, "research")).exemptions
    assert rule["users"] is None


def test_a_rule_of_an_account_that_matches_nobody_is_named(left: Outputs) -> None:
    rules = parse_rules([{**RULE, "account": "777788889999"}], "exempt")
    for name, account in (("payments", ACCOUNT), ("research", OTHER_ACCOUNT)):
        left.leave("alice", name=name, account=account, seen=seen(rules=rules))
    found = {each["account"]: each["users"] for each in fleet(left).exemptions}
    assert found["777788889999"] == 0


def test_the_same_rule_in_two_policies_counts_its_users_once(left: Outputs) -> None:
    left.leave("alice", seen=USED)
    left.leave("alice", policy=DELETE, seen=USED)
    (rule,) = fleet(left).exemptions
    assert (rule["users"], rule["policies"]) == (2, [DELETE, FLAG])


@pytest.mark.parametrize(
    ("expires", "state"),
    [
        ("2026-11-24", "expired"),
        ("2026-11-25", "expires soon"),
        ("2026-12-25", "expires soon"),
        ("2026-12-26", ""),
    ],
)
def test_the_end_of_a_rule(left: Outputs, expires: str, state: str) -> None:
    left.leave("alice", seen=seen(rules=parse_rules([{**RULE, "expires": expires}], "exempt")))
    found = {each["expires"]: each["state"] for each in fleet(left).exemptions}
    assert found[expires] == state


def test_evidence_that_could_not_be_read_is_noted_on_the_account(left: Outputs) -> None:
    source = {"source": "GetCredentialReport", "time": None, "problem": "AccessDenied"}
    left.leave(*(resource(each, sources={"credential-report": source}) for each in ("alice", "bob")))
    found = fleet(left)
    assert found.accounts[0].notes == ("credential-report could not be read: AccessDenied",)
    (line,) = found.attention
    assert (line["level"], line["account"], line["what"]) == (ATTENTION, ACCOUNT, "evidence not read")
    assert line["why"].startswith("credential-report could not be read: AccessDenied. ")
    assert "unknown for 2 users" in line["why"]


#: How a report is written -> bytes that it may hold of each user meanwhile.
HELD: dict[Callable[[dict[str, Any]], Iterable[bytes]], int] = {
    render_json: 400,
    render_csv: 400,
    render_html: 2000,
}


def test_a_report_holds_little_of_each_user(left: Outputs) -> None:
    """A fleet may have 600,000: evidence is packed, and written user by user. The page has charts before its users."""
    expected = [Expected(f"{100000000001 + number}", f"account-{number}") for number in range(8)]
    names = [f"user-{number:03}" for number in range(12)]
    for each in expected:
        left.leave(*(large(name, each.id) for name in names), name=each.name, account=each.id)

    def held(accounts: Sequence[Expected]) -> list[int]:
        """Bytes of a report on some accounts, and how many more there are while it is written in each form."""
        gc.collect()
        tracemalloc.start()
        try:
            found = fleet(left, *accounts, wanted=Wanted(expected_only=True))
            sizes = [tracemalloc.get_traced_memory()[0]]
            asked = {"generated": at(0), "outputs": ["output"], "expected": True}
            for render in HELD:
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                assert sum(map(len, render({**asked, **found.as_data()}))) > 100 * len(found.users)
                sizes.append(tracemalloc.get_traced_memory()[1] - before)
            return sizes
        finally:
            tracemalloc.stop()

    held(expected[:1])  # what is cached for good
    few, more = held(expected[:4]), held(expected)
    count = 4 * len(names)
    of_each = [(after - before) / count for before, after in zip(few, more, strict=True)]
    assert [size < most for size, most in zip(of_each, (1700, *HELD.values()), strict=True)] == [True] * 4, (
        of_each
    )


def large(name: str, account: str) -> dict[str, Any]:
    """A user with as much evidence as many have."""
    keys = [
        {
            "kind": "access-key",
            "title": f"access key {number}",
            "active": True,
            "created": at(number + len(name)),
        }
        for number in range(2)
    ]
    findings = [
        {**finding(f"finding-{number}"), "text": f"Text {number} of {name[-1]}"} for number in range(8)
    ]
    sources = {f"source-{number}": {"source": "ListUsers", "time": at(number)} for number in range(6)}
    return resource(name, account, credentials=keys, findings=findings, sources=sources)


def totals(found: FleetReport) -> dict[str, int]:
    """The numbers of users."""
    return {key: found.as_data()["totals"][key] for key in ("users", "deleted", "gone", "left", "exempt")}


def test_exempt_users_and_those_left_out_are_users_that_are_left(left: Outputs) -> None:
    old = seen_user("old", state=LEFT_OUT, why="unused-for")
    left.leave("alice", seen=seen(seen_user("alice"), exempt_user("git-a"), old, seen_user("other")))
    found = fleet(left)
    assert totals(found) == {"users": 4, "deleted": 0, "gone": 0, "left": 4, "exempt": 1}
    assert {name: (each["status"], each["reason"]) for name, each in users(found).items()} == {
        "alice": ("flagged", ""),
        "git-a": ("exempt", 'user "git-*" until 2999-06-30: CodeCommit'),
        "old": ("left out", "unused-for"),
        "other": ("left out", f"another filter of {FLAG}"),
    }
    (account,) = found.accounts
    assert (account.as_data()["left"], account.as_data()["exempt"]) == (4, 1)


@pytest.mark.parametrize(
    ("later", "gone"),
    [
        pytest.param({"seen": seen(seen_user("bob"))}, True, id="not-in-the-account"),
        pytest.param({"seen": seen(seen_user("alice"))}, False, id="left-out"),
        pytest.param({"seen": seen(seen_user("bob"), complete=False)}, False, id="not-all-seen"),
        pytest.param({}, False, id="nothing-seen"),
        pytest.param({"seen": seen(seen_user("bob")), "account": OTHER_ACCOUNT}, False, id="other-account"),
    ],
)
def test_a_user_that_somebody_else_deleted_is_gone(left: Outputs, later: dict[str, Any], gone: bool) -> None:
    """Its failure blocks nothing any more, and its quarantine is over."""
    rows = [outcome("alice", "failed", "iam:DeleteUser was denied", days=3)]
    left.leave("alice", days=3, outcomes=rows, seen=seen(seen_user("alice"), seen_user("bob")))
    left.leave("bob", policy=DELETE, days=1, **later)
    found = fleet(left)
    assert (totals(found)["gone"], totals(found)["left"] - ("account" in later)) == (int(gone), 2 - gone)
    assert users(found)["alice"]["status"] == ("gone" if gone else "failed")
    assert [each["kind"] for each in found.attention if each["level"] == BLOCKING] == ["failure"] * (not gone)


def test_a_user_that_was_created_again_counts_once(left: Outputs) -> None:
    left.leave("alice", days=3)
    left.leave({**resource("alice"), "UserId": "AIDAAGAIN"}, policy=DELETE)
    assert totals(fleet(left)) == {"users": 2, "deleted": 0, "gone": 1, "left": 1, "exempt": 0}


@pytest.mark.parametrize(
    ("second", "named"),
    [
        pytest.param({"name": "pay", "days": 0.1}, True, id="two-names"),
        pytest.param({"run": "copy"}, True, id="a-copy"),
        pytest.param({"run": "later", "days": 0.1}, False, id="a-later-run"),
        pytest.param({"policy": DELETE}, False, id="another-policy"),
        pytest.param({"name": "research", "account": OTHER_ACCOUNT}, False, id="another-account"),
    ],
)
def test_users_of_one_run_in_two_places_are_counted_twice(
    left: Outputs, second: dict[str, Any], named: bool
) -> None:
    left.leave("alice", "bob")
    left.leave("alice", **second)
    found = [each for each in fleet(left).attention if each["kind"] == "twice"]
    rows = [(each["level"], each["account"], each["what"]) for each in found]
    assert rows == [(BLOCKING, ACCOUNT, "counted twice")] * named
    assert all(each["why"].startswith("1 users are in ") and ": alice: " in each["why"] for each in found)


def test_many_outputs_of_one_run_take_room_by_their_number_alone(left: Outputs) -> None:
    """Each output is named beside the first one: one account may write any number of them."""
    left.leave("alice")
    for number in range(20):
        left.leave("alice", name=f"payments{number}")
    assert len([each for each in fleet(left).attention if each["kind"] == "twice"]) == 20


def test_what_one_account_has_twice_hides_no_other_s(left: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_MOST_PAIRS", 3)
    for number in range(6):
        left.leave("alice", name=f"payments{number}")
    for name in ("research", "research-again"):
        left.leave("bob", name=name, account=OTHER_ACCOUNT)
    found = [each["account"] for each in fleet(left).attention if each["kind"] == "twice"]
    assert sorted(found) == [ACCOUNT] * 3 + [OTHER_ACCOUNT]


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        pytest.param({}, True, id="mistyped"),
        pytest.param({"expires": "2026-11-24"}, True, id="expired"),
        pytest.param({"user": "al*"}, False, id="of-somebody"),
    ],
)
def test_an_exemption_that_protects_nobody_needs_attention(
    left: Outputs, rule: dict[str, str], named: bool
) -> None:
    alice = exempt_user("alice") if "user" in rule else seen_user("alice")
    policy = {"policy": {"name": FLAG, "resource": "aws.iam-user", "filters": []}}
    data = json.dumps({**metadata(FLAG, ACCOUNT, 0, ["ResourceCount"]), **policy})
    rules = parse_rules([{**RULE, **rule}], "exempt")
    left.leave("alice", seen=seen(alice, rules=rules), files={"metadata.json": data})
    found = fleet(left).attention
    assert [(each["level"], each["what"]) for each in found] == [
        (ATTENTION, "an exemption that protects nobody")
    ] * named


EXPIRED = parse_rules([{**RULE, "user": "al*", "expires": "2026-11-24"}], "exempt")
RENEWED = parse_rules([{**RULE, "user": "al*", "expires": "2026-11-24"}, {**RULE, "user": "al*"}], "exempt")


@pytest.mark.parametrize(
    ("before", "now", "level"),
    [
        pytest.param(None, seen(seen_user("alice", expired=(0,)), rules=EXPIRED), BLOCKING, id="selected"),
        pytest.param(
            None,
            seen(seen_user("alice", state=LEFT_OUT, why="kinds", expired=(0,)), rules=EXPIRED),
            BLOCKING,
            id="left-out",
        ),
        pytest.param(None, seen(exempt_user("alice"), rules=EXPIRED), BLOCKING, id="since-the-run"),
        pytest.param(None, seen(seen_user("alice"), rules=EXPIRED), ATTENTION, id="of-nobody"),
        pytest.param(
            seen(exempt_user("alice"), rules=EXPIRED),
            seen(seen_user("alice", state=EXEMPT, rule=1), rules=RENEWED),
            None,
            id="renewed",
        ),
        pytest.param(
            seen(seen_user("alice", expired=(0,)), rules=EXPIRED),
            seen(seen_user("alice"), rules=USED.rules),
            None,
            id="removed",
        ),
        pytest.param(
            seen(seen_user("alice", expired=(0,)), rules=EXPIRED),
            seen(seen_user("alice"), rules=()),
            BLOCKING,
            id="then-a-run-without-exemptions",
        ),
        pytest.param(
            seen(seen_user("alice", expired=(0,)), rules=EXPIRED),
            seen(rules=EXPIRED),
            None,
            id="deleted-since",
        ),
    ],
)
def test_an_exemption_that_has_expired(
    left: Outputs, before: SeenUsers | None, now: SeenUsers, level: str | None
) -> None:
    """Whoever it protected is announced, and deleted in the end; nobody may have decided that."""
    if before:
        left.leave("alice", policy=PARK, days=1, seen=before)
    chosen = [each for each in now.users if each.state == FLAGGED]
    left.leave(*("alice" for _ in chosen), seen=now)
    found = [each for each in fleet(left).attention if "'al*'" in each["why"]]
    assert [each["level"] for each in found if each["level"] == BLOCKING or not before] == [level] * bool(
        level
    )
    assert all(f"alice of account {ACCOUNT}" in each["why"] for each in found if each["level"] == BLOCKING)
    assert {each["account"] for each in found if each["level"] == BLOCKING} <= {ACCOUNT}


def only(name: str, policy: str, account: str = ACCOUNT) -> dict[str, Any]:
    """What a run of ``policy`` for one user alone leaves."""
    found = metadata(policy, account, 0, ("ResourceCount",))
    chosen = {"type": "value", "key": "UserName", "op": "in", "value": [name]}
    whole = {**found, "policy": {**found["policy"], "filters": [chosen]}}
    return {"policy": policy, "account": account, "files": {"metadata.json": json.dumps(whole)}}


def test_a_user_that_one_of_the_policies_for_it_selected_is_not_missing(left: Outputs) -> None:
    """A file has a policy for machines and one for people; `cycle --only user=` narrows both."""
    left.leave("alice", **only("alice", PARK))
    left.leave(**only("alice", DELETE))
    assert [each for each in fleet(left).attention if each["kind"] == "selection"] == []
    left.leave(**only("bob", DELETE, OTHER_ACCOUNT), name="research")
    (found,) = (each for each in fleet(left).attention if each["kind"] == "selection")
    assert (found["what"], found["account"]) == ("nobody of this name", OTHER_ACCOUNT)


MOVED: dict[str, Any] = {"policy": PARK, "days": 2, "run": "park"}


@pytest.mark.parametrize(
    ("since", "now", "named"),
    [
        pytest.param([], {"seen": seen(seen_user("alice"))}, True, id="still-there"),
        pytest.param([], {"seen": None}, True, id="not-seen"),
        pytest.param([], {"seen": seen(seen_user("bob"))}, False, id="gone"),
        pytest.param([], {"seen": seen(exempt_user("alice"))}, False, id="exempt"),
        pytest.param([outcome("alice", "quarantined", days=2)], {}, False, id="handed-on"),
        pytest.param([outcome("alice", "skipped", "active", days=2)], {}, True, id="skipped-by-another"),
        pytest.param(
            [], {"metrics": ["PolicyException"], "files": {"resources.json": None}}, False, id="failed"
        ),
    ],
)
def test_a_policy_that_selects_nobody_any_more_needs_attention(
    left: Outputs, since: list[dict[str, Any]], now: dict[str, Any], named: bool
) -> None:
    left.leave("alice", days=3, run="first")
    if since:
        left.leave("alice", outcomes=since, **MOVED)
    left.leave(run="second", **now)
    found = [each for each in fleet(left).attention if each["kind"] == "selection"]
    assert [(each["level"], each["account"], each["what"]) for each in found] == [
        (ATTENTION, ACCOUNT, "selected nobody")
    ] * named
    assert all("selected 1 users on 2026-11-22, and now nobody" in each["why"] for each in found)


def narrowed(*names: str, policy: str = RELEASE, account: str = ACCOUNT, days: float = 0) -> dict[str, str]:
    """The metadata of a policy for users of these names alone."""
    filters = [{"type": "value", "key": "UserName", "op": "in", "value": list(names)}, "unnecessary"]
    return {"metadata.json": json.dumps(metadata(policy, account, days, ["ResourceCount"], filters=filters))}


@pytest.mark.parametrize(
    ("names", "runs", "missing"),
    [
        pytest.param(["alicex"], [{}], "alicex", id="mistyped"),
        pytest.param(["alice"], [{"selected": "alice"}], "", id="selected"),
        pytest.param(["alice", "Bob"], [{"selected": "alice"}], "Bob", id="one-of-two"),
        pytest.param(["alice"], [{"seen": seen(exempt_user("alice"), complete=False)}], "", id="exempt"),
        pytest.param(
            ["alice"],
            [{"seen": seen(seen_user("alice", state=LEFT_OUT, why="kinds"), complete=False)}],
            "",
            id="left-out-for-a-reason",
        ),
        pytest.param(
            ["alice"],
            [{"seen": seen(seen_user("alice"), complete=False)}],
            "alice",
            id="left-out-by-another-filter",
        ),
        pytest.param(["alice"], [{"outcomes": [outcome("alice", "released", days=3)]}], "", id="done-before"),
        pytest.param(
            ["alice"], [{"outcomes": [outcome("alice", "skipped", days=3)]}], "alice", id="skipped-before"
        ),
        pytest.param(
            ["alice"],
            [{"selected": "alice"}, {"name": "research", "account": OTHER_ACCOUNT}],
            "",
            id="in-another-account",
        ),
        pytest.param([], [{}], "its list of names is empty", id="as-it-is-shipped"),
    ],
)
def test_a_named_user_whom_nothing_happened_to_blocks(
    left: Outputs, names: list[str], runs: Sequence[dict[str, Any]], missing: str
) -> None:
    for each in runs:
        more = {key: value for key, value in each.items() if key != "selected"}
        chosen = [each["selected"]] if "selected" in each else []
        files = narrowed(*names, account=more.get("account", ACCOUNT))
        left.leave(*chosen, policy=RELEASE, files=files, **more)
    found = [each for each in fleet(left).attention if each["kind"] == "selection"]
    assert [each["level"] for each in found] == [BLOCKING] * bool(missing)
    assert all(missing in each["why"] for each in found)


def test_a_policy_for_all_users_again_names_nobody(left: Outputs) -> None:
    left.leave(policy=RELEASE, days=1, files=narrowed("alicex", days=1))
    left.leave(policy=RELEASE)
    assert [each for each in fleet(left).attention if each["kind"] == "selection"] == []


def test_a_policy_that_is_done_with_its_users_may_select_nobody(left: Outputs) -> None:
    left.leave("alice", policy=RELEASE, days=3, run="1", outcomes=[outcome("alice", "released", days=3)])
    left.leave("bob", policy=PARK, seen=seen(seen_user("alice")))
    left.leave(policy=RELEASE, run="2")
    assert [each for each in fleet(left).attention if each["kind"] == "selection"] == []


def test_further_lines_stand_among_those_of_their_level(left: Outputs) -> None:
    left.leave("alice", seen=NOBODY)
    mail = need(BLOCKING, "mail", "mails that did not leave the queue", "12 messages since 2026-11-23")
    found = fleet(left).with_needs([mail])
    assert [each["kind"] for each in found.attention] == ["mail", "exemption"]


def test_a_reason_without_a_code_is_counted_as_one(left: Outputs) -> None:
    left.leave("alice", policy=PARK, outcomes=[outcome("alice", "skipped", "not in quarantine: run it")])
    (found,) = fleet(left).policies
    assert found["skipped"] == [{"codes": [""], "users": 1}]
    assert users(fleet(left))["alice"]["reason"] == "not in quarantine: run it"


def test_who_is_intended_and_then_provisioned_counts_once(left: Outputs) -> None:
    """An intent and what a run of `provision` made of it are two rows of one user, in two files."""
    refused = [outcome("bob", "skipped", "not derived"), outcome("eve", "skipped", "not derived")]
    given = [outcome(each, "provisioned", days=-1 / 24) for each in ("ann", "joe")]
    again = [{**each, "time": at(-1 / 24)} for each in refused]
    result = json.dumps({"schema": 1, "assignments": [], "users": [*given, *again]})
    intended = [outcome(each, "intended") for each in ("ann", "joe")]
    left.leave(
        *("ann", "bob", "eve", "joe"),
        policy="iam-users-intents",
        outcomes=[*intended, *refused],
        files={"identity-center-result.json": result},
    )
    found = fleet(left)
    (policy,), (run,) = found.policies, found.runs
    assert policy["outcomes"] == run["outcomes"] == {"provisioned": 2, "skipped": 2}
    assert policy["skipped"] == [{"codes": [""], "users": 2}]
