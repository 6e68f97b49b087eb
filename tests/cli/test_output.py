# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from c7n_iamusers_cli.main import SUBCOMMANDS, main
from c7n_iamusers_cli.output import (
    ATTENTION,
    PROBLEM,
    USAGE,
    end_check,
    end_search,
    print_json,
    print_json_rows,
    print_table,
)

pytestmark = pytest.mark.pure

ROWS = [["payments", 5, None], ["platform", 120, "[bold]"]]


def test_a_table_is_plain_and_aligned_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["account", "users", "error"], ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "account   users  error",
        "payments      5",
        "platform    120  [bold]",
    ]


def test_no_rows_leave_the_heading(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["account", "users"], [])
    assert capsys.readouterr().out == "account  users\n"


def test_a_table_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    print_table(["account", "users", "error"], ROWS)
    drawn = terminal.getvalue()
    assert "│" in drawn
    assert "[bold]" in drawn  # a value is text, not markup
    assert "None" not in drawn


LONG = "arn:aws:iam::111122223333:user/machines/build/" + "a-long-name." * 5 + "end"


@pytest.mark.parametrize("columns", [2, 4, 7, 12])
@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 100, 132])
def test_no_value_is_cut_at_any_width(monkeypatch: pytest.MonkeyPatch, width: int, columns: int) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    values = [
        LONG,
        "AKIAIOSFODNN7EXAMPLE",
        *(f"word-{at} and-a-second-word-{at}" for at in range(columns - 2)),
    ]
    print_table([f"heading {at}" for at in range(columns)], [values, values[::-1]])
    drawn = terminal.getvalue()
    assert "…" not in drawn
    assert all(len(line) <= width for line in drawn.splitlines() if line.startswith("│"))
    assert [value for value in values if not whole(value, drawn)] == []


def whole(value: str, drawn: str) -> bool:
    """Whether a value stands in a column of a table, folded lines put together, or in a block of lines."""
    lines = [line.strip("│").split("│") for line in drawn.splitlines() if line.startswith("│")]
    columns = ["".join(column) for column in zip(*lines, strict=True)] or [drawn]
    return any(value.replace(" ", "") in column.replace(" ", "") for column in columns)


def test_json_keeps_what_people_can_read(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Zoë"})
    assert capsys.readouterr().out == '{\n  "name": "Zoë"\n}\n'


def test_what_a_terminal_would_obey_is_shown_instead(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["user"], [["a\x1b[2K"], ["b\nc"]])
    assert capsys.readouterr().out == "user\na\\u001b[2K\nb\\u000ac\n"
    print_json({"user": "a\x9b\u202e\n"})
    assert capsys.readouterr().out == '{\n  "user": "a\\u009b\\u202e\\n"\n}\n'


@pytest.mark.parametrize(
    "rows", [[], [{"a": [1, {"b": "\x1b"}]}], [1, {"c": []}, "d"]], ids=["none", "one", "more"]
)
def test_rows_of_json_one_by_one_are_as_a_whole_list(
    rows: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    print_json(rows)
    whole = capsys.readouterr().out
    print_json_rows(iter(rows))
    assert capsys.readouterr().out == whole


@pytest.mark.parametrize(
    ("problems", "attention", "code"),
    [
        pytest.param(2, 0, PROBLEM, id="problems"),
        pytest.param(1, 5, PROBLEM, id="problems-come-first"),
        pytest.param(0, 1, ATTENTION, id="attention"),
    ],
)
def test_what_a_check_ends_with(problems: int, attention: int, code: int) -> None:
    with pytest.raises(click.exceptions.Exit) as ended:
        end_check(problems, attention)
    assert ended.value.exit_code == code


def test_a_check_that_found_nothing_ends_well() -> None:
    end_check(0, 0)


@pytest.mark.parametrize(
    ("found", "unread", "last"),
    [
        (0, [], "nothing found: 0 places"),
        (3, [], "found: 3 places"),
        (3, ["s3", "kms"], "could not read all: 3 places, 2 not read: there may be more"),
        (0, ["s3"], "could not read all: 0 places, 1 not read: there may be more"),
    ],
)
def test_the_last_line_of_a_search_agrees_with_its_exit_code(
    found: int, unread: list[str], last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        end_search(found, f"{found} places", unread)
        code = 0
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    assert code == (PROBLEM if unread else 0)
    assert capsys.readouterr().err.splitlines() == [*(f"not read: {each}" for each in unread), last]


def test_the_page_of_exit_codes_has_each_code_and_command() -> None:
    page = (Path(__file__).parents[2] / "docs" / "exit-codes.md").read_text()
    assert [code for code in (0, PROBLEM, USAGE, ATTENTION) if f"\n| {code} | " not in page] == []
    assert "130 is Ctrl-C (SIGINT)" in page
    # these print a directory, or serve until they are stopped
    assert [name for name in SUBCOMMANDS if f"`{name}" not in page] == ["mailer-templates", "local-org"]


def test_the_page_names_each_command_that_prints_json() -> None:
    page = (Path(__file__).parents[2] / "docs" / "exit-codes.md").read_text()
    (told,) = (each for each in page.split("\n\n") if each.startswith("`--format json`: "))
    context = click.Context(main)
    commands = {name: main.get_command(context, name) for name in SUBCOMMANDS}
    prints = {
        name
        for name, command in commands.items()
        for each in (command.params if command else ())
        if "--format" in each.opts and "json" in getattr(each.type, "choices", ())
    }
    assert prints == {name for name in SUBCOMMANDS if f"`{name}`" in told.partition("Beside it")[0]}
