# SPDX-License-Identifier: Apache-2.0
"""Who sends to which queue: no member account may write to the one that c7n-mailer reads. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from c7n_iamusers.organization.readiness import QUEUE, Target, filled, parts_of

#: The variable with the queue of functions in the shipped policies.
FUNCTIONS_QUEUE = "realtime_queue_url"


def function_queues(found: Sequence[Target], policies: Iterable[Any]) -> tuple[str, ...]:
    """The queues to which the ``policies`` with a Lambda mode send."""
    functions = filter(_is_function, policies)
    named = [
        (part.get("transport") or {}).get("queue")
        for data in functions
        for part in parts_of(data.get("actions"))
    ]
    return tuple(dict.fromkeys(each for target in found for each in filled(named, target)))


def _is_function(policy: Mapping[str, Any]) -> bool:
    return bool((policy.get("mode") or {}).get("type", "pull") != "pull")


def open_mailer(found: Sequence[Target], policies: Iterable[Any], reads: Iterable[str] = ()) -> str:
    """Which of the ``policies`` write to c7n-mailer's queue from another account; empty if none does.

    c7n-mailer evaluates the messages in its queue. Administrators of a member account control what its functions send,
    and can assume the role with which c7n-org sends unless ``assume_role`` is false. ``reads``: queues in c7n-mailer's
    own configuration, beside the variable.
    """
    named = [each for target in found for each in filled([target.variables.get(QUEUE)], target)]
    read = {_same_queue(each) for each in (*named, *reads)}
    faults = dict[str, None]()
    for data in policies:
        for part in parts_of(data.get("actions")):
            if (remedy := _of_the_account(data, part)) is None:
                continue
            for queue in _of_others(part, found, read):
                faults[
                    f"policy {data['name']}: it sends out of each account to {queue}, the queue that c7n-mailer reads, "
                    f"so whoever administers an account could run code in c7n-mailer: {remedy}"
                ] = None
    return "; ".join(faults)


def _of_others(
    part: Mapping[str, Any], found: Iterable[Target], read: Collection[tuple[str, ...]]
) -> Iterator[str]:
    """The queues of ``part`` in the accounts ``found`` that are among ``read``, and in another account."""
    named = [(part.get("transport") or {}).get("queue")]
    for target in found:
        for queue in filled(named, target):
            place = _same_queue(queue)
            if place in read and place[0] != target.account_id:
                yield queue


def _of_the_account(policy: Mapping[str, Any], part: Mapping[str, Any]) -> str | None:
    """What to do if an account's own role sends an action's message; None if the runner sends it."""
    if _is_function(policy):
        return (
            f"give the functions another queue, such as {{{FUNCTIONS_QUEUE}}}, and move its messages by `c7n-iamusers "
            "forward`"
        )
    return None if part.get("assume_role") is False else "state assume_role: false, so that the runner sends"


def _same_queue(queue: str) -> tuple[str, ...]:
    """The account and name of a queue, whose URL and ARN can be spelt in several ways."""
    return tuple(re.split(r"[:/]", queue.partition("?")[0].rstrip("/"))[-2:])
