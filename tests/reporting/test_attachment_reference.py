# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from c7n_iamusers.model.attachment_rows import AttachmentKind
from c7n_iamusers.model.attachments import ATTACHMENT_KINDS
from c7n_iamusers.reporting.attachment_reference import reference

ROOT = Path(__file__).parents[2]


def test_the_docs_are_those_of_the_code() -> None:
    written = (ROOT / "docs" / "attachment-kinds.md").read_text(encoding="utf-8")
    command = "python -m c7n_iamusers.reporting.attachment_reference > docs/attachment-kinds.md"
    assert written == reference(), f"run: {command}"


@pytest.mark.parametrize("kind", ATTACHMENT_KINDS, ids=lambda kind: kind.name)
def test_every_kind_says_all_of_itself(kind: AttachmentKind) -> None:
    (line,) = [line for line in reference().splitlines() if line.startswith(f"| {kind.title} |")]
    assert all(cell.strip() for cell in line.strip("|").split("|"))
    for operation in kind.reads | kind.reads_of_all | kind.removing | kind.switching | kind.restoring:
        assert f"`{operation}`" in line


def test_the_command_prints_it() -> None:
    command = [sys.executable, "-m", "c7n_iamusers.reporting.attachment_reference"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == reference()
