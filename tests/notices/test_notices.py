# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.exceptions import NoticesUnreadable, Stopped
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices.notices import (
    ANNOUNCED,
    CREATED,
    INFORMED,
    LAPSE_DAYS,
    Notice,
    Notices,
    notice_refusal,
    parse_record,
)
from c7n_iamusers.notices.owed import due_for, reminder
from c7n_iamusers.notices.stop import STOP, check_stop
from c7n_iamusers.text.documents import LARGEST
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, subject
from tests.records import text_of

pytestmark = pytest.mark.pure

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
ALICE = subject()
NOTICE = Notice(
    ACCOUNT, ANNOUNCED, NOW, date(2026, 3, 31), ("owner@example.com",), "message-1", "announce", (ALICE,)
)


def after(days: float) -> datetime:
    return NOW + timedelta(days=days)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.create(NOTICE.name, NOTICE.as_json())
    store.create(f"{OTHER_ACCOUNT}/other.json", b"of another account, and not looked at")
    assert Notices.read(store, ACCOUNT, after(1)).announcement(ALICE.unique_id, after(1)) == NOTICE


@pytest.mark.parametrize(
    ("event", "asked", "reported"),
    [
        pytest.param("e-1", "e-1", True, id="same"),
        pytest.param("e-1", "e-2", False, id="other"),
        pytest.param("", "", False, id="no-event-is-never-the-same"),
    ],
)
def test_an_event_is_reported_once(event: str, asked: str, reported: bool) -> None:
    written = replace(NOTICE, step=CREATED, day=NOW.date(), event=event)
    read = parse_record(written.as_json(), ACCOUNT, after(1))
    assert read == written
    found = Notices([read], "notices")
    assert found.reports(ALICE.unique_id, asked) == reported
    # it announces nothing
    assert found.announcement(ALICE.unique_id, after(1)) is None


