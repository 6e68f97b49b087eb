# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from jinja2 import Template

from c7n_iamusers.notices.mailer_texts import in_parts
from c7n_iamusers.plugins.subject_lines import of_deletion

pytestmark = pytest.mark.pure

DAY, LATER = date(2026, 12, 26), date(2026, 12, 31)


@pytest.mark.parametrize(
    ("account", "users", "options", "expected"),
    [
        pytest.param("payments", 12, {}, "payments: 12 IAM users are to be deleted on 2026-12-26", id="some"),
        pytest.param("payments", 1, {}, "payments: 1 IAM user is to be deleted on 2026-12-26", id="one"),
        pytest.param(
            "payments",
            2,
            {"days": [LATER, DAY]},
            "payments: 2 IAM users are to be deleted from 2026-12-26 on",
            id="several-days",
        ),
        pytest.param(
            "payments",
            2,
            {"reminder": True},
            "payments: reminder: 2 IAM users are to be deleted on 2026-12-26",
            id="reminder",
        ),
        pytest.param(
            "payments", None, {}, "payments: IAM users are to be deleted on 2026-12-26", id="users-differ"
        ),
        pytest.param(
            "payments",
            11,
            {"stop": date(2026, 12, 12), "others": (18, 4, 1)},
            "payments: 11 IAM users are to be denied everything on 2026-12-12 and deleted on 2026-12-26, "
            "18 others in use, 4 without a replacement, 1 left alone",
            id="groups",
        ),
        pytest.param(
            "payments",
            0,
            {"others": (18, 4, 0)},
            "payments: 18 IAM users in use, 4 without a replacement: move them by 2026-12-26",
            id="nobody-goes",
        ),
        pytest.param(
            "payments",
            0,
            {"others": (0, 1, 0)},
            "payments: 1 IAM user without a replacement: move it by 2026-12-26",
            id="one-to-be-moved",
        ),
        pytest.param(
            "payments",
            0,
            {"others": (0, 0, 2)},
            "payments: 2 IAM users left alone, and announced",
            id="nobody",
        ),
        pytest.param(
            "pay{{ 7 * 7 }}\r\nBcc: x",
            2,
            {},
            "pay(( 7 * 7 )) Bcc: x: 2 IAM users are to be deleted on 2026-12-26",
            id="no-template-and-no-header",
        ),
    ],
)
def test_the_subject(account: str, users: int | None, options: dict[str, Any], expected: str) -> None:
    given = {"days": [DAY], "reminder": False, **options}
    found = of_deletion(account, users, given.pop("days"), **given)
    assert found == expected
    assert Template(found).render() == expected


@pytest.mark.parametrize(
    ("items", "most", "expected"),
    [
        pytest.param([1, 2, 3], 6, [[1, 2, 3]], id="all-fit"),
        pytest.param([1, 2, 3], 5, [[1, 2], [3]], id="two"),
        pytest.param([3, 3, 3, 3, 3], 6, [[3, 3], [3, 3], [3]], id="as-long-as-can-be"),
        pytest.param([1, 9, 1], 5, [[1], [9], [1]], id="one-never-fits"),
        pytest.param([5, 9, 5, 9, 1, 1, 9], 9, [[5], [9], [5], [9], [1, 1], [9]], id="large-ones-between"),
        pytest.param([9], 5, [[9]], id="only-one"),
        pytest.param([], 5, [[]], id="none"),
    ],
)
def test_parts(items: list[int], most: int, expected: list[list[int]]) -> None:
    assert in_parts(items, lambda part: sum(part) <= most) == expected


@pytest.mark.parametrize("place", ["first", "last", "between"])
def test_large_users_cost_the_others_no_message_and_little_packing(place: str) -> None:
    small, large, packed = [1] * 1_000, [1_500] * 6, [0]
    at = {"first": 0, "last": 1_000, "between": 400}[place]
    items = [*small[:at], *large, *small[at:]]

    def fits(part: Sequence[int]) -> bool:
        packed[0] += len(part)
        return sum(part) <= 2_000

    found = in_parts(items, fits)
    assert [each for part in found for each in part] == items
    assert all(sum(part) <= 2_000 for part in found)
    assert len(found) <= 8
    assert packed[0] < 15 * len(items)
