# SPDX-License-Identifier: Apache-2.0
"""Policy evaluation for one request at a time, written from AWS's rules and sharing no code with the package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

Document = Mapping[str, Any]
Context = Mapping[str, str]

_VARIABLE = re.compile(r"\$\{([A-Za-z0-9:/]+)\}")


def granted(
    action: str,
    resource: str,
    context: Context,
    policies: Iterable[Document],
    boundary: Document | None = None,
) -> bool:
    """Whether IAM would let the request pass; the keys of ``context`` are in lower case."""
    own = [each for policy in policies for each in _statements(policy, context)]
    limits = _statements(boundary, context) if boundary is not None else []
    hits = [each["Effect"] for each in own if _applies(each, action, resource, context)]
    limit_hits = [each["Effect"] for each in limits if _applies(each, action, resource, context)]
    if "Deny" in hits or "Deny" in limit_hits:
        return False
    return "Allow" in hits and (boundary is None or "Allow" in limit_hits)


def _statements(policy: Document, context: Context) -> list[Mapping[str, Any]]:
    """Those whose variables, which only the later version of the language has, can all be resolved."""
    if policy.get("Version") != "2012-10-17":
        return list(policy["Statement"])
    texts = [json.dumps(each) for each in policy["Statement"]]
    known = [text for text in texts if all(key.lower() in context for key in _VARIABLE.findall(text))]
    return [json.loads(_VARIABLE.sub(lambda found: context[found.group(1).lower()], text)) for text in known]


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    return (
        _in_element(statement, "Action", action.lower())
        and _in_element(statement, "Resource", resource)
        and all(
            _meets(operator, context.get(key.lower()), _listed(values))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _in_element(statement: Mapping[str, Any], name: str, text: str) -> bool:
    patterns = _listed(statement.get(name, statement.get(f"Not{name}")))
    hit = any(_like(pattern.lower() if name == "Action" else pattern, text) for pattern in patterns)
    return hit == (name in statement)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _like(pattern: str, text: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _meets(operator: str, value: str | None, values: list[str]) -> bool:
    if operator == "Null":
        return str(value is None).lower() in values
    base = operator.removesuffix("IfExists")
    if value is None:
        return base != operator or "Not" in base
    hit = any(_like(each, value) if "Like" in base else each == value for each in values)
    return hit != ("Not" in base)
