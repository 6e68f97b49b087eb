# SPDX-License-Identifier: Apache-2.0
"""A user that is there again under its unique id is no other one, whatever it has got since."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.restoration.cannot_come_back import refusal
from tests.records import user

pytestmark = pytest.mark.pure


def test_the_same_user_may_have_more_than_its_snapshot() -> None:
    snapshot: Any = SimpleNamespace(user=user())
    more = user(tags={"Team": "red"})
    current: Any = SimpleNamespace(user=more, policies={})
    assert more.unique_id == user().unique_id
    assert refusal(snapshot, current) is None
    assert refusal(snapshot, SimpleNamespace(user=None, policies={})) is None  # type: ignore[arg-type]
