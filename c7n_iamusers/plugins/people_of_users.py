# SPDX-License-Identifier: Apache-2.0
"""The options on people (``user``, ``people-from``, ``email-domains``): their JSON Schema, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from c7n.filters.core import ValueFilter
from c7n.utils import jmespath_compile
from jmespath.exceptions import JMESPathError

from c7n_iamusers.evidence.working_credentials import WorkingCredentials
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.execution.given import read_given
from c7n_iamusers.identity_center.requests.intent_checks import PeopleAuthority, with_own_people
from c7n_iamusers.identity_center.requests.intents import UserIntent
from c7n_iamusers.identity_center.requests.people import Candidate, Identity, from_email, identify
from c7n_iamusers.identity_center.requests.people_file import (
    KEYS,
    USER_ID,
    PeopleMap,
    PersonRow,
    parse_people,
)
from c7n_iamusers.plugins.policy_checks import is_variable
from c7n_iamusers.plugins.resources import subject_of
from c7n_iamusers.text.wording import folded

TEXT = {"type": "string", "minLength": 1}
_C7N_KEYS = {"oneOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}

USER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["username", "email"],
    "properties": dict.fromkeys(KEYS, _C7N_KEYS),
}
PEOPLE_FROM = {
    "oneOf": [
        TEXT,
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["file"],
            "properties": {"file": TEXT, "only": {"type": "boolean"}},
        },
    ]
}
EMAIL_DOMAINS = {"type": "array", "items": {"type": "string", "pattern": "^[^@\\s]+$"}, "minItems": 1}

#: For keys that CreateUser needs and a policy may leave out.
_DEFAULT_KEY = "UserName"
_TAG = "tag:"
#: The keys that identify a person. Tags that contradict the people file in these are reported.
_IDENTIFYING = ("username", "email")


class IdentitySettings:
    """The options for people. ``data``: of the plugin, with ``user`` and ``people-from``. ``where``: for errors."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data, self._where = data, where
        self._values = ValueFilter({})

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """Key of a person -> the c7n keys to try for it, in order."""
        given = {"given-name": _DEFAULT_KEY, "family-name": _DEFAULT_KEY, "display-name": _DEFAULT_KEY}
        keys = {**given, **self._data.get("user", {})}
        return {name: _listed(keys.get(name, ())) for name in KEYS}

    @property
    def only_file(self) -> bool:
        """Whether only users in the people file have a person."""
        given = self._data.get("people-from", "")
        return not isinstance(given, str) and bool(given.get("only", False))

    def authority(self) -> PeopleAuthority:
        """The authority on people by these options. Raises InvalidPolicyData, also for undefined variables."""
        undefined = sorted({key for keys in self.keys.values() for key in keys if is_variable(key)})
        if undefined:
            raise InvalidPolicyData(f"{self._where}: user has undefined variables: {', '.join(undefined)}")
        return PeopleAuthority(
            self.people(),
            self._tags("email"),
            tuple(self._data.get("email-domains", ())),
            only_file=self.only_file,
            username_tags=self._tags("username"),
            username_is_name=any(not key.startswith(_TAG) for key in self.keys["username"]),
        )

    @property
    def naming_tags(self) -> tuple[str, ...]:
        """The keys of the tags that may say who a person is; none if only the people file does."""
        return () if self.only_file else tuple(key for name in _IDENTIFYING for key in self._tags(name))

    def _tags(self, name: str) -> tuple[str, ...]:
        return tuple(key.removeprefix(_TAG) for key in self.keys[name] if key.startswith(_TAG))

    @property
    def _path(self) -> str:
        given = self._data.get("people-from", "")
        return str(given if isinstance(given, str) else given["file"])

    def check(self, in_lambda: bool) -> None:
        """Raises InvalidPolicyData for faults that can be found before variables are expanded."""
        if "user" not in self._data and not self.only_file:
            raise InvalidPolicyData(
                f"{self._where}: give user, or people-from with only: true, to say who the users' people are"
            )
        for name, keys in self.keys.items():
            for key in keys:
                self._check_key(name, key)
        if self._path and in_lambda:
            raise InvalidPolicyData(f"{self._where}: people-from is not available in AWS Lambda: use tags")
        if "{" not in self._path:
            self.people()

    def people(self) -> PeopleMap | None:
        """The people of the file; None if there is no file. Raises InvalidPolicyData."""
        if "people-from" not in self._data:
            return None
        path = Path(self._path)
        try:
            data = read_given(path)
        except OSError as error:
            raise InvalidPolicyData(
                f"{self._where}: people-from {path.absolute()} can't be read: {error}; it is looked up from the "
                "directory in which Cloud Custodian runs"
            ) from error
        return parse_people(str(path), data)

    def candidates(
        self, resources: list[dict[str, Any]], account_id: str, people: PeopleMap | None
    ) -> list[Candidate]:
        """A candidate for each of ``resources``, in their order."""
        users = [(subject_of(resource), self._identity(resource, people)) for resource in resources]
        return identify(users, account_id, self._data.get("email-domains", ()))

    def names_in(self, people: PeopleMap | None) -> Callable[[Mapping[str, Any]], frozenset[str]]:
        """Reads the usernames and e-mails of the person of any user of the account, folded.

        It takes botocore's ``UserDetail``.
        """

        def names(detail: Mapping[str, Any]) -> frozenset[str]:
            person = self._identity(detail, people)
            if self.only_file and not person.on_file:
                return frozenset()
            own = () if person.on_file else (str(detail["UserName"]),)
            return frozenset(map(folded, (*own, *(person.texts[name] for name in _IDENTIFYING))))

        return names

    def _identity(self, resource: Mapping[str, Any], people: PeopleMap | None) -> Identity:
        texts = {name: self._first(keys, resource) for name, keys in self.keys.items()}
        origins = {name: " or ".join(keys) for name, keys in self.keys.items()}
        tagged = Identity(texts, origins)
        if people is None:
            return tagged
        subject = subject_of(resource)
        try:
            row = people.find(subject.account_id, subject.name)
        except InvalidPolicyData as error:
            return replace(tagged, problem=str(error))
        if row:
            return self._mapped(resource, texts, f"{people.name}, line {row.line}", row)
        missing = (
            f"{people.name} has no row for it, and people-from says only: true: add one, or leave it out"
        )
        return replace(tagged, problem=missing) if self.only_file else tagged

    def _mapped(
        self, resource: Mapping[str, Any], found: Mapping[str, str], place: str, row: PersonRow
    ) -> Identity:
        """The person of a row. Missing names come from the keys of ``user``, or else from the e-mail."""
        named = () if self.only_file else tuple(self._data.get("user", {}))
        keyed = {name: found[name] for name in named if name not in _IDENTIFYING and found[name]}
        given = {name: text for name in KEYS if (text := row.texts.get(name))}
        texts = {**from_email(given["email"]), **keyed, **given}
        against = []
        for name in _IDENTIFYING:
            tags = tuple(f"{_TAG}{key}" for key in self._tags(name))
            tagged = self._first(tags, resource)
            if tagged and folded(tagged) != folded(texts[name]):
                against.append(f"{' or '.join(tags)}, which gives {name} {tagged!r}")
        origins, user_id = dict.fromkeys(KEYS, place), row.texts.get(USER_ID, "")
        return Identity(texts, origins, on_file=True, against=tuple(against), user_id=user_id)

    def _first(self, keys: tuple[str, ...], resource: Mapping[str, Any]) -> str:
        values = (self._values.get_resource_value(key, resource) for key in keys)
        return next((text.strip() for text in values if isinstance(text, str) and text.strip()), "")

    def _check_key(self, name: str, key: str) -> None:
        if (key.startswith(_TAG) and key != _TAG) or is_variable(key):
            return
        try:
            jmespath_compile(key)
        except JMESPathError as error:
            raise InvalidPolicyData(
                f"{self._where}: user.{name}: {key!r} is neither tag:Key nor a JMESPath: {error}"
            ) from error


def user_intents(
    candidates: Iterable[Candidate],
    details: Mapping[str, Mapping[str, Any]],
    credentials: Mapping[str, WorkingCredentials],
    names_in: Callable[[Mapping[str, Any]], frozenset[str]],
) -> tuple[UserIntent, ...]:
    """The intents of ``candidates``. ``details``, ``credentials``: unique id -> ``UserDetail``, working credentials.

    ``details``: of all users of the account. ``names_in``: see ``with_own_people``.
    """
    users = (
        UserIntent(
            candidate.subject,
            candidate.person,
            candidate.rests_on,
            candidate.problem,
            details.get(candidate.subject.unique_id),
            candidate.on_file,
            credentials.get(candidate.subject.unique_id),
            candidate.user_id,
        )
        for candidate in candidates
    )
    return with_own_people(users, details.values(), names_in)


def _listed(keys: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (keys,) if isinstance(keys, str) else tuple(keys)
