# SPDX-License-Identifier: Apache-2.0
"""Rights that were called no wider, against an evaluator that shares no code with the comparison."""

from __future__ import annotations

from collections import Counter
from itertools import chain, product
from random import Random
from typing import Any

import pytest

from c7n_iamusers.iam.policy_documents import PolicyVersion
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.restoration.rights import CurrentRights, rights_change
from c7n_iamusers.snapshots.snapshot import Snapshot
from tests.policy_comparison.random_policies import Pair, Statement, pairs, requests
from tests.policy_comparison.test_random_pairs import AS_USER, REQUESTS, answers, document, evaluators
from tests.records import ACCOUNT, user

pytestmark = pytest.mark.pure

LIMIT = f"arn:aws:iam::{ACCOUNT}:policy/Limit"
CHUNK = 100


def bounded(
    own: list[Statement], boundary: list[Statement] | None, version: str
) -> tuple[IamUser, CurrentRights]:
    """A user whose inline policy has the statements ``own``, and what its boundary allows."""
    held: dict[str, Any] = {"inline_policy": ({"PolicyName": "p", "PolicyDocument": document(own, version)},)}
    if boundary is None:
        return user(tags={"Team": "core"}, **held), CurrentRights()
    limit = PolicyVersion.of(LIMIT, "v1", document(boundary, version))
    held["permissions_boundary"] = ({"PermissionsBoundaryArn": LIMIT},)
    return user(tags={"Team": "core"}, **held), CurrentRights({LIMIT: limit})


def is_wider(pair: Pair, random: Random) -> bool:
    """Whether the restored user is called wider; if not, that has been checked."""
    was, then = bounded(pair.old, pair.old_boundary, pair.version)
    after, now = bounded(pair.new, pair.new_boundary, pair.version)
    snapshot = Snapshot(was, "2026-11-24T00:00:00+00:00", "0" * 64, policies=tuple(then.policies.values()))
    change = rights_change(snapshot, after, now)
    if not change.wider and not change.unknown:
        check_requests(pair, random)
    return bool(change.wider)


def check_requests(pair: Pair, random: Random) -> None:
    """No request is granted now that was not then, by the same caller and the same meaning of what is strange."""
    for request, caller in product(requests(pair, random, REQUESTS), AS_USER):
        for each in chain.from_iterable(evaluators(pair)):
            after = answers([each], request, [caller], pair.new, pair.new_boundary, pair.version)
            before = answers([each], request, [caller], pair.old, pair.old_boundary, pair.version)
            assert before == {True} or after == {False}, (pair, request, caller, each.reading)


@pytest.mark.parametrize("seed", range(5))
def test_no_request_is_granted_that_was_not_before(seed: int) -> None:
    found = Counter(is_wider(pair, random) for pair, random in pairs(seed, CHUNK))
    # were nearly all of one verdict, little would be tried
    assert min(found[False], found[True]) >= CHUNK // 10, found
