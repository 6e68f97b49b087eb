# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg
from aws_local_org.errors import LocalOrgError
from aws_local_org.seed import invent, seed

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
PAYMENTS, RESEARCH, PLATFORM = "111122223333", "444455556666", "777788889999"


@pytest.fixture
def seeded(org: LocalOrg) -> LocalOrg:
    seed(org, now=NOW)
    return org


def test_the_summary_is_what_the_api_shows(org: LocalOrg) -> None:
    summary = seed(org, seed=2, users_per_account=120, now=NOW)
    iam = org.client("iam", RESEARCH)
    counts = next(account for account in summary["accounts"] if account["account"] == RESEARCH)["counts"]
    users = iam.get_paginator("list_users").paginate().build_full_result()["Users"]
    unassigned = iam.get_paginator("list_virtual_mfa_devices").paginate(AssignmentStatus="Unassigned")
    assert counts["users"] == len(users) == 120
    assert counts["orphaned_mfa"] == len(unassigned.build_full_result()["VirtualMFADevices"]) > 1
    assert summary["totals"]["users"] == 360
    assert json.loads(json.dumps(summary)) == summary


def test_lists_are_longer_than_a_page_where_an_account_is_large(org: LocalOrg) -> None:
    seed(org, users_per_account=600, now=NOW)
    iam = org.client("iam", PAYMENTS)
    assert iam.list_users()["IsTruncated"]
    assert iam.list_virtual_mfa_devices()["IsTruncated"]
    assert iam.list_policies(Scope="Local")["IsTruncated"]
    assert iam.get_group(GroupName="Everyone")["IsTruncated"]


def test_the_management_account_stays_empty(seeded: LocalOrg) -> None:
    assert seeded.client("iam").list_users()["Users"] == []


def test_evidence_of_use_is_seen_through_the_api(seeded: LocalOrg) -> None:
    iam = seeded.client("iam", PAYMENTS)
    (contents, _), *_ = invent(seeded.settings.member_accounts, 1, 30, NOW)
    wanted = next(user for user in contents.users if user.name == "legacy-omnibus")
    assert wanted.password
    assert iam.get_user(UserName=wanted.name)["User"]["PasswordLastUsed"] == wanted.password.last_used
    used_key = wanted.access_keys[0]
    assert used_key.last_use
    last_used = iam.get_access_key_last_used(AccessKeyId=used_key.key_id)["AccessKeyLastUsed"]
    assert last_used["LastUsedDate"] == used_key.last_use.date
    assert (last_used["ServiceName"], last_used["Region"]) == (
        used_key.last_use.service,
        used_key.last_use.region,
    )


def test_a_user_with_everything_can_be_deleted_when_everything_is_gone(seeded: LocalOrg) -> None:
    iam, name = seeded.client("iam", PLATFORM), "legacy-omnibus"
    removals: list[Callable[[], Any]] = [
        lambda: iam.delete_login_profile(UserName=name),
        *(
            lambda key=key: iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
            for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
        ),
        *(
            lambda item=item: iam.delete_signing_certificate(
                UserName=name, CertificateId=item["CertificateId"]
            )
            for item in iam.list_signing_certificates(UserName=name)["Certificates"]
        ),
        *(
            lambda item=item: iam.delete_ssh_public_key(UserName=name, SSHPublicKeyId=item["SSHPublicKeyId"])
            for item in iam.list_ssh_public_keys(UserName=name)["SSHPublicKeys"]
        ),
        *(
            lambda item=item: iam.delete_service_specific_credential(
                UserName=name, ServiceSpecificCredentialId=item["ServiceSpecificCredentialId"]
            )
            for item in iam.list_service_specific_credentials(UserName=name)["ServiceSpecificCredentials"]
        ),
        *(
            lambda item=item: iam.deactivate_mfa_device(UserName=name, SerialNumber=item["SerialNumber"])
            for item in iam.list_mfa_devices(UserName=name)["MFADevices"]
        ),
        *(
            lambda item=item: iam.remove_user_from_group(UserName=name, GroupName=item["GroupName"])
            for item in iam.list_groups_for_user(UserName=name)["Groups"]
        ),
        *(
            lambda item=item: iam.detach_user_policy(UserName=name, PolicyArn=item["PolicyArn"])
            for item in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
        ),
        *(
            lambda policy=policy: iam.delete_user_policy(UserName=name, PolicyName=policy)
            for policy in iam.list_user_policies(UserName=name)["PolicyNames"]
        ),
    ]
    assert len(removals) == 20
    for remove in removals:
        with pytest.raises(ClientError, match="DeleteConflict"):
            iam.delete_user(UserName=name)
        remove()
    iam.delete_user(UserName=name)
    orphan = f"arn:aws:iam::{PLATFORM}:mfa/{name}"
    devices = iam.list_virtual_mfa_devices(AssignmentStatus="Unassigned")["VirtualMFADevices"]
    assert orphan in {device["SerialNumber"] for device in devices}


def test_a_filled_organization_is_not_seeded_again(seeded: LocalOrg) -> None:
    with pytest.raises(LocalOrgError, match=f"account {PAYMENTS} is filled already"):
        seed(seeded)


def test_one_filled_account_keeps_all_from_being_seeded(org: LocalOrg) -> None:
    org.client("iam", PLATFORM).create_user(UserName="somebody")
    with pytest.raises(LocalOrgError, match=rf"account {PLATFORM} is filled already \(1 users, 0 groups\)"):
        seed(org)
    assert org.client("iam", PAYMENTS).list_users()["Users"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"users_per_account": 0}, "users_per_account: 0 is not a whole number from 1 to 5000"),
        ({"users_per_account": 5001}, "5001"),
        ({"users_per_account": "30"}, "'30'"),
        ({"users_per_account": True}, "True"),
        ({"now": "yesterday"}, "now: 'yesterday' is not a date"),
        ({"now": 5}, "now: 5 is not a date"),
    ],
)
def test_bad_arguments_are_refused(org: LocalOrg, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalOrgError, match=re.escape(message)):
        seed(org, **arguments)
