# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import pytest

from aws_local_org import LocalOrg, Settings, settings
from aws_local_org.errors import LocalOrgError


def test_the_management_account_comes_first() -> None:
    made = Settings(management_account="210987654321", member_accounts=(("111122223333", "payments"),))
    assert made.account_ids == ("210987654321", "111122223333")


def test_every_setting_is_either_fixed_or_changeable() -> None:
    names = {field.name for field in dataclasses.fields(Settings)}
    assert names >= settings.FIXED_WHILE_RUNNING
    for name in names - settings.FIXED_WHILE_RUNNING:
        assert getattr(Settings().changed(**{name: 7}), name) == 7
    for name in settings.FIXED_WHILE_RUNNING:
        with pytest.raises(LocalOrgError, match=f"cannot change {name} "):
            Settings().changed(**{name: 7})


def test_the_running_organizations_settings_are_current(org: LocalOrg) -> None:
    assert settings.current() is org.settings
    org.configure(page_limit=3)
    assert settings.current().page_limit == 3


def test_an_organization_of_other_accounts(org: LocalOrg) -> None:
    org.stop()
    chosen = Settings(
        management_account="210987654321", member_accounts=(("123456789012", "one"),), role_name="Auditor"
    )
    with LocalOrg(chosen) as other:
        arns = [other.client("sts", account).get_caller_identity()["Arn"] for account in chosen.account_ids]
    org.start()
    assert arns == [
        "arn:aws:sts::210987654321:assumed-role/LocalOrgOperator/operator",
        "arn:aws:sts::123456789012:assumed-role/Auditor/local-org",
    ]


@pytest.mark.parametrize(
    ("region", "partition", "home"),
    [
        ("eu-west-1", "aws", "us-east-1"),
        ("us-gov-east-1", "aws-us-gov", "us-gov-west-1"),
        ("cn-northwest-1", "aws-cn", "cn-north-1"),
    ],
)
def test_the_region_says_which_partition(region: str, partition: str, home: str) -> None:
    found = Settings(region=region)
    assert (found.partition, found.home_region) == (partition, home)
