# SPDX-License-Identifier: Apache-2.0
"""Reading people and groups of the identity store.

One call after the other on purpose: the identity store takes 20 calls a second in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.aws.paging import items
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.model.identity_center import Instance, KnownGroup, KnownPerson, Person

_PAGE = 100


@dataclass(frozen=True)
class IdentityStore:
    """The identity store of ``instance``, through ``client`` (identitystore)."""

    client: Any
    instance: Instance
    backoff: Backoff

    def find_person(self, person: Person) -> tuple[KnownPerson | None, KnownPerson | None]:
        """Who has the username, and who has the e-mail where nobody has the username.

        A user has one e-mail, which is unique, so the second question is moot where the first has an answer.
        """
        user_id = self._id("get_user_id", "UserId", "userName", person.username)
        if user_id:
            return self._describe(user_id), None
        for email in dict.fromkeys((person.email, person.email.lower())):
            # Whether the lookup minds case is written nowhere.
            user_id = self._id("get_user_id", "UserId", "emails.value", email)
            if user_id:
                return None, self._describe(user_id)
        return None, None

    def find_group(self, name: str) -> KnownGroup | None:
        """The group of that display name with its members; its assignments are not read here."""
        group_id = self._id("get_group_id", "GroupId", "displayName", name)
        if group_id is None:
            return None
        described = self._call("describe_group", GroupId=group_id)
        return KnownGroup(group_id, name, described.get("Description", ""), self.members(group_id))

    def members(self, group_id: str) -> frozenset[str]:
        """The user ids of the group's members."""
        found = items(
            self.client,
            "ListGroupMemberships",
            "GroupMemberships",
            self.backoff,
            IdentityStoreId=self.instance.identity_store_id,
            GroupId=group_id,
            MaxResults=_PAGE,
        )
        return frozenset(each["MemberId"]["UserId"] for each in found)

    def _describe(self, user_id: str) -> KnownPerson:
        user = self._call("describe_user", UserId=user_id)
        enabled = user.get("UserStatus", "ENABLED") == "ENABLED"
        return KnownPerson(user_id, user["UserName"], _primary_email(user), enabled)

    def _id(self, method: str, member: str, path: str, text: str) -> str | None:
        identifier = {"UniqueAttribute": {"AttributePath": path, "AttributeValue": text}}
        missing = self.client.exceptions.ResourceNotFoundException
        try:
            return str(self._call(method, AlternateIdentifier=identifier)[member])
        except missing as error:
            # The store itself may be what is missing, and that is not an answer to the question.
            if error.response.get("ResourceType") == "IDENTITY_STORE":
                raise
            return None

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        call = getattr(self.client, method)
        response: dict[str, Any] = self.backoff.call(
            call, IdentityStoreId=self.instance.identity_store_id, **parameters
        )
        return response


def _primary_email(user: Mapping[str, Any]) -> str:
    emails = user.get("Emails") or [{}]
    primary = next((email for email in emails if email.get("Primary")), emails[0])
    return str(primary.get("Value", ""))
