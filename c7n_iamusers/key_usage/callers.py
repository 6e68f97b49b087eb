# SPDX-License-Identifier: Apache-2.0
"""Who calls with an access key: its calls by where they come from and by which tool makes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from c7n_iamusers.key_usage.model import CallGroup, KeyUsage
from c7n_iamusers.key_usage.user_agents import UserAgent, read_user_agent
from c7n_iamusers.text.times import as_text
from c7n_iamusers.text.wording import counted, visible

#: What an address is: an AWS service, one of the account's own, one in a range that was given, any other.
SERVICE, OWN, RANGE, OUTSIDE, UNKNOWN = "aws-service", "own", "range", "outside", "unknown"
#: ``sourceIPAddress`` of calls that a service made ("CloudTrail record contents", CloudTrail User Guide).
_SERVICES = (".amazonaws.com", ".amazonaws.com.cn")
_INTERNAL = "AWS Internal"
#: Services and Regions that a sentence names, and characters of what others chose.
_SHOWN, _LONGEST = 4, 80
Network = IPv4Network | IPv6Network


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
        if self.own and (name := self.own.get(str(known))):
            return OWN, name
        for network, name in self.ranges:
            if known.version == network.version and known in network:
                return RANGE, name
        return (OUTSIDE, "") if known.is_global and self.own is not None else (UNKNOWN, "")


@dataclass(frozen=True)
class Caller:
    """Calls of one key from one address by one tool. ``place``: what the address is; ``place_name``: its name.

    ``calls``: all of them; ``denied``: how many of these AWS refused. ``at_least``: there are more than are counted.
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
        """In one line: "passed in code at 192.0.2.4, boto3 1.34, s3 and kms in eu-west-1, last 2026-11-20, 312 calls"."""
        from_ = f"{self.agent.credentials} (as the SDK reports) at " if self.agent.credentials else "at "
        place = f" ({self.place_name})" if self.place_name and self.place_name != self.address else ""
        address = visible(self.address)[:_LONGEST] or "an address that the events do not say"
        tool = str(self.agent) or "an unknown tool"
        what = f"{_listed(self.services)} in {_listed(self.regions)}"
        more = "at least " if self.at_least else ""
        return (
            f"{from_}{address}{place}, {tool}, {what}, last {self.last:%Y-%m-%d}, {more}{counted(self.calls, 'call')}"
            + _refused(self)
        )


def _refused(caller: Caller) -> str:
    if not caller.denied:
        return ""
    return ", all refused" if caller.denied == caller.calls else f", {caller.denied} of them refused"


def _listed(names: Sequence[str]) -> str:
    first = [visible(name)[:_LONGEST] for name in names[: _SHOWN - 1 if len(names) > _SHOWN else _SHOWN]]
    rest = len(names) - len(first)
    parts = [*first, *([f"{rest} more"] if rest else [])]
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]])) if parts else "unknown"


def callers_of(usage: KeyUsage, places: Places = Places()) -> tuple[Caller, ...]:
    """Who calls with the key of ``usage``; those with the most calls first."""
    groups: dict[tuple[str, UserAgent], list[CallGroup]] = {}
    for group in usage.groups:
        groups.setdefault((group.address, read_user_agent(group.user_agent)), []).append(group)
    found = [_caller(address, agent, its, usage.more, places) for (address, agent), its in groups.items()]
    return tuple(sorted(found, key=lambda caller: (-caller.calls, caller.address, str(caller.agent))))


def _caller(address: str, agent: UserAgent, its: list[CallGroup], more: bool, places: Places) -> Caller:
    kind, name = places.of(address)
    return Caller(
        address,
        kind,
        name,
        agent,
        tuple(sorted({group.service for group in its})),
        tuple(sorted({group.region for group in its if group.region})),
        sum(group.calls for group in its),
        sum(group.denied for group in its),
        min(group.first for group in its),
        max(group.last for group in its),
        more,
    )
