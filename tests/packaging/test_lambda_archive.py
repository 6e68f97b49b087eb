# SPDX-License-Identifier: Apache-2.0
"""The archive that c7n makes for a policy in a Lambda mode, run with nothing but what AWS Lambda has."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

from tests.packaging.environments import ACCOUNTS, Environment, Variables

# "The Python runtimes include the AWS SDK": https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3")

MODE = {"type": "periodic", "packages": ["c7n_iamusers"], "handler": "c7n_iamusers.handler.run"}

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
import importlib, sys
sys.path[:0] = [".", "../runtime"]
module, _, function = sys.argv[1].rpartition(".")
getattr(importlib.import_module(module), function)({"detail": {}}, None)
"""


def write_policy(file: Path, output: Path) -> None:
    policy = {
        "name": "flag",
        "resource": "aws.iam-user",
        "source": "authorization-details",
        "mode": {**MODE, "execution-options": {"output_dir": str(output)}},
        "filters": ["unnecessary"],
    }
    file.write_text(json.dumps({"policies": [policy]}), encoding="utf-8")


def link_runtime(directory: Path) -> None:
    directory.mkdir()
    for name in RUNTIME:
        (directory / name).symlink_to(Path(sysconfig.get_path("purelib"), name))


def test_the_archive_runs_in_lambda(
    wheel: Path, libraries: Path, organization: dict[str, Variables], tmp_path: Path
) -> None:
    environment = Environment.create(tmp_path / "environment", libraries)
    environment.install(wheel)
    write_policy(environment.home / "policy.json", tmp_path / "output")
    made = environment.run("python", "-c", ARCHIVE)
    assert made.returncode == 0, made.stderr
    function = tmp_path / "function"
    with zipfile.ZipFile(environment.home / "archive.zip") as archive:
        archive.extractall(function)
    link_runtime(tmp_path / "runtime")

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", INVOKE, made.stdout.strip()],
        cwd=function,
        env=organization[ACCOUNTS[0]],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    resources = json.loads((tmp_path / "output" / "flag" / "resources.json").read_text(encoding="utf-8"))
    assert [resource["UserName"] for resource in resources] == [f"ada-{ACCOUNTS[0]}"]
