# SPDX-License-Identifier: Apache-2.0
"""Derived sets and groups that the version before named stay in use, unless they are to be replaced. Pure.

A set that stands may be shared by people of several accounts and refer to policies that only some of them have. It
stays only for those whose own policies allow all that it grants, as it stands, and who have what it refers to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from c7n_iamusers.derivation.existing_sets import ExistingSetProofs
from c7n_iamusers.derivation.permission_set import MANAGED_TAG, PermissionSet, duration_seconds
from c7n_iamusers.identity_center.model import (
    Assignment,
    CenterState,
    Claim,
    DesiredAccess,
    Grant,
    Group,
    KnownPermissionSet,
    PersonKey,
)
from c7n_iamusers.policy_comparison.proof import EQUAL, NARROWER


def with_earlier_names(
    desired: DesiredAccess, state: CenterState, proofs: ExistingSetProofs
) -> DesiredAccess:
    """``desired``, with what stands under its earlier name in the place of what would take its place."""
    kept = _kept(desired, state, proofs)
    claims = tuple(_earlier(claim) if claim in kept else claim for claim in desired.claims)
    if not kept:
        return desired
    groups = {
        **desired.groups,
        **{claim.earlier.group.name: claim.earlier.group for claim in kept if claim.earlier},
    }
    named = {claim.group for claim in claims}
    used: dict[str, Group] = {name: group for name, group in groups.items() if name in named}
    sets = {grant.permission_set for group in used.values() for grant in group.grants}
    return replace(
        desired,
        claims=claims,
        groups=used,
        permission_sets={name: _form(name, desired, state) for name in sorted(sets)},
    )


def _kept(desired: DesiredAccess, state: CenterState, proofs: ExistingSetProofs) -> frozenset[Claim]:
    """A group stands for all of a person's sets in it, so it stays for all or for none of them."""
    by_group: defaultdict[tuple[PersonKey, str], list[Claim]] = defaultdict(list)
    for claim in desired.claims:
        by_group[claim.person, claim.group].append(claim)
    usable: dict[tuple[str, Grant, str], bool] = {}
    kept: set[Claim] = set()
    for claims in by_group.values():
        if all(_stays(claim, state, proofs, usable) for claim in claims):
            kept.update(claims)
    return frozenset(kept)


def _stays(
    claim: Claim, state: CenterState, proofs: ExistingSetProofs, usable: dict[tuple[str, Grant, str], bool]
) -> bool:
    earlier = claim.earlier
    if earlier is None:
        return False
    known = state.permission_sets.get(earlier.grant.permission_set)
    if known is None or not _holds(earlier.group, state):
        return False
    # Whoever would get the same derived set has the same policies, and the same proof.
    key = (claim.grant.permission_set, earlier.grant, claim.verdict)
    if key not in usable:
        usable[key] = may_stand_for(claim, known, proofs)
    return usable[key]


def _holds(group: Group, state: CenterState) -> bool:
    """Whether the group stands, is ours, and holds what it was to hold and nothing else."""
    known = state.groups.get(group.name)
    if known is None or not (group.external or known.description.startswith(group.description)):
        return False
    sets = state.permission_sets
    names = {grant.permission_set for grant in group.grants}
    if not names <= sets.keys():
        return False
    own = {Assignment(grant.account_id, sets[grant.permission_set].arn) for grant in group.grants}
    return known.assignments == own


def _is_foreign(known: KnownPermissionSet) -> bool:
    key, value = MANAGED_TAG
    return known.settings.tags.get(key) != value


def may_stand_for(claim: Claim, known: KnownPermissionSet, proofs: ExistingSetProofs) -> bool:
    """Whether the set, as it stands, is as good as the derived one that the claim is for, and grants no more."""
    arn, settings = claim.subject.arn, known.settings
    if _is_foreign(known):
        return False
    references = [*settings.customer_policies, *_customer_boundary(settings)]
    if not proofs.has_itself(arn, references):
        return False
    wanted = proofs.session_seconds(arn)
    if wanted is None or duration_seconds(settings.session_duration) != wanted:
        return False
    verdict = proofs.verdict(arn, settings)
    # What somebody accepted is the derived set's proof, not that of whatever stands.
    return verdict == EQUAL or verdict == claim.verdict == NARROWER


def _customer_boundary(settings: PermissionSet) -> Iterable[str]:
    return [settings.boundary] if settings.boundary and not settings.boundary.startswith("arn:") else []


def _earlier(claim: Claim) -> Claim:
    assert claim.earlier
    return replace(claim, group=claim.earlier.group.name, grant=claim.earlier.grant, earlier=None)


def _form(name: str, desired: DesiredAccess, state: CenterState) -> PermissionSet:
    """As asked for, or as it stands."""
    found: Mapping[str, PermissionSet] = desired.permission_sets
    return found[name] if name in found else state.permission_sets[name].settings
