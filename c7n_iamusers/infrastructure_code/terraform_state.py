# SPDX-License-Identifier: Apache-2.0
"""The users and access keys that a Terraform or OpenTofu state manages. Pure.

Of a state nothing is kept but addresses, names, ARNs and the ids of keys: it holds secrets, such as ``secret`` of
``aws_iam_access_key``. Source of the format: ``version4.go`` in internal/states/statefile of Terraform and OpenTofu.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.infrastructure_code.model import ACCESS_KEY, TERRAFORM, USER, Managed, ManagedBy
from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.wording import quoted

#: The only version of states since Terraform 0.12.
VERSION = 4
#: In their schemas (resource documentation of the AWS provider): name and arn of a user; id of a key, and its user.
_USER, _KEY = "aws_iam_user", "aws_iam_access_key"
#: A user of the provider for Cloud Control, by user_name.
_CLOUD_CONTROL = "awscc_iam_user"
#: The mode of what the provider reads, and does not manage.
_DATA = "data"


@dataclass(frozen=True)
class InState:
    """A resource in the state at ``place``. ``address``: as Terraform writes it. ``what``: USER or ACCESS_KEY.

    ``identifier``: the name of a user, or the id of a key. ``account_id``: empty if the state does not say it.
    ``user``: the name of a key's user.
    """

    place: str
    address: str
    what: str
    identifier: str
    account_id: str = ""
    user: str = ""


def resources_in(content: str | bytes, place: str) -> list[InState]:
    """The users and access keys in a state. ``place``: of the state, as messages show it.

    Raises NotInFormat if it is no state of version 4, or one of its users or keys can't be read.
    """
    state = read_json(content)
    if not isinstance(state, Mapping):
        raise NotInFormat(0, "is no Terraform state: it is no JSON object")
    if "encrypted_data" in state:  # OpenTofu, "State and Plan Encryption"
        raise NotInFormat(0, "is encrypted by OpenTofu: give it decrypted, as tofu state pull prints it")
    version = state.get("version")
    if version != VERSION or isinstance(version, bool):
        hint = ": terraform 0.12 or newer writes it anew" if version in (1, 2, 3) else ""
        raise NotInFormat(0, f"is no Terraform state of version {VERSION}, but of {quoted(version)}{hint}")
    if "resources" not in state:  # an empty state has an empty list
        raise NotInFormat(0, "is no Terraform state: it has no resources")
    found = [
        each for resource in _list(state, "resources") for each in _of_resource(_mapping(resource), place)
    ]
    accounts = defaultdict[str, set[str]](set)
    for user in (each for each in found if each.what == USER):
        accounts[user.identifier.lower()].add(user.account_id)
    return [_in_account(each, accounts.get(each.user.lower(), set())) for each in found]


def _in_account(found: InState, accounts: Set[str]) -> InState:
    """A key in the account of its user, where the state has that: nothing else of a key says it."""
    return replace(found, account_id=min(accounts)) if len(accounts) == 1 else found


def _of_resource(resource: Mapping[str, Any], place: str) -> Iterator[InState]:
    kind = resource.get("type")
    if resource.get("mode") == _DATA or kind not in (_USER, _CLOUD_CONTROL, _KEY):
        return
    module = f"{resource['module']}." if resource.get("module") else ""
    for instance in _list(resource, "instances"):
        each = _mapping(instance)
        if each.get("deposed"):  # what the next apply deletes
            continue
        address = f"{module}{kind}.{resource.get('name')}{_index(each.get('index_key'))}"
        # attributes_flat: of resources that no newer provider has written since
        known = each.get("attributes") or each.get("attributes_flat")
        yield _of_instance(str(kind), address, _mapping(known), place)


def _of_instance(kind: str, address: str, known: Mapping[str, Any], place: str) -> InState:
    name = {_USER: "name", _CLOUD_CONTROL: "user_name"}.get(kind, "id")
    identifier = known.get(name) or known.get("id")
    if not isinstance(identifier, str) or not identifier:
        raise NotInFormat(0, f"has {address} without a name or id")
    arn = known.get("arn") if kind != _KEY else None
    parts = str(arn or "").split(":")
    what, whose = (ACCESS_KEY, str(known.get("user") or "")) if kind == _KEY else (USER, "")
    return InState(place, address, what, identifier, parts[4] if len(parts) > 5 else "", whose)


def _index(key: Any) -> str:
    """The index of an instance in its address: none, ``[0]`` of count, ``["name"]`` of for_each."""
    return "" if key is None else f"[{json.dumps(key, ensure_ascii=False)}]"


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    found = data.get(key) or []
    if not isinstance(found, list):
        raise NotInFormat(0, f"is no Terraform state: its {key} are no list")
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise NotInFormat(
            0, "is no Terraform state: it has no object where a resource or its attributes should be"
        )
    return value


@dataclass
class StateIndex:
    """The users and keys of all states that were read. ``unread``: places that were not read, each with the reason."""

    unread: tuple[str, ...] = ()
    _users: dict[str, list[InState]] = field(default_factory=lambda: defaultdict(list))
    _keys: dict[str, list[InState]] = field(default_factory=lambda: defaultdict(list))
    _keys_of: dict[str, list[InState]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, found: Iterable[InState], unread: Iterable[str] = ()) -> StateIndex:
        """The index of what was ``found``."""
        index = cls(tuple(unread))
        for each in found:
            # IAM tells names apart without regard to case (CreateUser, IAM API reference)
            if each.what == USER:
                index._users[each.identifier.lower()].append(each)
            else:
                index._keys[each.identifier].append(each)
                index._keys_of[each.user.lower()].append(each)
        return index

    def of_user(self, user: Subject, with_keys: bool = True) -> Managed:
        """What manages ``user``, by its name and account: Terraform knows users by their names. ``with_keys``: or one
        of its access keys, which goes with it."""
        name = user.name.lower()
        held = (*self._users.get(name, ()), *(self._keys_of.get(name, ()) if with_keys else ()))
        return self._managed(each for each in held if each.account_id in ("", user.account_id))

    def of_key(self, key_id: str) -> Managed:
        """What manages the access key ``key_id``."""
        return self._managed(self._keys.get(key_id, ()), sure=True)

    def _managed(self, held: Iterable[InState], sure: bool = False) -> Managed:
        found = (
            ManagedBy(
                TERRAFORM,
                f"{each.address} of {each.place}",
                "by its state" if each.account_id or sure else "by its state, which has no account",
                each.what,
            )
            for each in held
        )
        return Managed(tuple(found), self.unread)
