# SPDX-License-Identifier: Apache-2.0
"""What several sources say of one key."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from c7n_iamusers.key_usage.combination import combined
from c7n_iamusers.key_usage.model import CallGroup, KeyUsage

pytestmark = pytest.mark.pure

KEY = "AKIAIOSFODNN7EXAMPLE"
AT = datetime(2026, 11, 20, tzinfo=timezone.utc)
DAY = timedelta(days=1)
GROUP = CallGroup("s3", "GetObject", "eu-west-1", "192.0.2.4", "Boto3/1.34", 3, 1, AT, AT)
ONE = KeyUsage(KEY, (GROUP,), "a file", AT)


def test_a_group_of_two_sources_has_the_larger_count_and_all_days() -> None:
    later = replace(GROUP, calls=2, first=AT + DAY, last=AT + 2 * DAY)
    other = replace(later, event="PutObject")
    second = KeyUsage(KEY, (later, other), "a trail", AT + DAY)
    both = replace(GROUP, last=AT + 2 * DAY)
    for usages in ((ONE, second), (second, ONE)):
        found = combined(KEY, usages)
        assert {*found.groups} == {both, other}
        assert (found.key_id, found.as_of, found.more) == (KEY, AT + DAY, True)


@pytest.mark.parametrize(
    ("usages", "more"),
    [
        ([], False),
        ([ONE], False),
        ([ONE, KeyUsage(KEY, (), "a trail", None)], False),
        ([replace(ONE, more=True)], True),
        ([ONE, KeyUsage(KEY, (), "a trail", None, problem="denied")], True),
        ([ONE, replace(ONE, groups=())], False),
    ],
    ids=["none", "one", "unread", "with-more", "refused", "without-calls"],
)
def test_counts_are_minimums_where_a_source_has_more(usages: list[KeyUsage], more: bool) -> None:
    found = combined(KEY, usages)
    assert (found.more, found.as_of) == (more, AT if usages else None)
