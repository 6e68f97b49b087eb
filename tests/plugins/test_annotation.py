# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.evidence.model import Source
from c7n_iamusers.plugins.resources import ANNOTATION, annotate_anew, set_user_source, user_source

pytestmark = pytest.mark.pure

NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
LISTED = Source("ListUsers", NOON)


def test_the_source_of_a_resource_is_kept_and_the_rest_replaced() -> None:
    resource: dict[str, Any] = {"UserName": "alice"}
    set_user_source(resource, LISTED)
    resource[ANNOTATION]["outcome"] = {"status": "of an earlier run"}
    annotate_anew(resource, {"exemption": None})
    assert resource[ANNOTATION] == {"sources": {"user": LISTED.as_data()}, "exemption": None}
    assert user_source(resource) == LISTED


def test_a_resource_of_another_source_has_none() -> None:
    resource: dict[str, Any] = {"UserName": "alice"}
    assert user_source(resource) is None
    annotate_anew(resource, {"exemption": None})
    assert resource[ANNOTATION] == {"exemption": None}
    assert user_source(resource) is None


def test_a_problem_is_kept_with_the_source() -> None:
    denied = Source("GetCredentialReport", None, "AccessDenied")
    assert Source.from_data(denied.as_data()) == denied
    assert "problem" not in LISTED.as_data()
