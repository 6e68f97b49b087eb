# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path

import pytest

from tests.local_org.demo.in_this_process import call

ENTRY = {"account_id": "111122223333", "name": "payments", "role": "arn:aws:iam::111122223333:role/r"}


def test_a_command_leaves_the_loggers_as_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """c7n-org lets no handler of its process have what Cloud Custodian says below a warning."""
    for name, content in (("accounts", {"accounts": [ENTRY]}), ("policies", {"policies": []})):
        (tmp_path / f"{name}.yml").write_text(json.dumps(content))
    before = logging.getLogger("custodian.s3").level
    with contextlib.suppress(SystemExit):
        places = (
            "-c",
            f"{tmp_path}/accounts.yml",
            "-u",
            f"{tmp_path}/policies.yml",
            "-s",
            f"{tmp_path}/output",
        )
        call("c7n-org", "run", *places, "--verbose")
    caplog.set_level("INFO")
    logging.getLogger("custodian.c7n_iamusers").info("is told")
    assert caplog.messages[-1:] == ["is told"]
    assert logging.getLogger("custodian.s3").level == before
