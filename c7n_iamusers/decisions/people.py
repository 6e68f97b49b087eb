# SPDX-License-Identifier: Apache-2.0
"""Who the IAM users' people are, and which of them can't be told apart or taken at their word. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from c7n_iamusers.decisions.wording import shown
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.identity_center import Person

#: The keys of a policy's ``user:``, all of which CreateUser needs although its model calls them optional.
KEYS = ("username", "email", "given-name", "family-name", "display-name")

#: identitystore CreateUser, UserName: "the username can't be Administrator or AWSAdministrators".
_RESERVED = frozenset({"administrator", "awsadministrators"})
_USERNAME_LIMIT, _TEXT_LIMIT = 128, 1024
#: RFC 5321 4.5.3.1: a path of 256 octets includes its angle brackets.
_EMAIL_LIMIT = 254
_EMAIL = re.compile(r"[^@\s,;<>()\[\]\\\"]+@(?:[\w-]+\.)+[^\W\d_][\w-]*")
#: What botocore's patterns for names allow beside letters, marks, symbols, numbers and punctuation.
_SPACES = frozenset("\t\n\r \u00a0\u3000")


@dataclass(frozen=True)
class Identity:
    """What was found of a person: ``KEYS`` -> text, empty where none was, and ``KEYS`` -> where, in words.

    ``problem``: why nothing of it counts, where mapping file and tags contradict each other, for one.
    """

    texts: Mapping[str, str]
    origins: Mapping[str, str]
    problem: str = ""

    @property
    def rests_on(self) -> str:
        """Where username and e-mail come from."""
        username, email = self.origins["username"], self.origins["email"]
        return username if username == email else f"{username} (username) and {email} (e-mail)"


@dataclass(frozen=True)
class Candidate:
    """An IAM user and the person it stands for, or the ``problem`` that keeps it from standing for one.

    ``rests_on``: where username and e-mail were found, in words.
    """

    subject: Subject
    person: Person | None
    problem: str = ""
    rests_on: str = ""


def identify(users: Iterable[tuple[Subject, Identity]], account_id: str) -> list[Candidate]:
    """A candidate for each of ``users`` in their order, no two of whom share but a username or but an e-mail.

    ``account_id``: the account that the access is for, so a user of another one has no claim to it.
    """
    return unmistakable([_candidate(subject, identity, account_id) for subject, identity in users])


def unmistakable(candidates: Sequence[Candidate]) -> list[Candidate]:
    """``candidates``, of whatever accounts, less the people who can't be told apart.

    Two users with one username and one e-mail are one person. Those who share only one of the two are all
    refused: nobody can tell whose identity it is, and guessing would hand one person another's access.
    """
    usernames, emails = _clashes(candidates, 0), _clashes(candidates, 1)
    return [_unmistakable(candidate, usernames, emails) for candidate in candidates]


def _candidate(subject: Subject, identity: Identity, account_id: str) -> Candidate:
    if subject.account_id != account_id:
        return Candidate(subject, None, f"is not of account {account_id}, which this run gives access to")
    if identity.problem:
        return Candidate(subject, None, identity.problem)
    texts = identity.texts
    faults = [fault for key in KEYS if (fault := _fault(key, texts.get(key, ""), identity.origins))]
    if faults:
        return Candidate(subject, None, "; ".join(faults))
    return Candidate(subject, Person(*(texts[key] for key in KEYS)), rests_on=identity.rests_on)


def _fault(key: str, text: str, origins: Mapping[str, str]) -> str:
    if not text:
        return f"no {key}: {origins[key]} yields nothing: tag the user, or name another key under user.{key}"
    fault = _CHECKS[key](text)
    return f"{key} {text!r} (from {origins[key]}) {fault}" if fault else ""


def _username_fault(text: str) -> str:
    if text.casefold() in _RESERVED:
        return "is reserved by Identity Center: give the user another"
    if len(text) > _USERNAME_LIMIT:
        return f"is longer than {_USERNAME_LIMIT} characters"
    return "" if all(map(_visible, text)) else "must have no spaces and no control characters"


def _email_fault(text: str) -> str:
    if len(text) > _EMAIL_LIMIT:
        return f"is longer than {_EMAIL_LIMIT} characters"
    return "" if _EMAIL.fullmatch(text) else "is not an e-mail address: correct it where it stands"


def _name_fault(text: str) -> str:
    if len(text) > _TEXT_LIMIT:
        return f"is longer than {_TEXT_LIMIT} characters"
    allowed = all(_visible(character) or character in _SPACES for character in text)
    return "" if allowed else "must have no control characters"


def _visible(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMSNP"


_CHECKS: Mapping[str, Callable[[str], str]] = {
    "username": _username_fault,
    "email": _email_fault,
    "given-name": _name_fault,
    "family-name": _name_fault,
    "display-name": _name_fault,
}


def _clashes(candidates: Sequence[Candidate], part: int) -> dict[str, list[str]]:
    """Usernames (part 0) or e-mails (part 1) that stand for more than one person -> the IAM users concerned."""
    people: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    users: defaultdict[str, list[str]] = defaultdict(list)
    for candidate in candidates:
        if candidate.person:
            people[candidate.person.key[part]].add(candidate.person.key)
            users[candidate.person.key[part]].append(
                f"{candidate.subject.name} of account {candidate.subject.account_id}"
            )
    return {text: users[text] for text, found in people.items() if len(found) > 1}


def _unmistakable(
    candidate: Candidate, usernames: dict[str, list[str]], emails: dict[str, list[str]]
) -> Candidate:
    if candidate.person is None:
        return candidate
    username, email = candidate.person.key
    problems = [
        f"the {title} {text!r} stands for different people: IAM users {shown(sorted(set(clashes[text])))} give it with "
        f"different {others}: correct them"
        for title, text, clashes, others in (
            ("username", username, usernames, "e-mails"),
            ("e-mail", email, emails, "usernames"),
        )
        if text in clashes
    ]
    return replace(candidate, person=None, problem="; ".join(problems)) if problems else candidate
