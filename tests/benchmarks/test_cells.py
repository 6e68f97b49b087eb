# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from benchmarks import cells


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.84, "0.8x"), (6.44, "6.4x"), (9.96, "10.0x"), (10.4, "10x"), (1429.2, "1,429x")],
    ids=str,
)
def test_ratios(ratio: float, text: str) -> None:
    assert cells.times(ratio) == text


@pytest.mark.parametrize(("figure", "text"), [(0.444, "0.44"), (10.0, "10.0"), (2310.04, "2,310.0")], ids=str)
def test_seconds(figure: float, text: str) -> None:
    assert cells.seconds(figure) == text


@pytest.mark.parametrize(("figure", "text"), [(None, "-"), (0.0, "0"), (130.6, "131")], ids=str)
def test_memory(figure: float | None, text: str) -> None:
    assert cells.mib(figure) == text


def test_calls_by_operation_end_with_their_sums() -> None:
    stock, ours = {"ListUsers": 5, "GetUser": 1500}, {"ListUsers": 1, "GetCredentialReport": 1}
    assert cells.by_operation([stock, ours]) == [
        ["GetUser", "1,500", "-"],
        ["ListUsers", "5", "1"],
        ["GetCredentialReport", "-", "1"],
        ["all", "1,505", "2"],
    ]
