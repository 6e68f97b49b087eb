# SPDX-License-Identifier: Apache-2.0
"""A summary for one owner over accounts, of what outputs and notices have, as messages for c7n-mailer. Pure.

It also says what policies hold for it (``notices.held``), instead of their own messages. Otherwise it announces
nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from c7n_iamusers.execution.outcomes import BROWNED_OUT, DELETED, QUARANTINED, RELEASED, RESTORED, SKIPPED
from c7n_iamusers.notices.forwarding import MOST_SENT, packed
from c7n_iamusers.notices.held import HeldMessage
from c7n_iamusers.notices.mailer_texts import for_mailer, headline, in_parts, part_of
from c7n_iamusers.notices.notices import Notice, Notices
from c7n_iamusers.notices.stock_rows import ANNOTATION, DENIED, INFORM, OVERDUE, known_texts, plain
from c7n_iamusers.report.user_history import ANNOUNCED, UserHistory
from c7n_iamusers.safeguards.forecast import GOES, IN_USE, REPLACE_FIRST, STAYS
from c7n_iamusers.text.wording import all_visible, visible

POLICY, TEMPLATE, SLACK_TEMPLATE = "iam-users-digest", "iam-users-digest.html", "slack_iam_users"
#: Of what else policies say of users.
_NEWS = "news"
#: In a subject, after a number of users; what was done comes first, and what is held for it before what is on record.
_WORDS = {
    DELETED: "deleted",
    QUARANTINED: "denied everything",
    BROWNED_OUT: "denied everything for some minutes",
    RELEASED: "given back",
    RESTORED: "restored",
    GOES: "to be deleted",
    IN_USE: "in use",
    REPLACE_FIRST: "without a replacement",
    STAYS: "left alone",
    ANNOUNCED: "announced",
    _NEWS: "with news",
}
_DONE = (DELETED, RELEASED, RESTORED)
_CHANGED = (*_DONE, QUARANTINED)
#: Steps of held messages that say what was done.
_OF_DONE = (INFORM, DENIED)


@dataclass(frozen=True)
class HeldUser:
    """What is held of one user. ``steps``: the step of a message -> its resource. ``to``: all recipients of these."""

    steps: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    to: dict[str, None] = field(default_factory=dict)


#: By account and unique id.
Held = Mapping[tuple[str, str], HeldUser]


@dataclass(frozen=True)
class Entry:
    """What a digest says of one user. ``done``: whether something was done to it since the last digest.

    ``day``: of what comes next, or of what was done. ``known``: its annotation in a held message. ``to``: the
    recipients of these messages. ``group``: of a user that is announced, by its announcement.
    """

    history: UserHistory
    account_name: str
    done: bool
    day: date
    text: str
    known: Mapping[str, Any] = field(default_factory=dict)
    to: tuple[str, ...] = ()
    group: str = ""

    @property
    def word(self) -> str:
        """One of the keys of ``_WORDS``."""
        group = str((self.known.get("notice") or {}).get("group") or self.group)
        otherwise = "" if self.known else self.history.state
        status = str((self.known.get("outcome") or {}).get("status") or otherwise)
        if status in _CHANGED or not group:
            return STAYS if status == SKIPPED else status if status in _WORDS else _NEWS
        return group

    def as_resource(self) -> dict[str, Any]:
        """As a message has it."""
        subject = self.history.subject
        path = f"/{subject.arn.partition(':user/')[2]}".rpartition("/")[0] + "/"
        told = {
            "account": self.history.account,
            "account-name": self.account_name,
            "done": self.done,
            "day": self.day.isoformat(),
            "text": self.text,
        }
        names = {"UserName": subject.name, "UserId": subject.unique_id, "Arn": subject.arn, "Path": path}
        return {**names, ANNOTATION: {**self.known, "digest": told}}


@dataclass(frozen=True)
class Address:
    """Whom a digest is for, and what else the accounts file says: ``accounts``, their ids and names; ``contact``.

    ``channels``: account id -> a channel that gets what is of this account. ``start_url``: where people sign in.
    """

    owner: str
    accounts: Mapping[str, str]
    contact: str = ""
    channels: Mapping[str, str] = field(default_factory=dict)
    start_url: str = ""

    def readers(self, entry: Entry) -> list[str]:
        """Who reads of a user: the owner, the account's channel, and the recipients of the policies' messages.

        The last may be chosen within the account, such as by a tag, and read of no other user.
        """
        channel = self.channels.get(entry.history.account)
        return [*dict.fromkeys((self.owner, *([channel] if channel else ()), *entry.to))]


@dataclass(frozen=True)
class Message:
    """A part of a digest. ``body``: packed. ``users``: of all parts that these recipients get."""

    to: tuple[str, ...]
    users: tuple[Entry, ...]
    subject: str
    body: str


def held_users(messages: Sequence[HeldMessage]) -> Held:
    """What ``messages``, the oldest first, say of each user. Of a step the last one counts."""
    found = defaultdict[tuple[str, str], HeldUser](HeldUser)
    for each in messages:
        for user in each.users:
            held = found[each.account_id, str(user["UserId"])]
            held.steps[each.step] = user
            held.to.update(dict.fromkeys(each.to))
    return dict(found)


def entries(
    histories: Sequence[UserHistory],
    notices: Mapping[str, Notices],
    accounts: Mapping[str, str],
    gone: Collection[tuple[str, str]],
    since: datetime,
    now: datetime,
    held: Held,
) -> list[Entry]:
    """What is to be told of users of ``accounts`` (id -> name): what was done since, and then what comes, by its day.

    ``gone``: the account and unique id of each user that is not there any more.
    """
    found = [
        entry
        for each in histories
        if each.account in accounts
        and (
            entry := _held_entry(each, accounts[each.account], held, now)
            or _entry(each, notices.get(each.account), accounts[each.account], gone, since, now)
        )
    ]
    return sorted(
        found, key=lambda each: (not each.done, each.day, each.account_name, str(each.history.subject))
    )


def _held_entry(history: UserHistory, name: str, held: Held, now: datetime) -> Entry | None:
    """None if nothing is held for the user."""
    of_user = held.get((history.account, history.subject.unique_id))
    if of_user is None:
        return None
    steps = of_user.steps
    known: dict[str, Any] = {}
    for user in steps.values():
        known |= user.get(ANNOTATION) or {}
    texts = [text for step, user in steps.items() if (text := _held_text(step, user.get(ANNOTATION) or {}))]
    day = str((known.get("notice") or {}).get("day") or "")
    done = any(step in _OF_DONE for step in steps)
    return Entry(
        history,
        name,
        done,
        now.date() if done or not day else date.fromisoformat(day[:10]),
        "; ".join(dict.fromkeys(texts)) or "to look at",
        known,
        tuple(of_user.to),
    )


def _held_text(step: str, known: Mapping[str, Any]) -> str:
    notice, outcome = known.get("notice") or {}, known.get("outcome") or {}
    day = str(notice.get("day") or "")
    if step == DENIED and outcome.get("status") != BROWNED_OUT:
        until = f", to be deleted on {day} or later" if day else ""
        return f"denied everything since {notice.get('denied-since')}{until}"
    if step in _OF_DONE:
        said = "; ".join(known_texts(known, {}))
        return f"left alone{said.removeprefix(SKIPPED)}" if outcome.get("status") == SKIPPED else said
    text = str(notice.get("text") or f"to be deleted on {day} or later")
    return f"overdue, message {notice.get('overdue')}: {text}" if step == OVERDUE else text


def _entry(
    history: UserHistory,
    notices: Notices | None,
    name: str,
    gone: Collection[tuple[str, str]],
    since: datetime,
    now: datetime,
) -> Entry | None:
    """None if nothing was done to the user lately, and nothing is announced."""
    last = next((each for each in reversed(history.events) if each.what in _CHANGED), None)
    at = last.time if last else None
    done = bool(at and at >= since)
    notice = notices.announcement(history.subject.unique_id, now) if notices else None
    if history.state in _DONE:
        return (
            Entry(history, name, True, at.date(), f"{_WORDS[history.state]} on {at.date()}")
            if done and at
            else None
        )
    if (history.account, history.subject.unique_id) in gone:
        return None
    if history.state == QUARANTINED and at:
        until = f", to be deleted on {max(notice.day, now.date())} or later" if notice else ""
        return Entry(history, name, done, at.date(), f"denied everything since {at.date()}{until}")
    if notice is None:
        return None
    group = str((notice.evidence.get(history.subject.unique_id) or {}).get("group") or "")
    text, day = _announced_text(history, notice, now), max(notice.day, now.date())
    return Entry(history, name, False, day, text, group=group)


def _announced_text(history: UserHistory, notice: Notice, now: datetime) -> str:
    """What the announcement said of a user to which nothing was done since: nobody asks AWS here if it still holds."""
    told = notice.evidence.get(history.subject.unique_id) or {}
    due = notice.day <= now.date()
    if told.get("group") in (IN_USE, REPLACE_FIRST, STAYS) and told.get("told"):
        move = "its day has come, and it is still there" if due else f"to be moved by {notice.day}"
        return f"when it was announced, on {notice.time:%Y-%m-%d}: {told['told']}; {move}"
    if due:
        return "its announced day has come, and it is still there: it is deleted once nothing keeps it"
    stop = notice.stop if notice.stop and notice.stop > now.date() else None
    end = f"{f'to be denied everything on {stop} and ' if stop else 'to be '}deleted on {notice.day} or later"
    return f"{end}, unless it is in use or lacks a replacement"


def messages(address: Address, told: Sequence[Entry], region: str, now: datetime) -> list[Message]:
    """The messages to one owner, and then those to others who read of some of its users; none if nothing is told."""
    of_reader = defaultdict[str, list[int]](list)
    for number, entry in enumerate(told):
        for each in address.readers(entry):
            of_reader[each].append(number)
    readers = defaultdict[tuple[int, ...], list[str]](list)
    for each, numbers in of_reader.items():
        readers[tuple(numbers)].append(each)
    return [
        message
        for numbers, to in readers.items()
        for message in _to_readers(address, tuple(to), [told[each] for each in numbers], region, now)
    ]


def _to_readers(
    address: Address, to: tuple[str, ...], told: Sequence[Entry], region: str, now: datetime
) -> Iterator[Message]:
    def made(part: Sequence[Entry], at: int, parts: int) -> tuple[str, str]:
        return _message(address, to, part, told, region, now, (at, parts))

    parts = in_parts(told, lambda part: len(made(part, 1, len(told))[1]) <= MOST_SENT)
    for at, part in enumerate(parts, 1):
        yield Message(to, tuple(told), *made(part, at, len(parts)))


def _message(
    address: Address,
    to: Sequence[str],
    part: Sequence[Entry],
    told: Sequence[Entry],
    region: str,
    now: datetime,
    place: tuple[int, int],
) -> tuple[str, str]:
    at, parts = place
    among = {each.history.account: each.account_name for each in part}
    subject = headline(f"{_headline(told)}{part_of(at, parts)}")
    first = next(iter(among))
    action = {
        "type": "notify",
        "to": [*to],
        "owner": address.owner,
        "template": TEMPLATE,
        "slack_template": SLACK_TEMPLATE,
        "subject": subject,
        "violation_desc": plain(subject),
        "action_desc": plain("A summary of what was done to IAM users, and of what comes."),
        "part": at,
        "parts": parts,
        "users": len(told),
        **({"contact": address.contact} if address.contact else {}),
        **({"start-url": address.start_url} if address.start_url else {}),
    }
    message = {
        "event": None,
        # c7n-mailer's own: a message is of one account
        "account": plain(visible(among[first])),
        "account_id": first,
        "region": region,
        "execution_start": now.timestamp(),
        "policy": {"name": POLICY, "resource": "aws.iam-user", "actions": []},
        "action": for_mailer(action)[0],
        "resources": [each.as_resource() for each in part],
    }
    return subject, packed(all_visible(message))


def _headline(told: Sequence[Entry]) -> str:
    counts, accounts = Counter(each.word for each in told), {each.history.account for each in told}
    said = [f"{counts[key]} {word}" for key, word in _WORDS.items() if counts[key]]
    where = next(iter(told)).account_name if len(accounts) == 1 else f"{len(accounts)} AWS accounts"
    return f"{where}: IAM users, {', '.join(said)}"
