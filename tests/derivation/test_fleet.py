# SPDX-License-Identifier: Apache-2.0
"""Derivation over an organization of 20 accounts with 50 users each, as the API tells of it."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from aws_local_org import LocalOrg, Settings
from aws_local_org.seed import seed
from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.derivation.model import Derivation, DerivationOptions
from c7n_iamusers.iam.policy_documents import default_documents
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER
from c7n_iamusers.policy_comparison.principals import (
    GroupPermissions,
    PrincipalPermissions,
    principal_permissions,
)

ACCOUNTS = tuple((f"1111000000{number:02}", f"account-{number}") for number in range(20))
OPTIONS = DerivationOptions(identity_center_mfa=True)


@pytest.fixture(scope="module")
def principals(no_local_org: None) -> list[PrincipalPermissions]:
    with LocalOrg(Settings(member_accounts=ACCOUNTS)) as org:
        seed(org, users_per_account=50, now="2026-03-01")
        return [each for account_id, _ in ACCOUNTS for each in _of_account(org, account_id)]


@pytest.fixture(scope="module")
def derivation(principals: list[PrincipalPermissions]) -> Derivation:
    return derive(principals, OPTIONS)


def _of_account(org: LocalOrg, account_id: str) -> Iterator[PrincipalPermissions]:
    pages = org.client("iam", account_id).get_paginator("get_account_authorization_details")
    found = pages.paginate(Filter=["User", "Group", "LocalManagedPolicy"]).build_full_result()
    groups = {group["GroupName"]: group for group in found["GroupDetailList"]}
    documents = default_documents(found["Policies"])
    for detail in found["UserDetailList"]:
        yield replace(principal_permissions(detail, groups, documents), mfa=True)


def _distinct(principal: PrincipalPermissions) -> tuple[frozenset[Any], str]:
    """Whatever applies to a user, by name and document, wherever it hangs; and its boundary."""
    holders: tuple[PrincipalPermissions | GroupPermissions, ...] = (principal, *principal.groups)
    managed = {
        (each.name, json.dumps(each.document, sort_keys=True))
        for holder in holders
        for each in holder.attached
    }
    inline = {
        (name, json.dumps(document, sort_keys=True)) for holder in holders for name, document in holder.inline
    }
    return frozenset(managed | inline), principal.boundary.name if principal.boundary else ""


def test_every_user_gets_a_set_and_there_are_as_many_sets_as_permissions_differ(
    principals: list[PrincipalPermissions], derivation: Derivation
) -> None:
    distinct = {_distinct(each) for each in principals}
    assert len(principals) == 1000
    assert not derivation.refused
    assert len(derivation.sets) == len(distinct)
    assert derivation.summary == f"1000 users -> {len(distinct)} permission sets"
    by_name_of_policies = {frozenset(name for name, _ in policies) for policies, _ in distinct}
    assert 25 <= len(by_name_of_policies) <= 35


def test_nobody_gets_more(derivation: Derivation) -> None:
    verdicts = Counter(each.proof.verdict for each in derivation.principals)
    assert set(verdicts) == {EQUAL, NARROWER}
    assert all(each.proof.remarks for each in derivation.principals if each.proof.verdict == NARROWER)


def test_force_mfa_is_not_lost_without_somebody_s_word(principals: list[PrincipalPermissions]) -> None:
    refused = derive(principals, DerivationOptions()).refused
    forced = {each.subject for each in principals if any(group.name == "Everyone" for group in each.groups)}
    assert {each.subject for each in refused} == forced
    assert all("identity-center-mfa: true" in each.reason for each in refused)


def test_another_order_of_accounts_and_users_gives_the_same(
    principals: list[PrincipalPermissions], derivation: Derivation
) -> None:
    shuffled = random.Random(7).sample(principals, len(principals))
    assert derive(shuffled, OPTIONS) == derivation


def test_a_group_reaches_only_the_account_that_its_people_had_a_user_in(derivation: Derivation) -> None:
    for group in derivation.groups:
        ((account_id, set_name),) = group.assignments
        assert {member.account_id for member in group.members} == {account_id}
        assert group.name == f"{set_name}-{account_id}"
    assert sum(len(group.members) for group in derivation.groups) == 1000
    assert len(derivation.groups) == len(
        {(each.subject.account_id, each.set_name) for each in derivation.principals}
    )


def test_the_policy_of_one_name_with_other_documents_stays_apart(derivation: Derivation) -> None:
    """DeveloperAccess says one thing in every other account, and another in the rest."""
    odd = {account_id for account_id, _ in ACCOUNTS[1::2]}
    sharing = [
        each
        for each in derivation.sets
        if any(policy.name == "DeveloperAccess" for policy in each.customer_managed)
    ]
    assert sharing
    assert all(odd.issuperset(each.accounts) or odd.isdisjoint(each.accounts) for each in sharing)
