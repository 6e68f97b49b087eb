# SPDX-License-Identifier: Apache-2.0
"""The table of comparisons in docs/receipts.md. ``python -m tests.comparison_table`` writes it, as ``make docs``."""

from __future__ import annotations

from pathlib import Path

from c7n_iamusers.report.comparisons import comparison_table

PAGE = Path(__file__).parents[1] / "docs" / "receipts.md"
BEGIN, END = "<!-- comparisons: make docs -->\n", "<!-- end of comparisons -->\n"


def written(page: str) -> str:
    """``page`` with the table between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{comparison_table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
