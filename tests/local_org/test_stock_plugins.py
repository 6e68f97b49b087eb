# SPDX-License-Identifier: Apache-2.0
"""Stock filters, actions, modes and metrics of Cloud Custodian that ask other APIs than IAM's lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from moto.core.utils import utcnow

from aws_local_org import LocalOrg
from aws_local_org.iam import seeding
from tests.local_org.refusals import refusal
from tests.policies import ACCOUNT, policy

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def run(data: dict[str, Any], output: Path, **options: Any) -> Any:
    return policy({"source": "describe", **data}, output, **options).run()


def selected(output: Path, *filters: dict[str, Any]) -> set[str]:
    return {each["UserName"] for each in run({"filters": list(filters)}, output)}


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    client = org.client("iam", ACCOUNT)
    for name in ("admin", "member", "bounded", "nobody"):
        client.create_user(UserName=name)
    client.create_group(GroupName="admins")
    client.attach_group_policy(GroupName="admins", PolicyArn=ADMINISTRATOR)
    client.add_user_to_group(GroupName="admins", UserName="member")
    client.attach_user_policy(UserName="admin", PolicyArn=ADMINISTRATOR)
    client.attach_user_policy(UserName="bounded", PolicyArn=ADMINISTRATOR)
    client.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=READ_ONLY)
    return client


def use_of_key(org: LocalOrg, key_id: str, service: str) -> None:
    """The key was used a moment ago."""
    backend = org.backend("iam", ACCOUNT)
    (key,) = (
        key for user in backend.users.values() for key in user.access_keys if key.access_key_id == key_id
    )
    seeding.set_access_key_last_used(key, utcnow(), service=service, region="us-east-1")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"match": "allowed"}, {"admin", "member"}, id="allowed"),
        pytest.param({"match": "allowed", "boundaries": False}, {"admin", "member", "bounded"}, id="unbound"),
        pytest.param({"match": "denied"}, {"bounded", "nobody"}, id="denied"),
        pytest.param(
            {"match": "allowed", "actions": ["iam:GetUser"]}, {"admin", "member", "bounded"}, id="reading"
        ),
    ],
)
def test_check_permissions(iam: Any, tmp_path: Path, options: dict[str, Any], expected: set[str]) -> None:
    asked = {"type": "check-permissions", "actions": ["iam:CreateUser"], **options}
    assert selected(tmp_path, asked) == expected


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param(
            {"LastAuthenticated": None, "match-operator": "all"}, {"bounded", "nobody"}, id="unused"
        ),
        pytest.param(
            {"ServiceNamespace": "sqs", "match-operator": "any"}, {"admin", "member", "bounded"}, id="any"
        ),
        pytest.param(
            {"ServiceNamespace": "iam", "TotalAuthenticatedEntities": 1, "match-operator": "any"},
            {"member"},
            id="by-event",
        ),
        pytest.param(
            {"ServiceNamespace": "s3", "TotalAuthenticatedEntities": 1, "match-operator": "any"},
            {"admin"},
            id="by-key",
        ),
    ],
)
def test_usage(org: LocalOrg, iam: Any, tmp_path: Path, match: dict[str, Any], expected: set[str]) -> None:
    key = iam.create_access_key(UserName="member")["AccessKey"]
    session = org.session(ACCOUNT)
    caller = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    session.client("iam", endpoint_url=org.endpoint_url, aws_session_token=org.token, **caller).list_users()
    used = iam.create_access_key(UserName="admin")["AccessKey"]["AccessKeyId"]
    use_of_key(org, used, "s3")
    assert selected(tmp_path, {"type": "usage", "poll-delay": 0, **match}) == expected


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        pytest.param(f"arn:aws:iam::{ACCOUNT}:group/admins", 1, id="group"),
        pytest.param(ADMINISTRATOR, 1, id="policy"),
        pytest.param(f"arn:aws:iam::{ACCOUNT}:user/nobody", None, id="user-without-policies"),
        pytest.param(f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian", 1, id="role"),
    ],
)
def test_of_whom_there_is_last_accessed_information(
    org: LocalOrg, iam: Any, arn: str, expected: int | None
) -> None:
    use_of_key(org, iam.create_access_key(UserName="member")["AccessKey"]["AccessKeyId"], "iam")
    job = iam.generate_service_last_accessed_details(Arn=arn)["JobId"]
    found = iam.get_service_last_accessed_details(JobId=job)
    assert found["JobStatus"] == "COMPLETED"
    totals = {
        each["ServiceNamespace"]: each["TotalAuthenticatedEntities"] for each in found["ServicesLastAccessed"]
    }
    assert totals.get("iam") in (expected, expected and expected + 1)  # whoever asks has used it, too
    assert totals.get("ssm") == (None if expected is None else 0)


def test_a_job_takes_as_long_as_a_report_and_must_exist(org: LocalOrg, iam: Any) -> None:
    org.configure(report_seconds=3600)
    job = iam.generate_service_last_accessed_details(Arn=f"arn:aws:iam::{ACCOUNT}:user/admin")["JobId"]
    assert iam.get_service_last_accessed_details(JobId=job)["JobStatus"] == "IN_PROGRESS"
    missing = f"arn:aws:iam::{ACCOUNT}:user/missing"
    assert refusal(iam.generate_service_last_accessed_details, Arn=missing) == ("NoSuchEntity", 404)
    assert refusal(iam.get_service_last_accessed_details, JobId="0" * 36) == ("NoSuchEntity", 404)


def test_ops_items(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    post = {"type": "post-item", "title": "IAM users", "priority": 2}
    for name in ("nobody", "admin"):  # the second is added to the item of the first
        run({"filters": [{"UserName": name}], "actions": [post]}, tmp_path)
    ssm = org.client("ssm", ACCOUNT)
    (item,) = ssm.describe_ops_items(OpsItemFilters=[])["OpsItemSummaries"]
    arns = [each["arn"] for each in json.loads(item["OperationalData"]["/aws/resources"]["Value"])]
    assert arns == [f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("nobody", "admin")]
    assert selected(tmp_path, {"type": "ops-item", "priority": [1, 2], "title": "users"}) == {
        "nobody",
        "admin",
    }
    assert selected(tmp_path, {"type": "ops-item", "priority": [1]}) == set()
    ssm.update_ops_item(OpsItemId=item["OpsItemId"], Status="Resolved")
    assert ssm.get_ops_item(OpsItemId=item["OpsItemId"])["OpsItem"]["Status"] == "Resolved"
    assert selected(tmp_path, {"type": "ops-item"}) == set()
    assert org.client("ssm").describe_ops_items(OpsItemFilters=[])["OpsItemSummaries"] == []


def test_an_ops_item_must_exist_and_unknown_filters_are_refused(org: LocalOrg) -> None:
    ssm = org.client("ssm")
    ssm.create_ops_item(Title="t", Source="s", Description="d")
    assert refusal(ssm.get_ops_item, OpsItemId="oi-0123456789ab") == ("OpsItemNotFoundException", 400)
    asked = [{"Key": "Severity", "Values": ["1"], "Operator": "Equal"}]
    assert refusal(ssm.describe_ops_items, OpsItemFilters=asked) == ("NotImplementedByLocalOrg", 400)


# c7n leaves the archive open, which it has just read
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_config_rule_is_deployed_once(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    config = org.client("config", ACCOUNT)
    role = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
    data = {"mode": {"type": "config-rule", "role": role}, "filters": [{"UserName": "nobody"}]}
    for _ in range(2):
        policy({"source": "describe", **data}, tmp_path)()
    (rule,) = config.describe_config_rules()["ConfigRules"]
    assert (rule["ConfigRuleName"], rule["Source"]["Owner"]) == ("custodian-under-test", "CUSTOM_LAMBDA")
    assert rule["Scope"]["ComplianceResourceTypes"] == ["AWS::IAM::User"]
    assert refusal(config.describe_config_rules, ConfigRuleNames=["x"]) == ("NoSuchConfigRuleException", 400)


def test_metrics_of_a_run(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    run({"filters": []}, tmp_path, metrics_enabled="aws")
    found = org.client("cloudwatch", ACCOUNT).list_metrics(Namespace="CloudMaid")["Metrics"]
    assert {each["MetricName"] for each in found} >= {"ResourceCount", "ResourceTime", "ApiCalls"}
