# SPDX-License-Identifier: Apache-2.0
"""What a report says of mails that may not have left the queue, and of owners who were not told."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.outcomes import DELETED, SKIPPED
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.exemptions import parse_rules
from c7n_iamusers.notices.delivery import QueueReading
from c7n_iamusers.notices.exempted import Exempted
from c7n_iamusers.notices.notices import ANNOUNCED, INFORMED, Notice, Notices
from c7n_iamusers.report.mail import MailReport, mail_report, places_of
from c7n_iamusers.report.output_reader import read_outputs
from c7n_iamusers.report.outputs import Mail, PolicyOutput
from tests.report.fleet_outputs import (
    ACCOUNT,
    DELETE,
    FLAG,
    NOW,
    OTHER_ACCOUNT,
    RULE,
    Outputs,
    metadata,
    outcome,
)

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALICE, BOB = (
    Subject(name, f"arn:aws:iam::{ACCOUNT}:user/{name}", f"AIDA{name.upper()}") for name in ("alice", "bob")
)
PARK = "iam-users-park"
PLACE = (ACCOUNT, "notices")


def announced(ago: timedelta, *users: Subject, queue: str = QUEUE, **more: Any) -> Notice:
    head = (ACCOUNT, ANNOUNCED, NOW - ago, date(2027, 1, 1), ("owner@example.com",), f"m-{ago}", FLAG)
    return replace(Notice(*head, users or (ALICE,), queue=queue), **more)


def reading(ago: timedelta, waiting: int | None = 0, **more: Any) -> QueueReading:
    return QueueReading(QUEUE, NOW - ago, **{"waiting": waiting, "retention": 4 * DAY, "dead": 0, **more})


def told(
    notices: list[Notice],
    readings: list[QueueReading],
    *,
    exempted: Sequence[Exempted] = (),
    gone: Collection[tuple[str, str]] = (),
    outputs: Sequence[PolicyOutput] = (),
) -> MailReport:
    known = {PLACE: Notices(notices, "notices", exempted, readings=readings)}
    return mail_report(outputs, known, {}, {ACCOUNT: "payments"}, gone, NOW)


def exempt(user: Subject, ago: timedelta) -> Exempted:
    (rule,) = parse_rules([RULE], "exempt")
    return Exempted.by(rule, user, NOW - ago)


@pytest.mark.parametrize(
    ("notices", "readings", "needs", "remarks"),
    [
        pytest.param([announced(HOUR)], [reading(HOUR)], 0, 1, id="on-the-first-day"),
        pytest.param([announced(25 * HOUR)], [reading(25 * HOUR)], 1, 0, id="after-24-hours"),
        pytest.param([announced(25 * HOUR)], [reading(HOUR, 3)], 1, 0, id="busy"),
        pytest.param(
            [announced(25 * HOUR)], [reading(HOUR)], 0, 1, id="empty-once-and-the-next-run-settles-it"
        ),
        pytest.param([announced(49 * HOUR)], [reading(HOUR)], 1, 0, id="empty-once-and-no-next-run"),
        pytest.param([announced(25 * HOUR)], [reading(2 * HOUR), reading(HOUR)], 0, 0, id="left"),
        pytest.param([announced(25 * HOUR, queue="")], [], 0, 0, id="waived"),
        pytest.param([announced(10 * DAY)], [reading(10 * DAY)], 1, 0, id="may-have-expired"),
        pytest.param([announced(90 * DAY)], [reading(90 * DAY)], 1, 0, id="expired-long-ago"),
        pytest.param([announced(130 * DAY, day=date(2026, 8, 26))], [reading(130 * DAY)], 0, 0, id="lapsed"),
        pytest.param([announced(10 * DAY), announced(HOUR)], [reading(10 * DAY)], 0, 1, id="announced-anew"),
        pytest.param(
            [announced(10 * DAY, ALICE, BOB), announced(HOUR)],
            [reading(10 * DAY)],
            1,
            1,
            id="one-of-two-anew",
        ),
        pytest.param([announced(HOUR, held="held/a/b")], [], 0, 1, id="held"),
        pytest.param([announced(13 * HOUR, held="held/a/b")], [], 1, 0, id="held-for-too-long"),
        pytest.param([announced(13 * HOUR, held="held/a/b", queue="")], [], 1, 0, id="held-and-waived"),
        pytest.param(
            [announced(13 * HOUR, held="held/a/b"), announced(HOUR, held="held/a/c")],
            [],
            0,
            1,
            id="held-anew",
        ),
        pytest.param(
            [announced(10 * DAY, step=INFORMED, day=date(2026, 11, 15))],
            [reading(10 * DAY)],
            1,
            0,
            id="not-announced",
        ),
    ],
)
def test_mails_that_may_not_have_left(
    notices: list[Notice], readings: list[QueueReading], needs: int, remarks: int
) -> None:
    found = told(notices, readings)
    assert (len(found.needs), len(found.remarks)) == (needs, remarks)
    assert {(each["level"], each["kind"]) for each in found.needs} <= {("blocking", "mail")}


def test_what_is_held_says_what_sends_it() -> None:
    (remark,) = told([announced(HOUR, held="held/a/b")], []).remarks
    assert "run c7n-iamusers digest, which sends it, within twelve hours after the policy" in remark
    (need,) = told([announced(13 * HOUR, held="held/a/b")], []).needs
    assert "were held for a digest that was not sent within twelve hours" in need["why"]
    assert "announcements do not count and are sent anew: run c7n-iamusers digest" in need["why"]


EXPIRED = reading(40 * DAY)


@pytest.mark.parametrize(
    ("settled", "users"),
    [
        pytest.param({}, 2, id="nobody"),
        pytest.param({"gone": {(ACCOUNT, ALICE.unique_id)}}, 1, id="one-is-gone"),
        pytest.param({"gone": {(ACCOUNT, ALICE.unique_id), (ACCOUNT, BOB.unique_id)}}, 0, id="both-are-gone"),
        pytest.param(
            {"exempted": [exempt(ALICE, DAY)], "gone": {(ACCOUNT, BOB.unique_id)}}, 0, id="gone-or-exempt"
        ),
        pytest.param({"exempted": [exempt(ALICE, 41 * DAY)]}, 2, id="exempt-before-it"),
    ],
)
def test_who_needs_an_announcement_that_may_have_expired(settled: dict[str, Any], users: int) -> None:
    """However old it is: until it is sent anew, the actions that rest on it leave its users alone."""
    found = told([announced(40 * DAY, ALICE, BOB)], [EXPIRED], **settled).needs
    assert len(found) == bool(users)
    assert all(f"1 mail about {users} user{'s' * (users > 1)}" in each["why"] for each in found)


@pytest.mark.parametrize(
    ("ago", "more", "needs"),
    [
        pytest.param(DAY, {}, 0, id="since"),
        pytest.param(39 * DAY, {}, 1, id="before-it-expired"),
        pytest.param(DAY, {"dry_run": True}, 1, id="a-dry-run"),
        pytest.param(DAY, {"state": "action failed"}, 1, id="with-an-error"),
        pytest.param(DAY, {"policy": FLAG}, 1, id="of-another-policy"),
    ],
)
def test_news_that_may_have_expired_wait_for_a_run_of_their_policy(
    tmp_path: Path, ago: timedelta, more: dict[str, Any], needs: int
) -> None:
    """It has sent anew what still holds; what became of users it owes in any case."""
    news = replace(informed("skipped: active", 40 * DAY), queue=QUEUE)
    ran = replace(output(tmp_path), time=NOW - ago, **more)
    assert len(told([news], [EXPIRED], outputs=[ran]).needs) == needs
    anew = replace(news, time=NOW - HOUR)
    assert told([news, anew], [EXPIRED], outputs=[]).needs == ()


def test_it_says_how_many_since_when_and_what_to_do() -> None:
    (need,) = told([announced(30 * HOUR, ALICE, BOB), announced(26 * HOUR)], [reading(HOUR, 7)]).needs
    assert need["what"] == "not known to have left the queue"
    assert need["why"].startswith(
        f"2 mails about 3 users of payments, since 2026-11-24 06:00 UTC, by {QUEUE}: "
    )
    assert "7 messages in the queue: look whether c7n-mailer runs" in need["why"]
    assert (need["account"], need["name"]) == (ACCOUNT, "payments")
    (need,) = told([announced(10 * DAY)], [reading(9 * DAY, 7)]).needs
    assert "may have expired unread since 2026-11-19 12:00 UTC, so announcements do not count" in need["why"]


def test_what_becomes_of_expired_mails_is_said_by_their_step() -> None:
    news = replace(informed(DELETED, 10 * DAY), queue=QUEUE)
    found = told(
        [announced(10 * DAY), news],
        [reading(10 * DAY)],
        gone={(ACCOUNT, each.unique_id) for each in (ALICE, BOB)},
    )
    (need,) = found.needs
    assert "told nobody, and the next run of their policy sends anew what still holds" in need["why"]
    assert "announcements" not in need["why"]
    assert len(told([announced(10 * DAY), news], [reading(10 * DAY)]).needs) == 2


def test_owners_whose_mail_may_have_expired_were_not_told(tmp_path: Path) -> None:
    """Also once the line on the mail itself is gone."""
    news = replace(informed(DELETED, 10 * DAY), queue=QUEUE)
    ran = replace(output(tmp_path, outcome("alice", DELETED, days=10)), time=NOW)
    (need,) = told([news], [reading(10 * DAY)], outputs=[ran]).needs
    assert (need["what"], "alice (deleted)" in need["why"]) == ("owners not told", True)


def test_one_cause_in_several_accounts_blocks_each_by_itself() -> None:
    """Nobody's notices make another account's late mail everybody's."""
    notices = {
        (account, "notices"): Notices([announced(25 * HOUR, account_id=account)], "notices")
        for account in (ACCOUNT, OTHER_ACCOUNT)
    }
    one, other = mail_report((), notices, {}, {ACCOUNT: "payments"}, (), NOW).needs
    assert "1 mail about 1 user of payments, since" in one["why"]
    assert (one["account"], other["account"]) == (ACCOUNT, OTHER_ACCOUNT)
    faults = {(account, "notices"): "it can't be read" for account in (ACCOUNT, OTHER_ACCOUNT)}
    # a fault is a text of the account's own output, and never speaks for another one
    needs = mail_report((), {}, faults, {}, (), NOW).needs
    assert [each["account"] for each in needs] == [ACCOUNT, OTHER_ACCOUNT]
    assert {(each["what"], each["why"]) for each in needs} == {
        ("what owners were told is not known", "it can't be read")
    }


