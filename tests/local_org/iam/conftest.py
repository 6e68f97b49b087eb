# SPDX-License-Identifier: Apache-2.0
"""The IAM of one empty account, over HTTP and behind it."""

from __future__ import annotations

from typing import Any

import pytest

from aws_local_org import LocalOrg
from tests.local_org.refusals import AS_SENT

ACCOUNT = "111122223333"


@pytest.fixture(scope="module")
def clients(local_org: LocalOrg) -> dict[str, Any]:
    return {"iam": local_org.client("iam", ACCOUNT, config=AS_SENT)}


@pytest.fixture
def iam(org: LocalOrg, clients: dict[str, Any]) -> Any:
    """A client that sends what it is given; the account is empty but for its roles."""
    return clients["iam"]


@pytest.fixture
def account(org: LocalOrg) -> Any:
    """The backend behind `iam`."""
    return org.backend("iam", ACCOUNT)
