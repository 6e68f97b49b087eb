# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from aws_local_org import Settings
from aws_local_org.seed import invent
from aws_local_org.seeding.records import AccountContents, User
from aws_local_org.seeding.users import ARCHETYPES

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
MEMBERS = Settings().member_accounts
USERS = 30


def contents_of(number: int = 1, users: int = USERS, members: Any = MEMBERS) -> list[AccountContents]:
    return [contents for contents, _ in invent(members, number, users, NOW)]


ACCOUNTS = contents_of()


def everyone() -> Iterator[User]:
    return (user for account in ACCOUNTS for user in account.users)


def test_the_same_number_invents_the_same_organization() -> None:
    assert contents_of(7) == contents_of(7)


def test_another_number_invents_another_organization() -> None:
    names = [{user.name for user in contents_of(number)[0].users} for number in (1, 2)]
    assert len(names[0] & names[1]) < USERS / 2


def test_another_day_moves_dates_and_nothing_else() -> None:
    (later, _), *_ = invent(MEMBERS, 1, USERS, NOW + timedelta(days=10))
    assert [user.user_id for user in later.users] == [user.user_id for user in ACCOUNTS[0].users]
    assert {b.created - a.created for a, b in zip(ACCOUNTS[0].users, later.users, strict=True)} == {
        timedelta(days=10)
    }


def test_a_further_account_leaves_the_others_as_they_were() -> None:
    assert contents_of(members=(*MEMBERS, ("210987654321", "new")))[:3] == ACCOUNTS


@pytest.mark.parametrize("kind", [archetype.kind for archetype in ARCHETYPES])
def test_every_account_has_every_sort_of_user(kind: str) -> None:
    kinds = [found for _, found in invent(MEMBERS, 1, len(ARCHETYPES), NOW)]
    assert [found[kind] for found in kinds] == [1, 1, 1]


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(lambda user: user.password, id="password"),
        pytest.param(
            lambda user: {key.active for key in user.access_keys} == {True, False}, id="keys, one inactive"
        ),
        pytest.param(lambda user: len(user.certificates) == 2, id="certificates"),
        pytest.param(lambda user: len(user.ssh_keys) == 2, id="SSH keys"),
        pytest.param(
            lambda user: (
                {credential.service for credential in user.service_credentials}
                == {"codecommit.amazonaws.com", "cassandra.amazonaws.com"}
            ),
            id="service-specific credentials",
        ),
        pytest.param(
            lambda user: any(":mfa/" in device.serial for device in user.mfa_devices), id="virtual MFA"
        ),
        pytest.param(lambda user: any(":u2f/" in device.serial for device in user.mfa_devices), id="FIDO"),
        pytest.param(
            lambda user: any("arn:" not in device.serial for device in user.mfa_devices), id="hardware"
        ),
        pytest.param(lambda user: len(user.inline) > 1, id="inline policies"),
        pytest.param(lambda user: any("::aws:" in arn for arn in user.policies), id="AWS-managed policy"),
        pytest.param(
            lambda user: any("::aws:" not in arn for arn in user.policies), id="customer-managed policy"
        ),
        pytest.param(lambda user: len(user.groups) > 1, id="groups"),
        pytest.param(lambda user: user.boundary, id="boundary"),
        pytest.param(lambda user: user.tags, id="tags"),
    ],
)
def test_one_user_of_each_account_carries_every_kind_of_attachment(held: Callable[[User], object]) -> None:
    loaded = [next(user for user in account.users if user.name == "legacy-omnibus") for account in ACCOUNTS]
    assert all(held(user) for user in loaded)


@pytest.mark.parametrize(
    "is_such",
    [
        pytest.param(
            lambda user: user.path == "/emergency/" and user.tags.get("Purpose") == "break-glass",
            id="break-glass",
        ),
        pytest.param(lambda user: "Admins" in user.groups, id="administrator by group"),
        pytest.param(lambda user: user.password and not user.password.last_used, id="password never used"),
        pytest.param(
            lambda user: (
                user.password and user.password.last_used and (NOW - user.password.last_used).days > 100
            ),
            id="password not used for long",
        ),
        pytest.param(
            lambda user: any(
                key.last_use and (NOW - key.last_use.date).days > 100 for key in user.access_keys
            ),
            id="key not used for long",
        ),
        pytest.param(
            lambda user: (
                user.name.startswith("BedrockAPIKey-")
                and [credential.service for credential in user.service_credentials]
                == ["bedrock.amazonaws.com"]
            ),
            id="Bedrock API key",
        ),
        pytest.param(lambda user: set("+=,.@-") <= set(user.name), id="every special character in the name"),
        pytest.param(lambda user: user.path not in ("/", "/emergency/"), id="path"),
        pytest.param(lambda user: user.password and "Email" not in user.tags, id="person without an e-mail"),
        pytest.param(lambda user: user.access_keys and not user.password, id="machine"),
    ],
)
def test_every_account_has_a_user_that(is_such: Callable[[User], object]) -> None:
    assert [account for account in ACCOUNTS if not any(is_such(user) for user in account.users)] == []


