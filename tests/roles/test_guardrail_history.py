# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib.util
import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.policy_comparison.evaluation import ALLOWED, EXPLICIT_DENY, Request, decision
from c7n_iamusers.roles import bearer_tokens as bearer_module
from c7n_iamusers.roles import guardrail as guardrail_module
from c7n_iamusers.roles.bearer_tokens import BEARER, BEDROCK, bearer_tokens
from c7n_iamusers.roles.guardrail import CREATING, FULL_ACCESS, guardrail
from c7n_iamusers.roles.guardrail_history import athena_query, denied_calls

pytestmark = pytest.mark.pure

ACCOUNT = "111122223333"
SPARED = ("IamUsersRemover", "emergency/*")
POLICY = guardrail(SPARED, ())


def role(name: str) -> dict[str, Any]:
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/x",
        "sessionContext": {"sessionIssuer": {"arn": arn}},
    }


USER = {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/ada"}
ROOT = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root"}


def event(
    identity: Any, name: str = "CreateAccessKey", time: str = "2026-11-25T09:00:00Z", **more: Any
) -> dict[str, Any]:
    return {"eventName": name, "eventTime": time, "userIdentity": identity, **more}


@pytest.mark.parametrize(
    ("given", "principal"),
    [
        pytest.param(event(USER), USER["arn"], id="user"),
        pytest.param(event(ROOT), ROOT["arn"], id="root"),
        pytest.param(event(role("Terraform")), f"arn:aws:iam::{ACCOUNT}:role/Terraform", id="role"),
        pytest.param(event({"type": "Unknown"}), "unknown (Unknown)", id="nobody named"),
        pytest.param(event(role("IamUsersRemover")), None, id="spared"),
        pytest.param(event(role("emergency/A")), None, id="spared by its path"),
        pytest.param(
            event(role("team/IamUsersRemover")),
            f"arn:aws:iam::{ACCOUNT}:role/team/IamUsersRemover",
            id="another path",
        ),
        pytest.param(event(role("aws-service-role/ses.amazonaws.com/S")), None, id="service-linked"),
        pytest.param(event(USER, errorCode="AccessDenied"), None, id="failed"),
        pytest.param(event(USER, "DeleteAccessKey"), None, id="stays open"),
    ],
)
def test_whose_calls_would_have_been_denied(given: dict[str, Any], principal: str | None) -> None:
    assert [each.principal for each in denied_calls(ACCOUNT, [given], POLICY)] == (
        [principal] if principal else []
    )


def test_calls_are_counted_by_who_made_them_and_through_what() -> None:
    stack = {**role("Deploy"), "invokedBy": "cloudformation.amazonaws.com"}
    given = [event(stack, time=f"2026-11-2{day}T09:00:00Z") for day in (3, 5, 4)] + [event(role("Deploy"))]
    first, second = denied_calls(ACCOUNT, given, POLICY)
    assert (first.through, first.count, first.last.day) == ("cloudformation.amazonaws.com", 3, 25)
    assert (second.through, second.count) == ("", 1)


def test_the_query_asks_for_the_same() -> None:
    text = athena_query("default.trail", SPARED, "aws")
    assert {f"iam:{each}" for each in re.findall(r"'([A-Z]\w+)'", text)} == set(CREATING)
    (pattern,) = re.findall(r"'(\^arn.*\$)'", text)
    for name, spared in (
        ("IamUsersRemover", True),
        ("emergency/a/B", True),
        ("aws-service-role/x/Y", True),
        ("IamUsersRemover2", False),
        ("team/IamUsersRemover", False),
    ):
        assert bool(re.search(pattern, f"arn:aws:iam::{ACCOUNT}:role/{name}")) == spared


def test_every_service_that_takes_bearer_tokens_is_denied() -> None:
    """By the Service Authorization Reference, as cfn-lint has it."""
    spec = importlib.util.find_spec("cfnlint")
    assert spec
    assert spec.origin
    path = Path(spec.origin).parent / "data" / "AdditionalSpecs" / "Policies.json"
    services = json.loads(path.read_text())
    known = {f"{name}:{action}" for name, each in services.items() for action in each["Actions"]}
    ours = {each.lower() for each in (*BEARER, BEDROCK)}
    assert ours <= known
    assert {each for each in known if each.endswith(":callwithbearertoken")} <= ours


@pytest.mark.parametrize(
    ("action", "context", "wanted"),
    [
        pytest.param("logs:CallWithBearerToken", {}, EXPLICIT_DENY, id="logs"),
        pytest.param("lightsail:CreateBucketAccessKey", {}, EXPLICIT_DENY, id="bucket"),
        pytest.param(BEDROCK, {"bedrock:bearertokentype": "LONG_TERM"}, EXPLICIT_DENY, id="long-term"),
        pytest.param(BEDROCK, {}, EXPLICIT_DENY, id="of no type"),
        pytest.param(BEDROCK, {"bedrock:bearertokentype": "SHORT_TERM"}, ALLOWED, id="short-term"),
        pytest.param("bedrock:InvokeModel", {}, ALLOWED, id="signed"),
    ],
)
def test_bearer_tokens_are_denied(action: str, context: dict[str, str], wanted: str) -> None:
    policy = bearer_tokens(SPARED)
    request = Request(action, "*", {"aws:principalarn": USER["arn"], **context})
    assert decision(request, (FULL_ACCESS, policy.document)) == wanted
    spared = Request(
        action, "*", {"aws:principalarn": f"arn:aws:iam::{ACCOUNT}:role/IamUsersRemover", **context}
    )
    assert decision(spared, (FULL_ACCESS, policy.document)) == ALLOWED
    assert policy.checks > 0


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidPolicyData, match="is not the name of a role"):
        bearer_tokens(("*",))


def test_the_guide_says_what_the_policy_decides() -> None:
    """Each row of its table: all calls of it are denied, or all are allowed."""
    text = (Path(__file__).parents[2] / "docs" / "guardrail.md").read_text()
    table = [line for line in text.splitlines() if line.startswith("|") and "`iam:" in line]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]
    assert len(rows) >= 11
    principals = {"central root": ROOT["arn"]}
    for who, calls, told in rows:
        if told == "not bound":
            continue
        principal = next((arn for name, arn in principals.items() if who.startswith(name)), USER["arn"])
        wanted = EXPLICIT_DENY if told.startswith("denied") else ALLOWED
        for action in re.findall(r"`(iam:\w+)`", calls):
            request = Request(action, "*", {"aws:principalarn": principal})
            assert decision(request, (FULL_ACCESS, POLICY.document)) == wanted, (who, action)


@pytest.mark.parametrize("more", [0, 1], ids=["as-long-as-may-be", "too-long"])
def test_a_policy_has_no_more_characters_than_aws_takes(monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    tokens = bearer_tokens(SPARED)
    for module, length in ((bearer_module, tokens.length), (guardrail_module, POLICY.length)):
        monkeypatch.setattr(module, "LONGEST", length - more)
    assert tokens.length == len(json.dumps(tokens.document, indent=2))
    assert POLICY.length == len(json.dumps(POLICY.document, indent=2))
    with pytest.raises(InvalidPolicyData, match="characters, and") if more else nullcontext():
        bearer_tokens(SPARED)
    with pytest.raises(InvalidPolicyData, match="characters, and") if more else nullcontext():
        guardrail(SPARED, ())


def test_an_event_without_a_time_or_an_identity() -> None:
    found = denied_calls(ACCOUNT, [event(USER, time="soon"), event(None), event(USER)], POLICY)
    assert [(each.count, each.principal) for each in found] == [(1, USER["arn"]), (1, "unknown (None)")]
