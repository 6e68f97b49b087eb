# SPDX-License-Identifier: Apache-2.0
"""An environment in which the package was installed without its extras."""

from __future__ import annotations

from pathlib import Path

import pytest

from c7n_iamusers_cli import EXTRA_OF_MODULE
from tests.packaging.environments import Environment, link_libraries

POLICY = Path(__file__).with_name("policy.yml")


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    directory = tmp_path_factory.mktemp("core")
    libraries = link_libraries(directory / "libraries", without=EXTRA_OF_MODULE)
    environment = Environment.create(directory / "environment", libraries)
    environment.install(wheel)
    return environment


def test_the_command_says_which_extra_it_needs(core: Environment) -> None:
    done = core.run("c7n-iamusers", "--help")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("c7n-iamusers: this command needs ")
    assert done.stderr.endswith("which is not installed; in the checkout: pip install '.[cli]'\n")


def test_policies_need_no_extra(core: Environment) -> None:
    done = core.run("custodian", "validate", POLICY)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", EXTRA_OF_MODULE)
def test_the_libraries_of_the_extras_are_missing_there(core: Environment, module: str) -> None:
    """Or else the tests above would pass whatever the package imports."""
    done = core.run("python", "-c", f"import {module}")
    assert f"ModuleNotFoundError: No module named '{module}'" in done.stderr
