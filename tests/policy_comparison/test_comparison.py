# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c7n_iamusers.policy_comparison import budgets, comparison, patterns
from c7n_iamusers.policy_comparison import comparison as coverage
from c7n_iamusers.policy_comparison.comparison import (
    EQUAL,
    NARROWER,
    TOO_COMPLEX,
    UNDECIDED,
    WIDER,
    Policies,
    Witness,
    compare,
)
from c7n_iamusers.policy_comparison.principals import RequestContext
from c7n_iamusers.policy_comparison.statements import parse_policy
from tests.examples import examples
from tests.policy_comparison.evaluator import granted

pytestmark = pytest.mark.pure

Statement = dict[str, Any]
ANYBODY = RequestContext()


def allow(action: str, resource: str = "*", **rest: Any) -> Statement:
    return {"Effect": "Allow", "Action": action.split(), "Resource": resource.split(), **rest}


def deny(action: str, resource: str = "*", **rest: Any) -> Statement:
    return {**allow(action, resource, **rest), "Effect": "Deny"}


def allow_but(action: str, resource: str = "*") -> Statement:
    return {"Effect": "Allow", "NotAction": action.split(), "Resource": resource.split()}


def deny_but(action: str, resource: str = "*") -> Statement:
    return {**allow_but(action, resource), "Effect": "Deny"}


def allow_beside(action: str, resource: str) -> Statement:
    return {"Effect": "Allow", "Action": action.split(), "NotResource": resource.split()}


def deny_beside(action: str, resource: str) -> Statement:
    return {**allow_beside(action, resource), "Effect": "Deny"}


def policies(statements: list[Statement], boundary: list[Statement] | None = None) -> Policies:
    def parsed(listed: list[Statement], source: str) -> Any:
        return parse_policy({"Version": "2012-10-17", "Statement": listed}, source)

    return Policies(parsed(statements, "p"), None if boundary is None else parsed(boundary, "boundary"))


