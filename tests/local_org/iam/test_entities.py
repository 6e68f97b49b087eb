# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest

from aws_local_org.iam import entities

KINDS = {
    entities.USER: 21,
    entities.GROUP: 21,
    entities.ROLE: 21,
    entities.MANAGED_POLICY: 21,
    entities.INSTANCE_PROFILE: 21,
    entities.CERTIFICATE: 24,
    entities.SERVICE_CREDENTIAL: 21,
    entities.ACCESS_KEY: 20,
    entities.PUBLIC_KEY: 20,
}


@pytest.mark.parametrize(("prefix", "length"), KINDS.items())
def test_the_form_of_an_id(prefix: str, length: int) -> None:
    made = {entities.new_id(prefix, "111122223333") for _ in range(500)}
    assert len(made) == 500
    pattern = re.compile(f"{prefix}[A-Z2-7]{{{length - 4}}}")
    assert [identity for identity in made if not pattern.fullmatch(identity)] == []


def test_an_id_tells_its_account() -> None:
    mine, theirs = (entities.new_id("AIDA", account) for account in ("111122223333", "444455556666"))
    assert mine[4:12] == entities.new_id("AKIA", "111122223333")[4:12]
    assert mine[4:12] != theirs[4:12]


def test_a_policy_of_aws_always_has_the_same_id() -> None:
    first, again, other = (entities.aws_policy_id(f"arn:aws:iam::aws:policy/{name}") for name in "aab")
    assert first == again != other
    assert re.fullmatch("ANPA[A-Z2-7]{17}", first)
