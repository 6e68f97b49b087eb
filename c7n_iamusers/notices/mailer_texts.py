# SPDX-License-Identifier: Apache-2.0
"""What c7n-mailer gets of a message: its subject, its visible texts, its recipients, and its parts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from c7n_iamusers.text.addresses import is_address
from c7n_iamusers.text.wording import all_visible, visible

Item = TypeVar("Item")


def part_of(part: int, parts: int) -> str:
    """The end of the subject of a message that was split."""
    return f" (part {part} of {parts})" if parts > 1 else ""


def headline(text: str) -> str:
    """``text`` as a subject: one visible line, without braces.

    c7n-mailer evaluates a subject as a Jinja template, outside any sandbox (``utils.get_message_subject``). Every
    construct of Jinja begins with a brace.
    """
    return visible(" ".join(text.replace("{", "(").replace("}", ")").split()))


#: The options with recipients.
_RECIPIENTS = ("to", "cc", "owner_absent_contact")


def for_mailer(action: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """``action``, whose variables are filled in, as c7n-mailer gets it; and the recipients that are left out.

    The subject is a ``headline``. Other texts are made visible. A recipient with an at sign must be one address, since
    c7n-mailer would also write to each address of a list in one text, and none may be ``chosen_by_others``.
    """
    told: dict[str, Any] = all_visible(action)
    if "subject" in told:
        told["subject"] = headline(str(action["subject"]))
    refused: list[str] = []
    for key in _RECIPIENTS:
        if isinstance(listed := told.get(key), list):
            refused += (recipient for recipient in listed if not is_recipient(recipient))
            told[key] = [recipient for recipient in listed if is_recipient(recipient)]
    return told, tuple(refused)


def chosen_by_others(recipient: object) -> bool:
    """Whether c7n-mailer takes the recipient from the caller's session name, or the channel from a tag."""
    return recipient == "event-owner" or str(recipient).startswith("slack://tag/")


def is_recipient(text: object) -> bool:
    """Whether a message may go to it: one address, or none at all, such as ``resource-owner``, a channel or a topic."""
    if not isinstance(text, str) or chosen_by_others(text):
        return False
    return "@" not in text or is_address(text.removeprefix("slack://"))


#: What templates read of a policy. Filters and other actions can name places and secrets.
_TOLD_OF_POLICY = ("name", "resource", "description", "comment", "comments", "tags", "metadata")
#: An action of Cloud Custodian whose day templates show, and what they read of it.
_MARK, _TOLD_OF_MARK = "mark-for-op", ("type", "op", "tag", "days", "hours", "msg")


def told_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    """What a message has of ``policy``, its data."""
    marks = [
        action
        for action in policy.get("actions") or ()
        if isinstance(action, Mapping) and action.get("type") == _MARK
    ]
    actions = [{key: action[key] for key in _TOLD_OF_MARK if key in action} for action in marks]
    return {**{key: policy[key] for key in _TOLD_OF_POLICY if key in policy}, "actions": actions}


def told_action(action: Mapping[str, Any]) -> dict[str, Any]:
    """``action`` without where its recipients are read from."""
    return {key: value for key, value in action.items() if key not in ("to_from", "cc_from")}


def in_parts(items: Sequence[Item], fits: Callable[[Sequence[Item]], bool]) -> list[Sequence[Item]]:
    """``items`` in parts that all fit, in their order, each as long as can be.

    An item that does not fit is a part of its own. ``fits`` is called for few parts. A large item gets a part of its
    own, and does not shorten the parts beside it.
    """
    if not items or fits(items):
        return [items]
    parts, start = list[Sequence[Item]](), 0
    while start < len(items):
        length = _fitting(items[start:], fits)
        parts.append(items[start : start + length])
        start += length
    return parts


def _fitting(items: Sequence[Item], fits: Callable[[Sequence[Item]], bool]) -> int:
    """How many of the first items fit, at least one."""
    fit, beyond = 1, 2
    while beyond <= len(items) and fits(items[:beyond]):
        fit, beyond = beyond, 2 * beyond
    beyond = min(beyond, len(items) + 1)
    while beyond - fit > 1:
        middle = (fit + beyond) // 2
        fit, beyond = (middle, beyond) if fits(items[:middle]) else (fit, middle)
    return fit
