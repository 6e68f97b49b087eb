# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.intents import (
    Intents,
    NotIntents,
    intents_data,
    intents_from,
    permission_set_data,
    permission_set_from,
)
from tests.access_center import ACCOUNT, AUDIT, WANTED
from tests.desired import intents, user

EXPLICIT = replace(
    intents(ACCOUNT, "alice", external=True, shared_group=True),
    users=(*intents(ACCOUNT, "alice").users, user(ACCOUNT, "robot", None, "no email")),
)
DERIVED = Intents(
    ACCOUNT,
    "derive",
    (replace(EXPLICIT.users[0], detail={"UserName": "alice", "GroupList": ["g"]}),),
    derive={"write-out": True},
    source=PolicySource({"g": {"GroupPolicyList": []}}, {AUDIT: {"Statement": []}}),
    place="here",
    time=EXPLICIT.time,
)


@pytest.mark.parametrize("given", [EXPLICIT, DERIVED], ids=["explicit", "derived"])
def test_there_and_back(given: Intents) -> None:
    assert intents_from(json.loads(json.dumps(intents_data(given))), given.place) == given


def test_a_permission_set_there_and_back() -> None:
    wanted = replace(WANTED, customer_policies=frozenset({"/a/b"}), boundary=AUDIT)
    assert permission_set_from(json.loads(json.dumps(permission_set_data(wanted)))) == wanted


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"schema": 1}, "schema 1 is not 2", id="earlier-version"),
        pytest.param({"schema": None}, "schema None is not 2", id="no-version"),
        pytest.param({"time": "yesterday"}, "time 'yesterday' is none", id="no-time"),
        pytest.param({"users": None}, "TypeError", id="no-users"),
        pytest.param({"derive": {}}, "either a permission set or its derivation", id="both-ways"),
        pytest.param({"permission-set": None}, "either a permission set or its derivation", id="neither-way"),
        pytest.param({"permission-set": {"name": "x"}}, "KeyError", id="half-a-set"),
        pytest.param({"identity-source": "okta"}, "KeyError: 'okta'", id="identity-source"),
        pytest.param(
            {"users": [{**intents_data(EXPLICIT)["users"][0], "problem": "x"}]},
            "must have either a person or a problem",
            id="person-and-problem",
        ),
    ],
)
def test_what_is_not_intents(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(NotIntents) as error:
        intents_from({**intents_data(EXPLICIT), **changes})
    assert told in str(error.value)
    assert "run the policy again" in str(error.value)


def test_what_is_not_even_an_object() -> None:
    with pytest.raises(NotIntents):
        intents_from([])
