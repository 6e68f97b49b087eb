# SPDX-License-Identifier: Apache-2.0
"""What intents say that their policy asks for, held against the policy itself, or shown as a claim. Pure.

Who can write one intents file can ask for any permission set in it, and accept any proof. What is derived and proven
to grant no more than the IAM user has needs no policy; everything else does.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.claimed_people import PeopleAuthority
from c7n_iamusers.identity_center.intents import INTENTS_FILE, Intents, intents_data
from c7n_iamusers.text.wording import shown, visible

_SETTINGS = ("identity-source", "shared-group", "group", "permission-set", "derive")
_LONGEST = 400


@dataclass(frozen=True)
class Asked:
    """What a policy asks for in an account: ``intents`` without users. ``authority``: what it says of people.

    ``source``: the file that the policy stands in.
    """

    source: str
    intents: Intents
    authority: PeopleAuthority


def check_settings(found: Intents, asked: Asked) -> None:
    """Raises IdentityCenterError, with both values, where ``found`` asks for anything else than its policy."""
    theirs, ours = _settings(found), _settings(asked.intents)
    if faults := list(_differences(theirs, ours)):
        raise IdentityCenterError(
            f"{file_of(found)} (account {found.account_id}) asks for what policy {found.policy} of {asked.source} does "
            f"not: {'; '.join(faults)}. Nothing was touched: run the policies again where they were changed since, "
            "else find out who wrote the file, and remove it"
        )


def unchecked(intents: Iterable[Intents]) -> tuple[str, ...]:
    """A line for each setting of ``intents`` that can grant more than IAM users have."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for each in intents:
        for claim in _claims(each):
            places[claim].append(file_of(each))
    return tuple(
        visible(f"  ! claimed        {claim}: by {shown(sorted(found))}, not checked against a policy")
        for claim, found in sorted(places.items())
    )


def file_of(intents: Intents) -> str:
    """Where the intents were read, as people find it."""
    return f"{intents.place}/{INTENTS_FILE}" if intents.place != "." else INTENTS_FILE


def _claims(intents: Intents) -> Iterator[str]:
    if intents.permission_set:
        shared = " through shared groups" if intents.shared_group else ""
        yield f"permission set {intents.permission_set.name}{shared}"
    derive = intents.derive or {}
    for row in derive.get("accept", ()):
        yield f"accept {row['verdict']} for user {row['user']} of account {row['account']}"
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


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*theirs, *ours}):
        if (name in theirs, theirs.get(name)) != (name in ours, ours.get(name)):
            yield f"{name} is {_told(theirs, name)}, and {_told(ours, name)} in the policy"


def _told(settings: Mapping[str, Any], name: str) -> str:
    """As JSON, in which nothing moves a terminal's cursor."""
    text = json.dumps(settings[name]) if name in settings else "not given"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
