# SPDX-License-Identifier: Apache-2.0
"""The fields of a user that exemptions and hints match by patterns, and why a pattern can match nobody. Pure."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from typing import Any

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.reasons import GROUPS_NOT_READ


def matches(user: IamUser, field: str, pattern: str) -> bool:
    """Whether ``field`` (one of FIELDS) of the user matches the case-sensitive shell glob ``pattern``.

    Raises EvidenceUnreadable if ``field`` is group and the user's groups were not read.
    """
    return _MATCHERS[field](user, pattern)


def _matches_group(user: IamUser, pattern: str) -> bool:
    if user.groups is None:
        # A rule by group must neither select nor exempt a user whose groups are unknown.
        raise EvidenceUnreadable(GROUPS_NOT_READ(user=user.subject))
    return any(matches_text(group, pattern) for group in user.groups)


def _matches_tag(user: IamUser, pattern: str) -> bool:
    key, _, glob = pattern.partition("=")
    value = user.tags.get(key)
    return value is not None and matches_text(value, glob)


_SPECIAL = frozenset("*?[")


#: Patterns with ``*``, ``?`` or ``[`` that a list may have, as each is tried on each user; and ``*`` in one of them.
MOST_GLOBS, MOST_STARS = 20_000, 16


def is_glob(pattern: str) -> bool:
    """Whether ``pattern`` can match another text than itself."""
    return not _SPECIAL.isdisjoint(pattern)


def matches_text(text: str, glob: str) -> bool:
    """As ``fnmatchcase``, whose cache is smaller than a list may be: it would compile each pattern again for each
    user."""
    return bool(_compiled(glob)(text)) if is_glob(glob) else text == glob


@lru_cache(maxsize=2 * MOST_GLOBS)
def _compiled(glob: str) -> Callable[[str], Any]:
    return re.compile(translate(glob)).match


#: The field that no other user can have, not even one that gets the same name later.
ID = "unique-id"
_MATCHERS: Mapping[str, Callable[[IamUser, str], bool]] = {
    "user": lambda user, pattern: matches_text(user.name, pattern),
    "path": lambda user, pattern: matches_text(user.path, pattern),
    "tag": _matches_tag,
    "group": _matches_group,
    ID: lambda user, pattern: user.unique_id == pattern,
}
FIELDS = tuple(_MATCHERS)
_UNIQUE_ID = re.compile(r"AIDA[A-Z0-9]{12,124}")

#: The key of a user's name, in what AWS lists.
NAME_KEY = "UserName"
#: What Cloud Custodian's filter ``value`` takes for something else than the value itself.
_MEANINGS = frozenset(("absent", "present", "not-null", "empty"))
#: ``op`` of that filter -> whether its value is a list of names.
_OPERATORS = {None: False, "eq": False, "equal": False, "in": True}


def named_alone(condition: Any) -> tuple[str, ...] | None:
    """The names in a policy's filter that selects by name alone, maybe none; None for any other filter."""
    if not isinstance(condition, Mapping):
        return None
    if set(condition) == {NAME_KEY}:
        found, is_list = condition[NAME_KEY], False
    elif condition.get("type") == "value" and condition.get("key") == NAME_KEY:
        if not set(condition) <= {"type", "key", "op", "value"} or condition.get("op") not in _OPERATORS:
            return None
        found, is_list = condition.get("value"), _OPERATORS[condition.get("op")]
    else:
        return None
    values = found if is_list else [found]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    return None if not is_list and _MEANINGS.intersection(values) else tuple(values)


#: Characters of a pattern. A user's name has up to 64, a tag with its value 385, and a path 512.
LONGEST = 512
_NAME = frozenset(string.ascii_letters + string.digits + "_+=,.@-")
_IN_TAGS = "_.:/=+-@"
#: A token of a glob: a character class, or a single character.
_PIECE = re.compile(r"\[!?(?:\][^\]]*|[^\]]+)\]|.", re.DOTALL)


def glob_fault(pattern: str) -> str:
    """Why ``pattern`` is not a shell glob that we accept, in words; empty if it is one.

    For unclosed brackets, fnmatch takes time that grows with the square of the length, and others write the lists.
    """
    if len(pattern) > LONGEST:
        return f"has {len(pattern)} characters, and may have {LONGEST}"
    if (stars := pattern.count("*")) > MOST_STARS:
        return f"has {stars} *, and may have {MOST_STARS}"
    at = pattern.find("[")
    while at >= 0:
        # As fnmatch reads it: the first character of a class, after a !, may be a ].
        end = pattern.find("]", at + 2 + (pattern[at + 1 : at + 2] == "!"))
        if end < 0:
            return "has a [ that no ] closes: the character itself is [[]"
        at = pattern.find("[", end)
    return ""


