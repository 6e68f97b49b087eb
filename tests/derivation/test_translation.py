# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.derivation.canonical import written
from c7n_iamusers.derivation.model import DerivationOptions
from c7n_iamusers.derivation.user_policies import StatementTranslation, translate, variable_translation
from c7n_iamusers.policy_comparison.comparison import CARRIED, LEFT_OUT, TRANSLATED
from c7n_iamusers.policy_comparison.principals import user_context
from c7n_iamusers.policy_comparison.statements import parse_policy
from tests.derivation.users import HOME, WITH_MFA, WITHOUT_MFA, allow, deny, document, user

pytestmark = pytest.mark.pure

ALICE = user(tags={"Team": "core"}, person="alice")
PLAIN, MFA = DerivationOptions(), DerivationOptions(identity_center_mfa=True)
WRITE_OUT, TAGGED = DerivationOptions(write_out=True), DerivationOptions(username_tag="UserName")
SHARED, TEAM = "arn:aws:s3:::shared/*", "arn:aws:s3:::${aws:PrincipalTag/Team}/*"


def translated(
    statement: dict[str, Any],
    options: DerivationOptions = PLAIN,
    version: str = "2012-10-17",
    person: str = "alice",
) -> StatementTranslation:
    principal = replace(ALICE, person=person)
    (parsed,) = parse_policy(document(statement, version=version), "p")
    context = user_context(principal, options.identity_center_mfa)
    return translate(parsed, context, variable_translation(principal, options, context))


def condition(operator: str, key: str, *values: str) -> dict[str, Any]:
    return {"Condition": {operator: {key: list(values)}}}


def elements(statement: dict[str, Any]) -> dict[str, Any]:
    """A statement as it is written in canonical form."""
    (parsed,) = parse_policy(document(statement), "p")
    return written(parsed)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(allow("s3:Get*", SHARED), id="allow"),
        pytest.param(deny("s3:Get*", SHARED), id="deny"),
        pytest.param(
            allow("s3:*", **condition("StringEquals", "aws:RequestedRegion", "us-east-1")), id="region"
        ),
        pytest.param(allow("s3:*", **condition("StringLike", "aws:SourceIp", "10.*")), id="source-ip"),
        pytest.param(allow("s3:*", "arn:aws:s3:::${aws:PrincipalAccount}/*"), id="same-variable-by-any-way"),
        pytest.param(
            allow("s3:*", **condition("StringEquals", "aws:ResourceTag/Team", "core")), id="resource-tag"
        ),
    ],
)
def test_what_means_the_same_by_any_way_in_is_carried_as_it_is(statement: dict[str, Any]) -> None:
    result = translated(statement)
    assert (result.how, result.translated, result.remarks) == (CARRIED, result.original, ())


@pytest.mark.parametrize(
    ("statement", "options", "remark"),
    [
        pytest.param(allow("s3:*", **WITH_MFA), PLAIN, "condition-changes", id="allow-with-mfa"),
        pytest.param(deny("s3:*", **WITHOUT_MFA), PLAIN, "deny-lost", id="force-mfa"),
        pytest.param(deny("s3:*", **WITHOUT_MFA), MFA, "never-applies", id="force-mfa-where-mfa-is-certain"),
        pytest.param(
            allow("s3:*", **condition("NumericLessThan", "aws:MultiFactorAuthAge", "300")), MFA,
            "condition-changes", id="age-of-mfa",
        ),
        pytest.param(
            deny("s3:*", **condition("NumericGreaterThan", "aws:MultiFactorAuthAge", "300")), MFA,
            "deny-lost", id="deny-by-age-of-mfa",
        ),
        pytest.param(
            allow("s3:*", **condition("StringEquals", "aws:username", "bob")), PLAIN, "never-applies",
            id="somebody-else",
        ),
        pytest.param(
            deny("s3:*", **condition("StringNotEquals", "aws:username", "alice")), PLAIN, "never-applies",
            id="deny-to-all-but-this-one",
        ),
        pytest.param(
            deny("s3:*", **condition("DateLessThan", "aws:TokenIssueTime", "2020-01-01T00:00:00Z")), PLAIN,
            "deny-lost", id="token-issue-time",
        ),
        pytest.param(allow("s3:*", HOME), PLAIN, "variable-left-out", id="own-folder"),
        pytest.param(allow("s3:*", TEAM), PLAIN, "variable-left-out", id="folder-of-the-team"),
        pytest.param(
            allow("s3:List*", **condition("StringLike", "s3:prefix", "${aws:username}/*")), PLAIN,
            "variable-left-out", id="own-prefix",
        ),
        pytest.param(
            allow("s3:List*", **condition("StringNotLike", "s3:prefix", "${aws:username}/*", "a")), PLAIN,
            "variable-left-out", id="all-but-the-own-prefix",
        ),
        pytest.param(
            allow("s3:*", **condition("StringEquals", "aws:ResourceTag/Owner", "${aws:userid}")), PLAIN,
            "variable-left-out", id="owner-by-user-id",
        ),
    ],
)  # fmt: skip
def test_what_is_left_out_is_told(statement: dict[str, Any], options: DerivationOptions, remark: str) -> None:
    result = translated(statement, options)
    assert (result.how, result.translated) == (LEFT_OUT, None)
    assert [each.id for each in result.remarks] == [remark]
    assert result.remarks[0].source == "p, statement 1"
    assert bool(result.remarks[0].remedy) == (remark != "never-applies")


