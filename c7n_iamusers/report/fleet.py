# SPDX-License-Identifier: Apache-2.0
"""A fleet as its runs' outputs show it: accounts, users, runs, exemptions, and what needs attention. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from statistics import median_low
from sys import intern
from typing import Any

from c7n_iamusers.evidence.attempts import HEARD, heard_reason
from c7n_iamusers.evidence.findings import HIGH, LOW, MEDIUM
from c7n_iamusers.evidence.model import UNKNOWN
from c7n_iamusers.exceptions import InvalidPolicyData, Stopped
from c7n_iamusers.execution.outcomes import DELETED, FAILED, QUARANTINED, RELEASED, SKIPPED
from c7n_iamusers.exemptions import RuleKey, parse_rules
from c7n_iamusers.report import outputs as ended
from c7n_iamusers.report.outputs import EVIDENCE, Evidence, PolicyOutput, Selected
from c7n_iamusers.safeguards.guards import not_quarantined, quarantine_trouble
from c7n_iamusers.text.wording import as_text, moment

#: The status of a user on whom no action has reported.
FLAGGED = "flagged"
#: The state of an account that is expected, and of which nothing was found.
MISSING = "never ran"
#: The state of an account whose latest result most others have replaced by later ones.
OLDER = "older result"
#: The severity of a user whose evidence stands in no output.
UNJUDGED = "unknown"
SEVERITIES = (HIGH, MEDIUM, LOW, UNJUDGED)
#: A quarantine of which nothing bad is known, and the statuses that put a user into one or end it.
STANDS = "stands"
#: What is wrong with a quarantine that somebody undid in part, and with one of a user that has an exemption since.
BROKEN, EXEMPT = "broken", "of an exempt user"
_CHANGING = frozenset({QUARANTINED, RELEASED, DELETED})
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
#: A broken quarantine is named for so many days, unless the user is released or deleted.
_REMEMBERED = timedelta(days=14)
#: An exemption that ends within so many days is named.
_SOON = timedelta(days=30)
_FIRST = datetime.min.replace(tzinfo=timezone.utc)
_LAST = datetime.max.replace(tzinfo=timezone.utc)
Row = dict[str, Any]


@dataclass(frozen=True)
class Expected:
    """An account of c7n-org's accounts file."""

    id: str
    name: str


@dataclass(frozen=True)
class Wanted:
    """What must be there of each account: a result of each of ``policies``, which began at ``since`` or later.

    ``policies``: names; if empty and there is a ``since``, all policies that the outputs know. ``since``: None for any
    time. ``expected_only``: nothing of accounts that are not expected is shown or counted.
    """

    policies: Collection[str] = ()
    since: datetime | None = None
    expected_only: bool = False


