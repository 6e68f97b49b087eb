# SPDX-License-Identifier: Apache-2.0
"""Rules of findings on what a user may do, and on who depends on it. Pure."""

from __future__ import annotations

from c7n_iamusers.decisions.admin_rights import admin_ways
from c7n_iamusers.decisions.deletion_guards import COMPROMISED
from c7n_iamusers.decisions.finding_case import Answer, Case
from c7n_iamusers.model.attachments import ATTACHED_POLICY, INLINE_POLICY, PERMISSIONS_BOUNDARY

_SHOWN = 5


def admin_rights(case: Case) -> Answer:
    """A policy of it or of its groups allows every action, or every action of IAM, on every resource."""
    ways = admin_ways(case.evidence.grants)
    if not ways:
        return ways
    boundary = case.user.attachments.get(PERMISSIONS_BOUNDARY.name)
    within = f", within its boundary {boundary[0].get('PermissionsBoundaryArn', '')}" if boundary else ""
    return (f"Administrator by {_some(ways)}{within}.",)


def inline_policies(case: Case) -> Answer:
    """It has inline policies."""
    return _attached(case, INLINE_POLICY.name, "inline policies")


def directly_attached_policies(case: Case) -> Answer:
    """Managed policies are attached to it and not to a group."""
    return _attached(case, ATTACHED_POLICY.name, "policies attached to it and not to a group")


def no_boundary(case: Case) -> Answer:
    """It has no permissions boundary."""
    boundary = case.user.attachments.get(PERMISSIONS_BOUNDARY.name)
    if boundary is None:
        return None
    return () if boundary else ("No permissions boundary limits what it may be given.",)


def role_trusts_user(case: Case) -> Answer:
    """The trust policy of a role in this account names it; the role breaks when the user goes."""
    roles = case.evidence.trusted_by
    if not roles:
        return roles
    return (f"Roles trust it by name and break when it goes: {', '.join(roles)}.",)


def compromised_key(case: Case) -> Answer:
    """AWS attached an `AWSCompromisedKeyQuarantine` policy, since it saw a key leaked."""
    attached = case.user.attachments.get(ATTACHED_POLICY.name)
    if attached is None:
        return None
    held = [name for each in attached if (name := str(each.get("PolicyName", ""))).startswith(COMPROMISED)]
    return tuple(f"AWS attached {name}: a key of it leaked, and a person must look into it." for name in held)


def _attached(case: Case, kind: str, title: str) -> Answer:
    found = case.user.attachments.get(kind)
    if not found:
        return found if found is None else ()
    return (f"Has {title}: {_some(tuple(str(each.get('PolicyName', '?')) for each in found))}.",)


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
