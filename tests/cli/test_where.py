# SPDX-License-Identifier: Apache-2.0
"""Where the ids of access keys stand, by the services of the local organization and by files."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from botocore.client import BaseClient
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.key_places.key_ids import Unread
from c7n_iamusers.key_places.readers import NOT_READ, READERS
from c7n_iamusers_cli import where as where_module
from c7n_iamusers_cli.main import main
from tests.fakes import client_error
from tests.plugins.keys import key_of
from tests.policies import ACCOUNT
from tests.readme import ROOT

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
OTHER = "AKIAIOSFODNN7EXAMPLE"
REGION = "us-east-1"


@pytest.fixture
def key(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of jane; the checkout's accounts."""
    monkeypatch.chdir(tmp_path)
    accounts = yaml.safe_load((ROOT / "accounts.yml").read_text())
    (tmp_path / "accounts.yml").write_text(yaml.safe_dump(accounts))
    return key_of(org, "jane", 400)


def where(*arguments: str, accounts: bool = True) -> Result:
    of_accounts = ["-c", "accounts.yml", "-a", "payments", "-r", REGION] if accounts else []
    return CliRunner().invoke(main, ["where", *arguments, *of_accounts])


def places(*arguments: str, **more: bool) -> list[tuple[str, str, str, str]]:
    """Service, what of the resource, key and user of each place."""
    found = json.loads(where(*arguments, "--format", "json", **more).stdout)["places"]
    return [(each["service"], each["where"], each["key"], each["user"]) for each in found]


def test_accounts_that_share_a_name_are_told_apart(org: LocalOrg, key: str) -> None:
    accounts = yaml.safe_load(Path("accounts.yml").read_text())
    chosen = [each for each in accounts["accounts"] if each["name"] in ("payments", "research")]
    Path("accounts.yml").write_text(
        yaml.safe_dump({**accounts, "accounts": [{**each, "name": "same"} for each in chosen]})
    )
    org.client("ssm", ACCOUNT).put_parameter(Name="k", Value=key, Type="String")
    result = CliRunner().invoke(main, ["where", key, "-c", "accounts.yml", "-r", REGION, "--format", "json"])
    (found,) = json.loads(result.stdout)["places"]
    assert (found["account"], found["account_id"], found["user"]) == ("same", ACCOUNT, "jane")


Make = Callable[[Callable[[str], Any], str], object]


def of_lambda(clients: Callable[[str], Any], key: str) -> None:
    packed, trust = io.BytesIO(), {"Service": "lambda.amazonaws.com"}
    zipfile.ZipFile(packed, "w").writestr("a.py", "x")
    statement = {"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = clients("iam").create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    clients("lambda").create_function(
        FunctionName="importer",
        Runtime="python3.12",
        Role=role,
        Handler="a.h",
        Code={"ZipFile": packed.getvalue()},
        Description=f"signs with {key}",
        Environment={"Variables": {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": SECRET}},
    )


def of_codebuild(clients: Callable[[str], Any], key: str) -> None:
    variables = [
        {"name": "AWS_ACCESS_KEY_ID", "value": key, "type": "PLAINTEXT"},
        {"name": "OF_STORE", "value": key, "type": "PARAMETER_STORE"},
    ]
    environment = {"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"}
    clients("codebuild").create_project(
        name="build",
        source={"type": "S3", "location": "b/k", "buildspec": f"export KEY={key}"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={**environment, "environmentVariables": variables},
        serviceRole=f"arn:aws:iam::{ACCOUNT}:role/service-role/x",
        description=f"with {key}",
        tags=[{"key": "key", "value": key}],
    )


def of_cloudformation(clients: Callable[[str], Any], key: str) -> None:
    template = {
        "Parameters": {"Key": {"Type": "String"}},
        "Resources": {"T": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"KeyOut": {"Value": {"Ref": "Key"}}},
        "Description": f"uploads with {key}",
    }
    clients("cloudformation").create_stack(
        StackName="s",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "Key", "ParameterValue": key}],
        Tags=[{"Key": key, "Value": "yes"}],
    )


def of_ssm(clients: Callable[[str], Any], key: str) -> None:
    ssm = clients("ssm")
    for number in range(12):
        ssm.put_parameter(Name=f"/plain/{number}", Type="String", Value="nothing", Description="none")
    ssm.put_parameter(Name="/app/key", Type="String", Value=json.dumps({"csv": f"id\r\n{key},x"}))
    ssm.put_parameter(Name="/app/sealed", Type="SecureString", Value=key)


def of_ec2(clients: Callable[[str], Any], key: str) -> None:
    ec2 = clients("ec2")
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "signs-with", "Value": key}]}]
    ec2.run_instances(
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
        UserData=f"#!/bin/sh\nexport A={key}",
        TagSpecifications=tags,
    )
    packed = base64.b64encode(gzip.compress(f"key%3D{key}".encode())).decode()
    ec2.create_launch_template(LaunchTemplateName="t", LaunchTemplateData={"UserData": packed})