IN_EUROPE: dict[str, Any] = {"Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}
IN_TWO: dict[str, Any] = {"Condition": {"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}}}
OUTSIDE: dict[str, Any] = {"Condition": {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}}
OUTSIDE_TWO: dict[str, Any] = {
    "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}}
}


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        pytest.param([allow("s3:*")], [allow("s3:*")], EQUAL, id="the-same"),
        pytest.param([allow("S3:GetObject")], [allow("s3:getobject")], EQUAL, id="case-of-an-action"),
        pytest.param(
            [allow("s3:*", "arn:aws:s3:::A")], [allow("s3:*", "arn:aws:s3:::a")], WIDER,
            id="case-of-a-resource",
        ),
        pytest.param([allow("s3:GetObject")], [allow("s3:Get*")], NARROWER, id="get-object-in-get"),
        pytest.param([allow("s3:Get*")], [allow("s3:GetObject")], WIDER, id="get-beyond-get-object"),
        pytest.param([allow("s3:Get*Acl")], [allow("s3:*Acl")], NARROWER, id="star-in-the-middle"),
        pytest.param([allow("s3:*Acl")], [allow("s3:Get*Acl")], WIDER, id="star-in-the-middle-beyond"),
        pytest.param([allow("iam:*AccessKey*")], [allow("iam:*Key*")], NARROWER, id="stars-on-both-sides"),
        pytest.param([allow("ec2:Describe?pcs")], [allow("ec2:DescribeVpcs")], WIDER, id="question-mark"),
        pytest.param([allow("*")], [allow("*:*")], EQUAL, id="every-action-two-ways"),
        pytest.param([allow("s3:Get* s3:Put*")], [allow("s3:Get*"), allow("s3:Put*")], EQUAL, id="two-cover-one"),
        pytest.param(
            [allow("s3:Get* s3:Put*", "x y")],
            [allow("s3:Get*", "x"), allow("s3:Put*", "x y"), allow("s3:Get*", "y")],
            EQUAL,
            id="crosswise",
        ),
        pytest.param(
            [allow("s3:Get* s3:Put*", "x y")],
            [allow("s3:Get*", "x"), allow("s3:Put*", "y")],
            WIDER,
            id="crosswise-with-a-gap",
        ),
        pytest.param([allow("s3:*")], [allow_but("iam:*")], NARROWER, id="in-not-action"),
        pytest.param([allow("iam:PassRole")], [allow_but("iam:*")], WIDER, id="excepted-by-not-action"),
        pytest.param([allow_but("iam:*")], [allow("s3:*")], WIDER, id="not-action-is-nearly-all"),
        pytest.param([allow_but("iam:* s3:*")], [allow_but("iam:*")], NARROWER, id="not-action-with-more"),
        pytest.param([allow_but("iam:*")], [allow_but("iam:* s3:*")], WIDER, id="not-action-with-less"),
        pytest.param([allow("*")], [allow_but("iam:*"), allow("iam:*")], EQUAL, id="not-action-and-the-rest"),
        pytest.param([allow("s3:*", "b/x")], [allow_beside("s3:*", "a/*")], NARROWER, id="beside-not-resource"),
        pytest.param([allow("s3:*", "a/x")], [allow_beside("s3:*", "a/*")], WIDER, id="in-not-resource"),
        pytest.param([allow_beside("s3:*", "a/*")], [allow_beside("s3:*", "a/x")], NARROWER, id="more-excepted"),
        pytest.param([allow_beside("s3:*", "a/x")], [allow_beside("s3:*", "a/*")], WIDER, id="less-excepted"),
        pytest.param([allow("s3:*")], [allow("s3:*"), deny("s3:Delete*")], WIDER, id="a-deny-is-lost"),
        pytest.param([allow("s3:*"), deny("s3:Delete*")], [allow("s3:*")], NARROWER, id="a-deny-is-new"),
        pytest.param([allow("s3:Get*")], [allow("s3:*"), deny("s3:Delete*")], NARROWER, id="beside-the-deny"),
        pytest.param([allow("s3:Get*")], [allow("s3:Get*"), deny("ec2:*")], EQUAL, id="a-deny-of-nothing-is-lost"),
        pytest.param(
            [allow("s3:*"), deny("s3:*", "secret/*")],
            [allow("s3:*"), deny("s3:*", "secret/x"), deny("s3:Put*", "secret/*")],
            NARROWER,
            id="one-deny-for-two",
        ),
        pytest.param(
            [allow("s3:*"), deny_but("s3:Get*")], [allow("s3:*"), deny_but("s3:*")], NARROWER,
            id="deny-but",
        ),
        pytest.param(
            [allow("s3:*"), deny_but("s3:*")], [allow("s3:*"), deny_but("s3:Get*")], WIDER,
            id="deny-but-less",
        ),
        pytest.param(
            [allow("s3:*", "arn:aws:s3:::a")], [allow("s3:*"), deny_beside("s3:*", "arn:aws:s3:::a")], EQUAL,
            id="deny-beside",
        ),
        pytest.param([allow("s3:*", **IN_EUROPE)], [allow("s3:*")], NARROWER, id="on-a-condition"),
        pytest.param([allow("s3:*")], [allow("s3:*", **IN_EUROPE)], WIDER, id="the-condition-is-lost"),
        pytest.param([allow("s3:*", **IN_EUROPE)], [allow("s3:*", **IN_TWO)], NARROWER, id="fewer-values"),
        pytest.param([allow("s3:*", **IN_TWO)], [allow("s3:*", **IN_EUROPE)], WIDER, id="more-values"),
        pytest.param([allow("s3:*", **OUTSIDE)], [allow("s3:*", **OUTSIDE_TWO)], WIDER, id="negated-fewer-values"),
        pytest.param(
            [allow("s3:*"), deny("s3:Put*")], [allow("s3:*"), deny("s3:Put*", **OUTSIDE)], NARROWER,
            id="a-deny-without-its-condition",
        ),
        pytest.param(
            [allow("s3:*"), deny("s3:Put*", **OUTSIDE)], [allow("s3:*"), deny("s3:Put*")], WIDER,
            id="a-deny-on-a-condition",
        ),
        pytest.param(
            [allow("s3:*", "arn:aws:s3:::logs-${aws:PrincipalAccount}/*")],
            [allow("s3:Get* s3:Put*", "arn:aws:s3:::logs-${aws:PrincipalAccount}/*")],
            WIDER,
            id="a-variable-is-the-same-on-both-sides-but-not-the-actions",
        ),
        pytest.param(
            [allow("s3:Get* s3:Put*", "x/${aws:PrincipalAccount}/* y")],
            [allow("s3:Put*", "y x/${aws:PrincipalAccount}/*"), allow("s3:Get*", "x/${aws:PrincipalAccount}/* y")],
            EQUAL,
            id="a-variable-is-the-same-on-both-sides",
        ),
        pytest.param(
            [allow("s3:*", "x/admin")], [allow("s3:*"), deny("s3:*", "x/${s3:prefix}")], WIDER,
            id="a-variable-may-deny-anything",
        ),
        pytest.param([allow("sqs:*", "arn:aws:sqs")], [allow("sqs:*", "arn:aws:sqs:*:*:*")], EQUAL, id="short-arn"),
        pytest.param([deny("*")], [allow("s3:*")], NARROWER, id="nothing-at-all"),
        pytest.param([], [deny("*")], EQUAL, id="nothing-on-both-sides"),
    ],
)  # fmt: skip
def test_verdicts(new: list[Statement], old: list[Statement], verdict: str) -> None:
    assert compare(policies(new), ANYBODY, policies(old), ANYBODY)[0] == verdict


EC2_ONLY = [allow("ec2:*"), deny("ec2:Terminate*")]


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        pytest.param(([allow("*")], EC2_ONLY), ([allow("*")], EC2_ONLY), EQUAL, id="carried"),
        pytest.param(([allow("*")], None), ([allow("*")], EC2_ONLY), WIDER, id="lost"),
        pytest.param(([allow("*")], EC2_ONLY), ([allow("*")], None), NARROWER, id="added"),
        pytest.param(
            ([allow("ec2:Describe*")], None), ([allow("*")], EC2_ONLY), NARROWER, id="within-anyway"
        ),
        pytest.param(
            ([allow("ec2:*")], None), ([allow("*")], EC2_ONLY), WIDER, id="the-deny-of-the-boundary-is-lost"
        ),
        pytest.param(([allow("s3:*")], [allow("ec2:*")]), ([], None), EQUAL, id="cuts-everything"),
        pytest.param(
            ([allow("*")], [allow("s3:Get*"), allow("s3:Put*")]),
            ([allow("s3:*")], [allow("s3:Get* s3:Put*")]),
            EQUAL,
            id="parted",
        ),
        pytest.param(
            ([allow("s3:*")], [allow("*", **IN_TWO)]),
            ([allow("s3:*")], [allow("*", **IN_EUROPE)]),
            WIDER,
            id="a-looser-condition",
        ),
        pytest.param(
            ([allow("s3:*", **IN_EUROPE)], [allow("*")]),
            ([allow("s3:*")], [allow("*", **IN_EUROPE)]),
            EQUAL,
            id="condition-in-the-boundary-or-beside-it",
        ),
    ],
)
def test_boundaries(new: Any, old: Any, verdict: str) -> None:
    assert compare(policies(*new), ANYBODY, policies(*old), ANYBODY)[0] == verdict


