# SPDX-License-Identifier: Apache-2.0
"""Who calls with a key: where from, by which tool, and what, in values and in one line."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from ipaddress import ip_network

import pytest

from c7n_iamusers.key_usage.callers import (
    OUTSIDE,
    OWN,
    PRIVATE,
    RANGE,
    SERVICE,
    UNKNOWN,
    Places,
    callers_of,
)
from c7n_iamusers.key_usage.model import CallGroup, KeyUsage

KEY = "AKIAIOSFODNN7EXAMPLE"
AT = datetime(2026, 11, 20, tzinfo=timezone.utc)
BOTO = "Boto3/1.34.11 m/Z,b,e"
GROUP = CallGroup("s3", "GetObject", "eu-west-1", "192.0.2.4", BOTO, 300, 0, AT, AT)
OFFICE = Places({}, ((ip_network("198.51.100.0/24"), "office"), (ip_network("2001:db8::/32"), "office 6")))


def usage(*groups: CallGroup, more: bool = False) -> KeyUsage:
    return KeyUsage(KEY, groups, "a file", AT, more=more)


@pytest.mark.parametrize(
    ("address", "places", "expected"),
    [
        ("cloudformation.amazonaws.com", Places(), (SERVICE, "cloudformation.amazonaws.com")),
        ("s3.amazonaws.com.cn", Places(), (SERVICE, "s3.amazonaws.com.cn")),
        ("AWS Internal", Places(), (SERVICE, "AWS Internal")),
        ("evil-amazonaws.com", Places({}), (UNKNOWN, "")),
        ("192.0.2.4", Places({"192.0.2.4": "i-0abc"}), (OWN, "i-0abc")),
        ("2001:DB8::1", Places({"2001:db8::1": "i-0abc"}), (OWN, "i-0abc")),
        ("192.0.2.4", Places({"192.0.2.4": ""}), (OWN, "")),
        ("198.51.100.9", OFFICE, (RANGE, "office")),
        ("2001:db8::9", OFFICE, (RANGE, "office 6")),
        ("198.51.101.9", OFFICE, (OUTSIDE, "")),
        ("10.0.0.9", OFFICE, (PRIVATE, "")),
        ("192.0.2.4", Places({}), (OUTSIDE, "")),
        ("192.0.2.4", Places(None), (UNKNOWN, "")),
        ("", Places({}), (UNKNOWN, "")),
        ("None", Places({"None": "i-0abc"}), (UNKNOWN, "")),
    ],
)
def test_what_an_address_is(address: str, places: Places, expected: tuple[str, str]) -> None:
    assert places.of(address) == expected


def test_groups_that_agree_in_source_and_tool_are_one_caller() -> None:
    later = replace(GROUP, service="kms", event="Decrypt", calls=12, last=AT.replace(day=21))
    other = replace(GROUP, user_agent="aws-cli/2.1", calls=1)
    first, second = callers_of(usage(GROUP, other, later))
    assert (first.services, first.regions, first.calls) == (("kms", "s3"), ("eu-west-1",), 312)
    assert (first.first, first.last) == (AT, AT.replace(day=21))
    assert second.agent.tool == "AWS CLI"


def test_addresses_of_one_range_are_one_caller() -> None:
    groups = [replace(GROUP, address=f"198.51.100.{number}", calls=1) for number in (9, 7, 8)]
    (caller,) = callers_of(usage(*groups), OFFICE)
    assert caller.calls == 3
    assert "at office (such as 198.51.100.7), boto3" in str(caller)


@pytest.mark.parametrize(
    ("changes", "places", "more", "text"),
    [
        (
            {},
            Places(),
            False,
            "Passed in code (as the SDK reports) at 192.0.2.4, boto3 1.34.11, s3 in eu-west-1, last 2026-11-20, "
            "300 calls",
        ),
        (
            {"denied": 4, "user_agent": "x"},
            Places({"192.0.2.4": "i-0abc"}),
            False,
            "At 192.0.2.4 (i-0abc), an unknown tool, s3 in eu-west-1, last 2026-11-20, 296 calls and 4 attempts "
            "that AWS refused",
        ),
        (
            {"denied": 300, "address": "", "service": "", "region": "", "user_agent": ""},
            Places(),
            True,
            "At an address that the events do not say, an unknown tool, unknown in unknown, last 2026-11-20, "
            "at least 300 attempts that AWS refused",
        ),
        (
            {"address": "10.1.2.3", "calls": 1, "user_agent": "Boto3/1.2 app/a\u202eb"},
            Places({}),
            False,
            "At 10.1.2.3, boto3 1.2 as a\\u202eb, s3 in eu-west-1, last 2026-11-20, 1 call",
        ),
    ],
)
def test_in_one_line(changes: dict[str, object], places: Places, more: bool, text: str) -> None:
    (caller,) = callers_of(usage(replace(GROUP, **changes), more=more), places)  # type: ignore[arg-type]
    assert str(caller) == text
    assert caller.as_data()["text"] == text


def test_many_services_are_shortened() -> None:
    (caller,) = callers_of(usage(*(replace(GROUP, service=f"s{number}") for number in range(6))))
    assert "s0, s1, s2 and 3 more in eu-west-1" in str(caller)


def test_as_data() -> None:
    (caller,) = callers_of(usage(replace(GROUP, denied=1)), Places({"192.0.2.4": "i-0abc"}))
    found = caller.as_data()
    assert found.pop("text") == str(caller)
    assert found == {
        "address": "192.0.2.4",
        "place": OWN,
        "place_name": "i-0abc",
        "tool": "boto3",
        "version": "1.34.11",
        "credentials": "passed in code",
        "services": ["s3"],
        "regions": ["eu-west-1"],
        "calls": 300,
        "denied": 1,
        "first": "2026-11-20T00:00:00+00:00",
        "last": "2026-11-20T00:00:00+00:00",
    }


def test_few_names_are_told_whole() -> None:
    groups = [replace(GROUP, service=name) for name in ("a", "b", "c", "d", "e")]
    (four,), (five,) = callers_of(usage(*groups[:4])), callers_of(usage(*groups))
    assert ", a, b, c and d in eu-west-1," in str(four)
    assert ", a, b, c and 2 more in eu-west-1," in str(five)


def test_an_own_address_has_its_name_if_that_is_known() -> None:
    said = [str(callers_of(usage(GROUP), Places({"192.0.2.4": name}))[0]) for name in ("i-0abc", "")]
    assert [each.partition(", ")[0] for each in said] == [
        f"Passed in code (as the SDK reports) at 192.0.2.4{name}" for name in (" (i-0abc)", "")
    ]
