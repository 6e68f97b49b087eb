# SPDX-License-Identifier: Apache-2.0
"""Patterns that pick users by name, path, tag or group. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.model.iam_user import IamUser


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
