# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from sys import getsizeof
from typing import Any

import pytest

from c7n_iamusers.text.kept import size

pytestmark = pytest.mark.pure

TEXT, MANY = "a text", [str(number) for number in range(1000, 1100)]


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        pytest.param(TEXT, [TEXT], id="text"),
        pytest.param([TEXT, 1000], [[TEXT, 1000], TEXT, 1000], id="list"),
        pytest.param({"key": (TEXT,)}, [{"key": (TEXT,)}, "key", (TEXT,), TEXT], id="keys-and-values"),
        pytest.param([TEXT, TEXT], [[TEXT, TEXT], TEXT], id="once"),
    ],
)
def test_the_size_counts_each_object_once(value: Any, parts: list[Any]) -> None:
    assert size(value, 10_000) == sum(map(getsizeof, parts))


def test_counting_ends_beyond_the_most() -> None:
    known = getsizeof(MANY) + getsizeof(MANY[0])
    assert size(MANY, known - 1) == known
    assert size(MANY, known) == known + getsizeof(MANY[0])
