# SPDX-License-Identifier: Apache-2.0
"""Exemption rules: which users are left alone, why, who answers for it and until when; and lists of rules. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache, cached_property
from typing import Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.user_fields import (
    FIELDS,
    ID,
    MOST_GLOBS,
    glob_fault,
    is_everybody,
    is_glob,
    matches,
    matches_text,
    pattern_doubt,
    pattern_fault,
)
from c7n_iamusers.text.documents import NotInFormat
from c7n_iamusers.text.rows import FORMATS, Row, read_rows
from c7n_iamusers.text.wording import joined, quoted, shown, visible


@dataclass(frozen=True)
class ExemptionRule:
    """``pattern``: a case-sensitive shell glob over ``field`` (user, path, tag or group), or a unique id (unique-id).

    ``expires``: the last day, in UTC, on which the rule protects. ``owner``: a person or team to ask. ``account``: a
    glob over the id or the name, in any case, of the only accounts where the rule holds; empty for all accounts.
    ``everybody``: states that the pattern is meant to match every user of every account.
    ``alarm``: USE if somebody is to be told when such a user is used; otherwise empty.
    """

    field: str
    pattern: str
    reason: str
    expires: date
    owner: str = ""
    account: str = ""
    everybody: bool = False
    alarm: str = ""

    def holds_in(self, account_id: str, name: str) -> bool:
        """Whether the rule holds in an account. ``name``: empty if it is not known: a rule that may hold then holds."""
        if not self.account or matches_text(account_id, self.account):
            return True
        if self.account.isdigit():
            return False  # an id; an account may be named like another one's
        return not name or matches_text(name.casefold(), self.account.casefold())

    def as_data(self) -> dict[str, Any]:
        """The rule as in a policy."""
        data = {self.field: self.pattern, "reason": self.reason, "expires": self.expires.isoformat()}
        more = {"owner": self.owner, "account": self.account, "alarm": self.alarm, EVERYBODY: self.everybody}
        return {**data, **{key: value for key, value in more.items() if value}}

    def __str__(self) -> str:
        """As in logs."""
        account = f" in account {json.dumps(self.account)}" if self.account else ""
        return f"{self.field} {json.dumps(self.pattern)}{account} until {self.expires.isoformat()}"

    @property
    def key(self) -> RuleKey:
        """What identifies the rule."""
        return self.field, self.pattern, self.expires.isoformat(), self.account


#: What identifies a rule: field, pattern, last day, account.
RuleKey = tuple[str, str, str, str]


class Rules(tuple[ExemptionRule, ...]):
    """Rules in their order. Those with a plain name, path or id are looked up, the others are tried on each user."""

    @cached_property
    def _by_text(self) -> Mapping[tuple[str, str], Sequence[int]]:
        found: dict[tuple[str, str], list[int]] = {}
        for number, rule in enumerate(self):
            if _is_looked_up(rule):
                found.setdefault((rule.field, rule.pattern), []).append(number)
        return found

    @cached_property
    def _tried(self) -> Sequence[tuple[int, ExemptionRule]]:
        return [(number, rule) for number, rule in enumerate(self) if not _is_looked_up(rule)]

    def matching(self, user: IamUser) -> list[ExemptionRule]:
        """Those that match ``user``. Raises EvidenceUnreadable as ``find_exemption``."""
        found = [number for number, rule in self._tried if matches(user, rule.field, rule.pattern)]
        for key in (("user", user.name), ("path", user.path), (ID, user.unique_id)):
            found += self._by_text.get(key, ())
        return [self[number] for number in sorted(found)]


def _is_looked_up(rule: ExemptionRule) -> bool:
    return rule.field in ("user", "path", ID) and not is_glob(rule.pattern)


def usage_lines(rules: Sequence[ExemptionRule], users: Mapping[ExemptionRule, int]) -> Iterator[str]:
    """For the log: how many users of an account each rule protects, and why. The report has more of the reasons."""
    for rule in rules:
        if users.get(rule):
            yield f"exempt by {rule}: {users[rule]} users{_explanation(rule)}"
    if unused := [f"{rule}{_explanation(rule)}" for rule in rules if not users.get(rule)]:
        yield f"exemptions that protect nobody: {shown(unused, MOST_TOLD)}"


def _explanation(rule: ExemptionRule) -> str:
    owner = f", owner {quoted(rule.owner)}" if rule.owner else ""
    return f", reason {quoted(rule.reason)}{owner}"


def denied_line(arn: str, rule: ExemptionRule, ours: bool) -> str:
    """For the log: that an exempt user is denied everything. ``ours``: by a quarantine, as far as its Deny-all says."""
    return (
        f"{arn} is exempt by {rule}, and still denied everything by {'our Deny-all' if ours else 'a policy'}: release "
        "it (policies/release.yml), or remove the exemption"
    )


@dataclass(frozen=True)
class Exemption:
    """``rule``: the first one that protects the user today, if any. ``more``: further rules that do.

    ``expired``: matching rules that have expired, MOST_TOLD at most: each is a finding.
    """

    rule: ExemptionRule | None
    expired: tuple[ExemptionRule, ...] = ()
    more: tuple[ExemptionRule, ...] = ()


#: The value of ``exempt`` in a policy without exemptions.
NOBODY = "none"
#: The key of a rule that is meant to exempt every user of every account.
EVERYBODY = "everybody"
#: The value of ``alarm``: nobody signs in or calls AWS as such a user without an alarm.
USE = "use"
#: Rules of a user that files name: a list may have any number that match it.
MOST_TOLD = 50
#: Characters of a reason or an owner.
LONGEST_TEXT = 1_000
#: Bytes of a list, uncompressed: 100,000 rows of 160.
LARGEST_LIST = 16 * 1024 * 1024
_READ_OFTEN = (
    "each policy reads it in each account, and again while it acts: leave out the rules that have expired"
)
#: The members of a rule, as in a policy.
KEYS = (*FIELDS, "account", "reason", "owner", "expires", "alarm", EVERYBODY)


def digest_of(rules: Iterable[ExemptionRule]) -> str:
    """The SHA-256, in hex, of ``rules`` in any order: whether two users were judged by the same ones."""
    texts = sorted(json.dumps(rule.as_data(), sort_keys=True) for rule in rules)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def find_exemption(user: IamUser, rules: Sequence[ExemptionRule], today: date) -> Exemption:
    """The rules that protect ``user`` on ``today`` (a date in UTC), and the matching rules that have expired.

    Raises EvidenceUnreadable if there is a group rule and the user's groups were not read.
    """
    matching = (rules if isinstance(rules, Rules) else Rules(rules)).matching(user)
    live = [rule for rule in matching if today <= rule.expires]
    expired = tuple(rule for rule in matching if today > rule.expires)[:MOST_TOLD]
    return Exemption(live[0] if live else None, expired, tuple(live[1:]))


def parse_rules(entries: Any, where: str, *, free_keys: bool = False) -> tuple[ExemptionRule, ...]:
    """The rules in a policy's ``exempt`` list. ``where``: the place, for messages.

    ``free_keys``: whether an entry may have keys that are not read, such as ``ticket``. One that resembles a known key
    is a fault all the same.

    Raises InvalidPolicyData with every fault at once, each with its place and what to do.
    """
    if not isinstance(entries, list):
        raise InvalidPolicyData(f"{where}: must be a list of rules, or {NOBODY}, not {quoted(entries)}")
    faults: list[str] = []
    rules = [
        _parse_rule(entry, f"{where}[{index}]", faults, free_keys) for index, entry in enumerate(entries)
    ]
    if faults:
        raise InvalidPolicyData(joined(faults))
    return tuple(rule for rule in rules if rule is not None)


def in_account(rules: Iterable[ExemptionRule], account_id: str, name: str) -> tuple[Rules, Rules]:
    """The rules that hold in an account, and the others. ``name``: see ``holds_in``."""
    held, others = list[ExemptionRule](), list[ExemptionRule]()
    for rule in rules:
        (held if rule.holds_in(account_id, name) else others).append(rule)
    return Rules(held), Rules(others)


def doubts(rules: Sequence[ExemptionRule]) -> Iterator[str]:
    """Warnings about valid rules that probably don't match what their author meant."""
    for rule in rules:
        if doubt := pattern_doubt(rule.field, rule.pattern):
            yield f"exemption by {rule.field} {rule.pattern!r} ({rule.reason}) {doubt}"


