# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import logging
import shutil
import textwrap
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from c7n import schema
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.resources import load_resources
from c7n.utils import yaml_load
from c7n_mailer.utils import get_rendered_jinja

from aws_local_org import scripted_events
from aws_local_org.identity_center import injected_faults
from c7n_iamusers.entry import register
from c7n_iamusers.identity_center.aws.instance import connect
from c7n_iamusers.identity_center.aws.sign_in_events import read_sign_ins
from c7n_iamusers.plugins.identity_center import IdentityCenter
from tests.access_center import ACCOUNT, AUDIT, OTHER_ACCOUNT, READ_ONLY
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.plugins.test_notify_owners import EVERYBODY, QUEUE, sent
from tests.policies import policy
from tests.test_mailer_templates import TEMPLATES

ROLE = "arn:aws:iam::123456789012:role/IdentityCenterProvisioner"
FILTER: dict[str, Any] = {
    "type": "identity-center",
    "role": ROLE,
    "region": "us-east-1",
    "user": {"username": "tag:Email", "email": "tag:Email"},
}
EXACT = {"name": "Readers", "managed-policies": [READ_ONLY]}


@pytest.fixture
def fleet(org: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetRehearsal:
    """Alice has access to the account, Bob only a user, Carol nothing, and the robot is nobody."""
    for user in ("access_gate", "provision_identity_center"):
        monkeypatch.setattr(f"c7n_iamusers.plugins.{user}.connect", partial(connect, per_second=1000))
    org.configure(assignment_seconds=0)
    iam = org.client("iam", ACCOUNT)
    for name in ("alice", "bob", "carol"):
        iam.create_user(UserName=name, Tags=[{"Key": "Email", "Value": f"{name}@example.com"}])
        iam.create_access_key(UserName=name)
    iam.create_user(UserName="robot")
    found = FleetRehearsal(org, tmp_path / "output")
    found.leave(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "bob"))
    assert found.run() == []
    # What a policy applies by itself finds the same records.
    records = "identity-center-runs"
    shutil.copytree(found.output / records, tmp_path / "apply" / "under-test" / records)
    return found


def selected(fleet: FleetRehearsal, tmp_path: Path, state: str = "provisioned", **changes: Any) -> set[str]:
    """The names of the users that the filter selects."""
    given = {**FILTER, "state": state, **{key.replace("_", "-"): value for key, value in changes.items()}}
    found = policy({"filters": [given]}, tmp_path)
    fleet.org.clear_calls()
    return {resource["UserName"] for resource in found.run()}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param("provisioned", {"alice"}, id="provisioned"),
        pytest.param("pending", {"bob"}, id="pending"),
        pytest.param("absent", {"carol", "robot"}, id="absent"),
    ],
)
def test_everybody_is_in_one_state(
    fleet: FleetRehearsal, tmp_path: Path, state: str, expected: set[str]
) -> None:
    assert selected(fleet, tmp_path, state) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param("Readers", {"alice"}, id="name"),
        pytest.param("Writers", set(), id="another-name"),
        pytest.param(EXACT, {"alice"}, id="exact"),
        pytest.param({**EXACT, "managed-policies": [AUDIT]}, set(), id="other-policies"),
        pytest.param({**EXACT, "session-duration": "PT8H"}, set(), id="other-duration"),
    ],
)
def test_exactly_that_set(fleet: FleetRehearsal, tmp_path: Path, wanted: Any, expected: set[str]) -> None:
    assert selected(fleet, tmp_path, permission_set=wanted) == expected


def test_a_set_that_was_changed_and_not_provisioned(fleet: FleetRehearsal, tmp_path: Path) -> None:
    (made,) = fleet.instance.permission_sets.values()
    client, of_it = (
        fleet.org.client("sso-admin"),
        {"InstanceArn": fleet.instance.arn, "PermissionSetArn": made.arn},
    )
    client.attach_managed_policy_to_permission_set(**of_it, ManagedPolicyArn=AUDIT)
    assert selected(fleet, tmp_path, permission_set="Readers") == set()
    assert selected(fleet, tmp_path) == {"alice"}
    client.provision_permission_set(**of_it, TargetType="ALL_PROVISIONED_ACCOUNTS")
    assert selected(fleet, tmp_path, permission_set="Readers") == {"alice"}


