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

from tests.packaging.environments import ACCOUNTS, Environment, Variables

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
for event in json.load(sys.stdin):
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
        [sys.executable, "-I", "-S", "-c", INVOKE, handler],
        cwd=function,
        input=json.dumps(events),
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
