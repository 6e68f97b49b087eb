# SPDX-License-Identifier: Apache-2.0
"""Identifies the people of IAM users by username and e-mail, and refuses ambiguous and invalid ones. Pure.

The people file of ``people-from`` (CSV, JSON, YAML) says who the people of IAM users are, and overrides tags.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center.model import Person, PersonKey
from c7n_iamusers.identity_center.requests.lookalikes import form_fault, glyph_fault, lookalikes, special
from c7n_iamusers.text.addresses import LONGEST, foreign_domain, is_address
from c7n_iamusers.text.documents import NotInFormat
from c7n_iamusers.text.rows import Row, read_rows
from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers.text.wording import folded, quoted, shown

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
    contradicting tags, in words. ``user_id``: of the person in the identity store, where the file has it.
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
        found = username if username == email else f"{username} (username) and {email} (e-mail)"
        return f"{found}{AGAINST}{' and '.join(self.against)}" if self.against else found


@dataclass(frozen=True, slots=True)
class Candidate:
    """An IAM user and its person, or the ``problem`` why it has none.

    ``rests_on``, ``on_file``, ``user_id``: see ``Identity``.
    """

    subject: Subject
    person: Person | None
    problem: str = ""
    rests_on: str = ""
    on_file: bool = False
    user_id: str = ""


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

    Users of several accounts with the same username and e-mail are one person. Several such users of one account could
    be a team's, so those that the people file does not name are refused. Users with only one of the two in common are
    all refused, as one of them could get the access of another person; so are users whose texts differ in case, form or
    look only (``lookalikes``). If the people file names exactly one of these people, only the others are refused.
    """
    usernames, emails = _clashes(candidates, 0), _clashes(candidates, 1)
    alike = [_alike(candidates, part) for part in (0, 1)]
    shared = _shared(candidates)
    return [_distinct(candidate, usernames, emails, alike, shared) for candidate in candidates]