def test_an_assignment_under_way_is_none_yet_and_one_that_goes_is_none_any_more(
    fleet: FleetRehearsal, tmp_path: Path
) -> None:
    fleet.org.configure(assignment_seconds=60)
    client, instance = fleet.org.client("sso-admin"), fleet.instance
    groups = {str(each.attributes["DisplayName"]): each.id for each in instance.store.groups.values()}
    (made,) = instance.permission_sets.values()
    target = {
        "InstanceArn": instance.arn,
        "TargetId": ACCOUNT,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": made.arn,
        "PrincipalType": "GROUP",
    }
    client.create_account_assignment(**target, PrincipalId=groups[f"iam-{OTHER_ACCOUNT}-Readers"])
    client.delete_account_assignment(**target, PrincipalId=groups[f"iam-{ACCOUNT}-Readers"])
    assert selected(fleet, tmp_path) == set()
    assert selected(fleet, tmp_path, "pending") == {"alice", "bob"}


def test_an_assignment_of_the_user_itself(fleet: FleetRehearsal, tmp_path: Path) -> None:
    ids = {str(each.attributes["UserName"]): each.id for each in fleet.instance.store.users.values()}
    (made,) = fleet.instance.permission_sets.values()
    fleet.org.client("sso-admin").create_account_assignment(
        InstanceArn=fleet.instance.arn,
        TargetId=ACCOUNT,
        TargetType="AWS_ACCOUNT",
        PermissionSetArn=made.arn,
        PrincipalType="USER",
        PrincipalId=ids["bob@example.com"],
    )
    assert selected(fleet, tmp_path) == {"alice", "bob"}


def test_somebody_elses_identity_is_not_theirs(fleet: FleetRehearsal, tmp_path: Path) -> None:
    iam = fleet.org.client("iam", ACCOUNT)
    tags = [{"Key": "Email", "Value": "alice@example.com"}, {"Key": "Login", "Value": "mallory"}]
    iam.create_user(UserName="mallory", Tags=tags)
    keys = {"username": ["tag:Login", "tag:Email"], "email": "tag:Email"}
    assert selected(fleet, tmp_path, user=keys) == set()
    assert {"alice", "mallory"} <= selected(fleet, tmp_path, "absent", user=keys)


def test_who_has_the_username_by_now_is_not_the_people_files_person(
    fleet: FleetRehearsal, tmp_path: Path
) -> None:
    ids = {str(each.attributes["UserName"]): each.id for each in fleet.instance.store.users.values()}
    people = tmp_path / "people.csv"
    for user_id, state in ((ids["alice@example.com"], "provisioned"), (ids["bob@example.com"], "absent")):
        people.write_text(f"account,user,email,user-id\n{ACCOUNT},alice,alice@example.com,{user_id}\n")
        assert "alice" in selected(fleet, tmp_path, state, people_from=str(people))


def test_state_and_reason_stand_on_the_resource(fleet: FleetRehearsal, tmp_path: Path) -> None:
    found = policy({"filters": [{**FILTER, "state": "pending"}]}, tmp_path).run()
    assert found[0]["c7n:IamUser"]["identity-center"] == {
        "state": "pending",
        "reason": f"bob@example.com does not hold any permission set in account {ACCOUNT}",
    }
    assert json.loads((tmp_path / "under-test" / "resources.json").read_text())[0]["UserName"] == "bob"


def test_who_has_access_gets_a_mail_that_says_so(fleet: FleetRehearsal, tmp_path: Path) -> None:
    action = {
        "type": "notify-people",
        "notices": str(tmp_path / "notices"),
        "email-domains": ["example.com"],
        "template": "iam-users-your-access.html",
        "transport": {"type": "sqs", "queue": QUEUE},
        "assume_role": False,
    }
    filters = [*EVERYBODY, {**FILTER, "state": "provisioned"}]
    policy({"filters": filters, "actions": [action]}, tmp_path / "output").run()
    (message,) = sent(fleet.org)
    assert message["action"]["to"] == ["alice@example.com"]
    logger = logging.getLogger("test")
    text = get_rendered_jinja(
        "x", message, message["resources"], logger, "template", "default", [str(TEMPLATES)]
    )
    assert f"https://{fleet.instance.store.id}.awsapps.com/start" in text
    assert "sso_role_name = Readers" in text
    assert "sso_region = us-east-1" in text


def test_how_people_sign_in_stands_on_the_resource(fleet: FleetRehearsal, tmp_path: Path) -> None:
    found = policy({"filters": [{**FILTER, "state": "provisioned"}]}, tmp_path).run()
    assert found[0]["c7n:IamUser"]["identity-center"] == {
        "state": "provisioned",
        "reason": f"alice@example.com holds Readers in account {ACCOUNT}",
        "username": "alice@example.com",
        "email": "alice@example.com",
        "permission-set": "Readers",
        "start-url": f"https://{fleet.instance.store.id}.awsapps.com/start",
        "region": "us-east-1",
    }