def pattern_fault(field: str, pattern: str) -> str:
    """Why no user can match ``pattern`` in ``field`` (one of FIELDS), and what to write instead; empty if one can.

    Names have letters, digits and ``_+=,.@-``. Paths are printable ASCII between slashes. Tags have letters, digits,
    spaces and ``_.:/=+-@`` (IAM User Guide, "IAM and AWS STS quotas"; botocore's IAM model).
    """
    if fault := glob_fault(pattern):
        return fault
    if field == ID:
        known = _UNIQUE_ID.fullmatch(pattern)
        return "" if known else "is no unique id of a user, as `aws iam get-user` prints it: AIDA..."
    if field == "tag":
        return _tag_fault(pattern)
    if field == "path":
        return _path_fault(pattern)
    fault = _impossible(pattern, _NAME.__contains__, f"the name of a {field}", 64 if field == "user" else 128)
    return fault and f"{fault}: {_remedy(field, pattern)}"


#: Values of each field that have nothing in common: a pattern that matches them all was written to match anything.
_UNLIKE = {
    "user": ("a", "Z", "0", "alice.smith@example.com", "=_+,-"),
    "group": ("a", "Z", "0", "Admins", "=_+,.@-"),
    "path": ("/", "/a/", "/Team/0/"),
}


def is_everybody(field: str, pattern: str) -> bool:
    """Whether ``pattern`` matches every user that has a ``field`` (one of FIELDS): ``*``, or ``/*`` for a path."""
    values = _UNLIKE.get(field, ())
    # the shortest value is a character
    return (
        bool(values) and _least_length(pattern) <= 1 and all(matches_text(value, pattern) for value in values)
    )


def _least_length(glob: str) -> int:
    return sum(piece != "*" for piece in _PIECE.findall(glob))


def pattern_doubt(field: str, pattern: str) -> str:
    """What in a pattern that some user can match is probably a mistake; empty if nothing is."""
    if "[^" in pattern:
        return "has [^, which does not negate in a shell glob: write [!"
    if field == "tag":
        key, _, glob = pattern.partition("=")
        if key != key.strip() or glob != glob.strip():
            return "has a space beside its = or at an end, which the tag must also have"
        return f"is the key {key!r} with the value {glob!r}" if "=" in glob else ""
    if field == "path":
        return "has a |, which is a literal character: write a rule for each path" if "|" in pattern else ""
    if "," in pattern:
        return f"has a comma, which is a literal character: write a rule for each {field}"
    return (
        "begins with a dot: patterns are shell globs, so write * for .*" if pattern.startswith(".*") else ""
    )


def _tag_fault(pattern: str) -> str:
    key, _, glob = pattern.partition("=")
    if not key or len(key) == len(pattern):
        return "must be Key=glob, such as Purpose=break-glass"
    if invalid := [each for each in key if not _is_in_tags(each)]:
        return f"matches no user: the key of a tag, which is not a glob, can't have {invalid[0]!r}"
    return _impossible(glob, _is_in_tags, "the value of a tag", 256)


def _path_fault(pattern: str) -> str:
    pieces = _PIECE.findall(pattern)
    if not all(fnmatchcase("/", end) for end in (pieces[0], pieces[-1])):
        return "matches no path: it must begin and end with / or *, such as /emergency/*"
    return _impossible(pattern, lambda character: "!" <= character <= "\x7f", "a path", 512)


def _impossible(glob: str, known: Callable[[str], bool], what: str, most: int) -> str:
    """Why ``what``, with ``known`` characters and a length of ``most``, can't match ``glob``; empty if it can."""
    for piece in dict.fromkeys(_PIECE.findall(glob)):
        literal = len(piece) == 1 and piece not in "*?"
        candidates = piece if literal else piece + string.printable
        if not any(
            known(candidate) and (literal or fnmatchcase(candidate, piece)) for candidate in candidates
        ):
            return f"matches no user: {what} can't have {piece!r}"
    if _least_length(glob) > most:
        return f"matches no user: {what} has at most {most} characters"
    return ""


def _remedy(field: str, pattern: str) -> str:
    if pattern.startswith("arn:"):
        return f"write the name, {pattern.rpartition('/')[2]!r}, not the ARN"
    if pattern != pattern.strip():
        return f"write {pattern.strip()!r}, without the space"
    if "|" in pattern:
        return f"write a rule for each {field}"
    if "/" in pattern:
        return "a path is not part of a name: write only the name, or a path rule such as path: /emergency/*"
    return "patterns are shell globs: * is any text, ? a character, [abc] one of these"


def _is_in_tags(character: str) -> bool:
    return character in _IN_TAGS or unicodedata.category(character)[0] in "LNZ"
