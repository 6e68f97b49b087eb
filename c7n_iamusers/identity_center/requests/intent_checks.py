# SPDX-License-Identifier: Apache-2.0
"""Checks of intents: their people against the people file and the account, their settings against the policy. Pure.

Whoever can write a file of intents can name any person in it, request any permission set and accept any proof. So
whoever applies intents decides by its own data: its people file, the account's users read again, and the policies. Only
a derived permission set that is proven to allow no more than the IAM user needs no policy.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from c7n_iamusers.derivation.acceptances import EVERY
from c7n_iamusers.exceptions import IdentityCenterError, InvalidPolicyData
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.identity_center.requests.intents import INTENTS_FILE, Intents, UserIntent, intents_data
from c7n_iamusers.identity_center.requests.people import (
    Candidate,
    Identity,
    from_email,
    identify,
    several_users,
)
from c7n_iamusers.identity_center.requests.people_file import KEYS, USER_ID, PeopleMap, PersonRow
from c7n_iamusers.text.wording import folded, shown, visible

_TAG, _EMAIL = "tag:", " (e-mail)"
_EMAIL_TAGS = ("Email",)
_AGAIN = "run the policies again"


@dataclass(frozen=True)
class PeopleAuthority:
    """Decides who the people of IAM users are.

    ``people``: the file of ``people-from``; None if there is none. ``email_tags``: keys of the tags with a user's own
    e-mail; empty for ``Email``. ``username_tags``: keys of tags that may have its username; empty for any.
    ``username_is_name``: whether the policy takes the username from what is no tag, such as the user's name.
    ``domains``: the organization's e-mail domains; empty for any. ``trusted``: intents count if neither the file nor
    the account says anything. ``only_file``: only users in the file have a person. ``other_tags``: keys of tags that
    name a user's person in other policies.
    """

    people: PeopleMap | None = None
    email_tags: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    trusted: bool = False
    only_file: bool = False
    username_tags: tuple[str, ...] = ()
    username_is_name: bool = False
    other_tags: frozenset[str] = frozenset()

    @property
    def naming_tags(self) -> frozenset[str]:
        """The keys of the tags that name a user's person, folded."""
        keys = (*(self.email_tags or _EMAIL_TAGS), *self.username_tags, *self.other_tags)
        return frozenset(map(folded, keys))

    def names_in(self, detail: Mapping[str, Any]) -> frozenset[str]:
        """The folded usernames and e-mails of the person of a user, even if no policy has selected it.

        ``detail``: botocore's ``UserDetail``. A row of the file counts instead of tags; an unreadable one does not.
        """
        name, account_id = str(detail["UserName"]), str(detail["Arn"]).split(":")[4]
        row = None
        if self.people:
            with suppress(InvalidPolicyData):
                row = self.people.find(account_id, name)
        if row:
            return frozenset(folded(text) for key in ("username", "email") if (text := row.texts.get(key)))
        if self.only_file:
            return frozenset()
        tags = (tag for tag in detail.get("Tags") or () if folded(str(tag["Key"])) in self.naming_tags)
        return frozenset({folded(name), *(folded(str(tag["Value"]).strip()) for tag in tags)})

    def completed(self, policy: PeopleAuthority) -> PeopleAuthority:
        """This authority, completed from ``policy``."""
        return replace(
            self,
            people=self.people or policy.people,
            email_tags=self.email_tags or policy.email_tags,
            domains=self.domains or policy.domains,
            only_file=self.only_file or policy.only_file,
            username_tags=self.username_tags or policy.username_tags,
            username_is_name=self.username_is_name or policy.username_is_name,
        )

    def checked(self, intents: Intents) -> Intents:
        """``intents`` with the people of the file, and without people of other e-mail domains.

        In the result ``on_file`` means that this authority's file names the person.
        """
        return replace(intents, users=tuple(self._checked(user) for user in intents.users))

    def refusal_reason(self, user: UserIntent, detail: Mapping[str, Any]) -> str:
        """Why the user's person is not accepted, in words; empty if it is.

        ``detail``: botocore's ``UserDetail``, as read again.
        """
        person = user.person
        if person is None or user.on_file:
            return ""
        if self._account_confirms(detail, person.email):
            return self._username_refusal(person, detail)
        tags = f"no tag {shown(self.email_tags or _EMAIL_TAGS)} with {person.email}"
        if _rests_on_tags(user):
            return f"has {tags}: {_AGAIN}, or, if another tag has the e-mail, give --email-tag KEY"
        if self.trusted:
            return ""
        where = f"{self.people.name} has no row for it, it" if self.people else "it"
        return (
            f"is {person.email} only by the intents (found in {user.rests_on}): {where} has {tags}, and its name is "
            "different: add it to a file that you give as --people-from, tag it, or, if you trust everyone who can "
            "write intents, give --trust-intents"
        )

    def _username_refusal(self, person: Person, detail: Mapping[str, Any]) -> str:
        """Why the username is not accepted. With another person's username, CloudTrail would name that person."""
        keys = {folded(key) for key in self.username_tags}
        tags = [tag for tag in detail.get("Tags") or () if not keys or folded(str(tag["Key"])) in keys]
        name = str(detail["UserName"])
        said = [str(tag["Value"]).strip() for tag in tags]
        if not keys:  # unless the policy names the tag, an address is another person's
            said = [each for each in (*said, name) if "@" not in each]
        known = (person.email, *said, *([name] if self.username_is_name else []))
        if self.trusted or folded(person.username) in map(folded, known):
            return ""
        where = f"no tag {shown(self.username_tags)}" if keys else "neither its name nor a tag"
        return (
            f"has the username {person.username} only by the intents: it is not its e-mail, and {where} of it has it: "
            f"{_AGAIN}, add it to a file that you give as --people-from, or, if you trust "
            "everyone who can write intents, give --trust-intents"
        )

    def _checked(self, user: UserIntent) -> UserIntent:
        if user.person is None:
            return user
        believed = self.trusted and self.people is None and user.on_file
        identity = Identity(_texts(user.person), dict.fromkeys(KEYS, user.rests_on), on_file=believed)
        identity = replace(identity, user_id=user.user_id if believed else "")
        subject = user.subject
        if self.people:
            try:
                row = self.people.find(subject.account_id, subject.name)
            except InvalidPolicyData as error:
                return replace(user, person=None, problem=str(error))
            if row is None and self.only_file:
                problem = f"{self.people.name} has no row for it, and the policy's people-from says only: true: add one"
                return replace(user, person=None, problem=problem)
            identity = _of_row(user, row, self.people.name) if row else identity
        (found,) = identify([(subject, identity)], subject.account_id, self.domains)
        checked = replace(
            user,
            person=found.person,
            problem=found.problem,
            rests_on=found.rests_on if found.on_file else user.rests_on,
            on_file=found.on_file,
            user_id=found.user_id,
        )
        return user if checked == user else checked

    def _account_confirms(self, detail: Mapping[str, Any], email: str) -> bool:
        """Whether the account confirms the e-mail, by a tag for e-mails or by the user's name."""
        keys = {folded(key) for key in self.email_tags or _EMAIL_TAGS}
        tags = detail.get("Tags") or ()
        known = {folded(str(tag["Value"]).strip()) for tag in tags if folded(str(tag["Key"])) in keys}
        return folded(email) in {*known, folded(str(detail["UserName"]))}


