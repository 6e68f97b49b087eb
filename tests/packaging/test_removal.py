# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from tests.packaging.environments import Environment


def files(directory: Path) -> set[Path]:
    return {file.relative_to(directory) for file in directory.rglob("*")}


def test_uninstalling_leaves_nothing(disposable: Environment, tmp_path: Path, libraries: Path) -> None:
    untouched = Environment.create(tmp_path / "untouched", libraries)
    used = disposable.run("custodian", "schema", "aws.iam-user.filters.unnecessary")
    assert used.returncode == 0, used.stderr

    disposable.pip("uninstall", "--yes", "c7n_iamusers")

    assert files(disposable.directory) - files(untouched.directory) == set()
    unknown = disposable.run("custodian", "schema", "aws.iam-user.filters.unnecessary")
    assert unknown.returncode != 0
    assert "unnecessary is not in the filters list" in unknown.stderr
