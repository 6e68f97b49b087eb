# SPDX-License-Identifier: Apache-2.0
"""What test processes remember of valid policies makes no difference to which are refused."""

from __future__ import annotations

from typing import Any

from c7n.loader import SchemaValidator
from c7n.resources import load_resources

USERS: Any = {"policies": [{"name": "x", "resource": "aws.iam-user"}]}
TWICE: Any = {"policies": USERS["policies"] * 2}


def test_a_fault_is_found_each_time_and_no_other_schema_is_taken_for_it() -> None:
    load_resources(["aws.iam-user", "aws.iam-role"])
    validator = SchemaValidator()
    for _ in range(2):
        assert validator.validate(USERS) == []
        assert validator.validate({"policies": [{**USERS["policies"][0], "actions": ["nobody"]}]})
        assert validator.validate(TWICE)
        assert validator.validate(USERS, ["aws.iam-role"])
