# SPDX-License-Identifier: Apache-2.0
"""Where a policy says to find who a user's person is: c7n keys over the resource, and a file that outranks tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from c7n.filters.core import ValueFilter
from c7n.utils import jmespath_compile
from jmespath.exceptions import JMESPathError

from c7n_iamusers.decisions.people import KEYS, Candidate, Identity, from_email, identify
from c7n_iamusers.decisions.people_file import parse_people
from c7n_iamusers.decisions.people_map import PeopleMap, Row
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.model.annotation import subject_of
from c7n_iamusers.model.identity_center import folded
from c7n_iamusers.model.intents import UserIntent

#: What CreateUser needs and a policy may leave out.
_DEFAULT_KEY = "UserName"
_TAG = "tag:"
#: What tells people apart: where a row says it, what tags say otherwise is reported and does not count.
_TELLING = ("username", "email")


class IdentitySettings:
    """``data``: the plugin's part of the policy, with ``user`` and ``people-from``; ``where`` names it in errors."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data, self._where = data, where
        self._values = ValueFilter({})

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """What of a person -> the c7n keys to try for it, in order."""
        given = {"given-name": _DEFAULT_KEY, "family-name": _DEFAULT_KEY, "display-name": _DEFAULT_KEY}
        keys = {**given, **self._data.get("user", {})}
        return {name: _listed(keys.get(name, ())) for name in KEYS}

    @property
    def only_file(self) -> bool:
        """Whether nobody counts but whom the file names."""
        found = self._data.get("people-from", "")
        return not isinstance(found, str) and bool(found.get("only", False))

    @property
    def _path(self) -> str:
        found = self._data.get("people-from", "")
        return str(found if isinstance(found, str) else found["file"])

    def check(self, in_lambda: bool) -> None:
        """Raises InvalidPolicyData for what can be told before variables are expanded."""
        if "user" not in self._data and not self.only_file:
            raise InvalidPolicyData(
                f"{self._where}: give user, or people-from with only: true, to say who the users' people are"
            )
        for name, keys in self.keys.items():
            for key in keys:
                self._check_key(name, key)
        if self._path and in_lambda:
            raise InvalidPolicyData(f"{self._where}: people-from does not travel into AWS Lambda: use tags")
        if "{" not in self._path:
            self.people()

    def people(self) -> PeopleMap | None:
        """The people of the file; None where there is none. Raises InvalidPolicyData."""
        if "people-from" not in self._data:
            return None
        path = Path(self._path)
        try:
            data = path.read_bytes()
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

    def _identity(self, resource: Mapping[str, Any], people: PeopleMap | None) -> Identity:
        texts = {name: self._first(keys, resource) for name, keys in self.keys.items()}
        origins = {name: " or ".join(keys) for name, keys in self.keys.items()}
        found = Identity(texts, origins)
        if people is None:
            return found
        subject = subject_of(resource)
        try:
            row = people.find(subject.account_id, subject.name)
        except InvalidPolicyData as error:
            return replace(found, problem=str(error))
        if row:
            return self._mapped(resource, texts, f"{people.name}, line {row.line}", row)
        missing = (
            f"{people.name} has no row for it, and people-from says only: true: add one, or leave it out"
        )
        return replace(found, problem=missing) if self.only_file else found

    def _mapped(
        self, resource: Mapping[str, Any], found: Mapping[str, str], place: str, row: Row
    ) -> Identity:
        """The person of a row: what is missing in it comes from its e-mail, and names from the policy's own keys."""
        named = () if self.only_file else tuple(self._data.get("user", {}))
        keyed = {name: found[name] for name in named if name not in _TELLING and found[name]}
        given = {name: text for name in KEYS if (text := row.texts.get(name))}
        texts = {**from_email(given["email"]), **keyed, **given}
        against = []
        for name in _TELLING:
            tags = tuple(key for key in self.keys[name] if key.startswith(_TAG))
            tagged = self._first(tags, resource)
            if tagged and folded(tagged) != folded(texts[name]):
                against.append(f"{' or '.join(tags)}, which gives {name} {tagged!r}")
        return Identity(texts, dict.fromkeys(KEYS, place), on_file=True, against=tuple(against))

    def _first(self, keys: tuple[str, ...], resource: Mapping[str, Any]) -> str:
        found = (self._values.get_resource_value(key, resource) for key in keys)
        return next((text.strip() for text in found if isinstance(text, str) and text.strip()), "")

    def _check_key(self, name: str, key: str) -> None:
        if key.startswith(_TAG) and key != _TAG:
            return
        try:
            jmespath_compile(key)
        except JMESPathError as error:
            raise InvalidPolicyData(
                f"{self._where}: user.{name}: {key!r} is neither tag:Key nor a JMESPath: {error}"
            ) from error


def user_intents(
    candidates: Iterable[Candidate], details: Mapping[str, Mapping[str, Any]]
) -> tuple[UserIntent, ...]:
    """The intents of ``candidates``. ``details``: unique id -> ``UserDetail``, where access is derived from it."""
    return tuple(
        UserIntent(
            each.subject,
            each.person,
            each.rests_on,
            each.problem,
            details.get(each.subject.unique_id),
            each.on_file,
        )
        for each in candidates
    )


def _listed(keys: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (keys,) if isinstance(keys, str) else tuple(keys)
