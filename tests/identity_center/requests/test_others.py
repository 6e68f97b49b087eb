# SPDX-License-Identifier: Apache-2.0
"""Roles, organization policies and resource policies of others, read from the local organization and from files."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import EndpointConnectionError
from c7n.config import Config
from c7n.exceptions import PolicyValidationError
from c7n.policy import PolicyCollection
from c7n.resources import load_resources
from c7n.utils import reset_session_cache
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.organization_policies import PERMISSIONS, read_organization_policies
from c7n_iamusers.identity_center.requests.others import (
    Control,
    OrganizationPolicies,
    OthersIndex,
    ResourcePolicies,
)
from c7n_iamusers.identity_center.requests.resource_policies import read_resource_policies
from c7n_iamusers.policy_comparison.comparison import NOT_ASKED, READ, UNREADABLE
from c7n_iamusers.policy_comparison.other_policies import RCP, RESOURCE, SCP, TRUST, parse_other_policy
from c7n_iamusers_cli.main import main
from tests import interference
from tests.access_center import ACCOUNT, MARK, OTHER_ACCOUNT
from tests.derivation.users import allow, deny, document
from tests.derived import derived, holder
from tests.desired import intents
from tests.fakes import client_error
from tests.identity_center.fleet_rehearsal import FleetRehearsal

MANAGEMENT, THIRD = "123456789012", "777788889999"
ROLE = f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner"
MEMBER_ROLE = "arn:aws:iam::{account_id}:role/CloudCustodian"
SSO = "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*"
BY_SSO, NOT_SSO = {"ArnLike": {"aws:PrincipalArn": SSO}}, {"ArnNotLike": {"aws:PrincipalArn": SSO}}
GUARD = document(deny("s3:*", Condition=NOT_SSO))


def provision(fleet: FleetRehearsal, command: str = "apply", *arguments: str | Path) -> Result:
    given = [
        "provision",
        command,
        "-s",
        fleet.output,
        "--region",
        "us-east-1",
        "--role",
        ROLE,
        "--member-role",
        MEMBER_ROLE,
    ]
    return CliRunner().invoke(main, [str(each) for each in [*given, "--trust-intents", *arguments]])


def user_in(org: LocalOrg, account: str, name: str, *statements: dict[str, Any]) -> Any:
    """An IAM user of the local organization, as it is in intents."""
    iam = org.client("iam", account)
    made = iam.create_user(UserName=name, Tags=[{"Key": "Email", "Value": f"{name}@example.com"}])["User"]
    iam.put_user_policy(UserName=name, PolicyName="Own", PolicyDocument=json.dumps(document(*statements)))
    iam.create_access_key(UserName=name)
    wanted = holder(account, name, *statements)
    subject = type(wanted.subject)(name, made["Arn"], made["UserId"])
    detail = {**(wanted.detail or {}), "UserId": made["UserId"]}
    return replace(wanted, subject=subject, detail=detail)


def derived_intents(account: str, *users: Any, **derive: Any) -> Any:
    return replace(derived(account, *users, **derive), time=datetime.now(timezone.utc).replace(microsecond=0))


def role_in(org: LocalOrg, account: str, name: str, **statement: Any) -> str:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "sts:AssumeRole",
        **statement,
    }
    created = org.client("iam", account).create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(document(trust))
    )
    return str(created["Role"]["Arn"])


def test_a_role_for_sessions_of_identity_center_refuses_the_user_by_the_roles_name(
    fleet: FleetRehearsal,
) -> None:
    assuming, reading = allow("sts:AssumeRole"), allow("s3:Get*")
    alice = user_in(fleet.org, ACCOUNT, "alice", assuming)
    bob = user_in(fleet.org, ACCOUNT, "bob", reading)
    fleet.leave(derived_intents(ACCOUNT, alice, bob))
    admin = role_in(fleet.org, ACCOUNT, "Admin", Condition=BY_SSO)
    planned = provision(fleet, "plan")
    assert planned.exit_code == 0, planned.output
    (refused,) = [line for line in planned.output.splitlines() if "! refused" in line]
    assert "user alice" in refused
    assert f"trust policy of {admin}" in refused
    assert "bob@example.com in iam-" in planned.output
    assert f"account {ACCOUNT}: trust policies read (of 1 accounts with intents)" in planned.output


def test_the_file_of_a_plan_has_the_scope(fleet: FleetRehearsal, tmp_path: Path) -> None:
    fleet.leave(derived_intents(ACCOUNT, user_in(fleet.org, ACCOUNT, "alice", allow("s3:Get*"))))
    plan = tmp_path / "plan.json"
    assert provision(fleet, "plan", "--out", plan).exit_code == 0
    shown = CliRunner().invoke(main, ["plan", str(plan)])
    assert f"Scope of the verdicts in account {ACCOUNT}: trust policies read" in shown.output
    audited = provision(fleet, "audit")
    assert f"Scope of the verdicts in account {ACCOUNT}: trust policies read" in audited.output


def test_it_is_accepted_by_name_and_the_report_has_the_scope(fleet: FleetRehearsal) -> None:
    alice = user_in(fleet.org, ACCOUNT, "alice", allow("sts:AssumeRole"))
    row = {
        "account": ACCOUNT, "user": "alice", "verdict": "wider", "remark": "SEC-1", "expires": "2099-01-01",
    }  # fmt: skip
    fleet.leave(derived_intents(ACCOUNT, alice, accept=[row]))
    role_in(fleet.org, ACCOUNT, "Admin", Condition=BY_SSO)
    applied = provision(fleet)
    assert applied.exit_code == 0, applied.output
    (derivation,) = json.loads((fleet.output / "identity-center-derivation.json").read_text())["derivations"]
    (found,) = derivation["users"]
    proof = derivation["proofs"][found["proof"]]
    assert found["verdict"] == proof["verdict"] == "wider"
    assert {each["id"] for each in proof["remarks"]} == {"others-wider", "accepted"}
    assert [(each["kind"], each["status"]) for each in proof["scope"]] == [
        (TRUST, READ),
        (SCP, READ),
        (RCP, READ),
        (RESOURCE, NOT_ASKED),
    ]


def test_what_only_others_would_see_is_said_where_accounts_are_not_read(fleet: FleetRehearsal) -> None:
    alice = user_in(fleet.org, ACCOUNT, "alice", allow("sts:AssumeRole"))
    fleet.leave(derived_intents(ACCOUNT, alice))
    fleet.run(dry=True)
    (scope,) = [line for line in fleet.said if line.startswith("Scope of the verdicts")]
    assert "trust policies not readable (the account was not read again, which takes --member-role)" in scope
    assert "service control policies not looked at" in scope


@pytest.fixture
def organizations(org: LocalOrg) -> Any:
    client = org.client("organizations")
    (root,) = client.list_roots()["Roots"]
    client.enable_policy_type(RootId=root["Id"], PolicyType="SERVICE_CONTROL_POLICY")
    return client


def attached(client: Any, target: str, content: dict[str, Any] = GUARD, name: str = "Guard") -> str:
    made = client.create_policy(
        Content=json.dumps(content), Description="", Name=name, Type="SERVICE_CONTROL_POLICY"
    )
    policy_id = made["Policy"]["PolicySummary"]["Id"]
    if target:
        client.attach_policy(PolicyId=policy_id, TargetId=target)
    return str(policy_id)


def read(org: LocalOrg) -> OrganizationPolicies:
    found = read_organization_policies(org.session(), "us-east-1", Backoff(budget=1.0))
    assert isinstance(found, OrganizationPolicies), found
    return found


def test_only_policies_that_tell_principals_apart_are_followed_to_their_targets(
    org: LocalOrg, organizations: Any
) -> None:
    (root,) = organizations.list_roots()["Roots"]
    attached(organizations, root["Id"], document(deny("s3:*")), "Plain")
    attached(organizations, "", name="Nowhere")
    guard = attached(organizations, root["Id"])
    org.clear_calls()
    found = read(org)
    assert [(each.policy.name, each.accounts) for each in found.controls] == [(f"Guard ({guard})", None)]
    assert (found.management_account, found.counts[SCP]) == (MANAGEMENT, 4)  # with FullAWSAccess
    asked = [each.operation for each in org.calls]
    assert asked.count("ListTargetsForPolicy") == 2
    used = {f"organizations:{each}" for each in asked} - {"organizations:AssumeRole"}
    assert used <= set(PERMISSIONS)


def test_a_policy_of_a_unit_counts_in_its_accounts_however_deep(org: LocalOrg, organizations: Any) -> None:
    (root,) = organizations.list_roots()["Roots"]
    outer = organizations.create_organizational_unit(ParentId=root["Id"], Name="outer")["OrganizationalUnit"]
    inner = organizations.create_organizational_unit(ParentId=outer["Id"], Name="inner")["OrganizationalUnit"]
    (parent,) = organizations.list_parents(ChildId=ACCOUNT)["Parents"]
    organizations.move_account(
        AccountId=ACCOUNT, SourceParentId=parent["Id"], DestinationParentId=inner["Id"]
    )
    attached(organizations, outer["Id"])
    attached(organizations, OTHER_ACCOUNT, name="Other")
    found = {each.policy.name.split()[0]: each.accounts for each in read(org).controls}
    assert found == {"Guard": frozenset({ACCOUNT}), "Other": frozenset({OTHER_ACCOUNT})}
    index = OthersIndex({}, read(org))
    named = {
        account: [each.name.split()[0] for each in index.of(account).policies] for account in (ACCOUNT, THIRD)
    }
    assert named == {ACCOUNT: ["Guard"], THIRD: []}


def test_a_policy_that_exempts_identity_center_refuses_users_of_its_accounts(
    fleet: FleetRehearsal, organizations: Any
) -> None:
    guard = attached(organizations, ACCOUNT)
    first, other = (user_in(fleet.org, each, "alice", allow("s3:Get*")) for each in (ACCOUNT, OTHER_ACCOUNT))
    fleet.leave(derived_intents(ACCOUNT, first), derived_intents(OTHER_ACCOUNT, other))
    planned = provision(fleet, "plan")
    (refused,) = [line for line in planned.output.splitlines() if "! refused" in line]
    assert f"account {ACCOUNT}" in refused
    assert f"service control policy of Guard ({guard})" in refused


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(client_error("AccessDeniedException"), "organizations:ListPolicies", id="denied"),
        pytest.param(client_error("AWSOrganizationsNotInUseException"), "in no organization", id="none"),
        pytest.param(EndpointConnectionError(endpoint_url="x"), "organizations:ListPolicies", id="no-way"),
    ],
)
def test_why_an_organization_was_not_read(org: LocalOrg, error: Exception, told: str) -> None:
    class Session:
        def client(self, *_: Any, **__: Any) -> Any:
            raise error

    found = read_organization_policies(Session(), "us-east-1", Backoff(budget=0.1))
    assert isinstance(found, str)
    assert told in found
    scope = OthersIndex({ACCOUNT: {}}, found).of(ACCOUNT).scope
    assert [(each.kind, each.status) for each in scope][:3] == [
        (TRUST, READ),
        (SCP, UNREADABLE),
        (RCP, UNREADABLE),
    ]


def test_the_management_account_has_no_controls_but_those_of_resources_elsewhere() -> None:
    guard, perimeter = (
        Control(parse_other_policy(kind, kind, MANAGEMENT, "", {**GUARD, "Statement": [
            {**GUARD["Statement"][0], **({"Principal": "*"} if kind == RCP else {})}
        ]}))
        for kind in (SCP, RCP)
    )  # fmt: skip
    index = OthersIndex({}, OrganizationPolicies("o-1", MANAGEMENT, (guard, perimeter)))
    assert [each.kind for each in index.of(MANAGEMENT).policies] == [RCP]
    assert [each.kind for each in index.of(ACCOUNT).policies] == [SCP, RCP]
    assert index.of(ACCOUNT).known["aws:principalorgid"] == frozenset({"o-1"})


def test_a_role_counts_in_the_accounts_that_it_trusts() -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Condition": BY_SSO}
    here = {**trust, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    there, anywhere = {**trust, "Principal": {"AWS": OTHER_ACCOUNT}}, {**trust, "Principal": "*"}
    arns = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("anywhere", "here", "there")]
    roles = dict(zip(arns, map(document, (anywhere, here, there)), strict=True))
    index = OthersIndex({ACCOUNT: roles, OTHER_ACCOUNT: {}})
    named = {
        account: [each.name.rpartition("/")[2] for each in index.of(account).policies]
        for account in (ACCOUNT, OTHER_ACCOUNT, THIRD)
    }
    assert named == {
        ACCOUNT: ["anywhere", "here", "there"],
        OTHER_ACCOUNT: ["anywhere", "there"],
        THIRD: ["anywhere"],
    }


def named_intents(account: str, *users: Any, statements: Sequence[dict[str, Any]]) -> Any:
    """Intents that request by name a permission set with ``statements``, and accept nothing."""
    inline = json.dumps(document(*statements))
    wanted = PermissionSet("Readers", "Reads", inline_policy=inline, tags=MARK)
    return intents(account, users=tuple(users), permission_set=wanted)


def refusals(result: Result) -> list[str]:
    return [line for line in result.output.splitlines() if "! refused" in line]


@pytest.mark.parametrize("with_derived", [False, True], ids=["alone", "beside-derived"])
def test_a_permission_set_by_name_is_compared_with_the_policies_of_others(
    fleet: FleetRehearsal, with_derived: bool
) -> None:
    alice = user_in(fleet.org, ACCOUNT, "alice", allow("sts:AssumeRole"))
    fleet.leave(named_intents(ACCOUNT, alice, statements=[allow("sts:AssumeRole")]))
    if with_derived:
        fleet.leave(derived_intents(ACCOUNT, user_in(fleet.org, ACCOUNT, "bob", allow("s3:Get*"))))
    admin = role_in(fleet.org, ACCOUNT, "Admin", Condition=BY_SSO)
    applied = provision(fleet)
    (refused,) = refusals(applied)
    assert "user alice" in refused
    assert f"trust policy of {admin}" in refused
    assert "alice@example.com" not in str(fleet.members())
    assert f"account {ACCOUNT}: trust policies read (of 1 accounts with intents)" in applied.output
    audited = provision(fleet, "audit")
    assert audited.exit_code != 0
    assert f"trust policy of {admin}" in audited.output


def test_a_permission_set_by_name_that_others_do_not_widen_is_given(fleet: FleetRehearsal) -> None:
    alice = user_in(fleet.org, ACCOUNT, "alice", allow("sts:AssumeRole"))
    fleet.leave(named_intents(ACCOUNT, alice, statements=[allow("sts:AssumeRole")]))
    role_in(fleet.org, ACCOUNT, "Admin")
    applied = provision(fleet)
    assert not refusals(applied), applied.output
    assert fleet.members() == {f"iam-{ACCOUNT}-Readers": {"alice@example.com"}}


@pytest.mark.parametrize("there", ["derived", "named", "leaver", "nobody"])
def test_roles_of_every_account_with_intents_count(fleet: FleetRehearsal, there: str) -> None:
    reading = allow("s3:Get*")
    fleet.leave(derived_intents(ACCOUNT, user_in(fleet.org, ACCOUNT, "alice", allow("sts:AssumeRole"))))
    bob = user_in(fleet.org, OTHER_ACCOUNT, "bob", reading)
    if there == "leaver":
        iam = fleet.org.client("iam", OTHER_ACCOUNT)
        (key,) = iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]
        iam.update_access_key(UserName="bob", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    users = () if there == "nobody" else (bob,)
    fleet.leave(
        named_intents(OTHER_ACCOUNT, bob, statements=[reading])
        if there == "named"
        else derived_intents(OTHER_ACCOUNT, *users)
    )
    admin = role_in(
        fleet.org, OTHER_ACCOUNT, "Admin", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Condition=BY_SSO
    )
    planned = provision(fleet, "plan")
    assert [admin in line for line in refusals(planned) if "user alice" in line] == [True]
    assert "trust policies read (of 2 accounts with intents)" in planned.output


def test_roles_of_accounts_that_a_run_leaves_out_count(fleet: FleetRehearsal, tmp_path: Path) -> None:
    for account, name in ((ACCOUNT, "alice"), (OTHER_ACCOUNT, "bob")):
        fleet.leave(derived_intents(account, user_in(fleet.org, account, name, allow("sts:AssumeRole"))))
    admin = role_in(
        fleet.org, OTHER_ACCOUNT, "Admin", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Condition=BY_SSO
    )
    accounts = tmp_path / "accounts.yml"
    rows = [
        {"name": each, "account_id": each, "regions": ["us-east-1"], "role": "x"}
        for each in (ACCOUNT, OTHER_ACCOUNT)
    ]
    accounts.write_text(yaml.safe_dump({"accounts": rows}))
    applied = provision(fleet, "apply", "-c", accounts, "-a", ACCOUNT)
    (refused,) = refusals(applied)
    assert "user alice" in refused
    assert f"trust policy of {admin}" in refused
    assert f"in account {ACCOUNT}: trust policies read (of 2 accounts with intents)" in applied.output
    assert not fleet.members()


def test_the_scope_names_accounts_whose_roles_could_not_be_read() -> None:
    (trust, *_) = OthersIndex({ACCOUNT: {}, OTHER_ACCOUNT: None}).of(ACCOUNT).scope
    assert trust.status == READ
    assert (
        trust.detail == f"of 1 accounts with intents; not of account {OTHER_ACCOUNT}, which could not be read"
    )


NOW = datetime(2027, 1, 2, tzinfo=timezone.utc)


def output(
    directory: Path,
    resources: Any,
    kind: str = "aws.s3",
    account: str = ACCOUNT,
    age: timedelta = timedelta(),
    region: str = "eu-west-1",
    policy: dict[str, Any] | None = None,
    write: Callable[[Path, bytes], object] = lambda path, data: path.write_bytes(data),
    **changes: Any,
) -> Path:
    """The output of a policy of Cloud Custodian. ``policy``: what else it says. ``changes``: of its metadata."""
    place = directory / account / region / f"collect-{kind}"
    place.mkdir(parents=True)
    metadata = {
        "policy": {"name": "collect", "resource": kind, **(policy or {})},
        "config": {"account_id": account, "region": region},
        "execution": {"start": (NOW - age).timestamp()},
        "metrics": [{"MetricName": "ResourceCount", "Value": len(resources)}],
        "api-stats": {"sqs.GetQueueAttributes": len(resources)},
        **changes,
    }
    write(place / "metadata.json", json.dumps(metadata).encode())
    write(place / "resources.json", json.dumps(resources).encode())
    return place


REPOSITORY = {"repositoryArn": f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/x"}


def asking(kind: str) -> dict[str, Any]:
    """A policy that has the policies of all resources read."""
    filters = [{"or": ["cross-account", {"not": ["cross-account"]}]}]
    return {"name": "collect", "resource": kind, "filters": filters}


def collected(directory: Path, max_age: timedelta = timedelta(hours=24)) -> ResourcePolicies:
    return read_resource_policies([directory], max_age, NOW)


GRANT = {**allow("s3:*", "arn:aws:s3:::pay/*"), "Principal": "*", "Condition": BY_SSO}
SSO_ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_X_0123456789abcdef"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"
QUEUE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:jobs"


@pytest.mark.parametrize(
    ("kind", "resource", "arn"),
    [
        pytest.param("aws.s3", {"Name": "pay", "Policy": json.dumps(document(GRANT))}, "arn:aws:s3:::pay", id="bucket"),
        pytest.param("s3", {"Name": "pay", "Policy": document(GRANT)}, "arn:aws:s3:::pay", id="bucket-as-an-object"),
        pytest.param("aws.kms-key", {"KeyArn": KEY, "Policy": json.dumps(document(GRANT))}, KEY, id="key"),
        pytest.param("aws.kms-key", {"Arn": KEY, "c7n:Policy": document(GRANT)}, KEY, id="annotated"),
        pytest.param("aws.sqs", {"QueueArn": QUEUE, "QueueUrl": "x", "Policy": document(GRANT)}, QUEUE, id="queue"),
    ],
)  # fmt: skip
def test_policies_in_the_output_of_cloud_custodian(
    tmp_path: Path, kind: str, resource: dict[str, Any], arn: str
) -> None:
    output(tmp_path, [resource, {"Name": "plain"}], kind)
    found = collected(tmp_path)
    assert [(each.name, each.account_id) for each in found.policies] == [(arn, ACCOUNT)]
    assert found.accounts == {ACCOUNT}


def test_compressed_output_and_policies_that_name_nobody(tmp_path: Path) -> None:
    plain = {**allow("s3:*", "arn:aws:s3:::pay/*"), "Principal": {"AWS": f"arn:aws:iam::{THIRD}:root"}}

    def packed(path: Path, data: bytes) -> None:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data))

    output(tmp_path, [{"Name": "pay", "Policy": document(plain)}], write=packed)
    found = collected(tmp_path)
    assert not found.policies
    assert found.accounts == {ACCOUNT}
    assert [each.status for each in OthersIndex({}, None, found).of(ACCOUNT).scope][-1] == READ
    assert [each.status for each in OthersIndex({}, None, found).of(THIRD).scope][-1] == UNREADABLE


@pytest.mark.parametrize(
    ("made", "told"),
    [
        pytest.param(lambda place: None, "there is no resources.json of resources", id="nothing"),
        pytest.param(lambda place: output(place, [], age=timedelta(days=2)), "and older than --max-age", id="old"),
        pytest.param(lambda place: output(place, {}), "it is not a list of resources", id="no-list"),
        pytest.param(
            lambda place: output(place, [{"Policy": "{}"}], "aws.x"), "has a policy and no ARN", id="no-arn"
        ),
        pytest.param(
            lambda place: (output(place, []) / "metadata.json").write_text("{}"), "its account, Region, resource",
            id="other-metadata",
        ),
        pytest.param(
            lambda place: (output(place, []) / "metadata.json").unlink(), "it can't be read", id="no-metadata"
        ),
        pytest.param(
            lambda place: (output(place, []) / "resources.json").write_text("["), "it can't be read", id="cut-off"
        ),
    ],
)  # fmt: skip
def test_output_that_is_none(tmp_path: Path, made: Callable[[Path], object], told: str) -> None:
    made(tmp_path)
    with pytest.raises(IdentityCenterError, match=told):
        collected(tmp_path)


PLAIN = {"Name": "plain", "Policy": None}
FAILED = [{"MetricName": "PolicyException", "Value": 1}]
FUNCTION = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f"


@pytest.mark.parametrize(
    ("kind", "resources", "changes", "told"),
    [
        pytest.param("aws.s3", [PLAIN], {}, "", id="no-policy"),
        pytest.param("aws.s3", [PLAIN, {"Name": "pay"}], {}, "arn:aws:s3:::pay", id="no-answer"),
        pytest.param(
            "aws.s3", [{"Name": "pay", "c7n:DeniedMethods": ["get_bucket_policy"]}], {}, "arn:aws:s3:::pay",
            id="denied",
        ),
        pytest.param("aws.lambda", [{"FunctionArn": FUNCTION}], {}, FUNCTION, id="denied-or-none"),
        pytest.param("aws.lambda", [{"FunctionArn": FUNCTION, "c7n:Policy": "{}"}], {}, "", id="function"),
        pytest.param("aws.kms-key", [{"Arn": KEY}], {}, KEY, id="key"),
        pytest.param("aws.sqs", [{"QueueArn": QUEUE}], {}, "", id="queue-without-policy"),
        pytest.param(
            "aws.sqs", [{"QueueArn": QUEUE}], {"api-stats": {"sqs.GetQueueAttributes": 2}},
            "asked for 2 queues and has 1", id="queue-left-out",
        ),
        pytest.param("aws.sqs", [{"QueueArn": QUEUE}], {"api-stats": {}}, "--cache-period 0", id="from-a-cache"),
        pytest.param("aws.sns", [{"TopicArn": "arn:aws:sns:r:1:t"}], {}, "", id="topic-without-policy"),
        pytest.param("aws.ecr", [REPOSITORY], {}, REPOSITORY["repositoryArn"], id="repository-nobody-asked-for"),
        pytest.param("aws.ecr", [REPOSITORY], {"policy": asking("aws.ecr")}, "", id="repository-without-policy"),
        pytest.param("aws.s3", [PLAIN], {"metrics": FAILED}, "failed", id="failed-with-earlier-resources"),
        pytest.param("aws.s3", None, {"metrics": FAILED}, "failed", id="failed-without-resources"),
        pytest.param("aws.s3", [PLAIN], {"metrics": []}, "failed", id="cut-off"),
        pytest.param(
            "aws.s3", [PLAIN], {"metrics": [{"MetricName": "ResourceCount", "Value": 3}]}, "is not of the run",
            id="resources-of-another-run",
        ),
    ],
)  # fmt: skip
def test_what_was_not_answered_is_not_read(
    tmp_path: Path, kind: str, resources: list[Any] | None, changes: dict[str, Any], told: str
) -> None:
    output(tmp_path, [PLAIN], account=OTHER_ACCOUNT)
    output(tmp_path, [], "aws.s3" if kind != "aws.s3" else "aws.sns")
    place = output(tmp_path, resources or [], kind, **changes)
    if resources is None:
        (place / "resources.json").unlink()
    output(tmp_path, [], kind if kind != "aws.s3" else "aws.sns", account=OTHER_ACCOUNT)
    output(tmp_path, [{"UserName": "u"}], "aws.iam-user", metrics=FAILED)
    found = collected(tmp_path)
    here, there = (OthersIndex({}, None, found).of(each).scope[-1] for each in (ACCOUNT, OTHER_ACCOUNT))
    assert (here.status, there.status) == (UNREADABLE if told else READ, READ)
    assert told in here.detail
    assert (f"not all of account {ACCOUNT}" in there.detail) is bool(told)
    assert "iam-user" not in here.detail + there.detail


def test_a_type_that_only_other_accounts_have_was_not_read(tmp_path: Path) -> None:
    output(tmp_path, [PLAIN])
    output(tmp_path, [PLAIN], account=OTHER_ACCOUNT)
    output(tmp_path, [], "aws.kms-key", account=OTHER_ACCOUNT)
    scope = OthersIndex({}, None, collected(tmp_path)).of(ACCOUNT).scope[-1]
    assert (scope.status, "no run of aws.kms-key" in scope.detail) == (UNREADABLE, True)


@pytest.mark.parametrize("kind", ["aws.sqs", "aws.s3"])
def test_a_region_that_only_other_accounts_have_was_not_read(tmp_path: Path, kind: str) -> None:
    """A run in any Region lists all buckets."""
    output(tmp_path, [], kind, region="us-east-1")
    for region in ("us-east-1", "eu-west-1"):
        output(tmp_path, [], kind, OTHER_ACCOUNT, region=region)
    index = OthersIndex({}, None, collected(tmp_path))
    here, there = (index.of(each).scope[-1] for each in (ACCOUNT, OTHER_ACCOUNT))
    assert (
        (here.status == UNREADABLE)
        is (kind == "aws.sqs")
        is (f"not all of account {ACCOUNT}" in there.detail)
    )
    assert ("no run of aws.sqs in eu-west-1" in here.detail) is (kind == "aws.sqs")
    assert ("aws.sqs in eu-west-1, us-east-1 of account" in there.detail) is (kind == "aws.sqs")


EVERY = {"or": ["cross-account", {"not": ["cross-account"]}]}


@pytest.mark.parametrize(
    ("policy", "is_read"),
    [
        pytest.param({"filters": []}, True, id="no-filters"),
        pytest.param({"filters": [EVERY]}, True, id="true-of-every-resource"),
        pytest.param({"description": "Collects", "metadata": {"team": "a"}}, True, id="described"),
        pytest.param({"filters": [{"tag:Team": "pay"}]}, False, id="some-by-a-tag"),
        pytest.param({"filters": [EVERY, {"tag:Team": "pay"}]}, False, id="every-and-some"),
        pytest.param({"filters": ["cross-account"]}, False, id="some-by-policy"),
        pytest.param({"filters": {"or": [EVERY]}}, False, id="no-list"),
        pytest.param({"query": [{"Name": "a"}]}, False, id="query"),
        pytest.param({"mode": {"type": "cloudtrail", "events": ["CreateBucket"]}}, False, id="one-by-one"),
        pytest.param({"conditions": [{"region": "eu-west-1"}]}, False, id="conditions"),
        pytest.param({"max-resources": 5}, False, id="some-by-number"),
    ],
)
def test_a_run_that_lists_some_resources_has_not_read_all(
    tmp_path: Path, policy: dict[str, Any], is_read: bool
) -> None:
    output(tmp_path, [{"Name": "pay", "Policy": document(GRANT)}], policy=policy)
    found = collected(tmp_path)
    (scope,) = (each for each in OthersIndex({}, None, found).of(ACCOUNT).scope if each.kind == RESOURCE)
    assert (scope.status == READ, "no run of aws.s3 that lists all" in scope.detail) == (is_read, not is_read)
    assert len(found.policies) == 1
    output(tmp_path / "whole", [PLAIN])
    assert collected(tmp_path).unread == {}


def test_accounts_with_intents_that_no_run_has_are_named(tmp_path: Path) -> None:
    output(tmp_path, [PLAIN])
    scope = OthersIndex({ACCOUNT: {}, OTHER_ACCOUNT: {}}, None, collected(tmp_path)).of(ACCOUNT).scope[-1]
    assert scope.status == READ
    assert f"of account {ACCOUNT}, from {tmp_path}; nothing of account {OTHER_ACCOUNT}" in scope.detail


def test_a_bucket_policy_that_denies_cloud_custodian_too(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data,) = [each for each in shown_policies() if each["name"] == "buckets-with-policies"]
    org.client("s3", ACCOUNT).create_bucket(Bucket="pay")
    with monkeypatch.context() as patch:
        interference.deny(patch, "GetBucketPolicy")
        run_of(data, tmp_path)
    found = read_resource_policies([tmp_path], timedelta(hours=1), datetime.now(timezone.utc))
    assert found.unread == {ACCOUNT: ("arn:aws:s3:::pay",)}


def test_a_bucket_that_only_denies_iam_users_refuses_them(fleet: FleetRehearsal, tmp_path: Path) -> None:
    alice = user_in(fleet.org, ACCOUNT, "alice", allow("s3:Get*"))
    fleet.leave(derived_intents(ACCOUNT, alice))
    policy = document({**deny("s3:*", "arn:aws:s3:::pay/*"), "Principal": "*", "Condition": NOT_SSO})
    kept = tmp_path / "resources"
    age = NOW - datetime.now(timezone.utc)
    output(kept, [{"Name": "pay", "Policy": json.dumps(policy)}], age=age)
    planned = provision(fleet, "plan", "--resource-policies", kept)
    (refused,) = [line for line in planned.output.splitlines() if "! refused" in line]
    assert "resource policy of arn:aws:s3:::pay" in refused
    assert f"resource policies read (aws.s3 of account {ACCOUNT}, from {kept})" in planned.output


def shown_policies() -> list[dict[str, Any]]:
    """The policies of docs/identity-center.md that collect resources."""
    text = (Path(__file__).parents[3] / "docs" / "identity-center.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text.partition("## Policies of others")[2], re.DOTALL)
    found: list[dict[str, Any]] = yaml.safe_load(block)["policies"]
    return found


def run_of(data: dict[str, Any], output: Path) -> None:
    """Run a policy on the resources of the account, as custodian does."""
    load_resources((data["resource"],))
    reset_session_cache()
    role = MEMBER_ROLE.format(account_id=ACCOUNT)
    place = output / ACCOUNT / "us-east-1"
    config = Config.empty(
        account_id=ACCOUNT, output_dir=str(place), region="us-east-1", assume_role=role, cache_period=0
    )
    (policy,) = PolicyCollection.from_data({"policies": [data]}, config)
    policy.validate()
    policy.run()


@pytest.mark.parametrize("name", ["buckets", "topics", "keys"])
def test_the_policies_of_the_documentation_collect_policies(org: LocalOrg, tmp_path: Path, name: str) -> None:
    (data,) = [each for each in shown_policies() if each["name"] == f"{name}-with-policies"]
    s3, sns, kms = (org.client(service, ACCOUNT) for service in ("s3", "sns", "kms"))
    s3.create_bucket(Bucket="pay")
    s3.put_bucket_policy(Bucket="pay", Policy=json.dumps(document(GRANT)))
    text = json.dumps(document({**allow("*"), "Principal": {"AWS": SSO_ROLE}}))
    topic = sns.create_topic(Name="news", Attributes={"Policy": text})["TopicArn"]
    key = kms.create_key(Policy=text)["KeyMetadata"]["Arn"]
    run_of(data, tmp_path)
    found = read_resource_policies([tmp_path], timedelta(hours=1), datetime.now(timezone.utc))
    assert found.unread == {}
    arns = {"buckets": "arn:aws:s3:::pay", "topics": topic, "keys": key}
    assert [(each.name, each.problem, each.gated) for each in found.policies] == [
        (arns[name], "", name == "keys")
    ]


def test_the_policies_of_the_documentation_are_valid() -> None:
    listed = shown_policies()
    load_resources(tuple(each["resource"] for each in listed))
    config = Config.empty(region="us-east-1")
    for policy in PolicyCollection.from_data({"policies": listed}, config):
        policy.validate()
        misspelt = {**policy.data, "filters": ["has-polices"]}
        with pytest.raises(PolicyValidationError):
            [each.validate() for each in PolicyCollection.from_data({"policies": [misspelt]}, config)]
