# SPDX-License-Identifier: Apache-2.0
"""What the README says exists, does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from c7n_iamusers.cli.main import main
from c7n_iamusers.entry import ACTIONS, FILTERS, SOURCES
from tests.policies import policy

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("kind", "names"),
    [("source", SOURCES), ("filter", FILTERS), ("action", ACTIONS)],
    ids=["source", "filter", "action"],
)
def test_every_plugin_is_in_the_table(kind: str, names: dict[str, str]) -> None:
    rows = re.findall(rf"^\| `([a-z-]+)` \| {kind} \|", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(names)


def test_every_policy_validates() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    found = [data for block in blocks for data in yaml.safe_load(block)["policies"]]
    assert found
    for data in found:
        policy(data)


def test_every_make_target_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z]+)\b", TEXT)) - {"and"}
    assert {"demo", "test", "help"} <= named
    for target in named:
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_every_command_exists() -> None:
    named = set(re.findall(r"\bc7n-iamusers ((?:local-org )?[a-z-]+)", TEXT))
    assert {"local-org serve", "local-org load", "mailer-templates"} <= named
    for words in named:
        done = CliRunner().invoke(main, [*words.split(), "--help"])
        assert done.exit_code == 0, (words, done.output)


def test_every_file_exists() -> None:
    for name in re.findall(r"`([a-z_.-]+/[a-z_./-]*|[A-Za-z]+\.(?:yml|md))`", TEXT):
        if not name.startswith((".demo", "snapshots", "output")):
            assert (ROOT / name).exists(), name
