# SPDX-License-Identifier: Apache-2.0
"""What ``verify`` calls wrong of outputs, without the command."""

from __future__ import annotations

from pathlib import Path

from c7n_iamusers.exceptions import OutputUnreadable
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.report.checks import BLOCKING
from c7n_iamusers.report.grounds import verify_elsewhere, verify_notices
from c7n_iamusers.report.output_reader import read_outputs
from c7n_iamusers.report.verification import Verified, verify_outputs
from tests.policies import ACCOUNT


def verified(output: Path, notices: Path | None = None) -> Verified:
    """What is found below ``output``."""
    found, store = Verified(), DirectoryStore(output)
    verify_outputs(store, lambda _: "", found)
    verify_elsewhere(found)
    stores = {ACCOUNT: DirectoryStore(notices)} if notices else {}
    try:
        outputs = read_outputs(store)
    except OutputUnreadable:
        outputs = []
    verify_notices(found, stores, utc_now(), outputs)
    return found


def wrong(output: Path, notices: Path | None = None) -> list[str]:
    """What is wrong there, in words."""
    return [f"{each.place}: {each.why}" for each in verified(output, notices).found if each.level == BLOCKING]
