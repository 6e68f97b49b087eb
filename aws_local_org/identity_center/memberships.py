# SPDX-License-Identifier: Apache-2.0
"""Memberships of users in groups; each has an id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aws_local_org.identity_center import clock, rules
from aws_local_org.identity_center.directory import GROUPS, USERS
from aws_local_org.identity_center.state import IdentityStore, Membership


def create(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    """Raises ConflictException if the user is in the group already."""
    user_id, group_id = _user_id(store, parameters), GROUPS.find(store, parameters["GroupId"]).id
    if _matching(store, lambda each: (each.user_id, each.group_id) == (user_id, group_id)):
        raise rules.conflict("Member and Group already exist", Reason="UNIQUENESS_CONSTRAINT_VIOLATION")
    membership = Membership(store.new_id(), group_id, user_id, clock.now())
    store.memberships[membership.id] = membership
    return _identified(store, membership)


def describe(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    return _described(store, _find(store, parameters["MembershipId"]))


def get_id(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    user_id, group_id = _plain(_member(parameters)), _plain(parameters["GroupId"])
    found = _matching(store, lambda each: (each.user_id, each.group_id) == (user_id, group_id))
    if not found:
        raise rules.not_found("GROUP_MEMBERSHIP not found.", ResourceType="GROUP_MEMBERSHIP")
    return _identified(store, found[0])


def delete(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    del store.memberships[_find(store, parameters["MembershipId"]).id]
    return {}


def list_of_group(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    group_id = GROUPS.find(store, parameters["GroupId"]).id
    return _page(store, parameters, _matching(store, lambda each: each.group_id == group_id))


def list_of_member(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    user_id = _user_id(store, parameters)
    return _page(store, parameters, _matching(store, lambda each: each.user_id == user_id))


def is_member(store: IdentityStore, parameters: dict[str, Any]) -> dict[str, Any]:
    user_id = _user_id(store, parameters)
    joined = {each.group_id for each in _matching(store, lambda each: each.user_id == user_id)}
    results = [
        {"GroupId": each, "MemberId": {"UserId": user_id}, "MembershipExists": _plain(each) in joined}
        for each in parameters["GroupIds"]
    ]
    return {"Results": results}


def _find(store: IdentityStore, identifier: str) -> Membership:
    wanted = _plain(identifier)
    if wanted not in store.memberships:
        raise rules.not_found(
            "GROUP_MEMBERSHIP not found.", ResourceType="GROUP_MEMBERSHIP", ResourceId=wanted
        )
    return store.memberships[wanted]


def _matching(store: IdentityStore, wanted: Callable[[Membership], bool]) -> list[Membership]:
    return [each for each in store.memberships.values() if wanted(each)]


def _page(store: IdentityStore, parameters: dict[str, Any], found: list[Membership]) -> dict[str, Any]:
    return rules.page("GroupMemberships", [_described(store, each) for each in found], parameters)


def _user_id(store: IdentityStore, parameters: dict[str, Any]) -> str:
    return USERS.find(store, _member(parameters)).id


def _member(parameters: dict[str, Any]) -> str:
    if "UserId" not in parameters["MemberId"]:
        raise rules.invalid("MemberId must name a UserId")
    return str(parameters["MemberId"]["UserId"])


def _plain(identifier: str) -> str:
    return identifier.rpartition("/")[2]


def _described(store: IdentityStore, membership: Membership) -> dict[str, Any]:
    return {
        **_identified(store, membership),
        "GroupId": membership.group_id,
        "MemberId": {"UserId": membership.user_id},
        "CreatedAt": membership.created_at,
        "UpdatedAt": membership.created_at,
    }


def _identified(store: IdentityStore, membership: Membership) -> dict[str, Any]:
    return {
        "IdentityStoreId": store.id,
        "MembershipId": membership.id,
        "MembershipArn": f"arn:{store.partition}:identitystore:::membership/{membership.id}",
    }