def test_the_last_that_a_policy_said_of_a_user(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    told = replace(NOTICE, step=INFORMED, policy="delete", what={ALICE.unique_id: "failed"})
    later = replace(told, time=after(1), message_id="message-2", what={ALICE.unique_id: "deleted"})
    other = replace(later, time=after(2), policy="provision", what={ALICE.unique_id: "access"})
    # about the same user by the same policy, but to announce
    announced = replace(NOTICE, time=after(2), message_id="message-3", policy="delete")
    for each in (NOTICE, later, told, other, announced):
        store.create(each.name, each.as_json())
    notices = Notices.read(store, ACCOUNT, after(3))
    assert notices.said(ALICE.unique_id, "delete", after(3)) == "deleted"
    assert notices.said(ALICE.unique_id, "provision", after(3)) == "access"
    assert notices.said(ALICE.unique_id, "announce", after(3)) is None
    assert notices.said("AIDAOTHER", "delete", after(3)) is None
    # it is no announcement
    assert notices.announcement(ALICE.unique_id, after(3)) in (NOTICE, announced)


@pytest.mark.parametrize(("days", "before"), [(29, True), (30, False)])
def test_the_day_is_yet_to_come(days: int, before: bool) -> None:
    notices = Notices([NOTICE], "notices")
    assert notices.is_before_day(ALICE.unique_id, after(days)) is before
    assert not notices.is_before_day("AIDAOTHER", after(days))


@pytest.mark.parametrize(("unique_id", "came_back"), [("AIDAFORMER", True), ("AKIAALICESKEY000001", False)])
def test_a_users_key_is_no_former_user_of_its_name(unique_id: str, came_back: bool) -> None:
    found = Notices([replace(NOTICE, users=(replace(ALICE, unique_id=unique_id),))], "notices")
    assert (found.of_namesake(ALICE) is not None) is came_back


def test_no_directory_is_no_notice(tmp_path: Path) -> None:
    assert (
        Notices.read(DirectoryStore(tmp_path / "none"), ACCOUNT, NOW).announcement(ALICE.unique_id, NOW)
        is None
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"time": "2999-01-01T00:00:00Z"}, "in the future", id="forged-future"),
        pytest.param({"time": "soon"}, "no time", id="no-time"),
        pytest.param({"day": "2020-01-01"}, "before its time", id="day-in-the-past"),
        pytest.param({"day": "31 March"}, "isoformat", id="no-day"),
        # days that can't be counted with
        pytest.param({"day": "9999-12-31"}, "more than 36525 days", id="day-of-never"),
        pytest.param({"credentials-stop": "0001-01-01"}, "more than 36525 days", id="stop-of-long-ago"),
        pytest.param({"brownout": "9999-12-31"}, "more than 36525 days", id="brownout-of-never"),
        pytest.param({"account": OTHER_ACCOUNT}, "of account", id="other-account"),
        pytest.param({"addresses": []}, "no addresses", id="nobody-addressed"),
        pytest.param({"addresses": [1]}, "no addresses", id="addresses-are-numbers"),
        pytest.param({"addresses": [""]}, "no e-mail address", id="empty-address"),
        pytest.param({"addresses": ["owner@example.com", " "]}, "no e-mail address", id="blank-address"),
        pytest.param({"addresses": ["nobody"]}, "no e-mail address", id="no-address"),
        pytest.param({"addresses": ["#channel"]}, "no e-mail address", id="channel"),
        pytest.param({"addresses": ["\u200b"]}, "no e-mail address", id="invisible-address"),
        pytest.param({"users": "alice"}, "no users", id="no-users"),
        pytest.param({"users": [{"user": "alice"}]}, "no arn", id="user-without-id"),
        pytest.param({"message-id": ""}, "no message-id", id="no-message"),
        pytest.param({"delivery": ""}, "no queue", id="no-queue-and-no-waiver"),
        pytest.param({"queue": ""}, "no queue", id="empty-queue"),
        pytest.param(
            {"users": [{"user": "alice", "arn": ALICE.arn, "unique-id": ALICE.unique_id, "what": 1}]},
            "no what",
            id="what-is-a-number",
        ),
    ],
)
def test_what_is_no_notice_touches_nobody(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    store = DirectoryStore(tmp_path)
    store.create(NOTICE.name, json.dumps({**json.loads(NOTICE.as_json()), **change}).encode())
    with pytest.raises(NoticesUnreadable, match=reason) as error:
        Notices.read(store, ACCOUNT, after(1))
    assert store.place(NOTICE.name) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"], ids=["empty", "torn", "list", "bytes"])
def test_no_json(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_record(content, ACCOUNT, NOW)


@pytest.mark.parametrize(
    ("days", "at", "reason"),
    [
        pytest.param(30, after(30), None, id="the-day"),
        pytest.param(30, after(29.9), "less than 30 days ago", id="a-little-before"),
        pytest.param(10, after(29), "its day is yet to come: announced", id="before-the-announced-day"),
        pytest.param(30, after(30 + LAPSE_DAYS), None, id="the-last-day-it-counts"),
        pytest.param(30, after(31 + LAPSE_DAYS), "no announcement of it that still counts", id="lapsed"),
    ],
)
def test_when_a_user_may_be_touched(days: float, at: datetime, reason: str | None) -> None:
    found = notice_refusal(Notices([NOTICE], "notices"), ALICE.unique_id, days, at)
    assert found is None if reason is None else reason in text_of(found)


def test_the_last_day_of_all_is_yet_to_come() -> None:
    forged = Notices([replace(NOTICE, day=date.max, stop=date.max)], "notices")
    refused = text_of(notice_refusal(forged, ALICE.unique_id, 30, after(40)))
    assert "for 9999-12-31" in refused
    assert "yet to come" in refused
    assert due_for(7, forged, [ALICE], after(40)) == []


@pytest.mark.parametrize(
    "notice",
    [
        pytest.param(
            replace(NOTICE, users=(replace(ALICE, unique_id="AIDAOTHER"),)), id="of-the-name-before"
        ),
        pytest.param(replace(NOTICE, step=reminder(7)), id="only-reminded"),
    ],
)
def test_what_is_no_announcement_of_the_user(notice: Notice) -> None:
    assert "were not addressed" in text_of(
        notice_refusal(Notices([notice], "notices"), ALICE.unique_id, 0, after(40))
    )


@pytest.mark.parametrize(
    ("now", "options", "reason"),
    [
        pytest.param(15, {"before_day": True}, "credentials stop working is yet to come", id="before"),
        pytest.param(16, {"before_day": True}, None, id="on-the-day"),
        pytest.param(8, {"before_day": True, "brownout": True}, "the day of its brownout is yet", id="dark"),
        pytest.param(9, {"before_day": True, "brownout": True}, None, id="on-the-day-of-the-brownout"),
        pytest.param(16, {}, "its day is yet to come: announced", id="deletion"),
    ],
)
def test_credentials_work_until_the_day_that_was_announced(
    tmp_path: Path, now: float, options: dict[str, Any], reason: str | None
) -> None:
    store = DirectoryStore(tmp_path)
    store.create(NOTICE.name, replace(NOTICE, stop=date(2026, 3, 17), brownout=date(2026, 3, 10)).as_json())
    notices = Notices.read(store, ACCOUNT, after(now))
    found = notice_refusal(notices, ALICE.unique_id, 0, after(now), **options)
    assert found is None if reason is None else reason in text_of(found)


@pytest.mark.parametrize(
    ("days", "reason"),
    [(30, "less than 30 days ago"), (50, "for 2026-04-21"), (51, None)],
)
def test_the_day_of_the_last_announcement_counts(days: float, reason: str | None) -> None:
    later = replace(NOTICE, time=after(20), day=date(2026, 4, 21), message_id="message-2")
    found = notice_refusal(Notices([later, NOTICE], "notices"), ALICE.unique_id, 30, after(days))
    assert found is None if reason is None else reason in text_of(found)


@pytest.mark.parametrize(
    ("at", "sent", "due"),
    [
        pytest.param(after(24), (), True, id="seven-days-before"),
        pytest.param(after(22), (), False, id="too-early"),
        pytest.param(after(30), (), True, id="on-the-day"),
        pytest.param(after(31), (), False, id="past"),
        pytest.param(after(25), (replace(NOTICE, step=reminder(7), time=after(24)),), False, id="reminded"),
        pytest.param(
            after(25), (replace(NOTICE, step=reminder(1), time=after(24)),), True, id="other-reminder"
        ),
        pytest.param(
            after(25),
            (replace(NOTICE, step=reminder(7), time=after(-40)),),
            True,
            id="of-an-earlier-announcement",
        ),
    ],
)
def test_who_is_reminded(at: datetime, sent: tuple[Notice, ...], due: bool) -> None:
    found = due_for(7, Notices([NOTICE, *sent], "notices"), [ALICE, subject("bob")], at)
    assert found == ([(ALICE, NOTICE)] if due else [])


STOPS = [
    "STOP.txt",
    "stop",
    "Stop.md",
    "stop all.txt",
    "sToP",
    " STOP",
    "STOP ",
    "\u00a0sTOP.txt",
    "\tStop",
]


@pytest.mark.parametrize("name", STOPS)
def test_stop(tmp_path: Path, name: str) -> None:
    store = DirectoryStore(tmp_path)
    check_stop(store)
    check_stop(DirectoryStore(tmp_path / "none"))
    store.create(NOTICE.name, NOTICE.as_json())
    check_stop(store)
    (tmp_path / name).touch()
    with pytest.raises(Stopped, match=f"the file .*/{name} stops"):
        check_stop(store)


@pytest.mark.parametrize("name", ["1STOP", "don't stop", "S", "ST OP", "exempt"])
def test_what_does_not_stop(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    check_stop(DirectoryStore(tmp_path))


@pytest.mark.parametrize("name", STOPS)
def test_a_stop_of_one_account(tmp_path: Path, name: str) -> None:
    store = DirectoryStore(tmp_path)
    store.create(NOTICE.name, NOTICE.as_json())
    (tmp_path / ACCOUNT / name).touch()
    assert Notices.read(store, ACCOUNT, after(1)).stop == str(tmp_path / ACCOUNT / name)
    assert Notices.read(store, OTHER_ACCOUNT, after(1)).stop == ""
    check_stop(store, f"{OTHER_ACCOUNT}/")
    with pytest.raises(Stopped, match=f"{ACCOUNT}/{name} stops"):
        check_stop(store, f"{ACCOUNT}/")


@pytest.mark.parametrize("place", [ACCOUNT, f"exempt/{ACCOUNT}"])
@pytest.mark.parametrize("kind", ["dangling", "link", "directory", "pipe"])
def test_what_is_no_file_touches_nobody(tmp_path: Path, place: str, kind: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / "elsewhere.json").write_bytes(NOTICE.as_json())
    path = tmp_path / place / "notice.json"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("missing.json" if kind == "dangling" else tmp_path / "elsewhere.json")
    with pytest.raises(
        NoticesUnreadable, match=r"notice\.json is a link or a directory, not a file of a run"
    ):
        Notices.read(DirectoryStore(tmp_path), ACCOUNT, after(1))


def test_where_no_deletion_rests_on_it_what_is_broken_is_left_out(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.create(NOTICE.name, NOTICE.as_json())
    store.create(f"{ACCOUNT}/torn.json", b"{")
    (tmp_path / ACCOUNT / "nowhere.json").symlink_to("missing.json")
    told: list[str] = []
    found = Notices.read(store, ACCOUNT, after(1), told.append)
    assert found.announcement(ALICE.unique_id, after(1)) == NOTICE
    assert [each.partition(" is ")[0].rpartition("/")[2] for each in told] == ["nowhere.json", "torn.json"]


def test_a_directory_that_is_a_dangling_link_touches_nobody(tmp_path: Path) -> None:
    (tmp_path / ACCOUNT).symlink_to("missing")
    with pytest.raises(NoticesUnreadable, match=f"{ACCOUNT} is a symbolic link"):
        Notices.read(DirectoryStore(tmp_path), ACCOUNT, after(1))


class Counting(DirectoryStore):
    """Counts the readings of names."""

    reads = 0

    def read(self, name: str, largest: int = LARGEST) -> bytes | None:
        self.reads += 1
        return super().read(name, largest)


def test_only_what_is_new_or_has_changed_is_read_again(tmp_path: Path) -> None:
    store = Counting(tmp_path)
    others = [replace(NOTICE, message_id=f"m{number}", users=(subject("bob"),)) for number in range(9)]
    for each in (NOTICE, *others):
        store.create(each.name, each.as_json())

    def day() -> date:
        found = Notices.read(store, ACCOUNT, after(1)).announcement(ALICE.unique_id, after(1))
        return found.day if found else date.min

    assert (day(), store.reads) == (NOTICE.day, 10)
    # another policy of the process, with a store of its own
    other = Counting(tmp_path)
    Notices.read(other, ACCOUNT, after(1))
    assert (day(), store.reads, other.reads) == (NOTICE.day, 10, 0)
    later = replace(NOTICE, day=date(2026, 5, 31))
    (tmp_path / NOTICE.name).write_bytes(later.as_json())
    assert (day(), store.reads) == (later.day, 11)
    (tmp_path / NOTICE.name).unlink()
    assert (day(), store.reads) == (date.min, 11)


def test_a_directory_stops(tmp_path: Path) -> None:
    (tmp_path / STOP).mkdir()
    with pytest.raises(Stopped):
        check_stop(DirectoryStore(tmp_path))


def test_a_stop_that_cannot_be_read_stops(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoticesUnreadable, match=STOP):
        check_stop(DirectoryStore(tmp_path / "file"))


FROZEN: dict[str, Any] = {
    "kind": "human",
    "replacement": ["sso"],
    "last_activity": {"time": "2026-01-01T00:00:00+00:00", "by": "password", "unknown": ["x"]},
    "attachments": {"access-key": 1},
    "findings": [{"id": "iam-user", "severity": "medium", "text": "t"}],
}


@pytest.mark.parametrize(
    "odd",
    [
        {"last_activity": "x"},
        {"last_activity": {"time": 5}},
        {"findings": "x"},
        {"findings": [5]},
        {"findings": [{}]},
        {"findings": {"a": 1}},
        {"attachments": [1]},
        {"attachments": {"access-key": "x"}},
        {"kind": []},
        {"replacement": [[]]},
    ],
    ids=str,
)
def test_evidence_of_another_shape_is_left_out_and_fails_no_mail(odd: dict[str, Any]) -> None:
    """Whoever writes notices would stop the reminders of all users that are in a mail with this one."""
    users = [
        {"user": name, "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", "unique-id": name, "evidence": evidence}
        for name, evidence in (("bob", odd), ("alice", FROZEN))
    ]
    data = {
        "account": ACCOUNT,
        "step": "announced",
        "time": "2026-01-01T00:00:00+00:00",
        "day": "2026-02-01",
        "addresses": ["a@example.com"],
        "message-id": "m",
        "delivery": "unchecked",
        "policy": "p",
        "users": users,
    }
    found = parse_record(json.dumps(data).encode(), ACCOUNT, datetime(2026, 2, 1, tzinfo=timezone.utc))
    assert isinstance(found, Notice)
    assert found.evidence == {"bob": {}, "alice": FROZEN}
