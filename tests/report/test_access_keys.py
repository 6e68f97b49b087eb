# SPDX-License-Identifier: Apache-2.0
"""Access keys in a report: what became of each, and that none counts as a user."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers import reasons
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices.notices import Notice
from c7n_iamusers.report.csv_columns import render_csv
from c7n_iamusers.report.fleet import FleetReport, fleet_of
from c7n_iamusers.report.output_reader import read_outputs
from c7n_iamusers.report.outputs import UNREADABLE
from c7n_iamusers.report.rendering import render_html, render_json
from tests.report.fleet_outputs import ACCOUNT, DELETE, NOW, OTHER_ACCOUNT, Outputs, at, outcome, resource
from tests.report.key_outputs import (
    GIVE_BACK,
    OWNER,
    PARK,
    RETIRE,
    in_days,
    key_id,
    key_outcome,
    key_resource,
    leave_keys,
    notice,
    told,
)

SINCE = NOW - timedelta(days=9)
WAS_PARKED = reasons.KEY_WAS_PARKED(since=SINCE, policy=PARK)


@pytest.fixture
def left(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def fleet(left: Outputs, *notices: Notice) -> FleetReport:
    return fleet_of(read_outputs(DirectoryStore(left.root)), (), NOW, notices=told(*notices))


def data(found: FleetReport) -> dict[str, Any]:
    return {"generated": NOW.isoformat(), "outputs": ["output"], "expected": False, **found.as_data()}


def keys(found: FleetReport) -> dict[str, dict[str, Any]]:
    return {each["key"]: each for each in found.as_data()["keys"]}


def attention(found: FleetReport) -> list[tuple[str, str, str, str]]:
    return [(each["level"], each["user"], each["unique_id"], each["what"]) for each in found.attention]


def test_no_key_is_a_user(left: Outputs) -> None:
    rows = [key_outcome("jane", 1, "deactivated", reasons.KEY_COMES_BACK(), 2)]
    leave_keys(left, key_resource("jane", 1, 300), key_resource("jane", 2, False), outcomes=rows)
    found = fleet(left)
    assert found.users == ()
    assert {each: keys(found)[each]["state"] for each in keys(found)} == {
        key_id(1): "parked",
        key_id(2): "flagged",
    }
    totals = found.as_data()["totals"]
    assert (totals["users"], totals["keys"]["all"], totals["keys"]["parked"]) == (0, 2, 1)
    assert found.as_data()["progress"]["totals"]["left"] == 0
    assert attention(found) == []


def test_a_key_beside_its_user_leaves_the_user_as_it_was(left: Outputs) -> None:
    left.leave(
        "jane",
        policy=DELETE,
        days=3,
        outcomes=[outcome("jane", "skipped", reasons.NOT_ANNOUNCED(place="notices"), 3)],
    )
    rows = [key_outcome("jane", 1, "failed", "a reason", 1)]
    leave_keys(left, key_resource("jane", 1, 300), days=1, outcomes=rows)
    found = fleet(left)
    (user,) = found.users
    assert (user.unique_id, user.event()["status"], user.is_left()) == ("AIDAJANE", "skipped", True)
    assert keys(found)[key_id(1)]["user_id"] == "AIDAJANE"
    assert attention(found) == [("blocking", "jane", key_id(1), f"{PARK} failed")]


OUTCOMES: dict[str, tuple[list[Any], str, str]] = {
    "nothing": ([], "flagged", ""),
    "parked": ([("deactivated", reasons.KEY_COMES_BACK(), 9, PARK)], "parked", at(9)[:10]),
    "parked and seen again": (
        [
            ("deactivated", reasons.KEY_COMES_BACK(), 9, PARK),
            ("unchanged", reasons.KEY_PARKED(since=SINCE), 1, PARK),
        ],
        "parked",
        at(9)[:10],
    ),
    "too short for retire": (
        [
            ("deactivated", reasons.KEY_COMES_BACK(), 9, PARK),
            ("skipped", reasons.KEY_PARKED_TOO_SHORT(days=14, since=SINCE), 1, RETIRE),
        ],
        "parked",
        at(9)[:10],
    ),
    "parked by another output": ([("unchanged", reasons.KEY_PARKED(since=SINCE), 1, PARK)], "parked", ""),
    "parked and exempt since": (
        [
            ("deactivated", reasons.KEY_COMES_BACK(), 9, PARK),
            (
                "skipped",
                reasons.NOT_ANNOUNCED(place="notices").and_also(reasons.KEY_STAYS_PARKED(since=SINCE)),
                1,
                PARK,
            ),
        ],
        "parked",
        at(9)[:10],
    ),
    "given back": (
        [
            ("deactivated", reasons.KEY_COMES_BACK(), 9, PARK),
            ("activated", WAS_PARKED, 5, GIVE_BACK),
            ("skipped", reasons.KEY_GIVEN_BACK(since=SINCE), 1, PARK),
        ],
        "given back",
        "",
    ),
    "activated by somebody": (
        [
            ("deactivated", reasons.KEY_COMES_BACK(), 9, PARK),
            ("skipped", reasons.KEY_ACTIVATED_SINCE(since=SINCE), 1, PARK),
        ],
        "left alone",
        "",
    ),
    "retired": (
        [
            ("deactivated", reasons.KEY_COMES_BACK(), 9, PARK),
            ("retired", WAS_PARKED, 5, RETIRE),
            ("skipped", reasons.KEY_GONE(), 1, PARK),
        ],
        "retired",
        "",
    ),
    "deleted by somebody": (
        [
            ("deactivated", reasons.KEY_COMES_BACK(), 9, PARK),
            ("skipped", reasons.KEY_GONE(), 1, RETIRE),
        ],
        "gone",
        "",
    ),
    "left alone": ([("skipped", reasons.NOT_ANNOUNCED(place="notices"), 1, PARK)], "left alone", ""),
    "inactive before": ([("unchanged", reasons.KEY_INACTIVE_BEFORE(), 1, PARK)], "left alone", ""),
    "failed": ([("failed", "denied", 1, PARK)], "failed", ""),
    "failed while parked": (
        [
            ("deactivated", reasons.KEY_COMES_BACK(), 9, PARK),
            ("failed", "denied", 1, RETIRE),
        ],
        "failed",
        at(9)[:10],
    ),
    "failed and done since": (
        [
            ("failed", "denied", 2, PARK),
            ("deactivated", reasons.KEY_COMES_BACK(), 1, PARK),
        ],
        "parked",
        at(1)[:10],
    ),
}


@pytest.mark.parametrize("case", OUTCOMES)
def test_what_became_of_a_key(left: Outputs, case: str) -> None:
    outcomes, state, parked = OUTCOMES[case]
    for policy in (PARK, GIVE_BACK, RETIRE):
        its = [
            key_outcome("jane", 1, status, why, days) for status, why, days, by in outcomes if by == policy
        ]
        if its or policy == PARK:
            *former, last = its or [None]
            row = {**last, "history": former} if last else None
            leave_keys(
                left, key_resource("jane", 1, 300), policy=policy, days=10, outcomes=[row] if row else []
            )
    found = keys(fleet(left))[key_id(1)]
    assert (found["state"], found["parked"][:10]) == (state, parked)
    assert found["state"] == "flagged" or found["outcomes"]


@pytest.mark.parametrize(
    ("outcomes", "days", "state"),
    [
        pytest.param([], 3, "announced", id="told"),
        pytest.param(
            [("skipped", reasons.BEFORE_ITS_STOP(sent="on a day", stop=in_days(6)), 1)],
            3,
            "announced",
            id="waits-for-its-day",
        ),
        pytest.param([("skipped", reasons.KEY_GONE(), 1)], 3, "gone", id="gone"),
        pytest.param([("activated", WAS_PARKED, 5)], 3, "announced", id="told-after-it-was-given-back"),
        pytest.param([("activated", WAS_PARKED, 2)], 3, "given back", id="told-before"),
    ],
)
def test_an_announced_key(left: Outputs, outcomes: list[Any], days: float, state: str) -> None:
    rows = [key_outcome("jane", 1, *each) for each in outcomes]
    leave_keys(left, key_resource("jane", 1, 300), outcomes=rows, days=10)
    found = keys(fleet(left, notice("jane", 1, days, in_days(20), in_days(6))))[key_id(1)]
    assert (found["state"], found["planned"], found["inactive_on"]) == (
        state,
        in_days(20).isoformat(),
        in_days(6).isoformat(),
    )
    assert (found["owner"], found["counts"]) == (OWNER, True)


@pytest.mark.parametrize(
    ("used", "shown"), [(False, "never"), (None, ""), (20, at(20)[:10])], ids=["never", "unknown", "used"]
)
def test_last_use_is_as_the_run_saw_it(left: Outputs, used: Any, shown: str) -> None:
    leave_keys(left, key_resource("jane", 1, used))
    found = keys(fleet(left))[key_id(1)]
    assert found["used"][:10] == shown
    assert found["used_where"] == ("s3 in eu-west-1" if used else "")
    assert (found["use_source"], found["created"][:10]) == ("a report", at(400)[:10])
    assert found["findings"] == [f"Access key {key_id(1)} was not used."]


def test_a_key_goes_with_its_user(left: Outputs) -> None:
    leave_keys(left, key_resource("jane", 1, 300), days=5)
    left.leave("jane", policy=DELETE, days=2, outcomes=[outcome("jane", "deleted", "", 2)])
    found = fleet(left)
    assert keys(found)[key_id(1)]["state"] == "gone"
    assert (ACCOUNT, key_id(1)) in found.gone()


def test_in_a_bucket_outcomes_of_keys_lie_apart(left: Outputs) -> None:
    rows = [key_outcome("jane", 1, "deactivated", reasons.KEY_COMES_BACK(), 2)]
    left.as_in_bucket(leave_keys(left, key_resource("jane", 1, 300), days=2, outcomes=rows), days=2)
    found = fleet(left)
    assert found.users == ()
    assert keys(found)[key_id(1)]["state"] == "parked"
    (run,) = found.runs
    assert (run["selected"], run["outcomes"], run["known"]) == (1, {"deactivated": 1}, 0)


def test_stock_policies_on_keys_are_of_no_concern(left: Outputs) -> None:
    left.leave("bob")
    leave_keys(left, {"UserName": "jane", "AccessKeyId": key_id(1)}, policy="stock", source=None)
    found = fleet(left)
    assert [each.name for each in found.users] == ["bob"]
    assert found.keys == ()
    assert {each.state for each in found.accounts} == {"ran"}


@pytest.mark.parametrize("id_", ["AIDAJANE", "", 7, "AKIA", "AKIA\n"])
def test_what_is_no_id_of_a_key_is_refused(left: Outputs, id_: Any) -> None:
    leave_keys(left, {**key_resource("jane"), "AccessKeyId": id_})
    (output,) = read_outputs(DirectoryStore(left.root))
    assert output.state == UNREADABLE
    assert output.keys is None


@pytest.mark.parametrize("of_keys", [True, False])
def test_no_policy_selects_users_and_keys(left: Outputs, of_keys: bool) -> None:
    if of_keys:
        leave_keys(left, key_resource("jane"), resource("bob"))
    else:
        left.leave("bob", key_resource("jane"))
    (output,) = read_outputs(DirectoryStore(left.root))
    assert (output.state, output.users, output.keys) == (UNREADABLE, None, None)


def test_keys_of_another_account_are_not_believed(left: Outputs) -> None:
    leave_keys(left, key_resource("jane", 1, account=OTHER_ACCOUNT))
    (output,) = read_outputs(DirectoryStore(left.root), {"payments": ACCOUNT})
    assert output.of_others
    assert not output.keys


def test_the_check_names_keys_by_their_ids(left: Outputs) -> None:
    stopped = reasons.STOPPED(file="notices/STOP")
    rows = [key_outcome("jane", 1, "failed", "denied", 1), key_outcome("joe", 2, "failed", stopped, 1)]
    leave_keys(left, key_resource("jane", 1), key_resource("joe", 2), days=1, outcomes=rows)
    leave_keys(left, key_resource("jane", 1), days=1, name="copy")
    found = fleet(left)
    assert ("blocking", "jane", key_id(1), f"{PARK} failed") in attention(found)
    (of_stop,) = [each["why"] for each in found.attention if each["what"] == "stopped"]
    assert of_stop.startswith("1 access key: ")


def test_a_key_that_is_selected_in_two_places_is_counted_twice(left: Outputs) -> None:
    for name in ("payments", "copy"):
        leave_keys(left, key_resource("jane", 1), name=name)
    leave_keys(left, key_resource("jane", 2), name="other")
    (row,) = [each for each in fleet(left).attention if each["kind"] == "twice"]
    assert row["why"].startswith("1 access keys are in ")
    assert key_id(1) in row["why"]
    assert key_id(2) not in row["why"]


def test_a_policy_that_selects_no_key_any_more_is_to_look_at(left: Outputs) -> None:
    leave_keys(left, key_resource("jane", 1), key_resource("joe", 2), days=3, name="", account=ACCOUNT)
    (left.root / PARK).rename(left.root / "before")
    rows = [key_outcome("joe", 2, "deactivated", reasons.KEY_COMES_BACK(), 2)]
    leave_keys(left, days=1, name="", outcomes=rows)
    found = fleet(left)
    assert attention(found) == [("attention", "", "", "selected nobody")]
    assert found.attention[0]["why"].count("AKIA") == 1


def test_a_policy_on_keys_says_nothing_on_whom_exemptions_protect(left: Outputs) -> None:
    leave_keys(left, key_resource("jane", 1))
    assert [each["users"] for each in fleet(left).exemptions] == [None]


def test_owners_get_their_keys_alone(left: Outputs) -> None:
    leave_keys(left, key_resource("jane", 1), key_resource("joe", 2))
    parts = dict(fleet(left, notice("jane", 1, 3, in_days(20))).of_owners(NOW))
    assert {owner: [each.name for each in part.keys] for owner, part in parts.items()} == {
        OWNER: ["jane"],
        "": ["joe"],
    }
    assert "joe" not in json.dumps(list(parts[OWNER].as_data()["keys"]))


def test_page_json_and_csv_have_the_keys(left: Outputs) -> None:
    left.leave("bob")
    rows = [key_outcome("jane", 1, "deactivated", reasons.KEY_COMES_BACK(), 2)]
    leave_keys(left, key_resource("jane", 1, 300), outcomes=rows, days=2)
    page = b"".join(render_html(data(fleet(left)))).decode()
    assert f'<tr id="{key_id(1)}">' in page
    assert "Keys inactive</dt><dd>1 " in page
    parsed = json.loads(b"".join(render_json(data(fleet(left)))))
    assert [each["key"] for each in parsed["keys"]] == [key_id(1)]
    table = [*csv.DictReader(io.StringIO(b"".join(render_csv(data(fleet(left)))).decode()))]
    assert [(each["user"], each["key"], each["unique_id"]) for each in table] == [
        ("bob", "", "AIDABOB"),
        ("jane", key_id(1), "AIDAJANE"),
    ]
    assert (table[1]["status"], table[1]["parked"][:10]) == ("parked", at(2)[:10])
    assert table[1]["last_activity"][:10] == at(300)[:10]


def test_a_page_without_keys_does_not_speak_of_them(left: Outputs) -> None:
    left.leave("bob")
    page = b"".join(render_html(data(fleet(left)))).decode()
    assert 'id="keys"' not in page
    assert "of-keys" not in page.partition("</style>")[2]
