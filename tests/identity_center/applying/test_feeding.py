# SPDX-License-Identifier: Apache-2.0
"""Who feeds the identity store, and what AWS would refuse, is said before anything is made."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aws_local_org.identity_center import directory, injected_faults
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.applying.feeding import groups_per_person_faults
from c7n_iamusers.identity_center.aws.identity_store import PROBE
from c7n_iamusers.identity_center.fleet import TrustOptions, read_fleet
from c7n_iamusers.identity_center.output.plan_files import PlanOptions, plan_of
from c7n_iamusers.identity_center.planning.quotas import CenterQuotas
from c7n_iamusers.identity_center.provisioning import provision
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from c7n_iamusers.text.documents import read_json
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, subject
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal, counted
from tests.identity_center.planning.test_access_review import create_user

THIRD = "777788889999"
_CALL = ApiCall("identitystore", "CreateGroupMembership", {})


def of_provider(fleet: FleetRehearsal, username: str) -> None:
    user_id = create_user(fleet, username)
    directory.link_external_id(fleet.instance.store, user_id, "https://idp.example.com", "00u1")


@pytest.mark.parametrize("username", ["alice@example.com", "zoe@example.com"], ids=["requested", "another"])
def test_a_store_that_a_provider_feeds_is_named_before_anything_is_made(
    fleet: FleetRehearsal, tmp_path: Path, username: str
) -> None:
    of_provider(fleet, username)
    fleet.leave(intents(ACCOUNT, "alice", "bob"))
    plan = tmp_path / "plan.json"
    fleet.run(dry=True, plan_options=PlanOptions(out=plan))
    told = f"! source an identity provider feeds this identity store, as user {username} have an ExternalId"
    assert [line for line in fleet.lines("!") if line.startswith(told)]
    assert plan_of(read_json(plan.read_bytes())).fed_by_others.startswith("an identity provider feeds")
    fleet.refuses("set identity-source: external in the policies", fleet.run)
    assert fleet.results() == []
    assert fleet.usernames() == {username}


def test_who_says_that_no_provider_feeds_it_is_believed(fleet: FleetRehearsal) -> None:
    of_provider(fleet, "alice@example.com")
    fleet.leave(intents(ACCOUNT, "alice", "bob"))
    found = read_fleet(fleet.store, "identity-center", TrustOptions(trusted=True))
    assert provision(found, fleet.center(), fleet.said.append, ApplyOptions(30.0)) == []
    assert fleet.usernames() == {"alice@example.com", "bob@example.com"}


def test_external_intents_and_finished_runs_ask_nobody(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    fleet.run()
    assert "CreateUser" not in {call.operation for call in fleet.org.calls}
    assert counted(fleet.org.calls).get("ListUsers", 0) == 0
    of_provider(fleet, "zoe@example.com")
    assert fleet.run() == []


def test_who_may_not_create_users_makes_nothing(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    injected_faults.refuse_next("CreateUser", "AccessDeniedException", "not authorized")
    with pytest.raises(
        IdentityCenterError, match=r"no users can be created .*not authorized.*identity-source: external"
    ):
        fleet.run()
    assert fleet.mutations() == []
    assert fleet.results() == []
    assert list(fleet.output.glob("identity-center-runs/*/journal.jsonl")) == []


def test_the_question_makes_no_user(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    asked = [call for call in fleet.org.calls if call.operation == "CreateUser"]
    assert [call.error_code for call in asked] == ["ValidationException", None]
    assert asked[0].parameters["UserName"] == PROBE
    assert fleet.usernames() == {"alice@example.com"}


def test_a_dry_run_asks_nobody_to_create(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    assert fleet.run(dry=True) == []
    assert "CreateUser" not in {call.operation for call in fleet.org.calls}


@pytest.mark.parametrize(
    ("resource", "refused"),
    [
        ("*", False),
        ("arn:aws:s3:::bucket/${aws:username}/*", False),
        ("arn:*:s3:::*", False),
        ("arn:*", True),
        (["arn:aws:s3:::a", "*"], False),
        ("*:a", True),
        ("*a", True),
        ("bucket", True),
        (["arn:aws:s3:::a", "*a"], True),
    ],
)
@pytest.mark.parametrize("element", ["Resource", "NotResource"])
def test_resources_that_iam_refuses(
    fleet: FleetRehearsal, element: str, resource: Any, refused: bool
) -> None:
    found = intents(ACCOUNT, "alice")
    statement = {"Effect": "Allow", "Action": "s3:GetObject", element: resource}
    requested = found.permission_set
    assert requested
    fleet.leave(replace(found, permission_set=replace(requested, inline_policy=_document(statement))))
    failures = fleet.run()
    assert bool(failures) is refused
    assert bool(fleet.assigned()) is not refused
    if refused:
        assert "which IAM refuses: a resource is * or an ARN with partition and service" in failures[0]
        assert fleet.mutations() == []


def _document(statement: dict[str, Any]) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [statement]}, sort_keys=True, separators=(",", ":")
    )


def test_the_groups_of_one_person(fleet: FleetRehearsal) -> None:
    for account in (ACCOUNT, OTHER_ACCOUNT, THIRD):
        fleet.leave(intents(account, "alice"))
    fleet.run(dry=True, quotas=CenterQuotas(groups_per_person=2))
    told = "! quota alice@example.com would be in 3 groups, and the quota of a user is 2: give people"
    assert any(line.startswith(told) and "groups-per-person=3" in line for line in fleet.lines("!"))
    assert fleet.run(quotas=CenterQuotas(groups_per_person=3)) == []
    fleet.leave(intents(ACCOUNT, "alice", set_name="Writers"))
    fleet.refuses(
        "would be in 4 groups, and the quota of a user is 3",
        fleet.run,
        quotas=CenterQuotas(groups_per_person=3),
    )


def test_groups_that_were_not_read_are_asked_for_only_where_they_may_matter() -> None:
    alice = ("alice", "alice@example.com")
    changes = tuple(
        access_plan.Change(f"membership alice/g{number}", "membership", "create", "", subject(), (_CALL,))
        for number in range(3)
    )
    plan = access_plan.AccessPlan(changes, known_people={alice: model.KnownPerson("u", "alice", alice[1])})
    asked = list[str]()

    def groups_of(user_id: str) -> list[str]:
        asked.append(user_id)
        return ["old"] * 18

    assert groups_per_person_faults(plan, model.CenterState(), groups_of, 1000) == ()
    assert asked == []
    (fault,) = groups_per_person_faults(plan, model.CenterState(), groups_of, 20)
    assert fault.startswith("alice would be in 21 groups")
    assert asked == ["u"]