@dataclass(slots=True)
class User:
    """A user of an account: its evidence, and what became of it.

    ``found``: the evidence of the latest runs that selected it; a later one's members take the place of an earlier
    one's. ``severity``: of its worst finding; UNJUDGED where no output has its evidence. ``attempts``: the evidence of
    that name. ``problems``: evidence that could not be read, in words.
    ``exempt``: whether the latest run that judged its account found it exempt and denied everything.
    ``remembered_from``: the first day whose broken quarantines are named although they were completed since.
    """

    account: str
    name: str
    arn: str
    unique_id: str
    remembered_from: date = date.max
    exempt: bool = False
    first_seen: datetime = _LAST
    last_seen: datetime | None = None
    created: str = ""
    found: tuple[Evidence, ...] = ()
    severity: str = UNJUDGED
    attempts: Any = None
    problems: tuple[str, ...] = ()
    events: list[Row] = field(default_factory=list)

    def add(self, event: Row) -> None:
        """Add an outcome, if it is not known yet."""
        if event not in self.events:
            self.events.append(event)
            self.first_seen = min(self.first_seen, moment(event["time"]) or _LAST)

    def may_exist(self, at: datetime) -> bool:
        """Whether it was neither created after a time nor deleted before."""
        deleted = (_when(each) for each in self.events if each["status"] == DELETED)
        return (moment(self.created) or _FIRST) <= at <= min(deleted, default=_LAST)

    def event(self) -> Row:
        """What counts of ``events``: a deletion, then the failure of any policy since, then the latest.

        A failure because of a file STOP counts only where there is no other.
        """
        if not self.events:
            return {"status": FLAGGED, "reason": "", "policy": "", "time": ""}
        newest = max(self.events, key=_when)
        if newest["status"] == DELETED:
            return newest
        ended_at = self.ended()
        failed = [
            each
            for each in self.of_policies(self.events)
            if each["status"] == FAILED and (_when(each) > ended_at or not quarantine_trouble(each["reason"]))
        ]
        return max(failed, key=lambda each: (not _is_stopped(each), _when(each)), default=newest)

    def reason(self) -> str:
        """Why ``event`` is as it is. If only because the user is in no quarantine: why it was left out of that."""
        reason = str(self.event()["reason"])
        return self.left_out() or reason if not_quarantined(reason) else reason

    def left_out(self) -> str:
        """Why a policy last skipped it since its release, for more than that it is in no quarantine; empty if none."""
        ended_at = self.ended()
        skipped = [each for each in self.events if each["status"] == SKIPPED and _when(each) > ended_at]
        said = [each for each in skipped if not not_quarantined(each["reason"])]
        return str(max(said, key=_when)["reason"]) if said else ""

    def trouble(self) -> str:
        """What is wrong with its quarantine: empty, ``in use``, ``broken`` or EXEMPT."""
        if self.exempt:
            return EXEMPT
        event = self.troubling()
        return quarantine_trouble(event["reason"]) if event else "in use" if self.heard() else ""

    def troubling(self) -> Row | None:
        """The newest outcome that says what is wrong with its quarantine, since its last release.

        The latest outcome of each policy counts. One of the last days that says ``broken`` counts although a later run
        found the quarantine complete: that run or the one before completed it, and nobody may have seen that.
        """
        if self.event()["status"] == DELETED:
            return None
        ended_at = self.ended()
        since = [each for each in self.events if _when(each) > ended_at]
        latest = self.of_policies(since)
        broken = [
            each
            for each in since
            if quarantine_trouble(each["reason"]) == BROKEN
            and (each in latest or _when(each).date() >= self.remembered_from)
        ]
        found = broken or [each for each in latest if quarantine_trouble(each["reason"])]
        return max(found, key=_when, default=None)

    def ended(self) -> datetime:
        """When it was last released or deleted."""
        ends = [_when(each) for each in self.events if each["status"] in (RELEASED, DELETED)]
        return max(ends, default=_FIRST)

    def of_policies(self, events: Iterable[Row]) -> list[Row]:
        """The latest of ``events`` of each policy."""
        return list({each["policy"]: each for each in sorted(events, key=_when)}.values())

    def heard(self) -> str:
        """Who still calls AWS as the user under its quarantine, in words; empty if nobody, or it was released since."""
        found = self.attempts
        if not isinstance(found, Mapping) or found.get("state") != HEARD or not found.get("quarantined"):
            return ""
        if self.ended() > (moment(found.get("as_of")) or _LAST):
            return ""
        return f"heard since {found.get('since')}: {heard_reason(found)}"

    def quarantine(self) -> str:
        """What is known of its quarantine: empty where it is in none, STANDS, or what is wrong with it."""
        return self.trouble() or (STANDS if self.stands() else "")

    def stands(self) -> bool:
        """Whether it was put in quarantine, and not released or deleted since."""
        states = [each["status"] for each in sorted(self.events, key=_when) if each["status"] in _CHANGING]
        return bool(states) and states[-1] == QUARANTINED

    def evidence(self) -> Row:
        """The members of ``found``, made anew each time."""
        return {key: value for each in self.found for key, value in each.data().items()}

    def note(self) -> None:
        """Take out of the evidence what several parts of a report ask for."""
        evidence = self.evidence()
        findings = evidence.get("findings")
        if isinstance(findings, list) and evidence.get("kind"):
            severities = {each.get("severity") for each in findings}
            self.severity = next((each for each in (HIGH, MEDIUM) if each in severities), LOW)
        self.attempts = evidence.get("attempts")
        self.problems = tuple(
            intern(f"{name} could not be read: {source['problem']}")
            for name, source in (evidence.get("sources") or {}).items()
            if isinstance(source, dict) and source.get("problem")
        )

    def as_data(self) -> Row:
        """JSON types only."""
        event, evidence = self.event(), self.evidence()
        of_evidence = {key: evidence.get(key, empty) for key, empty in EVIDENCE.items() if key != "kind"}
        return {
            "account": self.account,
            "user": self.name,
            "arn": self.arn,
            "unique_id": self.unique_id,
            "created": self.created,
            "last_seen": as_text(self.last_seen) or "",
            "status": event["status"],
            "reason": self.reason(),
            "policy": event["policy"],
            "time": event["time"],
            "quarantine": self.quarantine(),
            "severity": self.severity,
            **of_evidence,
            "kind": evidence.get("kind") or UNKNOWN,
            "oldest_credential": _oldest(evidence.get("credentials") or ()),
            "outcomes": sorted(self.events, key=_when, reverse=True),
        }


