# SPDX-License-Identifier: Apache-2.0
"""The event patterns of the policies that ship, and what matches them, by EventBridge's matching as moto has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from moto.events.models import EventPattern

from c7n_iamusers.plugins.policy_checks import event_pattern
from tests.cloudtrail_events import ACCOUNT

ROOT = Path(__file__).parents[1]
CREDENTIALS, DENY, QUARANTINE = (
    "iam-users-realtime",
    "iam-users-realtime-deny",
    "iam-users-realtime-quarantine",
)
SIGN_IN, CALL = "iam-users-alarm-sign-in", "iam-users-alarm-call"
VALUES = {
    "{partition}": "aws",
    "{account_id}": ACCOUNT,
    "{runner_role}": "IamUsersRemover",
    "{restorer_role}": "IamUsersRestorer",
}


def matches(mode: dict[str, Any], given: dict[str, Any]) -> bool:
    """Whether EventBridge starts the function of a policy with this mode, whose variables are filled in."""
    return bool(EventPattern.load(event_pattern(mode)).matches_event(given))


def shipped_modes() -> dict[str, dict[str, Any]]:
    """The modes of the policies that ship and run on events, filled in as c7n-org does."""
    found = {}
    for name in ("realtime", "realtime-quarantine", "realtime-alarm"):
        text = (ROOT / "policies" / f"{name}.yml").read_text()
        for variable, value in VALUES.items():
            text = text.replace(variable, value)
        for each in yaml.safe_load(text)["policies"]:
            if each["mode"]["type"] == "cloudtrail":
                found[each["name"]] = each["mode"]
    return found


PATTERNS = {name: EventPattern.load(event_pattern(mode)) for name, mode in shipped_modes().items()}


def started(given: dict[str, Any]) -> set[str]:
    """The policies whose functions the event starts."""
    return {name for name, pattern in PATTERNS.items() if pattern.matches_event(given)}
