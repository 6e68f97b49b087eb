# SPDX-License-Identifier: Apache-2.0
"""Users of the identity store."""

from __future__ import annotations

from typing import Any

from . import directory, errors, paging
from .state import DirectoryEntry, IdentityStore

UNIQUE = ("UserName", "Emails.Value")
LOOKUPS = {"username": "UserName", "emails.value": "Emails.Value"}


def create(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    attributes = {name: value for name, value in parameters.items() if name != "IdentityStoreId"}
    _check(store, attributes)
    user = directory.new_entry(store, attributes)
    store.users[user.id] = user
    return directory.identified(store, "User", user)


def describe(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    return _described(store, find(store, parameters["UserId"]), parameters)


def get_id(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    user = directory.find_by(store.users, "USER", parameters["AlternateIdentifier"], LOOKUPS)
    return directory.identified(store, "User", user)


def update(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    """All operations of the request, or none."""
    user = find(store, parameters["UserId"])
    attributes = directory.changed(user, "CreateUser", parameters)
    _check(store, attributes, ignoring=user.id)
    directory.store_changed(user, attributes)
    return directory.identified(store, "User", user)


def delete(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    """Memberships go with the user; account assignments stay behind, naming an id that nobody has any more."""
    user = find(store, parameters["UserId"])
    directory.check_revision(user, parameters)
    del store.users[user.id]
    for membership in [each for each in store.memberships.values() if each.user_id == user.id]:
        del store.memberships[membership.id]
    return {}


def list_users(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    found = directory.filtered(store.users.values(), "UserName", parameters)
    return paging.page("Users", [_described(store, each, parameters) for each in found], parameters)


def find(store: IdentityStore, identifier: str) -> DirectoryEntry:
    return directory.find(store.users, "USER", identifier)


def link_external_id(store: IdentityStore, user_id: str, issuer: str, identifier: str) -> None:
    """What an external identity provider does by SCIM; no API operation sets an ExternalId."""
    find(store, user_id).external_ids.append({"Issuer": issuer, "Id": identifier})


def _check(store: IdentityStore, attributes: dict[str, Any], ignoring: str | None = None) -> None:
    if not attributes.get("UserName"):
        raise errors.invalid("userName is a required attribute")
    if missing := _missing(attributes):
        raise errors.invalid(", ".join(f"{name}: The attribute {name} is required" for name in missing))
    directory.check_name(attributes["UserName"])
    directory.check_unique(store.users.values(), attributes, UNIQUE, ignoring)


def _missing(attributes: dict[str, Any]) -> list[str]:
    """ "When used in IAM Identity Center, this parameter is required" (CreateUser, Name and DisplayName)."""
    missing = [] if attributes.get("DisplayName") else ["displayname"]
    name = attributes.get("Name")
    if not name:
        return [*missing, "name"]
    return missing + [part.lower() for part in ("GivenName", "FamilyName") if not name.get(part)]


def _described(store: IdentityStore, user: DirectoryEntry, parameters: dict[str, Any]) -> dict[str, Any]:
    described = {"UserStatus": "ENABLED", **directory.described(store, "User", user)}
    wanted = parameters.get("Extensions", ())
    extensions = {name: each for name, each in described.pop("Extensions", {}).items() if name in wanted}
    return {**described, "Extensions": extensions or None}
