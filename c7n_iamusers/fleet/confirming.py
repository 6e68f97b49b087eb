# SPDX-License-Identifier: Apache-2.0
"""Intents held against what their accounts say now: nobody gets anything on the word of a file alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from c7n_iamusers.aws.member_accounts import AccountNow
from c7n_iamusers.decisions.claimed_people import PeopleAuthority
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.intents import Intents, UserIntent

#: Reads accounts by their ids, one after the other, and those of a second collection with their policies: see
#: ``MemberAccounts.read``.
Reading = Callable[[Iterable[str], Collection[str]], Iterable[tuple[str, "AccountNow | str"]]]

_TRUST = "or, where you trust whoever wrote the intents, give --trust-intents"
_AGAIN = "run the policies again"


def confirmed(
    intents: list[Intents],
    read: Reading | None,
    trusted: bool = False,
    authority: PeopleAuthority | None = None,
) -> list[Intents]:
    """The intents with users and policies as they are now; who is not there, or can't be read, has a problem.

    ``intents`` itself is changed, account by account: what was and what is would be twice as much to hold. ``trusted``:
    who can't be read is taken at the intents' word. ``authority``: what is believed of people. Raises
    IdentityCenterError where nobody can be read, and nobody is trusted.
    """
    if read is None:
        if not trusted:
            raise IdentityCenterError(
                "intents are claims, and users and their policies are read again before any of it is applied: give "
                f"--member-role 'arn:aws:iam::{{account_id}}:role/NAME', {_TRUST}"
            )
        return intents
    people = authority or PeopleAuthority(trusted=trusted)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for number, each in enumerate(intents):
        places[each.account_id].append(number)
    deriving = {each.account_id for each in intents if each.derive is not None}
    for account_id, now in read(tuple(places), deriving):
        for number in places.pop(account_id):
            intents[number] = _confirmed(intents[number], now, trusted, people)
    for number in (each for numbers in places.values() for each in numbers):
        intents[number] = _confirmed(intents[number], "nothing was read of its account", trusted, people)
    return intents


def _confirmed(intents: Intents, now: AccountNow | str, trusted: bool, authority: PeopleAuthority) -> Intents:
    if isinstance(now, str):
        if trusted:
            return intents
        mend = "let that role be assumed, and have iam:GetAccountAuthorizationDetails"
        told = f"was not read again ({intents.place}): {now}: {mend}, {_TRUST}"
        return replace(intents, users=tuple(_refused(user, told) for user in intents.users))
    users = tuple(_user(user, now, intents.derive is not None, authority) for user in intents.users)
    return replace(intents, users=users, source=now.source if intents.derive is not None else intents.source)


def _user(user: UserIntent, now: AccountNow, derives: bool, authority: PeopleAuthority) -> UserIntent:
    found = now.users.get(user.subject.unique_id)
    if found is None:
        return _refused(user, f"is there no longer (no user has the id {user.subject.unique_id}): {_AGAIN}")
    if found["Arn"] != user.subject.arn:
        return _refused(user, f"is {found['Arn']} by now: {_AGAIN}")
    if doubt := authority.doubt(user, found):
        return _refused(user, doubt)
    if not derives:
        return user
    # The same texts once, of 80,000 users.
    same = {"Arn": user.subject.arn, "UserId": user.subject.unique_id}
    return replace(user, detail={**found, **same})


def _refused(user: UserIntent, problem: str) -> UserIntent:
    if user.problem:
        return user
    return replace(user, person=None, problem=problem)
