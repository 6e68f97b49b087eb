# SPDX-License-Identifier: Apache-2.0
"""Text, JSON and YAML within bounds: what is read, what is refused, and where."""

from __future__ import annotations

import gzip
from random import Random
from typing import Any

import pytest

from c7n_iamusers.text import documents, rows, yaml_documents
from c7n_iamusers.text.documents import (
    DEEPEST,
    LARGEST_PACKED,
    Lines,
    NotInFormat,
    check_values,
    json_values,
    pieces,
    read_json,
    unpacked,
)
from c7n_iamusers.text.rows import read_rows
from c7n_iamusers.text.yaml_documents import read_yaml

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            '{"a": [1, 2.5, -3, 1e3, true, null]}', {"a": [1, 2.5, -3, 1000.0, True, None]}, id="all"
        ),
        pytest.param("\ufeff []\n", [], id="mark"),
        pytest.param('"\\ud83d\\ude00"', "\U0001f600", id="a-character-in-two-halves"),
        pytest.param('"\\\\ud800"', "\\ud800", id="no-escape-of-half-a-character"),
        pytest.param("[" * DEEPEST + "]" * DEEPEST, None, id="deep"),
        pytest.param("1" * 40, int("1" * 40), id="a-long-number"),
    ],
)
def test_json(text: str, expected: Any) -> None:
    found = read_json(text)
    assert expected is None or found == expected
    assert read_json(text.encode()) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('\n{"a": 1,\n"a": 2}', "line 2: duplicate key 'a'", id="duplicate"),
        pytest.param('[\n{"b": NaN}]', "line 1: has NaN", id="nan"),
        pytest.param('{"b": -Infinity}', "has -Infinity", id="infinity"),
        pytest.param("1" * 41, "a number of more than 40 characters", id="digits"),
        pytest.param("1e400", "a number that is too large", id="exponent"),
        pytest.param("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "at most 64 lists", id="deep"),
        pytest.param('{"a":' * 100 + "1" + "}" * 100, "at most 64 lists", id="deep-objects"),
        pytest.param('{"a": "\\uDC00"}', "half a character", id="half"),
        pytest.param('{"\\udbff": 1}', "half a character", id="half-in-a-key"),
        pytest.param("", "line 1, column 1: Expecting value", id="empty"),
        pytest.param('{\n"a": }', "line 2, column 6", id="syntax"),
        pytest.param("1 2", "has more after its JSON", id="more"),
        pytest.param("'a'", "Expecting value", id="quotes"),
    ],
)
def test_json_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(NotInFormat, match=message):
        read_json(text)


def test_pages_of_json() -> None:
    assert list(json_values('{"a": 1}\n[2],\n')) == [{"a": 1}, [2]]
    with pytest.raises(NotInFormat, match="line 3: duplicate key"):
        list(json_values('{"a": 1}\n\n{"b": 1, "b": 2}'))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: &x [1]\nb: *x\nc: {<<: {d: 2}}", {"a": [1], "b": [1], "c": {"d": 2}}, id="aliases"),
        pytest.param("a: !!str 0123", {"a": "0123"}, id="tag-of-text"),
        pytest.param('a: "1e999"', {"a": "1e999"}, id="quoted"),
        pytest.param("a: 1.5", {"a": 1.5}, id="number"),
        pytest.param("", None, id="empty"),
    ],
)
def test_yaml(text: str, expected: Any) -> None:
    assert read_yaml(text) == read_yaml(text.encode("utf-16")) == expected


def test_yaml_counts_what_aliases_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_VALUES", 30)
    text = "a: &x [1, 2, 3, 4, 5]\nb: [{}]"
    assert read_yaml(text.format("*x, *x, *x"))["b"] == [[1, 2, 3, 4, 5]] * 3
    with pytest.raises(NotInFormat, match="more than 30 values"):
        read_yaml(text.format("*x, *x, *x, *x"))


def test_values_that_are_shared_are_weighed_once() -> None:
    """The values of a few hundred bytes of YAML; their weight takes as many steps as there are lists."""
    asked = 0

    def below(value: Any) -> Any:
        nonlocal asked
        asked += 1
        return value

    value: list[Any] = []
    for _ in range(40):
        value = [value] * 2
    with pytest.raises(NotInFormat, match="more than 1000000 values"):
        check_values(value, below)
    assert asked <= 3 * 40


