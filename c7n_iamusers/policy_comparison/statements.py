# SPDX-License-Identifier: Apache-2.0
"""The statements of identity-based policies, parsed into one form. Pure.

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
from c7n_iamusers.policy_comparison.patterns import Element, as_2012, has_reserved, variables
from c7n_iamusers.policy_comparison.principals import ManagedPolicy, depends_on_principal, is_documented_key
from c7n_iamusers.text.wording import quoted

ALLOW, DENY = "Allow", "Deny"
EVERYTHING = Element(frozenset({"*"}))

#: Characters of a policy. The largest quotas, without white space, are 32,768 bytes for an inline policy in Identity
#: Center and 10,240 for a role in IAM. Escaped in JSON, each byte may take six characters.
LONGEST = 262_144
_LEGACY, _MODERN = "2008-10-17", "2012-10-17"
_KEYS = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})


@dataclass(frozen=True)
class PolicyStatement:
    """A statement. ``actions``: in lower case. All texts have the syntax of version 2012-10-17.

    ``source``: the policy and statement, in words. ``sid``: its Sid. ``legacy``: whether its text was converted from
    version 2008-10-17. These three are ignored in comparisons.
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
        """Whether it has a condition key or variable whose value depends, or can depend, on the principal."""
        return any(map(depends_on_principal, self.keys))

    @property
    def has_unknowns(self) -> bool:
        """Whether it has an operator, condition key or variable that AWS does not document."""
        operators = all(condition.is_known for condition in self.conditions)
        return not (operators and all(map(is_documented_key, self.keys)))

    @property
    def keys(self) -> frozenset[str]:
        """The condition keys (in lower case) that its conditions and variables read."""
        texts = [
            *self.resources.patterns,
            *(value for condition in self.conditions for value in condition.values),
        ]
        keys = (condition.key for condition in self.conditions if condition.operator != UNREAD)
        return frozenset(keys).union(*map(variables, texts))

    @property
    def allows(self) -> bool:
        """Whether its effect is Allow."""
        return self.effect == ALLOW


def parse_policy(document: Any, source: str) -> tuple[PolicyStatement, ...]:
    """The statements of a policy, in any form that ``parse_document`` accepts. ``source``: the policy, in words.

    Raises ValueError, with the source and what is wrong, for a policy that IAM rejects.
    """
    try:
        text = json.dumps(parse_document(document))
        if len(text) > LONGEST:
            raise ValueError(f"{len(text)} characters, and no policy in AWS has more than {LONGEST}")
        found = _parsed(text)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{source}: {error}") from error
    return tuple(replace(each, source=f"{source}, {each.source}") for each in found)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[PolicyStatement, ...]:
    """Cached, because many users have the same policies, and some AWS-managed policies are long."""
    document = json.loads(text)
    if has_reserved(json.dumps(document, ensure_ascii=False)):
        raise ValueError("a private-use character, which IAM does not allow in policies")
    legacy = _is_legacy(document)
    return tuple(
        _statement(data, f"statement {number}", legacy)
        for number, data in enumerate(statements_of(document), 1)
    )


def _is_legacy(document: Mapping[str, Any]) -> bool:
    version = document.get("Version", _LEGACY)
    if version not in (_LEGACY, _MODERN):
        raise ValueError(f"Version {quoted(version)} is neither {_LEGACY} nor {_MODERN}")
    return bool(version == _LEGACY)


def _statement(data: Mapping[str, Any], source: str, legacy: bool) -> PolicyStatement:
    unknown = sorted(set(data) - _KEYS)
    if unknown:
        raise ValueError(f"{', '.join(unknown)} in a statement, which identity-based policies can't have")
    if data.get("Effect") not in (ALLOW, DENY):
        raise ValueError(f"Effect {quoted(data.get('Effect'))} is neither Allow nor Deny")
    sid = str(data.get("Sid") or "")
    return PolicyStatement(
        data["Effect"],
        _element(data, "Action", str.lower),
        _element(data, "Resource", as_2012 if legacy else str),
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
        raise ValueError(f"{given[0]} has a value that is not a string")
    return Element(frozenset(form(value) for value in values), given[0] != name)


#: AWS-managed policies that only let an IAM user manage its own password and keys. They have no Deny.
IAM_USERS_ONLY = frozenset(
    {"IAMUserChangePassword", "IAMUserSSHKeys", "IAMSelfManageServiceSpecificCredentials"}
)


def managed_statements(policy: ManagedPolicy, source: str) -> tuple[PolicyStatement, ...]:
    """The statements of ``policy``. An unread AWS-managed policy allows and denies something unknown.

    That is the same on both sides of a comparison. ``source``: the policy, in words. Raises ValueError for an unread
    customer-managed policy, and for a policy that does not parse.
    """
    if policy.document is not None:
        return parse_policy(policy.document, source)
    if not policy.aws_managed:
        raise ValueError(
            f"the document of {source} ({policy.arn}) was not read: read the account again, with its customer-managed "
            "policies"
        )
    allowed = _unread(ALLOW, policy.arn, source)
    return (allowed,) if policy.name in IAM_USERS_ONLY else (allowed, _unread(DENY, policy.arn, source))


def _unread(effect: str, arn: str, source: str) -> PolicyStatement:
    # A request meets this condition if it matches the statements of the unread document.
    condition = Condition(UNREAD, f"{arn} ({effect})", ())
    return PolicyStatement(effect, EVERYTHING, EVERYTHING, frozenset({condition}), source)
