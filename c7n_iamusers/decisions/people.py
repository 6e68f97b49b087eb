# SPDX-License-Identifier: Apache-2.0
"""Who the IAM users' people are, and which of them can't be told apart or taken at their word. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

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
class Candidate:
    """An IAM user and the person it stands for, or the ``problem`` that keeps it from standing for one."""

    subject: Subject
    person: Person | None
    problem: str = ""


def identify(
    users: Iterable[tuple[Subject, Mapping[str, str]]], keys: Mapping[str, str], account_id: str
) -> list[Candidate]:
    """A candidate for each of ``users`` in their order: ``KEYS`` -> text, empty where none was found.

    ``keys``: ``KEYS`` -> where the policy looks for it, for the errors. ``account_id``: the account that
    the access is for, so a user of another one has no claim to it. Two users with one username and
    one e-mail are one person. Those who share only one of the two are all refused: nobody can tell whose
    identity it is, and guessing would hand one person another's access.
    """
    candidates = [_candidate(subject, texts, keys, account_id) for subject, texts in users]
    usernames, emails = _clashes(candidates, 0), _clashes(candidates, 1)
    return [_unmistakable(candidate, usernames, emails) for candidate in candidates]


def _candidate(
    subject: Subject, texts: Mapping[str, str], keys: Mapping[str, str], account_id: str
) -> Candidate:
    if subject.account_id != account_id:
        return Candidate(subject, None, f"is not of account {account_id}, which this run gives access to")
    faults = [fault for key in KEYS if (fault := _fault(key, texts.get(key, ""), keys))]
    if faults:
        return Candidate(subject, None, "; ".join(faults))
    return Candidate(subject, Person(*(texts[key] for key in KEYS)))


def _fault(key: str, text: str, keys: Mapping[str, str]) -> str:
    if not text:
        return f"no {key}: {keys[key]} yields nothing: tag the user, or name another key under user.{key}"
    fault = _CHECKS[key](text)
    return f"{key} {text!r} (from {keys[key]}) {fault}" if fault else ""


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


def _clashes(candidates: list[Candidate], part: int) -> dict[str, list[str]]:
    """Usernames (part 0) or e-mails (part 1) that stand for more than one person -> the IAM users concerned."""
    people: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    users: defaultdict[str, list[str]] = defaultdict(list)
    for candidate in candidates:
        if candidate.person:
            people[candidate.person.key[part]].add(candidate.person.key)
            users[candidate.person.key[part]].append(candidate.subject.name)
    return {text: users[text] for text, found in people.items() if len(found) > 1}


def _unmistakable(
    candidate: Candidate, usernames: dict[str, list[str]], emails: dict[str, list[str]]
) -> Candidate:
    if candidate.person is None:
        return candidate
    username, email = candidate.person.key
    problems = [
        f"the {title} {text!r} stands for different people: IAM users {', '.join(clashes[text])} give it with "
        f"different {others}: correct them"
        for title, text, clashes, others in (
            ("username", username, usernames, "e-mails"),
            ("e-mail", email, emails, "usernames"),
        )
        if text in clashes
    ]
    return replace(candidate, person=None, problem="; ".join(problems)) if problems else candidate