def test_yaml_has_a_most_and_is_not_composed_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_documents, "LARGEST_YAML", 6)
    assert read_yaml("a: bcd") == {"a": "bcd"}
    with pytest.raises(NotInFormat, match="has more than 6 characters of YAML"):
        read_yaml("a: bcde")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: 2026-13-45", "^is not YAML: month must be in 1..12", id="no-date"),
        pytest.param("a: 0x_", "^is not YAML: invalid literal", id="no-number"),
    ],
)
def test_a_value_that_yaml_can_not_make_is_refused(text: str, message: str) -> None:
    with pytest.raises(NotInFormat, match=message):
        read_yaml(text)


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        pytest.param(b"\0", 1, "has a NUL", id="nul"),
        pytest.param(b"\na\0\n", 2, "has a NUL", id="nul-after-an-empty-line"),
        pytest.param(b"\xff", 1, "is not UTF-8", id="latin"),
        pytest.param(b"\n\n\xff\n", 3, "is not UTF-8", id="latin-after-empty-lines"),
    ],
)
def test_the_line_of_a_byte_that_is_no_text(data: bytes, line: int, message: str) -> None:
    with pytest.raises(NotInFormat, match=f"line {line}: {message}"):
        documents.decoded(data)


@pytest.mark.parametrize("form", ["json", "csv", "yaml"])
def test_rows_have_a_most(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_ROWS", 3)
    monkeypatch.setattr(documents, "MOST_VALUES", 12)
    lists = {"json": "[{},{},{},{}]", "csv": "a\n1\n2\n3\n4\n", "yaml": "- {a: 1}\n" * 4}
    with pytest.raises(NotInFormat, match="more than"):
        list(read_rows(lists[form], form, lambda _: ""))


def test_columns_have_a_most() -> None:
    with pytest.raises(NotInFormat, match="line 2: has 1001 columns, and may have 1000"):
        list(read_rows("a\n" + "," * 1000, "csv", lambda _: ""))


def test_lines_are_counted_once() -> None:
    class Counted(str):
        characters = 0

        def count(self, each: str, begin: int = 0, end: int = 0) -> int:  # type: ignore[override]
            Counted.characters += max(0, end - begin)
            return super().count(each, begin, end)

    text = Counted("{}\n" * 1000)
    lines = Lines(text)
    assert [lines.at(place) for place in range(0, len(text), 3)] == list(range(1, 1001))
    assert Counted.characters <= len(text)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(gzip.compress(bytes(11)), "more than 10 bytes when it is unpacked", id="bomb"),
        pytest.param(gzip.compress(b"x")[:-1], "cut off", id="cut-off"),
        pytest.param(gzip.compress(b"x") + b"y", "has more after its gzip", id="more"),
        pytest.param(b"\x1f\x8b\xff" + bytes(20), "is not gzip", id="damaged"),
    ],
)
def test_what_is_unpacked_has_a_bound(data: bytes, message: str) -> None:
    assert unpacked(gzip.compress(bytes(10)), 10) == bytes(10)
    assert unpacked(b"plain", 2) == b"plain"
    with pytest.raises(NotInFormat, match=message):
        unpacked(data, 10)


def test_what_is_packed_like_no_honest_file_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MB, or 300 times what is packed: some hundred KB that become 512 MB stop whoever reads them."""
    random = gzip.compress(Random(1).randbytes(3 * LARGEST_PACKED // 64))
    assert len(unpacked(random)) == 3 * LARGEST_PACKED // 64
    monkeypatch.setattr(documents, "LARGEST_PACKED", 1000)
    assert len(unpacked(random)) == 3 * LARGEST_PACKED // 64
    bomb = gzip.compress(bytes(10_000_000))
    for read in (unpacked, lambda data: list(pieces(data, 10**9))):
        with pytest.raises(
            NotInFormat,
            match=f"is not read: it has more than {documents.MOST_TIMES * len(bomb)} bytes when it is un",
        ):
            read(bomb)
    assert unpacked(gzip.compress(bytes(1000))) == b"".join(pieces(bytes(1000), 1)) == bytes(1000)
