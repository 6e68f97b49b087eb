# SPDX-License-Identifier: Apache-2.0
"""``docs/cli.md``, from the commands themselves. ``python -m tests.cli_reference`` writes it, as ``make docs``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from c7n_iamusers_cli.main import main

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
_HEAD = """# Commands

What `c7n-iamusers COMMAND --help` prints. [Exit codes](exit-codes.md) are on a page of their own. For the plugins of
Cloud Custodian see [Policies](policies.md), and ask `custodian schema aws.iam-user`.

"""
#: What must not be read as Markdown or HTML outside of code, and ends no cell of a table.
_SPECIAL = {"<": "&lt;", ">": "&gt;", "|": "&#124;", **{each: f"\\{each}" for each in "*_[]"}}


def reference() -> str:
    """The page: each command, in the order of the names, with its arguments and options."""
    found = list(commands(click.Context(main, info_name="c7n-iamusers")))
    index = "".join(
        f"| [{name}](#{_anchor(name)}) | {_text(each.get_short_help_str(200))} |\n" for name, _, each in found
    )
    return f"{_HEAD}| command | what it does |\n| --- | --- |\n{index}" + "".join(
        _section(name, context, each) for name, context, each in found
    )


def commands(
    context: click.Context, names: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Context, click.Command]]:
    """The commands below a group, groups among them: name, context, command."""
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        yield " ".join((*names, name)), inner, command
        if isinstance(command, click.Group):
            yield from commands(inner, (*names, name))


def _section(name: str, context: click.Context, command: click.Command) -> str:
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    rows = [row for each in command.get_params(context) if (row := _row(each, context))]
    table = f"\n| option | meaning |\n| --- | --- |\n{''.join(rows)}" if rows else ""
    return f"\n## {name}\n\n```text\n{usage}\n```\n\n{_prose(command)}\n{table}"


def _prose(command: click.Command) -> str:
    """The paragraphs of the help. One that click must not wrap begins with a line of its own, and is a sample."""
    paragraphs = inspect.cleandoc(command.help or "").partition("\f")[0].split("\n\n")
    return "\n\n".join(
        f"```text\n{each.partition(chr(10))[2]}\n```" if each.startswith("\b") else _text(each)
        for each in paragraphs
    )


def _row(parameter: click.Parameter, context: click.Context) -> str:
    record = parameter.get_help_record(context)
    if not isinstance(parameter, click.Option) or record is None or "--help" in parameter.opts:
        return ""
    names, meaning = record
    return f"| {_code(names)} | {_text(meaning)} |\n"


def _text(text: str) -> str:
    """Text as Markdown, in one line. What it has between backquotes stays code."""
    parts = " ".join(text.split()).split("`")
    assert len(parts) % 2, text
    return "".join(
        _code(part) if place % 2 else "".join(_SPECIAL.get(each, each) for each in part)
        for place, part in enumerate(parts)
    )


def _code(text: str) -> str:
    return f"<code>{text.replace('|', '&#124;<wbr>')}</code>" if "|" in text else f"`{text}`"


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
