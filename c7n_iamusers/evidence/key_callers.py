# SPDX-License-Identifier: Apache-2.0
"""What the callers of a user's access keys say of it: whether a person or a program calls, and where it runs. Pure.

A user agent is a claim of whoever calls, and an address is where a call came from, not whose it is. So both are signs,
and an organization's own hints outrank them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from c7n_iamusers.evidence.model import Evidence
from c7n_iamusers.key_usage.callers import OUTSIDE, OWN, SERVICE, Caller
from c7n_iamusers.key_usage.user_agents import GITHUB, OF_PEOPLE

#: Who calls: a person, a pipeline, something that runs in AWS, something outside of it. Anything else is unknown.
PERSON, PIPELINE, IN_AWS, ELSEWHERE = "person", "pipeline", "in-aws", "elsewhere"
#: Where people type (``AWS_EXECUTION_ENV`` of these services); whatever else AWS runs is a program.
_TYPED_IN = frozenset({"AWS CloudShell", "AWS Cloud9"})
_OF_AWS = ("AWS ", "Amazon ")


def working_callers(evidence: Evidence) -> tuple[Caller, ...]:
    """The callers with a call that AWS allowed, of the user's active keys, or of all if none is active."""
    keys = evidence.usage or ()
    counted = [each for each in keys if each.key.active] or keys
    return tuple(caller for each in counted for caller in each.callers if caller.denied < caller.calls)


def signs_in(callers: Iterable[Caller]) -> tuple[str, ...]:
    """What ``callers`` are, those with the most calls first; empty if nothing of them is known."""
    ordered = sorted(callers, key=lambda caller: -caller.calls)
    return tuple(dict.fromkeys(sign for caller in ordered for sign in _sign(caller)))


def _sign(caller: Caller) -> Iterator[str]:
    tool, inside = caller.agent.tool, caller.agent.runs_in
    if tool in OF_PEOPLE or inside in _TYPED_IN:
        yield PERSON
    elif GITHUB in (tool, inside):
        yield PIPELINE
    elif caller.place in (SERVICE, OWN) or inside.startswith(_OF_AWS):
        yield IN_AWS
    elif caller.place == OUTSIDE:
        yield ELSEWHERE
