# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.derivation.model import DerivationOptions, DerivedSet, PolicyReference
from c7n_iamusers.derivation.proving import _depends
from c7n_iamusers.policy_comparison import comparison
from c7n_iamusers.policy_comparison.comparison import CARRIED, EQUAL, LEFT_OUT, NARROWER, WIDER
from c7n_iamusers.policy_comparison.principals import GroupPermissions, ManagedPolicy
from c7n_iamusers.policy_comparison.statements import parse_policy
from tests.derivation.users import (
    FORCE_MFA,
    HOME,
    PAYMENTS,
    PLAIN,
    READ,
    WITH_MFA,
    WITHOUT_MFA,
    WRITE,
    accepting,
    allow,
    aws,
    deny,
    document,
    only_set,
    own,
    user,
    verdicts,
)
from tests.examples import examples
from tests.policy_comparison.evaluator import granted

pytestmark = pytest.mark.pure

NEGATED = aws("Stage", allow("s3:*", Condition={"StringNotEquals": {"aws:PrincipalTag/Stage": "prod"}}))


@pytest.mark.parametrize(
    ("permissions", "options", "verdict", "witness"),
    [
        pytest.param({"inline": [READ]}, PLAIN, EQUAL, "", id="as-it-is"),
        pytest.param({"attached": (aws("ReadOnlyAccess"),)}, PLAIN, EQUAL, "", id="unknown-document"),
        pytest.param({"inline": [READ, allow("s3:*", HOME)]}, PLAIN, NARROWER, "", id="a-statement-is-lost"),
        pytest.param({"inline": [READ, FORCE_MFA]}, PLAIN, WIDER, "s3:get", id="force-mfa"),
        pytest.param(
            {"inline": [READ, FORCE_MFA]}, DerivationOptions(identity_center_mfa=True), NARROWER, "",
            id="mfa-is-certain",
        ),
        pytest.param(
            {"attached": (aws("ReadOnlyAccess"),), "inline": [FORCE_MFA]}, PLAIN, WIDER, "x:x",
            id="unknown-but-for-mfa",
        ),
        pytest.param(
            {"inline": [READ, deny("s3:GetObject", Condition={"StringNotEquals": {"aws:username": "alice"}})]},
            PLAIN, NARROWER, "", id="never-equal-though-settled",
        ),
        pytest.param(
            {"attached": (aws("Keys", allow("iam:*", HOME), READ),)}, PLAIN, NARROWER, "", id="aws-managed-own-keys"
        ),
        pytest.param({"attached": (aws("F", READ, FORCE_MFA),)}, PLAIN, WIDER, "s3:get", id="aws-managed-force-mfa"),
        pytest.param({"attached": (NEGATED,)}, PLAIN, NARROWER, "", id="aws-managed-negated-tag"),
        pytest.param(
            {"attached": (NEGATED,), "tags": {"Stage": "prod"}}, PLAIN, WIDER, "s3:x",
            id="aws-managed-negated-tag-widens",
        ),
    ],
)  # fmt: skip
def test_verdicts(
    permissions: dict[str, Any], options: DerivationOptions, verdict: str, witness: str
) -> None:
    derivation = derive([user(**permissions)], accepting(options))
    (principal,) = derivation.principals
    assert principal.proof.verdict == verdict
    assert [each.action for each in principal.proof.witnesses][:1] == ([witness] if witness else [])


def test_the_proof_says_what_became_of_every_statement() -> None:
    principal = user(
        attached=(aws("ReadOnlyAccess"), aws("IAMUserChangePassword"), own("P", READ)),
        inline=[{**WRITE, "Sid": "Up"}, allow("s3:*", HOME)],
        groups=(GroupPermissions("G", inline=(("Own", document(allow("sqs:*"))),)),),
        boundary=own("Limit", allow("*")),
    )
    (derived,) = derive([principal], PLAIN).principals
    rows = {each.source: (each.how, each.target) for each in derived.proof.mapping}
    own_of_group = rows.pop("inline policy Own of group G, statement 1")
    assert own_of_group[0] == CARRIED
    assert re.fullmatch(r"inline policy, statement [12]", own_of_group[1])
    up = rows.pop("inline policy Inline, statement 1 (Up)")
    assert up[0] == CARRIED
    assert re.fullmatch(r"inline policy, statement [12]", up[1])
    assert rows == {
        "policy ReadOnlyAccess": (CARRIED, "AWS-managed policy arn:aws:iam::aws:policy/ReadOnlyAccess"),
        "policy IAMUserChangePassword": (LEFT_OUT, ""),
        "policy P, statement 1": (CARRIED, "policy P, statement 1"),
        "inline policy Inline, statement 2": (LEFT_OUT, ""),
        "permissions boundary Limit": (CARRIED, "permissions boundary"),
    }
    assert {each.id for each in derived.proof.remarks} == {
        "document-unknown",
        "iam-users-only",
        "variable-left-out",
    }
    assert json.loads(json.dumps(derived.proof.as_data()))["verdict"] == NARROWER


def test_a_boundary_carries_over() -> None:
    bounded: dict[str, Any] = {"inline": [allow("*")], "boundary": own("Limit", READ, path="/limits/")}
    derivation = derive([user(**bounded)], PLAIN)
    assert only_set(derivation).boundary == PolicyReference("Limit", "/limits/")
    assert verdicts(derivation) == {"alice": EQUAL}
    by_aws = derive([user(inline=[READ], boundary=aws("PowerUserAccess"))], PLAIN)
    assert only_set(by_aws).boundary == "arn:aws:iam::aws:policy/PowerUserAccess"
    assert verdicts(by_aws) == {"alice": EQUAL}


