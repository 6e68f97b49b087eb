# SPDX-License-Identifier: Apache-2.0
"""An account joins the organization: its intents alone are merged, and nothing of the others is shown or changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest

from c7n_iamusers.identity_center.access_plan import Choices
from c7n_iamusers.identity_center.fleet import TrustOptions, read_fleet
from c7n_iamusers.identity_center.model import MANAGED_GROUP
from c7n_iamusers.identity_center.provisioning import RunOptions, provision
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.derivation.users import allow
from tests.derived import derived, holder
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import assign

READ_S3 = allow("s3:Get*")
OLD = datetime.now(timezone.utc) - timedelta(days=90)


def run_over(fleet: FleetRehearsal, *accounts: str, dry: bool = False, **choices: bool) -> list[str]:
    fleet.org.clear_calls()
    fleet.said = []
    found = read_fleet(fleet.store, trust=TrustOptions(trusted=True, only=frozenset(accounts)))
    options = None if dry else ApplyOptions(30.0)
    return provision(found, fleet.center(), fleet.said.append, options, RunOptions(Choices(**choices)))


@pytest.mark.parametrize("prune", [False, True], ids=["", "prune"])
def test_a_new_account_needs_its_own_intents_alone(fleet: FleetRehearsal, prune: bool) -> None:
    first = derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3), holder(ACCOUNT, "bob", allow("s3:*")))
    fleet.provisioned(first)
    before = fleet.members()
    # The others' intents are too old for a run of their own.
    fleet.leave(replace(first, time=OLD))
    fleet.leave(derived(OTHER_ACCOUNT, holder(OTHER_ACCOUNT, "alice", READ_S3)))
    assert run_over(fleet, OTHER_ACCOUNT, dry=True, prune=prune) == []
    assert (fleet.lines("-"), fleet.lines("!")) == ([], [])
    assert run_over(fleet, OTHER_ACCOUNT, prune=prune) == []
    assert {call.operation for call in fleet.mutations()} == {
        "CreateGroup",
        "CreateAccountAssignment",
        "CreateGroupMembership",
    }
    members = fleet.members()
    assert {group: members[group] for group in before} == before
    assert {account for account, _, _ in fleet.assigned()} == {ACCOUNT, OTHER_ACCOUNT}


def test_pruning_a_part_leaves_what_others_may_request(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "bob", set_name="Auditors"))
    fleet.leave_only(intents(ACCOUNT, "alice", set_name="Writers"))
    fleet.make_group("left", f"{MANAGED_GROUP} for account {OTHER_ACCOUNT}")
    assert run_over(fleet, ACCOUNT, prune=True) == []
    assert fleet.members() == {
        "left": set(),
        f"iam-{ACCOUNT}-Writers": {"alice@example.com"},
        f"iam-{OTHER_ACCOUNT}-Auditors": {"bob@example.com"},
    }
    # Accounts that were not chosen may request the permission set.
    sets = {each.name for each in fleet.instance.permission_sets.values()}
    assert sets == {"Readers", "Writers", "Auditors"}
    assert fleet.run(prune=True) == []
    assert "Readers" not in {each.name for each in fleet.instance.permission_sets.values()}


def test_a_group_of_another_account_that_is_assigned_here_is_not_shown(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    group, arn = next(iter(fleet.instance.store.groups)), next(iter(fleet.instance.permission_sets))
    assign(fleet, arn, group, OTHER_ACCOUNT, "GROUP")
    fleet.leave(intents(OTHER_ACCOUNT, "bob", set_name="Auditors"))
    assert run_over(fleet, OTHER_ACCOUNT, prune=True) == []
    assert fleet.lines("-") == []
    assert fleet.members()[f"iam-{ACCOUNT}-Readers"] == {"alice@example.com"}
    assert (OTHER_ACCOUNT, "Readers", f"iam-{ACCOUNT}-Readers") in fleet.assigned()


def test_access_that_an_account_that_was_not_chosen_may_request_is_not_shown(fleet: FleetRehearsal) -> None:
    everybody = partial(intents, group="shared-readers", shared_group=True)
    fleet.provisioned(everybody(ACCOUNT, "ann"), everybody(OTHER_ACCOUNT, "ann", "bob"))
    assert run_over(fleet, ACCOUNT) == []
    assert fleet.lines("!") == []
    # What the run itself gives there is shown.
    fleet.leave(everybody(ACCOUNT, "ann", "dave"))
    run_over(fleet, ACCOUNT, dry=True)
    assert any(f"dave@example.com in account {OTHER_ACCOUNT}" in each for each in fleet.lines("!"))
