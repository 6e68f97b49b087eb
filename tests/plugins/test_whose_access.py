# SPDX-License-Identifier: Apache-2.0
"""Whose access the filter ``identity-center`` sees: that of another IAM user's person is nobody else's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers.identity_center.aws.instance import connect
from tests.access_center import ACCOUNT
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.plugins.deletions import user_names
from tests.plugins.test_identity_center import FILTER
from tests.policies import policy
from tests.unreadable import UNREADABLE, Lose

EXEMPT = {"user": "alice", "reason": "on leave", "expires": "2999-12-31"}
ADDRESS = "alice@example.com"


@pytest.fixture
def fleet(org: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetRehearsal:
    """Alice has access to the account, and the team has her address."""
    monkeypatch.setattr("c7n_iamusers.plugins.access_gate.connect", partial(connect, per_second=1000))
    org.configure(assignment_seconds=0)
    iam = org.client("iam", ACCOUNT)
    for name in ("alice", "ali-team"):
        iam.create_user(UserName=name, Tags=[{"Key": "Email", "Value": ADDRESS}])
    found = FleetRehearsal(org, tmp_path / "output")
    found.leave(intents(ACCOUNT, "alice"))
    assert found.run() == []
    return found


def states(fleet: FleetRehearsal, tmp_path: Path, *names: str, **options: Any) -> dict[str, tuple[str, str]]:
    """State and reason of the users that reach the filter."""
    found = {}
    for state in ("provisioned", "absent", "pending"):
        given = {**FILTER, "state": state, "records": str(fleet.output), **options}
        reached = {"type": "value", "key": "UserName", "op": "in", "value": list(names)}
        for each in policy({"filters": [reached, given]}, tmp_path / "filter").run():
            told = each["c7n:IamUser"]["identity-center"]
            found[each["UserName"]] = told["state"], told["reason"]
    return found


def gone(fleet: FleetRehearsal, name: str) -> None:
    fleet.org.client("iam", ACCOUNT).delete_user(UserName=name)


@pytest.mark.parametrize("options", [{}, {"derive": True}], ids=["any-set", "derived"])
def test_a_user_that_no_filter_selects_counts(
    fleet: FleetRehearsal, tmp_path: Path, options: dict[str, Any]
) -> None:
    state, reason = states(fleet, tmp_path, "ali-team", records="none", **options)["ali-team"]
    assert (state, "that of several IAM users" in reason) == ("absent", True)


def test_a_deletion_spares_the_user_without_access_of_its_own(fleet: FleetRehearsal, tmp_path: Path) -> None:
    flag = {"type": "unnecessary", "exempt": [EXEMPT]}
    held = {**FILTER, "state": "provisioned", "records": str(fleet.output)}
    action = {"type": "composite-delete", "require": "provisioned"}
    policy({"filters": [flag, held], "actions": [action]}, tmp_path).run()
    assert user_names(fleet.org.client("iam", ACCOUNT)) == ["ali-team", "alice"]


def test_the_users_of_one_person_on_file_have_its_access(fleet: FleetRehearsal, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text(f"account,user,email\n{ACCOUNT},alice,{ADDRESS}\n{ACCOUNT},ali-team,{ADDRESS}\n")
    found = states(fleet, tmp_path, "alice", "ali-team", **{"people-from": str(people)})
    assert {name: state for name, (state, _) in found.items()} == {
        "alice": "provisioned",
        "ali-team": "provisioned",
    }


def in_a_bucket(fleet: FleetRehearsal) -> str:
    s3 = fleet.org.client("s3")
    s3.create_bucket(Bucket="records")
    for each in (fleet.output / "identity-center-runs").rglob("*.json*"):
        key = f"all/{each.relative_to(fleet.output)}"
        s3.put_object(Bucket="records", Key=key, Body=each.read_bytes())
    return "s3://records/all?region=us-east-1"


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(lambda fleet: str(fleet.output), id="the-place"),
        pytest.param(lambda fleet: str(fleet.output.parent), id="somewhere-below"),
        pytest.param(in_a_bucket, id="bucket"),
    ],
)
def test_a_deleted_user_counts_by_the_records(
    fleet: FleetRehearsal, tmp_path: Path, place: Callable[[FleetRehearsal], str]
) -> None:
    gone(fleet, "alice")
    state, reason = states(fleet, tmp_path, "ali-team", records=place(fleet))["ali-team"]
    assert state == "absent"
    assert f"access for other IAM users of account {ACCOUNT}: alice (group iam-{ACCOUNT}-Readers)" in reason


def test_a_user_for_whom_a_run_made_the_access_has_it(fleet: FleetRehearsal, tmp_path: Path) -> None:
    gone(fleet, "ali-team")
    assert states(fleet, tmp_path, "alice")["alice"][0] == "provisioned"


def test_access_that_the_person_no_longer_has_is_nobodys(fleet: FleetRehearsal, tmp_path: Path) -> None:
    gone(fleet, "alice")
    store = fleet.instance.store
    (held,) = store.memberships
    people = fleet.org.client("identitystore")
    people.delete_group_membership(IdentityStoreId=store.id, MembershipId=held)
    assert states(fleet, tmp_path, "ali-team")["ali-team"][0] == "pending"


def test_another_human_with_the_username_has_not_the_access(fleet: FleetRehearsal, tmp_path: Path) -> None:
    """A directory has given the address to somebody who has access by other means."""
    gone(fleet, "ali-team")
    store, people = fleet.instance.store, fleet.org.client("identitystore")
    (held,) = store.memberships.values()
    other = people.create_user(
        IdentityStoreId=store.id,
        UserName="other@example.com",
        DisplayName="x",
        Name={"GivenName": "x", "FamilyName": "x"},
        Emails=[{"Value": "other@example.com", "Primary": True}],
    )["UserId"]
    rename(fleet, held.user_id, "former@example.com")
    rename(fleet, other, ADDRESS)
    member = {"IdentityStoreId": store.id, "GroupId": held.group_id, "MemberId": {"UserId": other}}
    people.create_group_membership(**member)
    state, reason = states(fleet, tmp_path, "alice")["alice"]
    assert state == "absent"
    assert f"another Identity Center user as {ADDRESS}: user id {held.user_id}, now former@" in reason
    assert states(fleet, tmp_path, "alice", records="none")["alice"][0] == "provisioned"


def rename(fleet: FleetRehearsal, user_id: str, name: str) -> None:
    given = [
        {"AttributePath": "userName", "AttributeValue": name},
        {"AttributePath": "emails", "AttributeValue": [{"value": name, "primary": True, "type": "work"}]},
    ]
    people, store = fleet.org.client("identitystore"), fleet.instance.store
    people.update_user(IdentityStoreId=store.id, UserId=user_id, Operations=given)


def test_a_place_without_records_selects_nobody(fleet: FleetRehearsal, tmp_path: Path) -> None:
    with pytest.raises(
        PolicyExecutionError, match=r"has no record of a run: give the place .* as records; or"
    ):
        states(fleet, tmp_path, "alice", records=str(tmp_path / "elsewhere"))


@pytest.mark.parametrize(("lose", "told"), UNREADABLE)
def test_records_that_can_not_be_read_select_nobody(
    fleet: FleetRehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Lose, told: str
) -> None:
    """They may say that the person's access is another user's."""
    gone(fleet, "alice")
    shutil.copytree(fleet.output, tmp_path / "records" / "later")
    shutil.copytree(fleet.output, tmp_path / "records" / "former")
    lose(monkeypatch, tmp_path / "records" / "former")
    with pytest.raises(PolicyExecutionError, match=f"records: .*{told}.*Nothing was touched"):
        states(fleet, tmp_path, "ali-team", records=str(tmp_path / "records"))


def test_a_requirement_says_where_the_records_are(org: Any) -> None:
    filters = [{"type": "unnecessary", "exempt": "none"}, {**FILTER, "state": "provisioned"}]
    action = {"type": "composite-delete", "require": "provisioned"}
    with pytest.raises(PolicyValidationError, match="add to the filter identity-center records: PLACE"):
        policy({"filters": filters, "actions": [action]})


def test_every_call_with_records_is_declared(fleet: FleetRehearsal, tmp_path: Path) -> None:
    gone(fleet, "alice")
    fleet.org.clear_calls()
    states(fleet, tmp_path, "ali-team")
    with pytest.raises(PolicyExecutionError):
        states(fleet, tmp_path, "ali-team", records=str(tmp_path / "elsewhere"))
    made = {f"{call.service}:{call.operation}" for call in fleet.org.calls}
    given = {**FILTER, "state": "absent", "records": "output"}
    (found,) = policy({"filters": [given]}).resource_manager.filters
    assert {each.replace("sso-admin:", "sso:") for each in made} <= {
        *found.get_permissions(),
        "iam:ListUsers",
    }
    assert "identitystore:GetGroupMembershipId" in made
