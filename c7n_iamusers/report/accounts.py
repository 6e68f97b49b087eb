# SPDX-License-Identifier: Apache-2.0
"""The accounts of a fleet: how the latest run of each policy ended there, and where one is missing or too old. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median_low
from typing import Any

from c7n_iamusers.execution.outcomes import FAILED
from c7n_iamusers.report import outputs as ended
from c7n_iamusers.report.outputs import PolicyOutput
from c7n_iamusers.report.users import SEVERITIES, Row, User, began
from c7n_iamusers.text.times import as_text

#: The state of an account that is expected, and of which nothing was found.
MISSING = "never ran"
#: The state of an account whose latest result is older than that of most others.
OLDER = "older result"
#: From bad to good.
_STATES = (
    MISSING,
    ended.UNREADABLE,
    ended.DENIED,
    ended.STOPPED,
    ended.FAILED,
    ended.TOO_MANY,
    OLDER,
    ended.ACTION_FAILED,
    ended.RAN,
)
#: Of an account whose users are not known, or not in full.
UNSEEN = frozenset(_STATES[: _STATES.index(ended.ACTION_FAILED)])
#: A run over all accounts takes less.
_RUN_TAKES = timedelta(hours=6)
#: What to do about a run that did not happen.
_LOOK = "look into what c7n-org printed for this account, such as a denied role or invalid variables or exemptions"


@dataclass(frozen=True)
class Expected:
    """An account of c7n-org's accounts file. ``owner``, ``ou``: see ``standing.Belongs``."""

    id: str
    name: str
    owner: str = ""
    ou: str = ""


@dataclass(frozen=True)
class Wanted:
    """What must be there of each account: a result of each of ``policies``, which began at ``since`` or later.

    A dry run is no result. ``policies``: names; if empty and there is a ``since``, all policies that the outputs know.
    ``since``: None for any time. ``expected_only``: nothing of accounts that are not expected is shown or counted.
    """

    policies: Collection[str] = ()
    since: datetime | None = None
    expected_only: bool = False


@dataclass(frozen=True)
class ReportedAccount:
    """An account with the worst state of its policies' latest runs, and why it is not well."""

    id: str
    name: str
    state: str
    why: tuple[str, ...]
    notes: tuple[str, ...]
    last_run: datetime | None
    users: tuple[User, ...]

    def as_data(self) -> Row:
        """JSON types only; severities are those of users that are still there."""
        left = [each for each in self.users if each.is_left()]
        severities = Counter(each.severity for each in left)
        return {
            "account": self.id,
            "name": self.name,
            "state": self.state,
            "why": list(self.why),
            "notes": list(self.notes),
            "last_run": as_text(self.last_run) or "",
            "users": len(self.users),
            "left": len(left),
            "exempt": sum(each.is_exempt() for each in left),
            "severities": {each: severities[each] for each in SEVERITIES},
            "failed": sum(each.event()["status"] == FAILED for each in left),
        }


#: Whatever is there.
ANY = Wanted()


class AccountKeys(dict[tuple[str, str], str]):
    """The id, or else the name, of the account that an output is of."""

    def of(self, output: PolicyOutput) -> str:
        return self[output.account, output.name]


def account_keys(outputs: Iterable[PolicyOutput], expected: Iterable[Expected]) -> AccountKeys:
    """A run that was stopped early tells no id: its directory's name does, by the accounts file or by other runs."""
    ids = {each.name: each.account for each in outputs if each.account and each.name}
    ids |= {each.name: each.id for each in expected}
    pairs = {(each.account, each.name) for each in outputs}
    return AccountKeys({(id_, name): id_ or ids.get(name) or name or "?" for id_, name in pairs})


def latest_outputs(
    outputs: Iterable[PolicyOutput], key_of: AccountKeys
) -> dict[tuple[str, str, str], PolicyOutput]:
    """The latest output of each account, policy and Region; and all that can't be read, however old."""
    found = {}
    for each in sorted(outputs, key=began):
        if each.state:
            where = each.place if each.state == ended.UNREADABLE else each.region
            found[key_of.of(each), each.policy, where] = each
    return found


def _without_older(
    latest: dict[tuple[str, str, str], PolicyOutput], expected: Collection[Expected]
) -> dict[tuple[str, str, str], PolicyOutput]:
    """``latest``, with a result OLDER if most accounts (of the expected ones, if any) have a later one.

    A role that can't be assumed any more leaves the directory of an account as the run before wrote it.
    """
    ids = {each.id for each in expected} or {account for account, _, _ in latest}
    starts: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
    for (account, policy, _), output in latest.items():
        if account in ids and output.time:
            starts[policy][account] = max(output.time, starts[policy].get(account, output.time))
    usual = {policy: median_low(times.values()) for policy, times in starts.items()}

    def judged(account: str, policy: str, output: PolicyOutput) -> PolicyOutput:
        at = starts[policy].get(account)
        if output.state not in (ended.RAN, ended.ACTION_FAILED) or not at or usual[policy] - at <= _RUN_TAKES:
            return output
        why = f"its result is of {at:%Y-%m-%d %H:%M} UTC, and most accounts have one of {usual[policy]:%Y-%m-%d %H:%M}"
        return replace(
            output, state=OLDER, why=f"{why} or later: its role may be denied since, or it was left out"
        )

    return {key: judged(key[0], key[1], output) for key, output in latest.items()}