def of_ecs(clients: Callable[[str], Any], key: str) -> None:
    ecs = clients("ecs")
    ecs.create_cluster(clusterName="c")
    for family in ("used", "unused"):
        variables = [{"name": "AWS_ACCESS_KEY_ID", "value": key}]
        container = {"name": "app", "image": "i", "memory": 128, "environment": variables}
        ecs.register_task_definition(
            family=family,
            containerDefinitions=[
                {
                    **container,
                    "command": ["run", key],
                    "logConfiguration": {"logDriver": "fluentd", "options": {"id": key}},
                }
            ],
        )
    ecs.create_service(cluster="c", serviceName="s", taskDefinition="used", desiredCount=1)


def of_secretsmanager(clients: Callable[[str], Any], key: str) -> None:
    value = json.dumps({"AWS_ACCESS_KEY_ID": key, SECRET: key})
    clients("secretsmanager").create_secret(Name="app", Description=f"key {key}", SecretString=value)


#: How each service gets a key -> in which texts of it the key is found, and in which others with --decrypt.
PLANTED: dict[str, tuple[Make, list[str], list[str]]] = {
    "lambda": (of_lambda, ["description", "environment variable AWS_ACCESS_KEY_ID"], []),
    "codebuild": (
        of_codebuild,
        ["environment variable AWS_ACCESS_KEY_ID", "description", "tag key", "buildspec"],
        [],
    ),
    "cloudformation": (of_cloudformation, ["description", "tag KEY", "parameter Key", "output KeyOut"], []),
    "ssm": (of_ssm, ["value"], ["value"]),
    "ec2": (of_ec2, ["tag signs-with", "user data", "user data"], []),
    "ecs": (
        of_ecs,
        [
            "container app: environment variable AWS_ACCESS_KEY_ID",
            "container app: command",
            "container app: logConfiguration",
        ],
        [],
    ),
    "secretsmanager": (of_secretsmanager, ["description"], ["value"]),
}


def test_each_reader_has_a_planted_place() -> None:
    assert PLANTED.keys() == READERS.keys()


@pytest.mark.parametrize("service", PLANTED)
def test_a_key_is_found_where_it_stands(org: LocalOrg, key: str, service: str) -> None:
    make, plain, sealed = PLANTED[service]
    make(lambda name: org.client(name, ACCOUNT), key)
    plain = [text.replace("KEY", key) if text == "tag KEY" else text for text in plain]
    assert places(key) == [(service, text, key, "jane") for text in plain]
    assert places("jane") == places("--all") == places(key)
    assert places(key, "--decrypt") == [(service, text, key, "jane") for text in [*plain, *sealed]]
    assert where(key).exit_code == (1 if sealed else 0)
    for arguments in ((key, "--decrypt"), ("--all", "--decrypt", "--format", "json")):
        result = where(*arguments)
        assert result.exit_code == 0, result.output
        assert SECRET not in result.output


