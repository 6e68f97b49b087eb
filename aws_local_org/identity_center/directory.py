# SPDX-License-Identifier: Apache-2.0
"""Users, groups and memberships of the identity store.

Users and groups have ids that may be given as ARNs, revisions, unique attributes and filters; a membership has an id.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.model import Shape
from moto.core.utils import get_service_model

from aws_local_org.identity_center import rules, state
from aws_local_org.identity_center.state import DirectoryEntry, IdentityStore, Membership

#: "Administrator and AWSAdministrators are reserved names" (CreateUser API reference).
RESERVED_NAMES = frozenset({"administrator", "awsadministrators"})


def _missing_of_user(attributes: Mapping[str, Any]) -> list[str]:
    """ "When used in IAM Identity Center, this parameter is required" (CreateUser, Name and DisplayName)."""
    missing = [] if attributes.get("DisplayName") else ["displayname"]
    name = attributes.get("Name")
    if not name:
        return [*missing, "name"]
    return missing + [part.lower() for part in ("GivenName", "FamilyName") if not name.get(part)]


@dataclass(frozen=True)
class Kind:
    """A kind of entry and its operations.

    word: as in CreateUser and UserId. unique: the attributes that no two entries share, the entry's name first.
    member: the id of an entry of this kind in a membership. missing: required attributes that are not given.
    defaults: members of a description that an entry need not have.
    """

    word: str
    unique: tuple[str, ...]
    entries: Callable[[IdentityStore], dict[str, DirectoryEntry]]
    member: Callable[[Membership], str]
    missing: Callable[[Mapping[str, Any]], list[str]] = lambda _: []
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def create(self, store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
        attributes = {name: value for name, value in parameters.items() if name != "IdentityStoreId"}
        self._check(store, attributes)
        now = state.now()
        entry = DirectoryEntry(store.new_id(), attributes, created_at=now, updated_at=now)
        self.entries(store)[entry.id] = entry
        return self._identified(store, entry)

    def describe(self, store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._described(store, self._named(store, parameters), parameters)

    def get_id(self, store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._identified(store, self._found_by(store, parameters["AlternateIdentifier"]))

    def update(self, store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
        """Applies all operations of the request, or none. The result must fit the shape of the creating operation."""
        entry = self._named(store, parameters)
        _check_revision(entry, parameters)
        shape = get_service_model("identitystore").operation_model(f"Create{self.word}").input_shape
        attributes = _changed(entry.attributes, shape, parameters["Operations"])
        rules.check_shape(shape, {"IdentityStoreId": parameters["IdentityStoreId"], **attributes})
        self._check(store, attributes, ignoring=entry.id)
        entry.attributes, entry.updated_at, entry.revision = attributes, state.now(), entry.revision + 1
        return self._identified(store, entry)

    def delete(self, store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
        """Deletes the entry's memberships too. Account assignments stay, and name an id that no longer exists."""
        entry = self._named(store, parameters)
        _check_revision(entry, parameters)
        del self.entries(store)[entry.id]
        for membership in [each for each in store.memberships.values() if self.member(each) == entry.id]:
            del store.memberships[membership.id]
        return {}

    def list_all(self, store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
        """The one filter that ListUsers (UserName) and ListGroups (DisplayName) know, both deprecated."""
        name, wanted = self.unique[0], parameters.get("Filters") or []
        if any(each["AttributePath"].casefold() != name.casefold() for each in wanted):
            raise rules.invalid(f"The only supported filter attribute is {name}")
        found = [
            entry
            for entry in self.entries(store).values()
            if all(_has(entry, name, one["AttributeValue"]) for one in wanted)
        ]
        described = [self._described(store, each, parameters) for each in found]
        return rules.page(f"{self.word}s", described, parameters)

    def find(self, store: IdentityStore, identifier: str) -> DirectoryEntry:
        """identifier: an id or an ARN. Raises ResourceNotFoundException."""
        wanted = _plain(identifier)
        if wanted not in self.entries(store):
            raise self._not_found(ResourceId=wanted)
        return self.entries(store)[wanted]

    def _named(self, store: IdentityStore, parameters: dict[str, Any]) -> DirectoryEntry:
        return self.find(store, parameters[f"{self.word}Id"])

    def _found_by(self, store: IdentityStore, alternate: dict[str, Any]) -> DirectoryEntry:
        """By AlternateIdentifier: ExternalId, or UniqueAttribute.

        Values match in any case, because they are unique regardless of case; UNCONFIRMED for AWS's look-up.
        """
        entries = self.entries(store).values()
        if len(alternate) != 1:
            raise rules.invalid("Specify either ExternalId or UniqueAttribute")
        if external_id := alternate.get("ExternalId"):
            found = [entry for entry in entries if external_id in entry.external_ids]
        else:
            attribute = alternate["UniqueAttribute"]
            path = attribute["AttributePath"].casefold()
            name = next((each for each in self.unique if each.casefold() == path), None)
            if name is None:
                raise rules.invalid(f"The attribute {attribute['AttributePath']} is not a unique attribute")
            found = [entry for entry in entries if _has(entry, name, attribute["AttributeValue"])]
        if not found:
            raise self._not_found()
        return found[0]

    def _not_found(self, **members: object) -> rules.ApiError:
        kind = self.word.upper()
        return rules.not_found(f"{kind} not found.", ResourceType=kind, **members)

    def _check(self, store: IdentityStore, attributes: dict[str, Any], ignoring: str | None = None) -> None:
        """Raises ValidationException, or ConflictException if another entry has one of the unique values."""
        name = self.unique[0]
        if not attributes.get(name):
            raise rules.invalid(f"{name[0].lower()}{name[1:]} is a required attribute")
        if missing := self.missing(attributes):
            raise rules.invalid(", ".join(f"{each}: The attribute {each} is required" for each in missing))
        if attributes[name].casefold() in RESERVED_NAMES:
            raise rules.invalid(f"{attributes[name]} is a reserved name")
        others = [entry for entry in self.entries(store).values() if entry.id != ignoring]
        for unique in self.unique:
            taken = {_folded(value) for other in others for value in _values(other.attributes, unique)}
            if any(_folded(value) in taken for value in _values(attributes, unique)):
                raise rules.conflict(f"Duplicate {unique}", Reason="UNIQUENESS_CONSTRAINT_VIOLATION")

    def _described(
        self, store: IdentityStore, entry: DirectoryEntry, parameters: dict[str, Any]
    ) -> dict[str, Any]:
        """Only the extensions that the request names are shown."""
        wanted = parameters.get("Extensions", ())
        held = entry.attributes.get("Extensions", {})
        return {
            **self.defaults,
            **entry.attributes,
            **self._identified(store, entry),
            "Extensions": {name: each for name, each in held.items() if name in wanted} or None,
            "ExternalIds": entry.external_ids or None,
            "CreatedAt": entry.created_at,
            "UpdatedAt": entry.updated_at,
        }

    def _identified(self, store: IdentityStore, entry: DirectoryEntry) -> dict[str, Any]:
        return {
            "IdentityStoreId": store.id,
            f"{self.word}Id": entry.id,
            f"{self.word}Arn": f"arn:{store.partition}:identitystore:::{self.word.lower()}/{entry.id}",
            "Revision": str(entry.revision),
        }


USERS = Kind(
    "User",
    ("UserName", "Emails.Value"),
    lambda store: store.users,
    lambda membership: membership.user_id,
    _missing_of_user,
    {"UserStatus": "ENABLED"},
)
GROUPS = Kind("Group", ("DisplayName",), lambda store: store.groups, lambda membership: membership.group_id)


def link_external_id(store: IdentityStore, user_id: str, issuer: str, identifier: str) -> None:
    """What an external identity provider does with SCIM: no API operation sets an ExternalId."""
    USERS.find(store, user_id).external_ids.append({"Issuer": issuer, "Id": identifier})


def _check_revision(entry: DirectoryEntry, parameters: dict[str, Any]) -> None:
    """A request may be conditional on the entry's Revision (UpdateUser API reference)."""
    if parameters.get("Revision") not in (None, str(entry.revision)):
        raise rules.conflict("The resource was modified", Reason="CONCURRENT_MODIFICATION")


def _values(attributes: Mapping[str, Any], name: str) -> list[str]:
    """`Emails.Value` gives every address, `UserName` the one name, and an attribute that is not set nothing."""
    outer, _, inner = name.partition(".")
    value = attributes.get(outer)
    if inner:
        return [item[inner] for item in value or [] if inner in item]
    return [value] if value else []


def _has(entry: DirectoryEntry, name: str, value: Any) -> bool:
    return _folded(value) in {_folded(each) for each in _values(entry.attributes, name)}


def _folded(value: Any) -> str:
    return str(value).casefold()


# UpdateUser and UpdateGroup change attributes by path, `displayName` or `name.givenName`. Names are matched whatever
# their case: AWS's own examples write `displayName` where the shapes say DisplayName.


def _changed(attributes: dict[str, Any], shape: Shape, operations: list[dict[str, Any]]) -> dict[str, Any]:
    """A copy of attributes with the operations applied in order; an absent or null AttributeValue removes.

    shape: the structure that knows the attributes (CreateUser's or CreateGroup's request).
    Raises ValidationException for a path that the shape does not have.
    """
    result = copy.deepcopy(attributes)
    for operation in operations:
        path = operation["AttributePath"]
        _set(result, shape, path.split("."), operation.get("AttributeValue"), path)
    return result


def _set(target: dict[str, Any], shape: Shape, steps: list[str], value: Any, path: str) -> None:
    name = _member(shape, steps[0])
    if name is None or name == "IdentityStoreId":
        raise rules.invalid(f"The attribute path {path} is not supported")
    member = shape.members[name]  # type: ignore[attr-defined]
    if len(steps) > 1:
        if member.type_name != "structure":
            raise rules.invalid(f"The attribute path {path} is not supported")
        _set(target.setdefault(name, {}), member, steps[1:], value, path)
    elif value is None:
        target.pop(name, None)
    else:
        target[name] = _normalized(member, value)


def _normalized(shape: Shape, value: Any) -> Any:
    """value with its members' names spelled as in the shape. Unknown names stay, and are refused later."""
    if shape.type_name == "list" and isinstance(value, list):
        return [_normalized(shape.member, item) for item in value]  # type: ignore[attr-defined]
    if shape.type_name == "structure" and isinstance(value, dict):
        names = {given: _member(shape, given) or given for given in value}
        return {names[given]: item for given, item in value.items()}
    return value


def _member(shape: Shape, given: str) -> str | None:
    if shape.type_name != "structure":
        return None
    members = shape.members  # type: ignore[attr-defined]
    return next((name for name in members if name.casefold() == given.casefold()), None)


def create_membership(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    """Raises ConflictException if the user is in the group already."""
    user_id, group_id = _user_id(store, parameters), GROUPS.find(store, parameters["GroupId"]).id
    if _memberships(store, lambda each: (each.user_id, each.group_id) == (user_id, group_id)):
        raise rules.conflict("Member and Group already exist", Reason="UNIQUENESS_CONSTRAINT_VIOLATION")
    membership = Membership(store.new_id(), group_id, user_id, state.now())
    store.memberships[membership.id] = membership
    return _identified_membership(store, membership)


def describe_membership(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    return _described_membership(store, _membership(store, parameters["MembershipId"]))


def get_membership_id(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    user_id, group_id = _plain(_member_id(parameters)), _plain(parameters["GroupId"])
    found = _memberships(store, lambda each: (each.user_id, each.group_id) == (user_id, group_id))
    if not found:
        raise rules.not_found("GROUP_MEMBERSHIP not found.", ResourceType="GROUP_MEMBERSHIP")
    return _identified_membership(store, found[0])


def delete_membership(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    del store.memberships[_membership(store, parameters["MembershipId"]).id]
    return {}


def list_memberships_of_group(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    group_id = GROUPS.find(store, parameters["GroupId"]).id
    return _membership_page(store, parameters, _memberships(store, lambda each: each.group_id == group_id))


def list_memberships_of_member(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    user_id = _user_id(store, parameters)
    return _membership_page(store, parameters, _memberships(store, lambda each: each.user_id == user_id))


def is_member_in_groups(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    user_id = _user_id(store, parameters)
    joined = {membership.group_id for membership in _memberships(store, lambda each: each.user_id == user_id)}
    results = [
        {"GroupId": each, "MemberId": {"UserId": user_id}, "MembershipExists": _plain(each) in joined}
        for each in parameters["GroupIds"]
    ]
    return {"Results": results}


def _membership(store: IdentityStore, identifier: str) -> Membership:
    wanted = _plain(identifier)
    if wanted not in store.memberships:
        raise rules.not_found(
            "GROUP_MEMBERSHIP not found.", ResourceType="GROUP_MEMBERSHIP", ResourceId=wanted
        )
    return store.memberships[wanted]


def _memberships(store: IdentityStore, wanted: Callable[[Membership], bool]) -> list[Membership]:
    return [membership for membership in store.memberships.values() if wanted(membership)]


def _membership_page(
    store: IdentityStore, parameters: dict[str, Any], found: list[Membership]
) -> dict[str, Any]:
    return rules.page("GroupMemberships", [_described_membership(store, each) for each in found], parameters)


def _user_id(store: IdentityStore, parameters: dict[str, Any]) -> str:
    return USERS.find(store, _member_id(parameters)).id


def _member_id(parameters: dict[str, Any]) -> str:
    if "UserId" not in parameters["MemberId"]:
        raise rules.invalid("MemberId must name a UserId")
    return str(parameters["MemberId"]["UserId"])


def _plain(identifier: str) -> str:
    """The id in an id or an ARN."""
    return identifier.rpartition("/")[2]


def _described_membership(store: IdentityStore, membership: Membership) -> dict[str, Any]:
    return {
        **_identified_membership(store, membership),
        "GroupId": membership.group_id,
        "MemberId": {"UserId": membership.user_id},
        "CreatedAt": membership.created_at,
        "UpdatedAt": membership.created_at,
    }


def _identified_membership(store: IdentityStore, membership: Membership) -> dict[str, Any]:
    return {
        "IdentityStoreId": store.id,
        "MembershipId": membership.id,
        "MembershipArn": f"arn:{store.partition}:identitystore:::membership/{membership.id}",
    }
