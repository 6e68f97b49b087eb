# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import jsonschema
import pytest

from c7n_iamusers.decisions.deletion import plan_deletion
from c7n_iamusers.exceptions import PlanInvalid
from c7n_iamusers.model.deletion_plan import SCHEMA, DeletionPlan, PlannedDeletion
from tests.records import ACCOUNT, EVERYTHING, user

MADE = datetime(2026, 11, 24, tzinfo=timezone.utc)
ALICE, BOB = user(**EVERYTHING), user("bob", unique_id="AIDABOB")
PLANNED = PlannedDeletion(ALICE.subject, "0" * 64, plan_deletion(ALICE).calls, ALICE.counts())
SPARED = PlannedDeletion(BOB.subject, skipped="exempt")
PLAN = DeletionPlan(ACCOUNT, "iam-users-delete", MADE, (PLANNED, SPARED))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_what_was_written_comes_back() -> None:
    found = DeletionPlan.from_json(PLAN.as_json())
    calls = tuple(replace(call, done_codes=frozenset(), save={}) for call in PLANNED.calls)
    assert found == replace(PLAN, made=MADE.isoformat(), users=(replace(PLANNED, calls=calls), SPARED))


def test_a_user_is_found_by_what_it_is_and_not_by_its_name() -> None:
    assert PLAN.of(ALICE.subject) == PLANNED
    assert PLAN.of(replace(ALICE.subject, unique_id="AIDAREBORN")) is None


def broken(**changes: Any) -> str:
    return json.dumps({**json.loads(PLAN.as_json()), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "nor JSON", id="torn"),
        pytest.param("[]", "the whole", id="list"),
        pytest.param(broken(schema_version=9), r"\['schema_version'\]", id="version"),
        pytest.param(broken(users=[{}]), r"\['users'\]\[0\]: 'user' is a required", id="user"),
        pytest.param(broken(more=1), "'more' was unexpected", id="more"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, message: str) -> None:
    with pytest.raises(PlanInvalid, match=message):
        DeletionPlan.from_json(text)


@pytest.mark.parametrize("text", ["[]", "{}", broken(users=[{}])])
def test_without_the_library_what_is_missing_is_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """As in AWS Lambda, whose archive carries no libraries."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    assert DeletionPlan.from_json(PLAN.as_json()).account_id == ACCOUNT
    with pytest.raises(PlanInvalid, match=r"not a plan of deletions of version 1: (Key|Type)Error"):
        DeletionPlan.from_json(text)