def accounts_of(
    outputs: Sequence[PolicyOutput],
    expected: Collection[Expected],
    key_of: AccountKeys,
    users: Iterable[User],
    wanted: Wanted,
) -> tuple[ReportedAccount, ...]:
    names = {key_of.of(each): each.name for each in sorted(outputs, key=began) if each.name}
    names |= {each.id: each.name for each in expected}
    of_account: defaultdict[str, list[User]] = defaultdict(list)
    for user in users:
        of_account[user.account].append(user)
    latest: defaultdict[str, list[PolicyOutput]] = defaultdict(list)
    for (account, _, _), output in _without_older(latest_outputs(outputs, key_of), expected).items():
        latest[account].append(output)
    keys = {*(each.id for each in expected), *map(key_of.of, outputs), *of_account}
    of_policy: defaultdict[str, set[str]] = defaultdict(set)
    for account, policy, _ in latest_outputs(outputs, key_of):
        of_policy[policy].add(account)
    must = {each.id for each in expected} or keys
    real = latest_outputs((each for each in outputs if not each.dry_run), key_of)
    of_real: defaultdict[str, list[PolicyOutput]] = defaultdict(list)
    for (account, _, _), output in real.items():
        of_real[account].append(output)
    lacking = {
        key: tuple(_lacking(of_real[key], latest[key], _due(key, wanted, of_policy), wanted.since))
        for key in must
    }
    found = (
        _account(key, names.get(key, ""), latest[key], lacking.get(key, ()), of_account[key]) for key in keys
    )
    return tuple(sorted(found, key=_by_risk))


def _due(account: str, wanted: Wanted, of_policy: Mapping[str, Collection[str]]) -> Collection[str]:
    """The policies that must have left the account a result. ``of_policy``: each policy -> the accounts with one.

    If none are given, these are its own and those of several others: one account does not decide for all. An account
    without any result lacks all.
    """
    if wanted.policies or not wanted.since:
        return wanted.policies
    none = not any(account in its for its in of_policy.values())
    return [policy for policy, its in of_policy.items() if none or account in its or len(its) > 1]


def _lacking(
    real: Sequence[PolicyOutput],
    latest: Sequence[PolicyOutput],
    policies: Collection[str],
    since: datetime | None,
) -> Iterator[str]:
    """For each of ``policies`` that left an account no result, or one from before ``since``: that it did not run.

    ``real``: the latest outputs of an account without dry runs, which run no action.
    """
    for policy in sorted(policies):
        found = [each for each in real if each.policy == policy]
        if not found:
            dry = any(each.policy == policy for each in latest)
            but = " but that of a dry run, which runs no action: run it without --dryrun" if dry else ""
            yield f"{policy} left no result{but or f': {_LOOK}'}"
        for each in found:
            if since and each.time and each.time < since:
                yield (
                    f"{policy} in {each.place}: its result is of {each.time:%Y-%m-%d %H:%M:%S} UTC, and it should have "
                    f"run since {since:%Y-%m-%d %H:%M:%S} UTC: {_LOOK}"
                )


def _account(
    key: str, name: str, latest: Sequence[PolicyOutput], lacking: Sequence[str], users: Sequence[User]
) -> ReportedAccount:
    states = [*(each.state for each in latest), *([ended.STOPPED] if latest and lacking else [])]
    state = min(states, key=_STATES.index, default=MISSING)
    why = (*(f"{each.policy} in {each.place}: {each.why}" for each in latest if each.why), *lacking)
    if not latest:
        why = ("no run of a policy left a resources.json for it",)
    times = [each.time for each in latest if each.time]
    return ReportedAccount(
        key, name, state, why, tuple(_unread(users)), max(times, default=None), tuple(users)
    )


def _unread(users: Iterable[User]) -> list[str]:
    """Evidence that a run could not read, so that findings that rest on it are unknown."""
    return sorted({problem for user in users for problem in user.problems})


def _by_risk(account: ReportedAccount) -> tuple[Any, ...]:
    data = account.as_data()
    severities = (-data["severities"][each] for each in SEVERITIES)
    return (_STATES.index(account.state), -data["failed"], *severities, account.name, account.id)
