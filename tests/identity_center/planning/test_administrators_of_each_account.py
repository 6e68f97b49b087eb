# SPDX-License-Identifier: Apache-2.0
"""A plan marks a permission set as an administrator's by the policies of each account, and where one is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.requests.intents import Intents
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.derivation.users import allow, document
from tests.derived import holder, policy_arn
from tests.desired import intents, readers
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import assign, set_by_hand
from tests.identity_center.planning.test_gains_of_others import of_sales


def named(account: str, who: str, action: str) -> Intents:
    """Access by a set with the customer-managed policy Team, which allows ``action`` in this account."""
    of_team = replace(
        readers(), name="Ops", managed_policies=frozenset(), customer_policies=frozenset({"/Team"})
    )
    base = intents(account, who, permission_set=of_team)
    policies = {policy_arn(account, "Team"): document(allow(action))}
    return replace(base, users=(holder(account, who, attached=("Team",)),), source=PolicySource({}, policies))


@pytest.mark.parametrize("admin", [ACCOUNT, OTHER_ACCOUNT])
def test_one_account_s_policy_makes_administrators(fleet: FleetRehearsal, admin: str) -> None:
    accounts = ((ACCOUNT, "alice"), (OTHER_ACCOUNT, "bob"))
    fleet.leave(*(named(each, who, "*" if each == admin else "s3:Get*") for each, who in accounts))
    fleet.run(dry=True)
    assert any("ADMINISTRATOR" in line for line in fleet.said)


def test_a_set_that_people_join_may_make_administrators(fleet: FleetRehearsal) -> None:
    fleet.provisioned(of_sales("alice"))
    arn = set_by_hand(fleet, "Theirs", "arn:aws:iam::aws:policy/SecurityAudit")
    assign(fleet, arn, fleet.group_id("Sales"), ACCOUNT, "GROUP")
    fleet.org.client("sso-admin").attach_customer_managed_policy_reference_to_permission_set(
        InstanceArn=fleet.instance.arn,
        PermissionSetArn=arn,
        CustomerManagedPolicyReference={"Name": "Everything", "Path": "/"},
    )
    fleet.leave(of_sales("alice", "bob"))
    fleet.run(dry=True)
    assert any("ADMINISTRATOR" in line and "perhaps" in line for line in fleet.said)
