# SPDX-License-Identifier: Apache-2.0
"""Events of CloudTrail counted within bounds: what is one group, what is refused, what comes twice."""

from __future__ import annotations

import time
from typing import Any

import pytest

from c7n_iamusers.key_usage import tally as tally_module
from c7n_iamusers.key_usage.tally import Tally, is_refusal

KEY, OTHER = "AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE"


def event(**members: Any) -> dict[str, Any]:
    return {
        "userIdentity": {"accessKeyId": KEY},
        "eventTime": "2026-11-20T10:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.4",
        "userAgent": "Boto3/1.34",
        **members,
    }


def test_calls_that_agree_are_one_group() -> None:
    tally = Tally()
    tally.add(event())
    tally.add(event(eventTime="2026-11-21T10:00:00Z", errorCode="AccessDenied"))
    (group,) = tally.groups_of(KEY)
    assert (group.service, group.event, group.calls, group.denied) == ("s3", "GetObject", 2, 1)
    assert f"{group.first:%d} {group.last:%d}" == "20 21"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AccessDenied", True),
        ("AccessDeniedException", True),
        ("Client.UnauthorizedOperation", True),
        ("Client.InvalidClientTokenId", True),
        ("UnauthorizedAccess", True),
        ("SignatureDoesNotMatch", True),
        ("InvalidSignatureException", True),
        ("IncompleteSignature", True),
        ("InvalidAccessKeyId", True),
        ("KMSInvalidSignatureException", False),
        ("NoSuchKey", False),
        ("ThrottlingException", False),
        ("ValidationException", False),
        ("", False),
    ],
)
def test_only_refusals_of_access_are_denied(code: str, expected: bool) -> None:
    assert is_refusal(code) is expected


def test_an_event_that_comes_twice_counts_once() -> None:
    tally = Tally()
    for number in ("1", "2", "1", "1"):
        tally.add(event(eventID=number))
    assert tally.groups_of(KEY)[0].calls == 2
    assert tally.twice == 2


@pytest.mark.parametrize("event_id", [None, "", 7])
def test_events_without_an_id_are_counted_each(event_id: Any) -> None:
    tally = Tally()
    for _ in range(2):
        tally.add(event(eventID=event_id))
    assert (tally.groups_of(KEY)[0].calls, tally.twice) == (2, 0)


def test_groups_of_all_keys_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "MOST_IN_ALL", 2)
    tally = Tally()
    for key_id, name in ((KEY, "A"), (OTHER, "A"), (KEY, "A"), (KEY, "B")):
        tally.add(event(userIdentity={"accessKeyId": key_id}, eventName=name))
    assert [(each.event, each.calls) for each in tally.groups_of(KEY)] == [("A", 2), ("", 1)]
    assert [each.event for each in tally.groups_of(OTHER)] == ["A"]
    assert tally.overfull == {KEY}


def test_as_many_groups_as_may_be_are_not_too_many() -> None:
    tally = Tally(most=1)
    for _ in range(2):
        tally.add(event())
    assert (len(tally.groups_of(KEY)), tally.overfull) == (1, set())


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "_REMEMBERED", 2)
    tally = Tally()
    for number in ("1", "2", "3", "1"):
        tally.add(event(eventID=number))
    assert tally.groups_of(KEY)[0].calls == 4


def test_groups_beyond_the_bound_are_one_of_which_nothing_is_known() -> None:
    tally = Tally(most=2)
    for number in range(10):
        tally.add(event(userAgent=f"agent-{number}", eventSource=f"s{number}.amazonaws.com"))
    groups = tally.groups_of(KEY)
    assert [group.calls for group in groups] == [1, 1, 8]
    assert (groups[2].service, groups[2].region, groups[2].address, groups[2].user_agent) == ("", "", "", "")
    assert tally.overfull == {KEY}


def test_keys_beyond_the_bound_are_counted_as_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "MOST_KEYS", 1)
    tally = Tally()
    for key_id in (KEY, OTHER, OTHER, KEY):
        tally.add(event(userIdentity={"accessKeyId": key_id}))
    assert tally.found == [KEY]
    assert tally.left_out == 2


def test_keys_that_nobody_asked_for_are_left_out() -> None:
    tally = Tally({OTHER})
    tally.add(event())
    assert tally.found == []


@pytest.mark.parametrize(
    ("record", "unclear"),
    [
        (event(userIdentity={"type": "Root"}), 0),
        (event(userIdentity={"accessKeyId": ""}), 0),
        (event(userIdentity=None), 1),
        (event(userIdentity={"accessKeyId": 7}), 0),
        (event(eventTime="yesterday"), 1),
        (event(eventTime=None), 1),
        ("no event", 1),
        (None, 1),
        ([], 1),
    ],
)
def test_what_says_no_key_or_time_is_counted_as_unclear(record: Any, unclear: int) -> None:
    tally = Tally()
    tally.add(record)
    assert (tally.unclear, tally.found) == (unclear, [])


def test_members_that_are_no_text_are_empty_and_long_ones_cut() -> None:
    tally = Tally()
    tally.add(event(userAgent=None, sourceIPAddress=["x"], eventName="n" * 256_000))
    (group,) = tally.groups_of(KEY)
    assert (group.user_agent, group.address, len(group.event)) == ("", "", 1_000)


def test_temporary_keys_are_not_counted_among_all() -> None:
    tally = Tally()
    for number in range(3):
        tally.add(event(userIdentity={"accessKeyId": f"ASIA{number:016d}"}))
    tally.add(event())
    assert tally.found == [KEY]


def test_a_call_that_two_accounts_have_an_event_of_counts_once() -> None:
    tally = Tally()
    tally.add(event(eventID="1", sharedEventID="s"))
    tally.add(event(eventID="2", sharedEventID="s"))
    tally.add(event(eventID="s"))
    assert tally.groups_of(KEY)[0].calls == 1


def test_what_is_remembered_takes_the_same_time_for_each_event() -> None:
    tally, begin = Tally(), time.process_time()
    for number in range(500_000):
        tally._is_new(str(number))
    assert time.process_time() - begin < 5  # 0.5; 8 where the oldest is searched for
