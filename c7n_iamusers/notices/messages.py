# SPDX-License-Identifier: Apache-2.0
"""The subject of a message, and how a message that is too large for the queue is split. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import pairwise
from typing import TypeVar

Each = TypeVar("Each")


def subject_line(
    account: str, users: int | None, days: Iterable[date], *, reminder: bool, part: int = 1, parts: int = 1
) -> str:
    """The subject. ``users``: of all parts; None where each recipient gets other users. ``days``: of their deletion."""
    first, *more = sorted(set(days))
    what = "IAM users are" if users is None else f"{users} IAM users are" if users != 1 else "1 IAM user is"
    said = f"{account}: {'reminder: ' if reminder else ''}{what} to be deleted "
    said += f"from {first} on" if more else f"on {first}"
    return headline(said + part_of(part, parts))


def part_of(part: int, parts: int) -> str:
    """The end of the subject of a message that was split."""
    return f" (part {part} of {parts})" if parts > 1 else ""


def headline(text: str) -> str:
    """``text`` as a subject: one line, without braces, since c7n-mailer evaluates a subject as a Jinja template."""
    return " ".join(text.replace("{", "(").replace("}", ")").split())


def in_parts(items: Sequence[Each], fits: Callable[[Sequence[Each]], bool]) -> list[Sequence[Each]]:
    """``items`` in the fewest parts of nearly one length that all fit, in their order.

    An item that does not fit by itself is a part by itself.
    """
    number = 1
    while True:
        bounds = [len(items) * at // number for at in range(number + 1)]
        found = [items[start:end] for start, end in pairwise(bounds)]
        if number >= len(items) or all(map(fits, found)):
            return found
        number += 1