def output(tmp_path: Path, *rows: dict[str, Any], policy: str = DELETE, **more: Any) -> PolicyOutput:
    Outputs(tmp_path).leave(policy=policy, outcomes=rows)
    (found,) = read_outputs(DirectoryStore(tmp_path))
    return replace(found, mails=(Mail("notices", "inform"),), **more)


def informed(what: str, ago: timedelta, user: Subject = ALICE) -> Notice:
    head = (ACCOUNT, INFORMED, NOW - ago, (NOW - ago).date(), ("owner@example.com",), "m", DELETE, (user,))
    return Notice(*head, what={user.unique_id: what})


@pytest.mark.parametrize(
    ("rows", "notices", "names"),
    [
        pytest.param([outcome("alice", DELETED, days=1)], [], "alice (deleted)", id="killed-before-the-mail"),
        pytest.param(
            [outcome("alice", DELETED, days=1), outcome("bob", DELETED, days=1)],
            [informed(DELETED, HOUR)],
            "bob (deleted)",
            id="one-message-was-refused",
        ),
        pytest.param([outcome("alice", DELETED, days=1)], [informed(DELETED, HOUR)], "", id="told"),
        pytest.param([outcome("alice", SKIPPED, days=1)], [], "", id="nothing-was-done"),
    ],
)
def test_owners_who_were_not_told(
    tmp_path: Path, rows: list[dict[str, Any]], notices: list[Notice], names: str
) -> None:
    known = {PLACE: Notices(notices, "notices")}
    found = mail_report([output(tmp_path, *rows)], known, {}, {}, (), NOW).needs
    assert len(found) == bool(names)
    for each in found:
        assert (each["what"], each["account"], each["kind"]) == ("owners not told", ACCOUNT, "mail")
        assert (
            f"1 users that {DELETE} changed since 2026-11-24 12:00 UTC: {names}: run {DELETE} again"
            in each["why"]
        )