def test_another_key_in_the_variable_of_the_sdk_is_told(org: LocalOrg, key: str) -> None:
    of_lambda(lambda name: org.client(name, ACCOUNT), OTHER)
    result = where(key)
    assert result.exit_code == 0
    assert f"{OTHER} (another key)" in result.stdout
    of_ssm(lambda name: org.client(name, ACCOUNT), OTHER)
    assert places(key) == [("lambda", "environment variable AWS_ACCESS_KEY_ID", OTHER, "")]


def test_what_can_not_be_read_is_said_and_is_no_quiet_success(
    org: LocalOrg, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_ecs(lambda name: org.client(name, ACCOUNT), key)
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def denied(self: Any, operation: str, parameters: Any) -> Any:
        if operation in ("ListFunctions", "DescribeTaskDefinition"):
            raise client_error("AccessDeniedException")
        return original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", denied)
    result = where(key)
    assert result.exit_code == 1
    for service in ("lambda", "ecs"):
        assert (
            f"not read: payments ({ACCOUNT}), {REGION}: {service}: {READERS[service].title}: "
            in result.stderr
        )
    assert result.stderr.splitlines()[-1].startswith("could not read all: 0 places in 1 account, ")
    assert all(each in result.stderr for each in NOT_READ)


def test_what_one_service_answers_hides_no_other(
    org: LocalOrg, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_lambda(lambda name: org.client(name, ACCOUNT), key)
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def strange(self: Any, operation: str, parameters: Any) -> Any:
        return {"Stacks": [7]} if operation == "DescribeStacks" else original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", strange)
    result = where(key)
    assert result.exit_code == 1
    assert f"cloudformation: {READERS['cloudformation'].title}: its answer can't be read" in result.stderr
    assert "environment variable AWS_ACCESS_KEY_ID" in result.stdout


def test_all_enabled_regions_are_read(org: LocalOrg, key: str) -> None:
    org.client("ssm", ACCOUNT, region_name="eu-west-1").put_parameter(Name="key", Type="String", Value=key)
    result = CliRunner().invoke(main, ["where", key, "-c", "accounts.yml", "--format", "json"])
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)["places"]
    assert (found["account"], found["region"], found["service"]) == ("payments", "eu-west-1", "ssm")


def test_files_of_a_checkout(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "deploy").mkdir(parents=True)
    (checkout / "deploy" / "env.sh").write_text(f"# keys\nexport AWS_ACCESS_KEY_ID={key}\n")
    (checkout / "other.txt").write_text(f"{OTHER}\nx{key}\n{key}x\n")
    (checkout / "link").symlink_to(checkout / "deploy" / "env.sh")
    os.mkfifo(checkout / "pipe")
    assert places(OTHER, "--files", str(checkout), accounts=False) == [("file", "line 1", OTHER, "")]
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        (tmp_path / "of-powershell.txt").write_bytes(f"# keys\n{OTHER}\n".encode(encoding))
        found = places(OTHER, "--files", str(tmp_path / "of-powershell.txt"), accounts=False)
        assert found == [("file", "line 2", OTHER, "")], encoding
    told = [("file", "line 2", key, "")]
    assert places(key, "--files", str(checkout), accounts=False) == told
    assert len(places("--all", "--files", str(checkout), accounts=False)) == 2
    original = DirectoryStore.entries

    def entries(self: DirectoryStore, place: str, *more: Any) -> dict[str, str]:
        if self.directory.name == "deploy":
            raise PermissionError("deploy is not to be listed")
        return original(self, place, *more)

    with monkeypatch.context() as patched:
        patched.setattr(DirectoryStore, "entries", entries)
        result = where(key, "--files", str(checkout), accounts=False)
        assert (result.exit_code, "deploy is not to be listed" in result.stderr) == (1, True)
    monkeypatch.setattr(where_module, "_OVERLAP", 40)
    for size in range(41, 90):
        monkeypatch.setattr(where_module, "_PIECE", size)
        assert places(key, "--files", str(checkout), accounts=False) == told, size


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "give a KEY_ID, a USER, or --all"),
        ([OTHER, "--all"], 2, "give a KEY_ID, a USER, or --all"),
        ([OTHER], 2, "give -c FILE with the accounts, --files PATH, or both"),
        ([OTHER, "--files", ".", "-a", "payments"], 2, "are about accounts: give -c FILE too"),
        ([OTHER, "--files", ".", "--decrypt"], 2, "are about accounts: give -c FILE too"),
        (["jane", "--files", "."], 1, "jane is no id of an access key: give -c FILE"),
        (["nobody", "-c", "accounts.yml", "-r", REGION], 1, "user nobody is in none of the accounts"),
        ([OTHER, "-c", "accounts.yml", "-r", REGION], 1, f"access key {OTHER} is in none of the accounts"),
    ],
)
def test_what_is_wrong_is_said(key: str, arguments: list[str], code: int, told: str) -> None:
    result = where(*arguments, accounts=False)
    assert (result.exit_code, told in result.output) == (code, True), result.output


