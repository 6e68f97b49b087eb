# SPDX-License-Identifier: Apache-2.0
"""Whether a plan fits Identity Center's quotas, before its first call. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from c7n_iamusers.model import access_plan as plan
from c7n_iamusers.model.access import DesiredAccess
from c7n_iamusers.model.access_plan import CenterState, Change
from c7n_iamusers.model.center_quotas import CenterQuotas
from c7n_iamusers.model.identity_center import PermissionSet


def quota_faults(
    desired: DesiredAccess, state: CenterState, changes: Iterable[Change], sets: int, quotas: CenterQuotas
) -> tuple[str, ...]:
    """Each quota that ``changes`` would go beyond, with the figures and the mend; ``sets``: those of the instance."""
    listed = list(changes)
    return (*_of_instance(listed, sets, quotas), *_of_accounts(desired, state, listed, quotas))


def check_policies(wanted: PermissionSet, quotas: CenterQuotas) -> str:
    """Why the set has too many policies; empty where it has not."""
    count = len(wanted.managed_policies) + len(wanted.customer_policies)
    if count <= quotas.policies_per_set:
        return ""
    return (
        f"permission set {wanted.name} has {count} managed policies, and one takes {quotas.policies_per_set}: put some "
        f"into its inline policy, or have the quota raised and give --quota policies-per-set={count}"
    )


def _of_instance(changes: list[Change], sets: int, quotas: CenterQuotas) -> Iterator[str]:
    new = sum((each.kind, each.action) == (plan.PERMISSION_SET, plan.CREATE) for each in changes)
    if new and sets + new > quotas.permission_sets:
        yield (
            f"{new} permission sets beside the {sets} that there are make {sets + new}, and an instance takes "
            f"{quotas.permission_sets}: let users with nearly the same policies share them, or have the quota raised "
            f"and give --quota permission-sets={sets + new}"
        )


def _of_accounts(
    desired: DesiredAccess, state: CenterState, changes: list[Change], quotas: CenterQuotas
) -> Iterator[str]:
    made = {change.key for change in changes if change.kind == plan.ASSIGNMENT and change.is_work}
    sets: defaultdict[str, set[str]] = defaultdict(set)
    groups: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for name, group in desired.groups.items():
        for grant in group.grants:
            if f"{plan.ASSIGNMENT} {grant.account_id}/{grant.permission_set}/{name}" in made:
                sets[grant.account_id].add(grant.permission_set)
                groups[grant.account_id, grant.permission_set].add(name)
    for account, new in sorted(sets.items()):
        standing = state.standing.holders.get(account, {})
        names = {state.standing.set_names.get(arn, arn) for arn in standing}
        if len(names | new) > quotas.sets_per_account:
            yield (
                f"account {account} would have {len(names | new)} permission sets, and takes "
                f"{quotas.sets_per_account}: remove some, or have the quota raised and give --quota "
                f"sets-per-account={len(names | new)}"
            )
    for (account, name), added in sorted(groups.items()):
        known = state.permission_sets.get(name)
        held = state.standing.holders.get(account, {}).get(known.arn, frozenset()) if known else frozenset()
        count = len(added) + sum(kind == "GROUP" for kind, _ in held)
        if count > quotas.groups_per_set:
            yield (
                f"permission set {name} would have {count} groups in account {account}, and takes "
                f"{quotas.groups_per_set}: let people share groups, or have the quota raised and give --quota "
                f"groups-per-set={count}"
            )
