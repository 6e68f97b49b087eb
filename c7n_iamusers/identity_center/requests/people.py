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
from c7n_iamusers.identity_center.requests.lookalikes import form_fault, glyph_fault, lookalikes, special
from c7n_iamusers.identity_center.requests.people_file import KEYS, REQUIRED
from c7n_iamusers.text.addresses import LONGEST, foreign_domain, is_address
from c7n_iamusers.text.wording import quoted, shown

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
    """A person's texts. ``texts``: ``KEYS`` -> text, or empty. ``origins``: ``KEYS`` -> source, in words.

    ``problem``: why they don't count. ``on_file``: they come from the people file, so tags don't count. ``against``:
    contradicting tags, in words. ``user_id``: the person's in the identity store, if the file has it.
    """

    texts: Mapping[str, str]
    origins: Mapping[str, str]
    problem: str = ""
    on_file: bool = False
    against: tuple[str, ...] = ()
    user_id: str = ""

    @property
    def rests_on(self) -> str:
        """The sources of username and e-mail, and contradicting tags."""
        username, email = self.origins["username"], self.origins["email"]
        sources = username if username == email else f"{username} (username) and {email} (e-mail)"
        return f"{sources}{AGAINST}{' and '.join(self.against)}" if self.against else sources


@dataclass(frozen=True, slots=True)
class Candidate:
    """An IAM user and its person, or, as ``problem``, why it has none.

    ``rests_on``, ``on_file``, ``user_id``: see ``Identity``.
    """

    subject: Subject
    person: Person | None
    problem: str = ""
    rests_on: str = ""
    on_file: bool = False
    user_id: str = ""


