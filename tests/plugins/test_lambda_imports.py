# SPDX-License-Identifier: Apache-2.0
"""Plugins for users load in AWS Lambda, whose archive carries c7n and this package, and none of their libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from c7n_iamusers.entry import ACTIONS, FILTERS

ROOT = Path(__file__).parents[2]
#: What c7n and this package bring where they are installed by pip.
LACKING = ("jsonschema", "yaml", "click", "rich", "jinja2", "moto", "tabulate", "argcomplete")
LOAD = """
import sys
sys.modules.update(dict.fromkeys({lacking!r}))
from pkgutil import resolve_name
print(resolve_name({reference!r}).__name__)
"""


@pytest.mark.parametrize(
    "reference",
    [*(ACTIONS[each] for each in ("composite-delete", "quarantine", "release")), FILTERS["unnecessary"]],
)
def test_a_plugin_loads_without_libraries(reference: str) -> None:
    code = LOAD.format(lacking=LACKING, reference=reference)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "C7N_IAMUSERS_AUTOLOAD": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == reference.rpartition(":")[2]