def test_a_witness_is_granted_by_one_and_not_by_the_other() -> None:
    new, old = (
        [allow("s3:*", "a/*"), allow("ec2:*")],
        [allow("s3:*", "a/x*"), allow("ec2:*"), deny("ec2:Run*")],
    )
    verdict, witnesses = compare(policies(new), ANYBODY, policies(old), ANYBODY)
    assert verdict == WIDER
    assert [witness.statement for witness in witnesses] == ["p, statement 1", "p, statement 2"]
    assert [witness.action.partition(":")[0] for witness in witnesses] == ["s3", "ec2"]
    for witness in witnesses:
        request: tuple[str, str, dict[str, str]] = (witness.action, witness.resource, {})
        assert granted(*request, [{"Version": "2012-10-17", "Statement": new}])
        assert not granted(*request, [{"Version": "2012-10-17", "Statement": old}])


def test_a_witness_names_what_people_recognize() -> None:
    (witness,) = compare(policies([allow("s3:*", **IN_TWO)]), ANYBODY, policies([]), ANYBODY)[1]
    conditions = "StringEquals aws:requestedregion eu-west-1, us-east-1"
    assert witness == Witness("s3:x", "*", conditions, "p, statement 1")


def test_what_falls_into_too_many_pieces_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    new = [allow("s:*", "a/*")]
    old = [*(allow(f"s:{letter}*", "a/*") for letter in "abc"), allow_but("s:a* s:b* s:c*")]
    assert compare(policies(new), ANYBODY, policies(old), ANYBODY)[0] == NARROWER
    comparison._widening.cache_clear()
    monkeypatch.setattr(coverage, "_MOST_PIECES", 2)
    verdict, (witness,) = compare(policies(new), ANYBODY, policies(old), ANYBODY)
    assert (verdict, witness.action, witness.statement) == (UNDECIDED, TOO_COMPLEX, "p, statement 1")