def from_email(email: str) -> dict[str, str]:
    """A person's texts from the e-mail alone: it is the username, and ``jane.doe@`` is Jane Doe."""
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

    Users of several accounts with the same username and e-mail are one person. Several such users of one account could
    be a team's, so those that the people file does not name are refused. Users that share only one of the two are all
    refused, because one could get another person's access. So are users whose texts differ only in case, form or look
    (``lookalikes``). If the people file names exactly one of these people, only the others are refused.
    """
    usernames, emails = _clashes(candidates, 0), _clashes(candidates, 1)
    alike = [_alike(candidates, part) for part in (0, 1)]
    shared = _shared(candidates)
    return [_distinct(candidate, usernames, emails, alike, shared) for candidate in candidates]


def hints(candidates: Iterable[Candidate]) -> tuple[str, ...]:
    """People who may be one human, in lines: their addresses differ only in what follows a plus sign."""
    named = [(candidate, candidate.person) for candidate in candidates if candidate.person]
    addressed = {_mailbox(person.key[1]) for _, person in named if "+" in person.email}
    people: defaultdict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for candidate, person in named if addressed else ():
        email = person.key[1]
        if (mailbox := _mailbox(email)) in addressed:
            people[mailbox][email].add(_user(candidate))
    return tuple(
        f"{' and '.join(sorted(users))} may be one human's: they differ only after the +, and get access as "
        f"{len(users)} people (IAM users {shown(sorted(set().union(*users.values())))}). If they are one, give one "
        "address for all of them in the people file"
        for _, users in sorted(people.items())
        if len(users) > 1
    )


def _mailbox(email: str) -> str:
    """The address without what follows a plus sign in its local part."""
    local, _, domain = email.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


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
    return Candidate(
        subject, person, rests_on=identity.rests_on, on_file=identity.on_file, user_id=identity.user_id
    )


def _domain_faults(email: str, domains: Sequence[str]) -> list[str]:
    domain = foreign_domain(email, domains)
    if not domain:
        return []
    return [
        f"e-mail {quoted(email)} has the domain {domain}, which is not in email-domains: {', '.join(domains)}"
    ]


def _fault(key: str, text: str, origins: Mapping[str, str]) -> str:
    if not text:
        return f"no {key}: {origins[key]} has no value: tag the user, or set another key as user.{key}"
    fault = _CHECKS[key](text)
    return f"{key} {quoted(text)} (from {origins[key]}) {fault}" if fault else ""


def _username_fault(text: str) -> str:
    if text.casefold() in _RESERVED:
        return "is reserved by Identity Center: give the user another"
    if len(text) > _USERNAME_LIMIT:
        return f"is longer than {_USERNAME_LIMIT} characters"
    if not all(map(_visible, text)):
        return "must have no spaces and no control characters"
    return glyph_fault(text) or _mixed_scripts(text) or form_fault(text)


def _email_fault(text: str) -> str:
    if len(text) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if not is_address(text, international=True):
        return "is not an e-mail address: correct it there"
    return glyph_fault(text) or _mixed_scripts(text) or form_fault(text)


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
    """A username or e-mail of several people. ``users``: in words. ``on_file``: the only one in the people file."""

    users: tuple[str, ...]
    on_file: PersonKey | None


def _clashes(candidates: Sequence[Candidate], part: int) -> dict[str, _Clash]:
    """Username (part 0) or e-mail (part 1) of more than one person -> the clash."""
    people: defaultdict[str, set[PersonKey]] = defaultdict(set)
    on_file: defaultdict[str, set[PersonKey]] = defaultdict(set)
    users: defaultdict[str, list[str]] = defaultdict(list)
    for candidate in candidates:
        if candidate.person:
            key = candidate.person.key
            people[key[part]].add(key)
            if candidate.on_file:
                on_file[key[part]].add(key)
            users[key[part]].append(_user(candidate))
    return {
        text: _Clash(tuple(sorted(set(users[text]))), _only(on_file[text]))
        for text, keys in people.items()
        if len(keys) > 1
    }


def _only(keys: set[PersonKey]) -> PersonKey | None:
    return next(iter(keys)) if len(keys) == 1 else None


def _user(candidate: Candidate) -> str:
    return f"{candidate.subject.name} of account {candidate.subject.account_id}"


def _alike(candidates: Sequence[Candidate], part: int) -> dict[str, _Clash]:
    """Username (part 0) or e-mail (part 1) that looks like another -> the clash.

    ``users``: those of the other texts.
    """
    others = lookalikes(candidate.person.key[part] for candidate in candidates if candidate.person)
    on_file: defaultdict[str, set[PersonKey]] = defaultdict(set)
    users: defaultdict[str, set[str]] = defaultdict(set)
    for candidate in candidates if others else ():
        if candidate.person and candidate.person.key[part] in others:
            text = candidate.person.key[part]
            users[text].add(f"{_user(candidate)} ({text})")
            if candidate.on_file:
                on_file[text].add(candidate.person.key)
    return {
        text: _Clash(
            tuple(sorted(set().union(*(users[other] for other in same)))),
            _only(on_file[text].union(*(on_file[other] for other in same))),
        )
        for text, same in others.items()
    }


def _shared(candidates: Sequence[Candidate]) -> dict[tuple[str, PersonKey], tuple[str, ...]]:
    """Account id and person of several IAM users there -> these users."""
    first: dict[tuple[str, PersonKey], str] = {}
    users: defaultdict[tuple[str, PersonKey], set[str]] = defaultdict(set)
    for candidate in candidates:
        if candidate.person:
            place, name = (candidate.subject.account_id, candidate.person.key), candidate.subject.name
            if first.setdefault(place, name) != name:
                users[place].update((first[place], name))
    return {place: tuple(sorted(names)) for place, names in users.items()}


def several_users(person: Person, account_id: str, names: Iterable[str]) -> str:
    """Why a person that several IAM users of an account name is refused. ``names``: these users'."""
    return (
        f"the e-mail {quoted(person.email)} is that of several IAM users of account {account_id} "
        f"({shown(sorted(names))}), and one person would get the access of all of them: if they are one person's, give "
        f"each of them a row with {', '.join(REQUIRED)} in the people file (people-from, or --people-from); if "
        "not, give each the e-mail of its own person"
    )


def _written(text: str) -> str:
    return f"; it has {special(text)}" if not text.isascii() else ""


def _distinct(
    candidate: Candidate,
    usernames: dict[str, _Clash],
    emails: dict[str, _Clash],
    alike: Sequence[dict[str, _Clash]],
    shared: Mapping[tuple[str, PersonKey], tuple[str, ...]],
) -> Candidate:
    if candidate.person is None:
        return candidate
    key = username, email = candidate.person.key
    account_id = candidate.subject.account_id
    problems = [
        f"the {title} {quoted(text)} is ambiguous: IAM users {shown(clashes[text].users)} have it with "
        f"different {others}: correct them, or say in the people file whose they are"
        for title, text, clashes, others in (
            ("username", username, usernames, "e-mails"),
            ("e-mail", email, emails, "usernames"),
        )
        if text in clashes and clashes[text].on_file != key
    ]
    problems += [
        f"the {title} {quoted(text)} looks like that of IAM users {shown(clashes[text].users)}{_written(text)}, and "
        "could give one of them the access of another: correct it, or say in the people file who this user is"
        for title, text, clashes in zip(("username", "e-mail"), key, alike, strict=True)
        if text in clashes and clashes[text].on_file != key
    ]
    names = shared.get((account_id, key), ())
    if names and not candidate.on_file:
        problems.append(several_users(candidate.person, account_id, names))
    return replace(candidate, person=None, problem="; ".join(problems)) if problems else candidate