def _oldest(credentials: Iterable[Mapping[str, Any]]) -> str:
    """When the oldest active one was created; empty where none is, or the output does not say."""
    return min(
        (str(each["created"]) for each in credentials if each.get("active") and each.get("created")),
        default="",
    )


@dataclass(frozen=True)
class Account:
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
        left = [each for each in self.users if each.event()["status"] != DELETED]
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
            "severities": {each: severities[each] for each in SEVERITIES},
            "failed": sum(each.event()["status"] == FAILED for each in self.users),
        }


@dataclass(frozen=True)
class Fleet:
    """``attention``: what --check ends with an error for. ``policies``: what the latest run of each did."""

    accounts: tuple[Account, ...]
    users: tuple[User, ...]
    runs: tuple[Row, ...]
    exemptions: tuple[Row, ...]
    attention: tuple[Row, ...]
    policies: tuple[Row, ...]

    def as_data(self) -> Row:
        """The whole report in JSON types; ``users`` are made one by one, and can be read once."""
        left = [each for each in self.users if each.event()["status"] != DELETED]
        return {
            "totals": {
                "accounts": len(self.accounts),
                "accounts_seen": sum(each.state not in UNSEEN for each in self.accounts),
                "users": len(self.users),
                "left": len(left),
                "deleted": len(self.users) - len(left),
                "quarantined": sum(bool(each.quarantine()) for each in left),
                "failed": sum(each.event()["status"] == FAILED for each in left),
                "high": sum(each.severity == HIGH for each in left),
            },
            "attention": list(self.attention),
            "accounts": [each.as_data() for each in self.accounts],
            "runs": list(self.runs),
            "policies": list(self.policies),
            "exemptions": list(self.exemptions),
            "users": (each.as_data() for each in self.users),
        }


#: Whatever is there.
ANY = Wanted()


def fleet_of(
    outputs: Sequence[PolicyOutput], expected: Sequence[Expected], today: date, wanted: Wanted = ANY
) -> Fleet:
    """The fleet that ``outputs`` show, with the accounts that are ``expected`` to be among them."""
    key_of = _account_keys(outputs, expected)
    if wanted.expected_only:
        ids = {each.id for each in expected}
        outputs = [each for each in outputs if key_of.of(each) in ids]
    known = _users(outputs, key_of)
    users = list(known.found.values())
    for user in users:
        user.remembered_from = today - _REMEMBERED
        user.note()
    accounts = _accounts(outputs, expected, key_of, users, wanted)
    ordered = sorted(users, key=lambda each: (each.account, each.name.casefold(), each.unique_id))
    runs = tuple(_runs(outputs, users, key_of))
    all_seen = not any(each.state in UNSEEN for each in accounts)
    if wanted.expected_only:
        all_seen = False  # a rule may protect users of other accounts
    latest = _latest(outputs, key_of)
    exemptions = tuple(_exemptions(latest, all_seen, today))
    policies = tuple(_policies(latest, wanted, known))
    return Fleet(accounts, tuple(ordered), runs, exemptions, tuple(_attention(accounts)), policies)


class _Keys(dict[tuple[str, str], str]):
    """The id, or else the name, of the account that an output is of."""

    def of(self, output: PolicyOutput) -> str:
        return self[output.account, output.name]


def _account_keys(outputs: Iterable[PolicyOutput], expected: Iterable[Expected]) -> _Keys:
    """A run that was stopped early tells no id: its directory's name does, by the accounts file or by other runs."""
    ids = {each.name: each.account for each in outputs if each.account and each.name}
    ids |= {each.name: each.id for each in expected}
    pairs = {(each.account, each.name) for each in outputs}
    return _Keys({(id_, name): id_ or ids.get(name) or name or "?" for id_, name in pairs})


