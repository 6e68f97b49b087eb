# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.requests import intents as requests
from c7n_iamusers.identity_center.requests.intents import (
    Intents,
    NotIntents,
    check_intents,
    intents_data,
    intents_from,
    permission_set_data,
    permission_set_from,
)
from tests.access_center import ACCOUNT, AUDIT, OTHER_ACCOUNT, WANTED
from tests.desired import intents, readers, user

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
    requested = replace(WANTED, customer_policies=frozenset({"/a/b"}), boundary=AUDIT)
    assert permission_set_from(json.loads(json.dumps(permission_set_data(requested)))) == requested


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"schema": 1}, "schema 1 is not 3", id="earlier-version"),
        pytest.param({"schema": None}, "schema None is not 3", id="no-version"),
        pytest.param({"time": "yesterday"}, "time 'yesterday' is not a time", id="no-time"),
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
    assert "run the policies again" in str(error.value)


def test_what_is_not_even_an_object() -> None:
    with pytest.raises(NotIntents):
        intents_from([])


ARN = f"arn:aws:iam::{ACCOUNT}:user/eng/alice"
DETAIL = {
    "UserName": "alice",
    "UserId": "AIDA111122223333ALICE",
    "Arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
    "UserPolicyList": [{"PolicyName": "P", "PolicyDocument": {"Statement": []}}],
    "GroupList": ["team"],
    "AttachedManagedPolicies": [{"PolicyName": "SecurityAudit", "PolicyArn": AUDIT}],
    "PermissionsBoundary": {"PermissionsBoundaryArn": AUDIT, "PermissionsBoundaryType": "Policy"},
    "Tags": [{"Key": "Email", "Value": "alice@example.com"}],
}
OPTIONS = {
    "session-duration": "PT12H",
    "policies-per-role": 20,
    "write-out": True,
    "group-by": "people",
    "accept": [
        {"account": ACCOUNT, "user": "bob", "verdict": "wider", "remark": "r", "expires": "2027-01-31"}
    ],
}


def explicit() -> dict[str, Any]:
    """Intents of a permission set, as a file has them."""
    requested = replace(readers(), customer_policies=frozenset({"/team/Auditor"}), boundary=AUDIT)
    found = intents(ACCOUNT, "alice", permission_set=requested)
    robot = user(ACCOUNT, "robot", None, "no email")
    data: dict[str, Any] = json.loads(json.dumps(intents_data(replace(found, users=(*found.users, robot)))))
    return data


def derived() -> dict[str, Any]:
    """Intents that ask for derivation."""
    source = PolicySource(
        {"team": {"GroupPolicyList": [], "AttachedManagedPolicies": []}},
        {AUDIT: {"Statement": []}, f"arn:aws:iam::{ACCOUNT}:policy/team/P": "{}"},
    )
    found = intents(ACCOUNT, "alice", permission_set=None, group="", derive=OPTIONS, source=source)
    users = (replace(found.users[0], detail=DETAIL),)
    data: dict[str, Any] = json.loads(json.dumps(intents_data(replace(found, users=users))))
    return data


def test_what_the_action_writes_is_taken() -> None:
    check_intents(explicit())
    check_intents(derived())


