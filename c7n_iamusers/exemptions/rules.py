# SPDX-License-Identifier: Apache-2.0
"""Who is left alone, why, on whose word and until when."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.user_patterns import FIELDS, matches, pattern_doubt, pattern_fault


@dataclass(frozen=True)
class ExemptionRule:
    """``pattern``: a case-sensitive shell glob over ``field`` (user, path, tag or group).

    ``expires``: the last day, in UTC, on which the rule protects.
    """

    field: str
    pattern: str
    reason: str
    expires: date
    owner: str = ""

    def as_data(self) -> dict[str, Any]:
        """The rule as a policy writes it."""
        data = {self.field: self.pattern, "reason": self.reason, "expires": self.expires.isoformat()}
        return {**data, "owner": self.owner} if self.owner else data

    def usage(self, users: int) -> str:
        """Whom the rule protects in one account, as the filter's log says it and ``read_usage`` reads it."""
        return f"exempt by {self.field} {json.dumps(self.pattern)} until {self.expires.isoformat()}: {users} users"


_USAGE = re.compile(r'exempt by (\w+) ("(?:[^"\\]|\\.)*") until (\d{4}-\d\d-\d\d): (\d+) users')
#: A rule by which its usage is known: field, pattern, last day.
RuleKey = tuple[str, str, str]


def read_usage(line: str) -> tuple[RuleKey, int] | None:
    """The rule and the number of users of a log line that ``ExemptionRule.usage`` has made; None for any other."""
    if not (found := _USAGE.search(line)):
        return None
    return (found[1], json.loads(found[2]), found[3]), int(found[4])


@dataclass(frozen=True)
class Exemption:
    """``rule`` protects the user today, if any does; ``expired``: those that would have, had they not run out."""

    rule: ExemptionRule | None
    expired: tuple[ExemptionRule, ...] = ()


#: What a policy says for ``exempt`` where it is to spare nobody.
NOBODY = "none"
_KEYS = frozenset(FIELDS) | {"reason", "owner", "expires"}


def find_exemption(user: IamUser, rules: Sequence[ExemptionRule], today: date) -> Exemption:
    """The first rule that protects ``user`` on ``today`` (a date in UTC), and those that no longer do.

    Raises EvidenceUnreadable where a group rule stands and the user's groups were not read.
    """
    matching = [rule for rule in rules if matches(user, rule.field, rule.pattern)]
    live = [rule for rule in matching if today <= rule.expires]
    expired = tuple(rule for rule in matching if today > rule.expires)
    return Exemption(live[0] if live else None, expired)


def parse_rules(entries: Any, where: str) -> tuple[ExemptionRule, ...]:
    """Rules from a policy's ``exempt`` list; ``where`` names the place for the errors.

    Raises InvalidPolicyData that lists every fault at once, each with its place and its mend.
    """
    if not isinstance(entries, list):
        raise InvalidPolicyData(f"{where}: must be a list of rules, or {NOBODY}, not {entries!r}")
    faults: list[str] = []
    rules = [_parse_rule(entry, f"{where}[{index}]", faults) for index, entry in enumerate(entries)]
    if faults:
        raise InvalidPolicyData("; ".join(faults))
    return tuple(rule for rule in rules if rule is not None)


def doubts(rules: Sequence[ExemptionRule]) -> Iterator[str]:
    """What in rules that can protect is probably not meant, for a log."""
    for rule in rules:
        if doubt := pattern_doubt(rule.field, rule.pattern):
            yield f"exemption by {rule.field} {rule.pattern!r} ({rule.reason}) {doubt}"


def _parse_rule(entry: Any, where: str, faults: list[str]) -> ExemptionRule | None:
    if not isinstance(entry, Mapping):
        faults.append(
            f"{where}: must be a mapping such as {{user: 'ci-*', reason: ..., expires: YYYY-MM-DD}}"
        )
        return None
    known = len(faults)
    faults.extend(_unknown_keys(entry, where))
    field = _field(entry, where, faults)
    pattern = _pattern(entry, field, where, faults)
    reason = _text(entry, "reason", where, faults, "say why these users may stay")
    owner = _text(entry, "owner", where, faults, "name a person or a team") if "owner" in entry else ""
    expires = _expires(entry, where, faults)
    if len(faults) > known or expires is None:
        return None
    return ExemptionRule(field, pattern, reason, expires, owner)


def _unknown_keys(entry: Mapping[str, Any], where: str) -> list[str]:
    unknown = sorted(str(key) for key in entry if key not in _KEYS)
    expected = f"a pattern is one of {', '.join(FIELDS)}; beside it stand reason, expires and owner"
    return [f"{where}: there is no key {key!r}: {expected}" for key in unknown]


def _field(entry: Mapping[str, Any], where: str, faults: list[str]) -> str:
    present = [field for field in FIELDS if field in entry]
    if len(present) != 1:
        found = f"not {' and '.join(present)} together" if present else "none is there"
        faults.append(f"{where}: exactly one of {', '.join(FIELDS)} must give the pattern, {found}")
        return ""
    return present[0]


def _pattern(entry: Mapping[str, Any], field: str, where: str, faults: list[str]) -> str:
    if not field:
        return ""
    pattern = _text(entry, field, where, faults, "give a shell glob such as 'ci-*'")
    if pattern and (fault := pattern_fault(field, pattern)):
        # It would protect nobody, and nobody would notice.
        faults.append(f"{where}: {field} {pattern!r} {fault}")
    return pattern


def _text(entry: Mapping[str, Any], key: str, where: str, faults: list[str], mend: str) -> str:
    value = entry.get(key)
    if isinstance(value, str) and value.strip():
        return value
    found = "is missing" if value is None else f"must be a text that is not empty, not {value!r}"
    faults.append(f"{where}: {key} {found}: {mend}")
    return ""


def _expires(entry: Mapping[str, Any], where: str, faults: list[str]) -> date | None:
    value = entry.get("expires")
    parsed = _as_date(value)
    if parsed is None:
        found = "is missing" if value is None else f"is not a date: {value!r}"
        faults.append(f"{where}: expires {found}: give the last day of the exemption as YYYY-MM-DD")
    return parsed


def _as_date(value: Any) -> date | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or len(value) != len("YYYY-MM-DD"):
        return None
    try:
        return datetime.strptime(value, "%Y-%m-%d").date()
    except ValueError:
        return None
