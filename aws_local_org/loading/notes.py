# SPDX-License-Identifier: Apache-2.0
"""What a document lacked and how the gap was filled: one line a matter, with all that it concerns."""

from __future__ import annotations

_NAMED_AT_MOST = 20


class Notes:
    """Collects warnings by matter."""

    def __init__(self) -> None:
        self._subjects: dict[str, list[str]] = {}

    def add(self, matter: str, subject: str = "") -> None:
        subjects = self._subjects.setdefault(matter, [])
        if subject and subject not in subjects:
            subjects.append(subject)

    def lines(self) -> list[str]:
        """One line a matter, in the order in which they came up; long lists are cut and counted."""
        return [_line(matter, subjects) for matter, subjects in self._subjects.items()]


def _line(matter: str, subjects: list[str]) -> str:
    if not subjects:
        return matter
    named, rest = subjects[:_NAMED_AT_MOST], len(subjects) - _NAMED_AT_MOST
    return f"{matter}: {', '.join(named)}{f' and {rest} more' if rest > 0 else ''}"
