# SPDX-License-Identifier: Apache-2.0
"""The archive that c7n makes for a policy in a Lambda mode, run with nothing but what AWS Lambda has."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from tests import cloudtrail_events as trail
from tests.packaging.environments import ACCOUNTS, ROOT, Environment, Variables

# "The Python runtimes include the AWS SDK": https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3")

MODE = {"type": "periodic", "packages": ["c7n_iamusers"], "handler": "c7n_iamusers.handler.run"}
RULES = "- {user: somebody-else, reason: a test, expires: 2999-12-31}\n"

ARCHIVE = """
import shutil
from c7n.config import Config
from c7n.mu import PolicyLambda
from c7n.policy import load
(policy,) = load(Config.empty(account_id="111122223333", region="us-east-1"), "policy.json")
function = PolicyLambda(policy)
print(function.handler)
archive = function.get_archive()
archive.close()
shutil.copy(archive.path, "archive.zip")
"""

INVOKE = """
import importlib, json, sys
sys.path[:0] = [".", "../runtime"]
module, _, function = sys.argv[1].rpartition(".")
for event in json.loads(sys.argv[2]):
    getattr(importlib.import_module(module), function)(event, None)
"""


def write_policy(file: Path, output: Path, packages: list[str], exempt_from: str) -> None:
    flagging = {"type": "unnecessary", **({"exempt-from": exempt_from} if exempt_from else {})}
    policy = {
        "name": "flag",
        "resource": "aws.iam-user",
        "source": "authorization-details",
        "mode": {**MODE, "packages": packages, "execution-options": {"output_dir": str(output)}},
        "filters": [flagging],
    }
    file.write_text(json.dumps({"policies": [policy]}), encoding="utf-8")


def link_runtime(directory: Path) -> None:
    directory.mkdir()
    for name in RUNTIME:
        (directory / name).symlink_to(Path(sysconfig.get_path("purelib"), name))


def client_of(variables: Variables, service: str) -> Any:
    client: Any = boto3.client
    return client(
        service,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=variables.get("AWS_SESSION_TOKEN"),
        region_name="us-east-1",
    )


def upload(variables: Variables, bucket: str, key: str, text: str) -> str:
    """The URL of a new object in a bucket of the account."""
    client = client_of(variables, "s3")
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key=key, Body=text.encode())
    return f"s3://{bucket}/{key}"


def unpack_archive(environment: Environment, function: Path) -> str:
    """Make the archive of policy.json, unpack it into ``function``, and return the name of its handler."""
    made = environment.run("python", "-c", ARCHIVE)
    assert made.returncode == 0, made.stderr
    with zipfile.ZipFile(environment.home / "archive.zip") as archive:
        archive.extractall(function)
    return made.stdout.strip()


def invoke(function: Path, handler: str, variables: Variables, *events: dict[str, Any]) -> None:
    """Run the handler on the events in a process that has nothing but the function and what AWS Lambda has."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", INVOKE, handler, json.dumps(events)],
        cwd=function,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("disposable", ["wheel"], indirect=True)
@pytest.mark.parametrize(
    ("packages", "list_name"),
    [
        pytest.param(["c7n_iamusers"], "", id="no-list"),
        pytest.param(["c7n_iamusers", "yaml"], "exemptions.yaml", id="list-in-yaml"),
    ],
)
def test_the_archive_runs_in_lambda(
    disposable: Environment,
    organization: dict[str, Variables],
    tmp_path: Path,
    packages: list[str],
    list_name: str,
) -> None:
    variables = organization[ACCOUNTS[0]]
    url = upload(variables, "governance", list_name, RULES) if list_name else ""
    write_policy(disposable.home / "policy.json", tmp_path / "output", packages, url)
    handler = unpack_archive(disposable, tmp_path / "function")
    # the command and the embedded organization are for people's machines
    names = {path.name for path in (tmp_path / "function").iterdir()}
    assert names & {"c7n_iamusers", "c7n_iamusers_cli", "aws_local_org"} == {"c7n_iamusers"}
    assert not list((tmp_path / "function" / "c7n_iamusers").glob("**/cli*"))
    link_runtime(tmp_path / "runtime")

    invoke(tmp_path / "function", handler, variables, {"detail": {}})

    resources = json.loads((tmp_path / "output" / "flag" / "resources.json").read_text(encoding="utf-8"))
    assert [resource["UserName"] for resource in resources] == [f"ada-{ACCOUNTS[0]}"]


