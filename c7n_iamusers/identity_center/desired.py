# SPDX-License-Identifier: Apache-2.0
"""The intents of all accounts as one desired state, or, user by user, why they don't fit together. Pure.

Nothing here depends on the order of accounts: it works through them by account and user name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from c7n_iamusers.derivation.permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center.intents import INTENTS_FILE, Intents, UserIntent
from c7n_iamusers.identity_center.model import (
    Claim,
    DesiredAccess,
    Earlier,
    Grant,
    Group,
    Person,
    PersonKey,
    Refused,
)
from c7n_iamusers.identity_center.people import Candidate, unmistakable
from c7n_iamusers.text.wording import shown

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Ask:
    """One IAM user's need: the person is to get ``permission_sets`` through ``group``, for the sake of ``grant``.

    ``verdict``, ``earlier``: see ``Claim``.
    """

    subject: Subject
    candidate: Candidate
    group: Group
    grant: Grant
    permission_sets: tuple[PermissionSet, ...]
    place: str
    verdict: str = ""
    earlier: Earlier | None = None


#: Turns the intents that ask for derivation, with the candidate of each of their users, into asks and refusals.
Deriving = Callable[[Sequence[tuple[Intents, UserIntent, Candidate]]], tuple[list[Ask], list[Refused]]]


def desired_access(intents: Sequence[Intents], derive: Deriving) -> DesiredAccess:
    """Everything that ``intents`` ask for together.

    Several accounts' users of one person meet in one by username and e-mail. Raises IdentityCenterError where
    the policies don't agree on where people come from.
    """
    external = _identity_source(intents)
    users = sorted(
        ((each, user) for each in intents for user in each.users),
        key=lambda pair: (pair[1].subject.account_id, pair[1].subject.name, pair[0].policy, pair[0].place),
    )
    candidates = unmistakable([_candidate(user) for _, user in users])
    refused = [
        Refused(found.subject, f"{found.subject}: {found.problem}", place=each.place)
        for (each, _), found in zip(users, candidates, strict=True)
        if found.person is None
    ]
    known = [(*pair, found) for pair, found in zip(users, candidates, strict=True) if found.person]
    asks = [_explicit(each, user, found) for each, user, found in known if each.derive is None]
    derived, underivable = derive([row for row in known if row[0].derive is not None])
    good, clashing = _consistent([*asks, *derived])
    return _merged(good, tuple(map(_with_file, (*refused, *underivable, *clashing))), external)


def _with_file(refused: Refused) -> Refused:
    """Who reads a refusal of many accounts has to know which file asked."""
    if not refused.place:
        return refused
    return replace(refused, reason=f"{refused.reason} (asked for by {refused.place}/{INTENTS_FILE})")


def _identity_source(intents: Sequence[Intents]) -> bool:
    found = {each.external: each for each in intents}
    if len(found) > 1:
        raise IdentityCenterError(
            f"policies {found[True].policy} and {found[False].policy} don't agree on identity-source: an Identity "
            "Center has one: give the same in both, and run them again"
        )
    return any(found)


def _candidate(user: UserIntent) -> Candidate:
    return Candidate(
        user.subject, None if user.problem else user.person, user.problem, user.rests_on, user.on_file
    )


def _explicit(intents: Intents, user: UserIntent, candidate: Candidate) -> Ask:
    assert intents.permission_set is not None
    grant = Grant(intents.account_id, intents.permission_set.name)
    group = Group(intents.group, frozenset({grant}), intents.external, intents.shared_group)
    return Ask(user.subject, candidate, group, grant, (intents.permission_set,), intents.place)


def _consistent(asks: list[Ask]) -> tuple[list[Ask], list[Refused]]:
    """The asks that fit together, and those that don't: neither of two that contradict each other can be right."""
    faults: defaultdict[int, list[str]] = defaultdict(list)
    for check in (_set_faults, _group_faults, _person_faults):
        for at, fault in check(asks):
            faults[at].append(fault)
    for at, fault in _part_faults(asks, faults.keys()):
        faults[at].append(fault)
    refused = [
        Refused(asks[at].subject, f"{asks[at].subject}: {'; '.join(texts)}", "Conflict", asks[at].place)
        for at, texts in faults.items()
    ]
    return [ask for at, ask in enumerate(asks) if at not in faults], refused


