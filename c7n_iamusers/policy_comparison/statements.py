# SPDX-License-Identifier: Apache-2.0
"""The statements of identity-based policies in one form. Pure.

Grammar: "Grammar of the IAM JSON policy language" (IAM User Guide).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from c7n_iamusers.iam.policy_documents import listed, parse_document
from c7n_iamusers.iam.policy_documents import statements as statements_of
from c7n_iamusers.policy_comparison.conditions import UNREAD, Condition, parse_conditions
from c7n_iamusers.policy_comparison.languages import Element
from c7n_iamusers.policy_comparison.patterns import foreign, modern, variables
from c7n_iamusers.policy_comparison.principals import depends_on_principal, is_documented_key

ALLOW, DENY = "Allow", "Deny"
EVERYTHING = Element(frozenset({"*"}))

_LEGACY, _MODERN = "2008-10-17", "2012-10-17"
_KEYS = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})


@dataclass(frozen=True)
class PolicyStatement:
    """A statement. ``actions`` are in lower case, all texts as 2012-10-17 writes them.

    ``source`` says in words where it stands, ``sid`` is its Sid, ``legacy`` that its text had to change for the
    later version. These three make no difference between statements.
    """

    effect: str
    actions: Element
    resources: Element
    conditions: frozenset[Condition] = frozenset()
    source: str = field(default="", compare=False)
    sid: str = field(default="", compare=False)
    legacy: bool = field(default=False, compare=False)

    @property
    def dependent(self) -> bool:
        """Whether it reads a key whose value depends on the way in, or may, for all that is known."""
        return any(map(depends_on_principal, self._keys))

    @property
    def has_unknowns(self) -> bool:
        """Whether it has an operator, or reads a key, of which nobody can say what it means."""
        operators = all(each.is_known for each in self.conditions)
        return not (operators and all(map(is_documented_key, self._keys)))

    @property
    def _keys(self) -> frozenset[str]:
        texts = [*self.resources.patterns, *(value for each in self.conditions for value in each.values)]
        keys = (each.key for each in self.conditions if each.operator != UNREAD)
        return frozenset(keys).union(*map(variables, texts))

    @property
    def allows(self) -> bool:
        """Whether its effect is Allow."""
        return self.effect == ALLOW

    def includes(self, other: PolicyStatement) -> bool:
        """Whether it is plain from the two texts that this applies wherever ``other`` does, to the same effect."""
        return (
            self.effect == other.effect
            and self.actions.includes(other.actions)
            and self.resources.includes(other.resources)
            and self.conditions <= other.conditions
        )


def parse_policy(document: Any, source: str) -> tuple[PolicyStatement, ...]:
    """The statements of a policy, in any form that ``parse_document`` takes; ``source`` names it in words.

    Raises ValueError, with the source and what is wrong, for anything IAM would not take either.
    """
    try:
        found = _parsed(json.dumps(parse_document(document)))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{source}: {error}") from error
    return tuple(replace(each, source=f"{source}, {each.source}") for each in found)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[PolicyStatement, ...]:
    """The same policy hangs off many users, and some of AWS's are long."""
    document = json.loads(text)
    if foreign(json.dumps(document, ensure_ascii=False)):
        raise ValueError("a private-use character, which IAM takes in no policy")
    legacy = _is_legacy(document)
    return tuple(
        _statement(data, f"statement {number}", legacy)
        for number, data in enumerate(statements_of(document), 1)
    )


def _is_legacy(document: Mapping[str, Any]) -> bool:
    version = document.get("Version", _LEGACY)
    if version not in (_LEGACY, _MODERN):
        raise ValueError(f"Version {version!r} is neither {_LEGACY} nor {_MODERN}")
    return bool(version == _LEGACY)


def _statement(data: Mapping[str, Any], source: str, legacy: bool) -> PolicyStatement:
    unknown = sorted(set(data) - _KEYS)
    if unknown:
        raise ValueError(f"{', '.join(unknown)} in a statement, which a policy of a user has not")
    if data.get("Effect") not in (ALLOW, DENY):
        raise ValueError(f"Effect {data.get('Effect')!r} is neither Allow nor Deny")
    sid = str(data.get("Sid") or "")
    return PolicyStatement(
        data["Effect"],
        _element(data, "Action", str.lower),
        _element(data, "Resource", modern if legacy else str),
        parse_conditions(data.get("Condition") or {}, legacy),
        f"{source} ({sid})" if sid else source,
        sid,
        legacy and "${" in str(data),
    )


def _element(data: Mapping[str, Any], name: str, form: Callable[[str], str]) -> Element:
    given = [key for key in (name, f"Not{name}") if key in data]
    if len(given) != 1:
        raise ValueError(f"a statement with {' and '.join(given) or 'neither'} of {name} and Not{name}")
    values = listed(data[given[0]])
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{given[0]} holds something that is no text")
    return Element(frozenset(form(value) for value in values), given[0] != name)
