# SPDX-License-Identifier: Apache-2.0
"""The plan from the desired access and the current state: the changeset, refusals, totals and side effects. Pure.

A permission set is complete before it is assigned. Before a person joins a group, the group's accounts have the
requested form, and the person's own assignment has SUCCEEDED. So a run that stops at any point has given no person more
than requested. Nothing is created for refused users.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.planning.access_review import total_access
from c7n_iamusers.identity_center.planning.account_provisioning import earlier_forms
from c7n_iamusers.identity_center.planning.adoption import Problems, same_person
from c7n_iamusers.identity_center.planning.changeset import Changes, claim_keys
from c7n_iamusers.identity_center.planning.plan_input import PlanEvidence, PlanInput
from c7n_iamusers.identity_center.planning.removals import Removals, find_removals
from c7n_iamusers.identity_center.planning.replacements import changed_people, inherited_access
from c7n_iamusers.identity_center.planning.review_input import Comparison
from c7n_iamusers.identity_center.planning.unrequested_access import SideEffects
from c7n_iamusers.identity_center.requests.lookalikes import lookalikes, special
from c7n_iamusers.identity_center.requests.spelling import refused_spellings
from c7n_iamusers.text.wording import shown

_NO_REMOVALS = access_plan.Choices()


def plan_access(
    desired: model.DesiredAccess,
    state: model.CenterState,
    instance: model.Instance,
    choices: access_plan.Choices = _NO_REMOVALS,
    evidence: PlanEvidence | None = None,
    as_is: bool = False,
) -> access_plan.AccessPlan:
    """The plan, whose refusals include those of ``desired``. ``as_is``: see ``Comparison``."""
    known = evidence or PlanEvidence()
    people, unrecognized = _recognized(desired.people, state)
    problems = Problems(desired, state, people, unrecognized, instance, known.quotas)
    spelled = refused_spellings(desired, people, known.proofs)
    inherited = {
        **inherited_access(desired.claims, people, state, known.history, known.elsewhere),
        **changed_people(desired.claims, people, state, known.history),
    }
    earlier = {} if desired.external else earlier_forms(desired, state, instance)
    found_problems = {
        claim: inherited.get(claim) or problems.of(claim) or _of_joining(claim, earlier, people, state)
        for claim in desired.claims
    }
    claims = [claim for claim in desired.claims if not (found_problems[claim] or claim in spelled)]
    refused = [
        model.RefusedUser(
            claim.subject,
            reasons.NOT_PLANNED(user=claim.subject, why=problem),
            claim.place,
            claim.person not in unrecognized and claim not in inherited,
        )
        for claim, problem in found_problems.items()
        if problem
    ]
    refused += [refusal for claim, refusal in spelled.items() if not found_problems[claim]]
    given = PlanInput(desired, state, people, claims, instance, known)
    side_effects = SideEffects(given)
    builder = Changes(given, side_effects)
    comparison = Comparison(given, choices, side_effects, (*desired.refused, *refused), as_is)
    removals = find_removals(comparison)
    totals, ending = total_access(comparison, removals)
    missing = list(_missing(desired, state, people, claims))
    waiting = {each.claim for each in missing}
    return access_plan.AccessPlan(
        (*builder.all(), *removals.going),
        (*desired.refused, *refused),
        tuple(missing),
        {claim: claim_keys(claim) for claim in claims if claim not in waiting},
        people,
        removals.stale,
        totals,
        ending,
        removals.unexpected_members,
        side_effects=side_effects.all(),
        leftovers=tuple(_leftovers(given, removals, as_is)) if as_is or choices.prune else (),
    )


def _leftovers(given: PlanInput, removals: Removals, as_is: bool) -> Iterator[str]:
    """The assignments whose group or user is gone, in words: see ``AccessPlan``."""
    current, instance = given.state.current, given.instance
    held = defaultdict[str, set[tuple[str, model.Principal]]](set)
    here = (
        ((account, arn), found) for account, sets in current.holders.items() for arn, found in sets.items()
    )
    for (account, arn), principals in (*here, *current.outside.items()):
        held[arn] |= {(account, principal) for principal in principals}
    removed = {change.key for change in (removals.stale if as_is else removals.going)}
    for arn, known in sorted(current.sets.items(), key=lambda item: item[1].settings.name):
        name, left = known.settings.name, {each for each in held[arn] if each[1] in current.gone}
        requested = name in given.desired.permission_sets
        stays = any(
            f"remove {model.ASSIGNMENT} {account}/{arn}/{principal}" not in removed
            for account, (_, principal) in held[arn] - left
        )
        # An unrequested permission set goes with its last assignment, unless unchosen accounts may request it.
        keeps = not (requested or stays or given.evidence.only is not None)
        for account, (kind, principal) in sorted(left if requested or known.settings.is_managed else ()):
            leaves = given.state.in_progress.deletion(model.Pending(account, arn, principal, kind))
            if leaves if as_is else not keeps:
                continue
            told = (
                f"permission set {name} is assigned in account {account} to {kind.lower()} {principal}, which no "
                "longer exists: nobody has access by that"
                f"{', and it keeps the permission set from being removed' if keeps else ''}. "
            )
            yield told + (
                "It is being deleted: run again when that has ended"
                if leaves
                else "To remove it: aws sso-admin delete-account-assignment --region "
                f"{instance.region} --instance-arn {instance.arn} --permission-set-arn {arn} --target-type "
                f"AWS_ACCOUNT --target-id {account} --principal-type {kind} --principal-id {principal}"
            )


def _of_joining(
    claim: model.Claim,
    earlier: Mapping[str, str],
    people: Mapping[model.PersonKey, model.KnownPerson],
    state: model.CenterState,
) -> str:
    """Why the person may not join the group; empty for one who is in it. ``earlier``: see ``earlier_forms``."""
    reason, known = earlier.get(claim.group, ""), people.get(claim.person)
    return "" if known and reason and known.user_id in state.groups[claim.group].members else reason


def recognized(person: model.Person, state: model.CenterState) -> model.KnownPerson | None:
    """The person's existing user, if any. Raises IdentityCenterError if it may be another person's."""
    username, email = person.key
    return same_person(person, state.usernames.get(username), state.emails.get(email))


def _recognized(
    people: Mapping[model.PersonKey, model.Person], state: model.CenterState
) -> tuple[dict[model.PersonKey, model.KnownPerson], dict[model.PersonKey, str]]:
    known: dict[model.PersonKey, model.KnownPerson] = {}
    unrecognized: dict[model.PersonKey, str] = {}
    usernames = lookalikes({*state.usernames, *(username for username, _ in people)})
    emails = lookalikes({*state.emails, *(email for _, email in people)})
    for key, person in people.items():
        alike = {
            known_user.username: known_user
            for users, others in (
                (state.usernames, usernames.get(key[0])),
                (state.emails, emails.get(key[1])),
            )
            for other in others or ()
            if (known_user := users.get(other))
        }
        try:
            if found := recognized(person, state):
                known[key] = found
            elif alike:
                unrecognized[key] = _looks_like(person, sorted(alike))
        except IdentityCenterError as error:
            unrecognized[key] = str(error)
    return known, unrecognized


def _looks_like(person: model.Person, usernames: Sequence[str]) -> str:
    return (
        f"{person.username} <{person.email}> ({special(person.username + person.email) or 'ASCII'}) looks like the "
        f"existing Identity Center user {shown(usernames)}, and may be the same human or not: correct username and "
        "e-mail there, or where the policy reads them"
    )


def _missing(
    desired: model.DesiredAccess,
    state: model.CenterState,
    people: Mapping[model.PersonKey, model.KnownPerson],
    claims: Sequence[model.Claim],
) -> Iterator[access_plan.Missing]:
    for claim in claims if desired.external else ():
        person, group = desired.people[claim.person], state.groups.get(claim.group)
        found = people.get(claim.person)
        if found is None:
            yield access_plan.Missing(
                claim,
                "user",
                reasons.USER_AWAITED(
                    username=person.username, email=person.email, name=person.display_name, group=claim.group
                ),
            )
        elif group is None:
            yield access_plan.Missing(
                claim,
                "group",
                reasons.GROUP_AWAITED(group=claim.group, username=person.username),
            )
        elif found.user_id not in group.members:
            yield access_plan.Missing(
                claim,
                "membership",
                reasons.MEMBERSHIP_AWAITED(username=person.username, group=claim.group),
            )