def format_of(name: str) -> str:
    """The format by the extension of a path or URL, one of FORMATS; empty if it has another extension."""
    ending = name.partition("?")[0].partition("#")[0].lower().removesuffix(".gz").rpartition(".")[2]
    return {"yml": "yaml"}.get(ending, ending) if ending in (*FORMATS, "yml") else ""


def parse_list(data: str | bytes, form: str, where: str) -> tuple[ExemptionRule, ...]:
    """The rules in a list in the format ``form`` (one of FORMATS). ``where``: the list, for messages.

    Raises InvalidPolicyData with every fault and its line. A list without rules is a fault too, since it is more likely
    damaged than meant.
    """
    if len(data) > LARGEST_LIST:
        raise InvalidPolicyData(f"{where}: has {len(data)} bytes, and may have {LARGEST_LIST}: {_READ_OFTEN}")
    faults: list[str] = []
    try:
        rules = tuple(_rules_in(read_rows(data, form, _header_fault), where, faults))
    except NotInFormat as error:
        raise InvalidPolicyData(f"{where}: {error}") from error
    except MemoryError:
        raise InvalidPolicyData(f"{where}: takes more memory than this process may have") from None
    if faults:
        raise InvalidPolicyData(joined(faults))
    if not rules:
        raise InvalidPolicyData(
            f"{where}: has no rules: give at least one, or leave exempt-from out of the policy"
        )
    return rules


