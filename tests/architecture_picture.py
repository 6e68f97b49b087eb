# SPDX-License-Identifier: Apache-2.0
"""The picture of the rooms in docs/architecture.md, drawn from the import contracts of pyproject.toml.

``python -m tests.architecture_picture`` writes it into the page, as ``make docs`` does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

#: Part of Python from 3.11 on; pytest brings it before.
tomllib: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- picture: make docs -->\n", "<!-- end of picture -->\n"


def layers(container: str) -> list[list[str]]:
    """The rooms of ``container``, from top to bottom, those that may not import each other in one row."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each.get("containers") == [container])
    return [[name.strip() for name in re.split(r"[|:]", row)] for row in contract["layers"]]


def picture() -> str:
    """The package, and its largest room."""
    return "\n\n".join(
        "\n".join([title, *_boxes(["   ".join(row) for row in layers(container)])])
        for title, container in (
            ("c7n_iamusers/", "c7n_iamusers"),
            ("c7n_iamusers/identity_center/", "c7n_iamusers.identity_center"),
        )
    )


def drawn(page: str) -> str:
    """``page`` with the picture between its marks."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n```text\n{picture()}\n```\n\n{END}{after}"


def _boxes(lines: Sequence[str]) -> Iterator[str]:
    wide = max(map(len, lines))
    yield f"┌{'─' * (wide + 2)}┐"
    yield from (f"│ {line:^{wide}} │" for line in lines)
    yield f"└{'─' * (wide + 2)}┘"


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