def hints(candidates: Iterable[Candidate]) -> tuple[str, ...]:
    """People who may be one human, in lines: their addresses differ only in what follows a plus sign."""
    known = [each for each in candidates if each.person]
    addressed = {_mailbox(each.person.key[1]) for each in known if each.person and "+" in each.person.email}
    people: defaultdict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for each in known if addressed else ():
        email = each.person.key[1] if each.person else ""
        if (mailbox := _mailbox(email)) in addressed:
            people[mailbox][email].add(_user(each))
    return tuple(
        f"{' and '.join(sorted(found))} may be one human's: they differ only after the +, and get access as "
        f"{len(found)} people (IAM users {shown(sorted(set().union(*found.values())))}). If they are one, give one "
        "address for all of them in the people file"
        for _, found in sorted(people.items())
        if len(found) > 1
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
            key = candidate.person.key
            people[key[part]].add(key)
            if candidate.on_file:
                on_file[key[part]].add(key)
            users[key[part]].append(_user(candidate))
    return {
        text: _Clash(tuple(sorted(set(users[text]))), _only(on_file[text]))
        for text, found in people.items()
        if len(found) > 1
    }


def _only(keys: set[PersonKey]) -> PersonKey | None:
    return next(iter(keys)) if len(keys) == 1 else None


def _user(candidate: Candidate) -> str:
    return f"{candidate.subject.name} of account {candidate.subject.account_id}"


def _alike(candidates: Sequence[Candidate], part: int) -> dict[str, _Clash]:
    """Username (part 0) or e-mail (part 1) that looks like another -> the clash.

    ``users``: those of the other texts.
    """
    others = lookalikes(each.person.key[part] for each in candidates if each.person)
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
            tuple(sorted(set().union(*(users[each] for each in same)))),
            _only(on_file[text].union(*(on_file[each] for each in same))),
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
    """Why a person that several IAM users of an account name is refused. ``names``: of these users."""
    return (
        f"the e-mail {quoted(person.email)} is that of several IAM users of account {account_id} "
        f"({shown(sorted(names))}), and one person would get the access of all of them: if they are one person's, give "
        f"each of them a row with {', '.join(_REQUIRED)} in the people file (people-from, or --people-from); if "
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


#: The columns that identify the IAM user, and the person's user in Identity Center; the others are those of ``user:``.
ACCOUNT, USER, USER_ID = "account", "user", "user-id"
COLUMNS = (ACCOUNT, USER, *KEYS, USER_ID)
_REQUIRED = (ACCOUNT, USER, "email")


@dataclass(frozen=True)
class PersonRow:
    """``texts``: column -> text. ``line``: where the row begins. ``problem``: why it can't be read."""

    line: int
    texts: Mapping[str, str]
    problem: str = ""


@dataclass(frozen=True)
class _Fault:
    line: int
    account_id: str
    user: str
    text: str

    def concerns(self, account_id: str, user: str) -> bool:
        """Whether the row may be meant for that user. An unreadable account or user may be any."""
        return self.account_id in ("", account_id) and folded(self.user) in ("", folded(user))


@dataclass(frozen=True)
class PeopleMap:
    """The rows of the file ``name``: (account id, folded user name) -> row."""

    name: str
    rows: Mapping[tuple[str, str], PersonRow]
    faults: tuple[_Fault, ...] = ()

    def find(self, account_id: str, user: str) -> PersonRow | None:
        """The row of a user; None if it has none. Raises InvalidPolicyData if a faulty row may be meant for it."""
        if row := self.rows.get((account_id, folded(user))):
            return row
        concerning = [fault for fault in self.faults if fault.concerns(account_id, user)]
        if concerning:
            lines = "; ".join(f"line {fault.line}: {fault.text}" for fault in concerning[:3])
            raise InvalidPolicyData(f"{self.name}: {lines}: correct it there")
        return None

    def fault_lines(self) -> list[str]:
        """The faulty rows, in lines for a log."""
        return [f"{self.name}, line {fault.line}: {fault.text}" for fault in self.faults]


def people_map(name: str, rows: Iterable[PersonRow]) -> PeopleMap:
    """The map of ``rows``. Names of IAM users are unique ignoring case."""
    good: defaultdict[tuple[str, str], list[PersonRow]] = defaultdict(list)
    faults: list[_Fault] = []
    for row in rows:
        account_id, user = row.texts.get(ACCOUNT, ""), row.texts.get(USER, "")
        known = account_id if is_account_id(account_id) else ""
        if fault := row.problem or _row_fault(row.texts):
            faults.append(_Fault(row.line, known, user, fault))
        else:
            good[known, folded(user)].append(row)
    for (account_id, user), same in good.items():
        if len(same) > 1:
            lines = ", ".join(str(row.line) for row in same)
            text = f"user {user} of account {account_id} has several rows (lines {lines})"
            faults.append(_Fault(same[0].line, account_id, user, text))
    return PeopleMap(name, {key: same[0] for key, same in good.items() if len(same) == 1}, tuple(faults))


def _row_fault(texts: Mapping[str, str]) -> str:
    if unknown := sorted(set(texts) - set(COLUMNS)):
        return f"has unknown columns {', '.join(map(repr, unknown))}: known are {', '.join(COLUMNS)}"
    if missing := [column for column in _REQUIRED if not texts.get(column)]:
        return f"has no {' and no '.join(missing)}"
    if not is_account_id(texts[ACCOUNT]):
        return f"account {quoted(texts[ACCOUNT])} must be 12 digits (spreadsheets drop leading zeros)"
    return ""


FORMS = {"csv": "csv", "json": "json", "yaml": "yaml", "yml": "yaml"}


def parse_people(name: str, data: str | bytes) -> PeopleMap:
    """The people of the file ``name`` with content ``data``. The name's extension is the format.

    Raises InvalidPolicyData, with the line, if the content does not have that format.
    """
    form = FORMS.get(name.rpartition(".")[2].lower())
    if form is None:
        raise InvalidPolicyData(f"people-from: {name} must end in one of .{', .'.join(FORMS)}")
    if not data.strip():
        raise InvalidPolicyData(f"people-from: {name} is empty: give rows of {', '.join(COLUMNS)}")
    try:
        found = list(read_rows(data, form, _header_fault))
    except NotInFormat as error:
        raise InvalidPolicyData(f"people-from: {name}, {error}") from error
    return people_map(name, map(_row, found))


def _header_fault(names: list[str]) -> str:
    columns = [_column(name) for name in names]
    missing = [column for column in ("account", "user", "email") if column not in columns]
    unknown = [column for column in columns if column not in COLUMNS]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    for faulty, problem in ((missing, "lacks"), (unknown, "has unknown"), (twice, "has twice")):
        if faulty:
            return f"{problem} {', '.join(map(repr, faulty))}; known: {', '.join(COLUMNS)}"
    return ""


def _row(row: Row) -> PersonRow:
    if row.problem or not isinstance(row.value, Mapping):
        return PersonRow(row.line, {}, row.problem or "is not an object")
    return PersonRow(row.line, {_column(key): _text(part) for key, part in row.value.items()})


def _column(name: Any) -> str:
    return str(name).lower().replace("_", "-")


def _text(value: Any) -> str:
    # A number may have lost leading zeros, so it is not an account id.
    return value.strip() if isinstance(value, str) else ""
