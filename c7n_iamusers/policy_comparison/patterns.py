# SPDX-License-Identifier: Apache-2.0
"""The text of Resource, Action and Condition values: wildcards, escapes, variables. Pure.

One form for both versions of the policy language, that of 2012-10-17, where ``${key}`` is a variable and
``${*}``, ``${?}``, ``${$}`` stand for the bare character (IAM User Guide, "Variables and tags"; "Version").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

_VARIABLE = re.compile(r"\$\{\s*([^}*?$,\s][^},]*?)\s*(?:,\s*'((?:[^']|'')*)'\s*)?\}")
#: Private-use characters, which no policy has: the wildcards that match no colon, see ``within_segments``.
_SEGMENT_STAR, _SEGMENT_ANY = "\ue000", "\ue001"
_TOKEN = re.compile(rf"\$\{{([*?$])\}}|(\*+)|(\?)|({_SEGMENT_STAR})|({_SEGMENT_ANY})|(.)", re.DOTALL)
#: What to leave as it is; stars that something follows other than a colon; a question mark.
_IN_SEGMENT = re.compile(r"(\$\{[^}]*\})|(\*+)(?![:*])(?=[\s\S])|(\?)")
_ARN_FIELDS = 6

#: Tokens beside literal characters, none of which can be one. The last two match no colon.
ANY, STAR, SEGMENT_ANY, SEGMENT_STAR = "any", "star", "any but a colon", "star without colons"


def modern(text: str) -> str:
    """Text of a 2008-10-17 policy, which knows no variables and no escapes, as 2012-10-17 writes the same."""
    return text.replace("${", "${$}{")


def escaped(value: str) -> str:
    """A value as a literal piece of a pattern."""
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
    """``text`` with ``value(key, default)`` in place of each variable where that is not None.

    ``key`` is in lower case; ``default`` is None where the variable has none.
    """

    def replaced(found: re.Match[str]) -> str:
        default = found.group(2)
        new = value(found.group(1).lower(), None if default is None else default.replace("''", "'"))
        return found.group() if new is None else new

    return _VARIABLE.sub(replaced, text)


def tokens(pattern: str) -> list[str]:
    """Literal characters, ANY and STAR; a variable, of which nothing is known, counts as STAR."""
    return [_token(found) for found in _TOKEN.finditer(_VARIABLE.sub("*", pattern))]


def _token(found: re.Match[str]) -> str:
    literal, star, question, segment_star, segment_question, character = found.groups()
    if segment_star or segment_question:
        return SEGMENT_STAR if segment_star else SEGMENT_ANY
    return STAR if star else ANY if question else literal or character


def foreign(text: str) -> bool:
    """Whether ``text`` has a character that no policy can have, and that means something here."""
    return _SEGMENT_STAR in text or _SEGMENT_ANY in text


@lru_cache(maxsize=65536)
def within_segments(pattern: str) -> str:
    """An ARN pattern by the stricter of two readings: a wildcard matches no colon unless it is a segment's last ``*``.

    The IAM User Guide ("IAM JSON policy elements: Resource") says that wildcards stand within segments, and that
    a ``*`` that is the last character of one can match beyond its colon. By the other reading all match anything.
    """
    return _IN_SEGMENT.sub(_within, pattern)


def _within(found: re.Match[str]) -> str:
    kept, star, _ = found.groups()
    return kept or (_SEGMENT_STAR if star else _SEGMENT_ANY)


def complete_arn(pattern: str) -> str:
    """An ARN pattern of fewer than six fields with the missing ones as ``*``, which is how AWS reads it."""
    if not pattern.startswith("arn:"):
        return pattern
    # colons inside a variable, such as ${aws:username}, part no fields
    fields = _VARIABLE.sub("", pattern).count(":") + 1
    return pattern + ":*" * max(0, _ARN_FIELDS - fields)
