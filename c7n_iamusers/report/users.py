# SPDX-License-Identifier: Apache-2.0
"""The users of a fleet: what runs saw of each, what became of it, and whether it is still there. Pure.

A user is *seen* if a run listed it in its account, selected it or left an outcome of it. It is *selected* by a policy
if it is in the policy's ``resources.json``. It is *left* if it is seen and neither deleted nor gone; exempt users are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from sys import intern
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.evidence.attempted_calls import ATTEMPTED, attempted_call
from c7n_iamusers.evidence.findings import HIGH, LOW, MEDIUM
from c7n_iamusers.evidence.model import UNKNOWN
from c7n_iamusers.evidence.seen_users import BY_NOBODY, BY_US, EXEMPT, LEFT_OUT
from c7n_iamusers.execution.outcomes import DELETED, FAILED, QUARANTINED, RELEASED, SKIPPED
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.reasons import BROKEN, IN_USE, NO_QUARANTINE, Reason, trouble_of
from c7n_iamusers.report.outputs import PolicyOutput
from c7n_iamusers.report.selected_users import EVIDENCE, PackedEvidence
from c7n_iamusers.text.times import as_text, moment

#: Evidence that a report shows as ``kind``, or not at all.
_OF_KIND = ("kind", "selected_as")
#: The status of a user that a policy selected, and on whom no action has reported.
FLAGGED = "flagged"
#: The status of a user that somebody else deleted.
GONE = "gone"
#: The severity of a user whose evidence stands in no output.
UNJUDGED = "unknown"
SEVERITIES = (HIGH, MEDIUM, LOW, UNJUDGED)
#: A quarantine of which nothing bad is known, and the statuses that put a user into one or end it.
STANDS = "stands"
#: What is wrong with the quarantine of a user that has an exemption since.
OF_EXEMPT = "of an exempt user"
_CHANGING = frozenset({QUARANTINED, RELEASED, DELETED})
FIRST = datetime.min.replace(tzinfo=timezone.utc)
LAST = datetime.max.replace(tzinfo=timezone.utc)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """``owner``: addresses; empty if unknown. ``ou``: the path of its organizational unit; empty if unknown.

    ``announced``: when; ``planned``: for which day, also of users that are gone. ``goes``: the day on which it is
    deleted at the earliest, if nothing changes; None if something is in the way or nobody was told. ``blocked``: one of
    ``standing.BLOCKS``, or empty. ``until``: the last day of its exemption. ``overdue``: it is spared after its day.
    ``mails``: how many said so. ``changed``: of ``standing.CHANGES``.
    """

    owner: str = ""
    ou: str = ""
    announced: datetime | None = None
    planned: date | None = None
    goes: date | None = None
    blocked: str = ""
    until: date | None = None
    overdue: bool = False
    mails: int = 0
    changed: tuple[str, ...] = ()

    def as_data(self) -> Row:
        """JSON types only; texts are empty where something is not known."""
        days = {"planned": self.planned, "goes": self.goes, "until": self.until}
        return {
            "owner": self.owner,
            "ou": self.ou,
            "announced": as_text(self.announced) or "",
            **{key: day.isoformat() if day else "" for key, day in days.items()},
            "blocked": self.blocked,
            "overdue": self.overdue,
            "overdue_mails": self.mails,
            "changed": list(self.changed),
        }


@dataclass(frozen=True, slots=True)
class Signs:
    """The evidence on a user that predicts what later steps will do. ``used``: last, by its password or an access key.

    ``trusted``: whether a role trusts it. ``access``: the state of its person's access; empty if nobody asked.
    """

    kind: str = UNKNOWN
    used: datetime | None = None
    trusted: bool = False
    access: str = ""

    @classmethod
    def of(cls, evidence: Mapping[str, Any]) -> Signs:
        """Those of an annotation, as ``EVIDENCE`` has it."""
        access = evidence.get("identity-center")
        return cls(
            intern(str(evidence.get("selected_as") or evidence.get("kind") or UNKNOWN)),
            moment((evidence.get("last_activity") or {}).get("time")),
            bool(evidence.get("trusted_by")),
            intern(str(access.get("state") or "")) if isinstance(access, Mapping) else "",
        )


#: Of users without evidence, and of whom nobody was told.
NO_SIGNS, NOWHERE = Signs(), Standing()


@dataclass(slots=True)
class User:
    """A user of an account: its evidence, and what became of it.

    ``selected``: whether a policy selected it. ``judged``: what the filter ``unnecessary`` made of it last, at
    ``judged_at``; ``why``: the exemption, or what left it out; ``denied``: who denied everything to an exempt one then.
    ``rules``: the exemptions that match it, by the last run that had any; where one protects it, only those that do.
    ``gone_since``: when a run missed it in its account, because somebody else had deleted it; None if none did.
    ``found``: the evidence of the latest runs that selected it; a later one's members take the place of an earlier
    one's. ``severity``: of its worst finding; UNJUDGED where no output has its evidence. ``attempts``: the evidence of
    that name. ``problems``: evidence that could not be read, in words.
    ``signs``: of its evidence, until it has its ``standing``: see ``standing.stand``.
    ``remembered_from``: the first day whose broken quarantines are named although they were completed since.
    """

    account: str
    name: str
    arn: str
    unique_id: str
    remembered_from: date = date.max
    selected: bool = False
    judged: str = ""
    why: str = ""
    denied: str = BY_NOBODY
    judged_at: datetime = FIRST
    rules: tuple[ExemptionRule, ...] = ()
    gone_since: datetime | None = None
    first_seen: datetime = LAST
    last_seen: datetime | None = None
    created: str = ""
    found: tuple[PackedEvidence, ...] = ()
    severity: str = UNJUDGED
    attempts: Any = None
    problems: tuple[str, ...] = ()
    events: list[Row] = field(default_factory=list)
    signs: Signs = NO_SIGNS
    standing: Standing = NOWHERE

    def add(self, event: Row) -> None:
        """Add an outcome, if it is not known yet."""
        if event not in self.events:
            self.events.append(event)
            self.first_seen = min(self.first_seen, moment(event["time"]) or LAST)

    def judge(self, state: str, why: str, denied: str, at: datetime) -> None:
        """Take what a run at ``at`` made of it. Runs come in the order of their time."""
        self.judged, self.why, self.denied, self.judged_at = state, why, denied, at
        self.first_seen = min(self.first_seen, at)

    def latest(self) -> datetime:
        """When it was there by the latest run or outcome."""
        return max(self.judged_at, self.last_seen or FIRST, *map(when, self.events), FIRST)

    def event(self) -> Row:
        """What counts of ``events``: a deletion, then the failure of any policy since, then the latest.

        A failure because of a file STOP counts only where there is no other.
        """
        newest = max((each for each in self.events if not self._spared_since(each)), key=when, default=None)
        if newest and newest["status"] == DELETED:
            return newest
        if self.gone_since:
            return _status(GONE, reasons.DELETED_BY_OTHERS(at=self.gone_since))
        if newest is None:
            return self._without_outcome()
        ended_at = self.ended()
        failed = [
            each
            for each in self.of_policies(self.events)
            if each["status"] == FAILED
            and not self._spared_since(each)
            and (when(each) > ended_at or not (trouble_of(each["codes"]) or is_stopped(each)))
        ]
        return max(failed, key=lambda each: (not is_stopped(each), when(each)), default=newest)

    def _spared_since(self, event: Row) -> bool:
        """Whether a STOP ended a run before the user, and a later run left it alone, as it was exempt by then."""
        return is_stopped(event) and self.judged == EXEMPT and self.judged_at >= when(event)

    def _without_outcome(self) -> Row:
        if self.judged == EXEMPT:
            return _status(EXEMPT, reasons.EXEMPT_WHEN_SEEN(why=self.why))
        if self.selected or not self.judged:
            return _status(FLAGGED)
        return _status(LEFT_OUT, reasons.LEFT_OUT(by=self.why))

    def is_deleted(self) -> bool:
        """Whether a policy deleted it."""
        return any(each["status"] == DELETED for each in self.events)

    def is_left(self) -> bool:
        """Whether it is still there, as far as runs have seen."""
        return not self.gone_since and not self.is_deleted()

    def is_exempt(self) -> bool:
        """Whether it is still there and was exempt when a run judged it last."""
        return self.judged == EXEMPT and self.is_left()

    def explained(self) -> Row:
        """``event``; if that says that the user is not in quarantine, the event that says why."""
        event = self.event()
        return self.left_out() or event if event["code"] in NO_QUARANTINE else event

    def left_out(self) -> Row | None:
        """The last skip since its release for another reason than not being in quarantine; None if there is none."""
        ended_at = self.ended()
        skipped = [each for each in self.events if each["status"] == SKIPPED and when(each) > ended_at]
        said = [each for each in skipped if each["code"] not in NO_QUARANTINE]
        return max(said, key=when, default=None)

    def trouble(self) -> str:
        """What is wrong with its quarantine: empty, ``in use``, ``broken`` or OF_EXEMPT."""
        if not self.is_left():
            return ""
        if self._is_exempt_and_denied():
            return OF_EXEMPT
        event = self.troubling()
        return trouble_of(event["codes"]) if event else IN_USE if self.attempted() else ""

    def _is_exempt_and_denied(self) -> bool:
        """Whether a quarantine denies everything to it although it is exempt, and was not released since."""
        ours = self.denied == BY_US or (self.denied != BY_NOBODY and self.stands())
        return self.judged == EXEMPT and ours and self.ended() <= self.judged_at

    def troubling(self) -> Row | None:
        """The newest outcome that says what is wrong with its quarantine, since its last release.

        The latest outcome of each policy counts. One of the last days that says ``broken`` counts although a later run
        found the quarantine complete: that run or the one before completed it, and nobody may have seen that.
        """
        if not self.is_left():
            return None
        ended_at = self.ended()
        since = [each for each in self.events if when(each) > ended_at]
        latest = self.of_policies(since)
        broken = [
            each
            for each in since
            if trouble_of(each["codes"]) == BROKEN
            and (each in latest or when(each).date() >= self.remembered_from)
        ]
        found = broken or [each for each in latest if trouble_of(each["codes"])]
        return max(found, key=when, default=None)

    def ended(self) -> datetime:
        """When it was last released or deleted."""
        ends = [when(each) for each in self.events if each["status"] in (RELEASED, DELETED)]
        return max(ends, default=FIRST)

    def of_policies(self, events: Iterable[Row]) -> list[Row]:
        """The latest of ``events`` of each policy."""
        return list({each["policy"]: each for each in sorted(events, key=when)}.values())

    def attempted(self) -> str:
        """Who still calls AWS as the user under its quarantine, in words; empty if nobody, or it was released since."""
        found = self.attempts
        if not isinstance(found, Mapping) or found.get("state") != ATTEMPTED or not found.get("quarantined"):
            return ""
        if self.ended() > (moment(found.get("as_of")) or LAST):
            return ""
        return f"calls since {found.get('since')}: {attempted_call(found)}"

    def quarantine(self) -> str:
        """What is known of its quarantine: empty where it is in none, STANDS, or what is wrong with it."""
        return self.trouble() or (STANDS if self.stands() else "")

    def stands(self) -> bool:
        """Whether it was put in quarantine, and not released or deleted since."""
        states = [each["status"] for each in sorted(self.events, key=when) if each["status"] in _CHANGING]
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
        self.attempts, self.signs = evidence.get("attempts"), Signs.of(evidence)
        self.problems = tuple(
            intern(f"{name} could not be read: {source['problem']}")
            for name, source in (evidence.get("sources") or {}).items()
            if isinstance(source, dict) and source.get("problem")
        )

    def as_data(self) -> Row:
        """JSON types only."""
        event, why, evidence = self.event(), self.explained(), self.evidence()
        of_evidence = {
            key: evidence.get(key, empty) for key, empty in EVIDENCE.items() if key not in _OF_KIND
        }
        return {
            "account": self.account,
            "user": self.name,
            "arn": self.arn,
            "unique_id": self.unique_id,
            "created": self.created,
            "last_seen": as_text(self.last_seen) or "",
            "status": event["status"],
            "reason": why["reason"],
            "code": why["code"],
            "policy": event["policy"],
            "time": event["time"],
            "left": self.is_left(),
            "exempt": self.is_exempt(),
            "quarantine": self.quarantine(),
            "severity": self.severity,
            **of_evidence,
            "kind": evidence.get("kind") or UNKNOWN,
            "oldest_credential": _oldest(evidence.get("credentials") or ()),
            **self.standing.as_data(),
            "outcomes": sorted(self.events, key=when, reverse=True),
        }


def _status(status: str, reason: Reason = reasons.DONE) -> Row:
    """What counts of a user where no outcome does."""
    told = {"reason": reason.text, "code": reason.code, "codes": list(reason.codes)}
    return {"status": status, **told, "policy": "", "time": ""}


def _oldest(credentials: Iterable[Mapping[str, Any]]) -> str:
    """When the oldest active one was created; empty where none is, or the output does not say."""
    return min(
        (str(each["created"]) for each in credentials if each.get("active") and each.get("created")),
        default="",
    )


def when(event: Row) -> datetime:
    """The time of an outcome; the earliest one where it has none."""
    return moment(event["time"]) or FIRST


def is_stopped(event: Row) -> bool:
    """Whether a file STOP ended the run before the user."""
    return bool(event["status"] == FAILED and event["code"] == reasons.STOPPED.code)


def began(output: PolicyOutput) -> datetime:
    """When the run began; the last time where it is not known."""
    return output.time or LAST