@pytest.mark.parametrize("told", [False, True], ids=["owed", "told"])
def test_what_two_policies_did_is_owed_by_the_one_that_tells_of_them(tmp_path: Path, told: bool) -> None:
    machines, people = (
        replace(output(tmp_path / name, outcome(user, DELETED, days=1), policy=name), mails=())
        for name, user in (("machines", "alice"), ("people", "bob"))
    )
    teller = replace(
        machines, policy="told", rows=(), mails=(Mail("notices", "inform", of=("machines", "people")),)
    )
    notices = [replace(informed(DELETED, HOUR, each), policy="told") for each in (ALICE, BOB) if told]
    found = mail_report(
        [machines, people, teller], {PLACE: Notices(notices, "notices")}, {}, {}, (), NOW
    ).needs
    assert len(found) == (not told)
    for each in found:
        assert "2 users that machines or people changed" in each["why"]
        assert "alice (deleted), bob (deleted): run told again" in each["why"]


@pytest.mark.parametrize(
    ("runs", "owed"),
    [
        pytest.param([("alice", False, True), ("bob", False, False)], "", id="in-an-output-of-its-own"),
        pytest.param([("alice", True, True)], "alice (deleted)", id="in-the-output-of-the-run-before"),
        pytest.param(
            [("alice", True, False), ("bob", False, True)], "alice (deleted)", id="outcomes-lie-elsewhere"
        ),
    ],
)
def test_what_owners_are_owed_outlives_a_dry_run(
    tmp_path: Path, runs: list[tuple[str, bool, bool]], owed: str
) -> None:
    """Each output: a name, whether it has the outcome, and whether a dry run left its metadata."""
    deleted = [outcome("alice", DELETED, days=1)]
    real: dict[str, Any] = {"mails": (), "time": None}
    outputs = [
        replace(output(tmp_path / name, *deleted * acted, dry_run=dry), **({} if dry else real))
        for name, acted, dry in runs
    ]
    assert places_of(outputs) == {PLACE: False}
    found = mail_report(outputs, {PLACE: Notices([], "notices")}, {}, {}, (), NOW).needs
    assert [each["what"] for each in found] == ["owners not told"] * bool(owed)
    assert all(owed in each["why"] for each in found)


