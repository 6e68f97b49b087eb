# SPDX-License-Identifier: Apache-2.0
"""Remembers, for a whole test process, which policies are valid by the schema of their resources.

Many commands read the same shipped policies, and jsonschema takes longer for them than a command for all else. What is
remembered depends on a schema and on the policies alone, so tests see no difference; a fault is found anew each time.
"""

from __future__ import annotations

from typing import Any

from c7n.loader import SchemaValidator

#: How many policies are kept.
_MANY = 2_000


def install() -> None:
    """Patch Cloud Custodian in this process, for good."""
    validator: Any = SchemaValidator
    validator._validate = _remembered(validator._validate)


def _remembered(validate: Any) -> Any:
    #: the schema is kept too, so that no other takes its id
    known: dict[tuple[int, str], Any] = {}

    def validated(self: Any, policy_data: Any) -> Any:
        key = (id(self.validator), repr(policy_data))
        if key in known:
            return []
        faults = validate(self, policy_data)
        if not faults:
            if len(known) >= _MANY:
                known.clear()
            known[key] = self.validator
        return faults

    return validated
