# SPDX-License-Identifier: Apache-2.0
"""Forty users on a bad day: throttling, broken connections, temporary conflicts."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import (
    add_access_key,
    add_mfa_device,
    add_service_credential,
    add_user,
    set_password,
)
from c7n_iamusers.execution.retries import Backoff
from tests.plugins.deletions import delete, journal, outcomes, user_names
from tests.policies import ACCOUNT

USERS = 40
NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
)
CHANGING = ("Put", "Delete", "Deactivate", "Detach", "Remove", "Attach")


def populate(org: LocalOrg) -> None:
    """Users with a password, a key, an MFA device, a group, two policies; some with a service credential."""
    with org.lock:
        account = org.backend("iam", ACCOUNT)
        account.create_group("Developers")
        for number in range(USERS):
            name = f"user-{number:03}"
            user = add_user(account, name)
            set_password(user, NOW)
            add_access_key(account, user)
            add_mfa_device(account, user, f"arn:aws:iam::{ACCOUNT}:mfa/{name}", NOW)
            if number % 3 == 0:
                add_service_credential(user, "codecommit.amazonaws.com", NOW)
            account.add_user_to_group("Developers", name)
            account.attach_user_policy("arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess", name)
            account.put_user_policy(name, "own", POLICY)


def key(operation: str, parameters: dict[str, Any]) -> tuple[str, str]:
    return operation, json.dumps(parameters, sort_keys=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries are left to our own backoff, and it waits no longer than a test can."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(Backoff, "delays", lambda _: itertools.repeat(0.001, 60))


@pytest.mark.usefixtures("impatient")
def test_all_are_deleted_once_and_the_journal_is_correct(org: LocalOrg, tmp_path: Path) -> None:
    populate(org)
    iam = org.client("iam", ACCOUNT)
    org.clear_calls()
    org.configure(throttled=0.3, resets=0.05, conflicts=0.05)
    delete(tmp_path)
    org.configure(throttled=0.0, resets=0.0, conflicts=0.0)
    assert user_names(iam) == []
    assert iam.list_virtual_mfa_devices()["VirtualMFADevices"] == []
    assert Counter(row["status"] for row in outcomes(tmp_path).values()) == {"deleted": USERS}

    seen = [call for call in org.calls if call.operation.startswith(CHANGING)]
    befallen = Counter(call.error_code for call in seen)
    assert min(befallen["Throttling"], befallen["ConnectionReset"], befallen["DeleteConflict"]) > 0
    applied = Counter(key(call.operation, call.parameters) for call in seen if call.error_code is None)
    deleted = {made: times for made, times in applied.items() if made[0] == "DeleteUser"}
    assert (len(deleted), set(deleted.values())) == (USERS, {1})

    lines = journal(tmp_path)
    ended = {
        key(line["operation"], line["parameters"]): line["result"]
        for line in lines
        if line["phase"] == "after"
    }
    announced = {key(line["operation"], line["parameters"]) for line in lines if line["phase"] == "before"}
    assert applied.keys() == announced == ended.keys()
    # of a DeleteUser whose answer was lost nobody knows, unless the list of users is asked
    unknown = {made[0] for made, result in ended.items() if result == "unknown"}
    assert unknown <= {"DeleteUser"}
    assert set(ended.values()) <= {"done", "gone", "unknown"}