def _rules_in(rows: Iterable[Row], where: str, faults: list[str]) -> Iterator[ExemptionRule]:
    globs = 0
    for row in rows:
        try:
            (rule,) = _rule(row, f"{where} line {row.line}")
        except InvalidPolicyData as error:
            faults.append(str(error))
            continue
        globs += is_glob(rule.pattern) + is_glob(rule.account)
        if globs > MOST_GLOBS:
            raise InvalidPolicyData(
                f"{where} line {row.line}: there are more than {MOST_GLOBS} patterns and accounts with *, ? or [, and "
                "each is tried on each user: write names and ids"
            )
        yield rule


def _parse_rule(entry: Any, where: str, faults: list[str], free_keys: bool) -> ExemptionRule | None:
    if not isinstance(entry, Mapping):
        faults.append(
            f"{where}: must be a mapping such as {{user: 'ci-*', reason: ..., expires: YYYY-MM-DD}}"
        )
        return None
    known = len(faults)
    faults.extend(_unknown_keys(entry, where, free_keys))
    field = _field(entry, where, faults)
    pattern = _pattern(entry, field, where, faults)
    reason = _text(entry, "reason", where, faults, "say why these users may stay")
    owner = _text(entry, "owner", where, faults, "name a person or a team") if "owner" in entry else ""
    expires = _expires(entry, where, faults)
    account = _account(entry, where, faults) if "account" in entry else ""
    alarm = entry.get("alarm", "")
    if alarm not in ("", USE):
        faults.append(f"{where}: alarm must be {USE}, or be left out, not {quoted(alarm)}")
    everybody = _everybody(entry, where, faults)
    if pattern and not everybody and is_everybody(field, pattern) and not account.strip("*?"):
        faults.append(
            f"{where}: {field} {quoted(pattern)} exempts every user, so that the policy does nothing: name the users "
            f"by a pattern, or their account; if everybody is meant, write {EVERYBODY}: true"
        )
    if len(faults) > known or expires is None:
        return None
    return ExemptionRule(field, pattern, reason, expires, owner, account, everybody, str(alarm))


def _everybody(entry: Mapping[str, Any], where: str, faults: list[str]) -> bool:
    """In a CSV it is a text, and empty where the row does not state it."""
    value = entry.get(EVERYBODY)
    stated = {"true": True, "false": False, "": False, "none": False}.get(str(value).strip().lower())
    if stated is None:
        faults.append(f"{where}: {EVERYBODY} must be true or false, not {quoted(value)}")
    return bool(stated)


