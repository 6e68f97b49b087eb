# SPDX-License-Identifier: Apache-2.0
"""Whatever a policy has, its users are named, or it is told that this is unknown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c7n_iamusers.resource_policies.leftovers import GoneUser, leftovers
from c7n_iamusers.resource_policies.naming import NamingIndex
from c7n_iamusers.resource_policies.reading import ResourcePolicy, parsed
from tests.records import user
from tests.resource_policies.records import BUCKET, REGION, reading

pytestmark = pytest.mark.pure

ALICE = user()
TEXTS = st.sampled_from(
    [ALICE.arn, ALICE.unique_id, "*", "x", "AWS", "aws:userid", "StringNotLike", "StringEquals"]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
STATEMENTS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("Effect", "Principal", "NotPrincipal", "Condition", "Sid"), ANY)
)


@given(st.lists(STATEMENTS, max_size=3))
def test_any_policy_is_read_or_told(statements: list[dict[str, Any]]) -> None:
    policy = ResourcePolicy("s3", BUCKET, REGION, parsed({"Version": "2012-10-17", "Statement": statements}))
    found = NamingIndex(reading(policy)).of(ALICE)
    principals = [each.get(element) for each in statements for element in ("Principal", "NotPrincipal")]
    named = [each.get("AWS") for each in principals if isinstance(each, dict)]
    if any(ALICE.arn in (each if isinstance(each, list) else [each]) for each in named):
        assert found.named or found.unknown
    for left in leftovers([policy], (), [GoneUser(ALICE.arn, ALICE.unique_id)]):
        assert {each.unique_id for each in left.shown} == {ALICE.unique_id}
        again = [ResourcePolicy("s3", BUCKET, REGION, dict(left.policy))] if left.policy else []
        assert leftovers(again, (), [GoneUser(ALICE.arn, ALICE.unique_id)]) == []
