# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.policy_comparison.principals import (
    PrincipalPermissions,
    RequestContext,
    session_context,
    user_context,
)
from c7n_iamusers.policy_comparison.statement_scope import Bounds, Scope, resolve
from c7n_iamusers.policy_comparison.statements import parse_policy

pytestmark = pytest.mark.pure

ALICE = PrincipalPermissions(
    "111122223333",
    "alice",
    "arn:aws:iam::111122223333:user/alice",
    "AIDAALICE",
    tags={"Team": "core"},
    mfa=True,
)
USER, MFA_USER, SESSION = user_context(ALICE), user_context(ALICE, with_mfa=True), session_context()
HOME = "arn:aws:s3:::home/${aws:username}/*"


def bounds(context: RequestContext, **elements: Any) -> Bounds:
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", **elements}
    if "NotResource" in elements:
        del statement["Resource"]
    (parsed,) = parse_policy({"Version": "2012-10-17", "Statement": statement}, "p")
    return resolve(parsed, context)


def shown(box: Scope | None) -> tuple[list[str], list[str]] | None:
    """Resources and conditions."""
    return None if box is None else (sorted(box.resources.patterns), sorted(map(str, box.conditions)))


@pytest.mark.parametrize(
    ("context", "elements", "least", "most"),
    [
        pytest.param(
            USER, {"Resource": HOME}, (["arn:aws:s3:::home/alice/*"], []), ..., id="user-name-known"
        ),
        pytest.param(SESSION, {"Resource": HOME}, None, None, id="no-user-name-in-a-session"),
        pytest.param(SESSION, {"Resource": [HOME, "a"]}, None, (["a"], []), id="the-other-resource-may-hold"),
        pytest.param(SESSION, {"NotResource": HOME}, None, ([], []), id="nothing-is-surely-excluded"),
        pytest.param(
            SESSION,
            {"Resource": "${aws:username, 'nobody'}"},
            (["nobody"], []),
            ...,
            id="the-default-of-a-missing-key",
        ),
        pytest.param(
            SESSION, {"Resource": "x/${aws:userid}"}, None, (["x/*"], []), id="unknown-may-be-anything"
        ),
        pytest.param(
            USER,
            {"Condition": {"StringEquals": {"aws:username": "alice"}}},
            (["*"], []),
            ...,
            id="a-condition-that-holds-goes",
        ),
        pytest.param(
            USER,
            {"Condition": {"StringEquals": {"aws:username": "bob"}}},
            None,
            None,
            id="never-for-this-user",
        ),
        pytest.param(
            USER,
            {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}},
            None,
            (["*"], []),
            id="with-and-without-mfa",
        ),
        pytest.param(
            MFA_USER,
            {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}},
            (["*"], []),
            ...,
            id="always-mfa",
        ),
        pytest.param(
            MFA_USER,
            {"Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}},
            None,
            None,
            id="never-without-mfa",
        ),
        pytest.param(
            SESSION,
            {"Condition": {"StringEquals": {"aws:PrincipalTag/Team": "core"}}},
            None,
            (["*"], []),
            id="a-session-may-have-any-tag",
        ),
        pytest.param(
            session_context({"Team": "core"}),
            {"Condition": {"StringEquals": {"aws:principaltag/team": "core"}}},
            (["*"], []),
            ...,
            id="a-tag-that-is-certain",
        ),
        pytest.param(
            USER,
            {"Condition": {"StringEquals": {"aws:PrincipalTag/Stage": "prod"}}},
            None,
            None,
            id="a-tag-the-user-has-not",
        ),
        pytest.param(
            USER,
            {"Condition": {"StringLike": {"s3:prefix": "${aws:username}/*"}}},
            (["*"], ["StringLike s3:prefix alice/*"]),
            ...,
            id="variable-in-a-condition",
        ),
        pytest.param(
            SESSION,
            {"Condition": {"StringLike": {"s3:prefix": "${aws:username}/*"}}},
            None,
            (["*"], []),
            id="unresolved-in-a-condition",
        ),
        pytest.param(
            SESSION,
            {"Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, "Resource": "arn:aws:sqs"},
            (["arn:aws:sqs:*:*:*"], ["StringEquals aws:requestedregion us-east-1"]),
            ...,
            id="what-depends-on-nothing-stays",
        ),
    ],
)
def test_bounds(context: RequestContext, elements: dict[str, Any], least: Any, most: Any) -> None:
    resolved = bounds(context, **elements)
    assert shown(resolved.least) == least
    assert shown(resolved.most) == (least if most is ... else most)


def test_tags_that_were_not_read_are_unknown_and_not_missing() -> None:
    unread = user_context(PrincipalPermissions("1" * 12, "alice", "arn:aws:iam::1:user/alice", "AIDA"))
    condition = {"StringEquals": {"aws:PrincipalTag/Stage": "prod"}}
    resolved = bounds(unread, Condition=condition)
    assert (resolved.least, shown(resolved.most)) == (None, (["*"], []))
