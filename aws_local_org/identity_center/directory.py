# SPDX-License-Identifier: Apache-2.0
"""What users and groups have in common: ids that may be ARNs, revisions, unique attributes, filters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.core.utils import get_service_model

from . import attribute_paths, clock, errors, request_shape
from .state import DirectoryEntry, IdentityStore

#: "Administrator and AWSAdministrators are reserved names" (CreateUser API reference).
RESERVED_NAMES = frozenset({"administrator", "awsadministrators"})


def find(entries: dict[str, DirectoryEntry], kind: str, identifier: str) -> DirectoryEntry:
    """kind: USER or GROUP. identifier: an id or an ARN. Raises ResourceNotFoundException."""
    wanted = identifier.rpartition("/")[2]
    if wanted not in entries:
        raise errors.not_found(f"{kind} not found.", ResourceType=kind, ResourceId=wanted)
    return entries[wanted]


def find_by(
    entries: dict[str, DirectoryEntry], kind: str, alternate: dict[str, Any], unique: dict[str, str]
) -> DirectoryEntry:
    """By AlternateIdentifier: ExternalId, or UniqueAttribute of one of the paths in unique (`{path: member}`).

    Values match whatever their case, as they are unique whatever their case; UNCONFIRMED for AWS's look-up.
    """
    if len(alternate) != 1:
        raise errors.invalid("Specify either ExternalId or UniqueAttribute")
    if external_id := alternate.get("ExternalId"):
        found = [each for each in entries.values() if external_id in each.external_ids]
    else:
        attribute = alternate["UniqueAttribute"]
        path = attribute["AttributePath"].casefold()
        if path not in unique:
            raise errors.invalid(f"The attribute {attribute['AttributePath']} is not a unique attribute")
        found = [each for each in entries.values() if _has(each, unique[path], attribute["AttributeValue"])]
    if not found:
        raise errors.not_found(f"{kind} not found.", ResourceType=kind)
    return found[0]


def check_unique(
    entries: Iterable[DirectoryEntry], attributes: dict[str, Any], names: Iterable[str], ignoring: str | None
) -> None:
    """Raises ConflictException, Reason UNIQUENESS_CONSTRAINT_VIOLATION, if another entry has one of the values."""
    others = [each for each in entries if each.id != ignoring]
    for name in names:
        taken = {_folded(value) for each in others for value in values(each.attributes, name)}
        if any(_folded(value) in taken for value in values(attributes, name)):
            raise errors.conflict(f"Duplicate {name}", Reason="UNIQUENESS_CONSTRAINT_VIOLATION")


def check_name(name: str) -> None:
    if name.casefold() in RESERVED_NAMES:
        raise errors.invalid(f"{name} is a reserved name")


def check_revision(entry: DirectoryEntry, parameters: dict[str, Any]) -> None:
    """A request may be conditional on the entry's Revision (UpdateUser API reference)."""
    if parameters.get("Revision") not in (None, str(entry.revision)):
        raise errors.conflict("The resource was modified", Reason="CONCURRENT_MODIFICATION")


def changed(entry: DirectoryEntry, creation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The entry's attributes after the request's Operations, legal by the shape of the creating operation."""
    check_revision(entry, parameters)
    shape = get_service_model("identitystore").operation_model(creation).input_shape
    attributes = attribute_paths.changed(entry.attributes, shape, parameters["Operations"])
    request_shape.check(shape, {"IdentityStoreId": parameters["IdentityStoreId"], **attributes})
    return attributes


def store_changed(entry: DirectoryEntry, attributes: dict[str, Any]) -> None:
    entry.attributes, entry.updated_at, entry.revision = attributes, clock.now(), entry.revision + 1


def filtered(
    entries: Iterable[DirectoryEntry], attribute: str, parameters: dict[str, Any]
) -> list[DirectoryEntry]:
    """The one filter that ListUsers (UserName) and ListGroups (DisplayName) know, both deprecated."""
    wanted = parameters.get("Filters") or []
    if any(each["AttributePath"].casefold() != attribute.casefold() for each in wanted):
        raise errors.invalid(f"The only supported filter attribute is {attribute}")
    return [each for each in entries if all(_has(each, attribute, f["AttributeValue"]) for f in wanted)]


def new_entry(store: IdentityStore, attributes: dict[str, Any]) -> DirectoryEntry:
    now = clock.now()
    return DirectoryEntry(id=store.new_id(), attributes=attributes, created_at=now, updated_at=now)


def described(store: IdentityStore, kind: str, entry: DirectoryEntry) -> dict[str, Any]:
    """kind: User or Group, as in UserId and UserArn."""
    return {
        **entry.attributes,
        **identified(store, kind, entry),
        "Revision": str(entry.revision),
        "ExternalIds": entry.external_ids or None,
        "CreatedAt": entry.created_at,
        "UpdatedAt": entry.updated_at,
    }


def identified(store: IdentityStore, kind: str, entry: DirectoryEntry) -> dict[str, Any]:
    return {
        "IdentityStoreId": store.id,
        f"{kind}Id": entry.id,
        f"{kind}Arn": f"arn:{store.partition}:identitystore:::{kind.lower()}/{entry.id}",
        "Revision": str(entry.revision),
    }


def values(attributes: dict[str, Any], name: str) -> list[str]:
    """`Emails.Value` gives every address, `UserName` the one name, and an attribute that is not set nothing."""
    outer, _, inner = name.partition(".")
    value = attributes.get(outer)
    if inner:
        return [item[inner] for item in value or [] if inner in item]
    return [value] if value else []


def _has(entry: DirectoryEntry, name: str, value: Any) -> bool:
    return _folded(value) in {_folded(each) for each in values(entry.attributes, name)}


def _folded(value: Any) -> str:
    return str(value).casefold()
