# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from c7n_iamusers.evidence.findings import FINDING_IDS
from c7n_iamusers.generated_docs import REFERENCES, attachment_reference, finding_reference
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS, AttachmentKind
from c7n_iamusers_cli.main import main
from tests import cli_reference

ROOT = Path(__file__).parents[1]


PAGES = {**REFERENCES, "cli": cli_reference.reference}


@pytest.mark.parametrize("name", PAGES)
def test_the_docs_are_those_of_the_code(name: str) -> None:
    written = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert written == PAGES[name](), "run: make docs"


@pytest.mark.parametrize("name", REFERENCES)
def test_the_command_prints_it(name: str) -> None:
    command = [sys.executable, "-m", "c7n_iamusers.generated_docs", name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == REFERENCES[name]()


@pytest.mark.parametrize("kind", ATTACHMENT_KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_described_in_full(kind: AttachmentKind) -> None:
    (line,) = [line for line in attachment_reference().splitlines() if line.startswith(f"| {kind.title} |")]
    assert all(cell.strip() for cell in line.strip("|").split("|"))
    for operation in kind.reads | kind.reads_of_all | kind.removing | kind.switching | kind.restoring:
        assert f"`{operation}`" in line


def test_every_finding_is_in_it() -> None:
    assert all(f"| `{each}` |" in finding_reference() for each in FINDING_IDS)


def test_every_command_and_option_is_in_it() -> None:
    text = cli_reference.reference()
    for name, context, command in cli_reference.commands(click.Context(main, info_name="c7n-iamusers")):
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        shown = {
            each
            for row in re.findall(r"^\| (?:`|<code>)(.*?)(?:`|</code>) \|", section, re.M)
            for each in re.findall(r"--[a-z0-9-]+", row)
        }
        assert shown == {
            each
            for option in command.get_params(context)
            if isinstance(option, click.Option) and not option.hidden
            for each in (*option.opts, *option.secondary_opts)
            if each.startswith("--") and each != "--help"
        }, name