#: An IAM user and its person.
User = TypeVar("User", UserIntent, Candidate)


def with_own_people(
    users: Iterable[User],
    details: Iterable[Mapping[str, Any]],
    names_in: Callable[[Mapping[str, Any]], Collection[str]],
) -> tuple[User, ...]:
    """``users`` of one account. One is refused if another user names its person and the people file does not.

    ``details``: botocore's ``UserDetail`` of all users of the account, even if no policy has selected them: one person
    would get the access of both. ``names_in``: the usernames and e-mails of a user's person, folded.
    """
    listed = list(users)
    asked = {text for each in listed if each.person and not each.on_file for text in each.person.key}
    named: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for detail in details if asked else ():
        for text in asked.intersection(names_in(detail)):
            named[text][str(detail["UserId"])] = str(detail["UserName"])
    return tuple(_with_own_person(each, named) for each in listed)


def _with_own_person(user: User, named: Mapping[str, Mapping[str, str]]) -> User:
    """``named``: username or e-mail -> unique id and name of the users that have it."""
    if user.person is None or user.on_file:
        return user
    users: dict[str, str] = {}
    for text in user.person.key:
        users.update(named.get(text, {}))
    if not users.keys() - {user.subject.unique_id}:
        return user
    names = {*users.values(), user.subject.name}
    return replace(user, person=None, problem=several_users(user.person, user.subject.account_id, names))


