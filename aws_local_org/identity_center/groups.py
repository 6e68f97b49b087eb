# SPDX-License-Identifier: Apache-2.0
"""Groups of the identity store."""

from __future__ import annotations

from typing import Any

from . import directory, errors, paging
from .state import DirectoryEntry, IdentityStore

UNIQUE = ("DisplayName",)
LOOKUPS = {"displayname": "DisplayName"}


def create(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    attributes = {name: value for name, value in parameters.items() if name != "IdentityStoreId"}
    _check(store, attributes)
    group = directory.new_entry(store, attributes)
    store.groups[group.id] = group
    return directory.identified(store, "Group", group)


def describe(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    return directory.described(store, "Group", find(store, parameters["GroupId"]))


def get_id(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    group = directory.find_by(store.groups, "GROUP", parameters["AlternateIdentifier"], LOOKUPS)
    return directory.identified(store, "Group", group)


def update(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    """All operations of the request, or none."""
    group = find(store, parameters["GroupId"])
    attributes = directory.changed(group, "CreateGroup", parameters)
    _check(store, attributes, ignoring=group.id)
    directory.store_changed(group, attributes)
    return directory.identified(store, "Group", group)


def delete(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    """Memberships go with the group; account assignments stay behind."""
    group = find(store, parameters["GroupId"])
    directory.check_revision(group, parameters)
    del store.groups[group.id]
    for membership in [each for each in store.memberships.values() if each.group_id == group.id]:
        del store.memberships[membership.id]
    return {}


def list_groups(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    found = directory.filtered(store.groups.values(), "DisplayName", parameters)
    return paging.page("Groups", [directory.described(store, "Group", each) for each in found], parameters)


def find(store: IdentityStore, identifier: str) -> DirectoryEntry:
    return directory.find(store.groups, "GROUP", identifier)


def _check(store: IdentityStore, attributes: dict[str, Any], ignoring: str | None = None) -> None:
    if not attributes.get("DisplayName"):
        raise errors.invalid("displayName is a required attribute")
    directory.check_name(attributes["DisplayName"])
    directory.check_unique(store.groups.values(), attributes, UNIQUE, ignoring)
