# SPDX-License-Identifier: Apache-2.0
"""From what is asked for and what stands to what is to be done, object by object. Pure.

A permission set is complete before it is assigned, and an assignment has SUCCEEDED before anybody joins its group,
so a run that stops anywhere has given nobody more than was asked for. For whoever is refused nothing is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from c7n_iamusers.derivation.existing_sets import ExistingSetProofs
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.adoption import same_person
from c7n_iamusers.identity_center.changes import Changes, Problems
from c7n_iamusers.identity_center.model import (
    AccessPlan,
    CenterQuotas,
    CenterState,
    Choices,
    Claim,
    DesiredAccess,
    Instance,
    KnownPerson,
    Missing,
    Person,
    PersonKey,
    Refused,
)
from c7n_iamusers.identity_center.reaching import Reaching
from c7n_iamusers.identity_center.totals import Comparison, MadeFor, review

_CODE = IdentityCenterError.__name__
_NOTHING_GOES = Choices()


@dataclass(frozen=True)
class Evidence:
    """What is known beside Identity Center itself.

    ``proofs``: the IAM users whose policies are known. ``made_for``: see ``totals``. ``quotas``: Identity Center's.
    """

    proofs: ExistingSetProofs = field(default_factory=ExistingSetProofs)
    made_for: MadeFor = field(default_factory=dict)
    quotas: CenterQuotas = field(default_factory=CenterQuotas)


def plan_access(
    desired: DesiredAccess,
    state: CenterState,
    instance: Instance,
    choices: Choices = _NOTHING_GOES,
    evidence: Evidence | None = None,
) -> AccessPlan:
    """The plan. Its refusals include those of ``desired``."""
    known = evidence or Evidence()
    earlier = frozenset(claim.earlier.group.name for claim in desired.claims if claim.earlier)
    people, strange = _recognized(desired.people, state)
    problems = Problems(desired, state, people, strange, instance, known.quotas)
    claims = [claim for claim in desired.claims if not problems.of(claim)]
    refused = [
        Refused(claim.subject, f"{claim.subject}: {problem}", _CODE, claim.place, claim.person not in strange)
        for claim in desired.claims
        if (problem := problems.of(claim))
    ]
    reach = Reaching(desired, state, people, claims, instance)
    builder = Changes(desired, state, people, claims, instance, known.proofs, reach)
    found = review(
        Comparison(
            desired, state, people, claims, instance, known.proofs, known.made_for, choices, earlier, reach
        )
    )
    missing = list(_missing(desired, state, people, claims))
    waiting = {each.claim for each in missing}
    return AccessPlan(
        (*builder.all(), *found.going),
        (*desired.refused, *refused),
        tuple(missing),
        {claim: tuple(builder.keys_of(claim)) for claim in claims if claim not in waiting},
        people,
        found.stale,
        found.totals,
        found.strangers,
        reaches=reach.all(),
    )


def recognized(person: Person, state: CenterState) -> KnownPerson | None:
    """The user that the person has. Raises IdentityCenterError where that may be somebody else's."""
    username, email = person.key
    return same_person(person, state.usernames.get(username), state.emails.get(email))


def _recognized(
    people: Mapping[PersonKey, Person], state: CenterState
) -> tuple[dict[PersonKey, KnownPerson], dict[PersonKey, str]]:
    known: dict[PersonKey, KnownPerson] = {}
    strange: dict[PersonKey, str] = {}
    for key, person in people.items():
        try:
            if found := recognized(person, state):
                known[key] = found
        except IdentityCenterError as error:
            strange[key] = str(error)
    return known, strange


def _missing(
    desired: DesiredAccess,
    state: CenterState,
    people: Mapping[PersonKey, KnownPerson],
    claims: Sequence[Claim],
) -> Iterator[Missing]:
    for claim in claims if desired.external else ():
        person, group = desired.people[claim.person], state.groups.get(claim.group)
        found = people.get(claim.person)
        if found is None:
            yield Missing(
                claim,
                "user",
                f"nobody in Identity Center has username {person.username}: let the owner of the identity provider add "
                f"{person.username} <{person.email}> ({person.display_name}), and put them into group {claim.group}",
            )
        elif group is None:
            yield Missing(
                claim,
                "group",
                f"there is no group {claim.group} in Identity Center: let the owner of the identity provider add it, "
                f"with {person.username} in it",
            )
        elif found.user_id not in group.members:
            yield Missing(
                claim,
                "membership",
                f"{person.username} is not in group {claim.group}: let the owner of the identity provider put them "
                "into it",
            )
