# SPDX-License-Identifier: Apache-2.0
"""What a report's check names: what is BLOCKING the next step, and what needs ATTENTION. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from datetime import timedelta

from c7n_iamusers.evidence.seen_users import EXEMPT, FLAGGED
from c7n_iamusers.execution.outcomes import FAILED, SKIPPED
from c7n_iamusers.reasons import BROKEN, trouble_of
from c7n_iamusers.report import outputs as ended
from c7n_iamusers.report.access_keys import AccessKey
from c7n_iamusers.report.accounts import ReportedAccount
from c7n_iamusers.report.outputs import PolicyOutput
from c7n_iamusers.report.users import OF_EXEMPT, Row, User, began, is_stopped, when
from c7n_iamusers.report.users_of_runs import Users
from c7n_iamusers.text.wording import counted, shown

BLOCKING, ATTENTION = "blocking", "attention"
#: A broken quarantine is named for so many days, unless the user is released or deleted.
REMEMBERED = timedelta(days=14)
#: What a line may be about.
FAILURE, SELECTION = "failure", "selection"
KINDS = ("account", FAILURE, "quarantine", "mail", "twice", "exemption", SELECTION, "evidence")
_NOBODY = dict.fromkeys(("account", "name", "user", "unique_id"), "")


#: Places that have the same users, of which a line is made. One account may write any number of them.
_MOST_PAIRS = 1_000


def need(
    level: str,
    kind: str,
    what: str,
    why: str,
    account: ReportedAccount | None = None,
    user: User | AccessKey | None = None,
) -> Row:
    """A line of the check. ``level``: BLOCKING or ATTENTION. ``kind``: one of KINDS.

    ``what``, ``why``: in words. ``account``, ``user``: whom it is about; None for several. ``user`` may be an
    access key, whose id is the unique id then.
    """
    who = {**_NOBODY, **({"account": account.id, "name": account.name} if account else {})}
    who |= {"user": user.name, "unique_id": user.unique_id} if user else {}
    return {"level": level, "kind": kind, **who, "what": what, "why": why}


def needs(
    accounts: Sequence[ReportedAccount],
    outputs: Sequence[PolicyOutput],
    latest: Mapping[tuple[str, str, str], PolicyOutput],
    exemptions: Iterable[Row],
    known: Users,
    keys: Sequence[AccessKey],
    account_of: Callable[[PolicyOutput], str],
) -> Iterator[Row]:
    """All lines, the blocking ones first. ``latest``: account, policy and Region -> its latest output."""
    users = [(account, user) for account in accounts for user in account.users]
    yield from _accounts(accounts, {each.account for each in keys if each.state == FAILED})
    by_id = {each.id: each for each in accounts}
    yield from _stopped([user for _, user in users], keys, by_id)
    yield from _failed(users)
    yield from _failed_keys(keys, by_id)
    yield from _quarantines(users)
    yield from _counted_twice(outputs, account_of, by_id)
    yield from _exemptions(exemptions, by_id)
    yield from _missing_named(latest.values(), known, keys, by_id)
    yield from _selecting_nobody(by_id, outputs, latest, known, account_of)
    yield from _selecting_no_key(by_id, outputs, latest, keys, account_of)
    yield from _unread_evidence(accounts)


def _unread_evidence(accounts: Iterable[ReportedAccount]) -> Iterator[Row]:
    """Sources of evidence that were asked for and not read: what rests on them is unknown, and no all-clear."""
    for account in accounts:
        users = Counter(problem for user in account.users if user.is_left() for problem in user.problems)
        for problem, count in sorted(users.items()):
            why = f"{problem}. What rests on it is unknown for {counted(count, 'user')}: correct that, and run again"
            yield need(ATTENTION, "evidence", "evidence not read", why, account)


def _accounts(accounts: Sequence[ReportedAccount], with_failed_keys: Collection[str]) -> Iterator[Row]:
    for account in accounts:
        failed = account.id in with_failed_keys or any(
            user.event()["status"] == FAILED for user in account.users
        )
        # Users and keys that failed end their policy with an error, and are named themselves.
        if account.state != ended.RAN and not (failed and account.state == ended.ACTION_FAILED):
            yield need(BLOCKING, "account", account.state, "; ".join(account.why), account)


def _stopped(
    users: Iterable[User], keys: Iterable[AccessKey], accounts: Mapping[str, ReportedAccount]
) -> Iterator[Row]:
    """One line for all users and keys of an account that a STOP file left untouched, since it is one cause.

    The reason is a text of the account's own output, so it never speaks for another account.
    """
    found: defaultdict[tuple[str, str], list[User | AccessKey]] = defaultdict(list)
    for key in keys:
        if (told := key.event()) and key.is_stopped():
            found[key.account, told["reason"]].append(key)
    for user in users:
        if is_stopped(event := user.event()):
            found[user.account, event["reason"]].append(user)
    for (account, reason), stopped in found.items():
        of_users = sum(isinstance(each, User) for each in stopped)
        counts = ((of_users, "user"), (len(stopped) - of_users, "access key"))
        who = " and ".join(counted(count, what) for count, what in counts if count)
        why = f"{who}: {reason}. This line goes away when the same policies have run again"
        yield need(BLOCKING, FAILURE, "stopped", why, accounts.get(account))


def _failed(users: Iterable[tuple[ReportedAccount, User]]) -> Iterator[Row]:
    for account, user in users:
        event = user.event()
        if event["status"] == FAILED and not is_stopped(event) and trouble_of(event["codes"]) != BROKEN:
            reason = event["reason"] or "no reason was left"
            yield need(BLOCKING, FAILURE, f"{event['policy']} failed", reason, account, user)


def _failed_keys(keys: Iterable[AccessKey], accounts: Mapping[str, ReportedAccount]) -> Iterator[Row]:
    for key in keys:
        event = key.event()
        if event and key.state == FAILED and not key.is_stopped():
            reason = event["reason"] or "no reason was left"
            account = accounts.get(key.account)
            yield need(BLOCKING, FAILURE, f"{event['policy']} failed", reason, account, key)


def _quarantines(users: Iterable[tuple[ReportedAccount, User]]) -> Iterator[Row]:
    for account, user in users:
        if trouble := user.trouble():
            yield need(BLOCKING, "quarantine", f"quarantine {trouble}", _why(trouble, user), account, user)


def _why(trouble: str, user: User) -> str:
    """What is wrong with a quarantine, in words, and for how long a broken one is named."""
    if trouble == OF_EXEMPT:
        return "it is exempt, and still denied everything: release it (policies/release.yml), or remove the exemption"
    event = user.troubling()
    if event is None:
        return user.attempted()
    reason = str(event["reason"])
    if trouble_of(event["codes"]) != BROKEN or event in user.of_policies(user.events):
        return reason
    until = when(event).date() + REMEMBERED
    return (
        f"{reason}. {event['policy']} found this on {event['time'][:10]}; it is named until {until}, or until the user "
        "is released or deleted"
    )


def _counted_twice(
    outputs: Iterable[PolicyOutput],
    account_of: Callable[[PolicyOutput], str],
    accounts: Mapping[str, ReportedAccount],
) -> Iterator[Row]:
    """Users, or access keys, that one run of a policy selected in two places: its numbers count them twice.

    Causes: an account under two names in the accounts file, two Regions, or a copy of an output.
    """
    together: defaultdict[tuple[str, str, str], list[PolicyOutput]] = defaultdict(list)
    for output in (each for each in outputs if each.selected):
        for run in {output.execution, output.run} - {""}:
            together[run, output.policy, account_of(output)].append(output)
    pairs: defaultdict[tuple[str, str, str], set[tuple[str, str]]] = defaultdict(set)
    known = Counter[str]()
    for (_, _, account), group in together.items():
        first = dict[tuple[str, str], str]()
        for output in group:
            for each in output.selected or ():
                # each further output that has it is named beside the first one
                who = (each.arn, each.unique_id if output.on_keys else "")
                place = first.setdefault(who, output.place)
                pair = (account, place, output.place)
                if place != output.place and (pair in pairs or known[account] < _MOST_PAIRS):
                    known[account] += pair not in pairs
                    pairs[pair].add(who)
    for (account, place, other_place), both in pairs.items():
        names = shown([key or arn.rpartition("/")[2] for arn, key in sorted(both)])
        what = "access keys" if any(key for _, key in both) else "users"
        why = (
            f"{len(both)} {what} are in {place} and in {other_place}: {names}: leave one entry of the account in "
            "the accounts file, one Region, or one copy of the output"
        )
        yield need(BLOCKING, "twice", "counted twice", why, accounts.get(account))


def _exemptions(exemptions: Iterable[Row], accounts: Mapping[str, ReportedAccount]) -> Iterator[Row]:
    """Those that protect nobody; BLOCKING in each account whose users they protected until they expired."""
    for each in exemptions:
        where = f" in account {each['account']!r}" if each["account"] else ""
        rule = f"{each['field']} {each['pattern']!r}{where} until {each['expires']} ({each['reason']})"
        for account, names in each["lapsed"].items():
            why = (
                f"{rule} no longer protects {shown(names)} of account {account}: give it a later day; or "
                "remove it, and they go"
            )
            yield need(BLOCKING, "exemption", "an exemption that has expired", why, accounts.get(account))
        if not each["lapsed"] and each["users"] == 0:
            why = f"{rule}: if it is mistyped, its user is not exempt; if the user is gone, remove it"
            yield need(ATTENTION, "exemption", "an exemption that protects nobody", why)


def _missing_named(
    latest: Iterable[PolicyOutput],
    known: Users,
    keys: Iterable[AccessKey],
    accounts: Mapping[str, ReportedAccount],
) -> Iterator[Row]:
    """Users that policies name alone, and that none of these selected anywhere: nothing happened to them.

    Not users that a policy left for a reason, or that an earlier run of it has handled. A file has a policy for
    machines and one for people, which are for the same names.
    """
    narrowed: defaultdict[frozenset[str], list[PolicyOutput]] = defaultdict(list)
    for output in latest:
        if output.names is not None and output.selected is not None:
            narrowed[frozenset(output.names)].append(output)
    handled = {
        (event["policy"], user.name)
        for user in (known.found.values() if narrowed else ())
        for event in user.events
        if event["status"] not in (SKIPPED, FAILED)
    }
    handled |= {(event["policy"], key.name) for key in (keys if narrowed else ()) for event in key.handled()}
    for names, outputs in narrowed.items():
        policies = sorted({each.policy for each in outputs})
        found = {name for each in outputs for name in _found_in(each)}
        found |= {name for policy, name in handled if policy in policies}
        missing = [each for each in dict.fromkeys(outputs[0].names or ()) if each not in found]
        if missing or not names:
            who = (
                f"{shown(missing)} alone, and selected none of them"
                if missing
                else "nobody: its list of names is empty"
            )
            why = (
                f"{shown(policies)} was for {who} in {shown(sorted({each.place for each in outputs}))}. Look how "
                "each name is spelled, in which account the user is, and whether the policy is meant for it; then run "
                "it again"
            )
            ids = {each.account for each in outputs}
            account = accounts.get(*ids) if len(ids) == 1 else None
            yield need(BLOCKING, SELECTION, "nobody of this name", why, account)


def _found_in(output: PolicyOutput) -> Iterator[str]:
    """The names of the users that it selected, or left for a reason that it states."""
    left = [each.arn for each in output.seen.users if each.state != FLAGGED] if output.seen else []
    for arn in (*(each.arn for each in output.selected or ()), *left):
        yield arn.rpartition("/")[2]


def _selecting_nobody(
    accounts: Mapping[str, ReportedAccount],
    outputs: Iterable[PolicyOutput],
    latest: Mapping[tuple[str, str, str], PolicyOutput],
    known: Users,
    account_of: Callable[[PolicyOutput], str],
) -> Iterator[Row]:
    """Policies that selected nobody in an account, although users of the run before should still be there.

    Not users that are gone or exempt, that the policy itself is done with, or that another policy has handled since.
    """
    for account, output, former in _emptied(outputs, latest, account_of, lambda each: each.users):
        users = [known.of(each.arn, each.unique_id, account) for each in former.users or ()]
        missed = [each.name for each in users if _is_missed(each, former)]
        if missed:
            why = (
                f"{output.policy} selected {len(users)} users on {began(former):%Y-%m-%d}, and now nobody. "
                f"{len(missed)} of them are neither gone nor exempt, and no other policy has handled them: "
                f"{shown(missed)}: look whether its filters or variables were changed"
            )
            yield need(ATTENTION, SELECTION, "selected nobody", why, accounts.get(account))


def _selecting_no_key(
    accounts: Mapping[str, ReportedAccount],
    outputs: Iterable[PolicyOutput],
    latest: Mapping[tuple[str, str, str], PolicyOutput],
    keys: Iterable[AccessKey],
    account_of: Callable[[PolicyOutput], str],
) -> Iterator[Row]:
    """The same of policies on access keys."""
    known = {(each.account, each.unique_id): each for each in keys}
    for account, output, former in _emptied(outputs, latest, account_of, lambda each: each.keys):
        asked = ((account, each.unique_id) for each in former.keys or ())
        selected = [known[each] for each in asked if each in known]
        missed = [each.unique_id for each in selected if each.is_left() and not each.handled()]
        if missed:
            why = (
                f"{output.policy} selected {counted(len(selected), 'access key')} on {began(former):%Y-%m-%d}, and now "
                f"none. {len(missed)} of them are still there, and no policy has handled them: {shown(missed)}: look "
                "whether they were used since, or whether its filters or variables were changed"
            )
            yield need(ATTENTION, SELECTION, "selected nobody", why, accounts.get(account))


def _emptied(
    outputs: Iterable[PolicyOutput],
    latest: Mapping[tuple[str, str, str], PolicyOutput],
    account_of: Callable[[PolicyOutput], str],
    selected: Callable[[PolicyOutput], Sized | None],
) -> Iterator[tuple[str, PolicyOutput, PolicyOutput]]:
    """The account, the latest run and the last one before that selected something, where the latest selected nothing.

    ``selected``: what a run selected of one kind; None if its policy is about another kind.
    """
    before: dict[tuple[str, str, str], PolicyOutput] = {}
    for output in sorted(outputs, key=began):
        key = (account_of(output), output.policy, output.region)
        if selected(output) and output is not latest.get(key):
            before[key] = output
    for key, output in latest.items():
        its = selected(output)
        if its is not None and not its and output.state == ended.RAN and key in before:
            yield key[0], output, before[key]


def _is_missed(user: User, former: PolicyOutput) -> bool:
    handled = [
        each
        for each in user.events
        if each["status"] not in (SKIPPED, FAILED)
        and (each["policy"] == former.policy or when(each) >= began(former))
    ]
    return user.is_left() and user.judged != EXEMPT and not handled
