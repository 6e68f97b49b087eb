# SPDX-License-Identifier: Apache-2.0
"""What is known of the calls by a key, from one source or several."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.evidence.model import (
    CALLS,
    DATA_PLANE_ONLY,
    NEVER_USED,
    NO_EVENT,
    UNKNOWN_CALLS,
    KeyEvidence,
    LastUse,
    UsedKey,
)
from c7n_iamusers.key_usage.callers import Places, callers_of
from c7n_iamusers.key_usage.combination import combined
from c7n_iamusers.key_usage.model import CallGroup, KeyUsage
from tests.evidence_records import NEVER, NOW, days_ago, used

pytestmark = pytest.mark.pure

GROUP = CallGroup(
    "ec2", "RunInstances", "eu-west-1", "8.8.8.8", "aws-cli/2.31.0", 4, 1, days_ago(9), days_ago(5)
)
READ = KeyUsage("AKIA1", (), "the history", NOW, days_ago(90))
UNREAD = KeyUsage("AKIA1", (), "the history", None, problem="denied")
FOUND = replace(READ, groups=(GROUP,))


def a_key(use: LastUse | None, *sources: KeyUsage) -> UsedKey:
    together = combined("AKIA1", sources)
    return UsedKey(
        KeyEvidence("AKIA1", True, days_ago(400), use, NOW, "the report"), sources, callers_of(together)
    )


@pytest.mark.parametrize(
    ("use", "sources", "result"),
    [
        pytest.param(used(5, "ec2"), [FOUND], CALLS, id="calls"),
        pytest.param(used(5, "ec2"), [FOUND, UNREAD], CALLS, id="calls-beside-an-unread-source"),
        pytest.param(NEVER, [FOUND], CALLS, id="calls-against-the-report"),
        pytest.param(used(5, "ec2"), [READ], NO_EVENT, id="none"),
        pytest.param(used(5, "s3"), [READ], DATA_PLANE_ONLY, id="data-plane"),
        pytest.param(used(5, "s3"), [READ, UNREAD], UNKNOWN_CALLS, id="one-of-two-unread"),
        pytest.param(used(5, "s3"), [replace(READ, more=True)], UNKNOWN_CALLS, id="not-in-full"),
        pytest.param(used(5, "s3"), [], UNKNOWN_CALLS, id="not-asked"),
        pytest.param(None, [READ], NO_EVENT, id="use-unknown"),
        pytest.param(None, [], UNKNOWN_CALLS, id="use-unknown-and-not-asked"),
        pytest.param(NEVER, [], NEVER_USED, id="never"),
        pytest.param(NEVER, [READ], NEVER_USED, id="never-by-both"),
        pytest.param(NEVER, [UNREAD], UNKNOWN_CALLS, id="never-and-unread"),
    ],
)
def test_what_is_known(use: LastUse | None, sources: list[KeyUsage], result: str) -> None:
    found = a_key(use, *sources)
    assert found.result == result
    assert found.as_data()["result"] == result
    assert "unused" not in found.text
    assert found.text


def test_why_it_is_unknown_is_said_once() -> None:
    assert a_key(used(5, "s3", "eu-west-1"), UNREAD, UNREAD).text == (
        "last used on 2026-11-19 for s3 in eu-west-1; who calls with it is unknown: denied"
    )


def test_many_callers_are_counted_not_listed() -> None:
    groups = tuple(replace(GROUP, address=f"198.51.100.{each}", calls=100 - each) for each in range(25))
    data = a_key(used(5), replace(READ, groups=groups)).as_data()
    assert [each["address"] for each in data["callers"]] == [f"198.51.100.{each}" for each in range(10)]
    assert data["more-callers"] == 15


def test_a_caller_from_outside_aws_is_told_however_few_its_calls_are() -> None:
    own = {f"10.0.0.{each}": "eni" for each in range(25)}
    inside = (replace(GROUP, address=address, calls=100) for address in own)
    found = replace(READ, groups=(*inside, replace(GROUP, calls=2)))
    key = UsedKey(a_key(used(5)).key, (found,), callers_of(found, Places(own)))
    data = key.as_data()
    assert (data["callers"][-1]["address"], data["callers"][-1]["place"]) == ("8.8.8.8", "outside")
    assert (len(data["callers"]), data["more-callers"]) == (10, 16)


def merged(*sources: KeyUsage) -> tuple[tuple[int, int], bool]:
    found = combined("AKIA1", sources)
    (group,) = found.groups
    assert (group.first, group.last) == (
        min(days_ago(9), GROUP.first),
        days_ago(2) if len(sources) > 1 else GROUP.last,
    )
    return (group.calls, group.denied), found.more


def test_the_same_calls_of_two_sources_count_once_and_are_a_minimum() -> None:
    other = replace(FOUND, groups=(replace(GROUP, calls=9, denied=0, first=days_ago(4), last=days_ago(2)),))
    assert merged(FOUND) == ((4, 1), False)
    assert merged(FOUND, other) == ((9, 0), True)


@pytest.mark.parametrize(
    "change", [{"region": "us-east-1"}, {"address": "9.9.9.9"}, {"event": "StopInstances"}]
)
def test_other_calls_are_calls_of_their_own(change: dict[str, Any]) -> None:
    found = combined("AKIA1", [FOUND, replace(FOUND, groups=(replace(GROUP, **change),))])
    assert (len(found.groups), found.more) == (2, False)
