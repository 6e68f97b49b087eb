# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date, datetime
from typing import Any

import pytest
from c7n import schema
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.resources import load_resources
from c7n.utils import yaml_load

from aws_local_org import LocalOrg
from aws_local_org.identity_center import injected_faults, state
from aws_local_org.identity_center import instance as instances
from c7n_iamusers.entry import register
from c7n_iamusers.plugins.provision_identity_center import ProvisionIdentityCenter
from tests.access_center import ACCOUNT
from tests.desired import ACCEPT_ALL
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.interference import on_call
from tests.plugins.provisioning_rehearsal import ACTION, MANAGEMENT, Rehearsal
from tests.policies import policy

GROUP = f"iam-{ACCOUNT}-readonly"
STATEMENT = {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": "*"}


def test_two_people_get_their_access(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice", GivenName="Alice", FamilyName="Liddell")
    rehearsal.user("bob")
    outcomes = rehearsal.run()
    assert {name: row["status"] for name, row in outcomes.items()} == {
        "alice": "provisioned",
        "bob": "provisioned",
    }
    assert [row["unique_id"] for row in outcomes.values()] == [each["UserId"] for each in rehearsal.resources]
    assert all(datetime.fromisoformat(row["time"]).tzinfo for row in outcomes.values())
    made = rehearsal.mutations()
    assert sorted(made) == [
        "AttachManagedPolicyToPermissionSet",
        "CreateAccountAssignment",
        "CreateGroup",
        "CreateGroupMembership",
        "CreateGroupMembership",
        "CreatePermissionSet",
        "CreateUser",
        "CreateUser",
    ]
    # complete before it is assigned, and assigned before anybody has it
    order = [made.index(each) for each in ("AttachManagedPolicyToPermissionSet", "CreateAccountAssignment")]
    assert order == sorted(order)
    assert made.index("CreateUser") > made.index("CreateAccountAssignment")
    assert rehearsal.members() == {"alice@example.com", "bob@example.com"}
    assert rehearsal.assigned() == {(ACCOUNT, "IamMigratedReadOnly", GROUP)}


def test_a_second_run_changes_nothing(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    inline = {"Version": "2012-10-17", "Statement": [STATEMENT]}
    wanted = {**ACTION["permission-set"], "inline-policy": inline}
    rehearsal.run(permission_set=wanted)
    lines = len(rehearsal.journal())
    outcomes = rehearsal.run(permission_set=wanted)
    assert rehearsal.mutations() == []
    assert len(rehearsal.journal()) == lines
    assert (outcomes["alice"]["status"], outcomes["alice"]["calls"]) == ("unchanged", 0)


def test_a_role_for_identity_centers_sessions_counts_for_a_permission_set_by_name(
    rehearsal: Rehearsal,
) -> None:
    rehearsal.user("alice")
    iam = rehearsal.org.client("iam", ACCOUNT)
    assuming = {**STATEMENT, "Action": ["sts:AssumeRole"]}
    document = {"Version": "2012-10-17", "Statement": [assuming]}
    iam.put_user_policy(UserName="alice", PolicyName="Own", PolicyDocument=json.dumps(document))
    sessions = {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*"}}
    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": account, "Condition": sessions}
    role = iam.create_role(
        RoleName="Admin", AssumeRolePolicyDocument=json.dumps({**document, "Statement": [trust]})
    )["Role"]
    wanted = {"name": "Assumers", "session-duration": "PT1H", "inline-policy": document}
    row = rehearsal.run(accept=None, permission_set=wanted)["alice"]
    assert (row["status"], row["verdict"]) == ("skipped", "wider")
    assert f"trust policy of {role['Arn']}" in row["reason"]
    assert rehearsal.assigned() == set()


GUARD = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Action": "s3:*",
            "Resource": "*",
            "Condition": {
                "ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*"}
            },
        }
    ],
}


