# SPDX-License-Identifier: Apache-2.0
"""Patterns that pick users by name, path, tag or group, and those that can pick nobody. Pure."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.iam.user import IamUser


def matches(user: IamUser, field: str, pattern: str) -> bool:
    """Whether ``field`` (one of FIELDS) of the user matches, by case-sensitive shell globs.

    Raises EvidenceUnreadable where ``field`` is group and the user's groups were not read.
    """
    return _MATCHERS[field](user, pattern)


def _matches_group(user: IamUser, pattern: str) -> bool:
    if user.groups is None:
        # Without its groups nobody knows what a rule makes of the user, and an unknown must never select it.
        raise EvidenceUnreadable(f"{user.subject}: its groups were not read, so rules by group can't be told")
    return any(fnmatchcase(group, pattern) for group in user.groups)


def _matches_tag(user: IamUser, pattern: str) -> bool:
    key, _, glob = pattern.partition("=")
    value = user.tags.get(key)
    return value is not None and fnmatchcase(value, glob)


_MATCHERS: Mapping[str, Callable[[IamUser, str], bool]] = {
    "user": lambda user, pattern: fnmatchcase(user.name, pattern),
    "path": lambda user, pattern: fnmatchcase(user.path, pattern),
    "tag": _matches_tag,
    "group": _matches_group,
}
FIELDS = tuple(_MATCHERS)

_NAME = frozenset(string.ascii_letters + string.digits + "_+=,.@-")
_IN_TAGS = "_.:/=+-@"
#: A piece of a glob: a class, or a single character; a bracket that is not closed stands for itself.
_PIECE = re.compile(r"\[!?(?:\][^\]]*|[^\]]+)\]|.", re.DOTALL)


def pattern_fault(field: str, pattern: str) -> str:
    """Why no user can match ``pattern`` in ``field`` (one of FIELDS), and the mend; empty where one can.

    Names have letters, digits and ``_+=,.@-``, paths are printable ASCII between slashes, and tags have letters,
    digits, spaces and ``_.:/=+-@`` (IAM User Guide, "IAM and AWS STS quotas"; botocore's model of iam).
    """
    if field == "tag":
        return _tag_fault(pattern)
    if field == "path":
        return _path_fault(pattern)
    told = _foreign(pattern, _NAME.__contains__, f"the name of a {field}", 64 if field == "user" else 128)
    return told and f"{told}: {_mend(field, pattern)}"


def pattern_doubt(field: str, pattern: str) -> str:
    """What in a pattern that some user can match is probably not meant; empty where nothing is."""
    if "[^" in pattern:
        return "has [^, which is no negation in a shell glob: write [!"
    if field == "tag":
        key, _, glob = pattern.partition("=")
        if key != key.strip() or glob != glob.strip():
            return "has a space beside its = or at an end, which the tag must have too"
        return f"is the key {key!r} with the value {glob!r}" if "=" in glob else ""
    if field == "path":
        return "has a |, which stands for itself: write a rule for each path" if "|" in pattern else ""
    if "," in pattern:
        return f"has a comma, which stands for itself: write a rule for each {field}"
    return (
        "begins with a dot: patterns are shell globs, so write * for .*" if pattern.startswith(".*") else ""
    )


def _tag_fault(pattern: str) -> str:
    key, _, glob = pattern.partition("=")
    if not key or len(key) == len(pattern):
        return "must be Key=glob, such as Purpose=break-glass"
    if foreign := [each for each in key if not _is_in_tags(each)]:
        return f"matches nobody: the key of a tag, which is no glob, can't have {foreign[0]!r}"
    return _foreign(glob, _is_in_tags, "the value of a tag", 256)


def _path_fault(pattern: str) -> str:
    pieces = _PIECE.findall(pattern)
    if not all(fnmatchcase("/", end) for end in (pieces[0], pieces[-1])):
        return "matches no path: it must begin and end with / or *, such as /emergency/*"
    return _foreign(pattern, lambda character: "!" <= character <= "\x7f", "a path", 512)


def _foreign(glob: str, known: Callable[[str], bool], what: str, most: int) -> str:
    """The first piece of ``glob`` that stands for no character that ``what`` can have, in words."""
    pieces = _PIECE.findall(glob)
    for piece in pieces:
        literal = len(piece) == 1 and piece not in "*?"
        candidates = piece if literal else piece + string.printable
        if not any(known(each) and (literal or fnmatchcase(each, piece)) for each in candidates):
            return f"matches nobody: {what} can't have {piece!r}"
    if sum(piece != "*" for piece in pieces) > most:
        return f"matches nobody: {what} has at most {most} characters"
    return ""


def _mend(field: str, pattern: str) -> str:
    if pattern.startswith("arn:"):
        return f"give the name, {pattern.rpartition('/')[2]!r}, rather than the ARN"
    if pattern != pattern.strip():
        return f"write {pattern.strip()!r}, without the space"
    if "|" in pattern:
        return f"write a rule for each {field}"
    if "/" in pattern:
        return "a path is no part of a name: write the name alone, or a path rule such as path: /emergency/*"
    return "patterns are shell globs: * is any text, ? a character, [abc] one of these"


def _is_in_tags(character: str) -> bool:
    return character in _IN_TAGS or unicodedata.category(character)[0] in "LNZ"