@pytest.mark.parametrize(
    ("operation", "state"),
    [
        ("ListInstances", "provisioned"),
        ("ListPermissionSetsProvisionedToAccount", "absent"),
        ("ListAccountAssignments", "pending"),
        ("ListAccountAssignmentDeletionStatus", "provisioned"),
        ("ListUsers", "absent"),
        ("ListGroupMemberships", "pending"),
    ],
)
def test_what_can_not_be_read_selects_nobody(
    fleet: FleetRehearsal, tmp_path: Path, operation: str, state: str
) -> None:
    injected_faults.refuse_next(operation, "AccessDeniedException")
    with pytest.raises(PolicyExecutionError, match=r"can't be read.*AccessDenied.*No user was selected"):
        selected(fleet, tmp_path, state)


def test_derived_sets_are_compared_too(fleet: FleetRehearsal, tmp_path: Path) -> None:
    iam = fleet.org.client("iam", ACCOUNT)
    iam.attach_user_policy(UserName="alice", PolicyArn=READ_ONLY)
    assert "alice" in selected(fleet, tmp_path, "pending", derive=True)
    action = {
        **{key: value for key, value in FILTER.items() if key not in ("type", "role")},
        "type": "provision-identity-center",
        "identity-source": "identity-center",
        "role": ROLE,
        "derive": True,
    }
    policy({"filters": [{"UserName": "alice"}], "actions": [action]}, tmp_path / "apply").run()
    assert selected(fleet, tmp_path, derive=True) == {"alice"}
    iam.attach_user_policy(UserName="alice", PolicyArn=AUDIT)
    assert selected(fleet, tmp_path, derive=True) == set()
    iam.detach_user_policy(UserName="alice", PolicyArn=AUDIT)
    assert selected(fleet, tmp_path, derive=True) == {"alice"}


@pytest.mark.parametrize("change", ["emptied", "boundary"])
def test_a_derived_set_that_was_changed_by_hand_is_no_access(
    fleet: FleetRehearsal, tmp_path: Path, change: str
) -> None:
    fleet.org.client("iam", ACCOUNT).attach_user_policy(UserName="alice", PolicyArn=READ_ONLY)
    action = {**FILTER, "type": "provision-identity-center", "identity-source": "identity-center"}
    policy(
        {"filters": [{"UserName": "alice"}], "actions": [{**action, "derive": True}]}, tmp_path / "apply"
    ).run()
    assert selected(fleet, tmp_path, derive=True) == {"alice"}
    sso = fleet.org.client("sso-admin")
    (made,) = [each for each in fleet.instance.permission_sets.values() if each.name.startswith("iam-")]
    given = {"InstanceArn": fleet.instance.arn, "PermissionSetArn": made.arn}
    if change == "emptied":
        sso.detach_managed_policy_from_permission_set(**given, ManagedPolicyArn=READ_ONLY)
    else:
        sso.put_permissions_boundary_to_permission_set(
            **given, PermissionsBoundary={"ManagedPolicyArn": AUDIT}
        )
    sso.provision_permission_set(**given, TargetType="ALL_PROVISIONED_ACCOUNTS")
    assert selected(fleet, tmp_path, derive=True) == set()
    assert "alice" in selected(fleet, tmp_path, "pending", derive=True)


def test_reading_grows_by_sets_and_people_only(fleet: FleetRehearsal, tmp_path: Path) -> None:
    selected(fleet, tmp_path)
    reads = [call.operation for call in fleet.org.calls if call.service in ("sso-admin", "identitystore")]
    assert reads.count("ListAccountAssignments") == 1
    assert len(reads) <= 25


