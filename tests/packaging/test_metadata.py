# SPDX-License-Identifier: Apache-2.0
"""What setup.py says of where the project is, and of the README's links."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.environments import ROOT

HOME = "https://example.com/security/c7n_iamusers"
GIT = """#!/bin/sh
case "$1" in rev-parse) echo "{top}";; config) echo "{origin}";; esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    directory = tmp_path / "checkout"
    (directory / "c7n_iamusers").mkdir(parents=True)
    for name in ("setup.py", "README.md", "c7n_iamusers/__init__.py"):
        shutil.copy(ROOT / name, directory / name)
    return directory


def metadata(checkout: Path, monkeypatch: pytest.MonkeyPatch, origin: str, top: str = "") -> dict[str, Any]:
    """What setup.py hands to setuptools, with this origin of the checkout whose top directory is ``top``."""
    commands = checkout.parent / "bin"
    commands.mkdir()
    git = commands / "git"
    git.write_text(GIT.format(top=top or checkout, origin=origin), encoding="utf-8")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    given: dict[str, Any] = {}
    monkeypatch.setattr("setuptools.setup", lambda **options: given.update(options))
    runpy.run_path(str(checkout / "setup.py"))
    return given


@pytest.mark.parametrize(
    "origin",
    [
        pytest.param(f"{HOME}.git", id="https"),
        pytest.param("git@example.com:security/c7n_iamusers.git", id="ssh"),
        pytest.param("ssh://git@example.com/security/c7n_iamusers", id="ssh-url"),
        pytest.param("https://user:token@example.com/security/c7n_iamusers.git", id="no-secrets"),
    ],
)
def test_addresses_come_from_the_origin(checkout: Path, monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    found = metadata(checkout, monkeypatch, origin)
    assert found["url"] == HOME
    assert found["project_urls"]["Changelog"] == f"{HOME}/blob/HEAD/CHANGELOG.md"
    links = re.findall(r"\]\(([^)#\s]+)", found["long_description"])
    relative = [each for each in links if not each.startswith("https://")]
    assert not relative
    assert f"{HOME}/blob/HEAD/docs/runbook.md" in links
    assert f"{HOME}/raw/HEAD/docs/report.png" in links


@pytest.mark.parametrize(
    ("origin", "top"),
    [
        pytest.param("", "", id="none"),
        pytest.param("/srv/git/c7n_iamusers.git", "", id="directory"),
        pytest.param(f"{HOME}.git", "/", id="within-another-checkout"),
    ],
)
def test_nothing_is_made_up(checkout: Path, monkeypatch: pytest.MonkeyPatch, origin: str, top: str) -> None:
    found = metadata(checkout, monkeypatch, origin, top)
    assert (found["url"], found["project_urls"]) == ("", {})
    assert found["long_description"] == (ROOT / "README.md").read_text(encoding="utf-8")


def test_an_sdist_says_the_same(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "PKG-INFO").write_text(f"Metadata-Version: 2.4\nHome-page: {HOME}\n", encoding="utf-8")
    assert metadata(checkout, monkeypatch, "https://elsewhere.example/x")["url"] == HOME