def test_a_dry_run_announces_nothing(tmp_path: Path) -> None:
    """Where it selects users, there need not be a record yet."""
    Outputs(tmp_path).leave("alice")
    (flag,) = read_outputs(DirectoryStore(tmp_path))
    dry = replace(flag, mails=(Mail("notices", "announce"),), dry_run=True)
    assert places_of([dry]) == {PLACE: False}
    assert places_of([replace(dry, dry_run=False)]) == {PLACE: True}


def test_only_who_announced_must_have_notices(tmp_path: Path) -> None:
    ran = output(tmp_path)
    assert places_of([ran]) == {PLACE: False}
    left = Outputs(tmp_path / "flag")
    left.leave("alice")
    (flag,) = read_outputs(DirectoryStore(left.root))
    flag = replace(flag, mails=(Mail("notices", "announce"),))
    assert places_of([flag, ran]) == {PLACE: True}
    assert places_of([replace(flag, users=())]) == {PLACE: False}


@pytest.mark.parametrize(
    ("action", "found"),
    [
        pytest.param({"noticed": 16, "notices": "n"}, {(ACCOUNT, "n"): True}, id="rests-on-notices"),
        pytest.param({"noticed": "none", "notices": "n"}, {(ACCOUNT, "n"): False}, id="waived"),
        pytest.param({"notices": "n"}, {(ACCOUNT, "n"): False}, id="for-a-stop-file"),
        pytest.param({"noticed": 16}, {}, id="no-place"),
        pytest.param(
            {"type": "notify-owners", "notices": "n", "step": "created"}, {}, id="announces-nothing"
        ),
    ],
)
def test_notices_are_where_any_action_names_them(
    tmp_path: Path, action: dict[str, Any], found: dict[Any, bool]
) -> None:
    data = metadata(PARK, ACCOUNT, 0, ["ResourceCount"], actions=[{"type": "quarantine", **action}])
    Outputs(tmp_path).leave("alice", policy=PARK, files={"metadata.json": json.dumps(data)})
    assert places_of(read_outputs(DirectoryStore(tmp_path))) == found
    assert datetime(2026, 11, 25, 12, tzinfo=timezone.utc) == NOW
