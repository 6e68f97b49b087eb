# SPDX-License-Identifier: Apache-2.0
"""Intents held against what their accounts say now: nobody gets anything on the word of a file alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from c7n_iamusers.aws.member_accounts import AccountNow
from c7n_iamusers.decisions.claimed_people import PeopleAuthority
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.intents import Intents, UserIntent

#: Reads accounts by their ids, see ``MemberAccounts.read``.
Reading = Callable[[Iterable[str]], Mapping[str, "AccountNow | str"]]

_TRUST = "or, where you trust whoever wrote the intents, give --trust-intents"
_AGAIN = "run the policies again"


def confirmed(
    intents: Sequence[Intents],
    read: Reading | None,
    trusted: bool = False,
    authority: PeopleAuthority | None = None,
) -> list[Intents]:
    """The intents with users and policies as they are now; who is not there, or can't be read, has a problem.

    ``trusted``: who can't be read is taken at the intents' word. ``authority``: what is believed of people. Raises
    IdentityCenterError where nobody can be read, and nobody is trusted.
    """
    if read is None:
        if not trusted:
            raise IdentityCenterError(
                "intents are claims, and users and their policies are read again before any of it is applied: give "
                f"--member-role 'arn:aws:iam::{{account_id}}:role/NAME', {_TRUST}"
            )
        return list(intents)
    accounts = read(each.account_id for each in intents)
    people = authority or PeopleAuthority(trusted=trusted)
    return [_confirmed(each, accounts[each.account_id], trusted, people) for each in intents]


def _confirmed(intents: Intents, now: AccountNow | str, trusted: bool, authority: PeopleAuthority) -> Intents:
    if isinstance(now, str):
        if trusted:
            return intents
        mend = "let that role be assumed, and have iam:GetAccountAuthorizationDetails"
        told = f"was not read again: {now}: {mend}, {_TRUST}"
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
    return replace(user, detail=found) if derives else user


def _refused(user: UserIntent, problem: str) -> UserIntent:
    if user.problem:
        return user
    return replace(user, person=None, problem=problem)