def test_the_steps_of_a_question_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    new = [allow(f"s3:Get{letter}*", f"arn:aws:s3:::{letter}*b*c") for letter in "abcd"]
    old = [allow(f"s3:*et{letter}*", "arn:aws:s3:::*b*c") for letter in "abcd"]
    assert compare(policies(new), ANYBODY, policies(old), ANYBODY)[0] == NARROWER
    comparison._widening.cache_clear()
    monkeypatch.setattr(budgets, "QUESTION_STEPS", 100)
    # what was found before is kept, and costs what it did then
    verdict, witnesses = compare(policies(new), ANYBODY, policies(old), ANYBODY)
    assert verdict == UNDECIDED
    assert {witness.action for witness in witnesses} == {TOO_COMPLEX}
    comparison._widening.cache_clear()


@dataclass(eq=False)
class Ticking:
    """A clock that goes on by ``step`` seconds at each look."""

    now: float = 0.0
    step: float = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def timed(times: budgets.AccountTimes, account_id: str, arn: str, name: str) -> str:
    """The verdict on policies that nobody else compares."""
    new, old = [allow("s3:Get*", f"arn:aws:s3:::{name}*b")], [allow("s3:*", "arn:aws:s3:::*b")]
    with times.asking(account_id, arn):
        return compare(policies(new), ANYBODY, policies(old), ANYBODY)[0]


def test_users_have_the_time_of_their_account_and_a_little_of_their_own() -> None:
    clock = Ticking()
    times = budgets.AccountTimes(clock)

    def verdict(account_id: str, arn: str, name: str, step: float) -> str:
        clock.step = step
        return timed(times, account_id, arn, name)

    assert verdict("1", "alice", "one", budgets.ACCOUNT_SECONDS + 1) == UNDECIDED
    # whoever used up the account's time has none left, and the others what is theirs
    assert verdict("1", "alice", "two", 0.0) == UNDECIDED
    assert verdict("1", "bob", "three", budgets.OWN_SECONDS / 100) == NARROWER
    assert verdict("1", "carol", "four", budgets.OWN_SECONDS) == UNDECIDED
    # neither another account's time nor its answers
    assert verdict("2", "dave", "four", 1.0) == NARROWER
    # nothing bounds what nobody asks to bound
    clock.step = 1e6
    new, old = [allow("s3:Get*", "arn:aws:s3:::five*b")], [allow("s3:*", "arn:aws:s3:::*b")]
    assert compare(policies(new), ANYBODY, policies(old), ANYBODY)[0] == NARROWER


def test_whatever_is_done_for_a_user_takes_its_time() -> None:
    clock = Ticking()
    times = budgets.AccountTimes(clock)
    with times.asking("1", "alice"):
        clock.now += budgets.ACCOUNT_SECONDS + 1  # by what looks at no clock
    over = pytest.raises(budgets.OutOfTime, match="the time for comparing the users of its account is over")
    with times.asking("1", "alice") as outer, times.asking("1", "bob") as inner, over:
        budgets.check_time()
    assert inner is outer
    assert inner.ran_out == 1
    with times.asking("1", "bob"):
        budgets.check_time()
    budgets.check_time()


def test_thousands_of_costly_users_take_an_account_a_bounded_time_and_starve_nobody() -> None:
    clock = Ticking(step=0.01)
    times = budgets.AccountTimes(clock)
    hostile, ordinary = Counter[str](), Counter[str]()
    for number in range(2_000):
        with times.asking("1", f"hostile{number}"):
            budget = budgets.Budget(10**9)
            try:
                while True:
                    budget.spend(1)
            except budgets.OutOfTime:
                hostile["out of time"] += 1
        with times.asking("1", f"ordinary{number}"):
            budgets.Budget().spend(1)
            ordinary["compared"] += 1
    assert (hostile["out of time"], ordinary["compared"]) == (2_000, 2_000)
    own = 4_000 * (budgets.OWN_SECONDS + 5 * clock.step)
    assert budgets.ACCOUNT_SECONDS < clock.now < budgets.ACCOUNT_SECONDS + own


