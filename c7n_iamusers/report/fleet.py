# SPDX-License-Identifier: Apache-2.0
"""A fleet as its runs' outputs show it: accounts, users, runs, exemptions, and what needs attention. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

from c7n_iamusers.evidence.findings import HIGH
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.execution.outcomes import DELETED, FAILED, SKIPPED
from c7n_iamusers.exemptions import ExemptionRule, RuleKey, parse_rules
from c7n_iamusers.notices.notices import Notices
from c7n_iamusers.report import outputs as ended
from c7n_iamusers.report.access_keys import AccessKey, access_keys_of, totals_of
from c7n_iamusers.report.accounts import (
    ANY,
    UNSEEN,
    AccountKeys,
    Expected,
    ReportedAccount,
    Wanted,
    account_keys,
    accounts_of,
    latest_outputs,
)
from c7n_iamusers.report.checks import BLOCKING, REMEMBERED, needs
from c7n_iamusers.report.outputs import PolicyOutput
from c7n_iamusers.report.progress import Progress, progress_of
from c7n_iamusers.report.standing import Belongs, Told, asks_of, stand
from c7n_iamusers.report.users import FIRST, LAST, Row, User, began, when
from c7n_iamusers.report.users_of_runs import Users, event_of, users_of
from c7n_iamusers.text.times import as_text

#: Of a fleet whose notices are not known.
NO_NOTICES: Mapping[tuple[str, str], Notices] = {}
#: An exemption that ends within so many days is named.
_SOON = timedelta(days=30)


@dataclass(frozen=True)
class FleetReport:
    """``attention``: the lines of --check, see ``checks.need``. ``policies``: what the latest run of each did.

    ``keys``: the access keys that policies selected or changed by themselves, the most urgent first.
    """

    accounts: tuple[ReportedAccount, ...]
    users: tuple[User, ...]
    runs: tuple[Row, ...]
    exemptions: tuple[Row, ...]
    attention: tuple[Row, ...]
    policies: tuple[Row, ...]
    progress: Progress
    keys: tuple[AccessKey, ...] = ()

    def of_owners(self, now: datetime) -> Iterator[tuple[str, FleetReport]]:
        """Each owner (empty if unknown) with the report on its users and access keys alone, to be given to it."""
        accounts = {each.id: each for each in self.accounts}
        grouped: defaultdict[str, list[User]] = defaultdict(list)
        for user in self.users:
            grouped[user.standing.owner].append(user)
        of_owner: defaultdict[str, list[AccessKey]] = defaultdict(list)
        for key in self.keys:
            of_owner[key.owner].append(key)
        for owner in sorted({*grouped, *of_owner}):
            users = grouped[owner]
            of_account: defaultdict[str, list[User]] = defaultdict(list)
            for user in users:
                of_account[user.account].append(user)
            for key in of_owner[owner]:
                of_account[key.account] += ()
            # a line on a whole account may name other owners' users, and one that blocks a step is for the operator
            own = tuple(
                replace(accounts[key], users=tuple(found), notes=(), why=())
                for key, found in of_account.items()
            )
            progress = progress_of(own, users, self.progress.since, now)
            yield owner, FleetReport(own, tuple(users), (), (), (), (), progress, tuple(of_owner[owner]))

    def with_needs(self, further: Iterable[Row]) -> FleetReport:
        """With ``further`` lines of the check, such as those on mails, which outputs do not tell (``mail_report``)."""
        found = sorted((*self.attention, *further), key=lambda each: each["level"] != BLOCKING)
        return replace(self, attention=tuple(found))

    def gone(self) -> set[tuple[str, str]]:
        """The account and unique id of each user and access key that is not there any more."""
        return _gone(self.users) | _gone(self.keys)

    def as_data(self) -> Row:
        """The whole report in JSON types; ``users`` and ``keys`` are made one by one, and can be read once."""
        left = [each for each in self.users if each.is_left()]
        deleted = sum(each.is_deleted() for each in self.users)
        return {
            "totals": {
                "accounts": len(self.accounts),
                "accounts_seen": sum(each.state not in UNSEEN for each in self.accounts),
                "users": len(self.users),
                "deleted": deleted,
                "gone": len(self.users) - len(left) - deleted,
                "left": len(left),
                "exempt": sum(each.is_exempt() for each in left),
                "quarantined": sum(bool(each.quarantine()) for each in left),
                "failed": sum(each.event()["status"] == FAILED for each in left),
                "high": sum(each.severity == HIGH for each in left),
                "keys": totals_of(self.keys),
            },
            "progress": self.progress.as_data(),
            "attention": list(self.attention),
            "accounts": [each.as_data() for each in self.accounts],
            "runs": list(self.runs),
            "policies": list(self.policies),
            "exemptions": list(self.exemptions),
            "users": (each.as_data() for each in self.users),
            "keys": (each.as_data() for each in self.keys),
        }


def fleet_of(
    outputs: Sequence[PolicyOutput],
    expected: Sequence[Expected],
    now: datetime,
    wanted: Wanted = ANY,
    notices: Mapping[tuple[str, str], Notices] = NO_NOTICES,
    since: datetime | None = None,
) -> FleetReport:
    """The fleet that ``outputs`` show, with the accounts that are ``expected`` to be among them.

    ``notices``: of each account and place. ``since``: what is later than this counts as changed; None: nothing does.
    """
    today = now.astimezone(timezone.utc).date()
    key_of = account_keys(outputs, expected)
    if wanted.expected_only:
        ids = {each.id for each in expected}
        outputs = [each for each in outputs if key_of.of(each) in ids]
    known = users_of(outputs, key_of.of)
    users = list(known.found.values())
    for user in users:
        user.remembered_from = today - REMEMBERED
        user.note()
    belongs = {each.id: Belongs(each.owner, each.ou) for each in expected}
    stand(users, asks_of(outputs, key_of.of), Told(notices, since, belongs), now)
    keys = access_keys_of(outputs, key_of.of, notices, belongs, _gone(users), now)
    accounts = accounts_of(outputs, expected, key_of, users, wanted)
    complete = _with_outcomes(outputs, key_of)
    runs = tuple(_runs(complete, users, key_of))
    all_seen = not any(each.state in UNSEEN for each in accounts)
    if wanted.expected_only:
        all_seen = False  # a rule may protect users of other accounts
    latest = latest_outputs(outputs, key_of)
    exemptions = tuple(_exemptions(latest, all_seen, today, _lapsed(users, today)))
    policies = tuple(_policies(latest_outputs(complete, key_of), wanted, known))
    ordered = tuple(sorted(users, key=lambda each: (each.account, each.name.casefold(), each.unique_id)))
    progress = progress_of(accounts, ordered, since, now)
    fleet = FleetReport(accounts, ordered, runs, exemptions, (), policies, progress, tuple(keys))
    return fleet.with_needs(needs(accounts, outputs, latest, exemptions, known, keys, key_of.of))


def _gone(of: Iterable[User | AccessKey]) -> set[tuple[str, str]]:
    return {(each.account, each.unique_id) for each in of if not each.is_left()}


def _with_outcomes(outputs: Sequence[PolicyOutput], key_of: AccountKeys) -> list[PolicyOutput]:
    """The outputs of runs. In a bucket outcomes lie apart: each is of the latest run that began before it."""
    runs: defaultdict[tuple[str, str, str], list[PolicyOutput]] = defaultdict(list)
    for each in sorted(outputs, key=began):
        if each.state:
            runs[key_of.of(each), each.policy, each.region].append(each)
    rows: defaultdict[str, list[Mapping[str, object]]] = defaultdict(list)
    key_rows: defaultdict[str, list[Mapping[str, object]]] = defaultdict(list)
    for each in outputs:
        if each.all_rows and not each.state:
            of_policy = runs[key_of.of(each), each.policy, each.region]
            starts = list(map(began, of_policy))
            for found, its in ((rows, each.rows), (key_rows, each.key_rows)):
                for row in its:
                    if at := bisect_right(starts, when(event_of(row, each, None))):
                        found[of_policy[at - 1].place].append(row)
    return [
        replace(
            each,
            rows=(*each.rows, *rows.get(each.place, ())),
            key_rows=(*each.key_rows, *key_rows.get(each.place, ())),
        )
        for of_policy in runs.values()
        for each in of_policy
    ]


def _runs(outputs: Iterable[PolicyOutput], users: Sequence[User], key_of: AccountKeys) -> Iterator[Row]:
    """Each run over accounts, by its time; with how many users were known and were deleted once it had ended."""
    grouped: defaultdict[str, list[PolicyOutput]] = defaultdict(list)
    for output in outputs:
        grouped[output.run].append(output)
    runs = sorted(grouped.items(), key=lambda each: min(map(began, each[1])))
    starts = [min(map(began, group)) for _, group in runs]
    deleted_at = [when(event) for each in users if (event := each.event())["status"] == DELETED]
    deleted_at += [each.gone_since for each in users if each.gone_since and not each.is_deleted()]
    for (run, group), until in zip(runs, [*starts, LAST][1:], strict=True):
        times = [each.time for each in group if each.time]
        last = max(map(began, group))
        known = sum(each.first_seen <= last for each in users)
        deleted = sum(at < until for at in deleted_at)
        statuses = Counter(event["status"] for _, event in _last_of_each(group))
        selected = sum(len(each.selected or ()) for each in group)
        yield {
            "run": run,
            "policy": group[0].policy,
            "time": as_text(min(times)) if times else "",
            "dry_run": any(each.dry_run for each in group),
            "accounts": len({key_of.of(each) for each in group}),
            "not_run": sorted({key_of.of(each) for each in group if each.state in UNSEEN}),
            "selected": selected,
            "outcomes": dict(sorted(statuses.items())),
            "known": max(known, deleted),
            "left": max(known - deleted, 0),
        }


def _last_of_each(
    outputs: Iterable[PolicyOutput], since_its_run: bool = False
) -> Iterator[tuple[Mapping[str, Any], Row]]:
    """The last row of each user in each output, with its event: an intent and what a run of `provision` made of it are
    two rows of one user. ``since_its_run``: no rows of users of earlier runs.
    """
    for output in outputs:
        found = dict[tuple[str, ...], tuple[Mapping[str, Any], Row]]()
        for row in output.all_rows:
            event = event_of(row, output, output.time)
            key = (str(row.get("arn")), str(row.get("unique_id")), event["policy"])
            if since_its_run and when(event) < (output.time or FIRST):
                continue
            if key not in found or when(found[key][1]) <= when(event):
                found[key] = (row, event)
        yield from found.values()


def _policies(
    latest: Mapping[tuple[str, str, str], PolicyOutput], wanted: Wanted, known: Users
) -> Iterator[Row]:
    """What the latest run of each of the policies that are ``wanted`` did, over all accounts.

    Outcomes of users of earlier runs don't count. ``not_run``: the accounts whose users are not known. ``deployed``:
    those where it deployed a function, or where the function's event selected nobody.
    """
    grouped: defaultdict[str, list[tuple[str, PolicyOutput]]] = defaultdict(list)
    for (account, policy, _), output in latest.items():
        old = wanted.since and output.time and output.time < wanted.since
        if not old and (not wanted.policies or policy in wanted.policies):
            grouped[policy].append((account, output))
    for policy, group in sorted(grouped.items()):
        outputs = [output for _, output in group]
        events = [*_last_of_each(outputs, since_its_run=True)]
        skipped = Counter(known.why_skipped(row) for row, event in events if event["status"] == SKIPPED)
        yield {
            "policy": policy,
            "time": as_text(max((each.time for each in outputs if each.time), default=None)) or "",
            "accounts": len({account for account, _ in group}),
            "not_run": sorted({account for account, each in group if each.state in UNSEEN}),
            "dry_run": any(each.dry_run for each in outputs),
            "deployed": sorted({account for account, each in group if each.deployed}),
            "selected": sum(len(each.selected or ()) for each in outputs),
            "outcomes": dict(sorted(Counter(event["status"] for _, event in events).items())),
            "skipped": [{"codes": [*codes], "users": count} for codes, count in skipped.most_common()],
        }


def _lapsed(users: Iterable[User], today: date) -> dict[RuleKey, dict[str, list[str]]]:
    """Expired rule -> account -> those of ``users`` that exist, and that only expired rules match."""
    found: dict[RuleKey, dict[str, list[str]]] = {}
    for user in users:
        if user.rules and user.is_left() and all(each.expires < today for each in user.rules):
            for each in user.rules:
                found.setdefault(each.key, {}).setdefault(user.account, []).append(user.name)
    return found


def _exemptions(
    latest: Mapping[tuple[str, str, str], PolicyOutput],
    all_seen: bool,
    today: date,
    lapsed: Mapping[RuleKey, Mapping[str, Sequence[str]]],
) -> Iterator[Row]:
    """Each rule of the latest runs. ``users``: that it protects; None where that is not known of every account.

    ``lapsed``: account -> the users that it no longer protects, and no other rule does.
    """
    rules: dict[RuleKey, ExemptionRule] = {}
    policies: defaultdict[RuleKey, set[str]] = defaultdict(set)
    users: Counter[tuple[RuleKey, str]] = Counter()
    for (account, policy, _), output in latest.items():
        protected = output.seen.protected() if output.seen else {}
        for rule in (*_rules(output), *protected):
            rules.setdefault(rule.key, rule)
            policies[rule.key].add(policy)
        for rule, count in protected.items():  # several policies have the same rule for the same users
            users[rule.key, account] = max(users[rule.key, account], count)
    # a policy on access keys asks for the keys' users alone
    of_keys = {policy for (_, policy, _), output in latest.items() if output.on_keys}
    silent = {
        policy for (_, policy, _), output in latest.items() if not output.on_keys and not _saw_all(output)
    }
    for key, rule in sorted(rules.items(), key=lambda each: each[0][2]):
        told = all_seen and not silent & policies[key] and not policies[key] <= of_keys
        yield {
            **dict(zip(("field", "pattern", "expires", "account"), key, strict=True)),
            "state": _expiry(rule.expires, today),
            "lapsed": {account: sorted(names) for account, names in sorted(lapsed.get(key, {}).items())},
            "reason": rule.reason,
            "owner": rule.owner,
            "policies": sorted(policies[key]),
            "users": sum(count for (each, _), count in users.items() if each == key) if told else None,
        }


def _saw_all(output: PolicyOutput) -> bool:
    """Whether the exemptions were matched with all users of the account. Without users the filter is not called."""
    if output.seen:
        return output.seen.complete
    return output.state == ended.RAN and output.users == () and output.sees_all


def _rules(output: PolicyOutput) -> Iterator[ExemptionRule]:
    """The policy's own; none where one is invalid, since a policy that ran had none."""
    for each in output.rules:
        try:
            yield from parse_rules([each], "exempt")
        except InvalidPolicyData:
            continue


def _expiry(expires: date, today: date) -> str:
    if expires < today:
        return "expired"
    return "expires soon" if expires - today <= _SOON else ""
