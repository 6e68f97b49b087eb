# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.packaging.environments import ACCOUNTS, ROOT, Environment, Variables, copy_source, link_libraries

# prints each account's environment, then serves until its input is closed
SERVE = """
import json, sys
from aws_local_org import LocalOrg, Settings

def variables(org, account):
    org.client("iam", account).create_user(UserName=f"ada-{account}")
    found = org.session(account).get_credentials().get_frozen_credentials()
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {**org.environment(), **dict(zip(names, found))}

with LocalOrg(Settings()) as org:
    members = {account: variables(org, account) for account in sys.argv[1:]}
    print(json.dumps({"management": org.environment(), **members}), flush=True)
    sys.stdin.read()
"""


#: An sdist gives the same wheel as a checkout (test_distributions), so it is not installed once more. The environment
#: that runs the tests is an editable one.
KINDS = ("wheel", pytest.param("editable", marks=pytest.mark.soak))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for what is made once in a run of the tests, by whichever worker of pytest-xdist needs it first."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def once(directory: Path, make: Callable[[Path], object]) -> Path:
    """``directory``, after ``make`` has filled it; other workers wait for it."""
    with directory.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = directory.with_suffix(".done")
        if not done.exists():
            make(directory)
            done.touch()
    return directory


def build(kind: str, directory: Path) -> None:
    """Build a "wheel" or an "sdist" from a copy of the source into ``directory``/dist."""
    source = copy_source(directory / "source")
    options = ["--no-isolation", f"--{kind}", "--outdir", str(directory / "dist")]
    command = [sys.executable, "-m", "build", *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def wheel(shared: Path) -> Path:
    (file,) = (once(shared / "wheel", partial(build, "wheel")) / "dist").iterdir()
    return file


@pytest.fixture(scope="session")
def sdist(shared: Path) -> Path:
    (file,) = (once(shared / "sdist", partial(build, "sdist")) / "dist").iterdir()
    return file


@pytest.fixture(scope="session")
def libraries(shared: Path) -> Path:
    return once(shared / "libraries", link_libraries)


def install(kind: str, request: pytest.FixtureRequest, directory: Path) -> Environment:
    """A fresh environment with the package: from a "wheel", or "editable" from the source."""
    environment = Environment.create(directory / "environment", request.getfixturevalue("libraries"))
    if kind == "editable":
        environment.install("--editable", copy_source(directory / "source"))
    else:
        environment.install(request.getfixturevalue("wheel"))
    return environment


@pytest.fixture(scope="session", params=KINDS)
def environment(request: pytest.FixtureRequest, shared: Path) -> Environment:
    """A fresh environment in which nothing was done but to install the package; not to be changed."""
    directory = once(shared / f"installed-{request.param}", partial(install, request.param, request))
    return Environment(directory / "environment")


@pytest.fixture(params=KINDS)
def disposable(request: pytest.FixtureRequest, shared: Path, tmp_path: Path) -> Environment:
    """The same for one test, which may break it: a copy, or where the package lies outside it, a new one."""
    if request.param == "editable":
        return install("editable", request, tmp_path)
    directory = once(shared / "installed-wheel", partial(install, "wheel", request))
    return Environment(directory / "environment").copy(tmp_path / "environment")


@pytest.fixture(scope="session")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Variables]]:
    """What to export to reach an organization: as "management" or as a member account, each with one user."""
    command = [sys.executable, "-c", SERVE, *ACCOUNTS]
    log = tmp_path_factory.mktemp("organization") / "stderr"
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text(encoding="utf-8")
        yield json.loads(line)
        process.communicate("")
