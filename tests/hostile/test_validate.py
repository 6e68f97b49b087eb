# SPDX-License-Identifier: Apache-2.0
"""``custodian validate`` over lists that policies name: it ends, and says what is wrong with which file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.corpus import CORPUS

FILES = {each.name: each for each in CORPUS}
#: A net, far beyond what a process takes to start.
SECONDS = 300


@pytest.mark.parametrize(
    ("name", "form", "told"),
    [
        pytest.param("aliases-of-accounts", "yaml", "more than 1000000 values", id="aliases"),
        pytest.param("merges", "yaml", "more than 1000000 values", id="merges"),
        pytest.param("fifo", "csv", "is a FIFO, not a file", id="fifo"),
        pytest.param("gzip-bomb", "csv", "more than 16777216 bytes when it is unpacked", id="gzip"),
        pytest.param("many-columns", "csv", "40000 columns, and may have 1000", id="columns"),
    ],
)
def test_a_list_of_exemptions_that_never_ends_is_refused(
    tmp_path: Path, name: str, form: str, told: str
) -> None:
    path = tmp_path / f"exemptions.{form}"
    FILES[name].make(path)
    (tmp_path / "policy.yml").write_text(
        "policies:\n- name: p\n  resource: aws.iam-user\n  source: authorization-details\n"
        f"  filters:\n  - {{type: unnecessary, exempt-from: {path}}}\n"
    )
    environment = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-m", "c7n_iamusers.custodian", "validate", "policy.yml"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2])])},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
