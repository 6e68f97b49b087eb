# SPDX-License-Identifier: Apache-2.0
"""What a policy's own text says that a report needs: its messages, exemptions, names, and how long it parks keys. Pure.

The text is that of a policy which ran, as Cloud Custodian keeps it in its metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from c7n_iamusers.exemptions import KEYS as RULE_KEYS
from c7n_iamusers.iam.user_fields import named_alone
from c7n_iamusers.report.outputs import ANNOUNCE, Asks, Mail
from c7n_iamusers.text.kept import plain

_USER_TYPES = frozenset({"iam-user", "aws.iam-user"})
#: The resources of policies on access keys, and the source of them that is this package's.
KEY_TYPES = frozenset({"iam-access-key", "aws.iam-access-key"})
_KEY_SOURCE = "access-keys"


def is_reported(policy: Mapping[str, Any]) -> bool:
    """Whether reports are about what the ``policy`` selects: IAM users, or access keys by this package's source."""
    resource = policy.get("resource")
    return resource in _USER_TYPES or (resource in KEY_TYPES and policy.get("source") == _KEY_SOURCE)


def mails_of(actions: Any) -> Iterator[Mail]:
    """Not of actions that report credentials: they announce nothing, and nobody asks what becomes of their messages."""
    for action in actions if isinstance(actions, list) else ():
        if isinstance(action, dict) and action.get("notices") and action.get("step") != "created":
            rests, step = action.get("noticed") not in (None, "none"), str(action.get("step") or "")
            asks, others = Asks.of(action) if step == ANNOUNCE else None, action.get("of")
            of = tuple(map(str, others)) if isinstance(others, list) else ()
            yield Mail(str(action["notices"]), step, rests, asks, of)


def parked_for(actions: Any) -> float | None:
    """The days for which an action ``retire`` asks a key to be inactive; None if there is none."""
    for action in actions if isinstance(actions, list) else ():
        days = (
            action.get("parked-for") if isinstance(action, dict) and action.get("type") == "retire" else None
        )
        if isinstance(days, int | float):
            return float(days)
    return None


def selected_names(filters: Any) -> tuple[str, ...] | None:
    """Of the first of a policy's filters that selects by names alone."""
    found = map(named_alone, filters if isinstance(filters, list) else ())
    names = next((each for each in found if each is not None), None)
    return None if names is None else tuple(dict.fromkeys(names))


def own_rules(filters: Any) -> Iterator[Mapping[str, Any]]:
    """The entries of ``exempt`` of a policy's filters, those within and, or, not among them."""
    for block in filters if isinstance(filters, list) else ():
        if isinstance(block, dict):
            exempt = block.get("exempt") if block.get("type") == "unnecessary" else None
            # a policy that ran had no other
            yield from (rule for rule in exempt or () if isinstance(rule, dict) and plain(rule, RULE_KEYS))
            for name in ("and", "or", "not"):
                yield from own_rules(block.get(name))
