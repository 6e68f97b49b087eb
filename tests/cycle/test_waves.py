# SPDX-License-Identifier: Apache-2.0
"""When waves open, over many days of cycles; and the records that say so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pytest

from c7n_iamusers.cycle.waves import (
    LONGEST_GAP,
    Record,
    Waves,
    begun,
    check_waves,
    ended,
    open_waves,
    parse_record,
    ran,
    wave_of,
)

pytestmark = pytest.mark.pure

START = datetime(2026, 11, 1, 6, tzinfo=timezone.utc)
#: Account -> its wave.
WAVES = {"111122223333": 1, "444455556666": 2, "777788889999": 3}


def cycles(days: Sequence[tuple[float, str]], clean_days: float = 7) -> tuple[Record | None, datetime]:
    """A cycle on each day, with the account that was blocked ("": none, "*": all, "killed": it did not end)."""
    last, now = None, START
    for day, blocked in days:
        now = START + timedelta(days=day)
        waves = open_waves(WAVES.values(), last, now, clean_days)
        last = parse_record(begun(waves, last, now).as_json())
        if blocked != "killed":
            why = {blocked.strip("*"): "a user failed"} if blocked else {}
            last = parse_record(ended(last, WAVES, why, now).as_json())
    return last, now


@pytest.mark.parametrize(
    ("days", "at", "open_", "why"),
    [
        ([], 0, (1,), "no cycle has checked"),
        ([(day, "") for day in range(7)], 6.9, (1,), "clean since 2026-11-01"),
        ([(day, "") for day in range(7)], 7, (1, 2), "opened today"),
        # a wave that has opened stays open, whatever its checks say
        ([*((day, "") for day in range(8)), (8, "444455556666")], 9, (1, 2), "wave 2 was not clean"),
        ([*((day, "") for day in range(8)), (8, "111122223333")], 30, (1, 2), "checked last on"),
        # a wave is clean since the check after its last fault
        (
            [(day, "111122223333" if day == 5 else "") for day in range(10)],
            10,
            (1,),
            "clean since 2026-11-07",
        ),
        ([(day, "*" if day == 5 else "") for day in range(10)], 10, (1,), "clean since 2026-11-07"),
        ([(day, "111122223333" if day == 5 else "") for day in range(14)], 13, (1, 2), ""),
        # the second one counts from its own opening, and not from the first one's
        ([(day, "") for day in range(14)], 13.5, (1, 2), "clean since 2026-11-08"),
        ([(day, "") for day in range(15)], 14, (1, 2, 3), ""),
        # a killed cycle checks nothing, and forgets nothing
        ([(day, "killed" if day == 3 else "") for day in range(7)], 7, (1, 2), ""),
        ([(0, "killed")], 8, (1,), "no cycle has checked"),
        # a weekend is no gap, and more is
        ([(0, ""), (1, ""), (4, ""), (7, "")], 7, (1, 2), ""),
        ([(0, ""), (6, "")], 7, (1,), "clean since 2026-11-07"),
        # nobody looked for long
        ([(day, "") for day in range(7)], 20, (1,), "checked last on 2026-11-07"),
    ],
)
def test_when_the_next_wave_opens(
    days: list[tuple[float, str]], at: float, open_: tuple[int, ...], why: str
) -> None:
    last, _ = cycles(days)
    found = open_waves(WAVES.values(), last, START + timedelta(days=at), 7)
    assert (found.open, why in found.why) == (open_, True), found


def test_one_more_wave_a_cycle_at_most() -> None:
    last, now = cycles([(0, "")], clean_days=0)
    assert open_waves(WAVES.values(), last, now, 0).open == (1, 2)
    last, now = cycles([(0, ""), (1, ""), (2, "")], clean_days=0)
    assert last is not None
    assert last.opened == {1: START, 2: START + timedelta(days=1), 3: START + timedelta(days=2)}


@pytest.mark.parametrize(
    ("tags", "wave"), [((), None), (("wave:1",), 1), (("path:/a", "wave:12"), 12), (("wave:0",), 0)]
)
def test_the_wave_of_an_account(tags: tuple[str, ...], wave: int | None) -> None:
    assert wave_of(tags) == wave


@pytest.mark.parametrize(
    "tags", [("wave:",), ("wave:one",), ("wave:1", "wave:2"), ("wave:-1",), ("wave:01",)]
)
def test_a_wave_that_is_none(tags: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="give one, with a whole number"):
        wave_of(tags)


def test_accounts_without_a_wave_beside_others() -> None:
    check_waves({"payments": None, "research": None})
    check_waves({"payments": 1, "research": 2})
    with pytest.raises(ValueError, match=r"^research have no tag wave:N"):
        check_waves({"payments": 1, "research": None})


def test_a_record_is_read_as_it_was_written() -> None:
    last = ran(begun(open_waves((1, 2), None, START, 7), None, START), "attempts", ("111122223333",), START)
    last = ended(last, WAVES, {"444455556666": "a user failed"}, START + timedelta(hours=1))
    assert parse_record(last.as_json()) == last
    assert last.ran == {"attempts": {"111122223333": START}}


def test_a_long_reason_does_not_keep_the_next_cycle_from_reading_it() -> None:
    last = ended(begun(open_waves((1,), None, START, 7), None, START), WAVES, {"1": "x" * 9_999}, START)
    assert len(parse_record(last.as_json()).blocked["1"]) == 1_000


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"schema": 2}', Record(START).as_json().replace(b"2026-11-01T", b"yesterday ")],
)
def test_what_no_cycle_wrote_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each has another text
        parse_record(content)


def test_the_next_wave_is_named() -> None:
    last, now = cycles([(0, "")], clean_days=0)
    assert open_waves((1, 2, 3), last, now, 0) == Waves((1, 2), 3, "wave 2 opened today")
    assert open_waves((1, 2), last, now, 0) == Waves((1, 2))
    assert open_waves((1, 2), None, now, 0).opens == 2
    assert open_waves((), last, now, 0) == Waves(())


def test_a_gap_is_longer_than_may_be() -> None:
    last, _ = cycles([(0, "")])
    assert last is not None
    longest, more = START + LONGEST_GAP, START + LONGEST_GAP + timedelta(seconds=1)
    for now, clean in ((longest, START), (more, more)):
        found = open_waves((1, 2), last, now, 0)
        assert found.open == ((1, 2) if now == longest else (1,))
        assert ended(begun(found, last, now), WAVES, {}, now).clean[1] == clean
