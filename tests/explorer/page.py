# SPDX-License-Identifier: Apache-2.0
"""The figures of docs/reliability.md, between two marks in it; the words around them are written by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.explorer import actors, exploration, runner
from tests.explorer.events import Trace
from tests.explorer.flows import FLOWS
from tests.explorer.gaps import GAPS
from tests.explorer.mutants import MUTANTS

BEGIN, END = "<!-- figures: make explore -->", "<!-- end of figures -->"
#: A trace: the kind of the only thing that happens in it, or of two.
KINDS = ("AWS and the network", "the runner", "other people", "two at once")


def kind_of(trace: Trace) -> str:
    """One of KINDS."""
    names = [each.what for each in trace.events]
    if len(names) != 1:
        return KINDS[3]
    if names[0] in actors.EVERYBODY:
        return KINDS[2]
    return KINDS[1] if names[0] in (*runner.FAULTS, *exploration.KILLS) else KINDS[0]


def written(text: str, results: Path, possible: dict[str, int], survived: list[str] | None) -> str:
    """``text``, a page, with the figures of ``results``. ``possible``: flow -> number of its single happenings.

    ``survived``: the seeded defects that were not found; None if they were not tried.
    Raises ValueError if the page lacks its marks.
    """
    head, found, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (found and end):
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    return f"{head}{BEGIN}\n{chr(10).join(_figures(rows, possible, survived))}\n{END}{tail}"


def _figures(
    rows: list[dict[str, Any]], possible: dict[str, int], survived: list[str] | None
) -> Iterator[str]:
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        trace = Trace.parse(row["trace"])
        counts[trace.flow, kind_of(trace)] += 1
    broken = Counter(row["trace"].partition(":")[0] for row in rows if row["broken"])
    gaps = Counter(row["trace"].partition(":")[0] for row in rows if row["gap"] and not row["broken"])
    yield ""
    yield from _row("flow", *KINDS, "run", "single, of", "held", "known gap", "broken")
    yield from _row("---", *["---:"] * (len(KINDS) + 5))
    for flow in FLOWS:
        by_kind = [counts[flow, kind] for kind in KINDS]
        run = sum(by_kind)
        held = run - broken[flow] - gaps[flow]
        yield from _row(flow, *by_kind, run, possible.get(flow, 0), held, gaps[flow], broken[flow])
    run, bad, known = len(rows), sum(broken.values()), sum(gaps.values())
    totals = [sum(counts[flow, kind] for flow in FLOWS) for kind in KINDS]
    yield from _row("all", *totals, run, sum(possible.values()), run - bad - known, known, bad)
    yield ""
    if survived is None:
        yield f"Seeded defects: not tried with these. Known gaps: {len(GAPS)}."
    else:
        missed = f" (not {', '.join(survived)})" if survived else ""
        tried = f"{len(MUTANTS) - len(survived)} of {len(MUTANTS)}{missed}"
        yield f"Seeded defects that it finds: {tried}. Known gaps: {len(GAPS)}."
    yield ""
    for gap in GAPS:
        yield f"- `{gap.witness}`: {gap.why}"
    yield ""


def _row(*cells: object) -> Iterator[str]:
    yield f"| {' | '.join(f'{each:,}' if isinstance(each, int) else str(each) for each in cells)} |"
