# SPDX-License-Identifier: Apache-2.0
"""What commands print of texts that somebody else chose."""

from __future__ import annotations

import json

import pytest

from c7n_iamusers_cli.output import print_json, print_json_rows, print_table, say
from tests.hostile_texts import INVISIBLE, TEXTS

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_nothing_printed_moves_the_cursor_or_forges_a_line(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say(f"user {text}")
    assert capsys.readouterr().out.count("\n") == 1
    print_table(["user", "reason"], [[text, text]])
    table = capsys.readouterr().out
    assert len(table.splitlines()) == 2
    print_json([{"user": text}])
    whole = capsys.readouterr().out
    print_json_rows(iter([{"user": text}]))
    rows = capsys.readouterr().out
    assert json.loads(whole) == json.loads(rows) == [{"user": text}]
    for shown in (table, whole, rows):
        assert not INVISIBLE & set(shown)
