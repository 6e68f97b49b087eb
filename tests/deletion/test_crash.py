# SPDX-License-Identifier: Apache-2.0
"""A run that is killed after any call: the next one ends what it began, as if nothing had been."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from aws_local_org import LocalOrg
from aws_local_org.iam import seeding
from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS
from c7n_iamusers.restoration.snapshot_files import collected
from c7n_iamusers.snapshots.removed_by_deletion import whole_snapshot
from tests.crashes import Crashes
from tests.plugins.deletions import NAME, delete, journal, outcomes
from tests.policies import ACCOUNT

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
)
#: What deleting the user below takes: a call an item, two for the virtual MFA device, three for the Deny-all, the user.
CALLS = 17


@pytest.fixture(scope="module")
def crashes(local_org: LocalOrg) -> Iterator[Crashes]:
    found = Crashes(local_org.environment())
    yield found
    found.close()


def populate(org: LocalOrg) -> Any:
    """alice with every kind of attachment, MFA devices of each sort."""
    with org.lock:
        account = org.backend("iam", ACCOUNT)
        boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
        user = seeding.add_user(
            account, "alice", tags={"Team": "a"}, boundary=boundary, user_id="AIDAALICEALICEALICE2"
        )
        seeding.set_password(user, NOW)
        for number in range(2):
            seeding.add_access_key(account, user, key_id=f"AKIAALICEALICEALICE{number}", created=NOW)
        seeding.add_signing_certificate(
            user, CERTIFICATES[0], certificate_id="CERTALICEALICEALICEALICE", uploaded=NOW
        )
        seeding.add_ssh_public_key(user, SSH_PUBLIC_KEYS[0], key_id="APKAALICEALICEALICE2", uploaded=NOW)
        seeding.add_service_credential(
            user, "codecommit.amazonaws.com", NOW, credential_id="ACCAALICEALICEALICE2"
        )
        seeding.add_mfa_device(account, user, f"arn:aws:iam::{ACCOUNT}:mfa/alice", NOW)
        for serial in (f"arn:aws:iam::{ACCOUNT}:u2f/user/alice/key-1", "GAHT12345678"):
            seeding.add_mfa_device(account, user, serial, NOW)
        group = account.create_group("Developers")
        group.id = "AGPADEVELOPERSDEVELO"
        seeding.set_create_date(group, NOW)
        account.add_user_to_group("Developers", "alice")
        account.attach_user_policy("arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess", "alice")
        account.put_user_policy("alice", "own", POLICY)
        seeding.set_create_date(user, NOW)
    return org.client("iam", ACCOUNT)


def state(iam: Any) -> Any:
    """All that is left of users."""
    details = iam.get_account_authorization_details(Filter=["User"])["UserDetailList"]
    members = iam.get_group(GroupName="Developers")["Users"]
    return details, members, iam.list_virtual_mfa_devices()["VirtualMFADevices"]


def restorable(output: Path) -> Any:
    """What a restoration would bring back, by the snapshots and the journal."""
    found = collected([output / NAME])
    assert found.problems == []
    (user,) = found.users
    assert user.doubts == ()
    whole = whole_snapshot(user.recorded.snapshots, user.recorded.history)
    data = json.loads(replace(whole, taken="", fingerprint="", rights_read=None).as_json())
    return {
        **data,
        "attachments": {kind: sorted(items, key=str) for kind, items in data["attachments"].items()},
    }


@pytest.fixture(scope="module")
def undisturbed(local_org: LocalOrg, tmp_path_factory: pytest.TempPathFactory, crashes: Crashes) -> Any:
    """The end of a run that nobody kills, by the same process."""
    local_org.reset()
    iam, output = populate(local_org), tmp_path_factory.mktemp("undisturbed")
    assert crashes.run(999, output) == 0
    lines = [line for line in journal(output) if line["phase"] == "before"]
    assert len(lines) == CALLS
    return state(iam), restorable(output)


@pytest.mark.parametrize("calls", range(CALLS + 1))
def test_killed_after_any_call_it_ends_the_same(
    org: LocalOrg, tmp_path: Path, crashes: Crashes, undisturbed: Any, calls: int
) -> None:
    org.reset()
    iam = populate(org)
    assert crashes.run(calls, tmp_path) == -signal.SIGKILL
    taken = {path: path.read_bytes() for path in (tmp_path / NAME / "snapshots").iterdir()}
    assert len(taken) == 1
    delete(tmp_path)
    assert outcomes(tmp_path)["alice"]["status"] == "deleted"
    assert (state(iam), restorable(tmp_path)) == undisturbed
    assert {path: path.read_bytes() for path in taken} == taken
