# SPDX-License-Identifier: Apache-2.0
"""Conditions of every operator over texts that somebody chose to break the comparison."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c7n_iamusers.derivation.model import DerivationOptions
from c7n_iamusers.derivation.proving import old_policies
from c7n_iamusers.derivation.user_derivation import UserDeriver
from c7n_iamusers.iam.policy_documents import AppliedPolicy
from c7n_iamusers.policy_comparison.administrators import admin_policies
from c7n_iamusers.policy_comparison.comparison import compare
from c7n_iamusers.policy_comparison.conditions import (
    _BASES,
    _OPERATORS,
    outcomes,
    outcomes_by_pattern,
    parse_conditions,
)
from c7n_iamusers.policy_comparison.evaluation import Request, decision, undecided
from c7n_iamusers.policy_comparison.principals import principal_permissions, user_context
from c7n_iamusers.policy_comparison.trusted_users import TrustIndex
from tests.examples import examples, share
from tests.records import ACCOUNT, user

#: Texts that Python's own readers of numbers, times, addresses, encodings and patterns raise different errors for.
HOSTILE = (
    *("9" * digits for digits in (11, 12, 13, 17, 18, 19, 20, 4_301, 5_000)),
    *(
        "-1",
        "-9999999999999999999",
        "1e400",
        "-1e400",
        "nan",
        "inf",
        "Infinity",
        "0x10",
        "1_000",
        "+1",
        "\u0665" * 20,
    ),
    *(
        "\u00b2",
        "2030-13-45",
        "2030-01-01T25:00",
        "2030-01-01T24:00:00",
        "20300101",
        "2030-W01-1",
        "2030",
        "24:00",
    ),
    *(
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2030-01-01T00:00:00Z[x]",
        "2030-01-01T23:59:60Z",
    ),
    *("1767225600000000000", "253402300800", "2030-01-01T00:00:00+99:99", "ZZZZ", "Z"),
    *(
        "10.0.0.0/33",
        "::/200",
        "1.2.3.4.5",
        "fe80::1%eth0",
        "0/0",
        "[::1",
        "AAAA=",
        "====",
        "\ud800",
        "\x00",
        "\ue000",
    ),
    *(
        "",
        "*",
        "?" * 50,
        "**",
        "arn:*",
        "::::::",
        "arn:aws:iam::*:user/*",
        "[",
        "(?i)",
        "\\",
        "%",
        "{",
        "{0}",
        "%s",
    ),
    *(
        "${",
        "${}",
        "${*}",
        "$${}",
        "${aws:username",
        "${aws:PrincipalTag/}",
        "${aws:PrincipalTag/x, '${'}",
        "${a,'",
    ),
)
KEYS = ("aws:PrincipalTag/x", "aws:username", "aws:PrincipalArn", "aws:CurrentTime", "aws:SourceIp")
NUMBERS: tuple[Any, ...] = (float("inf"), float("nan"), 1e400, -0.0, 10**400, True)


@pytest.mark.parametrize("operator", [*_BASES, "Null", "ForAnyValue:DateLessThanIfExists", "Invented"])
def test_no_text_raises_anything(operator: str) -> None:
    for number, value in enumerate((*HOSTILE, *NUMBERS)):
        (condition,) = parse_conditions({operator: {"k": [value]}}, legacy=False)
        assert all(outcomes(condition, frozenset({text, None})) for text in share(HOSTILE, number))
    (condition,) = parse_conditions({operator: {"k": list(HOSTILE)}}, legacy=False)
    assert all(outcomes(condition, frozenset({text})) for text in HOSTILE)


@pytest.mark.parametrize("value", [10**5_000, None, {}, []], ids=["long-number", "null", "object", "list"])
def test_what_has_no_text_is_no_condition(value: Any) -> None:
    with pytest.raises(ValueError, match=r"condition's value|digits"):
        parse_conditions({"StringEquals": {"k": [value]}}, legacy=False)


@pytest.mark.parametrize(
    "operator", ["StringLike", "StringNotEqualsIgnoreCase", "ArnLike", "Null", "DateLessThan"]
)
def test_no_pattern_raises_anything(operator: str) -> None:
    (condition,) = parse_conditions({operator: {"k": [*HOSTILE[:3], *HOSTILE[20:]]}}, legacy=False)
    assert all(
        outcomes_by_pattern(condition, frozenset({text})) for text in ("*", "arn:aws:iam::*:user/*", "x")
    )


@settings(
    max_examples=examples(120),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
@given(
    st.sampled_from(sorted(_OPERATORS.values())),
    st.sampled_from(KEYS),
    st.lists(st.sampled_from((*HOSTILE, *NUMBERS)) | st.text(max_size=30), min_size=1, max_size=3),
    st.sampled_from(HOSTILE) | st.text(max_size=30),
)
def test_whoever_compares_users_answers(operator: str, key: str, values: list[Any], tag: str) -> None:
    on = {operator: {key: values}}
    allow = {
        "Effect": "Allow",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::b/${aws:username}/*"],
        "Condition": on,
    }
    deny = {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*", "Condition": on}
    document = {"Version": "2012-10-17", "Statement": [allow, deny]}
    one = user(tags={"x": tag})
    inline = {"UserPolicyList": [{"PolicyName": "p", "PolicyDocument": document}]}
    detail = {**one.detail, **inline, "GroupList": [], "AttachedManagedPolicies": []}
    trust = {**document, "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Condition": on}]}
    found = TrustIndex([{"Arn": "role", "AssumeRolePolicyDocument": trust}]).of(one)
    assert (found.unknown, found.roles) in (("", ()), ("", ("role",)))
    principal = principal_permissions(detail, {}, {}, "alice@example.com")
    derived = UserDeriver(DerivationOptions()).of(principal)
    assert derived.reason or derived.proof
    admin_policies([AppliedPolicy("p", "", "", document)])
    request = Request(
        "s3:GetObject", "arn:aws:s3:::b/k", {"aws:username": "alice", "aws:principaltag/x": tag}
    )
    try:
        policies = old_policies(principal)
        assert decision(request, [document])
    except ValueError:  # what IAM rejects
        assert "inline policy p" in derived.reason
        return
    context = user_context(principal)
    assert compare(policies, context, policies, context)[0]
    undecided(request, [document])