class _Users:
    """The users that outputs name, by ARN and unique id. A user that is created again has the ARN of the former one."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], User] = {}
        self._of_arn: defaultdict[str, tuple[User, ...]] = defaultdict(tuple)

    def of(self, arn: str, unique_id: str, account: str) -> User:
        """The user of an ARN with this unique id. ``account``: that of the run."""
        if user := self.found.get((arn, unique_id)):
            return user
        # The ARN's account, and not the run's, is the user's.
        user = User(intern(arn.split(":")[4] or account), arn.rpartition("/")[2], arn, unique_id)
        self.found[arn, unique_id] = user
        self._of_arn[arn] += (user,)
        return user

    def at(self, arn: str, at: datetime, account: str) -> User:
        """Who had an ARN at a time, for what names no unique id; a user without one if all were deleted before."""
        there = sorted(
            (each for each in self._of_arn[arn] if each.may_exist(at)),
            key=lambda each: moment(each.created) or each.first_seen,
        )
        begun = [each for each in there if each.first_seen <= at or each.created]
        return begun[-1] if begun else there[0] if there else self.of(arn, "", account)

    def why_skipped(self, row: Mapping[str, Any]) -> str:
        """The reason of an outcome in a few words; for a user in no quarantine, why it was left out of that."""
        reason = str(row.get("reason") or "")
        if not not_quarantined(reason):
            return _without_details(reason)
        user = self.found.get((str(row["arn"]), str(row.get("unique_id") or "")))
        why = user.left_out() if user else ""
        return f"not in quarantine: {_without_details(why)}" if why else "not in quarantine"


def _users(outputs: Iterable[PolicyOutput], key_of: _Keys) -> _Users:
    known = _Users()
    outputs = sorted(outputs, key=_began)
    for output in outputs:
        for each in output.users or ():
            _see(known.of(each.arn, each.unique_id, key_of.of(output)), each, output)
    unnamed = list[tuple[str, Row, PolicyOutput]]()
    for arn, unique_id, event, output in _entries(outputs):
        if unique_id:
            known.of(arn, unique_id, key_of.of(output)).add(event)
        else:
            unnamed.append((arn, event, output))
    for arn, event, output in unnamed:
        known.at(arn, moment(event["time"]) or _began(output), key_of.of(output)).add(event)
    for arn, ours, output in _exempt(outputs, key_of):
        user = known.at(arn, _began(output), key_of.of(output))
        user.exempt = (ours or user.stands()) and user.ended() <= _began(output)
    return known


def _entries(outputs: Iterable[PolicyOutput]) -> Iterator[tuple[str, str, Row, PolicyOutput]]:
    """The ARN, unique id and event of each outcome, the earlier ones of its row first."""
    for output in outputs:
        for row in output.rows:
            for entry in (*row.get("history", ()), row):
                # an earlier outcome without a time is not of this run
                event = _event(entry, output, output.time if entry is row else None)
                yield str(row["arn"]), str(entry.get("unique_id") or ""), event, output


def _exempt(outputs: Iterable[PolicyOutput], key_of: _Keys) -> Iterator[tuple[str, bool, PolicyOutput]]:
    """The exempt users that are denied everything, by the latest of ``outputs`` of each account that judged users."""
    judged = {key_of.of(each): each for each in outputs if each.denied is not None}
    for output in judged.values():
        yield from ((arn, ours, output) for arn, ours in (output.denied or {}).items())


def _see(user: User, selected: Selected, output: PolicyOutput) -> None:
    """Outputs come in the order of their time, so what a later one knows takes the place."""
    began = _began(output)
    user.first_seen = min(user.first_seen, began)
    user.last_seen = output.time or user.last_seen
    user.created = as_text(moment(selected.created)) or user.created
    if keys := selected.evidence.keys:
        kept = (each for each in user.found if not each.keys <= keys)
        user.found = (*kept, selected.evidence)


def _event(row: Mapping[str, Any], output: PolicyOutput, otherwise: datetime | None) -> Row:
    """The outcome of ``row``. ``otherwise``: its time where it has none."""
    # with fractions of a second: a run may write that the one before was stopped, and then what it did itself
    time = moment(row.get("time")) or otherwise
    texts = {key: intern(str(row.get(key) or "")) for key in ("status", "reason", "call", "code")}
    return {"time": time.isoformat() if time else "", "policy": output.policy, **texts}


def _when(event: Row) -> datetime:
    return moment(event["time"]) or _FIRST


def _began(output: PolicyOutput) -> datetime:
    return output.time or _LAST


def _latest(outputs: Iterable[PolicyOutput], key_of: _Keys) -> dict[tuple[str, str, str], PolicyOutput]:
    """The latest output of each account, policy and Region; what can't be read counts besides, however old."""
    found = {}
    for each in sorted(outputs, key=_began):
        if each.state:
            where = each.place if each.state == ended.UNREADABLE else each.region
            found[key_of.of(each), each.policy, where] = each
    return found