def _set_faults(asks: list[Ask]) -> Iterator[tuple[int, str]]:
    forms: defaultdict[str, set[PermissionSet]] = defaultdict(set)
    places: defaultdict[str, set[str]] = defaultdict(set)
    for ask in asks:
        for each in ask.permission_sets:
            forms[each.name].add(each)
            places[each.name].add(ask.place)
    for at, ask in enumerate(asks):
        for name in sorted({each.name for each in ask.permission_sets if len(forms[each.name]) > 1}):
            yield (
                at,
                (
                    f"permission set {name} is asked for in {len(forms[name])} different forms "
                    f"({shown(sorted(places[name]))}): give each form a name of its own"
                ),
            )


def _group_faults(asks: list[Ask]) -> Iterator[tuple[int, str]]:
    forms = _by(asks, lambda ask: ask.group.name, lambda ask: (ask.group.shared, ask.group.grants))
    for at, ask in enumerate(asks):
        found = forms[ask.group.name]
        if len(found) > 1 and not all(shared for shared, _ in found):
            grants = sorted({str(grant) for _, grants in found for grant in grants})
            fault = (
                f"group {ask.group.name} is asked for with different access ({shown(grants)}), so each of its people "
                "would get the others': give another group name (one with {account_id} in it, for instance), or set "
                "shared-group: true in all of the policies"
            )
            yield at, fault


def _person_faults(asks: list[Ask]) -> Iterator[tuple[int, str]]:
    people = _by(asks, lambda ask: ask.subject.arn, lambda ask: _person(ask).key)
    for at, ask in enumerate(asks):
        if len(people[ask.subject.arn]) > 1:
            names = sorted(username for username, _ in people[ask.subject.arn])
            yield at, f"stands for different people in different policies ({shown(names)}): let them agree"


def _part_faults(asks: list[Ask], faulty: Collection[int]) -> list[tuple[int, str]]:
    """The asks whose group also gives what the same person is refused."""
    good = [(at, ask) for at, ask in enumerate(asks) if at not in faulty]
    asked = {(_person(ask).key, ask.group.name, ask.grant) for _, ask in good}
    found = []
    for at, ask in good:
        key = (_person(ask).key, ask.group.name)
        lacking = [grant for grant in sorted(ask.group.grants) if (*key, grant) not in asked]
        if lacking and not ask.group.shared:
            further = shown([str(each) for each in lacking])
            fault = f"group {ask.group.name} also gives {further}, which the person is refused: correct that first"
            found.append((at, fault))
    return found


def _by(asks: list[Ask], key: Callable[[Ask], str], value: Callable[[Ask], T]) -> Mapping[str, set[T]]:
    found: defaultdict[str, set[T]] = defaultdict(set)
    for ask in asks:
        found[key(ask)].add(value(ask))
    return found


def _person(ask: Ask) -> Person:
    assert ask.candidate.person is not None
    return ask.candidate.person


def _merged(asks: Iterable[Ask], refused: tuple[Refused, ...], external: bool) -> DesiredAccess:
    sets: dict[str, PermissionSet] = {}
    groups: dict[str, Group] = {}
    people: dict[PersonKey, Person] = {}
    keys: dict[PersonKey, PersonKey] = {}
    claims: dict[tuple[str, str, str], Claim] = {}
    for ask in asks:
        sets.update({each.name: each for each in ask.permission_sets})
        earlier = groups.setdefault(ask.group.name, ask.group)
        if not ask.group.grants <= earlier.grants:
            groups[ask.group.name] = replace(ask.group, grants=ask.group.grants | earlier.grants)
        key = keys.setdefault(_person(ask).key, _person(ask).key)
        people.setdefault(key, _person(ask))
        claim = Claim(
            ask.subject,
            key,
            earlier.name,
            ask.grant,
            ask.candidate.rests_on,
            ask.place,
            ask.verdict,
            ask.earlier,
        )
        claims.setdefault((ask.subject.arn, ask.group.name, ask.place), claim)
    return DesiredAccess(sets, groups, people, tuple(claims.values()), refused, external)
