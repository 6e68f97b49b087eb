# SPDX-License-Identifier: Apache-2.0
"""Policy evaluation for one request at a time, from AWS's documentation alone; it shares no code with the package.

Sources, all of the IAM User Guide: "Policy evaluation logic", "IAM JSON policy elements: Action, NotAction, Resource,
NotResource, Condition operators, Version", "Single-valued and multivalued context keys", "Variables and tags". Where
the text leaves two readings, ``Interpretation`` says which one to take.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

Document = Mapping[str, Any]
#: Key in lower case -> its values in the request; a key that is missing from it is missing from the request.
Context = Mapping[str, tuple[str, ...]]
#: What a condition comes to that no documentation speaks of: operator, key -> whether it is met.
Unknown = Callable[[str, str], bool]

_PIECES = re.compile(r"\$\{([*?$])\}|\$\{\s*([^}*?$,\s][^},]*?)\s*(?:,\s*'([^']*)'\s*)?\}|(.)", re.DOTALL)


@dataclass(frozen=True)
class Interpretation:
    """``colons``: a wildcard amid a segment matches colons. ``whole``: a variable without value voids its statement.

    ``components``: ARN operators compare the six components of an ARN each by itself, not the text as a whole.
    """

    colons: bool = True
    whole: bool = False
    components: bool = True


@dataclass(frozen=True)
class Request:
    """``action`` in any case."""

    action: str
    resource: str
    context: Context


@dataclass(frozen=True)
class Names:
    """What policies can call a principal: ``unbounded``: ARNs of the user or session; ``bounded``: of the role."""

    account: str
    unbounded: frozenset[str]
    bounded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class OtherDocument:
    """A trust policy of the role ``resource``, or a control. ``everybody_direct``: whether ``*`` names principals."""

    document: Document
    resource: str
    is_control: bool = False
    everybody_direct: bool = True


class _Unresolved(Exception):
    """A variable has no value."""


@dataclass(frozen=True)
class Evaluator:
    """Evaluates by one reading; ``unknown`` answers for operators and keys in ``strange``."""

    reading: Interpretation = Interpretation()
    unknown: Unknown = lambda operator, key: False
    strange: frozenset[str] = frozenset()

    def granted(
        self, request: Request, policies: Sequence[Document], boundary: Document | None = None
    ) -> bool:
        """An explicit Deny ends it; else an Allow of a policy is needed, and one of the boundary if there is one."""
        own = {effect for policy in policies for effect in self._effects(policy, request)}
        limit = set(self._effects(boundary, request)) if boundary is not None else {"Allow"}
        return "Deny" not in own | limit and "Allow" in own and "Allow" in limit

    def granted_with(
        self, request: Request, own: Document, boundary: Document | None, other: OtherDocument, caller: Names
    ) -> bool:
        """By policies of the caller and the trust or service control policy ``other`` of the same account.

        "Policy evaluation logic", "Role trust policies": a principal that is named needs no policy of its own; the
        account, as principal, leaves the decision to the policies of its principals.
        """
        mine, limit = self._effects(own, request), ["Allow"]
        if boundary is not None:
            limit = self._effects(boundary, request)
        if other.is_control:
            theirs = self._effects(other.document, request)
            return "Deny" not in [*mine, *limit, *theirs] and all(
                "Allow" in each for each in (mine, limit, theirs)
            )
        direct = delegated = False
        for each in other.document["Statement"]:
            ways = self._ways(each, other, caller)
            plain = {key: value for key, value in each.items() if key not in ("Principal", "NotPrincipal")}
            if not (ways and self._applies({**plain, "Resource": [other.resource]}, request, True)):
                continue
            if each["Effect"] == "Deny":
                return False
            direct = direct or "unbounded" in ways or ("direct" in ways and "Allow" in limit)
            delegated = delegated or "account" in ways
        if "Deny" in [*mine, *limit]:
            return False
        return direct or (delegated and "Allow" in mine and "Allow" in limit)

    def _ways(self, statement: Mapping[str, Any], other: OtherDocument, caller: Names) -> set[str]:
        """How the statement is for the caller; empty if it is for others."""
        if "NotPrincipal" in statement:
            return {"direct", "account"} if self.unknown("NotPrincipal", "") else set()
        principal = statement["Principal"]
        names = ["*"] if principal == "*" else _listed(principal.get("AWS", []))
        ways = {"unbounded" for each in names if each in caller.unbounded}
        ways |= {"direct" for each in names if each in caller.bounded}
        ways |= {
            "account" for each in names if each in (caller.account, f"arn:aws:iam::{caller.account}:root")
        }
        return ways | ({"direct" if other.everybody_direct else "account"} if "*" in names else set())

    def _effects(self, policy: Document, request: Request) -> list[str]:
        listed = policy["Statement"]
        statements = listed if isinstance(listed, list) else [listed]
        modern = policy.get("Version") == "2012-10-17"
        return [each["Effect"] for each in statements if self._applies(each, request, modern)]

    def _applies(self, statement: Mapping[str, Any], request: Request, modern: bool) -> bool:
        if self.reading.whole and modern and not self._all_resolved(statement, request.context):
            return False
        return (
            self._of_action(statement, request)
            and self._of_resource(statement, request, modern)
            and all(
                self._meets(operator, key, _listed(values), request.context, modern)
                for operator, keys in statement.get("Condition", {}).items()
                for key, values in keys.items()
            )
        )

    def _of_action(self, statement: Mapping[str, Any], request: Request) -> bool:
        name = "Action" if "Action" in statement else "NotAction"
        hit = any(
            _expression(_literal(each.lower()), True).fullmatch(request.action.lower())
            for each in _listed(statement[name])
        )
        return hit == (name == "Action")

    def _of_resource(self, statement: Mapping[str, Any], request: Request, modern: bool) -> bool:
        name = "Resource" if "Resource" in statement else "NotResource"
        hit = any(self._hits(each, request, modern) for each in _listed(statement[name]))
        return hit == (name == "Resource")

    def _hits(self, pattern: str, request: Request, modern: bool) -> bool:
        try:
            pieces = self._pieces(pattern, request.context, modern)
        except _Unresolved:
            return False
        if pattern.startswith("arn:"):
            fields = 1 + sum(piece == (":", "") for piece in pieces)
            pieces += (((":", ""), ("*", "*")) * max(0, 6 - fields)) if fields < 6 else ()
        return _expression(pieces, self.reading.colons).fullmatch(request.resource) is not None

    def _pieces(self, pattern: str, context: Context, modern: bool) -> tuple[tuple[str, str | None], ...]:
        """Text and what it is: "*" and "?" are wildcards, "" a character of the pattern, None of a value."""
        if not modern:
            return _literal(pattern)
        found: list[tuple[str, str | None]] = []
        for escape, key, default, character in _PIECES.findall(pattern):
            if escape:
                found.append((escape, None))
            elif key:
                found += [(each, None) for each in _value(key, default, pattern, context)]
            else:
                found.append((character, character if character in "*?" else ""))
        return tuple(found)

    def _all_resolved(self, statement: Mapping[str, Any], context: Context) -> bool:
        texts = [*_listed(statement.get("Resource", statement.get("NotResource")))]
        texts += [
            value
            for keys in statement.get("Condition", {}).values()
            for values in keys.values()
            for value in _listed(values)
        ]
        try:
            for text in texts:
                self._pieces(str(text), context, True)
        except _Unresolved:
            return False
        return True

    def _meets(self, operator: str, key: str, values: list[Any], context: Context, modern: bool) -> bool:
        qualifier, _, name = operator.lower().rpartition(":")
        if_exists = name.endswith("ifexists")
        base = name.removesuffix("ifexists")
        if base not in _KNOWN or key.lower() in self.strange:
            return self.unknown(operator, key.lower())
        given = context.get(key.lower())
        if base == "null":
            return str(given is None).lower() in [str(each).lower() for each in values]
        negated = base.startswith("not") or "not" in base
        if given is None:
            return _without_key(qualifier, if_exists, negated)
        hits = [
            any(self._hit(base.replace("not", ""), each, one, context, modern) for each in values) != negated
            for one in given
        ]
        return all(hits) if qualifier == "forallvalues" else any(hits)

    def _hit(self, base: str, pattern: Any, value: str, context: Context, modern: bool) -> bool:
        if base in ("bool", "ipaddress") or base.startswith(("numeric", "date")):
            return _KNOWN[base](str(pattern), value)
        try:
            pieces = self._pieces(str(pattern), context, modern)
        except _Unresolved:
            return False
        plain = "".join(text for text, _ in pieces)
        if base == "stringequals":
            return plain == value
        if base == "stringequalsignorecase":
            return plain.lower() == value.lower()
        if base == "stringlike" or not self.reading.components:
            return _expression(pieces, True).fullmatch(value) is not None
        return _arns_match(pieces, value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _literal(pattern: str) -> tuple[tuple[str, str | None], ...]:
    return tuple((each, each if each in "*?" else "") for each in pattern)


def _value(key: str, default: str, pattern: str, context: Context) -> str:
    found = context.get(key.lower())
    if found is not None and len(found) == 1:
        return found[0]
    if default or ",'" in pattern.replace(" ", ""):
        return default
    raise _Unresolved


@lru_cache(maxsize=100_000)
def _expression(pieces: tuple[tuple[str, str | None], ...], colons: bool) -> re.Pattern[str]:
    parts = []
    for at, (text, wild) in enumerate(pieces):
        if not wild:
            parts.append(re.escape(text))
            continue
        following = next((each for each in pieces[at:] if each[1] != "*"), None)
        last = wild == "*" and (following is None or following == (":", ""))
        one = "." if colons or last else "[^:]"
        parts.append(f"{one}*" if wild == "*" else one)
    return re.compile("".join(parts), re.DOTALL)


def _arns_match(pieces: tuple[tuple[str, str | None], ...], value: str) -> bool:
    fields: list[list[tuple[str, str | None]]] = [[]]
    for piece in pieces:
        if piece == (":", "") and len(fields) < 6:
            fields.append([])
        else:
            fields[-1].append(piece)
    values = value.split(":", 5)
    return len(fields) == len(values) == 6 and all(
        _expression(tuple(field), True).fullmatch(each) for field, each in zip(fields, values, strict=True)
    )


def _without_key(qualifier: str, if_exists: bool, negated: bool) -> bool:
    if qualifier:
        return if_exists or qualifier == "forallvalues"
    return if_exists or negated


def _number(test: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def compared(wanted: str, value: str) -> bool:
        try:
            return test(float(value), float(wanted))
        except ValueError:
            return False

    return compared


def _moment(test: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def seconds(text: str) -> float:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()

    def compared(wanted: str, value: str) -> bool:
        try:
            return test(seconds(value), seconds(wanted))
        except ValueError:
            return False

    return compared


def _address(wanted: str, value: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    "equals": lambda value, wanted: value == wanted,
    "notequals": lambda value, wanted: value == wanted,
    "lessthan": lambda value, wanted: value < wanted,
    "lessthanequals": lambda value, wanted: value <= wanted,
    "greaterthan": lambda value, wanted: value > wanted,
    "greaterthanequals": lambda value, wanted: value >= wanted,
}


def _never(wanted: str, value: str) -> bool:
    raise AssertionError(wanted)


_KNOWN: Mapping[str, Callable[[str, str], bool]] = {
    **{f"numeric{name}": _number(test) for name, test in _ORDERS.items()},
    **{f"date{name}": _moment(test) for name, test in _ORDERS.items()},
    "bool": lambda wanted, value: wanted.lower() == value.lower(),
    "ipaddress": _address,
    "notipaddress": _address,
    **dict.fromkeys(
        (
            "stringequals stringnotequals stringequalsignorecase stringnotequalsignorecase stringlike stringnotlike "
            "arnequals arnlike arnnotequals arnnotlike null"
        ).split(),
        _never,
    ),
}
