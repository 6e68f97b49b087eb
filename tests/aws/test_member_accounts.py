# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.aws.member_accounts import AccountNow, MemberAccounts
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.exceptions import IdentityCenterError
from tests.identity_center import ACCOUNT, OTHER_ACCOUNT

MANAGEMENT = "123456789012"
ROLE = "arn:aws:iam::{account_id}:role/CloudCustodian"


def test_users_and_policies_of_each_account_by_one_paged_list(org: LocalOrg) -> None:
    iam = org.client("iam", ACCOUNT)
    made = iam.create_user(UserName="alice", Tags=[{"Key": "Email", "Value": "alice@example.com"}])["User"]
    org.clear_calls()
    members = MemberAccounts(ROLE, org.session(), Backoff())
    found = dict(members.read([ACCOUNT, OTHER_ACCOUNT, ACCOUNT], {ACCOUNT}))
    assert set(found) == {ACCOUNT, OTHER_ACCOUNT}
    there = found[ACCOUNT]
    assert isinstance(there, AccountNow)
    assert there.users[made["UserId"]]["Arn"] == made["Arn"]
    operations = sorted(call.operation for call in org.calls)
    assert operations == ["AssumeRole"] * 2 + ["GetAccountAuthorizationDetails"] * 2 + ["GetCallerIdentity"]


def test_an_account_that_can_not_be_read_says_why(org: LocalOrg) -> None:
    role = "arn:aws:iam::{account_id}:role/Missing"
    found = dict(MemberAccounts(role, org.session(), Backoff(budget=0.1)).read([ACCOUNT]))
    assert f"account {ACCOUNT} can't be read by arn:aws:iam::{ACCOUNT}:role/Missing" in str(found[ACCOUNT])


def test_the_callers_own_account_needs_no_role(org: LocalOrg) -> None:
    role = "arn:aws:iam::{account_id}:role/Missing"
    ((account, found),) = MemberAccounts(role, org.session(), Backoff()).read([MANAGEMENT])
    assert account == MANAGEMENT
    assert isinstance(found, AccountNow)


@pytest.mark.parametrize(
    "role", ["CloudCustodian", "arn:aws:iam::111122223333:role/X", "arn:aws:iam::{account_id}:user/X", ""]
)
def test_a_role_that_is_none(org: LocalOrg, role: str) -> None:
    with pytest.raises(IdentityCenterError, match="is not the ARN of a role in each account"):
        MemberAccounts(role, org.session(), Backoff())
