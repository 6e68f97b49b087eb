# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.exceptions import NoticesUnreadable
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.notices.exempted import Exempted, as_json, place_of
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices, notice_refusal, record_exempt
from c7n_iamusers.notices.owed import due_for
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, subject
from tests.records import text_of

pytestmark = pytest.mark.pure

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
ALICE = subject()
RULE = ExemptionRule("tag", "Purpose=break-glass", "break-glass", date(2027, 1, 1))


def at(days: float) -> datetime:
    return NOW + timedelta(days=days)


def notice(days: float) -> Notice:
    """An announcement that many days after NOW, for thirty days later."""
    time = at(days)
    day = (time + timedelta(days=30)).date()
    return Notice(ACCOUNT, ANNOUNCED, time, day, ("owner@example.com",), f"m{days}", "announce", (ALICE,))


def exempt(days: float, rule: ExemptionRule = RULE) -> Exempted:
    return Exempted.by(rule, ALICE, at(days))


@pytest.mark.parametrize(
    ("announced", "exempted", "now", "reason"),
    [
        pytest.param([0], [], 30, None, id="never-exempt"),
        pytest.param([0], [5], 30, "exempt on 2026-03-06 by tag 'Purpose=break-glass'", id="lost-since"),
        pytest.param([], [0], 30, "restore its tag or exempt it again", id="never-announced"),
        pytest.param([5], [0], 35, None, id="announced-since"),
        pytest.param([0, 6], [5], 35, "announced less than 30 days ago", id="announced-again-too-early"),
        pytest.param([0, 6], [5], 36, None, id="announced-again"),
        pytest.param([0, 6], [5, 7], 36, "exempt on 2026-03-08", id="exempt-once-more"),
        pytest.param([0, 6], [7, 5], 36, "exempt on 2026-03-08", id="in-any-order"),
    ],
)
def test_who_was_exempt_is_announced_again(
    announced: list[float], exempted: list[float], now: float, reason: str | None
) -> None:
    notices = Notices(map(notice, announced), "notices", map(exempt, exempted))
    found = notice_refusal(notices, ALICE.unique_id, 30, at(now))
    assert found is None if reason is None else reason in text_of(found)


def test_who_was_exempt_is_not_reminded() -> None:
    assert due_for(7, Notices([notice(0)], "notices", [exempt(5)]), [ALICE], at(25)) == []
    assert due_for(7, Notices([notice(0)], "notices", [exempt(-5)]), [ALICE], at(25)) == [(ALICE, notice(0))]


@pytest.mark.parametrize(
    ("announced", "recorded", "new"),
    [
        pytest.param([], [], True, id="first-time"),
        pytest.param([], [1], False, id="recorded"),
        pytest.param([2], [1], True, id="announced-since"),
        pytest.param([0], [1], False, id="recorded-since-the-announcement"),
    ],
)
def test_what_is_recorded_once(announced: list[float], recorded: list[float], new: bool) -> None:
    notices = Notices(map(notice, announced), "notices", map(exempt, recorded))
    other = replace(RULE, pattern="Purpose=other")
    assert notices.unrecorded([(ALICE, RULE), (ALICE, other)] * 2, at(9)) == ([exempt(9)] if new else [])


def test_a_list_that_changes_each_day_adds_no_records(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for day in range(1, 20):
        record_exempt(store, ACCOUNT, [(ALICE, replace(RULE, pattern=f"Purpose={day}"))], at(day))
    assert len(list((tmp_path / place_of(ACCOUNT)).iterdir())) == 1


def test_a_list_of_any_length_makes_a_record_that_can_be_read(tmp_path: Path) -> None:
    users = [replace(ALICE, name=f"alice{number}", unique_id=f"AIDA{number}") for number in range(200)]
    rules = [replace(RULE, pattern=f"Purpose={number}{'*' * 2000}") for number in range(300)]
    store = DirectoryStore(tmp_path)
    record_exempt(store, ACCOUNT, ((user, rule) for user in users for rule in rules), at(1))
    notices = Notices.read(store, ACCOUNT, at(1))
    assert all(notices.exemption(each.unique_id) for each in users)
    record_exempt(store, ACCOUNT, ((user, rule) for user in users for rule in rules), at(2))
    Notices.read(store, ACCOUNT, at(2))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.create(place_of(ACCOUNT, NOW), as_json(ACCOUNT, NOW, [exempt(0, replace(RULE, account="dev-*"))]))
    store.create(place_of(OTHER_ACCOUNT, NOW), b"of another account, and not looked at")
    notices = Notices.read(store, ACCOUNT, at(1))
    assert notices.exemption(ALICE.unique_id) == exempt(0, replace(RULE, account="dev-*"))
    assert "break-glass access" not in (tmp_path / place_of(ACCOUNT, NOW)).read_text()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"account": OTHER_ACCOUNT}, "of account", id="other-account"),
        pytest.param({"time": "soon"}, "no time", id="no-time"),
        pytest.param({"exempt": "alice"}, "no list", id="no-list"),
        pytest.param({"exempt": [{"user": "alice"}]}, "incomplete", id="incomplete"),
        pytest.param({"exempt": ["alice"]}, "incomplete", id="text"),
    ],
)
def test_what_is_no_record_touches_nobody(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    store = DirectoryStore(tmp_path)
    data = json.loads(as_json(ACCOUNT, NOW, [exempt(0)]))
    store.create(place_of(ACCOUNT, NOW), json.dumps({**data, **change}).encode())
    with pytest.raises(NoticesUnreadable, match=reason):
        Notices.read(store, ACCOUNT, at(1))


@pytest.mark.parametrize(
    ("records", "announced", "refused"),
    [
        pytest.param([[exempt(-1)]], True, False, id="somebody-was-exempt"),
        pytest.param([[]], True, False, id="nobody-was-exempt"),
        pytest.param([], True, True, id="removed"),
        pytest.param([], False, False, id="first-run"),
    ],
)
def test_announcements_without_a_record_of_who_was_exempt_touch_nobody(
    tmp_path: Path, records: list[list[Exempted]], announced: bool, refused: bool
) -> None:
    store = DirectoryStore(tmp_path)
    for number, found in enumerate(records):
        store.create(place_of(ACCOUNT, at(number)), as_json(ACCOUNT, at(-1), found))
    if announced:
        store.create(notice(0).name, notice(0).as_json())
    notices = Notices.read(store, ACCOUNT, at(30))
    if refused:
        with pytest.raises(NoticesUnreadable, match=r"no record of exempt users.*removed it\. Bring it back"):
            notices.require_records()
    else:
        notices.require_records()
