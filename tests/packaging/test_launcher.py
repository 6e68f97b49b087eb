# SPDX-License-Identifier: Apache-2.0
"""Where Python reads no .pth file: the plain commands lack the plugins, the launcher has them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.packaging.environments import ACCOUNTS, ROOT, Environment, Variables
from tests.packaging.test_running import EXPECTED, ONE, POLICY, flagged, flagged_by_account, write_accounts

LAUNCHER = ("-m", "c7n_iamusers.custodian")
CUSTODIAN = ("-c", "from c7n.cli import main; main()")
#: Python imports it at its start; what a method of multiprocessing makes of it is set there for all processes.
START_METHOD = "import multiprocessing, os\nmultiprocessing.set_start_method(os.environ['START_METHOD'])\n"


@dataclass(frozen=True)
class Layout:
    """An environment without the package, which lies in one of the directories of ``path``."""

    environment: Environment
    path: tuple[Path, ...]
    options: tuple[str, ...] = ()

    def run(self, *arguments: str | Path, **variables: str) -> CompletedProcess[str]:
        path = os.pathsep.join(map(str, self.path))
        return self.environment.run("python", *self.options, *arguments, PYTHONPATH=path, **variables)


def target(environment: Environment, libraries: Path, wheel: Path) -> Layout:
    directory = environment.directory / "target"
    environment.install("--target", directory, wheel)
    return Layout(environment, (directory,))


def checkout(environment: Environment, libraries: Path, wheel: Path) -> Layout:
    return Layout(environment, (ROOT,))


def without_site(environment: Environment, libraries: Path, wheel: Path) -> Layout:
    environment.install(wheel)
    return Layout(environment, (environment.site_packages, libraries), ("-S",))


@pytest.fixture(scope="module", params=[target, checkout, without_site])
def layout(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, libraries: Path, wheel: Path
) -> Layout:
    make: Callable[[Environment, Path, Path], Layout] = request.param
    environment = Environment.create(tmp_path_factory.mktemp("launcher") / "environment", libraries)
    return make(environment, libraries, wheel)


@pytest.mark.parametrize("layout", [target, checkout], indirect=True)
def test_the_plain_command_does_not_know_the_plugins(layout: Layout) -> None:
    done = layout.run(*CUSTODIAN, "validate", POLICY)
    assert done.returncode != 0
    assert "'authorization-details' is not one of ['describe'" in done.stderr


def test_the_launcher_runs(layout: Layout, organization: dict[str, Variables], tmp_path: Path) -> None:
    # who runs the launcher asks for the plugins, whatever turns off the start-up hook
    variables = {**organization[ACCOUNTS[0]], "C7N_IAMUSERS_AUTOLOAD": "0"}
    done = layout.run(*LAUNCHER, "run", "--cache-period=0", "-s", tmp_path, POLICY, **variables)
    assert done.returncode == 0, done.stderr
    assert flagged(tmp_path) == EXPECTED[ACCOUNTS[0]]


@pytest.mark.parametrize(
    ("layout", "method"),
    [
        # that workers of each method know the plugins: test_registration
        pytest.param(target, "spawn", id="target-spawn"),
        # nothing reads sitecustomize there, so it stays with Python's own method, which is fork up to 3.13
        pytest.param(without_site, "", id="without-site"),
    ],
    indirect=["layout"],
)
def test_the_workers_of_c7n_org_know_the_plugins(
    layout: Layout, method: str, organization: dict[str, Variables], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(START_METHOD, encoding="utf-8")
    layout = Layout(layout.environment, (*layout.path, site), layout.options)
    accounts, output = write_accounts(tmp_path / "accounts.yml"), tmp_path / "output"
    done = layout.run(
        *LAUNCHER,
        *("c7n-org", "run", "-c", accounts, *ONE, "-u", POLICY, "-s", output, "--cache-period=0"),
        START_METHOD=method,
        **organization["management"],
    )
    assert done.returncode == 0, done.stderr
    assert flagged_by_account(output)[ACCOUNTS[0]] == EXPECTED[ACCOUNTS[0]], done.stderr


@pytest.mark.parametrize("layout", [checkout], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        pytest.param(("--help",), "usage: custodian ", id="custodian"),
        pytest.param(("c7n-org", "--help"), "Usage: c7n-org ", id="c7n-org"),
    ],
)
def test_help_names_the_command(layout: Layout, arguments: tuple[str, ...], name: str) -> None:
    done = layout.run(*LAUNCHER, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(name)
