# SPDX-License-Identifier: Apache-2.0
"""Reads users and groups of the identity store, one by one or all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.paging import items, pages
from c7n_iamusers.execution.retries import Backoff, error_code, gone_is
from c7n_iamusers.identity_center import model
from c7n_iamusers.text.wording import folded

_PAGE = 100
#: A username that can't be created: "Administrator and AWSAdministrators are reserved names and can't be used for users
#: or groups" (CreateUser).
PROBE = "AWSAdministrators"


@dataclass(frozen=True)
class IdentityStore:
    """The identity store of ``instance``, through ``client`` (identitystore)."""

    client: Any
    instance: model.Instance
    backoff: Backoff

    def find_person(self, person: model.Person) -> tuple[model.KnownPerson | None, model.KnownPerson | None]:
        """The user with the username; if there is none, the user with the e-mail.

        A user has one e-mail, and it is unique.
        """
        user_id = self.username_id(person.username)
        if user_id and (known := self.person(user_id)):
            return known, None
        for email in dict.fromkeys((person.email, person.email.lower())):
            # It is not documented whether the lookup ignores case.
            user_id = self._id("get_user_id", "UserId", "emails.value", email)
            if user_id and (known := self.person(user_id)):
                return None, known
        return None, None

    def all_people(self) -> tuple[dict[str, model.KnownPerson], dict[str, model.KnownPerson]]:
        """All users: by ``folded`` username, and by each ``folded`` e-mail."""
        return _by_name(self._all("ListUsers", "Users"))

    def usernames_within(self, most: int) -> dict[str, str] | None:
        """User id -> username of all users; None as for ``people_within``."""
        users = self._within(most, "ListUsers", "Users")
        return None if users is None else {str(each["UserId"]): str(each["UserName"]) for each in users}

    def people_within(
        self, most: int
    ) -> tuple[dict[str, model.KnownPerson], dict[str, model.KnownPerson]] | None:
        """As ``all_people``; None, after one call more than ``most``, if that does not suffice."""
        users = self._within(most, "ListUsers", "Users")
        return None if users is None else _by_name(users)

    def members_within(self, most: int, group_ids: Collection[str]) -> dict[str, set[str]] | None:
        """User id -> those of ``group_ids`` that the user is a member of; None as for ``people_within``."""
        found, left = defaultdict[str, set[str]](set), most
        for group_id in sorted(group_ids) if len(group_ids) <= most else ():
            listed = gone_is(list[Any]())(self._within)(
                left, "ListGroupMemberships", "GroupMemberships", GroupId=group_id
            )
            if listed is None:
                return None
            left -= max(1, -(-len(listed) // _PAGE))
            for each in listed:
                found[each["MemberId"]["UserId"]].add(group_id)
        return found if len(group_ids) <= most else None

    def _within(self, most: int, operation: str, result: str, **parameters: Any) -> list[Any] | None:
        """The elements of all pages; None if there are more than ``most``."""
        found = list[Any]()
        named = {"IdentityStoreId": self.instance.identity_store_id, "MaxResults": _PAGE, **parameters}
        for number, page in enumerate(pages(self.client, operation, self.backoff, **named)):
            if number == most:
                return None
            found += page.get(result, ())
        return found

    def external_names(self) -> list[str]:
        """The users and groups with ExternalIds among the first hundred of each, in words. Takes two calls."""
        store, found = self.instance.identity_store_id, list[str]()
        for operation, result, name in (
            ("ListUsers", "Users", "UserName"),
            ("ListGroups", "Groups", "DisplayName"),
        ):
            page = next(
                pages(self.client, operation, self.backoff, IdentityStoreId=store, MaxResults=_PAGE), {}
            )
            kind = result[:-1].lower()
            found += [f"{kind} {each.get(name)}" for each in page.get(result, ()) if each.get("ExternalIds")]
        return found

    def creation_refusal(self) -> str:
        """Why no user can be created, in words; empty if one can, as far as AWS says.

        Asks for a user that AWS can't create: its name is reserved, and it lacks Name and DisplayName, which are
        required "when used in IAM Identity Center" (CreateUser). So a caller that may create users gets a
        ValidationException. Raises BotoCoreError without an answer.
        """
        try:
            self._call("create_user", UserName=PROBE)
        except ClientError as error:
            denied = error_code(error) in ("AccessDenied", "AccessDeniedException")
            return str(error) if denied else ""
        raise IdentityCenterError(
            f"Identity Center was asked whether users can be created, and created user {PROBE}, whose name its "
            "documentation reserves: delete that user, and report this"
        )

    def all_groups(self) -> dict[str, model.KnownGroup]:
        """All groups by ``folded`` display name, without members and assignments."""
        groups = [_known_group(each) for each in self._all("ListGroups", "Groups")]
        return {folded(group.name): group for group in groups}

    def find_group(self, name: str) -> model.KnownGroup | None:
        """The group with that display name, without members and assignments; None if there is none."""
        group_id = self._id("get_group_id", "GroupId", "displayName", name)
        known = self._group(group_id) if group_id else None
        return replace(known, name=name) if known else None

    def members(self, group_id: str) -> frozenset[str]:
        """The user ids of the group's members; none if it does not exist."""
        return frozenset(self.memberships(group_id) or ())

    @gone_is(None)
    def memberships(self, group_id: str) -> dict[str, str]:
        """User id -> membership id of the group's members; None if it does not exist."""
        found = items(
            self.client,
            "ListGroupMemberships",
            "GroupMemberships",
            self.backoff,
            IdentityStoreId=self.instance.identity_store_id,
            GroupId=group_id,
            MaxResults=_PAGE,
        )
        return {each["MemberId"]["UserId"]: each["MembershipId"] for each in found}

    def _all(self, operation: str, result: str) -> list[Any]:
        store = self.instance.identity_store_id
        return items(self.client, operation, result, self.backoff, IdentityStoreId=store, MaxResults=_PAGE)

    @gone_is(None)
    def user_attributes(self, user_id: str) -> dict[str, Any]:
        """The user as returned by DescribeUser; None if it does not exist."""
        return self._call("describe_user", UserId=user_id)

    def person(self, user_id: str) -> model.KnownPerson | None:
        """The user with that id; None if it does not exist."""
        found = self.user_attributes(user_id)
        return _known_person({"UserId": user_id, **found}) if found else None

    def group(self, group_id: str) -> model.KnownGroup | None:
        """The group with that id, with its members; None if it does not exist."""
        known = self._group(group_id)
        return self.with_members(known) if known else None

    def with_members(self, group: model.KnownGroup) -> model.KnownGroup | None:
        """The group with the members that it has now; None if it no longer exists."""
        memberships = self.memberships(group.group_id)
        if memberships is None:
            return None
        return replace(group, members=frozenset(memberships), memberships=memberships)

    def name_of_group(self, group_id: str) -> str | None:
        """The group's display name; None if it does not exist."""
        known = self._group(group_id)
        return known.name if known else None

    @gone_is(None)
    def _group(self, group_id: str) -> model.KnownGroup:
        """Without members and assignments."""
        return _known_group({"GroupId": group_id, **self._call("describe_group", GroupId=group_id)})

    @gone_is(frozenset[str]())
    def groups_of(self, user_id: str) -> frozenset[str]:
        """The ids of the groups that the user is a member of; none for a user that does not exist."""
        found = items(
            self.client,
            "ListGroupMembershipsForMember",
            "GroupMemberships",
            self.backoff,
            IdentityStoreId=self.instance.identity_store_id,
            MemberId={"UserId": user_id},
            MaxResults=_PAGE,
        )
        return frozenset(each["GroupId"] for each in found)

    def username_id(self, username: str) -> str | None:
        """The id of the user with the username; None if there is none."""
        return self._id("get_user_id", "UserId", "userName", username)

    @gone_is(None)
    def membership_id(self, group_id: str, user_id: str) -> str:
        """The id of the user's membership in the group; None if it is not a member."""
        found = self._call("get_group_membership_id", GroupId=group_id, MemberId={"UserId": user_id})
        return str(found["MembershipId"])

    @gone_is(None)
    def _id(self, method: str, member: str, path: str, text: str) -> str:
        identifier = {"UniqueAttribute": {"AttributePath": path, "AttributeValue": text}}
        return str(self._call(method, AlternateIdentifier=identifier)[member])

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        call = getattr(self.client, method)
        response: dict[str, Any] = self.backoff.call(
            call, IdentityStoreId=self.instance.identity_store_id, **parameters
        )
        return response


def _by_name(
    users: Iterable[Mapping[str, Any]],
) -> tuple[dict[str, model.KnownPerson], dict[str, model.KnownPerson]]:
    usernames: dict[str, model.KnownPerson] = {}
    emails: dict[str, model.KnownPerson] = {}
    for user in users:
        known = _known_person(user)
        usernames[folded(known.username)] = known
        emails.update({folded(str(each["Value"])): known for each in user.get("Emails") or ()})
    return usernames, emails


def _known_group(group: Mapping[str, Any]) -> model.KnownGroup:
    name, description = str(group.get("DisplayName", "")), group.get("Description", "")
    return model.KnownGroup(group["GroupId"], name, description, external=bool(group.get("ExternalIds")))


def _known_person(user: Mapping[str, Any]) -> model.KnownPerson:
    enabled = user.get("UserStatus", "ENABLED") == "ENABLED"
    external = bool(user.get("ExternalIds"))
    return model.KnownPerson(user["UserId"], user["UserName"], _primary_email(user), enabled, external)


def _primary_email(user: Mapping[str, Any]) -> str:
    emails = user.get("Emails") or [{}]
    primary = next((email for email in emails if email.get("Primary")), emails[0])
    return str(primary.get("Value", ""))
