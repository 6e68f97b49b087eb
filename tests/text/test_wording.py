# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.text.wording import visible


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