@pytest.mark.parametrize(
    ("statement", "options", "expected", "remark"),
    [
        pytest.param(
            allow("s3:*", **WITH_MFA), MFA, allow("s3:*"), "condition-settled", id="allow-where-mfa-is-certain"
        ),
        pytest.param(
            allow("s3:*", **condition("StringEquals", "aws:PrincipalTag/Team", "core")), PLAIN, allow("s3:*"),
            "condition-settled", id="own-tag",
        ),
        pytest.param(
            deny("s3:*", **condition("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/admin")), PLAIN,
            deny("s3:*"), "condition-settled", id="deny-to-all-but-a-role",
        ),
        pytest.param(
            allow("s3:*", f"{HOME} {SHARED}"), PLAIN, allow("s3:*", SHARED), "variable-left-out",
            id="the-other-resource-stays",
        ),
        pytest.param(
            {"Effect": "Allow", "Action": "s3:*", "NotResource": [HOME, SHARED]}, PLAIN,
            {"Effect": "Allow", "Action": "s3:*", "NotResource": ["arn:aws:s3:::home/*/*", SHARED]},
            "variable-left-out", id="an-exception-grows",
        ),
        pytest.param(
            deny("s3:*", HOME), PLAIN, deny("s3:*", "arn:aws:s3:::home/*/*"), "denied-more", id="a-deny-grows"
        ),
        pytest.param(
            {"Effect": "Deny", "Action": "s3:*", "NotResource": [HOME]}, PLAIN, deny("s3:*"), "denied-more",
            id="a-deny-loses-its-only-exception",
        ),
        pytest.param(
            {"Effect": "Deny", "Action": "s3:*", "NotResource": [HOME, SHARED]}, PLAIN,
            {"Effect": "Deny", "Action": "s3:*", "NotResource": [SHARED]}, "denied-more",
            id="a-deny-loses-an-exception",
        ),
        pytest.param(
            allow("s3:List*", **condition("StringLike", "s3:prefix", "", "${aws:username}/*")), PLAIN,
            allow("s3:List*", **condition("StringLike", "s3:prefix", "")), "variable-left-out",
            id="the-other-prefix-stays",
        ),
        pytest.param(
            deny("s3:List*", **condition("StringNotLike", "s3:prefix", "", "${aws:username}/*")), PLAIN,
            deny("s3:List*", **condition("StringNotLike", "s3:prefix", "")), "denied-more",
            id="a-deny-loses-an-excepted-prefix",
        ),
        pytest.param(
            deny("s3:List*", **condition("StringLike", "s3:prefix", "a", "${aws:username}/*")), PLAIN,
            deny("s3:List*"), "denied-more", id="a-deny-loses-its-condition",
        ),
        pytest.param(
            allow("s3:*", HOME), WRITE_OUT, allow("s3:*", "arn:aws:s3:::home/alice/*"), None, id="written-out"
        ),
        pytest.param(
            allow("s3:*", TEAM), WRITE_OUT, allow("s3:*", "arn:aws:s3:::core/*"), None, id="tag-written-out"
        ),
        pytest.param(
            allow("s3:*", HOME), TAGGED, allow("s3:*", "arn:aws:s3:::home/${aws:PrincipalTag/UserName}/*"), None,
            id="session-tag",
        ),
        pytest.param(
            deny("s3:*", HOME), TAGGED, deny("s3:*", "arn:aws:s3:::home/${aws:PrincipalTag/UserName}/*"), None,
            id="deny-by-session-tag",
        ),
    ],
)  # fmt: skip
def test_what_is_translated(
    statement: dict[str, Any], options: DerivationOptions, expected: dict[str, Any], remark: str | None
) -> None:
    result = translated(statement, options)
    assert result.how == TRANSLATED
    assert result.translated is not None
    assert written(result.translated) == elements(expected)
    assert [each.id for each in result.remarks] == ([remark] if remark else [])


@pytest.mark.parametrize("person", ["", "a.smith", "Alice"])
def test_a_session_tag_is_no_equivalent_for_another_name(person: str) -> None:
    assert translated(allow("s3:*", HOME), TAGGED, person=person).how == LEFT_OUT


def test_an_earlier_version_has_no_variables_to_lose_and_says_so() -> None:
    result = translated(allow("s3:*", HOME), version="2008-10-17")
    assert result.translated is not None
    assert written(result.translated)["Resource"] == ["arn:aws:s3:::home/${$}{aws:username}/*"]
    assert [each.id for each in result.remarks] == ["version"]
    assert translated(allow("s3:*", SHARED), version="2008-10-17").remarks == ()