#: Everything that can be said of who asks; a session may have any of the MFA keys, and tags.
SESSION_CONTEXTS: list[dict[str, str]] = [
    {},
    {"aws:principaltag/username": "bob"},
    {"aws:principaltag/username": "alice"},
]
MFA_VALUES: list[dict[str, str]] = [
    {},
    {"aws:multifactorauthpresent": "true"},
    {"aws:multifactorauthpresent": "false"},
]
ACTIONS, RESOURCES = ["s:a", "s:b", "t:a"], ["h/alice/x", "h/bob/x", "h/x", "z"]
CONDITIONS = [
    {},
    {},
    WITH_MFA["Condition"],
    WITHOUT_MFA["Condition"],
    {"Null": {"aws:MultiFactorAuthPresent": "true"}},
    {"StringEquals": {"aws:username": "alice"}},
    {"StringNotEquals": {"aws:username": ["bob", "alice"]}},
    {"StringLike": {"aws:username": "b*"}},
    {"StringEquals": {"s3:k": ["1", "${aws:username}"]}},
    {"StringNotEquals": {"s3:k": "${aws:username}"}},
    {"StringEquals": {"aws:PrincipalTag/UserName": "alice"}},
]


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    action, resource = (draw(st.sampled_from([name, name, f"Not{name}"])) for name in ("Action", "Resource"))
    condition = draw(st.sampled_from(CONDITIONS))
    return {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        action: draw(st.lists(st.sampled_from(["*", "s:*", "s:a", "t:?"]), min_size=1, max_size=2)),
        resource: draw(
            st.lists(
                st.sampled_from(["*", "h/*", "h/${aws:username}/*", "z", "h/?*/x"]), min_size=1, max_size=2
            )
        ),
        **({"Condition": condition} if condition else {}),
    }


DOCUMENTS = st.builds(
    lambda listed, version: {"Version": version, "Statement": listed},
    st.lists(statements(), min_size=1, max_size=3),
    st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17"]),
)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(DOCUMENTS, min_size=1, max_size=3),
    st.none() | DOCUMENTS,
    st.builds(
        DerivationOptions,
        identity_center_mfa=st.booleans(),
        write_out=st.booleans(),
        username_tag=st.sampled_from(["", "UserName"]),
    ),
)
def test_no_way_in_grants_more_than_was_proven(
    documents: list[dict[str, Any]], boundary: dict[str, Any] | None, options: DerivationOptions
) -> None:
    """Against an evaluator of single requests, over both ways in: aws-managed, customer-managed and inline."""
    kinds = ("aws:policy/A", f"{PAYMENTS}:policy/P")
    attached = tuple(
        ManagedPolicy(f"arn:aws:iam::{kind}", kind[-1], "/", each)
        for kind, each in zip(kinds, documents[1:], strict=False)
    )
    limit = ManagedPolicy(f"arn:aws:iam::{PAYMENTS}:policy/L", "L", "/", boundary) if boundary else None
    principal = user(inline=(("I", documents[0]),), attached=attached, boundary=limit, person="alice")
    derivation = derive([principal], accepting(options))
    for derived in derivation.principals:
        new = _documents(derivation.sets[0], documents[1:])
        _check(derived.proof.verdict, documents, new, boundary, options)


def _documents(derived: DerivedSet, attached: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of a permission set whose AWS-managed policy, and customer-managed policy, if any, are ``attached``."""
    managed = attached[:1] if derived.managed_policies else []
    referred = attached[1:] if derived.customer_managed else []
    return [*managed, *referred, *([dict(derived.inline)] if derived.inline else [])]


def _check(
    verdict: str,
    old: list[dict[str, Any]],
    new: list[dict[str, Any]],
    boundary: dict[str, Any] | None,
    options: DerivationOptions,
) -> None:
    mfa = MFA_VALUES[1:2] if options.identity_center_mfa else MFA_VALUES
    # The tag is the attribute for access control: where people have it at all, it has their username.
    sessions = SESSION_CONTEXTS[-1:] if options.username_tag else SESSION_CONTEXTS
    for action, resource, k in product(ACTIONS, RESOURCES, [{}, {"s3:k": "1"}, {"s3:k": "alice"}]):
        before = [
            granted(action, resource, {"aws:username": "alice", **k, **each}, old, boundary) for each in mfa
        ]
        after = [
            granted(action, resource, {**session, **k, **each}, new, boundary)
            for session, each in product(sessions, MFA_VALUES)
        ]
        if verdict != WIDER:
            assert all(before) or not any(after)
        if verdict == EQUAL:
            assert before[0] == after[0]


@pytest.mark.parametrize("place", ["new", "new-boundary", "old", "old-boundary", ""])
def test_what_depends_on_who_the_user_is_is_judged_for_each(place: str) -> None:
    fixed, own = (
        parse_policy(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": arn}]},
            "p",
        )
        for arn in ("arn:aws:s3:::b/*", "arn:aws:s3:::b/${aws:username}/*")
    )

    def side(name: str) -> comparison.Policies:
        return comparison.Policies(
            own if place == name else fixed, own if place == f"{name}-boundary" else fixed if place else None
        )

    sides: Any = SimpleNamespace(new=side("new"), old=side("old"))
    assert _depends(sides) is bool(place)
