# SPDX-License-Identifier: Apache-2.0
"""The subjects of mails about users, one function for each step of a message. Pure.

A policy's own ``subject`` replaces them. ``headline``, which all of them are, is in ``notices/mailer_texts.py``.
``counted`` is false where each recipient gets other users.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date

from c7n_iamusers.evidence.attempted_calls import ATTEMPTED
from c7n_iamusers.execution.outcomes import (
    ACTIVATED,
    BROWNED_OUT,
    DELETED,
    FAILED,
    QUARANTINED,
    RELEASED,
    RESTORED,
    RETIRED,
    SKIPPED,
)
from c7n_iamusers.identity_center import access_state
from c7n_iamusers.identity_center.requests.intents import INTENDED
from c7n_iamusers.notices.mailer_texts import headline
from c7n_iamusers.plugins.news import ACCESS, DEACTIVATED, SELECTED
from c7n_iamusers.safeguards.forecast import IN_USE, REPLACE_FIRST
from c7n_iamusers.text.wording import shown

#: What a message is about.
USER, KEY = "IAM user", "access key"
#: In a subject, after a number of users, in this order.
_WORDS = {
    DELETED: "deleted",
    QUARANTINED: "denied everything",
    DEACTIVATED: "with credentials deactivated",
    BROWNED_OUT: "denied everything for some minutes",
    RESTORED: "restored",
    RELEASED: "released from quarantine",
    ACCESS: "with access through IAM Identity Center",
    INTENDED: "with access through IAM Identity Center on its way",
    ATTEMPTED: "still in use",
    access_state.PENDING: "without complete access through IAM Identity Center",
    access_state.ABSENT: "without access through IAM Identity Center",
    FAILED: "failed",
    SKIPPED: "left alone",
    SELECTED: "to look at",
}
#: The same of access keys, before the others and in place of these.
_OF_KEYS = {RETIRED: "deleted", DEACTIVATED: "made inactive", ACTIVATED: "given back"}


def of_deletion(
    account: str,
    users: int | None,
    days: Iterable[date],
    *,
    reminder: bool,
    stop: date | None = None,
    others: Sequence[int] = (),
    noun: str = USER,
) -> str:
    """An announcement or a reminder. ``users``: how many are to be deleted; None if recipients get different users.

    ``days``: of their deletion. ``stop``: the day on which all of them are denied everything; None if these differ.
    ``others``: how many are in use, need a replacement first, and are left alone for another reason. ``noun``: USER, or
    KEY, of which the same is said in other words.
    """
    first, *more = sorted(set(days))
    when = f"from {first} on" if more else f"on {first}"
    spared = [f"{number} {what}" for number, what in zip(others, _SPARED, strict=False) if number]
    if users is None:
        said = f"{noun}s are to be deleted {when}"
    elif users or not spared:
        denied = f"{'denied everything' if noun == USER else 'made inactive'} on {stop} and " if stop else ""
        said = f"{_counted(users, noun)} {'is' if users == 1 else 'are'} to be {denied}deleted {when}"
        if spared:
            number, _, what = spared[0].partition(" ")
            spared[0] = f"{number} other{'' if number == '1' else 's'} {what}"
        said = ", ".join([said, *spared])
    else:
        head, *rest = spared
        count, _, what = head.partition(" ")
        said = ", ".join([f"{_counted(int(count), noun)} {what}", *rest])
        moved = f": move {'it' if sum(others) == 1 else 'them'} by {first}"
        said += moved if any(others[:2]) else ", and announced"
    return headline(f"{account}: {'reminder: ' if reminder else ''}{said}")


#: What is said of users that are spared, in the order of ``others``.
_SPARED = ("in use", "without a replacement", "left alone")


def _counted(number: int, noun: str = USER) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def of_news(
    account: str,
    news: Iterable[str],
    day: date,
    *,
    counted: bool = True,
    noun: str = USER,
) -> str:
    """What has become of users, or of keys (``noun``). ``news``: of all of them."""
    counts = Counter(word.partition(":")[0] for word in news)
    words = {**_OF_KEYS, **{key: said for key, said in _WORDS.items() if key not in _OF_KEYS}}
    words = words if noun == KEY else _WORDS
    order = [*words, *sorted(counts.keys() - words.keys())]
    said = list[str]()
    for word in (word for word in order if word in counts):
        named = "" if said else f" {noun}" if counted and counts[word] == 1 else f" {noun}s"
        text = f"{named} {words.get(word, word.replace('-', ' '))}"
        said.append((f"{counts[word]}{text}" if counted else text).strip())
    return headline(f"{account}: {', '.join(said)} on {day}")


def of_overdue(account: str, groups: Sequence[str], message: int, counted: bool) -> str:
    """Who is overdue. ``groups``: of all users, by the forecast; ``message``: the highest number of one's messages."""
    counts = Counter(groups)
    words = ((IN_USE, "in use"), (REPLACE_FIRST, "without a replacement"))
    said = ", ".join(f"{counts[group]} {what}" for group, what in words if counts[group])
    which = f"{_counted(len(groups))} {'is' if len(groups) == 1 else 'are'}" if counted else "IAM users are"
    end = f": {said}" if counted else ""
    return headline(f"{account}: {which} overdue, message {message}{end}")


def of_credentials(account: str, call: str, users: int, day: date, counted: bool) -> str:
    """New credentials. ``call``: the event's operation; empty without an event."""
    what = f"{call} for" if call else "new long-term credentials of"
    number = _counted(users) if counted else "IAM users"
    return headline(f"{account}: {what} {number} on {day}")


def of_use(account: str, names: Sequence[str], day: date, certain: bool, counted: bool) -> str:
    """The use of break-glass users. ``certain``: whether one at least was used for certain."""
    who = f" {shown(names, 3)}" if counted else "s"
    happened = "used" if certain else "may have been used"
    return headline(f"ALARM: {account}: break-glass user{who} {happened} on {day}")


def of_access(account: str) -> str:
    """To a person who has access."""
    return headline(f"{account}: you have access through IAM Identity Center")
