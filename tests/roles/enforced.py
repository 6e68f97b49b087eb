# SPDX-License-Identifier: Apache-2.0
"""Runs the policies that ship with exactly the roles that ``c7n-iamusers roles`` prints for them, enforced."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from c7n import mu
from c7n.config import Config
from c7n.policy import PolicyCollection
from c7n.resources import load_resources
from c7n.utils import reset_session_cache
from c7n_org.cli import resolve_regions
from click.testing import CliRunner

from aws_local_org import LocalOrg, enforcement
from aws_local_org.enforcement import Policies
from c7n_iamusers.entry import register
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.identity_center.aws.instance import connect
from c7n_iamusers.policy_comparison.evaluation import Request
from c7n_iamusers_cli.main import main
from tests.policies import ACCOUNT

ROOT = Path(__file__).parents[2]
MANAGEMENT = "123456789012"
RUNNER = f"arn:aws:iam::{MANAGEMENT}:role/Runner"
CENTER = f"arn:aws:iam::{MANAGEMENT}:role/Center"
READER, REMOVER, RESTORER = (
    f"arn:aws:iam::{ACCOUNT}:role/IamUsers{name}" for name in ("Reader", "Remover", "Restorer")
)
FUNCTION = f"arn:aws:iam::{ACCOUNT}:role/IamUsersRealtime"
QUARANTINE = f"{FUNCTION}Quarantine"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/IamUsersDeployer"
BUCKET = "example-iam-users-realtime"
#: All that ship, but for an example, since the local organization has no Security Hub.
FILES = sorted({path.stem for path in (ROOT / "policies").glob("*.yml")} - {"findings-to-security-hub"})
#: Those of them that run in AWS Lambda, with the roles of their functions.
FUNCTIONS = {"realtime": FUNCTION, "realtime-alarm": FUNCTION, "realtime-quarantine": QUARANTINE}
#: Policies that find the journals of quarantines beside their output.
BESIDE = frozenset({"attempts", "brownout", "delete", "listen", "quarantine", "release"})
#: As if the days had passed.
TODAY = {"days": 0, "noticed": 0, "quarantined-for": 0.00001, "parked-for": 0.00001}


@dataclass
class Enforced:
    """``documents``: kind of role -> what is printed. ``asked``: what the runs asked for, by the ARN of the role.

    ``ran``: the names of the files that were run.
    """

    org: LocalOrg
    path: Path
    accounts: Path
    documents: dict[str, Any]
    asked: dict[str, dict[Any, Request]] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)

    def run(self, name: str, role: str, **names: str) -> None:
        """The policies of ``policies/NAME.yml``, by the runner with ``role``. ``names``: texts to replace."""
        output = self.path / ("removal" if name in BESIDE else name) / "payments" / "us-east-1"
        for policy in self._policies(
            name, names, assume_role=role, external_id="e-1", output_dir=str(output)
        ):
            policy.run()

    def push(self, name: str, event: dict[str, Any]) -> None:
        """``event`` to the policies of ``policies/NAME.yml``, by the role of their functions."""
        output = f"s3://{BUCKET}/realtime/output/{ACCOUNT}?region=us-east-1"
        with pytest.MonkeyPatch.context() as patched:
            self.org.configure(enforce=False)
            act_as(boto3.Session(), FUNCTIONS[name], patched, ExternalId="e-1")
            self.org.configure(enforce=True)
            patched.setattr(Interruption, "sleep", lambda *_: None)
            for policy in self._policies(name, {}, output_dir=output):
                policy.push(event, None)

    def deploy(self, name: str) -> None:
        """The functions of ``policies/NAME.yml``, by the runner with the deployer, with archives without packages."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(mu, "custodian_archive", lambda packages: mu.PythonPackageArchive(()))
            # Cloud Custodian's own leaves the file open
            content = b"PK\5\6" + bytes(18)
            patched.setattr(mu.PythonPackageArchive, "get_bytes", lambda _: content)
            output = str(self.path / "deployed" / "payments" / "us-east-1")
            options = {"assume_role": DEPLOYER, "external_id": "e-1", "output_dir": output}
            account = {"name": "payments", "provider": "aws", "role": DEPLOYER, "external_id": "e-1"}
            if "-r all" in (ROOT / "policies" / f"{name}.yml").read_text():
                assert "us-east-1" in resolve_regions(["all"], account)
            for policy in self._policies(name, {}, **options):
                policy.get_execution_mode().provision()

    def _policies(self, name: str, names: dict[str, str], **options: Any) -> PolicyCollection:
        self.ran.add(name)
        text = (ROOT / "policies" / f"{name}.yml").read_text()
        for old, new in names.items():
            text = text.replace(old, new)
        reset_session_cache()
        config = Config.empty(region="us-east-1", account_id=ACCOUNT, cache_period=0, **options)
        data = yaml.safe_load(text)["policies"]
        for policy in data:
            policy.get("mode", {}).pop("delay", None)
            for action in policy["actions"]:
                given = (
                    {key for key, value in action.items() if value != "none"} if name != "remind" else set()
                )
                action |= {key: value for key, value in TODAY.items() if key in given}
        variables = yaml.safe_load(self.accounts.read_text())
        known = {**variables["vars"], **variables["accounts"][0]["vars"]}
        found = PolicyCollection.from_data({"policies": data}, config)
        for policy in found:
            policy.expand_variables(policy.get_variables(known))
            policy.validate()
        return found

    def apply_intents(self) -> None:
        """``c7n-iamusers provision apply``, by the runner with the role for Identity Center."""
        there = ("-s", str(self.path / "provision-intents"), "-u", "policies/provision-intents.yml")
        self.command(
            "provision", "apply", *there, "-c", str(self.accounts), "--role", CENTER, "--trust-intents"
        )

    def restore(self, *names: str) -> None:
        """``c7n-iamusers restore`` of the deleted users, by the restorer."""
        with pytest.MonkeyPatch.context() as patched:
            act_as(boto3.Session(), RESTORER, patched, ExternalId="e-1")
            chosen = [each for name in names for each in ("--user", name)]
            self.command("restore", str(self.path / "removal"), *chosen, "--yes")

    def command(self, *arguments: str) -> str:
        """What ``c7n-iamusers`` prints with these arguments. It must succeed; preflight may ask for a look."""
        result = CliRunner().invoke(main, list(arguments))
        assert result.exit_code in ((0, 3) if arguments[0] == "preflight" else (0,)), result.output
        return result.stdout

    def put(self, kind: str, document: dict[str, Any]) -> None:
        account = MANAGEMENT if kind in ("identity-center", "runner") else ACCOUNT
        iam = self.org.client("iam", account)
        name = document["RoleName"]
        if name not in {each["RoleName"] for each in iam.list_roles()["Roles"]}:
            # the local organization runs no functions: the runner takes the place of Lambda
            trusting = self.documents["deployer"] if kind.startswith("function") else document
            trust = trusting["AssumeRolePolicyDocument"]
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        policy = json.dumps(document["PolicyDocument"])
        iam.put_role_policy(RoleName=name, PolicyName=document["PolicyName"], PolicyDocument=policy)


