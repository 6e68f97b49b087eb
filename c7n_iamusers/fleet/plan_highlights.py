# SPDX-License-Identifier: Apache-2.0
"""What of a plan a person should look at first: permission sets of administrators, and users that are adopted."""

from __future__ import annotations

from collections.abc import Iterator

from c7n_iamusers.decisions.admin_rights import admin_ways
from c7n_iamusers.decisions.wording import shown
from c7n_iamusers.model.access import DesiredAccess
from c7n_iamusers.model.access_plan import ADOPT, AccessPlan
from c7n_iamusers.model.evidence import Grant
from c7n_iamusers.model.identity_center import PermissionSet


def highlights(desired: DesiredAccess, plan: AccessPlan) -> Iterator[str]:
    """A line for each, in the form of the plan's own; none where there are none.

    Nobody knows what a customer-managed policy says in the account, so a set that refers to one is judged by the rest.
    """
    for name, wanted in sorted(desired.permission_sets.items()):
        if ways := admin_ways(_grants(wanted)):
            claims = [claim for claim in plan.served if claim.grant.permission_set == name]
            people = sorted({f"{claim.person[0]} in account {claim.grant.account_id}" for claim in claims})
            yield f"  ! {'administrator':<14} {name} by {', '.join(ways)}: {shown(people) if people else 'nobody'}"
    for change in plan.changes:
        if change.action == ADOPT:
            yield f"  = {'adopts':<14} {change.kind} {change.name}  (exists; {change.rests_on})"


def _grants(wanted: PermissionSet) -> list[Grant]:
    managed = [Grant(arn.rpartition("/")[2], arn) for arn in sorted(wanted.managed_policies)]
    inline = [Grant("its inline policy", document=wanted.inline_policy)] if wanted.inline_policy else []
    return [*managed, *inline]