def _unknown_keys(entry: Mapping[str, Any], where: str, free_keys: bool) -> Iterator[str]:
    expected = (
        f"a rule has one of {', '.join(FIELDS)}, and reason, expires, owner, account, alarm and everybody"
    )
    for key in sorted(str(key) for key in entry if key not in KEYS):
        meant = _resembled(key)
        if meant or not free_keys or not key.strip():
            remedy = f": write {meant!r}, or give a column that is not read another name" if meant else ""
            yield f"{where}: there is no key {quoted(key)}: {expected}{remedy}"


@cache
def _resembled(key: str) -> str:
    """The known key that ``key`` is probably meant to be; empty if there is none."""
    text = key.casefold()
    begun = (each for each in KEYS if text.startswith(each) or (len(text) > 2 and each.startswith(text)))
    return next(begun, "") or next(iter(get_close_matches(text, KEYS, 1, 0.75)), "")


def _account(entry: Mapping[str, Any], where: str, faults: list[str]) -> str:
    text = _text(
        entry,
        "account",
        where,
        faults,
        "give an account's id in quotes, or a glob over ids or names such as 'dev-*'",
    )
    if text and (fault := glob_fault(text) or _account_fault(text)):
        faults.append(f"{where}: account {quoted(text)} {fault}")
    return text


#: An id as people write it, or as a spreadsheet shows a number; then the parts of a list of accounts.
_SEPARATED, _SCIENTIFIC = re.compile(r"[\s.,'\u2019`\"_-]"), re.compile(r"\d+([.,]\d+)?[eE]\+?\d+")
_LISTED = re.compile(r"[|;]|\d{12}(?:\s+|\s*[,/]\s*)\d{12}")


def _account_fault(text: str) -> str:
    """Why ``text`` is an account's id that matches no account, in words; empty if it may match one."""
    if visible(text) != text or "\u00a0" in text:
        return "matches no account: it has an invisible character: type it anew"
    plain = unicodedata.normalize("NFKC", text)
    digits = _SEPARATED.sub("", plain)
    if digits.isdigit() and (digits == text or len(digits) >= 8):
        if digits != text:
            return (
                "matches no account: write an id as 12 digits, without separators; in a name write ? for each"
            )
        if len(digits) != 12:
            return "matches no account: an id has 12 digits; a spreadsheet drops leading zeros"
    if _SCIENTIFIC.fullmatch(plain):
        return "matches no account: a spreadsheet has made a number of the id: write its 12 digits as text"
    if plain.lower().startswith("arn:"):
        return "matches no account: write the 12 digits of the account's id, not an ARN"
    if _LISTED.search(plain):
        return "matches no account: write a rule for each account; in a name write ? for such a character"
    return ""


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
        # It would protect nobody, unnoticed.
        faults.append(f"{where}: {field} {quoted(pattern)} {fault}")
        return ""
    return pattern


def _text(entry: Mapping[str, Any], key: str, where: str, faults: list[str], remedy: str) -> str:
    value = entry.get(key)
    if isinstance(value, str) and key in ("reason", "owner") and len(value) > LONGEST_TEXT:
        faults.append(
            f"{where}: {key} has {len(value)} characters, and may have {LONGEST_TEXT}: logs repeat it"
        )
        return ""
    if isinstance(value, str) and value.strip():
        return value
    found = "is missing" if value is None else f"must be a text that is not empty, not {quoted(value)}"
    faults.append(f"{where}: {key} {found}: {remedy}")
    return ""


def _expires(entry: Mapping[str, Any], where: str, faults: list[str]) -> date | None:
    value = entry.get("expires")
    parsed = _as_date(value)
    if parsed is None:
        found = "is missing" if value is None else f"is not a date: {quoted(value)}"
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


def _rule(row: Row, where: str) -> tuple[ExemptionRule, ...]:
    if row.problem:
        raise InvalidPolicyData(f"{where}: {row.problem}")
    try:
        return parse_rules([row.value], where, free_keys=True)
    except InvalidPolicyData as error:
        # ``where`` has the row's line. Its index in this list of one means nothing.
        raise InvalidPolicyData(str(error).replace(f"{where}[0]", where)) from error


def _header_fault(names: list[str]) -> str:
    if set(names) & set(FIELDS):
        return ""
    return f"must name the columns, at least one of {', '.join(FIELDS)} among them, not {quoted(names)}"
