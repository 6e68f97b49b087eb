# SPDX-License-Identifier: Apache-2.0
"""Follows the commands of a guide as they are written, in this process, in the local organization."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.utils import reset_session_cache
from c7n_mailer.cli import main as c7n_mailer
from c7n_org.cli import cli as c7n_org
from click.testing import CliRunner
from markdown_it import MarkdownIt

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main
from tests.readme import ROOT

MANAGEMENT, MEMBER = "123456789012", "111122223333"
_PROGRAMS = {"c7n-iamusers": main, "c7n-org": c7n_org}


def commands_of(*names: str) -> list[str]:
    """The lines of the code blocks of these pages, ``docs/NAME.md``."""
    blocks = [
        block for name in names for block in MarkdownIt().parse((ROOT / "docs" / f"{name}.md").read_text())
    ]
    return [
        line.strip() for each in blocks if each.type == "code_block" for line in each.content.splitlines()
    ]


#: The commands of the runbook and of the pages that it leads to, in the order of a reader who needs all of them.
#: tests/test_readme.py has the other commands of the last one.
RUNBOOK_LINES = [
    *commands_of("runbook", "real-time", "stop", "exempt"),
    *(line for line in commands_of("one-user") if line.startswith("deploy/as ")),
]


class Reader:
    """Who follows a guide in ``directory``, with the credentials that each step says.

    ``names``: what the guide leaves to be replaced -> its value.
    """

    def __init__(self, org: LocalOrg, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.org, self.directory, self.names = org, directory, dict[str, str]()
        self._patch, self._role = monkeypatch, ""
        self._variables: dict[str, str] = {}

    def follow(self, line: str) -> str:
        """What a line prints. It must succeed: `preflight` and `report --check` may ask for a look, and end with 3."""
        named = sorted(self.names, key=len, reverse=True)
        line = re.sub("|".join(named) or "$^", lambda found: self.names[found[0]], line)
        line = re.sub(r'"\$(\w+)"', lambda found: self._variables[found[1]], line)
        if assigned := re.fullmatch(r"(\w+)=\$\((.*)\)", line):
            self._variables[assigned[1]] = self._shell(assigned[2]).strip()
            return ""
        if line.startswith("deploy/as "):
            return self._follow_as(*line.split(" ", 2)[1:])
        if line == "deploy/roles":
            self._print_roles()
            return ""
        if line.startswith("aws s3 cp s3://"):
            source, _, rest = line.removeprefix("aws s3 cp ").partition(" - |")
            (self.directory / "copied").write_bytes(self._object(source))
            return self._shell(f"cat copied |{rest}")
        command, _, file = line.partition(" > ")
        program, *words = shlex.split(command)
        run = {"aws": self._aws, "c7n-mailer": self._mailer}.get(program)
        if program in _PROGRAMS:
            run = partial(self._python, program)
        if run is None:
            return self._shell(line)
        printed = run(words)
        if file:
            (self.directory / file).write_text(printed)
        return printed

    def organization(self) -> dict[str, str]:
        """What the guides leave to be replaced, and AWS says."""
        organizations = self.org.client("organizations")
        (root,) = organizations.list_roots()["Roots"]
        (unit,) = organizations.list_organizational_units_for_parent(ParentId=root["Id"])[
            "OrganizationalUnits"
        ]
        return {
            "ROOT": root["Id"],
            "UNITS": unit["Id"],
            "ORGANIZATION": organizations.describe_organization()["Organization"]["Id"],
            "OrganizationAccountAccessRole": "CloudCustodian",
        }

    def fill_in(self, **given: str) -> None:
        """Write these, and what AWS says of the organization, into deploy/roles.env."""
        (instance,) = self.org.client("sso-admin").list_instances()["Instances"]
        found = {
            "ORGANIZATION": self.organization()["ORGANIZATION"],
            "INSTANCE": instance["InstanceArn"],
            "IDENTITY_STORE": instance["IdentityStoreId"],
            **given,
        }
        file = self.directory / "deploy" / "roles.env"
        text = file.read_text()
        for name, value in found.items():
            text, changed = re.subn(rf"^{name}=.*$", f"{name}='{value}'", text, flags=re.MULTILINE)
            assert changed == 1, name
        file.write_text(text)

    def act_as(self, role: str) -> None:
        """Put the credentials of a role into the environment, or those of an administrator for an empty one."""
        self._role = role
        for name, value in credentials_of(self.org, role).items():
            self._patch.setenv(name, value)
        reset_session_cache()

    def _shell(self, line: str) -> str:
        done = subprocess.run(["sh", "-ec", line], cwd=self.directory, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _python(self, program: str, words: list[str]) -> str:
        if words[0] == "run-script":
            self._in_each_account(words)
            return ""
        reset_session_cache()
        # in this process, and not in one for each account
        debug = ["--debug"] if program == "c7n-org" and words[0] == "run" else []
        found = CliRunner().invoke(_PROGRAMS[program], [*words, *debug])
        told = f"{program} {' '.join(words)}\n{found.output}\n{found.exception!r}"
        checks = words[0] == "preflight" or "--check" in words
        assert found.exit_code in ((0, 3) if checks else (0,)), told
        assert "Error running policy in" not in told
        return found.stdout

    def _follow_as(self, name: str, command: str) -> str:
        """As `deploy/as` does; `sh` opens a shell in which all that follows is done."""
        before = self._role
        self.act_as(f"arn:aws:iam::{MANAGEMENT}:role/{name}")
        if command == "sh":
            return ""
        program, *words = shlex.split(command)
        own = credentials_of(self.org, self._role)
        printed = self._aws(words, own) if program == "aws" else self.follow(command)
        self.act_as(before)
        return printed

    def _print_roles(self) -> None:
        """Run the script, with its commands in this process: a command that notes its arguments stands for them."""
        noted = self.directory.parent / "noted"
        noted.mkdir(exist_ok=True)
        (noted / "c7n-iamusers").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (noted / "c7n-iamusers").chmod(0o755)
        self._shell(f"PATH={noted}:$PATH deploy/roles")
        for file in (self.directory / "roles").glob("*.json"):
            file.write_text(self._python("c7n-iamusers", file.read_text().splitlines()))

    def _mailer(self, words: list[str]) -> str:
        self._patch.setattr(sys, "argv", ["c7n-mailer", *words])
        c7n_mailer()
        return ""

    def _object(self, url: str) -> bytes:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        found: bytes = self.org.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return found

    def _aws(self, words: list[str], given: Mapping[str, str] | None = None) -> str:
        """As the AWS CLI does, with these credentials or as an administrator of the management account."""
        service, operation, *rest = words
        client = self.org.client(service.removesuffix("api"), **_keys(given or {}))
        if service == "s3":
            bucket, _, key = rest[-1].removeprefix("s3://").partition("/")
            if operation == "rm":
                client.delete_object(Bucket=bucket, Key=key)
            else:
                client.put_object(Bucket=bucket, Key=key, Body=(self.directory / rest[0]).read_bytes())
            return ""
        if (service, operation) == ("cloudformation", "deploy"):
            self._deploy(MANAGEMENT, rest)
            return ""
        if "--query" in rest:
            rest = rest[: rest.index("--query")]
        call = getattr(client, operation.replace("-", "_"))
        options = dict(map(self._parameter, rest[::2], rest[1::2]))
        if service == "ecr":
            options = {f"{key[0].lower()}{key[1:]}": value for key, value in options.items()}
        return json.dumps(call(**options), default=str)

    def _parameter(self, option: str, value: str) -> tuple[str, Any]:
        """An option of the AWS CLI, as the call has it."""
        key = "".join(map(str.capitalize, option.removeprefix("--").split("-")))
        if value.startswith("file://"):
            return key, (self.directory / value.removeprefix("file://")).read_text()
        members = dict(each.split("=", 1) for each in value.split(",")) if "=" in value else {}
        shapes: dict[str, Any] = {
            "Capabilities": [value],
            "Regions": [value],
            "Parameters": [members],
            "ImageIds": [members],
            "DeploymentTargets": {each: [text] for each, text in members.items()},
            "AutoDeployment": {each: text == "true" for each, text in members.items()},
        }
        return key, shapes.get(key, value)

    def _deploy(self, account: str, words: list[str]) -> None:
        stack, file = (words[words.index(each) + 1] for each in ("--stack-name", "--template-file"))
        given = dict(each.split("=", 1) for each in words if "=" in each)
        deploy(self.org, account, stack, (self.directory / file).read_text(), given)

    def _in_each_account(self, words: list[str]) -> None:
        """`c7n-org run-script`, of a script that deploys."""
        config, script = words[words.index("-c") + 1], words[-1]
        program, *rest = shlex.split(script)
        assert [program, *rest[:2]] == ["aws", "cloudformation", "deploy"], script
        for each in yaml.safe_load((self.directory / config).read_text())["accounts"]:
            # that c7n-org could act as this role
            self.org.client("sts").assume_role(RoleArn=each["role"], RoleSessionName="setup")
            self._deploy(each["account_id"], rest[2:])


def credentials_of(org: LocalOrg, role: str) -> Mapping[str, str]:
    """The environment with those of a role that administrators of the management account may assume, or with theirs."""
    if not role:
        return org.environment()
    keys = org.client("sts").assume_role(RoleArn=role, RoleSessionName="ci")["Credentials"]
    return {
        **org.environment(),
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


def _keys(environment: Mapping[str, str]) -> dict[str, str]:
    """The credentials of an environment as boto3's clients take them."""
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    return {name: environment[name.upper()] for name in names if name.upper() in environment}


