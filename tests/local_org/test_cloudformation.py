# SPDX-License-Identifier: Apache-2.0
"""Stacks of the templates that `c7n-iamusers roles` prints, and of deploy/template.yml."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main
from tests.local_org.stacks import create, deploy, reasons

ROOT = Path(__file__).parents[2]
MANAGEMENT, MEMBER = "123456789012", "111122223333"
RUNNER = f"arn:aws:iam::{MANAGEMENT}:role/Runner"


def role_template(
    trusted: str, actions: Mapping[str, str], name: str = "Tested", more: Mapping[str, Any] | None = None
) -> str:
    """A role that ``trusted`` may assume. ``actions``: name of an inline policy -> the action that it allows."""
    trust = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
    policies = [
        {
            "PolicyName": each,
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}],
            },
        }
        for each, action in actions.items()
    ]
    role = {
        "RoleName": name,
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": policies,
    }
    return json.dumps({"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": role}, **(more or {})}})


def printed(role: str) -> Mapping[str, Any]:
    files = ("-u", str(ROOT / "policies" / "flag-and-notify.yml"), "-c", str(ROOT / "accounts.yml"))
    found = CliRunner().invoke(main, ["roles", *files, "--runner", RUNNER, "--role", role])
    assert found.exit_code == 0, found.output
    template: Mapping[str, Any] = json.loads(found.stdout)
    return template


def test_the_printed_roles_are_those_that_a_stack_makes(org: LocalOrg) -> None:
    iam = org.client("iam")
    own = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"},
        "Action": "sts:AssumeRole",
    }
    iam.create_role(
        RoleName="Runner", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [own]})
    )
    reader, runner = printed("member-reader"), printed("runner")
    arn = create(org, MEMBER, "reader", json.dumps(reader))["RoleArn"]
    assert arn == f"arn:aws:iam::{MEMBER}:role/IamUsersReader"
    create(org, MANAGEMENT, "runner", json.dumps(runner))
    made = iam.get_role_policy(RoleName="Runner", PolicyName="c7n-iamusers")["PolicyDocument"]
    assert made == runner["Resources"]["Policy"]["Properties"]["PolicyDocument"]
    there = org.client("iam", MEMBER)
    trust = there.get_role(RoleName="IamUsersReader")["Role"]["AssumeRolePolicyDocument"]
    assert trust == reader["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]


@pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto")
@pytest.mark.parametrize("provision", ["", "policies/provision-intents.yml#iam-users-intents"])
def test_a_condition_that_does_not_hold_leaves_its_item_out(org: LocalOrg, provision: str) -> None:
    given = {
        "Image": f"{MANAGEMENT}.dkr.ecr.us-east-1.amazonaws.com/iam-users@sha256:{'0' * 64}",
        "VpcId": "vpc-1",
        "Subnets": "subnet-1",
        "OnCallRole": "",
        "Provision": provision,
        "IdentityCenterRoleArn": f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner",
    }
    template = (ROOT / "deploy" / "template.yml").read_text()
    outputs = create(org, MANAGEMENT, "iam-users", template, **given)
    name = outputs["WriterRoleArn"].rpartition("/")[2]
    policies = org.client("iam").list_role_policies(RoleName=name)["PolicyNames"]
    assert ("provision" in policies) == bool(provision)


ROOT_OF_MEMBER = f"arn:aws:iam::{MEMBER}:root"


def test_an_update_of_a_stack_changes_the_role_that_it_made(org: LocalOrg) -> None:
    create(
        org, MEMBER, "tested", role_template(ROOT_OF_MEMBER, {"kept": "s3:GetObject", "gone": "s3:PutObject"})
    )
    iam = org.client("iam", MEMBER)
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="Tested", PolicyName="by-hand", PolicyDocument=json.dumps(everything))
    before = iam.get_role(RoleName="Tested")["Role"]
    other = f"arn:aws:iam::{MANAGEMENT}:root"
    assert (
        create(
            org, MEMBER, "tested", role_template(other, {"kept": "sqs:SendMessage", "new": "s3:ListBucket"})
        )
        == {}
    )
    after = iam.get_role(RoleName="Tested")["Role"]
    assert after["RoleId"] == before["RoleId"]
    assert after["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": other}
    assert sorted(iam.list_role_policies(RoleName="Tested")["PolicyNames"]) == ["by-hand", "kept", "new"]
    kept = iam.get_role_policy(RoleName="Tested", PolicyName="kept")["PolicyDocument"]
    assert kept["Statement"][0]["Action"] == "sqs:SendMessage"


def test_a_role_of_another_name_takes_its_place(org: LocalOrg) -> None:
    create(org, MEMBER, "tested", role_template(ROOT_OF_MEMBER, {}))
    create(org, MEMBER, "tested", role_template(ROOT_OF_MEMBER, {"kept": "s3:GetObject"}, "Renamed"))
    iam = org.client("iam", MEMBER)
    names = {each["RoleName"] for each in iam.list_roles()["Roles"]}
    assert "Renamed" in names
    assert "Tested" not in names


def test_a_stack_whose_role_exists_is_rolled_back_and_must_be_deleted_before_the_next_one(
    org: LocalOrg,
) -> None:
    iam, client = org.client("iam", MEMBER), org.client("cloudformation", MEMBER)
    queue = {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "made-first"}}}
    wanted = json.loads(role_template(ROOT_OF_MEMBER, {}))
    template = json.dumps({"Resources": {**queue, **wanted["Resources"]}})
    iam.create_role(
        RoleName="Tested",
        AssumeRolePolicyDocument=json.dumps(
            wanted["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]
        ),
    )
    assert deploy(org, MEMBER, "tested", template)["StackStatus"] == "ROLLBACK_COMPLETE"
    told = 'Resource handler returned message: "Role with name Tested already exists."'
    assert reasons(org, MEMBER, "tested") == [("Role", "CREATE_FAILED", told)]
    assert org.client("sqs", MEMBER).list_queues().get("QueueUrls", []) == []
    assert iam.get_role(RoleName="Tested")["Role"]["RoleName"] == "Tested"
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        deploy(org, MEMBER, "tested", template)
    iam.delete_role(RoleName="Tested")
    client.delete_stack(StackName="tested")
    assert deploy(org, MEMBER, "tested", template)["StackStatus"] == "CREATE_COMPLETE"
    assert len(client.describe_stacks()["Stacks"]) == 1


def test_a_stack_has_one_name(org: LocalOrg) -> None:
    client = org.client("cloudformation", MEMBER)
    template = role_template(ROOT_OF_MEMBER, {})
    given = {"StackName": "tested", "ChangeSetType": "CREATE", "TemplateBody": template}
    client.create_change_set(ChangeSetName="never-executed", **given)
    assert deploy(org, MEMBER, "tested", template)["StackStatus"] == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match="already exists and cannot be created again"):
        client.create_change_set(ChangeSetName="another", **given)


@pytest.mark.parametrize(
    "trusted", [f"arn:aws:iam::{MANAGEMENT}:role/Missing", f"arn:aws:iam::{MANAGEMENT}:user/missing"]
)
def test_a_stack_refuses_a_role_that_trusts_nobody_who_exists(org: LocalOrg, trusted: str) -> None:
    template = role_template(trusted, {})
    assert deploy(org, MEMBER, "tested", template)["StackStatus"] == "ROLLBACK_COMPLETE"
    ((name, status, reason),) = reasons(org, MEMBER, "tested")
    assert (name, status) == ("Role", "CREATE_FAILED")
    assert f'Invalid principal in policy: "AWS":"{trusted}"' in reason


def test_a_failed_update_gives_back_what_was_there(org: LocalOrg) -> None:
    create(org, MEMBER, "tested", role_template(ROOT_OF_MEMBER, {"kept": "s3:GetObject"}))
    queue = {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "made-first"}}}
    changed = role_template(f"arn:aws:iam::{MANAGEMENT}:role/Missing", {"kept": "s3:*"}, more=queue)
    assert deploy(org, MEMBER, "tested", changed)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert [each[:2] for each in reasons(org, MEMBER, "tested")] == [("Role", "UPDATE_FAILED")]
    assert org.client("sqs", MEMBER).list_queues().get("QueueUrls", []) == []
    document = org.client("iam", MEMBER).get_role_policy(RoleName="Tested", PolicyName="kept")[
        "PolicyDocument"
    ]
    assert document["Statement"][0]["Action"] == "s3:GetObject"
    corrected = role_template(ROOT_OF_MEMBER, {"kept": "s3:PutObject"})
    assert deploy(org, MEMBER, "tested", corrected)["StackStatus"] == "UPDATE_COMPLETE"


def test_stacks_without_change_sets_are_rolled_back_too(org: LocalOrg) -> None:
    client, missing = org.client("cloudformation", MEMBER), f"arn:aws:iam::{MANAGEMENT}:role/Missing"
    given = {"StackName": "tested", "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    client.create_stack(TemplateBody=role_template(missing, {}), **given)
    (stack,) = client.describe_stacks(StackName="tested")["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    client.delete_stack(StackName="tested")
    client.create_stack(TemplateBody=role_template(ROOT_OF_MEMBER, {}), **given)
    client.update_stack(TemplateBody=role_template(missing, {}), **given)
    (stack,) = client.describe_stacks(StackName="tested")["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_a_stack_whose_role_can_not_be_deleted_stays(org: LocalOrg) -> None:
    create(org, MEMBER, "tested", role_template(ROOT_OF_MEMBER, {}))
    iam, client = org.client("iam", MEMBER), org.client("cloudformation", MEMBER)
    policy = {"RoleName": "Tested", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    iam.attach_role_policy(**policy)
    client.delete_stack(StackName="tested")
    (stack,) = client.describe_stacks(StackName="tested")["Stacks"]
    assert stack["StackStatus"] == "DELETE_FAILED"
    assert reasons(org, MEMBER, "tested")[0][2] == "Cannot delete entity, must detach all policies first."
    iam.detach_role_policy(**policy)
    client.delete_stack(StackName="tested")
    assert client.describe_stacks()["Stacks"] == []


@pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto")
def test_a_bucket_outlives_its_stack_but_not_a_creation_that_failed(org: LocalOrg) -> None:
    """The next try of that creation would find the name taken."""
    template = (ROOT / "deploy" / "realtime.yml").read_text()
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    org.client("iam").create_role(RoleName="OnCall", AssumeRolePolicyDocument=trust)
    org.client("sqs").create_queue(QueueName="taken")
    given = {"BucketName": "of-functions", "OrganizationId": "o-exampleorgid", "AlarmTo": "a@example.com"}
    s3, stacks = org.client("s3"), org.client("cloudformation")

    def buckets() -> list[str]:
        return [each["Name"] for each in s3.list_buckets()["Buckets"] if each["Name"] == given["BucketName"]]

    failed = deploy(org, MANAGEMENT, "realtime", template, QueueName="taken", **given)
    assert (failed["StackStatus"], buckets()) == ("ROLLBACK_COMPLETE", [])
    stacks.delete_stack(StackName="realtime")
    create(org, MANAGEMENT, "realtime", template, QueueName="free", **given)
    stacks.delete_stack(StackName="realtime")
    assert buckets() == ["of-functions"]


def test_the_stack_of_a_resource_by_its_physical_id(org: LocalOrg) -> None:
    user = {"Type": "AWS::IAM::User", "Properties": {"UserName": "made"}}
    key = {"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": {"Ref": "User"}}}
    template = {"Resources": {"User": user, "Key": key}}
    client, iam = org.client("cloudformation", MEMBER), org.client("iam", MEMBER)
    client.create_stack(StackName="users", TemplateBody=json.dumps(template))
    (made,) = iam.list_access_keys(UserName="made")["AccessKeyMetadata"]
    for physical_id in ("made", made["AccessKeyId"]):
        found = client.describe_stack_resources(PhysicalResourceId=physical_id)["StackResources"]
        assert {(each["ResourceType"], each["PhysicalResourceId"], each["StackName"]) for each in found} == {
            ("AWS::IAM::User", "made", "users"),
            ("AWS::IAM::AccessKey", made["AccessKeyId"], "users"),
        }
        assert {each["ResourceStatus"] for each in found} == {"CREATE_COMPLETE"}
    for asked, why in (
        ({"PhysicalResourceId": "other"}, "Stack for other does not exist"),
        ({"PhysicalResourceId": "made", "StackName": "users"}, "both"),
    ):
        with pytest.raises(ClientError, match=why) as refused:
            client.describe_stack_resources(**asked)
        assert refused.value.response["Error"]["Code"] == "ValidationError"
