# SPDX-License-Identifier: Apache-2.0
"""What people are told: messages in the mailer's queue and the records of them, judged against AWS and the outcomes.

Knows nothing of the package but the form of its files, and of a message what c7n-mailer reads: base64 of zlib of JSON.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from aws_local_org import LocalOrg
from tests.explorer.center import access
from tests.explorer.facts import Facts
from tests.explorer.judge import Judge, has_our_deny
from tests.explorer.world import OWNER, QUEUE

#: What of a user a message has.
_OF_USER = "c7n:IamUser"
#: What somebody has to hear of, and all that a message can say of a user that AWS can tell.
CHANGED = ("deleted", "quarantined", "browned-out", "released")
CLAIMS = (*CHANGED, "provisioned", "used")
#: What a record calls it, where that is another word.
_NOTED = {"access": "provisioned"}
#: The goal of a flow -> what somebody hears of alice once it is reached.
WORDS = {
    "deleted": "deleted",
    "quarantined": "quarantined",
    "listened to": "quarantined",
    "browned out": "browned-out",
    "given back": "released",
    "announced": "to go",
    "provisioned": "provisioned",
}
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Mail:
    """A message as c7n-mailer reads it. ``body``: as it is in the queue."""

    id: str
    body: str

    @property
    def text(self) -> str:
        """What is packed in it."""
        return zlib.decompress(base64.b64decode(self.body)).decode()

    @property
    def content(self) -> dict[str, Any]:
        """The message."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    def said(self) -> Iterator[tuple[str, str, Row]]:
        """Of each user or access key that it names: its unique id, what became of it, and all that is said of it."""
        for each in self.content["resources"]:
            known = each.get(_OF_USER) or {}
            yield each.get("AccessKeyId") or each["UserId"], word_of(known), known


def word_of(known: Row) -> str:
    """What a message says of a user: the status of its outcome, that it is to go, or the state of its access."""
    if outcome := known.get("outcome"):
        return str(outcome["status"])
    if known.get("notice"):
        return "to go"
    return str((known.get("identity-center") or {}).get("state") or "nothing")


def mails(org: LocalOrg) -> list[Mail]:
    """The messages in the mailer's queue, in the order in which AWS took them. Nobody reads them."""
    queue: Any = org.backend("sqs").queues[QUEUE.rpartition("/")[2]]
    return [Mail(each.id, each.body) for each in queue._messages]


def records(place: Path, account: str) -> list[dict[str, Any]]:
    """The records of messages about users of ``account``, without those that can't be read."""
    found = []
    for path in sorted((place / account).glob("*.json")):
        try:
            data = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if "message-id" in data:
            found.append(data)
    return sorted(found, key=lambda each: str(each["time"]))


