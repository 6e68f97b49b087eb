# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from c7n.exceptions import PolicyExecutionError

from aws_local_org import organization
from aws_local_org.identity_center import injected_faults
from tests.access_center import ACCOUNT, AUDIT, OTHER_ACCOUNT, READ_ONLY
from tests.interference import Killed, after_change, on_call
from tests.plugins.provisioning_rehearsal import Rehearsal, SteppingClock

GROUP = f"iam-{ACCOUNT}-readonly"
STATEMENT = {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": "*"}


def test_what_is_created_is_what_was_asked_for(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice", GivenName="Alice")
    rehearsal.run()
    made = rehearsal.permission_set()
    assert made is not None
    assert (made.description, made.session_duration) == ("Reads what IAM users could read", "PT1H")
    assert list(made.managed_policies) == [READ_ONLY]
    assert made.tags == {"c7n-iamusers": "managed"}
    group = rehearsal.group()
    assert group is not None
    assert group.attributes["Description"] == f"Managed by c7n-iamusers for account {ACCOUNT}"
    (person,) = rehearsal.instance.store.users.values()
    assert person.attributes["Name"] == {"GivenName": "Alice", "FamilyName": "alice"}
    assert person.attributes["DisplayName"] == "alice"


def test_a_group_that_is_not_ours_is_refused_untouched(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.create_group(GROUP)
    with pytest.raises(PolicyExecutionError, match=r"was not made for this.*Nothing was touched"):
        rehearsal.run()
    assert rehearsal.mutations() == []
    assert rehearsal.outcomes()["alice"]["status"] == "failed"


def test_a_group_that_is_assigned_elsewhere_is_refused_untouched(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    ours = f"Managed by c7n-iamusers for account {ACCOUNT}"
    rehearsal.assign(rehearsal.create_group(GROUP, description=ours), OTHER_ACCOUNT)
    with pytest.raises(PolicyExecutionError, match=f"in account {OTHER_ACCOUNT}: give another group name"):
        rehearsal.run()
    assert rehearsal.mutations() == []


def test_a_shared_group_may_reach_further_and_that_is_said(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    stranger = rehearsal.create_user("mallory", "mallory@example.com")
    rehearsal.assign(rehearsal.create_group("everybody", stranger), OTHER_ACCOUNT)
    with pytest.raises(PolicyExecutionError, match="wider: also holds Theirs through group everybody"):
        rehearsal.run(group="everybody", shared_group=True)
    assert rehearsal.outcomes()["alice"]["status"] == "provisioned"
    assert rehearsal.members("everybody") == {"alice@example.com", "mallory"}


def test_members_nobody_asked_for_are_not_let_in(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    stranger = rehearsal.create_user("mallory", "mallory@example.com")
    rehearsal.create_group(GROUP, stranger, description=f"Managed by c7n-iamusers for account {ACCOUNT}")
    with pytest.raises(PolicyExecutionError, match="who are not among this run's users"):
        rehearsal.run()
    assert rehearsal.mutations() == []


def test_a_permission_set_that_is_not_ours_is_refused_untouched(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    client = rehearsal.org.client("sso-admin")
    client.create_permission_set(InstanceArn=rehearsal.instance.arn, Name="IamMigratedReadOnly")
    with pytest.raises(PolicyExecutionError, match="without the tag c7n-iamusers=managed"):
        rehearsal.run()
    assert rehearsal.mutations() == []


def test_a_permission_set_that_drifted_is_mended_and_provisioned(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.run()
    changed = {
        "name": "IamMigratedReadOnly",
        "session-duration": "PT2H",
        "managed-policies": [AUDIT],
        "inline-policy": {"Version": "2012-10-17", "Statement": [STATEMENT]},
    }
    outcomes = rehearsal.run(permission_set=changed)
    assert rehearsal.mutations() == [
        "DetachManagedPolicyFromPermissionSet",
        "PutInlinePolicyToPermissionSet",
        "AttachManagedPolicyToPermissionSet",
        "UpdatePermissionSet",
        "ProvisionPermissionSet",
    ]
    assert outcomes["alice"]["status"] == "provisioned"
    made = rehearsal.permission_set()
    assert made is not None
    assert rehearsal.instance.provisioned[ACCOUNT, made.arn].definition.managed_policies == {AUDIT}
    rehearsal.run(permission_set=changed)
    assert rehearsal.mutations() == []


def test_a_set_that_others_hold_is_not_widened_unreviewed(rehearsal: Rehearsal) -> None:
    for account in (ACCOUNT, OTHER_ACCOUNT):
        rehearsal.user("alice", account)
        rehearsal.run(account)
    changed = {"name": "IamMigratedReadOnly", "managed-policies": [READ_ONLY, AUDIT]}
    with pytest.raises(
        PolicyExecutionError,
        match=f"alice@example.com get a changed permission set .* in account {OTHER_ACCOUNT}.*mode: intent",
    ):
        rehearsal.run(permission_set=changed)
    assert rehearsal.mutations() == []


def test_another_account_that_fails_is_told_and_stops_nobody(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = {"name": "IamMigratedReadOnly", "managed-policies": [READ_ONLY, AUDIT]}
    for account in (ACCOUNT, OTHER_ACCOUNT):
        rehearsal.user("alice", account)
        rehearsal.run(account, permission_set=wide)
    monkeypatch.setattr(organization, "has_active_account", lambda account: account != ACCOUNT)
    of_account = f"permission set IamMigratedReadOnly of account {ACCOUNT}: .*not an active account"
    with pytest.raises(PolicyExecutionError, match=of_account):
        rehearsal.run(OTHER_ACCOUNT)
    assert rehearsal.outcomes()["alice"]["status"] == "provisioned"
    found = {
        account: {*each.definition.managed_policies}
        for (account, _), each in rehearsal.instance.provisioned.items()
    }
    assert found == {ACCOUNT: {READ_ONLY, AUDIT}, OTHER_ACCOUNT: {READ_ONLY}}


def test_a_failed_assignment_is_everybodys_failure_and_nobody_is_created(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.user("bob")
    injected_faults.fail_next_assignment("The role quota of the account is exceeded")
    with pytest.raises(PolicyExecutionError, match="failed for 2 users"):
        rehearsal.run()
    for name, row in rehearsal.outcomes().items():
        assert row["status"] == "failed"
        assert row["reason"].startswith(f"user {name} of account {ACCOUNT}: ")
        assert "The role quota of the account is exceeded" in row["reason"]
        assert (
            f"created permission set IamMigratedReadOnly and group {GROUP}, which is left as it is"
            in row["reason"]
        )
    assert rehearsal.usernames() == set()
    outcomes = rehearsal.run()
    assert {row["status"] for row in outcomes.values()} == {"provisioned"}
    assert "CreateGroup" not in rehearsal.mutations()


def test_an_assignment_under_way_is_waited_for_and_not_asked_for_twice(
    rehearsal: Rehearsal, stepping: SteppingClock
) -> None:
    rehearsal.user("alice")
    rehearsal.org.configure(assignment_seconds=60)
    with pytest.raises(
        PolicyExecutionError, match=r"has not ended \(Timeout\): still pending after 1 s; run again"
    ):
        rehearsal.run(timeout=1)
    with pytest.raises(
        PolicyExecutionError, match=r"an earlier request to assign .* is still pending after 1 s"
    ):
        rehearsal.run(timeout=1)
    assert rehearsal.usernames() == set()
    stepping.step = 20.0
    outcomes = rehearsal.run()
    assert outcomes["alice"]["status"] == "provisioned"
    assert "CreateAccountAssignment" not in rehearsal.mutations()


def _failure(rehearsal: Rehearsal, account: str, **changes: Any) -> str:
    """Why a run fails, in words; empty if it doesn't."""
    try:
        rehearsal.run(account, **changes)
    except PolicyExecutionError as error:
        return str(error)
    return ""


def test_nobody_new_gets_an_earlier_form_of_another_account(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each account has a run of its own. A person provisions what failed by hand, as the refusal says."""
    run = partial(_failure, rehearsal, group="everybody", shared_group=True)
    wide = {"name": "IamMigratedReadOnly", "managed-policies": [READ_ONLY, AUDIT]}
    rehearsal.user("ann")
    for name in ("bob", "eve"):
        rehearsal.user(name, OTHER_ACCOUNT)
    without_eve = {"filters": ({"not": [{"UserName": "eve"}]},)}

    run(ACCOUNT, permission_set=wide)
    run(OTHER_ACCOUNT, permission_set=wide, **without_eve)
    present = {"ann@example.com", "bob@example.com"}
    with monkeypatch.context() as patch:
        patch.setattr(organization, "has_active_account", lambda account: account != ACCOUNT)
        assert "not an active account" in run(OTHER_ACCOUNT, **without_eve)
        assert rehearsal.members("everybody") == present
    assert f"in account {ACCOUNT}, which has an earlier form" in run(OTHER_ACCOUNT)
    assert (rehearsal.members("everybody"), rehearsal.mutations()) == (present, [])
    refused = run(ACCOUNT)
    assert "only a reviewed plan (--plan) may do this" in refused
    made = rehearsal.permission_set()
    assert made
    rehearsal.org.client("sso-admin").provision_permission_set(
        InstanceArn=rehearsal.instance.arn,
        PermissionSetArn=made.arn,
        TargetType="AWS_ACCOUNT",
        TargetId=ACCOUNT,
    )
    run(OTHER_ACCOUNT)
    assert rehearsal.members("everybody") == {*present, "eve@example.com"}


def test_two_accounts_that_take_one_group_name_at_the_same_time(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal.user("alice")
    theirs = f"Managed by c7n-iamusers for account {OTHER_ACCOUNT}"
    made: list[str] = []

    def other_run() -> None:
        if not made:
            made.append("")
            made[0] = rehearsal.create_group("readers", description=theirs)

    on_call(monkeypatch, "CreateGroup", other_run)
    with pytest.raises(PolicyExecutionError, match="was not made for this"):
        rehearsal.run(group="readers")
    assert rehearsal.assigned() == set()
    assert rehearsal.members("readers") == set()


@pytest.mark.parametrize("number", range(1, 7))
def test_a_run_that_dies_anywhere_is_carried_on_by_the_next(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    rehearsal.user("alice")
    with monkeypatch.context() as patch:
        after_change(patch, number, Killed())
        with pytest.raises(Killed):
            rehearsal.run()
    assert not rehearsal.members() or rehearsal.assigned()
    outcomes = rehearsal.run()
    # what died with the last call had nothing left to do
    assert outcomes["alice"]["status"] == ("provisioned" if number < 6 else "unchanged")
    assert rehearsal.members() == {"alice@example.com"}
    assert rehearsal.assigned() == {(ACCOUNT, "IamMigratedReadOnly", GROUP)}
    made = rehearsal.permission_set()
    assert made is not None
    assert list(made.managed_policies) == [READ_ONLY]


@pytest.mark.parametrize("number", range(1, 7))
def test_a_lost_response_of_any_call_is_seen_through(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    rehearsal.user("alice")
    after_change(monkeypatch, number, ConnectionClosedError(endpoint_url="https://lost.invalid"))
    outcomes = rehearsal.run()
    assert outcomes["alice"]["status"] == "provisioned"
    assert rehearsal.members() == {"alice@example.com"}
    assert rehearsal.assigned() == {(ACCOUNT, "IamMigratedReadOnly", GROUP)}
    assert len(rehearsal.instance.permission_sets) == 1
