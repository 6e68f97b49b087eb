# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from c7n_iamusers.text.json_pieces import json_pieces

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("sort_keys", [False, True], ids=["as-given", "sorted"])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="empty"),
        pytest.param({"b": [], "a": {}}, id="empty-members"),
        pytest.param({"b": [1, {"d": "x\ny", "c": [1, []]}, "z"], "a": "é"}, id="nested"),
        pytest.param({"b": date(2026, 1, 1), "a": None, "c": {"z": 1, "a": [{}]}}, id="others"),
    ],
)
def test_what_json_itself_writes(data: dict[str, Any], sort_keys: bool) -> None:
    expected = json.dumps(data, indent=1, default=str, sort_keys=sort_keys)
    assert b"".join(json_pieces(data, sort_keys)).decode() == expected


def test_iterators_are_lists() -> None:
    assert json.loads(b"".join(json_pieces({"rows": iter([1, 2])}))) == {"rows": [1, 2]}