def _without_older(
    latest: dict[tuple[str, str, str], PolicyOutput], expected: Collection[Expected]
) -> dict[tuple[str, str, str], PolicyOutput]:
    """``latest``, where results are OLDER that most accounts have replaced since, of those that are expected if any.

    A role that can't be assumed any more leaves the directory of an account as the run before wrote it.
    """
    ids = {each.id for each in expected} or {account for account, _, _ in latest}
    began: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
    for (account, policy, _), output in latest.items():
        if account in ids and output.time:
            began[policy][account] = max(output.time, began[policy].get(account, output.time))
    usual = {policy: median_low(times.values()) for policy, times in began.items()}

    def judged(account: str, policy: str, output: PolicyOutput) -> PolicyOutput:
        at = began[policy].get(account)
        if output.state not in (ended.RAN, ended.ACTION_FAILED) or not at or usual[policy] - at <= _RUN_TAKES:
            return output
        why = f"its result is of {at:%Y-%m-%d %H:%M} UTC, and most accounts have one of {usual[policy]:%Y-%m-%d %H:%M}"
        return replace(
            output, state=OLDER, why=f"{why} or later: its role may be denied since, or it was left out"
        )

    return {key: judged(key[0], key[1], output) for key, output in latest.items()}


def _accounts(
    outputs: Sequence[PolicyOutput],
    expected: Collection[Expected],
    key_of: _Keys,
    users: Iterable[User],
    wanted: Wanted,
) -> tuple[Account, ...]:
    names = {key_of.of(each): each.name for each in sorted(outputs, key=_began) if each.name}
    names |= {each.id: each.name for each in expected}
    of_account: defaultdict[str, list[User]] = defaultdict(list)
    for user in users:
        of_account[user.account].append(user)
    latest: defaultdict[str, list[PolicyOutput]] = defaultdict(list)
    for (account, _, _), output in _without_older(_latest(outputs, key_of), expected).items():
        latest[account].append(output)
    keys = {*(each.id for each in expected), *map(key_of.of, outputs), *of_account}
    policies = wanted.policies or (
        {policy for _, policy, _ in _latest(outputs, key_of)} if wanted.since else ()
    )
    must = {each.id for each in expected} or keys
    lacking = {key: tuple(_lacking(latest[key], policies, wanted.since)) for key in must}
    found = (
        _account(key, names.get(key, ""), latest[key], lacking.get(key, ()), of_account[key]) for key in keys
    )
    return tuple(sorted(found, key=_by_risk))


def _lacking(
    latest: Sequence[PolicyOutput], policies: Collection[str], since: datetime | None
) -> Iterator[str]:
    """For each of ``policies`` that left an account no result, or one from before ``since``: that it did not run."""
    for policy in sorted(policies):
        found = [each for each in latest if each.policy == policy]
        if not found:
            yield f"{policy} left no result: {_LOOK}"
        for each in found:
            if since and each.time and each.time < since:
                yield (
                    f"{policy} in {each.place}: its result is of {each.time:%Y-%m-%d %H:%M:%S} UTC, and it should have "
                    f"run since {since:%Y-%m-%d %H:%M:%S} UTC: {_LOOK}"
                )


def _account(
    key: str, name: str, latest: Sequence[PolicyOutput], lacking: Sequence[str], users: Sequence[User]
) -> Account:
    states = [*(each.state for each in latest), *([ended.STOPPED] if latest and lacking else [])]
    state = min(states, key=_STATES.index, default=MISSING)
    why = (*(f"{each.policy} in {each.place}: {each.why}" for each in latest if each.why), *lacking)
    if not latest:
        why = ("no run of a policy left a resources.json for it",)
    times = [each.time for each in latest if each.time]
    return Account(key, name, state, why, tuple(_unread(users)), max(times, default=None), tuple(users))


