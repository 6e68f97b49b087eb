# SPDX-License-Identifier: Apache-2.0
"""A run's journal, from its file alone, against the calls that were on the wire."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Journal:
    """A run's journal, from its file. ``since``: how many lines earlier runs wrote."""

    path: Path
    since: int = 0

    def lines(self) -> list[dict[str, Any]]:
        """The lines of calls of this run. An incomplete one is none."""
        try:
            texts = self.path.read_text(errors="replace").splitlines()[self.since :]
        except OSError:
            return []
        found = []
        for text in texts:
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if line.get("phase") in ("before", "tried", "after"):
                found.append(line)
        return found

    def _broken(self) -> str:
        """Which line of this run does not hold the digest of the one before it. An incomplete one holds none."""
        texts = self.path.read_bytes().splitlines()
        # it may have been removed, or cut, since the last run
        before = texts[self.since - 1] if 0 < self.since <= len(texts) else None
        for number, text in enumerate(texts[self.since :], self.since + 1):
            try:
                held = json.loads(text).get("previous", "none")
            except ValueError:
                held = None
            expected = "" if before is None else hashlib.sha256(before).hexdigest()
            if held not in (None, expected):
                return f"line {number} does not hold the digest of the line before it"
            before = text
        return ""

    def announces(self, operation: str) -> bool:
        """Whether its last line is of the call that is about to be made."""
        lines = self.lines()
        return (
            bool(lines) and lines[-1]["phase"] in ("before", "tried") and lines[-1]["operation"] == operation
        )

    def disagreement(self, made: list[Made], *, alone: bool) -> str:
        """Where it disagrees with ``made``: the changing calls in order. ``alone``: nobody else changed anything."""
        if broken := self._broken():
            return broken
        calls = list(made)
        for before, answers in _by_call(self.lines()):
            tries = sum(each["phase"] == "tried" for each in answers) + 1
            applied = False
            while calls and tries and calls[0].is_of(before):
                applied, tries = calls.pop(0).applied or applied, tries - 1
            result = answers[-1].get("result") if answers else None
            if result == "failed" and applied:
                return f"{before['operation']} failed, it says, and AWS applied it"
            exists = any(each.applied and each.is_of(before) for each in made)  # by an earlier try
            if result == "done" and not exists and alone:
                return f"{before['operation']} is done, it says, and AWS did not apply it"
        return ""


@dataclass(frozen=True)
class Made:
    """A changing call on the wire, and whether AWS applied it."""

    operation: str
    parameters: Mapping[str, str]
    applied: bool

    def is_of(self, line: Mapping[str, Any]) -> bool:
        """Whether it is a try of the call that ``line`` of a journal announces."""
        texts = {name: each for name, each in line["parameters"].items() if isinstance(each, str)}
        return self.operation == line["operation"] and texts.items() <= self.parameters.items()


def _by_call(lines: list[dict[str, Any]]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    found: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    for line in lines:
        if line["phase"] == "before":
            found.append((line, []))
        elif found:
            found[-1][1].append(line)
    return found
