# SPDX-License-Identifier: Apache-2.0
"""What owners are told once about a user: what a policy found out about it, or did to it, in a word. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from c7n_iamusers.evidence.attempted_calls import ATTEMPTED
from c7n_iamusers.execution.outcomes import (
    ACTIVATED,
    FAILED,
    PROVISIONED,
    RELEASED,
    RESTORED,
    SKIPPED,
    UNCHANGED,
)
from c7n_iamusers.identity_center import access_state
from c7n_iamusers.plugins.resources import ANNOTATION
from c7n_iamusers.reasons import STOPPED

#: The user's person has access through Identity Center.
ACCESS = "access"
#: The user was denied everything before, and its credentials are deactivated, too. Also what became of an access key.
DEACTIVATED = "deactivated"
#: The policy selected the user, and nothing else is known.
SELECTED = "selected"
#: Statuses of provisioning, and states of access, that mean ACCESS.
_ACCESS = (PROVISIONED, UNCHANGED, access_state.USED)


def news_of(resource: Mapping[str, Any]) -> str:
    """What the policy's filters and actions found or did: a word, for some with a detail.

    ``skipped: <code of the reason>``, ``attempted: <time of the newest attempt>``, ``released: <time>``, ``deleted``,
    ``failed``, ``access`` and so on. An action counts before a filter.
    """
    known = resource.get(ANNOTATION, {})
    outcome, made, attempts, access = (
        known.get(key) or {} for key in ("outcome", "provisioning", "attempts", "identity-center")
    )
    if outcome.get("status") in (RELEASED, RESTORED, ACTIVATED):
        # each time is news: it may be put in quarantine or deleted again in between
        return f"{outcome['status']}: {outcome.get('time')}"
    if outcome:
        status, code = str(outcome.get("status")), str(outcome.get("code") or "")
        return f"{SKIPPED}: {code}" if status == SKIPPED and code else status
    if made:
        status = str(made.get("status"))
        return ACCESS if status in _ACCESS else status
    if attempts.get("state") == ATTEMPTED:
        times = [str(attempt.get("time")) for attempt in attempts.get("attempts") or ()]
        return f"{ATTEMPTED}: {max(times, default='')}"
    if access:
        return ACCESS if access.get("state") in _ACCESS else str(access.get("state"))
    return SELECTED


def is_new(news: str, said: str | None) -> bool:
    """Whether the owner does not know it yet. ``said``: what the last message about the user said; None if none did."""
    if said is None:
        return True
    if news.startswith(ATTEMPTED) and said.startswith(ATTEMPTED):
        return news > said
    # after a failure or a skip, the owner is told that the user is as it should be
    if news == UNCHANGED:
        return said == FAILED or said.startswith(SKIPPED)
    return news != said


def was_stopped(resource: Mapping[str, Any]) -> bool:
    """Whether a STOP file ended the run before this user: nothing became of it, and the runner knows."""
    return (resource.get(ANNOTATION, {}).get("outcome") or {}).get("code") == STOPPED.code


def was_skipped(resource: Mapping[str, Any]) -> bool:
    """Whether an action on users left this one alone."""
    return (resource.get(ANNOTATION, {}).get("outcome") or {}).get("status") == SKIPPED
