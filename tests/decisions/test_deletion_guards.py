# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from c7n_iamusers.decisions.deletion_guards import refusal
from c7n_iamusers.model.exemption import ExemptionRule
from tests.records import ACCOUNT, groups, user

TODAY = date(2026, 11, 24)
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/session"
ALICE = user(group=groups("Developers"))
QUARANTINE = ({"PolicyName": "AWSCompromisedKeyQuarantineV3", "PolicyArn": "arn:aws:iam::aws:policy/x"},)


def rule(expires: date) -> ExemptionRule:
    return ExemptionRule("group", "Dev*", "still migrating", expires)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({}, None, id="nothing-against-it"),
        pytest.param(
            {"caller_arn": ROLE.replace(ACCOUNT, "444455556666")}, "acts in 444455556666", id="other-account"
        ),
        pytest.param(
            {"evidence": replace(ALICE.subject, unique_id="AIDAOLD")},
            "another user .*evidence was of AIDAOLD",
            id="reborn",
        ),
        pytest.param({"caller_arn": ALICE.arn}, "the run itself acts as this user", id="caller"),
        pytest.param(
            {"user": user(attached_policy=QUARANTINE)}, "AWSCompromisedKeyQuarantineV3", id="leaked-key"
        ),
        pytest.param(
            {"rules": [rule(TODAY)]},
            "exempt by group 'Dev.' until 2026-11-24: still migrating",
            id="exempt-now",
        ),
        pytest.param({"rules": [rule(date(2026, 11, 23))]}, None, id="exemption-expired"),
    ],
)
def test_refusal(change: dict[str, Any], reason: str | None) -> None:
    given = {
        "evidence": ALICE.subject,
        "user": ALICE,
        "caller_arn": ROLE,
        "rules": [],
        "today": TODAY,
        **change,
    }
    found = refusal(**given)
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(reason, found)
