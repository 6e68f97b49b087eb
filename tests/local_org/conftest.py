# SPDX-License-Identifier: Apache-2.0
"""A local organization of its own for each module here, since some start theirs with other settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from c7n_iamusers.local_org import LocalOrg, Settings


@pytest.fixture(scope="module")
def local_org() -> Iterator[LocalOrg]:
    with LocalOrg(Settings(assignment_seconds=0.1, report_seconds=0)) as org:
        yield org
