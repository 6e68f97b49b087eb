# SPDX-License-Identifier: Apache-2.0
"""Merges the intents of all accounts into the desired access, or refuses users whose intents conflict. Pure.

The result does not depend on the order of accounts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from c7n_iamusers import reasons
from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.requests.intents import INTENTS_FILE, Intents, UserIntent
from c7n_iamusers.identity_center.requests.lookalikes import lookalikes
from c7n_iamusers.identity_center.requests.people import Candidate, distinct_people, hints
from c7n_iamusers.identity_center.requests.spelling import spelled_alike
from c7n_iamusers.text.wording import folded, quoted, shown

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """The requested access of one IAM user: its person gets ``permission_sets`` through ``group``.

    ``grant``, ``place``, ``verdict``: see ``Claim``.
    """

    subject: Subject
    candidate: Candidate
    group: model.Group
    grant: model.Grant
    permission_sets: tuple[PermissionSet, ...]
    place: str
    verdict: str = ""


#: Derives the users' requests or refusals. Each user has its intents and its candidate.
Derive = Callable[
    [Sequence[tuple[Intents, UserIntent, Candidate]]], tuple[list[AccessRequest], list[model.RefusedUser]]
]


@dataclass(frozen=True)
class Checks:
    """The checks before access is given.

    ``inability``: the refusal of a user that can't use its own policies. ``named``: the verdict that compares a
    permission set requested by name with the user's policies, or the refusal.
    """

    inability: Callable[[Intents, UserIntent], model.RefusedUser | None]
    named: Callable[[Intents, UserIntent, Candidate], str | model.RefusedUser]


def desired_access(
    intents: Sequence[Intents], derive: Derive, checks: Checks | None = None
) -> model.DesiredAccess:
    """The access that all ``intents`` request together.

    IAM users with the same username and e-mail are one person. ``checks``: None only to look at existing access, not to
    give any. Raises IdentityCenterError if policies have different identity sources.
    """
    external = _identity_source(intents)
    users = sorted(
        ((intent, user) for intent in intents for user in intent.users),
        key=lambda pair: (pair[1].subject.account_id, pair[1].subject.name, pair[0].policy, pair[0].place),
    )
    candidates = spelled_alike(distinct_people([_candidate(user) for _, user in users]))
    refused = [
        model.RefusedUser(
            found.subject, reasons.INVALID_PERSON(user=found.subject, why=found.problem), each.place
        )
        for (each, _), found in zip(users, candidates, strict=True)
        if found.person is None
    ]
    known = [(*pair, found) for pair, found in zip(users, candidates, strict=True) if found.person]
    able = []
    for row in known:
        unable = checks.inability(row[0], row[1]) if checks else None
        if unable:
            refused.append(unable)
        else:
            able.append(row)
    requests = []
    for each, user, found in (row for row in able if row[0].derive is None):
        verdict = checks.named(each, user, found) if checks else ""
        if isinstance(verdict, model.RefusedUser):
            refused.append(verdict)
        else:
            requests.append(_explicit(each, user, found, verdict))
    derived, underivable = derive([row for row in able if row[0].derive is not None])
    good, clashing = _consistent([*requests, *derived])
    merged = _merged(good, tuple(map(_with_file, (*refused, *underivable, *clashing))), external)
    return replace(merged, hints=hints(candidates))


def _with_file(refused: model.RefusedUser) -> model.RefusedUser:
    """The refusal with the file that requests the access."""
    if not refused.place:
        return refused
    place = f"{refused.place}/{INTENTS_FILE}"
    return replace(refused, reason=refused.reason.and_also(reasons.REQUESTED_BY(place=place)))


def _identity_source(intents: Sequence[Intents]) -> bool:
    found = {intent.external: intent for intent in intents}
    if len(found) > 1:
        raise IdentityCenterError(
            f"policies {found[True].policy} and {found[False].policy} have different identity-source: an Identity "
            "Center has only one: set the same in both, and run them again"
        )
    return any(found)


def _candidate(user: UserIntent) -> Candidate:
    person = None if user.problem else user.person
    return Candidate(user.subject, person, user.problem, user.rests_on, user.on_file, user.user_id)


def _explicit(intents: Intents, user: UserIntent, candidate: Candidate, verdict: str) -> AccessRequest:
    assert intents.permission_set is not None
    grant = model.Grant(intents.account_id, intents.permission_set.name)
    group = model.Group(intents.group, frozenset({grant}), intents.external, intents.shared_group)
    return AccessRequest(
        user.subject, candidate, group, grant, (intents.permission_set,), intents.place, verdict
    )


def _consistent(requests: list[AccessRequest]) -> tuple[list[AccessRequest], list[model.RefusedUser]]:
    """The requests without conflicts, and the refusals of both requests in each conflict."""
    faults: defaultdict[int, list[str]] = defaultdict(list)
    for check in (_set_faults, _spelling_faults, _group_faults, _person_faults):
        for at, fault in check(requests):
            faults[at].append(fault)
    for at, fault in _part_faults(requests, faults.keys()):
        faults[at].append(fault)
    refused = [
        model.RefusedUser(
            requests[at].subject,
            reasons.CONFLICT(user=requests[at].subject, why="; ".join(texts)),
            requests[at].place,
        )
        for at, texts in faults.items()
    ]
    return [request for at, request in enumerate(requests) if at not in faults], refused


def _set_faults(requests: list[AccessRequest]) -> Iterator[tuple[int, str]]:
    forms: defaultdict[str, set[PermissionSet]] = defaultdict(set)
    places: defaultdict[str, set[str]] = defaultdict(set)
    for request in requests:
        for permission_set in request.permission_sets:
            forms[permission_set.name].add(permission_set)
            places[permission_set.name].add(request.place)
    for at, request in enumerate(requests):
        for name in sorted(
            {
                permission_set.name
                for permission_set in request.permission_sets
                if len(forms[permission_set.name]) > 1
            }
        ):
            yield (
                at,
                (
                    f"permission set {name} is requested in {len(forms[name])} different forms "
                    f"({shown(sorted(places[name]))}): give each form its own name"
                ),
            )


def _spelling_faults(requests: list[AccessRequest]) -> Iterator[tuple[int, str]]:
    """The requests for groups with names that Identity Center may take for one.

    No page of AWS says whether case, Unicode forms or outer spaces distinguish display names of groups. If not, two
    such groups are one, and its members get the access of both.
    """
    places: defaultdict[str, set[str]] = defaultdict(set)
    for request in requests:
        places[request.group.name].add(request.place)
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for name in places:
        spellings[folded(name.strip())].add(name)
    alike = lookalikes(spellings)
    faults = {}
    for form, names in spellings.items():
        found = names.union(*(spellings[other] for other in alike.get(form, ())))
        if len(found) > 1:
            texts = [
                f"{quoted(name) if name.isascii() else ascii(name)} by {shown(sorted(places[name]))}"
                for name in sorted(found)
            ]
            fault = (
                f"a group is requested with names that may be one name to Identity Center ({'; '.join(texts)}), so its "
                "members would get the access of all of them: write one name in the same way, or give clearly "
                "different names"
            )
            faults.update(dict.fromkeys(names, fault))
    for at, request in enumerate(requests):
        if request.group.name in faults:
            yield at, faults[request.group.name]


def _group_faults(requests: list[AccessRequest]) -> Iterator[tuple[int, str]]:
    forms = _by(
        requests,
        lambda request: request.group.name,
        lambda request: (request.group.shared, request.group.grants),
    )
    for at, request in enumerate(requests):
        found = forms[request.group.name]
        if len(found) > 1 and not all(shared for shared, _ in found):
            grants = sorted({str(grant) for _, grants in found for grant in grants})
            fault = (
                f"group {request.group.name} is requested with different access ({shown(grants)}), so each "
                "member would get all of it: give another group name (one with {account_id} in it, for instance), or "
                "set shared-group: true in all of the policies"
            )
            yield at, fault


def _person_faults(requests: list[AccessRequest]) -> Iterator[tuple[int, str]]:
    people = _by(requests, lambda request: request.subject.arn, lambda request: _person(request).key)
    for at, request in enumerate(requests):
        if len(people[request.subject.arn]) > 1:
            names = sorted(username for username, _ in people[request.subject.arn])
            yield (
                at,
                f"has different people in different policies ({shown(names)}): set the same in all of them",
            )


def _part_faults(requests: list[AccessRequest], faulty: Collection[int]) -> list[tuple[int, str]]:
    """The requests whose group also gives the person access that was refused."""
    good = [(at, request) for at, request in enumerate(requests) if at not in faulty]
    asked = {(_person(request).key, request.group.name, request.grant) for _, request in good}
    found = []
    for at, request in good:
        key = (_person(request).key, request.group.name)
        lacking = [grant for grant in sorted(request.group.grants) if (*key, grant) not in asked]
        if lacking and not request.group.shared:
            further = shown([str(each) for each in lacking])
            fault = f"group {request.group.name} also gives {further}, which the person is refused: correct that first"
            found.append((at, fault))
    return found


def _by(
    requests: list[AccessRequest], key: Callable[[AccessRequest], str], value: Callable[[AccessRequest], T]
) -> Mapping[str, set[T]]:
    found: defaultdict[str, set[T]] = defaultdict(set)
    for request in requests:
        found[key(request)].add(value(request))
    return found


def _person(request: AccessRequest) -> model.Person:
    assert request.candidate.person is not None
    return request.candidate.person


def _merged(
    requests: Iterable[AccessRequest], refused: tuple[model.RefusedUser, ...], external: bool
) -> model.DesiredAccess:
    sets: dict[str, PermissionSet] = {}
    groups: dict[str, model.Group] = {}
    people: dict[model.PersonKey, model.Person] = {}
    keys: dict[model.PersonKey, model.PersonKey] = {}
    grants: dict[model.Grant, model.Grant] = {}
    claims: dict[tuple[str, str, str], model.Claim] = {}
    for request in requests:
        sets.update({permission_set.name: permission_set for permission_set in request.permission_sets})
        known = groups.setdefault(request.group.name, request.group)
        if not request.group.grants <= known.grants:
            groups[request.group.name] = replace(request.group, grants=request.group.grants | known.grants)
        key = keys.setdefault(_person(request).key, _person(request).key)
        people.setdefault(key, _person(request))
        claim = model.Claim(
            request.subject,
            key,
            known.name,
            grants.setdefault(request.grant, request.grant),
            request.candidate.rests_on,
            request.place,
            request.verdict,
            request.candidate.on_file,
            request.candidate.user_id,
        )
        claims.setdefault((request.subject.arn, request.group.name, request.place), claim)
    return model.DesiredAccess(sets, groups, people, tuple(claims.values()), refused, external)
