# SPDX-License-Identifier: Apache-2.0
"""How figures are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: Before a figure that was not measured.
EXTRAPOLATED = "≈ "
NOTHING = "-"


def times(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


def seconds(figure: float) -> str:
    return f"{figure:,.1f}" if figure >= 10 else f"{figure:.2f}"


def mib(figure: float | None) -> str:
    return NOTHING if figure is None else f"{figure:.0f}"


def by_operation(calls: Iterable[Mapping[str, int]]) -> list[list[str]]:
    """A row an operation, the most called first, and a row of totals."""
    columns = list(calls)
    names = sorted({name for column in columns for name in column})
    names.sort(key=lambda name: -max(column.get(name, 0) for column in columns))
    rows = [
        [name, *(f"{column[name]:,}" if name in column else NOTHING for column in columns)] for name in names
    ]
    return [*rows, ["all", *(f"{sum(column.values()):,}" for column in columns)]]
