# SPDX-License-Identifier: Apache-2.0
"""Networks with names: lists of three formats, AWS's own file, and what is none."""

from __future__ import annotations

import json

import pytest

from c7n_iamusers.key_usage.ranges import parse_ranges
from c7n_iamusers.text.documents import NotInFormat

AWS = {
    "syncToken": "1",
    "prefixes": [
        {"ip_prefix": "203.0.113.0/24", "region": "eu-west-1", "service": "AMAZON"},
        {"ip_prefix": "203.0.113.0/24", "region": "eu-west-1", "service": "EC2"},
    ],
    "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/32", "region": "us-east-1", "service": "S3"}],
}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", "cidr,name\n198.51.100.0/24,office\n198.51.100.7/32,build server\n"),
        ("csv", "name;cidr\noffice;198.51.100.0/24\nbuild server;198.51.100.7\n"),
        (
            "json",
            '[{"cidr": "198.51.100.0/24", "name": "office"}, {"cidr": "198.51.100.7", "name": "build server"}]',
        ),
        ("yaml", "- {cidr: 198.51.100.0/24, name: office}\n- {cidr: 198.51.100.7/32, name: build server}\n"),
    ],
)
def test_lists(form: str, text: str) -> None:
    found = parse_ranges(text.encode(), form)
    assert [(str(network), name) for network, name in found] == [
        ("198.51.100.7/32", "build server"),
        ("198.51.100.0/24", "office"),
    ]


def test_the_file_of_aws() -> None:
    found = parse_ranges(json.dumps(AWS).encode(), "json")
    assert [(str(network), name) for network, name in found] == [
        ("2001:db8::/32", "AWS S3 us-east-1"),
        ("203.0.113.0/24", "AWS EC2 eu-west-1"),
        ("203.0.113.0/24", "AWS eu-west-1"),
    ]


@pytest.mark.parametrize(
    ("form", "text", "why"),
    [
        ("csv", "cidr,owner\n", "lacks name"),
        ("csv", "cidr,name\n", "it has no ranges"),
        ("csv", "", "empty|lacks|no ranges"),
        ("json", "[]", "it has no ranges"),
        ("json", '{"prefixes": []}', "it has no ranges"),
        ("csv", "cidr,name\nhere,office\n", "line 2: has no network as its cidr, such as 192.0.2.0/24"),
        ("csv", "cidr,name\n192.0.2.1/24,office\n", "has host bits set"),
        ("csv", "cidr,name\n192.0.2.0/24,\n", "line 2: has no name"),
        ("csv", "cidr,name\n192.0.2.0/24,a,b\n", "line 2: has 3 cells, the header 2"),
        ("json", "[7]", "has no name"),
        ("json", '{"prefixes": [{"service": "AMAZON"}]}', "has no network"),
        ("yaml", '{"prefixes": []}', "list|rows|entries"),
        ("json", '{"prefixes": [7]}', "its prefixes are no list of objects"),
        ("json", '{"prefixes": 7}', "its prefixes are no list of objects"),
        ("json", '{"prefixes": [{"service": "EC2"}]}', "has no network"),
        ("json", '{"other": []}', "list|rows|entries"),
        ("yaml", "office", "list|rows|entries"),
    ],
)
def test_what_is_no_network_with_a_name_is_refused(form: str, text: str, why: str) -> None:
    with pytest.raises(NotInFormat, match=why) as refused:
        parse_ranges(text.encode(), form)
    if "prefixes" in text and form == "json":
        assert refused.value.line == 0


def test_a_file_of_aws_of_one_kind_of_addresses() -> None:
    assert len(parse_ranges(json.dumps({"prefixes": AWS["prefixes"]}).encode(), "json")) == 2
