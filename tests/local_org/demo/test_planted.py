# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from aws_local_org import LocalOrg
from aws_local_org.demo.planted import (
    CALLED,
    IN_USE,
    MARKED,
    STORIES,
    UNANNOUNCED,
    call,
    exempt_caller,
    exempt_clients,
    plant,
    plant_unannounced,
    planted_faults,
)
from aws_local_org.demo.state import DENY_ALL, AccountState, UserState, account_states
from c7n_iamusers.exemptions import parse_list
from tests.policies import ACCOUNT
from tests.readme import ROOT

DENY = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}


def left(*names: str, policies: str = "") -> AccountState:
    return AccountState("1", "payments", tuple(UserState(name, "/", policies=policies) for name in names))


@pytest.mark.parametrize(
    ("after", "answered", "fault"),
    [
        pytest.param(left(IN_USE, CALLED, UNANNOUNCED, "alice"), True, None, id="answered"),
        pytest.param(left(IN_USE, UNANNOUNCED), False, None, id="silent"),
        pytest.param(left(CALLED, UNANNOUNCED), True, f"{IN_USE} is gone, which calls AWS", id="active"),
        pytest.param(left(IN_USE, UNANNOUNCED), True, f"{CALLED} is gone", id="attempted"),
        pytest.param(left(IN_USE), False, f"{UNANNOUNCED} is gone, which was never announced", id="mark"),
        pytest.param(left(IN_USE, UNANNOUNCED, MARKED), False, f"{MARKED} is still there", id="late-mark"),
        pytest.param(left(IN_USE, UNANNOUNCED, CALLED), False, f"{CALLED} is still there", id="namesake"),
        pytest.param(
            left(IN_USE, UNANNOUNCED, policies=DENY_ALL), False, f"{IN_USE} is still denied", id="denied"
        ),
    ],
)
def test_planted_faults(after: AccountState, answered: bool, fault: str | None) -> None:
    found = planted_faults(after, answered)
    assert any(fault in each for each in found) if fault else not found


@pytest.mark.parametrize(
    "header",
    ["account,user,path,reason,owner,expires", "user,path,reason,owner,expires"],
    ids=["now", "without-accounts"],
)
def test_the_owners_answer_is_a_row_of_the_exemptions(tmp_path: Path, header: str) -> None:
    file = tmp_path / "exemptions.csv"
    row = dict.fromkeys(header.split(","), "") | {"path": "/emergency/*", "reason": "sealed, in the safe"}
    file.write_text(f"{header}\n" + ",".join(f'"{each}"' for each in row.values()) + "\n")
    exempt_caller(file, ACCOUNT, "owner@example.com")
    kept, added = csv.DictReader(file.read_text().splitlines())
    assert {name: kept[name] for name in row} == row
    assert not kept["account"]
    assert (added["account"], added["user"], added["owner"]) == (ACCOUNT, CALLED, "owner@example.com")
    assert all(added[each] for each in ("reason", "expires"))


def test_the_seeded_users_of_codecommit_are_exempt(tmp_path: Path) -> None:
    """The shipped list names no users: whose names nobody has need attention in every preflight."""
    file = tmp_path / "exemptions.csv"
    file.write_bytes((ROOT / "policies" / "exemptions.csv").read_bytes())
    exempt_clients(file)
    kept, added = parse_list(file.read_text(), "csv", "list")
    assert (kept.field, added.field, added.pattern) == ("path", "user", "git-*")


def test_who_is_planted_and_what_they_call(org: LocalOrg) -> None:
    plant(org, ACCOUNT)
    plant_unannounced(org, ACCOUNT)
    state = account_states(org)[ACCOUNT]
    assert state.names == set(STORIES)
    assert not any(user.is_person for user in state.users)
    assert call(org, ACCOUNT, CALLED) == ""
    iam = org.client("iam", ACCOUNT)
    iam.put_user_policy(UserName=CALLED, PolicyName=DENY_ALL, PolicyDocument=json.dumps(DENY))
    assert call(org, ACCOUNT, CALLED) == "AccessDenied"
    assert iam.list_user_tags(UserName=UNANNOUNCED)["Tags"][0]["Value"].endswith("2020/01/31")
