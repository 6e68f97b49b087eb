# SPDX-License-Identifier: Apache-2.0
"""Reads which networks have names: a list with the columns cidr and name, or AWS's ip-ranges.json. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from c7n_iamusers.key_usage.callers import Network
from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.rows import read_rows

_CIDR, _NAME = "cidr", "name"
#: In ip-ranges.json, the service of all prefixes; those of single services say more ("AWS IP address ranges").
_ALL = "AMAZON"
#: Members of ip-ranges.json, and what has the network in them.
_OF_AWS = {"prefixes": "ip_prefix", "ipv6_prefixes": "ipv6_prefix"}


def parse_ranges(data: bytes, form: str) -> tuple[tuple[Network, str], ...]:
    """The networks with their names, the smallest first. ``form``: one of FORMATS in ``text/rows.py``.

    Raises NotInFormat for anything that is no network with a name, and where there is none.
    """
    aws = read_json(data) if form == "json" and data.lstrip()[:1] == b"{" else None
    if isinstance(aws, Mapping) and "prefixes" in aws:
        found = list(_of_aws(aws))
    else:
        found = [_of_row(row.line, row.value, row.problem) for row in read_rows(data, form, _header)]
    if not found:
        raise NotInFormat(0, "it has no ranges")
    return tuple(sorted(found, key=lambda each: -each[0].prefixlen))


def _header(names: list[str]) -> str:
    missing = [name for name in (_CIDR, _NAME) if name not in names]
    return f"lacks {' and '.join(missing)}" if missing else ""


def _of_row(line: int, row: Any, problem: str) -> tuple[Network, str]:
    if problem:
        raise NotInFormat(line, problem)
    if not isinstance(row, Mapping) or not row.get(_NAME):
        raise NotInFormat(line, f"has no {_NAME}: each range has a {_CIDR} and a {_NAME}")
    return _network(row.get(_CIDR), line), str(row[_NAME])


def _of_aws(data: Mapping[str, Any]) -> Iterator[tuple[Network, str]]:
    for member, key in _OF_AWS.items():
        prefixes = data.get(member) or []
        for each in prefixes if isinstance(prefixes, list) else [None]:
            if not isinstance(each, Mapping):
                raise NotInFormat(0, f"is not AWS's ip-ranges.json: its {member} are no list of objects")
            if each.get("service") != _ALL:
                yield _network(each.get(key), 0), f"AWS {each.get('service')} {each.get('region')}"
        # networks of no single service come last
        yield from (
            (_network(each.get(key), 0), f"AWS {each.get('region')}")
            for each in prefixes
            if each.get("service") == _ALL
        )


def _network(value: Any, line: int) -> Network:
    try:
        return ip_network(str(value))
    except ValueError as error:
        raise NotInFormat(line, f"has no network as its {_CIDR}, such as 192.0.2.0/24: {error}") from None