def without(document: dict[str, Any], action: str) -> dict[str, Any]:
    """``document`` with one action less."""
    changed = deepcopy(document)
    for statement in changed["PolicyDocument"]["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != action]
    kept = [each for each in changed["PolicyDocument"]["Statement"] if each["Action"]]
    changed["PolicyDocument"]["Statement"] = kept
    return changed


def act_as(org_session: Any, role: str, monkeypatch: pytest.MonkeyPatch, **trust: str) -> None:
    """Put credentials of ``role`` into the environment, assumed by ``org_session``."""
    assumed = org_session.client("sts").assume_role(RoleArn=role, RoleSessionName="ci", **trust)
    keys = assumed["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
    reset_session_cache()


def enforced(org: LocalOrg, path: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> Enforced:
    """The roles for all shipped policies and for restore, enforced, and the runner's credentials in the environment.

    ``more``: further options of ``c7n-iamusers roles``.
    """
    load_resources(("aws.iam-user",))
    register()
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(path / "cache"))
    accounts = path / "accounts.yml"
    data = yaml.safe_load((ROOT / "accounts.yml").read_text())
    data["vars"] |= {"notices": "s3://notices/all", "identity_center_role": CENTER, "records": str(path)}
    accounts.write_text(yaml.safe_dump({**data, "accounts": data["accounts"][:1]}))
    _create_places(org)
    files = [each for name in FILES for each in ("--policy", f"policies/{name}.yml")]
    options = (
        "--runner",
        RUNNER,
        "--runner-principal",
        f"arn:aws:iam::{MANAGEMENT}:root",
        "-c",
        str(accounts),
    )
    printed = CliRunner().invoke(
        main, ["roles", *files, *options, "--external-id", "e-1", "--restore", "--format", "json", *more]
    )
    assert printed.exit_code == 0, printed.output
    found = Enforced(org, path, accounts, json.loads(printed.stdout))
    _let_in(org, found.documents)
    # the others trust the runner's role, so it comes first
    for kind in sorted(found.documents, key=lambda kind: kind != "runner"):
        if "-policy" not in kind:
            found.put(kind, found.documents[kind])
    act_as(org, RUNNER, monkeypatch)
    # AWS's rate of 20 calls a second is for AWS
    plugins = (f"c7n_iamusers.plugins.{name}" for name in ("provision_identity_center", "access_gate"))
    for module in (*plugins, "c7n_iamusers_cli.provision.opening"):
        monkeypatch.setattr(f"{module}.connect", partial(connect, per_second=1000))
    _record(found, monkeypatch)
    org.configure(enforce=True)
    return found


def _create_places(org: LocalOrg) -> None:
    for bucket in ("notices", BUCKET):
        org.client("s3").create_bucket(Bucket=bucket)
    exemptions = (ROOT / "policies" / "exemptions.csv").read_bytes()
    org.client("s3").put_object(Bucket=BUCKET, Key="exemptions.csv", Body=exemptions)


def _let_in(org: LocalOrg, documents: dict[str, Any]) -> None:
    """The policies by which bucket and queue let functions of another account in."""
    (url,) = documents["queue-policy"]["Queues"]
    given = {
        "Policy": json.dumps(documents["queue-policy"]["PolicyDocument"]),
        "MessageRetentionPeriod": "1209600",
    }
    org.client("sqs").create_queue(QueueName=url.rpartition("/")[2], Attributes=given)
    bucket = documents["bucket-policy"]
    org.client("s3").put_bucket_policy(Bucket=bucket["Bucket"], Policy=json.dumps(bucket["PolicyDocument"]))


def _record(found: Enforced, monkeypatch: pytest.MonkeyPatch) -> None:
    original = enforcement.refusal

    def refusal(request: Request, policies: Policies) -> str:
        role = str(request.context["aws:principalarn"])
        keys = {key: value for key, value in request.context.items() if "time" not in key}
        key = (request.action, request.resource, tuple(sorted(keys.items())))
        found.asked.setdefault(role, {})[key] = request
        return original(request, policies)

    monkeypatch.setattr(enforcement, "refusal", refusal)