def _unread(users: Iterable[User]) -> list[str]:
    """Evidence that a run could not read, so that findings that rest on it are unknown."""
    return sorted({problem for user in users for problem in user.problems})


def _by_risk(account: Account) -> tuple[Any, ...]:
    data = account.as_data()
    severities = (-data["severities"][each] for each in SEVERITIES)
    return (_STATES.index(account.state), -data["failed"], *severities, account.name, account.id)


def _attention(accounts: Sequence[Account]) -> Iterator[Row]:
    """Accounts first, then users, the failed ones before those whose quarantine is in trouble."""
    for account in accounts:
        failed = any(user.event()["status"] == FAILED for user in account.users)
        # Users that failed end their policy with an error, and are named themselves.
        if account.state != ended.RAN and not (failed and account.state == ended.ACTION_FAILED):
            yield _needs(account, "account", account.state, "; ".join(account.why))
    users = [(account, user) for account in accounts for user in account.users]
    yield from _stopped([user for _, user in users])
    for account, user in users:
        event = user.event()
        if (
            event["status"] == FAILED
            and not _is_stopped(event)
            and quarantine_trouble(event["reason"]) != BROKEN
        ):
            reason = event["reason"] or "no reason was left"
            yield _needs(account, "failure", f"{event['policy']} failed", reason, user)
    for account, user in users:
        if trouble := user.trouble():
            why = _why(trouble, user).removeprefix(f"quarantine {trouble}: ")
            yield _needs(account, "quarantine", f"quarantine {trouble}", why, user)


def _is_stopped(event: Row) -> bool:
    return bool(event["status"] == FAILED and event["code"] == Stopped.__name__)


def _stopped(users: Iterable[User]) -> Iterator[Row]:
    """One line for all users before whom a file STOP ended a run, since it is one cause, and none was touched."""
    found: defaultdict[str, list[User]] = defaultdict(list)
    for user in users:
        if _is_stopped(event := user.event()):
            found[event["reason"].removeprefix(f"user {user.name} of account {user.account}: ")].append(user)
    for reason, stopped in found.items():
        who = f"{len(stopped)} users in {len({each.account for each in stopped})} accounts"
        why = f"{who}: {reason}. This line goes away when the same policies have run again"
        nobody = dict.fromkeys(("account", "name", "user", "unique_id"), "")
        yield {"kind": "failure", **nobody, "what": "stopped", "why": why}


def _why(trouble: str, user: User) -> str:
    """What is wrong with a quarantine, in words, and for how long a broken one is named."""
    if trouble == EXEMPT:
        return "it is exempt, and still denied everything: release it (policies/release.yml), or remove the exemption"
    event = user.troubling()
    if event is None:
        return user.heard()
    reason = str(event["reason"])
    if quarantine_trouble(reason) != BROKEN or event in user.of_policies(user.events):
        return reason
    until = _when(event).date() + _REMEMBERED
    return (
        f"{reason}. {event['policy']} found this on {event['time'][:10]}; it is named until {until}, or until the user "
        "is released or deleted"
    )


def _needs(account: Account, kind: str, what: str, why: str, user: User | None = None) -> Row:
    who = {"account": account.id, "name": account.name, "user": user.name if user else ""}
    return {"kind": kind, **who, "unique_id": user.unique_id if user else "", "what": what, "why": why}


def _runs(outputs: Iterable[PolicyOutput], users: Sequence[User], key_of: _Keys) -> Iterator[Row]:
    """Each run over accounts, by its time; with how many users were known and were deleted once it had ended."""
    grouped: defaultdict[str, list[PolicyOutput]] = defaultdict(list)
    for output in outputs:
        if output.state:
            grouped[output.run].append(output)
    runs = sorted(grouped.items(), key=lambda each: min(map(_began, each[1])))
    starts = [min(map(_began, group)) for _, group in runs]
    deleted_at = [_when(event) for each in users if (event := each.event())["status"] == DELETED]
    for (run, group), until in zip(runs, [*starts, _LAST][1:], strict=True):
        began = [each.time for each in group if each.time]
        last = max(map(_began, group))
        known = sum(each.first_seen <= last for each in users)
        deleted = sum(at < until for at in deleted_at)
        statuses = Counter(str(row["status"]) for each in group for row in each.rows)
        selected = sum(len(each.users or ()) for each in group)
        yield {
            "run": run,
            "policy": group[0].policy,
            "time": as_text(min(began)) if began else "",
            "dry_run": any(each.dry_run for each in group),
            "accounts": len({key_of.of(each) for each in group}),
            "not_run": sorted({key_of.of(each) for each in group if each.state in UNSEEN}),
            "selected": selected,
            "outcomes": dict(sorted(statuses.items())),
            "known": max(known, deleted),
            "left": max(known - deleted, 0),
        }