def _of_row(user: UserIntent, row: PersonRow, name: str) -> Identity:
    """The person of a row. Missing names come from the intents, if these name the same person."""
    claimed, origin, user_id = user.person, f"{name}, line {row.line}", row.texts.get(USER_ID, "")
    given = {key: text for key in KEYS if (text := row.texts.get(key))}
    texts = {**from_email(given["email"]), **given}
    if claimed and claimed.key == (folded(texts["username"]), folded(texts["email"])):
        # It includes the tags that contradict the file, as found by the policy's run.
        origins = dict.fromkeys(KEYS, user.rests_on if user.on_file else origin)
        return Identity({**_texts(claimed), **given}, origins, on_file=True, user_id=user_id)
    against = (f"the intents, which give {claimed.username} <{claimed.email}>",) if claimed else ()
    return Identity(texts, dict.fromkeys(KEYS, origin), on_file=True, against=against, user_id=user_id)


def _texts(person: Person) -> dict[str, str]:
    return {key: getattr(person, key.replace("-", "_")) for key in KEYS}


def _rests_on_tags(user: UserIntent) -> bool:
    """Whether the e-mail was found only in tags, by ``rests_on``."""
    found = user.rests_on
    if found.endswith(_EMAIL):
        found = found.rpartition(" and ")[2].removesuffix(_EMAIL)
    return all(key.startswith(_TAG) for key in found.split(" or "))


_SETTINGS = ("identity-source", "shared-group", "group", "permission-set", "derive", "accept")
_LONGEST = 400


@dataclass(frozen=True)
class PolicySettings:
    """The settings of a policy in an account: ``intents`` without users, and its ``authority`` on people.

    ``source``: the file with the policy.
    """

    source: str
    intents: Intents
    authority: PeopleAuthority


def check_settings(found: Intents, settings: PolicySettings) -> None:
    """Raises IdentityCenterError, with both values, if a setting of ``found`` differs from its policy's."""
    actual, expected = _settings(found), _settings(settings.intents)
    if faults := list(_differences(actual, expected)):
        raise IdentityCenterError(
            f"{file_of(found)} (account {found.account_id}) differs from policy {found.policy} of {settings.source}: "
            f"{'; '.join(faults)}. Nothing was touched: run the policies again if they were changed since; otherwise "
            "find out who wrote the file, and remove it"
        )


def unchecked_settings(intents: Iterable[Intents]) -> tuple[str, ...]:
    """The settings of ``intents`` that can allow more than IAM users may do, in lines."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for intent in intents:
        for claim in _claims(intent):
            places[claim].append(file_of(intent))
    return tuple(
        visible(f"  ! claimed        {claim}: by {shown(sorted(found))}, not checked against a policy")
        for claim, found in sorted(places.items())
    )


def file_of(intents: Intents) -> str:
    """The path of the intents file, relative to the output."""
    return f"{intents.place}/{INTENTS_FILE}" if intents.place != "." else INTENTS_FILE


def _claims(intents: Intents) -> Iterator[str]:
    if intents.permission_set:
        shared = " through shared groups" if intents.shared_group else ""
        yield f"permission set {intents.permission_set.name}{shared}"
    derive = intents.derive or {}
    for row in (*derive.get("accept", ()), *intents.accept):
        who = "every user" if row["user"] == EVERY else f"user {row['user']}"
        where = "every account" if row["account"] == EVERY else f"account {row['account']}"
        yield f"accept {row['verdict']} for {who} of {where}"
    if derive.get("identity-center-mfa"):
        yield "identity-center-mfa: true"


def _settings(intents: Intents) -> dict[str, Any]:
    data = intents_data(replace(intents, users=(), source=PolicySource()))
    return dict(_flat(json.loads(json.dumps({key: data[key] for key in _SETTINGS}, default=str)), ""))


def _flat(data: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        name = f"{prefix}{key}"
        yield (name, {} if isinstance(value, dict) else value)
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")


def _differences(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*actual, *expected}):
        if (name in actual, actual.get(name)) != (name in expected, expected.get(name)):
            yield f"{name} is {_as_json(actual, name)}, and {_as_json(expected, name)} in the policy"


def _as_json(settings: Mapping[str, Any], name: str) -> str:
    """The setting as JSON, which has no control characters."""
    text = json.dumps(settings[name]) if name in settings else "not given"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
