# SPDX-License-Identifier: Apache-2.0
"""What a delegated administrator, who may not list all assignments of a principal, runs and undoes."""

from __future__ import annotations

import pytest

from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.undo.test_undoing import incomplete

MANAGEMENT, DELEGATE = "123456789012", "777788889999"


def delegated(fleet: FleetRehearsal) -> FleetRehearsal:
    """Runs are those of a delegated administrator from now on."""
    organizations = fleet.org.client("organizations")
    organizations.register_delegated_administrator(AccountId=DELEGATE, ServicePrincipal="sso.amazonaws.com")
    fleet.caller = DELEGATE
    return fleet


@pytest.fixture
def delegate(fleet: FleetRehearsal) -> FleetRehearsal:
    """A fleet whose runs are those of a delegated administrator."""
    return delegated(fleet)


def test_an_undo_goes_on_after_one_that_was_not_complete(delegate: FleetRehearsal) -> None:
    delegate.provisioned(intents(ACCOUNT, "bob"))
    (result,) = delegate.results()
    for _ in range(2):
        assert incomplete(delegate.undo(result)) == 3
        assert delegate.assigned() == set()
    delegate.caller = ""
    assert delegate.undo(result) == []
    assert delegate.members() == {}


def test_an_undo_ends_the_rest_of_a_run_whose_set_somebody_deleted(delegate: FleetRehearsal) -> None:
    delegate.provisioned(intents(ACCOUNT, "bob"), intents(OTHER_ACCOUNT, "ann", set_name="Auditors"))
    (result,) = delegate.results()
    client, instance = delegate.org.client("sso-admin"), delegate.instance
    (found,) = (each for each in instance.assignments if each.account_id == OTHER_ACCOUNT)
    delegate.unassign(OTHER_ACCOUNT, found.permission_set_arn, found.principal_id)
    client.list_instances()
    client.delete_permission_set(InstanceArn=instance.arn, PermissionSetArn=found.permission_set_arn)
    assert incomplete(delegate.undo(result)) > 0
    assert delegate.assigned() == set()


def test_a_pruning_by_a_delegate_names_the_role_that_can_tell(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "bob"), intents(ACCOUNT, "bob", set_name="Auditors"))
    delegated(fleet)
    fleet.leave_only(intents(ACCOUNT, "bob", set_name="Auditors"))
    fleet.run(prune=True)
    (told,) = (each for each in fleet.lines("!") if each.startswith("! unexpected"))
    assert "so give --role with a role of it" in told
    assert "run over all accounts" not in told


def test_a_set_of_the_management_account_is_refused_before_anything_is_made(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(MANAGEMENT, "boss"))
    delegated(fleet)
    fleet.leave_only(intents(ACCOUNT, "bob"))
    (told, *_) = fleet.run()
    assert f"a delegated administrator can't assign such a set in account {ACCOUNT}" in told
    assert fleet.mutations() == []
