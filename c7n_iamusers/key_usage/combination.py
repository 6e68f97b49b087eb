# SPDX-License-Identifier: Apache-2.0
"""What several sources say of one key, as one: the same calls are in more than one of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from c7n_iamusers.key_usage.model import CallGroup, KeyUsage


def combined(key_id: str, usages: Sequence[KeyUsage]) -> KeyUsage:
    """The calls that any of ``usages`` has. Of groups that agree, that with the most calls counts: a sum would count
    calls twice. So counts are minimums (``more``) where several sources have calls of a group."""
    found, twice = dict[tuple[str, ...], CallGroup](), False
    for usage in usages:
        for group in usage.groups:
            like = (group.service, group.event, group.region, group.address, group.user_agent)
            known = found.get(like)
            twice = twice or known is not None
            largest = max(known or group, group, key=lambda each: each.calls)
            first = min(known.first, group.first) if known else group.first
            last = max(known.last, group.last) if known else group.last
            found[like] = replace(largest, first=first, last=last)
    times = [usage.as_of for usage in usages if usage.as_of]
    more = twice or any(usage.more or usage.problem for usage in usages)
    return KeyUsage(key_id, (*found.values(),), "", max(times, default=None), more=more)
