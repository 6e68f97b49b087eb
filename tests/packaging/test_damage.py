# SPDX-License-Identifier: Apache-2.0
"""A damaged installation must disturb neither Python nor the policies of others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.packaging.environments import Environment

pytestmark = pytest.mark.parametrize("disposable", ["wheel"], indirect=True)


def package_directory(environment: Environment) -> Path:
    done = environment.run("python", "-c", "import c7n_iamusers; print(c7n_iamusers.__file__)")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()).parent


def test_a_package_that_was_removed_by_hand(disposable: Environment) -> None:
    """The .pth file is still there: Python says so at each start, with the file's path, and goes on."""
    package, startup_file = package_directory(disposable), disposable.site_packages / "c7n_iamusers.pth"
    for removed in ("startup.py", ""):
        (package / removed).unlink() if removed else shutil.rmtree(package)
        done = disposable.run("python", "-c", "print('went on')")
        assert (done.returncode, done.stdout) == (0, "went on\n")
        assert f"Error processing line 1 of {startup_file}" in done.stderr
        assert "ModuleNotFoundError: No module named 'c7n_iamusers" in done.stderr

    startup_file.unlink()
    done = disposable.run("python", "-c", "print('went on')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


def test_a_plugin_that_cannot_be_imported(disposable: Environment, tmp_path: Path) -> None:
    plugin = package_directory(disposable) / "plugins" / "unnecessary.py"
    plugin.write_text("raise ImportError('cannot import name Filter')\n", encoding="utf-8")
    policy = tmp_path / "policy.yml"
    policy.write_text(
        "policies: [{name: of-others, resource: aws.iam-user, filters: [{UserName: ada}]}]", encoding="utf-8"
    )

    done = disposable.run("custodian", "validate", policy)

    assert done.returncode == 0, done.stderr
    assert f"Configuration valid: {policy}" in done.stderr
    assert "custodian.c7n_iamusers:WARNING" in done.stderr
    assert "ImportError: cannot import name Filter" in done.stderr