def _policies(
    latest: Mapping[tuple[str, str, str], PolicyOutput], wanted: Wanted, known: _Users
) -> Iterator[Row]:
    """What the latest run of each of the policies that are ``wanted`` did, over all accounts.

    Outcomes of users of earlier runs don't count. ``not_run``: the accounts whose users are not known.
    """
    grouped: defaultdict[str, list[tuple[str, PolicyOutput]]] = defaultdict(list)
    for (account, policy, _), output in latest.items():
        old = wanted.since and output.time and output.time < wanted.since
        if not old and (not wanted.policies or policy in wanted.policies):
            grouped[policy].append((account, output))
    for policy, group in sorted(grouped.items()):
        outputs = [output for _, output in group]
        found = ((each, row, _event(row, each, each.time)) for each in outputs for row in each.rows)
        events = [(row, event) for each, row, event in found if _when(event) >= (each.time or _FIRST)]
        skipped = Counter(known.why_skipped(row) for row, event in events if event["status"] == SKIPPED)
        yield {
            "policy": policy,
            "time": as_text(max((each.time for each in outputs if each.time), default=None)) or "",
            "accounts": len({account for account, _ in group}),
            "not_run": sorted({account for account, each in group if each.state in UNSEEN}),
            "dry_run": any(each.dry_run for each in outputs),
            "selected": sum(len(each.users or ()) for each in outputs),
            "outcomes": dict(sorted(Counter(event["status"] for _, event in events).items())),
            "skipped": dict(skipped.most_common()),
        }


#: What differs between users that are skipped for the same reason.
_DETAIL = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?)?(?: UTC)?|(?<!\S)\S*@\S*(?: \S*@\S*)*")


def _without_details(reason: str) -> str:
    """The first part of ``reason``, without dates and addresses."""
    return _DETAIL.sub("...", reason).partition(":")[0].partition(";")[0].partition(" (")[0]


def _exemptions(
    latest: Mapping[tuple[str, str, str], PolicyOutput], all_seen: bool, today: date
) -> Iterator[Row]:
    """Each rule of the latest runs. ``users``: that it protects; None where that is not known of every account."""
    details: defaultdict[RuleKey, Row] = defaultdict(dict)
    policies: defaultdict[RuleKey, set[str]] = defaultdict(set)
    users: Counter[tuple[RuleKey, str]] = Counter()
    for (account, policy, _), output in latest.items():
        used = output.usage.rules if output.usage else {}
        for key in used:
            reason, owner = output.explanations.get(key, ("", ""))
            details[key] |= {"reason": reason, "owner": owner} if reason else {}
            policies[key].add(policy)
        for key, detail in _rules(output):
            details[key] |= detail
            policies[key].add(policy)
        for key, count in used.items():  # several policies have the same rule for the same users
            users[key, account] = max(users[key, account], count)
    silent = {policy for (_, policy, _), output in latest.items() if output.usage is None}
    for key, detail in sorted(details.items(), key=lambda each: each[0][2]):
        told = all_seen and not silent & policies[key]
        yield {
            **dict(zip(("field", "pattern", "expires", "account"), key, strict=True)),
            "state": _expiry(date.fromisoformat(key[2]), today),
            "reason": detail.get("reason", ""),
            "owner": detail.get("owner", ""),
            "policies": sorted(policies[key]),
            "users": sum(count for (rule, _), count in users.items() if rule == key) if told else None,
        }


def _rules(output: PolicyOutput) -> Iterator[tuple[RuleKey, Row]]:
    for each in output.rules:
        try:
            (rule,) = parse_rules([each], "exempt")
        except InvalidPolicyData:
            continue  # a policy that ran had none
        yield rule.key, {"reason": rule.reason, "owner": rule.owner}


def _expiry(expires: date, today: date) -> str:
    if expires < today:
        return "expired"
    return "expires soon" if expires - today <= _SOON else ""
