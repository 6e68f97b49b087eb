# SPDX-License-Identifier: Apache-2.0
"""What is due in an account on a day, and why not."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest

from c7n_iamusers.cycle.due import (
    Account,
    Announcements,
    Mails,
    announcements_of,
    due_today,
    mails_of,
    not_due,
)
from c7n_iamusers.cycle.steps import BY_NAME, STEPS
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.notices.delivery import LEFT, WAITING
from c7n_iamusers.notices.notices import Notice, Notices

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
DAYS = {
    "brownout_after_days": 9,
    "listen_after_days": 16,
    "quarantine_after_days": 23,
    "announce_days": 30,
}


HALF_AN_HOUR = 1 / 48


def account(days: float | None = None, **ran: float) -> Account:
    """An account whose users were announced so many days ago. ``ran``: step -> days since."""
    first = None if days is None else NOW - timedelta(days=days)
    known = Announcements(first, first.date() + timedelta(days=30)) if first else Announcements()
    last = {step.replace("_", "-"): NOW - timedelta(days=since) for step, since in ran.items()}
    return Account("111122223333", "payments", None, DAYS, known, ran=last)


@pytest.mark.parametrize(
    ("days", "due"),
    [
        (None, "announce provision keys your-access"),
        (0, "announce remind provision keys your-access"),
        (8.9, "announce remind provision keys your-access"),
        (9, "announce remind provision brownout keys your-access"),
        (16, "announce remind provision brownout listen attempts keys your-access"),
        (15.99, "announce remind provision brownout listen attempts keys your-access"),
        (23, "announce remind provision brownout listen quarantine attempts keys your-access"),
        (30, " ".join(each.name for each in STEPS)),
        (400, " ".join(each.name for each in STEPS)),
    ],
)
def test_what_is_due_so_many_days_after_the_announcement(days: float | None, due: str) -> None:
    found = due_today(STEPS, [account(days)], NOW)
    assert [each.step.name for each in found if each.accounts] == due.split()
    assert all(each.accounts or each.waiting for each in found)


@pytest.mark.parametrize(
    ("step", "of", "why"),
    [
        ("listen", account(), "nobody is announced yet"),
        ("listen", account(3), "due on 2026-12-13 at the earliest"),
        ("delete", account(29), "due on 2026-12-01 at the earliest"),
        ("attempts", account(20, attempts=5), "it ran on 2026-11-25, and is due again on 2026-12-01"),
        ("attempts", account(20, attempts=6), ""),
        # the time is also read by another clock
        ("attempts", account(20, attempts=6 - HALF_AN_HOUR), ""),
        ("listen", account(16 - HALF_AN_HOUR), ""),
        ("brownout", account(20, brownout=11), "it ran on 2026-11-19, and runs once"),
        ("announce", account(20, announce=0), ""),
    ],
)
def test_why_a_step_waits(step: str, of: Account, why: str) -> None:
    assert not_due(BY_NAME[step], of, NOW) == why


def test_the_announced_day_counts_although_the_days_have_passed() -> None:
    later = Account(
        "1", "payments", None, DAYS, Announcements(NOW - timedelta(days=40), date(2026, 12, 2)), ran={}
    )
    assert not_due(BY_NAME["delete"], later, NOW) == "due on 2026-12-02 at the earliest"
    assert not_due(BY_NAME["quarantine"], later, NOW) == ""


def test_nothing_is_due_where_the_notices_cannot_be_read() -> None:
    unread = Account("1", "payments", announced=None, fault="access denied")
    assert {not_due(step, unread, NOW) for step in STEPS} == {"its notices can't be read: access denied"}


def test_each_account_is_due_by_its_own_days() -> None:
    late = Account("2", "research", None, {**DAYS, "listen_after_days": 20}, account(17).announced)
    (found,) = due_today([BY_NAME["listen"]], [account(17), late], NOW)
    assert [each.name for each in found.accounts] == ["payments"]
    assert found.waiting == {"due on 2026-12-03 at the earliest": (late,)}


def notice(days: float, queue: str = "", step: str = "announced") -> Notice:
    time = NOW - timedelta(days=days)
    user = Subject("jane", "arn:aws:iam::111122223333:user/jane", "AIDA1")
    return Notice(
        "111122223333",
        step,
        time,
        time.date() + timedelta(days=30),
        ("o@example.com",),
        "p",
        "-",
        (user,),
        queue=queue,
    )


def test_the_first_announcement_and_its_day_count() -> None:
    found = announcements_of(Notices([notice(3), notice(9), notice(12, step="overdue")], "here"), NOW)
    assert (found.first, found.day) == (NOW - timedelta(days=9), date(2026, 12, 21))
    assert (found.mails, found.waiting) == ({LEFT: 3}, None)


def test_what_is_known_of_the_mailer() -> None:
    waits = announcements_of(Notices([notice(1), notice(2, "https://q")], "here", readings=[]), NOW)
    assert waits.mails == {LEFT: 1, WAITING: 1}
    found = mails_of([Account("1", "payments", announced=waits), Account("2", "research", announced=None)])
    assert str(found) == (
        "1 message known to have left the queue, 1 not known to have left it, the oldest since 2026-11-28 12:00 UTC"
    )
    since = "2026-11-28T12:00:00+00:00"
    assert found.as_data() == {"left": 1, "waiting": 1, "expired": 0, "since": since}


@pytest.mark.parametrize(
    ("mails", "said"),
    [
        pytest.param(Mails(), "no message was sent yet", id="none"),
        pytest.param(Mails(left=2), "2 messages known to have left the queue", id="left"),
        pytest.param(
            Mails(waiting=1, since=NOW),
            "0 messages known to have left the queue, 1 not known to have left it, the oldest since "
            "2026-11-30 12:00 UTC",
            id="waiting",
        ),
        pytest.param(
            Mails(expired=1),
            "0 messages known to have left the queue, 1 may have expired in it, and will be sent anew",
            id="expired",
        ),
    ],
)
def test_how_many_messages_left_wait_or_expired(mails: Mails, said: str) -> None:
    assert str(mails) == said
    assert (str(mails_of([Account("1", "payments")])) == said) is (mails == Mails())


@pytest.mark.parametrize("days", [None, "14", True])
def test_a_step_does_not_wait_for_days_that_are_no_number(days: object) -> None:
    known = Announcements(NOW, None)
    of = Account("1", "payments", None, {"listen_after_days": days, "announce_days": 0}, known)
    assert not_due(BY_NAME["listen"], of, NOW) == not_due(BY_NAME["delete"], of, NOW) == ""
