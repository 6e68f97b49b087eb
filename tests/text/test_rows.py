# SPDX-License-Identifier: Apache-2.0
"""CSV and lists, row by row, with their lines."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.text.documents import NotInFormat
from c7n_iamusers.text.rows import csv_header, csv_lines, read_rows

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("a,b\n1,2\n", [(1, ["a", "b"]), (2, ["1", "2"])], id="lines"),
        pytest.param(" a , b \n", [(1, ["a", "b"])], id="without-spaces-around"),
        pytest.param("a\n\n ,\nb\n", [(1, ["a"]), (4, ["b"])], id="without-empty-ones"),
        pytest.param('"a\nb",c\nd\n', [(1, ["a\nb", "c"]), (3, ["d"])], id="a-cell-of-two-lines"),
        pytest.param(",".join("a" * 1000), [(1, ["a"] * 1000)], id="as-many-columns-as-may-be"),
    ],
)
def test_lines_of_csv(text: str, lines: list[Any]) -> None:
    assert [*csv_lines(text)] == lines


def test_a_quote_that_does_not_end_is_told_with_its_line() -> None:
    with pytest.raises(NotInFormat, match="line 2: "):
        list(csv_lines('a\n"b'))
    assert [*csv_lines('a\nb"c', strict=False)] == [(1, ["a"]), (2, ['b"c'])]


@pytest.mark.parametrize(
    ("form", "text", "told"),
    [
        pytest.param("json", "\n{}", "line 2: must be a list of objects", id="json-no-list"),
        pytest.param("json", '[{"a": 1}\n{"a": 2}]', "line 2: a comma or ] must follow", id="json-no-comma"),
        pytest.param("json", '[{"a": 1}', "a comma or ] must follow an entry", id="json-no-end"),
        pytest.param(
            "json", '[{"a": 1}\n] x', "line 2: there is more after the list", id="json-more-after-it"
        ),
        pytest.param(
            "json", '[{"a": 1}\n,]', "line 2: an entry must follow a comma", id="json-one-comma-more"
        ),
        pytest.param("yaml", "a: 1", "must be a list of objects", id="yaml-no-list"),
        pytest.param("csv", "b,A,a\n1,2,3\n", "line 1: the header has 'a' twice$", id="csv-a-column-twice"),
        pytest.param(
            "csv", "a,b;c\n", "line 1: the header has a comma and a semicolon", id="csv-two-separators"
        ),
        pytest.param(
            "csv", "wrong\n", r"line 1: the header is wrong \(columns are", id="csv-one-wrong-column"
        ),
        pytest.param("csv", "wrong,b\n", "line 1: the header is wrong$", id="csv-a-wrong-column"),
    ],
)
def test_what_is_no_list_of_rows(form: str, text: str, told: str) -> None:
    with pytest.raises(NotInFormat, match=told):
        list(read_rows(text, form, lambda names: "is wrong" if "wrong" in names else ""))


@pytest.mark.parametrize(
    ("form", "text", "rows"),
    [
        pytest.param("json", "", [], id="json-nothing"),
        pytest.param("json", " [ ] ", [], id="json-empty"),
        pytest.param("json", '[\n{"a": 1},\n2]', [(2, {"a": 1}, ""), (3, 2, "")], id="json"),
        pytest.param("yaml", "- {a: 1}\n- 2", [(1, {"a": "1"}, ""), (2, "2", "")], id="yaml"),
        pytest.param("csv", "A;b\n1;\n;2", [(2, {"a": "1"}, ""), (3, {"b": "2"}, "")], id="csv"),
        pytest.param("csv", "a\n1\n", [(2, {"a": "1"}, "")], id="csv-one-column"),
        pytest.param("csv", "a,b\n1\n", [(2, {"a": "1"}, "")], id="csv-fewer-cells"),
        pytest.param("csv", 'a\n"1\n2"\n', [(2, {"a": "1\n2"}, "")], id="csv-lines-in-the-only-cell"),
        pytest.param("csv", 'a,b\n1,"x\ny"\n', [(2, {"a": "1", "b": "x\ny"}, "")], id="csv-lines-in-a-cell"),
        pytest.param(
            *("csv", "a,b\n1,2,3\n"),
            [(2, {}, "has 3 cells, the header 2: quote a cell with a comma")],
            id="csv-more-cells-than-columns",
        ),
        pytest.param(
            *("csv", 'a,b\n1,"x\n2,y"\n'),
            [(2, {}, "has a cell with what looks like further rows: correct its quotation marks")],
            id="csv-rows-in-a-cell",
        ),
        pytest.param(
            *("csv", 'a,b,c\n1,"x\n2,y",3\n'),
            [(2, {"a": "1", "b": "x\n2,y", "c": "3"}, "")],
            id="csv-less-than-a-row-in-a-cell",
        ),
    ],
)
def test_rows_with_their_lines(form: str, text: str, rows: list[Any]) -> None:
    found = read_rows(text, form, lambda _: "")
    assert [(each.line, each.value, each.problem) for each in found] == rows


def test_the_header_of_csv() -> None:
    assert csv_header("\n A;B \n1;2") == (["a", "b"], ";")