def client_of(org: LocalOrg, service: str, role: str) -> Any:
    """A client with the credentials of a role that administrators of the management account may assume."""
    return org.client(service, **_keys(credentials_of(org, role)))


def deploy(org: LocalOrg, account: str, name: str, template: str, given: Mapping[str, str]) -> None:
    """`aws cloudformation deploy`: makes the stack, or updates it and keeps what is not given."""
    client = org.client("cloudformation", account)
    known = {each["StackName"]: each for each in client.describe_stacks()["Stacks"]}
    before = known.get(name, {}).get("Parameters", ())
    parameters = {**{each["ParameterKey"]: each["ParameterValue"] for each in before}, **given}
    made = client.create_change_set(
        StackName=name,
        ChangeSetName=f"deploy-{secrets.token_hex(4)}",
        ChangeSetType="UPDATE" if name in known else "CREATE",
        TemplateBody=template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    client.execute_change_set(ChangeSetName=made["Id"], StackName=name)
    ended = stack_of(org, account, name)["StackStatus"]
    events = client.describe_stack_events(StackName=name)["StackEvents"]
    told = [each.get("ResourceStatusReason") for each in events]
    assert ended in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), told


def stack_of(org: LocalOrg, account: str, name: str) -> Mapping[str, Any]:
    (stack,) = org.client("cloudformation", account).describe_stacks(StackName=name)["Stacks"]
    found: Mapping[str, Any] = stack
    return found
