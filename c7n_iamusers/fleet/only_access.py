# SPDX-License-Identifier: Apache-2.0
"""Whose access through Identity Center may be the only one left, since the IAM user that it replaced may be gone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from c7n_iamusers.aws.center_reader import CenterReader
from c7n_iamusers.decisions.wording import shown
from c7n_iamusers.model.identity_center import folded
from c7n_iamusers.model.undo import MembershipKey, Standing

#: Accounts -> the unique ids of each one's IAM users now, or why they can't be read.
UsersNow = Callable[[Iterable[str]], Mapping[str, Collection[str] | str]]
_MEND = "give --lock-out to remove it all the same"


def nobody_asked(accounts: Iterable[str]) -> dict[str, str]:
    """Where nobody can look into the accounts."""
    return dict.fromkeys(
        accounts, "nobody looked whether its IAM user is there still: give --member-role, or"
    )


def needed_memberships(
    result: Mapping[str, Any], standing: Standing, reader: CenterReader, users_now: UsersNow
) -> dict[MembershipKey, str]:
    """The memberships of ``standing`` whose people may have no other way into an account, and why.

    ``result``: of the run that made them. Raises ClientError.
    """
    made_for = _made_for(result, standing, reader)
    accounts = {arn.split(":")[4] for users in made_for.values() for arn in users}
    there = users_now(sorted(accounts))
    found: dict[MembershipKey, str] = {}
    for membership, users in made_for.items():
        reasons = {
            arn.split(":")[4]: text for arn, unique in users.items() if (text := _gone(arn, unique, there))
        }
        if not users:
            found[membership] = f"the run's result does not say for which IAM user it was made: {_MEND}"
        elif reasons and not _has_other(membership, reasons, set(standing.memberships), reader):
            found[membership] = f"{shown(sorted(set(reasons.values())))} {_MEND}"
    return found


def _made_for(
    result: Mapping[str, Any], standing: Standing, reader: CenterReader
) -> dict[MembershipKey, Mapping[str, str]]:
    """Membership -> the IAM users that it was made for, ARN -> unique id."""
    rows = {(row["group"], folded(row["username"])): row["users"] for row in result.get("memberships", ())}
    groups = {
        group: reader.store.name_of_group(group) for group in {each for each, _ in standing.memberships}
    }
    found: dict[MembershipKey, Mapping[str, str]] = {}
    for group_id, user_id in sorted(standing.memberships):
        attributes = reader.store.user_attributes(user_id) or {}
        key = (str(groups[group_id]), folded(str(attributes.get("UserName", ""))))
        found[group_id, user_id] = rows.get(key, {})
    return found


def _gone(arn: str, unique_id: str, there: Mapping[str, Collection[str] | str]) -> str:
    """Why the IAM user can't be counted on; empty where it is there."""
    account = arn.split(":")[4]
    users = there.get(account, ())
    if isinstance(users, str):
        return users
    if unique_id in users:
        return ""
    return f"IAM user {arn} has been deleted since, so its person may have no other way in:"


def _has_other(
    membership: MembershipKey, accounts: Collection[str], leaving: set[MembershipKey], reader: CenterReader
) -> bool:
    """Whether the person holds something in each of ``accounts`` without what is to be undone."""
    _, user_id = membership
    staying = [group for group in reader.store.groups_of(user_id) if (group, user_id) not in leaving]
    held = {each.account_id for group in staying for each in reader.assignments.of_group(group)}
    held |= {each.account_id for each in reader.assignments.directly_of(user_id)}
    return held.issuperset(accounts)
