# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from c7n_iamusers.text.wording import cell, quoted, visible

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("exempt by tag 'Keep=yes'", "exempt by tag 'Keep=yes'", id="plain"),
        pytest.param(
            "Zo\u00eb \u65e5\u672c \U0001f600", "Zo\u00eb \u65e5\u672c \U0001f600", id="other-scripts"
        ),
        pytest.param("a\x1b[2K\rb", r"a\u001b[2K\u000db", id="c0"),
        pytest.param("a\nb\tc\0", r"a\u000ab\u0009c\u0000", id="newline-tab-nul"),
        pytest.param("a\x7fb\x9b2Kc", r"a\u007fb\u009b2Kc", id="del-c1"),
        pytest.param("\u202eeve\u202c\u2066\u200f", r"\u202eeve\u202c\u2066\u200f", id="bidi"),
        pytest.param("a\u200b\u200d\u2060\ufeffb", r"a\u200b\u200d\u2060\ufeffb", id="zero-width"),
        pytest.param("a\u2028b\u2029c\u0085d", r"a\u2028b\u2029c\u0085d", id="line-separators"),
        pytest.param("a\u00a0\u3000b", r"a\u00a0\u3000b", id="other-spaces"),
        pytest.param("a\u3164\ufe0f\u034fb", r"a\u3164\ufe0f\u034fb", id="no-glyph"),
        pytest.param("a\U000e0041b", r"a\udb40\udc41b", id="tags"),
        pytest.param("a\ud800b", r"a\ud800b", id="surrogate"),
    ],
)
def test_what_a_terminal_obeys_or_hides_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        pytest.param("=1+1", "'=1+1", id="begins"),
        pytest.param(" =1+1", "' =1+1", id="after-a-space"),
        pytest.param("x;=1+1", "x;'=1+1", id="after-a-semicolon"),
        pytest.param("x; =1+1;@SUM(1)", "x;' =1+1;'@SUM(1)", id="several"),
        pytest.param('x;"=1+1"', 'x;\'"=1+1"', id="after-a-quote"),
        pytest.param("x\t-1", "x\t'-1", id="after-a-tab"),
        pytest.param("x\n+1", "x\n'+1", id="on-a-line-of-its-own"),
        pytest.param("\uff1d1+1", "'\uff1d1+1", id="full-width-equals"),
        pytest.param("\uff0b1", "'\uff0b1", id="full-width-plus"),
        pytest.param("\uff0d1", "'\uff0d1", id="full-width-minus"),
        pytest.param("x;\uff20SUM(1)", "x;'\uff20SUM(1)", id="full-width-at"),
        pytest.param("\tx", "'\tx", id="tab"),
        pytest.param("a=b; c-d; e@f.example", "a=b; c-d; e@f.example", id="plain"),
        pytest.param("", "", id="empty"),
    ],
)
def test_no_part_of_a_cell_is_a_formula(text: str, safe: str) -> None:
    assert cell(text) == safe


@pytest.mark.parametrize(
    ("made", "most"),
    [
        pytest.param(lambda count: [7] * count, 20, id="list"),
        pytest.param(lambda count: (7,) * count, 20, id="tuple"),
        pytest.param(lambda count: dict.fromkeys(range(100, 100 + count)), 20, id="mapping"),
        pytest.param(lambda count: set(range(100, 100 + count)), 20, id="set"),
    ],
)
def test_of_a_long_value_the_first_parts_are_quoted(made: Callable[[int], Any], most: int) -> None:
    assert "..." not in quoted(made(most))
    assert "..." in quoted(made(most + 1))


def test_what_is_nested_deeply_is_cut_off() -> None:
    assert quoted([[["x"]]]) == "[[['x']]]"
    assert quoted([[[["x"]]]]) == "[[[[...]]]]"


def test_numbers_of_thousands_of_digits_are_told_by_their_length() -> None:
    assert quoted(2**254) == str(2**254)
    assert quoted(2**255) == "a number of 256 bits"
