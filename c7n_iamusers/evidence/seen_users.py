# SPDX-License-Identifier: Apache-2.0
"""Every user that a run of the filter ``unnecessary`` saw in an account, and why some were left out. Pure.

The filter writes this beside ``resources.json``, which has the selected users alone. ``report`` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from sys import intern
from typing import Any

from c7n_iamusers.exemptions import ExemptionRule, parse_rules
from c7n_iamusers.iam.user_fields import FIELDS, LONGEST
from c7n_iamusers.text.validators import listing, one_of, record, text, whole

#: The file in the output directory of a policy.
SEEN = "users-seen.json"
#: What the filter made of a user. FLAGGED: the policy's other filters may still leave it out.
FLAGGED, EXEMPT, LEFT_OUT = "flagged", "exempt", "left out"
#: Who denies everything to an exempt user: nobody, our Deny-all, or a policy of others.
BY_NOBODY, BY_US, BY_OTHERS = "", "quarantine", "policy"
_BLOCKS = ("or", "and", "not")
_TEXT, _MANY = text(100_000), 1_000_000
#: Members of a rule that are texts for people, and how many characters of one the file has.
_TOLD, _LONGEST_TOLD = ("reason", "owner"), 200
#: Members of a rule whose text the file has once, and rules by number: in a list of YAML, thousands of rules may have
#: one long reason or pattern by an alias.
_NUMBERED = (*_TOLD, *FIELDS, "account")
_SHAPE = record(
    {
        "execution": text(100),
        "complete": one_of(True, False),
        "texts": listing(text(LONGEST), _MANY),
        "rules": listing(record({}, others=True), _MANY),
        "users": listing(
            record(
                {"arn": text(2048, r"arn:[a-z-]+:iam::\d{12}:user/.+"), "unique_id": _TEXT},
                {
                    "state": one_of(FLAGGED, EXEMPT, LEFT_OUT),
                    "why": _TEXT,
                    "rule": whole(0),
                    "more": listing(whole(0), _MANY),
                    "expired": listing(whole(0), _MANY),
                    "denied": one_of(BY_NOBODY, BY_US, BY_OTHERS),
                },
            ),
            _MANY,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class SeenUser:
    """A user that the filter saw.

    ``state``: FLAGGED, EXEMPT or LEFT_OUT. ``why``: of a user that is left out: the option, or what could not be read.
    ``rule``: the number of the first rule that protects an exempt user. ``more``: of further rules that do. ``denied``:
    who denies it everything. ``expired``: the expired rules that match a user that no rule protects.
    """

    arn: str
    unique_id: str
    state: str = FLAGGED
    why: str = ""
    rule: int | None = None
    denied: str = BY_NOBODY
    more: tuple[int, ...] = ()
    expired: tuple[int, ...] = ()

    @property
    def protecting(self) -> tuple[int, ...]:
        """The numbers of all rules that protect it."""
        return () if self.rule is None else (self.rule, *self.more)

    def placed(self, places: Sequence[int]) -> SeenUser:
        """The same with new numbers of its rules. ``places``: the new ones by the former ones."""
        rule = None if self.rule is None else places[self.rule]
        more, expired = (
            tuple(dict.fromkeys(places[number] for number in numbers))
            for numbers in (self.more, self.expired)
        )
        return replace(self, rule=rule, more=more, expired=expired)

    def as_data(self) -> dict[str, Any]:
        """JSON types, without empty members."""
        known = {
            "arn": self.arn,
            "unique_id": self.unique_id,
            "state": self.state,
            "why": self.why,
            "denied": self.denied,
            "more": list(self.more),
            "expired": list(self.expired),
        }
        found = {key: value for key, value in known.items() if value}
        return found if self.rule is None else {**found, "rule": self.rule}


@dataclass(frozen=True)
class SeenUsers:
    """``execution``: Cloud Custodian's id of the run. ``complete``: whether these are all users of the account.

    ``rules``: the policy's exemptions, those of other accounts among them.
    """

    execution: str
    complete: bool
    rules: Sequence[ExemptionRule]
    users: Sequence[SeenUser]

    def protected(self) -> dict[ExemptionRule, int]:
        """Rule -> how many users it protects, alone or beside other rules."""
        found = dict.fromkeys(self.rules, 0)
        for user in self.users:
            for rule in {self.rules[number] for number in user.protecting}:
                found[rule] += 1
        return found

    def and_then(self, later: SeenUsers) -> SeenUsers:
        """The same after a ``later`` filter of the same run."""
        known = {user.unique_id: user for user in self.users}
        places = range(len(self.rules), len(self.rules) + len(later.rules))
        users = known | {user.unique_id: user.placed(places) for user in later.users}
        complete = self.complete or later.complete
        return SeenUsers(self.execution, complete, (*self.rules, *later.rules), tuple(users.values()))

    def content(self) -> str:
        """The file. ``parse_seen`` is the reverse, but for the ends of long reasons and owners."""
        texts: dict[str, int] = {}
        # a list may have a rule any number of times
        known = {rule: number for number, rule in enumerate(dict.fromkeys(self.rules))}
        places = [known[rule] for rule in self.rules]
        data = {
            "execution": self.execution,
            "complete": self.complete,
            "rules": [dict(_numbered(rule, texts)) for rule in known],
            "texts": list(texts),
            "users": [user.placed(places).as_data() for user in self.users],
        }
        return json.dumps(data, separators=(",", ":"))


def parse_seen(data: Any) -> SeenUsers:
    """What the filter wrote, by the JSON of its file. Raises ValueError or InvalidPolicyData."""
    _SHAPE(data, SEEN)
    rules = tuple(_rule(*_told(each, data["texts"])) for each in data["rules"])
    shared: dict[Any, Any] = {}
    users = tuple(_user(each, shared, len(rules)) for each in data["users"])
    for user in users:
        if bool(user.protecting) != (user.state == EXEMPT):
            raise ValueError(
                f"{SEEN}: {user.arn} is exempt without a rule, or has a rule without being exempt"
            )
    return SeenUsers(data["execution"], data["complete"], rules, users)


def _user(data: Mapping[str, Any], shared: dict[Any, Any], rules: int) -> SeenUser:
    """``shared``: one object for equal ones. ``rules``: how many there are."""
    # before any number is a key: the writer of a file could choose numbers with equal hashes
    if max((data.get("rule", -1), *data.get("more", ()), *data.get("expired", ()))) >= rules:
        raise ValueError(
            f"{SEEN}: {data['arn']} is exempt without a rule, or has a rule without being exempt"
        )
    # each run has the same users
    known = {key: intern(data.get(key, "")) for key in ("arn", "unique_id", "why")}
    lists = ((key, tuple(dict.fromkeys(data.get(key, ())))) for key in ("more", "expired"))
    numbers = {key: shared.setdefault(value, value) for key, value in lists}
    user = SeenUser(**{**data, **known, **numbers})
    found: SeenUser = shared.setdefault(user, user)
    return found


def _numbered(rule: ExemptionRule, texts: dict[str, int]) -> Iterator[tuple[str, Any]]:
    """The members of the ``rule`` in the file. ``texts``: their texts -> the number of each."""
    for key, value in rule.as_data().items():
        long = key in _TOLD and len(value) > _LONGEST_TOLD
        shown = f"{value[: _LONGEST_TOLD - 3]}..." if long else value
        yield key, texts.setdefault(shown, len(texts)) if key in _NUMBERED else value


def _told(rule: Mapping[str, Any], texts: Sequence[str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The ``rule`` as JSON without its texts, and these, which all rules that have them share. Raises ValueError."""
    numbers = {key: rule[key] for key in _NUMBERED if key in rule}
    if any(type(number) is not int or not 0 <= number < len(texts) for number in numbers.values()):
        raise ValueError(f"{SEEN}: the number of a rule refers to no text")
    others = json.dumps({key: value for key, value in rule.items() if key not in numbers}, sort_keys=True)
    return others, tuple((key, texts[number]) for key, number in numbers.items())


@lru_cache(maxsize=100_000)
def _rule(others: str, told: tuple[tuple[str, str], ...]) -> ExemptionRule:
    """Each account has the same rules."""
    (rule,) = parse_rules([{**json.loads(others), **dict(told)}], "rules")
    return rule


def sees_all(filters: Any) -> bool:
    """Whether a filter ``unnecessary`` gets all users, by a policy's ``filters``.

    One within ``or`` gets all users that the block gets; within ``and`` and ``not``, only the first does.
    """
    if not isinstance(filters, list) or not filters:
        return False
    first = filters[0]
    if not isinstance(first, Mapping):
        return bool(first == "unnecessary")
    if first.get("type") == "unnecessary":
        return True
    for name in _BLOCKS:
        if name in first:
            inner = first[name]
            return any(sees_all([each]) for each in _listed(inner)) if name == "or" else sees_all(inner)
    return False


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()
