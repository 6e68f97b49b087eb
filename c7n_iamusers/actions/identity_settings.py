# SPDX-License-Identifier: Apache-2.0
"""Where a policy says to find who a user's person is: c7n keys over the resource, and a file that outranks tags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from c7n.filters.core import ValueFilter
from c7n.utils import jmespath_compile
from jmespath.exceptions import JMESPathError

from c7n_iamusers.decisions.people import KEYS, Candidate, Identity, identify
from c7n_iamusers.decisions.people_file import parse_people
from c7n_iamusers.decisions.people_map import PeopleMap, Row
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.model.calls import Subject

#: What CreateUser needs and a policy may leave out.
_DEFAULT_KEY = "UserName"
_TAG = "tag:"
#: What tells people apart: there file and tags must not contradict each other.
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
        keys = {**given, **self._data["user"]}
        return {name: (keys[name],) if isinstance(keys[name], str) else tuple(keys[name]) for name in KEYS}

    def check(self, in_lambda: bool) -> None:
        """Raises InvalidPolicyData for what can be told before variables are expanded."""
        for name, keys in self.keys.items():
            for key in keys:
                self._check_key(name, key)
        path = self._data.get("people-from", "")
        if path and in_lambda:
            raise InvalidPolicyData(f"{self._where}: people-from does not travel into AWS Lambda: use tags")
        if "{" not in path:
            self.people()

    def people(self) -> PeopleMap | None:
        """The people of the file; None where there is none. Raises InvalidPolicyData."""
        if "people-from" not in self._data:
            return None
        path = Path(self._data["people-from"])
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
        return identify(users, account_id)

    def _identity(self, resource: Mapping[str, Any], people: PeopleMap | None) -> Identity:
        texts = {name: self._first(keys, resource) for name, keys in self.keys.items()}
        origins = {name: " or ".join(keys) for name, keys in self.keys.items()}
        if people is None:
            return Identity(texts, origins)
        subject = subject_of(resource)
        try:
            row = people.find(subject.account_id, subject.name)
        except InvalidPolicyData as error:
            return Identity(texts, origins, str(error))
        found = Identity(texts, origins)
        return self._mapped(resource, found, f"{people.name}, line {row.line}", row) if row else found

    def _mapped(self, resource: Mapping[str, Any], found: Identity, place: str, row: Row) -> Identity:
        given = {name: text for name in KEYS if (text := row.texts.get(name))}
        problems = []
        for name in _TELLING:
            tags = tuple(key for key in self.keys[name] if key.startswith(_TAG))
            tagged = self._first(tags, resource)
            if name in given and tagged and tagged.casefold() != given[name].casefold():
                problems.append(
                    f"{place} gives {name} {given[name]!r}, and {' or '.join(tags)} gives {tagged!r}: let them agree"
                )
        texts, origins = {**found.texts, **given}, {**found.origins, **dict.fromkeys(given, place)}
        return Identity(texts, origins, "; ".join(problems))

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


def subject_of(resource: Mapping[str, Any]) -> Subject:
    """Whom a resource stands for."""
    return Subject(str(resource["UserName"]), str(resource["Arn"]), str(resource["UserId"]))