def guarded(rehearsal: Rehearsal) -> None:
    """A service control policy of the account denies IAM users what sessions of Identity Center may do."""
    organizations = rehearsal.org.client("organizations")
    (root,) = organizations.list_roots()["Roots"]
    organizations.enable_policy_type(RootId=root["Id"], PolicyType="SERVICE_CONTROL_POLICY")
    made = organizations.create_policy(
        Content=json.dumps(GUARD), Description="", Name="Guard", Type="SERVICE_CONTROL_POLICY"
    )
    unit = organizations.create_organizational_unit(ParentId=root["Id"], Name="Workloads")
    unit_id = unit["OrganizationalUnit"]["Id"]
    organizations.move_account(AccountId=ACCOUNT, SourceParentId=root["Id"], DestinationParentId=unit_id)
    organizations.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=unit_id)


@pytest.mark.parametrize("by_name", [True, False], ids=["by-name", "derived"])
def test_policies_of_the_organization_count(rehearsal: Rehearsal, by_name: bool) -> None:
    rehearsal.user("alice")
    document = {"Version": "2012-10-17", "Statement": [STATEMENT]}
    rehearsal.org.client("iam", ACCOUNT).put_user_policy(
        UserName="alice", PolicyName="Own", PolicyDocument=json.dumps(document)
    )
    guarded(rehearsal)
    wanted = {"name": "Readers", "session-duration": "PT1H", "inline-policy": document}
    derived: dict[str, Any] = {"permission_set": None, "group": None, "derive": True}
    row = rehearsal.run(**({"permission_set": wanted, "accept": None} if by_name else derived))["alice"]
    assert (row["status"], row["verdict"]) == ("skipped", "wider")
    assert "service control policy of Guard" in row["reason"]
    assert "service control policies read" in row["scope"]
    assert rehearsal.assigned() == set()


@pytest.mark.parametrize("mode", ["apply", "intent"])
def test_each_verdict_says_what_it_rests_on(rehearsal: Rehearsal, mode: str) -> None:
    rehearsal.user("alice")
    rehearsal.user("bob", Email="")
    with pytest.raises(PolicyExecutionError):
        rehearsal.run(mode=mode)
    outcomes = rehearsal.outcomes()
    controls = {"apply": "service control policies read", "intent": "service control policies not looked at"}
    assert controls[mode] in outcomes["alice"]["scope"]
    assert "trust policies read" in outcomes["alice"]["scope"]
    assert "scope" not in outcomes["bob"]


def test_shared_state_is_read_once_and_people_by_two_calls_each(rehearsal: Rehearsal) -> None:
    names = [f"user-{number}" for number in range(12)]
    for name in names:
        rehearsal.user(name)
    rehearsal.run()
    rehearsal.run()
    reads = [call.operation for call in rehearsal.org.calls if call.service in ("sso-admin", "identitystore")]
    assert reads.count("GetUserId") == reads.count("DescribeUser") == len(names)
    assert len(reads) - 2 * len(names) <= 20


