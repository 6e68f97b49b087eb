# SPDX-License-Identifier: Apache-2.0
"""Who calls with an access key: its calls by where they come from and by which tool makes them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from c7n_iamusers.key_usage.model import CallGroup, KeyUsage
from c7n_iamusers.key_usage.user_agents import UserAgent, read_user_agent
from c7n_iamusers.text.times import as_text
from c7n_iamusers.text.wording import counted, visible

#: What an address is: an AWS service, one of the account's own, one in a range that was given, one of a private network
#: (by a VPC endpoint), any other, and any other where the account's own were not read.
SERVICE, OWN, RANGE, PRIVATE, OUTSIDE, UNKNOWN = (
    "aws-service",
    "own",
    "range",
    "private",
    "outside",
    "unknown",
)
#: ``sourceIPAddress`` of calls that a service made ("CloudTrail record contents", CloudTrail User Guide).
_SERVICES = (".amazonaws.com", ".amazonaws.com.cn")
_INTERNAL = "AWS Internal"
#: Services and Regions that a sentence names, and characters of what others chose.
_SHOWN, _LONGEST = 4, 80
Network = IPv4Network | IPv6Network
#: RFC 1918, RFC 6598, RFC 4193.
_PRIVATE = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
)


@dataclass(frozen=True)
class Places:
    """What addresses are. ``own``: address -> what of the account has it; None if that was not read.

    ``ranges``: networks with their names; the first one that has an address counts.
    """

    own: Mapping[str, str] | None = None
    ranges: Sequence[tuple[Network, str]] = ()

    def of(self, address: str) -> tuple[str, str]:
        """What ``address`` is, and its name; the name is empty where it has none."""
        if address == _INTERNAL or address.endswith(_SERVICES):
            return SERVICE, address
        try:
            known = ip_address(address)
        except ValueError:
            return UNKNOWN, ""
        if self.own and str(known) in self.own:
            return OWN, self.own[str(known)]
        for network, name in self.ranges:
            if known in network:
                return RANGE, name
        if any(known in network for network in _PRIVATE):
            return PRIVATE, ""
        return (UNKNOWN if self.own is None else OUTSIDE), ""


@dataclass(frozen=True)
class Caller:
    """Calls of one key from one address, or from one range, by one tool.

    ``place``: what the address is, one of the constants above; ``place_name``: its name, of a range or an address of
    the account's own. ``calls``: all of them; ``denied``: how many of these AWS refused. ``at_least``: there are more
    than are counted. ``first``, ``last``: in UTC.
    """

    address: str
    place: str
    place_name: str
    agent: UserAgent
    services: tuple[str, ...]
    regions: tuple[str, ...]
    calls: int
    denied: int
    first: datetime
    last: datetime
    at_least: bool = False

    def as_data(self) -> dict[str, Any]:
        """As annotations and JSON show it."""
        where = {"address": visible(self.address)[:_LONGEST], "place": self.place}
        named = {"place_name": self.place_name} if self.place_name else {}
        what = {"services": list(self.services), "regions": list(self.regions)}
        counts: dict[str, Any] = {"calls": self.calls, "denied": self.denied}
        counts |= {"at_least": True} if self.at_least else {}
        times = {"first": as_text(self.first), "last": as_text(self.last)}
        return {**where, **named, **self.agent.as_data(), **what, **counts, **times, "text": str(self)}

    def __str__(self) -> str:
        """In one line, such as: Passed in code (as the SDK reports) at 192.0.2.4, boto3 1.34.11, s3 and kms in
        eu-west-1, last 2026-11-20, 312 calls."""
        ways = f"{self.agent.credentials} (as the SDK reports) at " if self.agent.credentials else "at "
        tool = visible(str(self.agent)) or "an unknown tool"
        what = f"{_listed(self.services)} in {_listed(self.regions)}"
        where = f"{ways[0].upper()}{ways[1:]}{self._where()}"
        return f"{where}, {tool}, {what}, last {self.last:%Y-%m-%d}, {self._counts()}"

    def _where(self) -> str:
        address = visible(self.address)[:_LONGEST] or "an address that the events do not say"
        if self.place == RANGE:
            return f"{visible(self.place_name)[:_LONGEST]} (such as {address})"
        named = self.place == OWN and self.place_name
        return f"{address} ({visible(self.place_name)[:_LONGEST]})" if named else address

    def _counts(self) -> str:
        """Refused calls are attempts, and told apart."""
        least, through = "at least " if self.at_least else "", self.calls - self.denied
        refused = f"{counted(self.denied, 'attempt')} that AWS refused" if self.denied else ""
        return least + " and ".join(filter(None, (counted(through, "call") if through else "", refused)))


def _listed(names: Sequence[str]) -> str:
    shown = [visible(name)[:_LONGEST] for name in names[: _SHOWN - 1 if len(names) > _SHOWN else _SHOWN]]
    parts = [*shown, *([f"{len(names) - len(shown)} more"] if len(names) > len(shown) else [])]
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]])) if parts else "unknown"


def callers_of(usage: KeyUsage, places: Places = Places()) -> tuple[Caller, ...]:
    """Who calls with the key of ``usage``; those with the most calls first. Addresses of one range are one caller."""
    groups = defaultdict[tuple[str, str, UserAgent], list[CallGroup]](list)
    for group in usage.groups:
        kind, name = places.of(group.address)
        at = name if kind == RANGE else group.address
        groups[kind, at, read_user_agent(group.user_agent)].append(group)
    found = [_caller(agent, its, usage.more, places) for (_, _, agent), its in groups.items()]
    return tuple(sorted(found, key=lambda caller: (-caller.calls, caller.address, str(caller.agent))))


def _caller(agent: UserAgent, its: Sequence[CallGroup], more: bool, places: Places) -> Caller:
    address = min(group.address for group in its)
    kind, name = places.of(address)
    return Caller(
        address,
        kind,
        name,
        agent,
        tuple(sorted({group.service for group in its if group.service})),
        tuple(sorted({group.region for group in its if group.region})),
        sum(group.calls for group in its),
        sum(group.denied for group in its),
        min(group.first for group in its),
        max(group.last for group in its),
        more,
    )
