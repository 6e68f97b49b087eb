# SPDX-License-Identifier: Apache-2.0
"""Prints the findings of ``preflight`` for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from c7n_iamusers.text.wording import counted
from c7n_iamusers_cli.output import end_check, say

if TYPE_CHECKING:
    from c7n_iamusers.organization.readiness import Check

#: The words for each status.
_SHOWN = {"hole": "problem"}


def lines_of(found: Iterable[Check]) -> Iterator[str]:
    """One line per place with what is fine, and a paragraph for each problem and each unknown."""
    places: dict[str, list[Check]] = {}
    for each in found:
        places.setdefault(each.place, []).append(each)
    for place, checks in places.items():
        yield place
        if well := dict.fromkeys(check.name for check in checks if check.status == "ok"):
            yield f"  ok: {', '.join(well)}"
        for check in checks:
            if check.status != "ok":
                yield f"  {_SHOWN.get(check.status, check.status)}: {check.name}: {check.text}"
                if check.remedy:
                    yield f"    what to do: {check.remedy}"


def end(found: Sequence[Check]) -> None:
    """The last line, with all that is not fine, and the exit code."""
    statuses = Counter(each.status for each in found)
    problems, attention, unknown = (statuses[each] for each in ("hole", "attention", "unknown"))
    places = len({each.place for each in found if each.status == "hole"})
    said = [
        f"{counted(problems, 'problem')} in {counted(places, 'place')}" if problems else "",
        f"{attention} to look at" if attention else "",
        f"{unknown} unknown, so not checked" if unknown else "",
    ]
    if any(said):
        say("; ".join(filter(None, said)), err=True)
    end_check(problems, attention + unknown)