def test_the_outcome_stands_on_the_resource_for_the_notice(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.run()
    (resource,) = rehearsal.resources
    told = resource["c7n:IamUser"]["provisioning"]
    assert told.pop("reason").startswith("alice@example.com (a new Identity Center user) is in group")
    assert told == {
        "status": "provisioned",
        "code": "HasAccess",
        "username": "alice@example.com",
        "email": "alice@example.com",
        "group": GROUP,
        "permission-set": "IamMigratedReadOnly",
        "start-url": f"https://{rehearsal.instance.store.id}.awsapps.com/start",
        "region": "us-east-1",
    }


def test_every_change_is_journaled_before_and_after(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.run()
    lines = rehearsal.journal()
    begun = [line["operation"] for line in lines if line["phase"] == "before"]
    assert sorted(begun) == sorted(rehearsal.mutations())
    assert {line["result"] for line in lines if line["phase"] == "after"} == {"done"}
    assert {line["arn"] for line in lines if line["phase"] != "result"} == {
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:iam::{ACCOUNT}:user/alice",
    }


def test_the_role_is_assumed_by_the_runner_and_not_by_the_member_role(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.run()
    assumed = [call for call in rehearsal.org.calls if call.operation == "AssumeRole"]
    into_management = [call for call in assumed if MANAGEMENT in call.parameters["RoleArn"]]
    assert [call.account for call in into_management] == [MANAGEMENT]


def test_the_runs_own_session_where_no_role_is_given(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice", account=MANAGEMENT)
    outcomes = rehearsal.run(account=MANAGEMENT, role=None)
    assert outcomes["alice"]["status"] == "provisioned"
    assert {call.account for call in rehearsal.org.calls if call.service == "sso-admin"} == {MANAGEMENT}


def test_who_has_joined_its_group_ends_the_policy(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal.user("alice")
    mallory = rehearsal.create_user("mallory", "mallory@example.com")

    def joins() -> None:
        group = rehearsal.group()
        assert group
        store = rehearsal.instance.store.id
        rehearsal.org.client("identitystore").create_group_membership(
            IdentityStoreId=store, GroupId=group.id, MemberId={"UserId": mallory}
        )

    with monkeypatch.context() as patch:
        on_call(patch, "CreateUser", joins)
        with pytest.raises(PolicyExecutionError, match=f"{GROUP} .* mallory"):
            rehearsal.run()
    assert rehearsal.outcomes()["alice"]["status"] == "provisioned"


def test_what_a_run_created_can_be_undone(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.run()
    rehearsal.run()
    (result,) = rehearsal.output.glob("identity-center-runs/*/result.json")
    fleet = FleetRehearsal(rehearsal.org, rehearsal.output)
    assert fleet.undo(result) == []
    assert (rehearsal.usernames(), rehearsal.assigned(), rehearsal.permission_set()) == (set(), set(), None)


@pytest.mark.parametrize(
    ("fresh", "group", "told"),
    [
        pytest.param(False, "iam-{account_id}-others", "an earlier run gave team@", id="same-output"),
        pytest.param(
            True, "iam-{account_id}-others", "no run with records here put the person there", id="fresh"
        ),
        pytest.param(True, ACTION["group"], "", id="fresh-and-its-own-group"),
    ],
)
def test_access_of_another_iam_user_is_not_inherited(
    rehearsal: Rehearsal, fresh: bool, group: str, told: str
) -> None:
    """Bob's user has the address of alice's, who is deleted since. A run in a fresh output has no record of her."""
    rehearsal.user("alice", Email="team@example.com")
    rehearsal.user("bob")
    rehearsal.run(filters=({"UserName": "alice"},))
    rehearsal.remove_user("alice")
    address = [{"Key": "Email", "Value": "team@example.com"}]
    rehearsal.org.client("iam", ACCOUNT).tag_user(UserName="bob", Tags=address)
    if fresh:
        rehearsal.output = rehearsal.output.parent / "fresh" / "under-test"
    with pytest.raises(PolicyExecutionError, match=told) if told else nullcontext():
        rehearsal.run(group=group)
    row = rehearsal.outcomes()["bob"]
    assert (row["status"], told in row["reason"]) == ("failed" if told else "unchanged", True)
    assert rehearsal.group(f"iam-{ACCOUNT}-others") is None


def test_outcomes_of_an_earlier_run_are_kept(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.run()
    rehearsal.run()
    (row,) = json.loads((rehearsal.output / "outcomes.json").read_text())
    assert [row["status"], *(earlier["status"] for earlier in row["history"])] == ["unchanged", "provisioned"]


def test_later_actions_see_failures_and_the_run_fails_after_them(rehearsal: Rehearsal) -> None:
    rehearsal.user("robot", Email="")
    tag = {"type": "tag", "key": "Seen", "value": "yes"}
    with pytest.raises(PolicyExecutionError, match="failed for 1 users"):
        rehearsal.run(actions=(tag,))
    tags = rehearsal.org.client("iam", ACCOUNT).list_user_tags(UserName="robot")["Tags"]
    assert {"Key": "Seen", "Value": "yes"} in tags


def _second_instance() -> None:
    instances.add_instance(MANAGEMENT, "us-east-1")


@pytest.mark.parametrize(
    ("prepare", "changes", "told"),
    [
        pytest.param(instances.remove_instance, {}, "no Identity Center instance in us-east-1", id="none"),
        pytest.param(
            _second_instance, {}, "several Identity Center instances in us-east-1: arn:", id="several"
        ),
        pytest.param(
            None, {"region": "eu-west-1"}, "it is in us-east-1, so set region: us-east-1", id="region"
        ),
        pytest.param(
            None, {"role": None}, "through the policy's own session: no Identity Center", id="member-account"
        ),
        pytest.param(
            None,
            {"role": "arn:aws:iam::123456789012:role/Missing"},
            "through role arn:aws:iam::123456789012:role/Missing .*AccessDenied.*trust policy",
            id="unassumable-role",
        ),
    ],
)
def test_an_identity_center_that_will_not_do(
    rehearsal: Rehearsal, prepare: Callable[[], None] | None, changes: dict[str, Any], told: str
) -> None:
    rehearsal.user("alice")
    if prepare:
        prepare()
    with pytest.raises(PolicyExecutionError, match=told) as error:
        rehearsal.run(**changes)
    assert f"policy under-test: account {ACCOUNT}" in str(error.value)
    assert "Nothing was touched" in str(error.value)
    row = rehearsal.outcomes()["alice"]
    assert (row["status"], bool(row["unique_id"]), bool(row["time"])) == ("failed", True, True)
    assert row["reason"].startswith(f"user alice of account {ACCOUNT}: ")
    assert rehearsal.mutations() == []


@pytest.mark.parametrize(
    "operation", ["ListInstances", "DescribeInstance", "ListPermissionSets", "GetGroupId", "GetUserId"]
)
def test_denied_readings_end_the_policy_but_never_c7n_orgs_run(rehearsal: Rehearsal, operation: str) -> None:
    rehearsal.user("alice")
    injected_faults.refuse_next(operation, "AccessDeniedException")
    with pytest.raises(PolicyExecutionError, match=r"AccessDeniedException.* declares"):
        rehearsal.run()


def test_a_variable_that_nobody_defines(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    with pytest.raises(PolicyExecutionError, match=r"'iam-\{team\}' has the undefined variable"):
        rehearsal.run(group="iam-{team}")


def somebody_deletes_an_assignment(org: LocalOrg) -> None:
    """That is in progress."""
    (instance,) = state.instances
    found = next(iter(instance.assignments))
    org.configure(assignment_seconds=60)
    org.client("sso-admin").delete_account_assignment(
        InstanceArn=instance.arn,
        TargetId=found.account_id,
        TargetType="AWS_ACCOUNT",
        PermissionSetArn=found.permission_set_arn,
        PrincipalType=found.principal_type,
        PrincipalId=found.principal_id,
    )
    org.configure(assignment_seconds=0)


def test_every_call_is_declared(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal.user("alice")
    made, document = set[str](), {"Version": "2012-10-17", "Statement": [STATEMENT]}
    rich = {**ACTION["permission-set"], "inline-policy": document}
    poor = {"name": "IamMigratedReadOnly", "session-duration": "PT2H", "tags": {"Team": "platform"}}

    def run(told: str = "", **changes: Any) -> None:
        with pytest.raises(PolicyExecutionError, match=told) if told else nullcontext():
            rehearsal.run(**changes)
        made.update(f"{call.service}:{call.operation}" for call in rehearsal.org.calls)

    guarded(rehearsal)
    injected_faults.refuse_next(
        "CreateGroupMembership", "ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION"
    )
    run(permission_set=rich)
    run(permission_set=poor)
    run(group="everybody", shared_group=True)
    run(group="everybody", shared_group=True)
    # a fleet of more than a few is listed instead of looked up
    monkeypatch.setattr("c7n_iamusers.identity_center.aws.reader._FEW", 0)
    iam, here = rehearsal.org.client("iam", ACCOUNT), f"arn:aws:iam::{ACCOUNT}:policy"
    for name in ("Own", "Edge"):
        iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))
    iam.attach_user_policy(UserName="alice", PolicyArn=f"{here}/Own")
    iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=f"{here}/Edge")
    somebody_deletes_an_assignment(rehearsal.org)
    # Both groups still give her what was requested before.
    no_names = {"group": None, "permission_set": None}
    run(
        "wider: also holds",
        derive={"accept": [{**ACCEPT_ALL[0], "account": ACCOUNT, "user": "alice"}]},
        **no_names,
    )
    found = policy({"actions": [ACTION]}).resource_manager.actions[0]
    used = {each.replace("sso-admin:", "sso:") for each in made if not each.startswith("iam:")}
    assert used == {each for each in found.get_permissions() if not each.startswith("iam:")}


def test_the_example_of_the_docs_is_valid() -> None:
    load_resources(("aws.iam-user",))
    register()
    _, _, example = (ProvisionIdentityCenter.__doc__ or "").partition(".. code-block:: yaml")
    data = yaml_load(textwrap.dedent(example))
    assert schema.validate(data, schema.generate(("aws.iam-user",))) == []
    (given,) = data["policies"]
    policy({key: given[key] for key in ("filters", "actions")})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"identity-source": None}, id="no-identity-source"),
        pytest.param({"identity-source": "okta"}, id="unknown-identity-source"),
        pytest.param({"user": {"username": "tag:Email"}}, id="no-email-key"),
        pytest.param({"user": {**ACTION["user"], "phone": "tag:Phone"}}, id="unknown-user-key"),
        pytest.param({"user": {**ACTION["user"], "email": []}}, id="empty-list-of-keys"),
        pytest.param({"permission-set": {}}, id="no-name"),
        pytest.param({"permission-set": {"name": "x", "policy": "y"}}, id="unknown-key-of-the-set"),
        pytest.param({"group": ""}, id="empty-group"),
        pytest.param({"timeout": 0}, id="no-time"),
    ],
)
def test_what_the_schema_refuses(changes: dict[str, Any]) -> None:
    load_resources(("aws.iam-user",))
    register()
    action = {key: value for key, value in {**ACTION, **changes}.items() if value is not None}
    given = {"policies": [{"name": "p", "resource": "aws.iam-user", "actions": [action]}]}
    assert schema.validate(given, schema.generate(("aws.iam-user",))) != []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            {"name": "a b"}, "policy under-test: provision-identity-center: permission-set: name", id="name"
        ),
        pytest.param({"session-duration": "1h"}, "must be an ISO 8601 duration", id="duration"),
        pytest.param(
            {"managed-policies": ["arn:aws:iam::111122223333:policy/Own"]}, "is customer-managed", id="own"
        ),
        pytest.param(
            {"inline-policy": {}, "inline-policy-file": "x.json"}, "either .* or .*, not both", id="both"
        ),
    ],
)
def test_what_validate_refuses(changes: dict[str, Any], told: str) -> None:
    action = {**ACTION, "permission-set": {**ACTION["permission-set"], **changes}}
    with pytest.raises(PolicyValidationError, match=told):
        policy({"actions": [action]})


def test_a_lambda_must_carry_the_package() -> None:
    mode = {"type": "periodic", "schedule": "rate(1 day)", "role": "arn:aws:iam::111122223333:role/Custodian"}
    with pytest.raises(PolicyValidationError, match=r"add c7n_iamusers to mode\.packages"):
        policy({"mode": mode, "actions": [ACTION]})


def test_an_unquoted_date_of_accept_is_kept_as_text() -> None:
    """c7n writes a policy's data as JSON at the end of a run."""
    row = {"account": ACCOUNT, "user": "alice", "verdict": "wider", "remark": "looked at"}
    data: dict[str, Any] = {**ACTION, "derive": {"accept": [{**row, "expires": date(2027, 1, 31)}]}}
    action = ProvisionIdentityCenter(data)
    assert json.loads(json.dumps(action.data))["derive"]["accept"] == [{**row, "expires": "2027-01-31"}]
