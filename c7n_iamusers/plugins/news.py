# SPDX-License-Identifier: Apache-2.0
"""What became of a user, in a few words, and whether that is new to the owner of its account. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from c7n_iamusers.evidence.assessment import ANNOTATION
from c7n_iamusers.evidence.attempts import HEARD
from c7n_iamusers.exceptions import Stopped
from c7n_iamusers.execution.outcomes import DELETED, FAILED, PROVISIONED, SKIPPED, UNCHANGED
from c7n_iamusers.identity_center import access_state
from c7n_iamusers.identity_center.intents import INTENDED
from c7n_iamusers.notices.messages import headline
from c7n_iamusers.safeguards.guards import not_quarantined

#: The user's person has access through Identity Center.
ACCESS = "access"
#: The policy selected the user, and nothing else is known.
SELECTED = "selected"
#: Statuses of provisioning, and states of access, that mean ACCESS.
_ACCESS = (PROVISIONED, UNCHANGED, access_state.USED)
#: In a subject, after a number of users, in this order.
_WORDS = {
    DELETED: "deleted",
    ACCESS: "with access through IAM Identity Center",
    INTENDED: "with access through IAM Identity Center on its way",
    HEARD: "still in use",
    access_state.PENDING: "without complete access through IAM Identity Center",
    access_state.ABSENT: "without access through IAM Identity Center",
    FAILED: "failed",
    SKIPPED: "left alone",
}


def news_of(resource: Mapping[str, Any]) -> str:
    """What the policy's filters and actions found or did: a word, and for some words what belongs to it.

    ``skipped: <kind of the reason>``, ``heard: <time of the newest attempt>``, ``deleted``, ``failed``, ``access`` and
    so on. An action counts before a filter.
    """
    known = resource.get(ANNOTATION, {})
    outcome, made, attempts, access = (
        known.get(key) or {} for key in ("outcome", "provisioning", "attempts", "identity-center")
    )
    if outcome:
        return _with_kind(str(outcome.get("status")), str(outcome.get("reason") or ""))
    if made:
        status = str(made.get("status"))
        return ACCESS if status in _ACCESS else status
    if attempts.get("state") == HEARD:
        times = [str(each.get("time")) for each in attempts.get("attempts") or ()]
        return f"{HEARD}: {max(times, default='')}"
    if access:
        return ACCESS if access.get("state") in _ACCESS else str(access.get("state"))
    return SELECTED


def _with_kind(status: str, reason: str) -> str:
    """A skipped user's reason without dates, numbers and details, which differ from run to run."""
    if status != SKIPPED:
        return status
    head = reason.partition(":")[0].partition(";")[0].partition("(")[0]
    return f"{SKIPPED}: {' '.join(word for word in head.split() if not any(map(str.isdigit, word)))}"


#: The end of a reason that tells whoever runs the policies what to do.
_REMEDY = re.compile(
    r"[:;] (?:check|correct|find out|fix|flag again|investigate|quiet|restore|run)\b.*", re.DOTALL
)
#: Beginnings of reasons -> what owners are told in their place.
_FOR_OWNERS = {
    "its owners were not addressed": "its owners were not addressed",
    "it is unknown whether it is still in use": "it is not known whether it is still in use",
    "the filter attempts": "it is not known whether it is still in use",
    "checked again on live data": "it has changed, and no longer counts as unnecessary",
}


def reason_for_owners(outcome: Mapping[str, Any]) -> str:
    """Why an action left a user as it is, for the owner of its account: without what operators have to do.

    ``outcome``: its annotation. ``earlier`` in it: why the user was not put in quarantine, if that is known.
    """
    reason, earlier = str(outcome.get("reason") or ""), str(outcome.get("earlier") or "")
    if not_quarantined(reason):
        left = reason_for_owners({"reason": earlier})
        return f"it was not put in quarantine: {left}" if left else "it is not in quarantine"
    told = next((words for beginning, words in _FOR_OWNERS.items() if reason.startswith(beginning)), None)
    is_rule = reason.startswith("exempt by ")  # what follows is not ours
    return told or (reason if is_rule else _REMEDY.sub("", reason))


def is_new(news: str, said: str | None) -> bool:
    """Whether the owner does not know it yet. ``said``: what the last message about the user said; None if none did."""
    if said is None:
        return True
    if news.startswith(HEARD) and said.startswith(HEARD):
        return news > said
    # earlier versions had other words for this reason
    in_none = [not_quarantined(each.removeprefix(f"{SKIPPED}: ")) for each in (news, said)]
    return news not in (said, UNCHANGED) and not all(in_none)


def was_stopped(resource: Mapping[str, Any]) -> bool:
    """Whether a STOP file ended the run before this user: nothing became of it, and the runner knows."""
    return (resource.get(ANNOTATION, {}).get("outcome") or {}).get("code") == Stopped.__name__


def was_skipped(resource: Mapping[str, Any]) -> bool:
    """Whether an action on users left this one alone."""
    return (resource.get(ANNOTATION, {}).get("outcome") or {}).get("status") == SKIPPED


def news_line(
    account: str, news: Iterable[str], day: date, policy: str, *, counted: bool = True, part: str = ""
) -> str:
    """The subject. ``news``: of all users. ``counted``: not where each recipient gets other users."""
    found = Counter(each.partition(":")[0] for each in news)
    order = [*_WORDS, *sorted(found.keys() - _WORDS.keys())]
    words = {**_WORDS, SELECTED: f"selected by {policy}"}
    said = list[str]()
    for each in (each for each in order if each in found):
        noun = "" if said else " IAM user" if counted and found[each] == 1 else " IAM users"
        text = f"{noun} {words.get(each, each.replace('-', ' '))}"
        said.append((f"{found[each]}{text}" if counted else text).strip())
    return headline(f"{account}: {', '.join(said)} on {day}{part}")
