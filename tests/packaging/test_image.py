# SPDX-License-Identifier: Apache-2.0
"""deploy/c7n.Dockerfile: its commands, run over an environment that has no pip, as that of the image has none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.packaging.environments import ROOT, Environment

DOCKERFILE = ROOT / "deploy" / "c7n.Dockerfile"


def commands(**places: Path) -> list[str]:
    """What RUN runs, with the paths in the image replaced by those here."""
    found = re.findall(r"^RUN (.+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {"/checkout": places["checkout"], "/plugins": places["plugins"], "/src/.venv": places["venv"]}
    for name, place in named.items():
        found = [each.replace(name, str(place)) for each in found]
    return found


def copied(checkout: Path) -> Path:
    """A checkout of what COPY copies into the first stage, and nothing else."""
    for names, place in re.findall(
        r"^COPY (?!--)(.+) /checkout/(\S*)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE
    ):
        for name in names.split():
            target = checkout / (place or name)
            target.parent.mkdir(parents=True, exist_ok=True)
            source = ROOT / name
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    return checkout


def test_an_environment_without_pip_gets_the_plugins(tmp_path: Path, libraries: Path) -> None:
    environment = Environment.create(tmp_path / "venv", libraries)
    validate = ("schema", "aws.iam-user.actions.composite-delete")
    assert environment.run("custodian", *validate).returncode != 0
    build, copy, check = commands(
        checkout=copied(tmp_path / "checkout"), plugins=tmp_path / "plugins", venv=environment.directory
    )
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "HOME": str(tmp_path)}
    for command in (build.replace("pip ", f"{sys.executable} -m pip ", 1), copy, check):
        done = subprocess.run(
            ["bash", "-ec", command], env={**os.environ, **offline}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "composite-delete" in environment.run("custodian", *validate).stdout
