# SPDX-License-Identifier: Apache-2.0
"""Who the IAM users' people are, and which of them can't be told apart or taken at their word. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center.model import Person, PersonKey
from c7n_iamusers.text.wording import folded, shown

#: The keys of a policy's ``user:``, all of which CreateUser needs although its model calls them optional.
KEYS = ("username", "email", "given-name", "family-name", "display-name")

#: identitystore CreateUser, UserName: "the username can't be Administrator or AWSAdministrators".
_RESERVED = frozenset({"administrator", "awsadministrators"})
_USERNAME_LIMIT, _TEXT_LIMIT = 128, 1024
#: RFC 5321 4.5.3.1: a path of 256 octets includes its angle brackets.
_EMAIL_LIMIT = 254
_EMAIL = re.compile(r"[^@\s,;<>()\[\]\\\"]+@(?:[\w-]+\.)+[^\W\d_][\w-]*")
#: Scripts that one language writes in one word, and what to call them together.
_WRITTEN_TOGETHER, _EAST_ASIAN = (
    frozenset({"Cjk", "Hiragana", "Katakana", "Hangul", "Bopomofo"}),
    "East Asian",
)
#: Between what an identity rests on and what tags say otherwise.
AGAINST = ", against "
#: What botocore's patterns for names allow beside letters, marks, symbols, numbers and punctuation.
_SPACES = frozenset("\t\n\r \u00a0\u3000")


@dataclass(frozen=True)
class Identity:
    """What was found of a person: ``KEYS`` -> text, empty where none was, and ``KEYS`` -> where, in words.

    ``problem``: why nothing of it counts. ``on_file``: the mapping file names the person, so that no tag has a say
    in it. ``against``: what tags say otherwise, in words, for people to look into.
    """

    texts: Mapping[str, str]
    origins: Mapping[str, str]
    problem: str = ""
    on_file: bool = False
    against: tuple[str, ...] = ()

    @property
    def rests_on(self) -> str:
        """Where username and e-mail come from, and what is against it."""
        username, email = self.origins["username"], self.origins["email"]
        found = username if username == email else f"{username} (username) and {email} (e-mail)"
        return f"{found}{AGAINST}{' and '.join(self.against)}" if self.against else found


@dataclass(frozen=True, slots=True)
class Candidate:
    """An IAM user and the person it stands for, or the ``problem`` that keeps it from standing for one.

    ``rests_on``: where username and e-mail were found, in words. ``on_file``: see ``Identity``.
    """

    subject: Subject
    person: Person | None
    problem: str = ""
    rests_on: str = ""
    on_file: bool = False


def from_email(email: str) -> dict[str, str]:
    """What an e-mail alone tells of a person: it is the username, and ``jane.doe@`` is Jane Doe."""
    words = [
        word.capitalize() for word in re.split(r"[._]+", email.partition("@")[0].partition("+")[0]) if word
    ]
    first, last = (words[0], words[-1]) if words else (email, email)
    return {
        "username": email,
        "email": email,
        "given-name": first,
        "family-name": last,
        "display-name": " ".join(words) or email,
    }


def identify(
    users: Iterable[tuple[Subject, Identity]], account_id: str, domains: Sequence[str] = ()
) -> list[Candidate]:
    """A candidate for each of ``users`` in their order, no two of whom share but a username or but an e-mail.

    ``account_id``: the account that the access is for, so a user of another one has no claim to it. ``domains``:
    those of the organization's e-mail; none for any.
    """
    return unmistakable([_candidate(subject, identity, account_id, domains) for subject, identity in users])


def unmistakable(candidates: Sequence[Candidate]) -> list[Candidate]:
    """``candidates``, of whatever accounts, less the people who can't be told apart.

    Two users with one username and one e-mail are one person. Those who share only one of the two are all
    refused: nobody can tell whose identity it is, and guessing would hand one person another's access. Only where
    the mapping file names one of them, the others, who rest on tags alone, are refused in its favour.
    """
    usernames, emails = _clashes(candidates, 0), _clashes(candidates, 1)
    return [_unmistakable(candidate, usernames, emails) for candidate in candidates]


def _candidate(subject: Subject, identity: Identity, account_id: str, domains: Sequence[str]) -> Candidate:
    if subject.account_id != account_id:
        return Candidate(subject, None, f"is not of account {account_id}, which this run gives access to")
    if identity.problem:
        return Candidate(subject, None, identity.problem)
    texts = identity.texts
    faults = [fault for key in KEYS if (fault := _fault(key, texts.get(key, ""), identity.origins))]
    if not faults and domains:
        faults = _domain_faults(texts["email"], domains)
    if faults:
        return Candidate(subject, None, "; ".join(faults))
    person = Person(*(texts[key] for key in KEYS))
    return Candidate(subject, person, rests_on=identity.rests_on, on_file=identity.on_file)


def _domain_faults(email: str, domains: Sequence[str]) -> list[str]:
    domain = folded(email.rpartition("@")[2])
    if domain in map(folded, domains):
        return []
    return [f"e-mail {email!r} is of domain {domain}, which is none of email-domains: {', '.join(domains)}"]


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
    if mixed := _mixed_scripts(text):
        return mixed
    return "" if all(map(_visible, text)) else "must have no spaces and no control characters"


def _email_fault(text: str) -> str:
    if len(text) > _EMAIL_LIMIT:
        return f"is longer than {_EMAIL_LIMIT} characters"
    if not _EMAIL.fullmatch(text):
        return "is not an e-mail address: correct it where it stands"
    return _mixed_scripts(text)


def _mixed_scripts(text: str) -> str:
    """What is wrong with text in which a letter of one script can pass for one of another; empty for other text."""
    scripts = sorted({_script(character) for character in text} - {""})
    if len(scripts) < 2:
        return ""
    return f"mixes the scripts {', '.join(scripts)}, whose letters look alike: write it in one"


def _script(character: str) -> str:
    """The script of a letter, mark or digit, by the name that Unicode gives it; empty for what belongs to none."""
    if character.isascii():
        return "Latin" if character.isalpha() else ""
    name = unicodedata.name(character, "")
    if unicodedata.category(character)[0] not in "LMN" or name.startswith("COMBINING "):
        return ""
    script = name.partition(" ")[0].capitalize()
    return _EAST_ASIAN if script in _WRITTEN_TOGETHER else script


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


@dataclass(frozen=True)
class _Clash:
    """``users``: the IAM users concerned, in words. ``rightful``: the one person whom the mapping file names."""

    users: tuple[str, ...]
    rightful: PersonKey | None


def _clashes(candidates: Sequence[Candidate], part: int) -> dict[str, _Clash]:
    """Usernames (part 0) or e-mails (part 1) that stand for more than one person -> what is known of these."""
    people: defaultdict[str, set[PersonKey]] = defaultdict(set)
    on_file: defaultdict[str, set[PersonKey]] = defaultdict(set)
    users: defaultdict[str, list[str]] = defaultdict(list)
    for candidate in candidates:
        if candidate.person:
            people[candidate.person.key[part]].add(candidate.person.key)
            if candidate.on_file:
                on_file[candidate.person.key[part]].add(candidate.person.key)
            users[candidate.person.key[part]].append(
                f"{candidate.subject.name} of account {candidate.subject.account_id}"
            )
    return {
        text: _Clash(tuple(sorted(set(users[text]))), _only(on_file[text]))
        for text, found in people.items()
        if len(found) > 1
    }


def _only(keys: set[PersonKey]) -> PersonKey | None:
    return next(iter(keys)) if len(keys) == 1 else None


def _unmistakable(candidate: Candidate, usernames: dict[str, _Clash], emails: dict[str, _Clash]) -> Candidate:
    if candidate.person is None:
        return candidate
    username, email = candidate.person.key
    problems = [
        f"the {title} {text!r} stands for different people: IAM users {shown(clashes[text].users)} give it with "
        f"different {others}: correct them"
        for title, text, clashes, others in (
            ("username", username, usernames, "e-mails"),
            ("e-mail", email, emails, "usernames"),
        )
        if text in clashes and clashes[text].rightful != candidate.person.key
    ]
    return replace(candidate, person=None, problem="; ".join(problems)) if problems else candidate