def test_names_and_tags_are_such_as_iam_takes() -> None:
    text = re.compile(r"[\w .:/=+@-]*")  # botocore: tagKeyType, tagValueType
    for user in everyone():
        assert re.fullmatch(r"[\w+=,.@-]{1,64}", user.name, re.ASCII)
        assert all(text.fullmatch(key) and text.fullmatch(value) for key, value in user.tags.items())


def test_names_are_unique_in_an_account_whatever_their_case() -> None:
    crowd, *_ = contents_of(users=400)
    assert len({user.name.lower() for user in crowd.users}) == 400


def test_ids_are_unique_and_tell_their_account() -> None:
    keys = [[key.key_id for user in account.users for key in user.access_keys] for account in ACCOUNTS]
    every_key = [key for account in keys for key in account]
    assert len(set(every_key)) == len(every_key)
    assert all(re.fullmatch(r"AKIA[A-Z2-7]{16}", key) for key in every_key)
    assert all(re.fullmatch(r"AIDA[A-Z2-7]{17}", user.user_id) for user in everyone())
    starts = [{key[:12] for key in account} for account in keys]
    assert [len(start) for start in starts] == [1, 1, 1]
    assert len(set.union(*starts)) == 3


def test_mail_would_reach_nobody() -> None:
    addresses = [value for user in everyone() for value in user.tags.values() if "@" in value]
    assert addresses
    assert {address.rpartition("@")[2] for address in addresses} <= {"example.com", "example.org"}


def test_quotas_of_a_user_are_kept() -> None:
    for user in everyone():
        assert len(user.groups) <= 10
        assert len(user.policies) <= 10
        assert len(user.access_keys) <= 2
        assert sum(len("".join(text.split())) for text in user.inline.values()) <= 2048


def test_a_certificate_stands_once_in_an_account() -> None:
    for account in ACCOUNTS:
        bodies = [certificate.body for user in account.users for certificate in user.certificates]
        assert len(set(bodies)) == len(bodies)


def test_nothing_happens_in_the_future_or_before_its_user_was_there() -> None:
    for user in everyone():
        assert user.created < NOW
        uses = [key.last_use.date for key in user.access_keys if key.last_use]
        made = [key.created for key in user.access_keys]
        assert all(user.created <= moment < NOW for moment in (*uses, *made))


def test_one_person_has_users_in_several_accounts() -> None:
    accounts_of: Counter[str] = Counter()
    for account in ACCOUNTS:
        accounts_of.update({user.tags["Email"] for user in account.users if "Email" in user.tags})
    assert max(accounts_of.values()) == 3
    assert 1 in accounts_of.values()


def test_one_policy_name_means_different_things_in_two_accounts() -> None:
    texts = {
        policy.versions[0].document
        for account in ACCOUNTS
        for policy in account.policies
        if policy.name == "DeveloperAccess"
    }
    assert len(texts) == 2


def test_policies_name_the_user_by_a_variable_and_deny_without_mfa() -> None:
    texts = [policy.versions[0].document for policy in ACCOUNTS[0].policies]
    assert any("${aws:username}" in text for text in texts)
    assert any('"Deny"' in text and "aws:MultiFactorAuthPresent" in text for text in texts)


def test_a_role_trusts_a_user_by_its_arn() -> None:
    for (account_id, _), account in zip(MEMBERS, ACCOUNTS, strict=True):
        arns = {f"arn:aws:iam::{account_id}:user{user.path}{user.name}" for user in account.users}
        principals = [
            json.loads(role.trust)["Statement"][0]["Principal"].get("AWS") for role in account.roles
        ]
        assert arns & set(principals)


def test_permissions_recur_over_the_organization() -> None:
    members = tuple((str(300000000000 + number), f"account-{number}") for number in range(20))
    combinations = set()
    for (account_id, _), account in zip(members, contents_of(users=50, members=members), strict=True):
        for user in account.users:
            policies = sorted(arn.replace(account_id, "") for arn in user.policies)
            combinations.add(
                (tuple(sorted(user.groups)), tuple(policies), tuple(sorted(user.inline.items())))
            )
    assert 25 <= len(combinations) <= 35