def test_the_policy_has_what_is_called(org: LocalOrg, key: str) -> None:
    plain = json.loads(where("--policy", accounts=False).stdout)["Statement"][0]["Action"]
    sealed = json.loads(where("--policy", "--decrypt", accounts=False).stdout)["Statement"][0]["Action"]
    assert {*sealed} - {*plain} == {
        "kms:Decrypt",
        "secretsmanager:BatchGetSecretValue",
        "secretsmanager:GetSecretValue",
    }
    for make, *_ in PLANTED.values():
        make(lambda name: org.client(name, ACCOUNT), key)
    before = len(org.calls)
    assert where("jane").exit_code == 1  # sealed values
    called = {f"{each.service}:{each.operation}" for each in org.calls[before:]} - {"sts:AssumeRole"}
    assert called - {"sts:GetCallerIdentity"} <= {*plain}


def test_the_page_names_what_is_read() -> None:
    page = (ROOT / "docs" / "where.md").read_text().partition("## What it costs")[0]
    rows = [line.split("|")[1:4] for line in page.splitlines() if "|" in line]
    told = {cells[0].strip().strip("`"): [each.strip() for each in cells[1:]] for cells in rows}
    for service, reader in READERS.items():
        assert told[service][0] == reader.title
        assert bool(told[service][1]) == bool(reader.decrypts)


class Answers:
    """A client that gives these ``answers`` by the name of the method."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda **_: self._answers[name]

    def get_paginator(self, name: str) -> Any:
        return SimpleNamespace(paginate=lambda **_: [self._answers[name]])


TORN = base64.b64encode(gzip.compress(b"nothing")[:-5]).decode()
TWICE = base64.b64encode(gzip.compress(b"nothing") + gzip.compress(OTHER.encode())).decode()


@pytest.mark.parametrize(
    ("service", "answers"),
    [
        (
            "codebuild",
            {
                "list_projects": {"projects": ["p"]},
                "batch_get_projects": {"projects": [], "projectsNotFound": ["p"]},
            },
        ),
        (
            "ssm",
            {
                "describe_parameters": {"Parameters": [{"Name": "p", "Type": "String"}]},
                "get_parameters": {"Parameters": [], "InvalidParameters": ["p"]},
            },
        ),
        *(
            (
                "ec2",
                {
                    "describe_instances": {"Reservations": [{"Instances": [{"InstanceId": "p"}]}]},
                    "describe_instance_attribute": {"UserData": {"Value": data}},
                    "describe_launch_templates": {},
                },
            )
            for data in (TORN, TWICE)
        ),
    ],
)
def test_what_an_answer_leaves_out_is_said(service: str, answers: dict[str, Any]) -> None:
    found = READERS[service].read(lambda _: Answers(**answers), False)
    assert [each.resource for each in found if isinstance(each, Unread)] == ["p"]
