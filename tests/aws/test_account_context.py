# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.aws.account_context import read_context
from tests.fakes import Sleeps
from tests.policies import ACCOUNT

DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


@pytest.mark.parametrize("page_limit", [None, 1])
def test_roles_and_groups_come_whole(org: LocalOrg, page_limit: int | None) -> None:
    org.configure(page_limit=page_limit)
    client: Any = org.client("iam", ACCOUNT)
    for name in ("Developers", "Admins"):
        client.create_group(GroupName=name, Path="/teams/")
    client.put_group_policy(GroupName="Admins", PolicyName="s3", PolicyDocument=json.dumps(DOCUMENT))
    context = read_context(client, Sleeps().backoff())
    assert {role["RoleName"] for role in context.roles} == {"CloudCustodian", "OrganizationAccountAccessRole"}
    (admins,) = context.groups_named(("Admins", "Vanished"))
    assert admins["Path"] == "/teams/"
    assert admins["GroupPolicyList"] == [{"PolicyName": "s3", "PolicyDocument": DOCUMENT}]
