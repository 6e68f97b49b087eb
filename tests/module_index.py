# SPDX-License-Identifier: Apache-2.0
"""docs/modules.md: every module, policy and template in one line, from its own first words.

``python -m tests.module_index`` writes the page, as ``make docs`` does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import groupby, takewhile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "modules.md"
HEAD = """\
<!-- made by make docs: edit the first words of the files -->
# Modules

Which file to open: every file of the package with what it says of itself, by room. What the rooms are for, and how a
user goes through them, is in [Architecture](architecture.md); what each command takes is in [Commands](cli.md).
"""
#: What a template says of itself, in its first comment.
_TITLE = re.compile(r"{# (.+?)\.\s", re.DOTALL)


def page() -> str:
    """The page as the files of the checkout make it."""
    return "\n".join([HEAD, *_sections()]) + "\n"


def _sections() -> Iterator[str]:
    for package in ("c7n_iamusers", "c7n_iamusers_cli", "aws_local_org"):
        files = sorted((ROOT / package).rglob("*.py"), key=lambda path: (path.parent, path.name))
        for room, its in groupby(files, key=lambda path: path.parent):
            yield from _table(room, [(path, _docstring(path)) for path in its])
    for folder, pattern, words in (
        ("c7n_iamusers/mailer_templates", "*.j2", _title),
        ("policies", "*.yml", _comment),
        ("deploy", "*.yml", _comment),
    ):
        yield from _table(
            ROOT / folder, [(path, words(path)) for path in sorted((ROOT / folder).glob(pattern))]
        )


def _table(folder: Path, rows: list[tuple[Path, str]]) -> Iterator[str]:
    yield from (f"## {folder.relative_to(ROOT).as_posix()}/", "", "| file | what it holds |", "| --- | --- |")
    yield from (f"| `{path.name}` | {_cell(words)} |" for path, words in rows)
    yield ""


def _cell(words: str) -> str:
    """As one cell, in which code stands as Markdown has it."""
    return " ".join(words.split()).replace("``", "`").replace("|", "\\|")


def _docstring(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]


def _comment(path: Path) -> str:
    """The first sentence of the comment with which a file begins."""
    lines = path.read_text(encoding="utf-8").removeprefix("---\n").splitlines()
    words = " ".join(line[2:] for line in takewhile(lambda line: line.startswith("# "), lines))
    return re.split(r"(?<=[.:]) (?=[A-Z`])", words)[0]


def _title(path: Path) -> str:
    found = _TITLE.match(path.read_text(encoding="utf-8"))
    return f"{found[1]}." if found else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