@dataclass
class MailJudge:
    """``place``: of the records. ``account``, ``target``: alice's, and her unique id. ``goal``: one of WORDS, or empty.

    ``known``: messages of before. ``held``: (unique id, word) of what was so of users at some moment since.
    ``received``: messages of which AWS's answer came to the run as it was.
    ``broken``: what does not hold, in words, each beginning with the name of its invariant.
    """

    org: LocalOrg
    place: Path
    account: str
    target: str
    goal: str
    known: set[str] = field(default_factory=set)
    held: set[tuple[str, str]] = field(default_factory=set)
    received: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = {each.id for each in mails(self.org)}

    def sent(self, selected: Collection[str] | None, when: str, *, received: bool) -> None:
        """AWS took a message. ``selected``: whom the run may name, as "account/unique id"; None if that is unknown.

        ``received``: whether AWS's answer came to the run as it was.
        """
        mail = mails(self.org)[-1]
        content = mail.content
        if received:
            self.received.add(mail.id)
        if content["action"]["to"] != [OWNER] or content["account_id"] != self.account:
            self._note(when, f"it is to {content['action']['to']}, of {content['account_id']}")
        if selected is None:
            return
        for user, word, known in mail.said():
            if f"{self.account}/{user}" not in selected:
                self._note(when, f"it names {user}, whom the run did not take")
            claim = self.goal if word == "unchanged" else word
            if claim in CLAIMS and (user, claim) not in self.held:
                self._note(when, f"it says that {user} is {word}, which it never was")
            if _meaning(word, known) == self._last(user, content["policy"]["name"]):
                self._note(when, f"it says of {user} what the last one said: {word}")

    def _last(self, user: str, policy: str) -> tuple[str, ...]:
        """What the last message of ``policy`` said of ``user``, of those on record."""
        by_id = {each.id: each for each in mails(self.org)}
        for each in reversed(self._records()):
            mail = by_id.get(each["message-id"])
            if mail and each["policy"] == policy:
                for named, word, known in mail.said():
                    if named == user:
                        return _meaning(word, known)
        return ()

    def untold(self, row: Mapping[str, Any], policy: str) -> str:
        """The last change of alice by ``row``, her outcome with earlier ones, if no record says that it was told."""
        changes = [each["status"] for each in (*row.get("history", ()), row) if each.get("status") in CHANGED]
        told = {
            each["what"].partition(":")[0]
            for record in self._records()
            if record["policy"] == policy
            for each in record["users"]
            if each["unique-id"] == self.target and "what" in each
        }
        return "" if not changes or changes[-1] in told else str(changes[-1])

    def unrecorded(self) -> bool:
        """Whether a message was sent, the run was told so, and there is no record of it."""
        return bool(self.received - {each["message-id"] for each in self._records()})

    def over(self, word: str, secrets: Iterable[str], why: str) -> None:
        """The runs are over. ``word``: what somebody must have heard last of alice; empty if nothing."""
        found = {each.id: each for each in mails(self.org)}
        heard = [said for each in found.values() for user, said, _ in each.said() if user == self.target]
        if word and heard[-1:] not in ([word], ["unchanged"]):
            self._note(why, f"she is {word}, and her owner heard {heard}")
        for record in self._records():
            mail = found.get(record["message-id"])
            if mail is None:
                self._note(why, f"a record of {record['step']} is of no message")
            elif fault := _disagreement(record, mail):
                self._note(why, fault)
        for each in found.values():
            if any(secret in each.text for secret in secrets):
                self.broken.append(f"no secrets: {why}: a message holds a secret")

    def _records(self) -> list[dict[str, Any]]:
        return records(self.place, self.account)

    def _note(self, when: str, what: str) -> None:
        self.broken.append(f"mail: {when}: {what}")


def so_of(goal: str, judge: Judge, facts: Facts, now: datetime) -> Iterator[tuple[str, str]]:
    """(unique id, word) of all that is so of users whom the run may take; words but that of ``goal`` are left out."""
    word = WORDS.get(goal, "")
    if word == "provisioned":
        has = {(person, account) for person, account, _ in access(facts["center"])}
        users = {key: each["name"] for key, each in facts["users"].items()}
        for key, name in users.items():
            account, _, unique_id = key.partition("/")
            if (f"{name}@example.com", account) in has:
                yield from ((unique_id, each) for each in ("provisioned", "used"))
        return
    for key in {judge.target, *judge.selected} if word else ():
        user = facts["users"].get(key)
        if word == "deleted":
            so = user is None
        elif word == "released":
            so = bool(user) and not has_our_deny(user or {})
        else:
            so = bool(user) and not judge.rights_of(user or {}, facts, now)
        if so:
            yield key.partition("/")[2], word


def _meaning(word: str, known: Row) -> tuple[str, ...]:
    """What is the same of two messages that say the same: without numbers and times, but of what is news each time."""
    outcome = known.get("outcome") or {}
    when = str(outcome.get("time")) if word == "released" else ""
    return word, re.sub(r"\d+", "0", str(outcome.get("reason", ""))), when


def _disagreement(record: Mapping[str, Any], mail: Mail) -> str:
    """What ``record`` says otherwise than its message; empty if nothing."""
    content, said = mail.content, {user: word for user, word, _ in mail.said()}
    noted = {each["unique-id"]: each.get("what", "to go").partition(":")[0] for each in record["users"]}
    days = {known["notice"]["day"] for _, _, known in mail.said() if known.get("notice")}
    if days - {record["day"]}:
        return f"a record is for {record['day']}, and its message for {sorted(days)}"
    if record["addresses"] != content["action"]["to"]:
        return f"a record is of {record['addresses']}, its message is to {content['action']['to']}"
    if record["policy"] != content["policy"]["name"]:
        return f"a record is of {record['policy']}, its message of {content['policy']['name']}"
    wrong = {user: word for user, word in noted.items() if said.get(user) != _NOTED.get(word, word)}
    return (
        f"a record says {wrong} of users, and its message {said}" if wrong or len(noted) != len(said) else ""
    )
