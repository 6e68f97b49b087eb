# SPDX-License-Identifier: Apache-2.0
"""The spelling of usernames, which tells people's sessions apart. Pure.

Identity Center ignores case when it looks up a username, but sessions (aws:userid) and the session tag of
``${path:userName}`` have the user's own spelling. Conditions of policies respect case. So proofs use the sessions'
spelling: that of the existing user, or the one with which it is created.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from c7n_iamusers import reasons
from c7n_iamusers.derivation.proving import ExistingSetProofs
from c7n_iamusers.derivation.refusals import in_words
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.requests.people import Candidate
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, UNDECIDED, WIDER

_RANKS = {EQUAL: 0, NARROWER: 1, UNDECIDED: 2, WIDER: 3}


def spelled_alike(candidates: Sequence[Candidate]) -> list[Candidate]:
    """``candidates``, with one spelling of a person's username in all accounts: the first one's."""
    spelling: dict[model.PersonKey, str] = {}
    found = []
    for candidate in candidates:
        person = candidate.person
        first = spelling.setdefault(person.key, person.username) if person else ""
        if person and person.username != first:
            candidate = replace(candidate, person=replace(person, username=first))
        found.append(candidate)
    return found


def refused_spellings(
    desired: model.DesiredAccess,
    people: Mapping[model.PersonKey, model.KnownPerson],
    proofs: ExistingSetProofs,
) -> dict[model.Claim, model.RefusedUser]:
    """The claims whose people may do more with their existing users' spelling, with the refusals.

    From here on ``proofs`` have these spellings. A refused claim refuses all of the person's claims on its group, which
    gives access as a whole.
    """
    refused = {
        claim: refusal
        for claim in desired.claims
        if (known := people.get(claim.person))
        and known.username != desired.people[claim.person].username
        and (refusal := _refusal(claim, desired, known.username, proofs))
    }
    if not refused:
        return refused
    of_group = {(claim.person, claim.group): refusal for claim, refusal in refused.items()}
    return {**dict(_others(desired, of_group)), **refused}


def _others(
    desired: model.DesiredAccess, of_group: Mapping[tuple[model.PersonKey, str], model.RefusedUser]
) -> Iterator[tuple[model.Claim, model.RefusedUser]]:
    for claim in desired.claims:
        if found := of_group.get((claim.person, claim.group)):
            reason = reasons.SPELLED_OTHERWISE_IN_GROUP(
                user=claim.subject, group=claim.group, why=found.reason
            )
            yield claim, replace(found, subject=claim.subject, reason=reason, place=claim.place, verdict="")


def _refusal(
    claim: model.Claim, desired: model.DesiredAccess, username: str, proofs: ExistingSetProofs
) -> model.RefusedUser | None:
    requested = desired.permission_sets[claim.grant.permission_set]
    asked, arn = desired.people[claim.person].username, claim.subject.arn
    before = proofs.proof(arn, requested, asked)
    proofs.spell(arn, username)
    found = proofs.proof(arn, requested)
    if _RANKS[found.verdict] <= _RANKS[before.verdict] or proofs.is_permitted(arn, found):
        return None
    examples = "; ".join(map(in_words, found.witnesses[:1]))
    reason = reasons.SPELLED_OTHERWISE(
        user=claim.subject,
        known=username,
        asked=asked,
        set=requested.name,
        verdict=found.verdict,
        example=f", for example {examples}" if examples else "",
    )
    return model.RefusedUser(claim.subject, reason, claim.place, verdict=found.verdict)
