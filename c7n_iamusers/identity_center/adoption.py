# SPDX-License-Identifier: Apache-2.0
"""Which existing groups, users and permission sets serve the desired access. Pure.

A group or user is adopted if it was made for this access, and gives nobody more. Derived permission sets and groups
keep the names that the previous version gave them. Such a permission set may be shared by people of several accounts,
and may refer to policies that only some of them have. So a person keeps it only if the person's own policies allow
all that it grants, and include the policies that it refers to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from c7n_iamusers.derivation.permission_set import PermissionSet, duration_seconds
from c7n_iamusers.derivation.proving import ExistingSetProofs
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center import model
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER
from c7n_iamusers.text.wording import folded, shown


def check_group(
    group: model.Group,
    known: model.KnownGroup | None,
    own: Collection[model.Assignment],
    names: Mapping[str, str] | None = None,
) -> None:
    """Raises IdentityCenterError for an existing group that gives more than requested, or was made for something else.

    ``own``: its requested assignments, as far as their permission sets exist. ``names``: of permission sets, by ARN.
    """
    if known is None or group.shared:
        return
    if not group.external and not known.description.startswith(group.description):
        raise IdentityCenterError(
            f"group {group.name} exists, and its description {known.description!r} does not begin with "
            f"{group.description!r}, so it was not made for this: give another group name, or set shared-group: true "
            "if its members may have this access and newcomers all that the group has"
        )
    further = sorted(known.assignments.difference(own), key=str)
    if model.UNKNOWN_ASSIGNMENT in further:
        raise IdentityCenterError(
            f"the assignments of group {group.name} can't be read, so it is not known what else it gives: only the "
            "management account may call sso:ListAccountAssignmentsForPrincipal: set role: to a role of it, or set "
            "shared-group: true"
        )
    if further:
        raise IdentityCenterError(
            f"group {group.name} also gives its members {_listed(further, names or {})}: give another group name "
            "(one that has {account_id} in it, for instance), remove those assignments, or set shared-group: true"
        )


def check_members(
    group: model.Group,
    known: model.KnownGroup | None,
    own: Collection[model.Assignment],
    complete: bool,
    expected: Collection[str],
) -> None:
    """Raises IdentityCenterError if assigning the group would give access to members who are not requested.

    ``own``: see ``check_group``. ``complete``: all permission sets of the group exist. ``expected``: the user ids of
    the requested members.
    """
    unexpected_members = sorted((known.members if known else frozenset()).difference(expected))
    assigned = complete and known is not None and known.assignments.issuperset(own)
    if unexpected_members and not (assigned or group.shared):
        remove = "have the identity provider's owner remove them" if group.external else "remove them"
        accounts = ", ".join(sorted({grant.account_id for grant in group.grants}))
        raise IdentityCenterError(
            f"group {group.name} is not assigned yet and has {len(unexpected_members)} member(s) who are not among "
            f"this run's users (user ids {shown(unexpected_members)}), and assigning it would give them access to "
            f"account {accounts}: {remove}, give another group name, or set shared-group: true"
        )


def _listed(assignments: list[model.Assignment], names: Mapping[str, str]) -> str:
    found = [(names.get(each.permission_set_arn, each.permission_set_arn), each) for each in assignments]
    return shown([f"{name} in account {each.account_id}" for name, each in found])


def same_person(
    person: model.Person, by_username: model.KnownPerson | None, by_email: model.KnownPerson | None
) -> model.KnownPerson | None:
    """The existing user with the person's username and e-mail; None if there is none.

    ``by_username``: the user with the username. ``by_email``: the user with the e-mail, if no user has the username.
    Raises IdentityCenterError if a user has only one of the two, or is disabled.
    """
    if by_username and folded(by_username.email) != folded(person.email):
        raise IdentityCenterError(
            f"Identity Center user {by_username.username} exists with an e-mail other than {person.email}, so it may "
            "be another person's: correct e-mail or username there, or where the policy reads them"
        )
    if by_email and by_username is None:
        raise IdentityCenterError(
            f"e-mail {person.email} belongs to Identity Center user {by_email.username}, not to {person.username}, so "
            "it may be another person's: correct e-mail or username there, or where the policy reads them"
        )
    if by_username and not by_username.enabled:
        raise IdentityCenterError(
            f"Identity Center user {by_username.username} is disabled: enable it, or leave the IAM user out"
        )
    return by_username


def with_earlier_names(
    desired: model.DesiredAccess, state: model.CenterState, proofs: ExistingSetProofs
) -> model.DesiredAccess:
    """``desired``, in which claims use existing access under earlier names as far as they may."""
    kept = _kept(desired, state, proofs)
    claims = tuple(_earlier(claim) if claim in kept else claim for claim in desired.claims)
    if not kept:
        return desired
    groups = {
        **desired.groups,
        **{claim.earlier.group.name: claim.earlier.group for claim in kept if claim.earlier},
    }
    named = {claim.group for claim in claims}
    used: dict[str, model.Group] = {name: group for name, group in groups.items() if name in named}
    sets = {grant.permission_set for group in used.values() for grant in group.grants}
    return replace(
        desired,
        claims=claims,
        groups=used,
        permission_sets={name: _settings(name, desired, state) for name in sorted(sets)},
    )


def _kept(
    desired: model.DesiredAccess, state: model.CenterState, proofs: ExistingSetProofs
) -> frozenset[model.Claim]:
    """The claims that keep their earlier names: all of a person's claims in a group, or none."""
    by_group: defaultdict[tuple[model.PersonKey, str], list[model.Claim]] = defaultdict(list)
    for claim in desired.claims:
        by_group[claim.person, claim.group].append(claim)
    usable: dict[tuple[str, model.Grant, str], bool] = {}
    kept: set[model.Claim] = set()
    for claims in by_group.values():
        if all(_keeps(claim, state, proofs, usable) for claim in claims):
            kept.update(claims)
    return frozenset(kept)


