# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import platform
import re

from benchmarks.machine import machine


def test_it_tells_what_matters_and_whose_it_is_not() -> None:
    found = machine()
    assert re.search(r", [1-9][0-9]* cores$", found["processor"])
    assert re.fullmatch(r"[1-9][0-9]* GiB", found["memory"])
    assert platform.python_version() in found["Python"]
    for name in ("c7n_iamusers", "c7n", "boto3", "botocore", "moto"):
        assert re.search(rf"\b{name} \d+\.\d+", found["versions"])
    assert platform.node() not in " ".join(found.values())
