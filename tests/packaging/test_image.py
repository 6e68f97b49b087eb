# SPDX-License-Identifier: Apache-2.0
"""deploy/c7n.Dockerfile: its commands, run over an environment that has no pip, as that of the image has none.

And deploy/Dockerfile: what its images are made of.
"""

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


def test_the_images_of_deploy_have_the_command(tmp_path: Path, libraries: Path) -> None:
    """It is built of what COPY copies into its first stage, and .dockerignore lets through."""
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    first, _, _ = text.partition("\nFROM packages AS mailer-packages\n")
    sources = [
        name for names in re.findall(r"^COPY (.+) \S+$", first, re.MULTILINE) for name in names.split()
    ]
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    for name in sources:
        assert f"!{name}" in ignored, name
        source, target = ROOT / name, tmp_path / "src" / Path(name).name
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    install = ["pip", "install", "--no-deps", "--no-index", "--no-build-isolation", "--target"]
    done = subprocess.run(
        [sys.executable, "-m", *install, str(tmp_path / "venv"), str(tmp_path / "src")],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    environment = Environment.create(tmp_path / "environment", libraries)
    command = "from c7n_iamusers_cli.main import main; main()"
    run = subprocess.run(
        [str(environment.directory / "bin" / "python"), "-c", command, "shard", "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "venv")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "--of" in run.stdout


def test_one_image_has_the_mailer_and_none_is_of_root() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    stages = {
        name: (base, body)
        for base, name, body in re.findall(
            r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM|\Z)", text, re.MULTILINE | re.DOTALL
        )
    }
    # what no stage is named for would be another image than the one whose digest was given
    assert {base for base, _ in stages.values()} == {"${BASE}", "packages", "machine"}
    assert [*stages][-1] == "tasks"
    assert re.search(r"^USER 10001:10001$", stages["machine"][1], re.MULTILINE)
    assert "USER" not in text.partition("AS machine")[2].partition("USER 10001:10001")[2]
    environments = {name: re.findall(r"--from=(\S+) /venv", body) for name, (_, body) in stages.items()}
    assert {name: found for name, found in environments.items() if found} == {
        "cycle": ["packages"],
        "mailer": ["mailer-packages"],
        "tasks": ["packages"],
    }
    assert "mailer" not in stages["packages"][1]
    installs = re.findall(r"pip install (.*)", text)
    assert all("--require-hashes" in each or "--no-deps --no-build-isolation" in each for each in installs)