@pytest.mark.parametrize(
    ("whole", "path", "value", "told"),
    [
        pytest.param(explicit, "account", OTHER_ACCOUNT, "as the intents say", id="another-account"),
        pytest.param(explicit, "account", 111122223333, "account must be a text, not int", id="account-number"),
        pytest.param(explicit, "users.0.arn", f"arn:aws:iam::{OTHER_ACCOUNT}:user/alice", "not the ARN", id="arn"),
        pytest.param(explicit, "users.0.user", "bob", "is not the ARN of user bob", id="user"),
        pytest.param(explicit, "users.0.arn", "x", "arn 'x' must match", id="no-arn"),
        pytest.param(explicit, "users.1", explicit()["users"][0], "is a duplicate", id="one-user-twice"),
        pytest.param(explicit, "users.0.person.email", "x" * 255, "3 to 254 characters", id="email-long"),
        pytest.param(explicit, "users.0.person", [], "person must be an object, not list", id="person-list"),
        pytest.param(explicit, "users.0.admin", True, "has 'admin', which nothing reads", id="unknown-key"),
        pytest.param(explicit, "users", {}, "users must be a list, not dict", id="users-object"),
        pytest.param(explicit, "users.0", None, "must be an object, not NoneType", id="user-null"),
        pytest.param(explicit, "permission-set.session_duration", "PT99H", "from PT1H to PT12H", id="99-hours"),
        pytest.param(explicit, "permission-set.session_duration", "PT59M", "from PT1H to PT12H", id="59-minutes"),
        pytest.param(explicit, "permission-set.name", "x" * 33, "name must|must match", id="name-long"),
        pytest.param(explicit, "permission-set.name", "a b", "must match", id="name-with-space"),
        pytest.param(explicit, "permission-set.managed_policies", ["Administrator"], "must match", id="no-policy"),
        pytest.param(explicit, "permission-set.inline_policy", "x" * 32_769, "0 to 32768", id="inline-long"),
        pytest.param(explicit, "permission-set.inline_policy", {}, "must be a text, not dict", id="inline-object"),
        pytest.param(explicit, "permission-set.tags", {}, "lacks c7n-iamusers=managed", id="not-ours"),
        pytest.param(explicit, "permission-set.boundary", None, "must be a text", id="boundary-null"),
        pytest.param(explicit, "shared-group", 1, "must be one of True, False", id="number-for-truth"),
        pytest.param(explicit, "identity-source", "okta", "must be one of", id="identity-source"),
        pytest.param(explicit, "policy", "../../x", "must match", id="policy-path"),
        pytest.param(explicit, "time", None, "time must be a text", id="no-time"),
        pytest.param(explicit, "schema", 1, "schema 1 is not 3: run the policies again", id="earlier-version"),
        pytest.param(derived, "users.0.detail.UserId", "AIDAOTHER", "detail belongs to", id="detail-of-another"),
        pytest.param(derived, "users.0.detail.Tags", [{"Key": "a"}], "lacks Value", id="tag-without-value"),
        pytest.param(
            derived, "users.0.detail.AttachedManagedPolicies", [{"PolicyArn": 1}], "must be a text", id="attached"
        ),
        pytest.param(derived, "users.0.detail.UserPolicyList", [None], "must be an object", id="inline-null"),
        pytest.param(derived, "derive.session-duration", "PT99H", "from PT1H to PT12H", id="derived-99-hours"),
        pytest.param(derived, "derive.policies-per-role", 0, "a whole number from 1", id="no-policies"),
        pytest.param(derived, "derive.policies-per-role", True, "a whole number", id="truth-for-number"),
        pytest.param(
            derived, "derive.accept", [{"user": "a"}], "exactly the keys account, user", id="half-an-acceptance"
        ),
        pytest.param(
            derived, "policies", {f"arn:aws:iam::{OTHER_ACCOUNT}:policy/P": {}}, "not of account", id="policy-not-ours"
        ),
        pytest.param(derived, "policies", {AUDIT: 1}, "must be a policy document, not int", id="document"),
        pytest.param(derived, "groups", {"team": {}}, "lacks AttachedManagedPolicies, GroupPolicyList", id="group"),
    ],
)  # fmt: skip
def test_claims_that_can_not_be(
    whole: Callable[[], dict[str, Any]], path: str, value: Any, told: str
) -> None:
    data: Any = whole()
    at, *keys = (int(key) if key.isdigit() else key for key in path.split("."))
    place, last = data, at
    for key in keys:
        place, last = place[last], key
    place[last] = value
    with pytest.raises(NotIntents, match=told) as error:
        check_intents(data)
    assert "run the policies again" in str(error.value)


@pytest.mark.parametrize("data", [None, [], "x", 1, {}], ids=str)
def test_a_check_of_what_is_not_even_an_object(data: Any) -> None:
    with pytest.raises(NotIntents, match="schema None is not 3"):
        check_intents(data)


def test_as_many_policies_as_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    data = derived()
    monkeypatch.setattr(requests, "_POLICIES", len(data["policies"]))
    check_intents(data)
    monkeypatch.setattr(requests, "_POLICIES", len(data["policies"]) - 1)
    with pytest.raises(NotIntents, match=r"intents\.policies has more than 1"):
        check_intents(data)


def test_more_users_than_an_account_can_have() -> None:
    data = explicit()
    data["users"] = data["users"][:1] * 5001
    with pytest.raises(NotIntents, match="at most 5000 entries, not 5001"):
        check_intents(data)
