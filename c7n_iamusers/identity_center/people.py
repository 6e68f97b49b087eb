# SPDX-License-Identifier: Apache-2.0
"""Identifies the people of IAM users by username and e-mail, and refuses ambiguous and invalid ones. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center.model import Person, PersonKey
from c7n_iamusers.text.wording import LONGEST, foreign_domain, is_address, shown

#: The keys of a policy's ``user:``. CreateUser needs all of them, although its model says they are optional.
KEYS = ("username", "email", "given-name", "family-name", "display-name")

#: identitystore CreateUser, UserName: "the username can't be Administrator or AWSAdministrators".
_RESERVED = frozenset({"administrator", "awsadministrators"})
_USERNAME_LIMIT, _TEXT_LIMIT = 128, 1024
#: Scripts that one language mixes in a word, and their common name.
_WRITTEN_TOGETHER, _EAST_ASIAN = (
    frozenset({"Cjk", "Hiragana", "Katakana", "Hangul", "Bopomofo"}),
    "East Asian",
)
#: In ``rests_on``, before contradicting tags.
AGAINST = ", against "
#: Spaces that botocore's patterns of names allow besides letters, marks, symbols, numbers and punctuation.
_SPACES = frozenset("\t\n\r \u00a0\u3000")


@dataclass(frozen=True)
class Identity:
    """The texts of a person. ``texts``: ``KEYS`` -> text, or empty. ``origins``: ``KEYS`` -> source, in words.

    ``problem``: why they don't count. ``on_file``: they come from the people file, so tags don't count. ``against``:
    contradicting tags, in words.
    """

    texts: Mapping[str, str]
    origins: Mapping[str, str]
    problem: str = ""
    on_file: bool = False
    against: tuple[str, ...] = ()

    @property
    def rests_on(self) -> str:
        """The sources of username and e-mail, and contradicting tags."""
        username, email = self.origins["username"], self.origins["email"]
        found = username if username == email else f"{username} (username) and {email} (e-mail)"
        return f"{found}{AGAINST}{' and '.join(self.against)}" if self.against else found


@dataclass(frozen=True, slots=True)
class Candidate:
    """An IAM user and its person, or the ``problem`` why it has none.

    ``rests_on``, ``on_file``: see ``Identity``.
    """

    subject: Subject
    person: Person | None
    problem: str = ""
    rests_on: str = ""
    on_file: bool = False


def from_email(email: str) -> dict[str, str]:
    """The texts of a person by the e-mail only: it is the username, and ``jane.doe@`` is Jane Doe."""
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
    """A candidate for each of ``users``, in their order.

    ``account_id``: users of other accounts are refused. ``domains``: the organization's e-mail domains; empty for any.
    """
    return distinct_people(
        [_candidate(subject, identity, account_id, domains) for subject, identity in users]
    )


def distinct_people(candidates: Sequence[Candidate]) -> list[Candidate]:
    """``candidates`` of one or more accounts, without ambiguous people.

    Users with the same username and e-mail are one person. Users with only one of the two in common are all refused, as
    one of them could get the access of another person. If the people file names exactly one of these people, only the
    others are refused.
    """
    usernames, emails = _clashes(candidates, 0), _clashes(candidates, 1)
    return [_distinct(candidate, usernames, emails) for candidate in candidates]


def _candidate(subject: Subject, identity: Identity, account_id: str, domains: Sequence[str]) -> Candidate:
    if subject.account_id != account_id:
        return Candidate(
            subject, None, f"is not a user of account {account_id}, which this run gives access to"
        )
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
    domain = foreign_domain(email, domains)
    if not domain:
        return []
    return [f"e-mail {email!r} has the domain {domain}, which is not in email-domains: {', '.join(domains)}"]


def _fault(key: str, text: str, origins: Mapping[str, str]) -> str:
    if not text:
        return f"no {key}: {origins[key]} has no value: tag the user, or set another key as user.{key}"
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
    if len(text) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if not is_address(text, international=True):
        return "is not an e-mail address: correct it there"
    return _mixed_scripts(text)


def _mixed_scripts(text: str) -> str:
    """The fault of a text with letters of several scripts, which may look alike; empty for other texts."""
    scripts = sorted({_script(character) for character in text} - {""})
    if len(scripts) < 2:
        return ""
    return f"mixes the scripts {', '.join(scripts)}, whose letters look alike: write it in one"


def _script(character: str) -> str:
    """The script of a letter, mark or digit, by its Unicode name; empty for other characters."""
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
    """A username or e-mail of several people. ``users``: in words. ``on_file``: the one person in the people file."""

    users: tuple[str, ...]
    on_file: PersonKey | None


def _clashes(candidates: Sequence[Candidate], part: int) -> dict[str, _Clash]:
    """Username (part 0) or e-mail (part 1) of more than one person -> the clash."""
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


def _distinct(candidate: Candidate, usernames: dict[str, _Clash], emails: dict[str, _Clash]) -> Candidate:
    if candidate.person is None:
        return candidate
    username, email = candidate.person.key
    problems = [
        f"the {title} {text!r} is ambiguous: IAM users {shown(clashes[text].users)} have it with different {others}: "
        "correct them"
        for title, text, clashes, others in (
            ("username", username, usernames, "e-mails"),
            ("e-mail", email, emails, "usernames"),
        )
        if text in clashes and clashes[text].on_file != candidate.person.key
    ]
    return replace(candidate, person=None, problem="; ".join(problems)) if problems else candidate