#: What accounts.yml gives.
FILLED = {
    "account_id": ACCOUNTS[0],
    "partition": "aws",
    "owner": "owner@example.com",
    "account_name": "payments",
    "contact": "cloud@example.com",
    # the emulator finds a queue in the caller's account only
    "realtime_queue_url": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNTS[0]}/iam-users-realtime",
    "lambda_bucket": "realtime",
    "lambda_role": "IamUsersRealtime",
    "lambda_quarantine_role": "IamUsersRealtimeQuarantine",
    "runner_role": "IamUsersRemover",
    "restorer_role": "IamUsersRestorer",
    "email_domain": "example.com",
    "active_within_days": "30",
}


def write_shipped_policy(file: Path, name: str) -> None:
    """The first policy of policies/NAME.yml, filled in as c7n-org does, without waiting."""
    text = (ROOT / "policies" / f"{name}.yml").read_text(encoding="utf-8")
    for variable, value in FILLED.items():
        text = text.replace(f"{{{variable}}}", value)
    policy = yaml.safe_load(text.replace('"30"', "30"))["policies"][0]
    # c7n would ask for the bucket's Region by HTTPS
    output = {"output_dir": f"{policy['mode']['execution-options']['output_dir']}?region=us-east-1"}
    policy["mode"] |= {"delay": 0, "execution-options": output}
    policy["actions"][0] |= {"wait": 0} if policy["actions"][0]["type"] == "quarantine" else {}
    file.write_text(json.dumps({"policies": [policy]}), encoding="utf-8")


@pytest.mark.parametrize("disposable", ["wheel"], indirect=True)
def test_the_shipped_functions_run_on_the_events_of_cloudtrail(
    disposable: Environment, organization: dict[str, Variables], tmp_path: Path
) -> None:
    variables = {**organization[ACCOUNTS[0]], "C7N_DEBUG_EVENT": "no"}
    upload(variables, "realtime", "exemptions.csv", "user,reason,expires\nsomebody,a test,2999-12-31\n")
    client_of(variables, "sqs").create_queue(QueueName="iam-users-realtime")
    iam = client_of(variables, "iam")
    names = ("by-console", "by-stack", "by-root", "alice", "failed")
    for name in names:
        iam.create_user(UserName=name)
    now = f"{max(iam.get_user(UserName=name)['User']['CreateDate'] for name in names):%Y-%m-%dT%H:%M:%SZ}"
    alice = {**trail.CLI, "principalId": iam.get_user(UserName="alice")["User"]["UserId"]}
    events = [
        trail.event("CreateUser", who, {"userName": name}, {"user": {"userName": name}}, now)
        for who, name in ((trail.CONSOLE, names[0]), (trail.CLOUDFORMATION, names[1]), (trail.ROOT, names[2]))
    ]
    events += [
        trail.event("CreateAccessKey", alice, None, {"accessKey": {"userName": "alice"}}, now),
        trail.event("CreateUser", trail.CONSOLE, {"userName": "failed"}, None, now, errorCode="AccessDenied"),
    ]
    link_runtime(tmp_path / "runtime")

    for name, given in (("realtime", events), ("realtime-quarantine", [events[0], events[-1]])):
        write_shipped_policy(disposable.home / "policy.json", name)
        handler = unpack_archive(disposable, tmp_path / name)
        invoke(tmp_path / name, handler, variables, *given)

    s3 = client_of(variables, "s3")
    told = {
        row["user"]: record["addresses"]
        for found in s3.list_objects_v2(Bucket="realtime", Prefix="realtime/notices/")["Contents"]
        if found["Key"].endswith(".json")
        for record in [json.loads(s3.get_object(Bucket="realtime", Key=found["Key"])["Body"].read())]
        for row in record["users"]
    }
    owner, creator = "owner@example.com", "jane@example.com"
    assert told == {
        "by-console": [owner, creator],
        "by-stack": [owner, creator],
        "by-root": [owner],
        "alice": [owner],
    }
    denied = [name for name in names if iam.list_user_policies(UserName=name)["PolicyNames"]]
    assert denied == ["by-console"]
    # other tests of the organization expect the users that it began with
    iam.delete_user_policy(UserName="by-console", PolicyName="c7n-iamusers-deny-all")
    for name in names:
        iam.delete_user(UserName=name)