def _keeps(
    claim: model.Claim,
    state: model.CenterState,
    proofs: ExistingSetProofs,
    usable: dict[tuple[str, model.Grant, str], bool],
) -> bool:
    earlier = claim.earlier
    if earlier is None:
        return False
    known = state.permission_sets.get(earlier.grant.permission_set)
    if known is None or not _is_unchanged(earlier.group, state):
        return False
    # Users with the same derived permission set have the same policies, and the same proof.
    key = (claim.grant.permission_set, earlier.grant, claim.verdict)
    if key not in usable:
        usable[key] = may_replace(claim, known, proofs)
    return usable[key]


def _is_unchanged(group: model.Group, state: model.CenterState) -> bool:
    """Whether the group exists, is managed or external, and has exactly its assignments."""
    known = state.groups.get(group.name)
    if known is None or not (group.external or known.description.startswith(group.description)):
        return False
    sets = state.permission_sets
    names = {grant.permission_set for grant in group.grants}
    if not names <= sets.keys():
        return False
    own = {model.Assignment(grant.account_id, sets[grant.permission_set].arn) for grant in group.grants}
    return known.assignments == own


def may_replace(claim: model.Claim, known: model.KnownPermissionSet, proofs: ExistingSetProofs) -> bool:
    """Whether the claim may use an existing permission set instead of its derived one.

    It must be managed, have the duration of the derived one, refer only to policies that the user has, and grant no
    more than the user's policies.
    """
    arn, settings = claim.subject.arn, known.settings
    if not settings.is_managed:
        return False
    references = [*settings.customer_policies, *_customer_boundary(settings)]
    if not proofs.has_itself(arn, references):
        return False
    requested = proofs.session_seconds(arn)
    if requested is None or duration_seconds(settings.session_duration) != requested:
        return False
    verdict = proofs.verdict(arn, settings)
    # An acceptance covers the proof of the derived permission set, not that of the existing one.
    return verdict == EQUAL or verdict == claim.verdict == NARROWER


def _customer_boundary(settings: PermissionSet) -> Iterable[str]:
    return [settings.boundary] if settings.boundary and not settings.boundary.startswith("arn:") else []


def _earlier(claim: model.Claim) -> model.Claim:
    assert claim.earlier
    return replace(claim, group=claim.earlier.group.name, grant=claim.earlier.grant, earlier=None)


def _settings(name: str, desired: model.DesiredAccess, state: model.CenterState) -> PermissionSet:
    """As requested, or else as it exists."""
    found: Mapping[str, PermissionSet] = desired.permission_sets
    return found[name] if name in found else state.permission_sets[name].settings