def test_every_call_is_declared(fleet: FleetRehearsal, tmp_path: Path) -> None:
    fleet.org.configure(assignment_seconds=60)
    held = fleet.instance.assignments
    group_id = next(each.principal_id for each in held if each.account_id == OTHER_ACCOUNT)
    (made,) = fleet.instance.permission_sets.values()
    fleet.org.client("sso-admin").delete_account_assignment(
        InstanceArn=fleet.instance.arn,
        TargetId=OTHER_ACCOUNT,
        TargetType="AWS_ACCOUNT",
        PermissionSetArn=made.arn,
        PrincipalType="GROUP",
        PrincipalId=group_id,
    )
    store = fleet.instance.store
    people = fleet.org.client("identitystore")
    for each in store.groups:
        user = people.create_user(
            IdentityStoreId=store.id,
            UserName=each,
            DisplayName="x",
            Name={"GivenName": "x", "FamilyName": "x"},
        )
        named = {"IdentityStoreId": store.id, "GroupId": each}
        people.create_group_membership(**named, MemberId={"UserId": user["UserId"]})
    made_calls: set[str] = set()
    for wanted in ("Readers", EXACT):
        # one page of users and members is enough; two are too many for three people
        for page_limit in (None, 1):
            fleet.org.configure(page_limit=page_limit)
            selected(fleet, tmp_path, permission_set=wanted)
            made_calls |= {f"{call.service}:{call.operation}" for call in fleet.org.calls}
    found = policy({"filters": [{**FILTER, "state": "absent"}]}).resource_manager.filters[0]
    declared = {each.replace("sso:", "sso-admin:") for each in found.get_permissions()}
    assert made_calls - {"iam:ListUsers"} == declared


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            {"derive": True, "permission-set": "x"},
            "either permission-set or derive, not both",
            id="both-ways",
        ),
        pytest.param({"permission-set": {"name": "a b"}}, "permission-set: name 'a b' must be", id="set"),
        pytest.param(
            {"user": {"username": "tag:", "email": "x"}}, "neither tag:Key nor a JMESPath", id="key"
        ),
        pytest.param({"people-from": "none.csv"}, "none.csv can't be read", id="people"),
    ],
)
def test_what_validate_refuses(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(PolicyValidationError, match=told):
        policy({"filters": [{**FILTER, "state": "absent", **changes}]})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"state": "gone"}, id="state"),
        pytest.param({"state": None}, id="no-state"),
        pytest.param({"identity-source": "external"}, id="unknown-key"),
    ],
)
def test_what_the_schema_refuses(changes: dict[str, Any]) -> None:
    load_resources(("aws.iam-user",))
    register()
    given = {
        key: value for key, value in {**FILTER, "state": "absent", **changes}.items() if value is not None
    }
    data = {"policies": [{"name": "p", "resource": "aws.iam-user", "filters": [given]}]}
    assert schema.validate(data, schema.generate(("aws.iam-user",))) != []


def test_the_example_of_the_docs_is_valid() -> None:
    load_resources(("aws.iam-user",))
    register()
    _, _, example = (IdentityCenter.__doc__ or "").partition(".. code-block:: yaml")
    data = yaml_load(textwrap.dedent(example))
    assert schema.validate(data, schema.generate(("aws.iam-user",))) == []
    policy({"filters": data["policies"][0]["filters"]})


