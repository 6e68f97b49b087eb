# SPDX-License-Identifier: Apache-2.0
"""A table, for a file and for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import rich.table
from rich.text import Text


@dataclass(frozen=True)
class Table:
    """Cells as text; all columns but the first ``words`` hold numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 0

    def as_markdown(self) -> str:
        rule = ["---" if at < self.words else "---:" for at in range(len(self.columns))]
        lines = [self.columns, rule, *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def for_terminal(self) -> rich.table.Table:
        drawn = rich.table.Table(title=self.title, title_justify="left")
        for at, name in enumerate(self.columns):
            drawn.add_column(name, justify="left" if at < self.words else "right")
        for row in self.rows:
            drawn.add_row(*map(Text, row))
        return drawn
