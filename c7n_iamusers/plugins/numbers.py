# SPDX-License-Identifier: Apache-2.0
"""Numbers of a policy that may come from a variable, such as ``noticed: "{announce_days}"``.

Cloud Custodian checks a policy's schema before it fills in variables, and not afterwards. A variable that is the whole
text keeps its type, so a number under ``vars`` stays one. An undefined variable stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError

#: Days of a century. Python has no dates that are far away.
LARGEST = 36_500
_VARIABLE = {"type": "string", "pattern": r"^\{[A-Za-z_]\w*\}$"}


def or_variable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a number that may also be a variable. ``schema``: of the number itself."""
    return {"anyOf": [dict(schema), _VARIABLE]}


def is_variable(value: Any) -> bool:
    """Whether ``value`` is a variable and nothing else, which Cloud Custodian has not filled in."""
    return isinstance(value, str) and re.search(_VARIABLE["pattern"], value) is not None


def check_numbers(plugin: Any, error: type[PolicyValidationError] | type[PolicyExecutionError]) -> None:
    """Raises ``error`` where an option of ``plugin`` is not the number that its schema asks for.

    PolicyValidationError leaves variables out, since ``custodian validate`` fills in none. With PolicyExecutionError,
    right before the action, each must have its number.
    """
    manager, validating = plugin.manager, error is PolicyValidationError
    for key, schema in plugin.schema["properties"].items():
        number, *others = schema.get("anyOf", ({},))
        if key not in plugin.data or _VARIABLE not in others:
            continue
        value = plugin.data[key]
        if _fits(value, number) or (validating and is_variable(value)):
            continue
        raise error(
            f"policy {manager.data.get('name')}: {plugin.type}: {key} is {value!r}, and must be {_described(number)}. "
            "Nothing was touched: where it is a variable, define it under vars in accounts.yml, or in the file "
            "of custodian run --vars-file, as a number without quotes"
        )


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    kinds = int if schema["type"] == "integer" else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not value <= LARGEST:
        return False
    above = schema.get("exclusiveMinimum")
    return bool(value > above if above is not None else value >= schema["minimum"])


def _described(schema: Mapping[str, Any]) -> str:
    kind = "a whole number" if schema["type"] == "integer" else "a number"
    least = "above 0" if "exclusiveMinimum" in schema else "from 0"
    return f"{kind} {least} to {LARGEST}"
