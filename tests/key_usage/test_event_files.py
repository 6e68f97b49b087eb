# SPDX-License-Identifier: Apache-2.0
"""Files with calls: CloudTrail's log files, and results of the query, whole, broken, packed, and in any pieces."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from c7n_iamusers.key_usage import event_files
from c7n_iamusers.key_usage.event_files import COLUMNS, Faults, count_events
from c7n_iamusers.key_usage.tally import Tally
from c7n_iamusers.text.documents import Lines, next_json
from tests.key_usage.test_tally import KEY, OTHER, event

ROW = {
    "key_id": KEY,
    "service": "s3",
    "event": "GetObject",
    "region": "eu-west-1",
    "address": "192.0.2.4",
    "user_agent": "Boto3/1.34\nsecond line",
    "calls": "312",
    "denied": "4",
    "first_call": "2026-11-01T00:00:00Z",
    "last_call": "2026-11-20T00:00:00Z",
}
EVENTS = [event(eventName=f"E{number}", eventID=str(number)) for number in range(5)]


def log_file(*events: Any) -> bytes:
    return json.dumps({"Records": events}).encode()


def as_csv(*rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def result_set(*rows: dict[str, str]) -> bytes:
    cells = [COLUMNS, *([row[name] for name in COLUMNS] for row in rows)]
    data = [{"Data": [{"VarCharValue": cell} for cell in row]} for row in cells]
    return json.dumps({"ResultSet": {"Rows": data}}).encode()


def counted(content: bytes, size: int = 1 << 20, keys: set[str] | None = None) -> tuple[Tally, Faults]:
    tally = Tally(keys)
    pieces: Iterator[bytes] = (content[at : at + size] for at in range(0, len(content), size))
    return tally, count_events(pieces, tally)


def calls(tally: Tally, key: str = KEY) -> int:
    return sum(group.calls for group in tally.groups_of(key))


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(log_file(*EVENTS), 5, id="log-file"),
        pytest.param(log_file(), 0, id="log-file-without-events"),
        pytest.param(b"[]", 0, id="no-events"),
        pytest.param(b"\xef\xbb\xbf" + log_file(*EVENTS), 5, id="byte-order-mark"),
        pytest.param(log_file(*EVENTS[:2]) + log_file(*EVENTS[2:]), 5, id="log-files-put-together"),
        pytest.param(
            b"\n".join([log_file(*EVENTS[:2]), log_file(), log_file(*EVENTS[2:]), b""]),
            5,
            id="log-files-line-by-line",
        ),
        pytest.param(
            json.dumps(EVENTS[:2]).encode() + json.dumps(EVENTS[2:]).encode(), 5, id="lists-put-together"
        ),
        pytest.param(b"\n".join(json.dumps(each).encode() for each in EVENTS), 5, id="json-lines"),
        pytest.param(json.dumps(EVENTS, indent=1).encode(), 5, id="list"),
        pytest.param(json.dumps({"digestStartTime": "2026-11-20T00:00:00Z"}).encode(), 0, id="digest"),
        pytest.param(as_csv(ROW), 312, id="csv"),
        pytest.param(as_csv(ROW, {**ROW, "event": "PutObject"}), 624, id="csv-of-two"),
        pytest.param(json.dumps([ROW, {**ROW, "calls": 1, "denied": 0}]).encode(), 313, id="rows-in-json"),
        pytest.param(result_set(ROW), 312, id="get-query-results"),
        pytest.param(
            json.dumps([{"Records": EVENTS[:2]}, {"Records": EVENTS[2:]}]).encode(),
            5,
            id="log-files-in-a-list",
        ),
        pytest.param(log_file(*EVENTS)[:-1], 5, id="without-the-last-brace"),
    ],
)
def test_each_format_is_read_whatever_its_pieces_are(
    content: bytes, expected: int, packed: bool, size: int
) -> None:
    tally, faults = counted(gzip.compress(content) if packed else content, size)
    assert str(faults) == ""
    assert calls(tally) == expected


def test_a_row_is_a_group() -> None:
    tally, _ = counted(as_csv(ROW))
    (group,) = tally.groups_of(KEY)
    assert (group.service, group.event, group.region, group.address) == (
        "s3",
        "GetObject",
        "eu-west-1",
        "192.0.2.4",
    )
    assert (group.user_agent, group.calls, group.denied) == ("Boto3/1.34\nsecond line", 312, 4)
    assert f"{group.first:%d} {group.last:%d}" == "01 20"


def test_gzip_of_several_members_is_read_whole() -> None:
    lines = [gzip.compress(json.dumps(each).encode() + b"\n") for each in EVENTS]
    tally, faults = counted(b"".join(lines), 13)
    assert (calls(tally), str(faults)) == (5, "")


def test_packed_log_files_that_were_put_together_are_read_whole() -> None:
    content = b"".join(gzip.compress(log_file(each)) for each in EVENTS)
    tally, faults = counted(content, 13)
    assert (calls(tally), str(faults)) == (5, "")


def test_gzip_of_tiny_members_is_not_read_again_with_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = list[int]()

    def counting(text: str, at: int, lines: Lines) -> Any:
        tried.append(1)
        return next_json(text, at, lines)

    monkeypatch.setattr("c7n_iamusers.key_usage.event_files.next_json", counting)
    content = b"".join(gzip.compress(bytes([each])) for each in log_file({**EVENTS[0], "pad": "x" * 3_000}))
    tally, faults = counted(content)
    assert (calls(tally), str(faults), len(tried)) == (1, "", 1)


def test_gzip_that_unpacks_to_much_is_read_in_pieces() -> None:
    tally, faults = counted(gzip.compress(b" " * 5_000_000 + log_file(*EVENTS)))
    assert (calls(tally), str(faults)) == (5, "")


@pytest.mark.parametrize(
    ("content", "expected", "fault"),
    [
        pytest.param(log_file(*EVENTS)[:-2], 5, "after entry 5: is cut off", id="cut-after-an-event"),
        pytest.param(log_file(*EVENTS)[:-20], 4, "after entry 4: ", id="cut-within-an-event"),
        pytest.param(
            gzip.compress(log_file(*EVENTS))[:-9], 5, "is damaged gzip: it was cut off", id="gzip-cut-off"
        ),
        pytest.param(log_file(*EVENTS) + b"garbage", 5, "after entry 5: ", id="more-after-a-log-file"),
        pytest.param(
            log_file(*EVENTS[:2]) + log_file(*EVENTS[2:])[:-20],
            4,
            "after entry 4: ",
            id="the-second-log-file-is-cut-off",
        ),
        pytest.param(
            json.dumps(
                [{**ROW, "calls": True, "denied": 0}, {**ROW, "calls": 1.9, "denied": 0}, ROW]
            ).encode(),
            312,
            "entry 1 is no row of the query's result; entry 2 is no row",
            id="calls-that-are-no-whole-number",
        ),
        pytest.param(
            as_csv({**ROW, "calls": "1_0"}), 0, "line 3 is no row", id="calls-as-python-writes-them"
        ),
        pytest.param(
            log_file(*EVENTS)[:-1] + b', "x": 1}', 5, "entry 6 is no event and no row", id="another-member"
        ),
        pytest.param(b'[{"key_id": "AKIA"}]', 0, "entry 1 is no row of the query's result", id="half-a-row"),
        pytest.param(as_csv({**ROW, "last_call": "x"}), 0, "line 3 is no row", id="no-last-time"),
        pytest.param(result_set({**ROW, "calls": "x"}, ROW), 312, "row 2 is no row", id="a-bad-result"),
        pytest.param(
            result_set(ROW).replace(b"]}]}}", b']}, 7, {"Data": [7, {"VarCharValue": "x"}]}]}}'),
            *(312, "row 3 is no row"),
            id="a-short-result",
        ),
        pytest.param(b"[]\xc3", 0, "is not UTF-8", id="cut-within-a-character"),
        pytest.param(b"", 0, "it is empty", id="empty"),
        pytest.param(b" \n", 0, "it is empty", id="blank"),
        pytest.param(gzip.compress(b""), 0, "it is empty", id="gzip-of-nothing"),
        pytest.param(b"{}", 0, "1 events do not say whose call", id="empty-object"),
        pytest.param(
            result_set(ROW).replace(b"{", b'{"NextToken": "x", ', 1), 312, "more rows", id="first-pages"
        ),
        pytest.param(b"\x1f\x8bnot gzip at all", 0, "is damaged gzip: ", id="no-gzip"),
        pytest.param(b"\xff\xfe{\x00", 0, "is not UTF-8", id="utf-16"),
        pytest.param(
            b'{"Records": [7, "x"]}', 0, "entry 1 is no event and no row; entry 2 is", id="no-events"
        ),
        pytest.param(
            b'{"Records": [{"a": 1}]}',
            0,
            "1 events do not say whose call it was, or when",
            id="events-of-nobody",
        ),
        pytest.param(b'{"Records": [{"a": ' + b"[" * 100_000, 0, "after entry 0: ", id="nested-too-deeply"),
        pytest.param(log_file({"a": "x" * 5_000_000}), 0, "", id="an-event-of-5-mb"),
        pytest.param(b"<html>login</html>", 0, "it lacks the columns key_id, service, ", id="html"),
        pytest.param(
            as_csv(ROW, columns=COLUMNS[:5]),
            0,
            "it lacks the columns user_agent, calls, ",
            id="other-columns",
        ),
        pytest.param(
            as_csv({**ROW, "calls": "many"}, ROW),
            312,
            "line 3 is no row of the query's result",
            id="a-bad-row",
        ),
        pytest.param(as_csv({**ROW, "denied": "999"}), 0, "line 3 is no row", id="more-denied-than-calls"),
        pytest.param(as_csv({**ROW, "calls": "0", "denied": "0"}), 0, "line 3 is no row", id="no-calls"),
        pytest.param(as_csv({**ROW, "first_call": "x"}), 0, "line 3 is no row", id="no-time"),
        pytest.param(as_csv({**ROW, "key_id": ""}), 0, "line 3 is no row", id="no-key"),
        pytest.param(as_csv(ROW) + b'"one","cell"\r\n', 312, "line 4 is no row", id="a-row-with-other-cells"),
        pytest.param(
            as_csv({**ROW, "user_agent": "u" * 200_000}, ROW),
            312,
            "field larger than field limit",
            id="a-long-cell",
        ),
        pytest.param(b'{"ResultSet": {"Rows": []}}', 0, "it lacks the columns key_id", id="no-result"),
        pytest.param(b'{"ResultSet": {"Rows": [{"Data": 7}]}}', 0, "", id="a-result-of-another-form"),
    ],
)
def test_what_can_not_be_read_is_told_and_the_rest_is_counted(
    content: bytes, expected: int, fault: str
) -> None:
    tally, faults = counted(content)
    assert faults.number > 0
    assert fault in str(faults)
    assert not fault.startswith("is ") or str(faults).startswith(fault)
    assert calls(tally) == expected


def test_faults_are_bounded() -> None:
    _, faults = counted(as_csv(*[{**ROW, "calls": "x"}] * 1_000))
    assert faults.number == 1_000
    assert str(faults).endswith("; 997 more like these")
    assert len(str(faults)) < 300
    assert str(Faults(2, ["x"])) == "x; 1 more like these"
    assert str(Faults(1, ["x"])) == "x"
    faults = Faults()
    faults.add("x" * 301)
    assert faults.first == ["x" * 300]


def test_long_lines_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_files, "_LONGEST_EVENT", 3)
    assert [*event_files._lines(iter(["abcd", "e\nf", "g"]))] == ["abcd", "e\n", "fg"]
    assert [*event_files._lines(iter(["abc", "d\n"]))] == ["abcd\n"]


def test_a_row_has_what_is_kept_of_its_texts() -> None:
    row = {**ROW, "service": None, "user_agent": "u" * 1_001}
    (group,) = counted(json.dumps([row]).encode())[0].groups_of(KEY)
    assert (group.service, group.user_agent) == ("", "u" * 1_000)


def test_only_the_keys_that_are_asked_for_are_counted() -> None:
    tally, faults = counted(as_csv(ROW, {**ROW, "key_id": OTHER}), keys={OTHER})
    assert (calls(tally), calls(tally, OTHER), str(faults)) == (0, 312, "")


def test_the_line_of_what_can_not_be_read_is_that_of_the_file() -> None:
    lines = [json.dumps(event(eventID=str(number), pad="x" * 1_000)) for number in range(100)]
    tally, faults = counted("\n".join([*lines, "{bad}", *lines]).encode(), 10_000)
    assert str(faults).startswith("line 101, after entry 100: Expecting property name")
    assert calls(tally) == 100


def test_a_result_in_json_that_is_too_large_is_told_with_what_is_read() -> None:
    _, faults = counted(result_set(*[ROW] * 20_000))
    assert "after entry 0: has no value of JSON in 4194304 characters" in str(faults)
    assert "a large result of the query is read as CSV" in str(faults)
