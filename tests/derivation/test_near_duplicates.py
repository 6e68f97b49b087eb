# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.derivation.model import DerivationOptions
from c7n_iamusers.policy_comparison.comparison import NARROWER, WIDER
from tests.derivation.users import allow, aws, user

pytestmark = pytest.mark.pure

PLAIN = DerivationOptions()
READ, WRITE = allow("s3:Get* s3:List*"), allow("s3:Put*", "arn:aws:s3:::uploads/*")


def test_near_duplicates_say_what_the_difference_is() -> None:
    common: dict[str, Any] = {"attached": (aws("A"), aws("B"))}
    derivation = derive(
        [user("ann", **common, inline=[READ]), user("bob", **common), user("eve", inline=[WRITE])], PLAIN
    )
    (pair,) = derivation.near_duplicates
    sets = {each.subject.name: each.set_name for each in derivation.principals}
    assert {pair.first, pair.second} == {sets["ann"], sets["bob"]}
    more, relation = (pair.only_first, WIDER) if pair.first == sets["ann"] else (pair.only_second, NARROWER)
    assert (pair.difference, pair.relation) == (1, relation)
    assert [json.loads(each)["Action"] for each in more] == [["s3:get*", "s3:list*"]]
    assert derivation.summary == "3 users -> 3 permission sets"


def test_thousands_that_differ_in_one_statement_are_not_all_paired() -> None:
    common: dict[str, Any] = {"attached": tuple(aws(name) for name in "ABCD")}
    users = [user(f"u{number}", **common, inline=[allow(f"svc{number}:*")]) for number in range(200)]
    assert len(derive(users, PLAIN).near_duplicates) == 200


def test_pairs_are_found_among_many_others() -> None:
    others = [user(f"u{number}", inline=[allow(f"svc{number}:*")]) for number in range(200)]
    common: dict[str, Any] = {"attached": (aws("A"), aws("B"))}
    pair = [user("ann", **common, inline=[READ]), user("bob", **common)]
    assert len(derive([*others, *pair], PLAIN).near_duplicates) == 1
