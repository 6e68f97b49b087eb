# SPDX-License-Identifier: Apache-2.0
"""Prints the findings of ``preflight`` for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from c7n_iamusers.text.wording import counted, shown
from c7n_iamusers_cli.output import end_check, say

if TYPE_CHECKING:
    from c7n_iamusers.organization.readiness import Check

#: The words for each status.
_SHOWN = {"hole": "problem"}


def lines_of(found: Iterable[Check]) -> Iterator[str]:
    """A paragraph for each place with a problem or an unknown; the other accounts, counted, in a line."""
    from c7n_iamusers.organization.readiness import ORGANIZATION

    places: dict[str, list[Check]] = {}
    for each in found:
        places.setdefault(each.place, []).append(each)
    fine: dict[str, list[str]] = {}
    for place, checks in places.items():
        if place != ORGANIZATION and all(each.status == "ok" for each in checks):
            fine.setdefault(_ok(checks), []).append(place)
    accounts = sum(place != ORGANIZATION for place in places)
    for what, of in fine.items():
        names = "" if len(of) == accounts > 1 else f" ({shown(of)})"
        yield f"ok: {len(of)} of {counted(accounts, 'account')}{names}: {what}"
    for place, checks in places.items():
        if place == ORGANIZATION or any(each.status != "ok" for each in checks):
            yield place
            yield from _whole(checks)


def _ok(checks: Sequence[Check]) -> str:
    return ", ".join(dict.fromkeys(each.name for each in checks if each.status == "ok"))


def _whole(checks: Sequence[Check]) -> Iterator[str]:
    if well := _ok(checks):
        yield f"  ok: {well}"
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
