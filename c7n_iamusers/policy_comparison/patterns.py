# SPDX-License-Identifier: Apache-2.0
"""The syntax of Resource, Action and Condition values: wildcards, escapes, variables. Pure.

All texts have the syntax of version 2012-10-17: ``${key}`` is a variable, and ``${*}``, ``${?}``, ``${$}`` are the
literal characters (IAM User Guide, "Variables and tags"; "Version").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

_VARIABLE = re.compile(r"\$\{\s*([^}*?$,\s][^},]*?)\s*(?:,\s*'((?:[^']|'')*)'\s*)?\}")
#: Private-use characters, which IAM does not allow in policies: the wildcards of ``within_segments``.
_SEGMENT_STAR, _SEGMENT_ANY = "\ue000", "\ue001"
_TOKEN = re.compile(rf"\$\{{([*?$])\}}|(\*+)|(\?)|({_SEGMENT_STAR})|({_SEGMENT_ANY})|(.)", re.DOTALL)
#: What to keep; stars not followed by a colon or the end; a question mark.
_IN_SEGMENT = re.compile(r"(\$\{[^}]*\})|(\*+)(?![:*])(?=[\s\S])|(\?)")
_ARN_FIELDS = 6

#: The tokens of wildcards; all other tokens are single literal characters. The last two match no colon.
ANY, STAR, SEGMENT_ANY, SEGMENT_STAR = "any", "star", "any but a colon", "star without colons"


def as_2012(text: str) -> str:
    """Text of a 2008-10-17 policy, which has no variables and escapes, in the syntax of 2012-10-17."""
    return text.replace("${", "${$}{")


def escaped(value: str) -> str:
    """``value`` as literal text of a pattern."""
    return re.sub(r"[*?$]", lambda found: f"${{{found.group()}}}", value)


@lru_cache(maxsize=65536)
def variables(text: str) -> frozenset[str]:
    """The keys, in lower case, of the variables in ``text``."""
    return frozenset(found.group(1).lower() for found in _VARIABLE.finditer(text))


@lru_cache(maxsize=65536)
def required(text: str) -> frozenset[str]:
    """The keys, in lower case, of the variables in ``text`` that have no default."""
    return frozenset(found.group(1).lower() for found in _VARIABLE.finditer(text) if found.group(2) is None)


def substituted(text: str, value: Callable[[str, str | None], str | None]) -> str:
    """``text`` with each variable replaced by ``value(key, default)``, unless that is None.

    ``key``: in lower case. ``default``: None if the variable has no default.
    """

    def replaced(found: re.Match[str]) -> str:
        default = found.group(2)
        new = value(found.group(1).lower(), None if default is None else default.replace("''", "'"))
        return found.group() if new is None else new

    return _VARIABLE.sub(replaced, text)


def tokens(pattern: str) -> list[str]:
    """The literal characters and wildcards of ``pattern``. A variable is a STAR, because its value is unknown."""
    return [_token(found) for found in _TOKEN.finditer(_VARIABLE.sub("*", pattern))]


def _token(found: re.Match[str]) -> str:
    literal, star, question, segment_star, segment_question, character = found.groups()
    if segment_star or segment_question:
        return SEGMENT_STAR if segment_star else SEGMENT_ANY
    return STAR if star else ANY if question else literal or character


def has_reserved(text: str) -> bool:
    """Whether ``text`` has one of the private-use characters that this module reserves."""
    return _SEGMENT_STAR in text or _SEGMENT_ANY in text


@lru_cache(maxsize=65536)
def within_segments(pattern: str) -> str:
    """An ARN pattern by the stricter interpretation: only a ``*`` at the end of a segment matches colons.

    The IAM User Guide ("IAM JSON policy elements: Resource") says that wildcards apply within segments, and that a
    ``*`` at the end of a segment can match beyond its colon. By the other interpretation every wildcard matches colons.
    """
    return _IN_SEGMENT.sub(_within, pattern)


def _within(found: re.Match[str]) -> str:
    kept, star, _ = found.groups()
    return kept or (_SEGMENT_STAR if star else _SEGMENT_ANY)


def complete_arn(pattern: str) -> str:
    """An ARN pattern with fewer than six fields, with ``*`` for the missing fields, as AWS interprets it."""
    if not pattern.startswith("arn:"):
        return pattern
    # a colon inside a variable, such as ${aws:username}, does not separate fields
    fields = _VARIABLE.sub("", pattern).count(":") + 1
    return pattern + ":*" * max(0, _ARN_FIELDS - fields)
