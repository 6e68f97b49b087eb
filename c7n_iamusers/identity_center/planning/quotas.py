# SPDX-License-Identifier: Apache-2.0
"""The quotas of Identity Center, and those that a plan would exceed. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center import access_plan, model


@dataclass(frozen=True)
class CenterQuotas:
    """Quotas of IAM Identity Center, by default the service's (User Guide, "Quotas and limits"). No API returns them.

    ``permission_sets``: per instance. ``sets_per_account``: provisioned permission sets per account.
    ``groups_per_set``: per permission set in one account. ``policies_per_set``: managed policies of either kind.
    ``groups_per_person``: of which one person is a member.
    """

    permission_sets: int = 3500
    sets_per_account: int = 500
    groups_per_set: int = 100
    policies_per_set: int = 20
    groups_per_person: int = 1000


def quota_faults(
    desired: model.DesiredAccess,
    state: model.CenterState,
    changes: Iterable[access_plan.Change],
    sets: int,
    quotas: CenterQuotas,
) -> tuple[str, ...]:
    """The quotas that ``changes`` would exceed, in words. ``sets``: how many permission sets the instance has."""
    listed = list(changes)
    return (*_of_instance(listed, sets, quotas), *_of_accounts(desired, state, listed, quotas))


def check_policies(requested: PermissionSet, quotas: CenterQuotas) -> str:
    """Why the permission set has too many policies; empty if it does not."""
    count = len(requested.managed_policies) + len(requested.customer_policies)
    if count <= quotas.policies_per_set:
        return ""
    return (
        f"permission set {requested.name} has {count} managed policies, and the quota is {quotas.policies_per_set}: "
        f"move some into its inline policy, or raise the quota and give --quota policies-per-set={count}"
    )


def _of_instance(changes: list[access_plan.Change], sets: int, quotas: CenterQuotas) -> Iterator[str]:
    new = sum(
        (change.kind, change.action) == (model.PERMISSION_SET, access_plan.CREATE) for change in changes
    )
    if new and sets + new > quotas.permission_sets:
        yield (
            f"{new} new permission sets and {sets} existing ones make {sets + new}, and the quota of an instance is "
            f"{quotas.permission_sets}: give users with nearly the same policies the same ones, or raise the quota "
            f"and give --quota permission-sets={sets + new}"
        )


def _of_accounts(
    desired: model.DesiredAccess,
    state: model.CenterState,
    changes: list[access_plan.Change],
    quotas: CenterQuotas,
) -> Iterator[str]:
    made = {change.key for change in changes if change.kind == model.ASSIGNMENT and change.is_work}
    sets: defaultdict[str, set[str]] = defaultdict(set)
    groups: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for name, group in desired.groups.items():
        for grant in group.grants:
            if f"{model.ASSIGNMENT} {grant.account_id}/{grant.permission_set}/{name}" in made:
                sets[grant.account_id].add(grant.permission_set)
                groups[grant.account_id, grant.permission_set].add(name)
    for account, new in sorted(sets.items()):
        current = state.current.holders.get(account, {})
        names = {state.current.set_names.get(arn, arn) for arn in current}
        if len(names | new) > quotas.sets_per_account:
            yield (
                f"account {account} would have {len(names | new)} permission sets, and the quota is "
                f"{quotas.sets_per_account}: remove some, or raise the quota and give --quota "
                f"sets-per-account={len(names | new)}"
            )
    for (account, name), added in sorted(groups.items()):
        known = state.permission_sets.get(name)
        held = state.current.holders.get(account, {}).get(known.arn, frozenset()) if known else frozenset()
        being_added = {
            state.groups[added_name].group_id for added_name in added if added_name in state.groups
        }
        count = len(added) + sum(kind == "GROUP" and holder not in being_added for kind, holder in held)
        if count > quotas.groups_per_set:
            yield (
                f"permission set {name} would have {count} groups in account {account}, and the quota is "
                f"{quotas.groups_per_set}: share groups, or raise the quota and give --quota "
                f"groups-per-set={count}"
            )
