# SPDX-License-Identifier: Apache-2.0
"""Policy documents as they come: decoded, as JSON text, URL-encoded, with single values where lists may stand.

The grammar: "Grammar of the IAM JSON policy language" (IAM User Guide).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from c7n_iamusers.iam.user import Item


def canonical_policy(document: object) -> str:
    """A policy document's JSON in one form, so that key order and spacing never pass for a difference."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def default_documents(policies: Iterable[Item]) -> dict[str, Any]:
    """ARN -> the document in force, of botocore's ``ManagedPolicyDetail``s; one without it is left out."""
    found: dict[str, Any] = {}
    for policy in policies:
        for version in objects(policy.get("PolicyVersionList")):
            if _in_force(policy, version) and "Document" in version:
                found[str(policy.get("Arn"))] = version["Document"]
    return found


def _in_force(policy: Item, version: Item) -> bool:
    default = policy.get("DefaultVersionId")
    return version.get("VersionId") == default if default else bool(version.get("IsDefaultVersion"))


#: AWS attaches it to a user whose key it saw leaked; V2, V3 and V4 exist ("Managed policies for AWS IAM").
COMPROMISED = "AWSCompromisedKeyQuarantine"


Statement = Mapping[str, Any]


def parse_document(value: Any) -> Mapping[str, Any]:
    """A policy document, from a mapping, JSON text or URL-encoded JSON text (as IAM's own answers have it).

    Raises ValueError, saying what is wrong, for anything that is no policy.
    """
    document = decoded(value)
    if not isinstance(document, Mapping):
        raise ValueError(f"not a policy but {type(document).__name__}")
    if "Statement" not in document:
        raise ValueError("a policy without Statement")
    return document


def decoded(value: object) -> Any:
    """``value``, or what it holds where it is JSON text, URL-encoded or not. Raises ValueError for another text."""
    document: Any = value
    # Twice, since some tools store the text as a JSON string; unquoting plain JSON would change a %20 in it.
    for decode in (json.loads, json.loads, _unquoted):
        if isinstance(document, str):
            try:
                document = decode(document)
            except ValueError:
                continue
    if isinstance(document, str):
        raise ValueError("neither JSON nor URL-encoded JSON")
    return document


def statements(document: Mapping[str, Any]) -> tuple[Statement, ...]:
    """The statements of a document, one or many. Raises ValueError where one is no object."""
    found = listed(document["Statement"])
    if not all(isinstance(statement, Mapping) for statement in found):
        raise ValueError("a statement that is no object")
    return found


def listed(value: Any) -> tuple[Any, ...]:
    """The values of an element that may be single, a list, or missing."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def objects(value: Any) -> tuple[Mapping[str, Any], ...]:
    """As ``listed``, without what is no object."""
    return tuple(item for item in listed(value) if isinstance(item, Mapping))


class SharedDocuments:
    """Makes one object of all policies that say the same, and of all lists of them; nobody may change it.

    80,000 users have a few hundred policies between them, and their texts would take most of a run's memory. Several
    threads may share an instance, which is also a hook for ``json.loads``.
    """

    _KEYS = ("Statement", "PolicyDocument", "PolicyArn")
    _LISTS = ("UserPolicyList", "GroupPolicyList", "AttachedManagedPolicies", "GroupList")

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}

    def __call__(self, found: dict[str, Any]) -> dict[str, Any]:
        """A policy, or what says the same; a ``UserDetail`` with shared lists. Call it for what is inside first."""
        if any(key in found for key in self._KEYS):
            shared: dict[str, Any] = self._known.setdefault(json.dumps(found), found)
            return shared
        for name in self._LISTS if "UserId" in found else ():
            if isinstance(listed := found.get(name), list):
                # The policies are shared already: what tells lists apart is which objects are in them.
                marks = (each if isinstance(each, str) else id(each) for each in listed)
                found[name] = self._known.setdefault((name, *marks), listed)
        return found

    def of(self, value: Any) -> Any:
        """The same for JSON that is parsed already, such as botocore's answers."""
        if isinstance(value, list):
            return [self.of(each) for each in value]
        if isinstance(value, dict):
            return self({key: self.of(each) for key, each in value.items()})
        return value


def _unquoted(text: str) -> Any:
    return json.loads(unquote(text))