@pytest.fixture
def signed_in(fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of sign-ins: Alice has signed in, and Bob, who has no access to the account, too."""
    monkeypatch.setattr("c7n_iamusers.identity_center.aws.sign_in_events.PER_SECOND", 1000)
    for name in ("alice", "bob"):
        scripted_events.sign_in(fleet.org, f"{name}@example.com", ACCOUNT, "Readers")
    return sign_ins(fleet)


def sign_ins(fleet: FleetRehearsal) -> Path:
    center, client = fleet.center(), fleet.org.client("cloudtrail")
    now, backoff = datetime.now(timezone.utc), center.backoff
    found = read_sign_ins(client, center.instance, center.account_id, None, 90, now, backoff)
    place = fleet.output / "sign-ins.json"
    place.write_text(found.as_json())
    return place


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"state": "used"}, {"alice"}, id="used"),
        pytest.param({"state": "provisioned"}, {"alice"}, id="used-is-provisioned"),
        pytest.param({"state": "pending"}, {"bob"}, id="a-sign-in-gives-no-access"),
        pytest.param({"state": "used", "permission_set": "Readers"}, {"alice"}, id="by-that-set"),
    ],
)
def test_proven_use(
    fleet: FleetRehearsal, signed_in: Path, tmp_path: Path, options: dict[str, Any], expected: set[str]
) -> None:
    assert selected(fleet, tmp_path, **options, sign_ins=str(signed_in)) == expected


def test_access_that_nobody_used_is_provisioned_and_not_used(fleet: FleetRehearsal, tmp_path: Path) -> None:
    given = {**FILTER, "state": "provisioned", "sign-ins": str(sign_ins(fleet))}
    (alice,) = policy({"filters": [given]}, tmp_path).run()
    found = alice["c7n:IamUser"]["identity-center"]
    assert found["state"] == "provisioned"
    assert f"but the person has not signed in to account {ACCOUNT}" in found["reason"]
    assert selected(fleet, tmp_path, "used", sign_ins=given["sign-ins"]) == set()


def test_an_old_sign_in_is_refuted_by_a_role_that_nobody_used(fleet: FleetRehearsal, tmp_path: Path) -> None:
    long_ago = datetime.now(timezone.utc) - timedelta(days=10)
    scripted_events.sign_in(fleet.org, "alice@example.com", ACCOUNT, "Readers", long_ago.isoformat())
    place = str(sign_ins(fleet))
    assert selected(fleet, tmp_path, "used", sign_ins=place) == {"alice"}
    assert selected(fleet, tmp_path, "used", sign_ins=place, used_within=5) == set()
    for role in fleet.org.backend("iam", ACCOUNT).get_roles():
        role.last_used = None
    assert selected(fleet, tmp_path, "used", sign_ins=place) == set()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(None, "sign-ins .* can't be read .*provision sign-ins writes it", id="missing"),
        pytest.param("{}", "is not a sign-ins", id="another-file"),
    ],
)
def test_sign_ins_that_can_not_be_read_select_nobody(
    fleet: FleetRehearsal, tmp_path: Path, content: str | None, error: str
) -> None:
    place = tmp_path / "file.json"
    if content is not None:
        place.write_text(content)
    with pytest.raises(PolicyExecutionError, match=error):
        selected(fleet, tmp_path, "used", sign_ins=str(place))


def test_a_sign_in_by_access_that_has_ended_is_no_use_of_what_is_held(
    fleet: FleetRehearsal, tmp_path: Path
) -> None:
    scripted_events.sign_in(fleet.org, "alice@example.com", ACCOUNT, "Legacy")
    assert selected(fleet, tmp_path, "used", sign_ins=str(sign_ins(fleet))) == set()
    scripted_events.sign_in(fleet.org, "alice@example.com", ACCOUNT, "Readers")
    assert selected(fleet, tmp_path, "used", sign_ins=str(sign_ins(fleet))) == {"alice"}


def test_used_rests_on_sign_ins(org: Any) -> None:
    with pytest.raises(PolicyValidationError, match="state: used needs sign-ins"):
        policy({"filters": [{**FILTER, "state": "used"}]})


def test_a_deletion_that_requires_use(fleet: FleetRehearsal, signed_in: Path, tmp_path: Path) -> None:
    given = {**FILTER, "sign-ins": str(signed_in), "records": str(fleet.output)}
    action = {"type": "composite-delete", "require": "used"}
    exempt = {"type": "unnecessary", "exempt": "none"}
    with pytest.raises(PolicyValidationError, match="add it, with state: used, at the top level"):
        policy({"filters": [exempt, {**given, "state": "provisioned"}], "actions": [action]}, tmp_path)
    whole = {"filters": [exempt, {**given, "state": "used"}], "actions": [action]}
    found = policy(whole, tmp_path).run()
    assert {each["UserName"]: each["c7n:IamUser"]["outcome"]["status"] for each in found} == {
        "alice": "deleted"
    }


@pytest.mark.parametrize("lost", ["journal.jsonl", ""], ids=["journal", "run"])
def test_no_user_is_deleted_by_records_of_which_some_are_lost(
    fleet: FleetRehearsal, tmp_path: Path, lost: str
) -> None:
    """What is lost says that dora, another human, has alice's address by now."""
    first = fleet.results()[0].parent
    fleet.forget()
    fleet.leave(intents(OTHER_ACCOUNT, "zoe"))
    assert fleet.run() == []
    iam = fleet.org.client("iam", ACCOUNT)
    (key,) = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="alice")
    iam.create_user(UserName="dora", Tags=[{"Key": "Email", "Value": "alice@example.com"}])
    given = {**FILTER, "state": "provisioned", "records": str(fleet.output)}
    whole = {
        "filters": [{"type": "unnecessary", "exempt": "none"}, given],
        "actions": [{"type": "composite-delete", "require": "provisioned"}],
    }
    assert policy(whole, tmp_path).run() == []
    (first / lost).unlink() if lost else shutil.rmtree(first)
    with pytest.raises(PolicyExecutionError, match=f"{first / lost} is missing"):
        policy(whole, tmp_path).run()
    assert iam.get_user(UserName="dora")
