# SPDX-License-Identifier: Apache-2.0
"""Cloud Custodian's own delete, against the local organization: proof that it is as strict as AWS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg
from aws_local_org.iam import seeding
from aws_local_org.seeding.key_material import SSH_PUBLIC_KEYS
from tests import policies
from tests.local_org.iam.attachments import ATTACHMENTS, DOCUMENT
from tests.policies import ACCOUNT

POLICY = """
policies:
  - name: stock-delete
    resource: aws.iam-user
    filters: [{UserName: ada}]
    actions: [delete]
"""


def custodian(org: LocalOrg, directory: Path) -> subprocess.CompletedProcess[str]:
    """Plain `custodian run`, without this package's plugins, in one member account."""
    (directory / "policy.yml").write_text(POLICY)
    role = f"arn:aws:iam::{ACCOUNT}:role/{org.settings.role_name}"
    program = [sys.executable, "-c", "from c7n.cli import main; main()", "run"]
    options = ["--assume", role, "--cache-period", "0", "-s", str(directory / "out"), "--region", "us-east-1"]
    environment = {**os.environ, **org.environment(), "C7N_IAMUSERS_AUTOLOAD": "0"}
    return subprocess.run(
        [*program, *options, str(directory / "policy.yml")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def user_names(iam: Any) -> list[str]:
    pages = iam.get_paginator("list_users").paginate()
    return [user["UserName"] for page in pages for user in page["Users"]]


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """The account has ada with every kind of attachment, and bob."""
    iam = org.client("iam", ACCOUNT)
    for name in ("ada", "bob"):
        iam.create_user(UserName=name)
    for attachment in ATTACHMENTS:
        attachment.attach(iam, "ada")
    return iam


def test_it_deletes_but_leaves_the_virtual_device_behind(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    run = custodian(org, tmp_path)
    assert run.returncode == 0, run.stderr
    assert user_names(iam) == ["bob"]
    orphans = iam.list_virtual_mfa_devices(AssignmentStatus="Unassigned")["VirtualMFADevices"]
    assert [device["SerialNumber"] for device in orphans] == [f"arn:aws:iam::{ACCOUNT}:mfa/ada"]


def _third_ssh_key(iam: Any, account: Any, user: Any) -> None:
    for body in SSH_PUBLIC_KEYS[1:3]:
        seeding.add_ssh_public_key(user, body)


def _third_inline_policy(iam: Any, account: Any, user: Any) -> None:
    for name in ("second", "third"):
        iam.put_user_policy(UserName="ada", PolicyName=name, PolicyDocument=DOCUMENT)


def _third_group(iam: Any, account: Any, user: Any) -> None:
    for name in ("second", "third"):
        iam.create_group(GroupName=name)
        iam.add_user_to_group(GroupName=name, UserName="ada")


def _third_attached_policy(iam: Any, account: Any, user: Any) -> None:
    for name in ("PowerUserAccess", "IAMFullAccess"):
        iam.attach_user_policy(UserName="ada", PolicyArn=f"arn:aws:iam::aws:policy/{name}")


def _third_mfa_device(iam: Any, account: Any, user: Any) -> None:
    seeding.add_fido_device(account, user, "yubikey", user.create_date)


def _third_service_credential(iam: Any, account: Any, user: Any) -> None:
    for service in ("bedrock.amazonaws.com", "logs.amazonaws.com"):
        iam.create_service_specific_credential(UserName="ada", ServiceName=service)


@pytest.mark.parametrize(
    "third",
    [
        _third_ssh_key,
        _third_inline_policy,
        _third_group,
        _third_attached_policy,
        _third_mfa_device,
        _third_service_credential,
    ],
    ids=lambda third: third.__name__.removeprefix("_third_"),
)
def test_it_fails_where_a_list_has_a_second_page(org: LocalOrg, iam: Any, tmp_path: Path, third: Any) -> None:
    account = org.backend("iam", ACCOUNT)
    third(iam, account, account.get_user("ada"))
    org.configure(page_limit=2)
    data = {"source": "describe", "filters": [{"UserName": "ada"}], "actions": ["delete"]}
    with pytest.raises(ClientError, match="DeleteConflict"):
        policies.policy(data, tmp_path).run()
    assert user_names(iam) == ["ada", "bob"]
    refused = [call for call in org.calls if call.operation == "DeleteUser"]
    assert {call.error_code for call in refused} == {"DeleteConflict"}