def test_policies_that_are_legal_and_made_to_blow_up_are_given_up(
    steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "QUESTION_STEPS", 50_000)
    monkeypatch.setattr(patterns, "PATTERN_STEPS", 10_000)
    tail = "a" + "?" * 24
    new = [allow(f"s3:*{tail}{number}") for number in range(40)]
    old = [allow(f"s3:?*{tail}{number} s3:{tail}{number}") for number in range(40)]
    assert compare(policies(new), ANYBODY, policies(old), ANYBODY)[0] == UNDECIDED
    assert sum(steps) <= 2 * (budgets.QUESTION_STEPS + patterns.PATTERN_STEPS)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps of each automaton that was run."""
    taken: list[int] = []
    real = patterns._shortest

    def counted(*unions: Any) -> Any:
        found = real(*unions)
        taken.append(found.steps)
        return found

    monkeypatch.setattr(patterns, "_shortest", counted)
    return taken


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        pytest.param(
            [allow("s3:*"), deny("s3:*", Condition={"notIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::1"]}})],
            [allow("s3:*"), deny("s3:*", Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}})],
            WIDER, id="more-addresses-in-a-negated-operator-of-odd-case",
        ),
        pytest.param(
            [allow("s3:*", Condition={"STRINGEQUALS": {"aws:RequestedRegion": "eu-west-1"}})],
            [allow("s3:*", **IN_TWO)], NARROWER, id="case-of-an-operator",
        ),
        pytest.param(
            [allow("s3:*", Condition={"stringequalsifexists": {"aws:RequestedRegion": "eu-west-1"}})],
            [allow("s3:*", Condition={"StringEqualsIfExists": {"aws:RequestedRegion": "eu-west-1"}})],
            EQUAL, id="case-of-if-exists",
        ),
        pytest.param(
            [allow("s3:*", Condition={"forallvalues:StringLike": {"aws:TagKeys": "a*"}})],
            [allow("s3:*", Condition={"ForAllValues:StringLike": {"aws:TagKeys": ["a*", "b"]}})],
            NARROWER, id="case-of-a-set-operator",
        ),
        pytest.param(
            [allow("s3:*", Condition={"StringMatches": {"s3:prefix": "a"}})],
            [allow("s3:*", Condition={"StringMatches": {"s3:prefix": "a"}})],
            WIDER, id="an-unknown-operator-says-nothing",
        ),
        pytest.param(
            [allow("s3:*")], [allow("s3:*"), deny("s3:*", Condition={"StringMatches": {"s3:prefix": "a"}})],
            WIDER, id="a-deny-by-an-unknown-operator",
        ),
        pytest.param(
            [allow("s3:*", Condition={"StringEquals": {"aws:HairColour": "red"}})],
            [allow("s3:*", Condition={"StringEquals": {"aws:HairColour": "red"}})],
            WIDER, id="a-global-key-that-is-not-documented",
        ),
        pytest.param(
            [allow("s3:*", Condition={"StringEquals": {"prefix": "a"}})],
            [allow("s3:*", Condition={"StringEquals": {"prefix": "a"}})],
            WIDER, id="a-key-of-nobody",
        ),
        pytest.param(
            [allow("s3:*", "x/${aws:HairColour}")], [allow("s3:*", "x/${aws:HairColour}")], WIDER,
            id="a-variable-that-is-not-documented",
        ),
        pytest.param(
            [allow("sqs:*", "arn:aws:sqs:*:1:b")], [allow("sqs:*", "arn:aws:sqs:*:1:b")], EQUAL,
            id="the-same-by-either-reading",
        ),
        pytest.param(
            [allow("logs:*", "arn:aws:logs:eu:1:log-group:a:x:b")],
            [allow("logs:*", "arn:aws:logs:eu:1:log-group:a*b")],
            UNDECIDED, id="a-star-in-a-segment-and-a-colon",
        ),
        pytest.param(
            [allow("logs:*", "arn:aws:logs:eu:1:log-group:axb")], [allow("logs:*", "arn:aws:logs:eu:1:log-group:a*b")],
            NARROWER, id="a-star-in-a-segment-without-one",
        ),
        pytest.param(
            [allow("logs:*", "arn:aws:logs:eu:1:log-group:a:x")], [allow("logs:*", "arn:aws:logs:eu:1:log-group:a*")],
            NARROWER, id="the-last-star-of-all",
        ),
        pytest.param(
            [allow("logs:*", "arn:aws:logs:eu:1:log-group:a:x:b")],
            [allow("logs:*", "arn:aws:logs:eu:1:log-group:a*:b")], NARROWER, id="the-last-star-of-a-segment",
        ),
        pytest.param(
            [allow("s3:*", "y"), allow("s3:*", "x/${s3:prefix}")], [allow("s3:*", "y x/${s3:prefix}")], UNDECIDED,
            id="a-variable-in-a-statement-of-its-own",
        ),
        pytest.param(
            [allow("s3:*"), deny("s3:*", "y x/${s3:prefix}")],
            [allow("s3:*"), deny("s3:*", "y"), deny("s3:*", "x/${s3:prefix}")], UNDECIDED,
            id="a-deny-that-a-variable-may-take-along",
        ),
        pytest.param(
            [allow("s3:*", "y x/${s3:prefix, 'z'}")], [allow("s3:*", "y"), allow("s3:*", "x/${s3:prefix, 'z'}")], EQUAL,
            id="a-variable-with-a-default",
        ),
        pytest.param(
            [allow("logs:*", "arn:aws:logs:eu:1:log-group:a*b")],
            [allow("logs:*", "arn:aws:logs:eu:1:log-group:a*b"), deny("logs:*", "arn:aws:logs:eu:1:log-group:a*:*b")],
            UNDECIDED, id="a-deny-that-only-one-reading-needs",
        ),
    ],
)  # fmt: skip
def test_the_edges_of_aws_s_text(new: list[Statement], old: list[Statement], verdict: str) -> None:
    assert compare(policies(new), ANYBODY, policies(old), ANYBODY)[0] == verdict


def test_a_witness_of_one_reading_says_which() -> None:
    new = [allow("logs:*", "arn:aws:logs:eu:1:log-group:a:x:b")]
    old = [allow("logs:*", "arn:aws:logs:eu:1:log-group:a*b")]
    (witness,) = compare(policies(new), ANYBODY, policies(old), ANYBODY)[1]
    assert witness.conditions == "if a wildcard in the middle of an ARN's segment matches no colon"


def test_a_witness_says_what_it_assumes_of_a_variable_without_a_value() -> None:
    new, old = [allow("s3:*", "y")], [allow("s3:*", "y x/${s3:prefix}")]
    (witness,) = compare(policies(new), ANYBODY, policies(old), ANYBODY)[1]
    assert witness.conditions == "if a variable without a value invalidates the whole statement"


ACTION_PATTERNS = st.text("ab*?", max_size=3).map("s:{}".format) | st.sampled_from(["*", "a:*", "?:a", "*:b"])
RESOURCE_PATTERNS = st.text("ab*?", min_size=1, max_size=3)
CONDITIONS = st.sampled_from(
    [
        {},
        {},
        {"StringEquals": {"s3:k": "1"}},
        {"StringNotEquals": {"s3:k": "1"}},
        {"StringEquals": {"s3:k": ["1", "2"]}},
        {"StringEqualsIfExists": {"s3:k": "1"}},
        {"Null": {"s3:k": "true"}},
        {"StringLike": {"s3:k": "?"}},
    ]
)
ACTIONS = [f"{service}:{name}" for service in "sa" for name in ("a", "b", "x", "ab", "ba", "ax", "xx")]
RESOURCES = [*map("".join, product("abx", repeat=2)), "a", "b", "x", "aba", "axb", "xxx", "aaaa"]
CONTEXTS = [{}, {"s3:k": "1"}, {"s3:k": "2"}, {"s3:k": "33"}]


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    found: Statement = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
    action, resource = (draw(st.sampled_from([name, name, f"Not{name}"])) for name in ("Action", "Resource"))
    found[action] = draw(st.lists(ACTION_PATTERNS, min_size=1, max_size=2))
    found[resource] = draw(st.lists(RESOURCE_PATTERNS, min_size=1, max_size=2))
    condition = draw(CONDITIONS)
    return {**found, "Condition": condition} if condition else found


POLICIES = st.lists(statements(), min_size=1, max_size=4)


@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(POLICIES, POLICIES, st.none() | POLICIES, st.none() | POLICIES, st.booleans())
def test_no_widening_that_trying_every_request_finds_goes_unseen(
    new: list[Statement],
    old: list[Statement],
    new_boundary: list[Statement] | None,
    old_boundary: list[Statement] | None,
    related: bool,
) -> None:
    new = [*new[:1], *old] if related else new
    verdict, _ = compare(policies(new, new_boundary), ANYBODY, policies(old, old_boundary), ANYBODY)
    if verdict == WIDER:
        return
    for action, resource, context in product(ACTIONS, RESOURCES, CONTEXTS):
        before, after = (
            granted(action, resource, context, [_document(own)], _document(limits) if limits else None)
            for own, limits in ((old, old_boundary), (new, new_boundary))
        )
        assert before or not after
        assert verdict != EQUAL or before == after


def _document(listed: list[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": listed}
