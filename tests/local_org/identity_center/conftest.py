# SPDX-License-Identifier: Apache-2.0
"""A local organization whose Identity Center lives by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aws_local_org import LocalOrg, identity_center
from aws_local_org.identity_center import state
from tests.local_org.identity_center.center import SETTINGS, Center, ManualClock


@pytest.fixture(scope="module")
def org(no_local_org: None) -> Iterator[LocalOrg]:
    with LocalOrg(SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def clients() -> dict[tuple[str, str, str], Any]:
    return {}


@pytest.fixture
def center(org: LocalOrg, clients: dict[tuple[str, str, str], Any]) -> Iterator[Center]:
    """A fresh instance; accounts keep their roles, so only what Identity Center put into them is taken out."""
    hands = ManualClock()
    state.use_clock(hands)
    identity_center.populate(SETTINGS)
    center = Center(org, hands, clients)
    yield center
    center.remove_reserved_roles()
    org.configure(page_limit=None)
    state.use_clock(None)
