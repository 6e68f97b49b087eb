# SPDX-License-Identifier: Apache-2.0
"""The receipt of one deleted user: everything that outputs, journals and notices have on record of its deletion. Pure.

What is not on record is None, and shown as that: nothing is concluded from what is missing. Texts of policies and the
values of tags are left out, and there are no secrets in what it is made of.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from shlex import quote
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import SnapshotInvalid
from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED
from c7n_iamusers.execution.journal import DECISION, SNAPSHOT
from c7n_iamusers.execution.journaled_call import FAILED as FAILED_CALL
from c7n_iamusers.execution.journaled_call import GONE
from c7n_iamusers.execution.outcomes import DELETED, PROVISIONED, QUARANTINED, RELEASED, UNCHANGED
from c7n_iamusers.iam.attachments import ACCESS_KEY, ATTACHMENT_KINDS
from c7n_iamusers.lockout.journal_lines import QUARANTINE
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices
from c7n_iamusers.report import controls
from c7n_iamusers.report.comparisons import ALONE_IN_WORDS
from c7n_iamusers.report.outputs import PolicyOutput
from c7n_iamusers.report.selected_users import Selected
from c7n_iamusers.report.user_history import Event, Line, UserHistory
from c7n_iamusers.snapshots.snapshot import Snapshot, tampering
from c7n_iamusers.text.times import as_text, moment

SCHEMA_VERSION = 1
#: The evidence of a run that began so long before its notice, or after it, is that of the announcement.
_SAME_RUN = timedelta(days=1)
#: Members of the evidence that a receipt shows.
_EVIDENCE = (
    *("kind", "reasons", "replacement", "findings", "unknown_findings", "last_activity", "credentials"),
    *("attachments", "trusted_by", "named_by", "usage", "unread", "sources"),
)
#: Where evidence is from: the notice, the run that sent it, or a later run.
OF_NOTICE, OF_RUN, LATER = "notice", "announcing run", "later run"
_LONGEST = 200
_RESTORE = "c7n-iamusers user -s OUTPUT_DIR -c accounts.yml -a {account} --give-back -- {name}"
_DAY = 86_400.0
#: The codes of outcomes that a later run recorded.
_LATE = frozenset({reasons.DELETED_BY_STOPPED_RUN.code, reasons.DELETED_WITHOUT_ANSWER.code})
#: IAM's user names ("IAM identifiers", IAM User Guide).
_UNSAFE, _LONGEST_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII), 64
_LAST = datetime.max.replace(tzinfo=timezone.utc)

Data = dict[str, Any]


@dataclass(frozen=True)
class Material:
    """What is on record of one user.

    ``seen``: the outputs whose policies selected it, with what they saw. ``rows``: of outcomes. ``rules_of``: the place
    of an output -> when the run began that it is of, and the exemption rules of its policy. ``lines``: the place of an
    output -> the lines of its journals about the user. ``notices``: of its account; None if they were not read.
    ``file_of``: the place of an output and the name of a file there -> its content, None if there is none; may raise
    OSError. ``lost``: a snapshot -> what can't come back of it.
    """

    history: UserHistory
    seen: Sequence[tuple[PolicyOutput, Selected]]
    rows: Sequence[Line]
    rules_of: Callable[[str], tuple[datetime | None, Sequence[Line]]]
    lines: Mapping[str, Sequence[Line]]
    notices: Notices | None
    file_of: Callable[[str, str], bytes | None]
    lost: Callable[[Snapshot], Iterable[str]]

    @property
    def messages(self) -> list[Notice]:
        """Those about the user, the oldest first."""
        return [*self.notices.about(self.history.subject.unique_id)] if self.notices else []

    def of_phase(self, *phases: str) -> Iterator[tuple[str, Line]]:
        """The lines of these phases in the order of their time, each with the place of its output."""
        found = [
            (place, line)
            for place, lines in self.lines.items()
            for line in lines
            if line.get("phase") in phases
        ]
        yield from sorted(found, key=lambda each: str(each[1].get("time")))


def deletion_of(history: UserHistory) -> Event | None:
    """The deletion of the user by this tool; None if there is none on record. Later outcomes only say that it was
    deleted.
    """
    found = [each for each in history.events if each.what == DELETED]
    return next((each for each in found if each.by), *found[:1]) if found else None


def receipt_of(material: Material, now: datetime) -> Data:
    """The receipt of a user that has a ``deletion_of``, as JSON types."""
    history = material.history
    deletion = deletion_of(history)
    if deletion is None:
        raise ValueError(f"{history.subject} is not deleted")
    decision = next((line for _, line in reversed([*material.of_phase(DECISION)])), None)
    snapshots = list(_snapshots(material))
    last = next((each for _, each in reversed(snapshots) if each), None)
    calls = calls_of(material)
    deletion = _when_made(deletion, calls)
    evidence = _evidence(material, deletion)
    found = {
        "schema_version": SCHEMA_VERSION,
        "generated": as_text(now),
        "user": _user(history, last),
        "deletion": _deletion(deletion, calls),
        "unnecessary": evidence,
        "exemptions": _exemptions(material, deletion, decision),
        "notices": notices_of(material, now),
        "replacement": _replacement(material, evidence),
        "quarantine": _quarantine(material, deletion, decision),
        "reviewed_plan": (decision.get("plan") or None) if decision else None,
        "snapshots": [each for each, _ in snapshots],
        "calls": calls,
        "later": [_event(each) for each in history.events if _is_later(each, deletion)],
        "cannot_come_back": [*material.lost(last)] if last else None,
        "restore": _RESTORE.format(name=quote(history.subject.name), account=quote(history.account)),
        "outputs": list(history.outputs),
        "not_compared": ALONE_IN_WORDS,
    }
    return {**found, "controls": _controls(found)}


#: The operations that take access keys, and credentials of any kind, from a user.
_OF_KEYS = ACCESS_KEY.removing | ACCESS_KEY.switching
_OF_CREDENTIALS = frozenset(
    operation for kind in ATTACHMENT_KINDS if kind.credential for operation in kind.removing | kind.switching
)


def _controls(receipt: Data) -> Data:
    """Each fact -> the controls that it is evidence for; none for a fact that is not on record."""
    calls = receipt["calls"]
    on_record = {
        controls.IDENTITY: bool(receipt["user"]["unique_id"]),
        controls.UNNECESSARY: bool(receipt["unnecessary"]),
        controls.REPLACEMENT: bool(receipt["replacement"]),
        controls.QUARANTINE: bool(receipt["quarantine"]),
        controls.DELETION: bool(receipt["deletion"]["result"]),
        controls.ACCESS_KEYS: any(each["result"] and each["operation"] in _OF_KEYS for each in calls),
        controls.CREDENTIALS: any(each["result"] and each["operation"] in _OF_CREDENTIALS for each in calls),
        controls.CALLS: any(each["result"] for each in calls),
        controls.PROOF: any(each["request_id"] for each in calls) and bool(receipt["snapshots"]),
    }
    return {fact: controls.as_data(fact) if on_record[fact] else [] for fact in controls.FACTS}


def _user(history: UserHistory, snapshot: Snapshot | None) -> Data:
    detail = snapshot.user.detail if snapshot else {}
    held = snapshot.user.attachments if snapshot else None
    return {
        "name": history.subject.name,
        "unique_id": history.subject.unique_id,
        "arn": history.subject.arn,
        "account": history.account,
        "account_name": history.account_name,
        "created": str(detail["CreateDate"]) if "CreateDate" in detail else None,
        "attachments": {kind.title: len(held[kind.name]) for kind in ATTACHMENT_KINDS if held[kind.name]}
        if held is not None
        else None,
    }


def _event(event: Event) -> Data:
    data = event.as_data()
    return {key: data[key] for key in ("time", "what", "why", "policy", "by")}


def _when_made(deletion: Event, calls: Sequence[Data]) -> Event:
    """With the time of its call, where a later run has recorded it."""
    last = next((each for each in reversed(calls) if each["operation"] == "DeleteUser"), None)
    time = moment(last["answered"] or last["time"]) if last and deletion.code in _LATE else None
    return replace(deletion, time=time) if time else deletion


def _deletion(deletion: Event, calls: Sequence[Data]) -> Data:
    """``contradicted``: the journal has no DeleteUser that may have been done."""
    last = next((each for each in reversed(calls) if each["operation"] == "DeleteUser"), None)
    shown = {"result": last["result"], "request_id": last["request_id"]} if last else {}
    contradicted = last is None or last["result"] in (FAILED_CALL, GONE)
    data = {**_event(deletion), "place": deletion.place, "result": None, "request_id": None, **shown}
    return {**data, "contradicted": contradicted}


def _is_later(event: Event, deletion: Event) -> bool:
    changes = bool(event.by) or event.what in (RELEASED, QUARANTINED)
    return bool(event.time and deletion.time and event.time > deletion.time and changes)


def _evidence(material: Material, deletion: Event) -> Data | None:
    """Why it was unnecessary: by its announcement; otherwise as the announcing run, or a later run saw it."""
    unique_id, end = material.history.subject.unique_id, deletion.time or _LAST
    announced = [each for each in material.messages if each.step == ANNOUNCED and each.time <= end][-1:]
    seen = sorted(
        (
            (output.time, output.policy, user)
            for output, user in material.seen
            if output.time and output.time <= end and user.evidence.keys
        ),
        key=lambda each: each[0],
    )
    later = seen[-1][2].evidence.data() if seen else {}
    # what these filters found belongs to the time of the deletion
    access = {name: later.get(name) for name in ("identity-center", "attempts")}
    as_of = as_text(seen[-1][0]) if seen else None
    for notice in announced:
        if found := getattr(notice, "evidence", {}).get(unique_id):
            return _seen(OF_NOTICE, notice.time, notice.policy, found) | access | {"access_as_of": as_of}
    at = [
        each
        for each in seen
        if announced and each[1] == announced[0].policy and abs(announced[0].time - each[0]) < _SAME_RUN
    ]
    if not seen:
        return None
    time, policy, user = (at or seen)[-1]
    found = _seen(OF_RUN if at else LATER, time, policy, user.evidence.data())
    return found | access | {"access_as_of": as_of}


def _seen(source: str, time: datetime, policy: str, evidence: Mapping[str, Any]) -> Data:
    found = {name: evidence.get(name) for name in _EVIDENCE}
    return {"source": source, "time": as_text(time), "policy": policy, **found}


def _exemptions(material: Material, deletion: Event, decision: Line | None) -> Data | None:
    """What was looked at right before the deletion, and when the user was last exempt as far as is recorded."""
    unique_id, notices = material.history.subject.unique_id, material.notices
    looked = decision.get("exemptions") if decision else None
    last = notices.exemption(unique_id) if notices else None
    if not looked and not last and not (notices and notices.recorded):
        return None
    began, rules = material.rules_of(deletion.place)
    ran_before = began and deletion.time and began <= deletion.time  # otherwise a later run has other rules
    return {
        "time": str(decision.get("time")) if looked and decision else None,
        "rules": looked.get("rules") if looked else None,
        "sha256": looked.get("sha256") if looked else None,
        "of_policy": [dict(each) for each in rules] if rules and ran_before else None,
        "last_exempt": str(last) if last else None,
        "recorded": bool(notices and notices.recorded),
    }


def notices_of(material: Material, now: datetime) -> list[Data] | None:
    """The messages about the user; None if they were not read."""
    notices, unique_id = material.notices, material.history.subject.unique_id
    if notices is None:
        return None
    return [
        {
            "step": each.step,
            "time": as_text(notices.told_at(each)),
            "to": list(each.addresses),
            "day": each.day.isoformat(),
            "credentials_stop": each.stop.isoformat() if each.stop else None,
            "said": each.what.get(unique_id, ""),
            "policy": each.policy,
            "message_id": each.message_id or ", ".join(digest.message_ids if digest else ()),
            "queue": _left(notices, each, now),
            "file": each.name,
            "sha256": hashlib.sha256(each.as_json()).hexdigest(),
        }
        for each in material.messages
        for digest in [notices.digest_of(each)]
    ]


def _left(notices: Notices, notice: Notice, now: datetime) -> Data:
    """Whether, and when, a reading found that the message had left its queue."""
    if not notice.queue:
        return {"state": "unchecked", "read": None}
    found = notices.delivery(notice, now)
    return {"state": found.state, "read": as_text(found.last.time) if found.last else None}


def _replacement(material: Material, evidence: Data | None) -> Data | None:
    """What Identity Center had when it was last asked, and what provisioning gave."""
    given = [
        {
            "time": str(row.get("time") or ""),
            "status": str(row["status"]),
            "why": str(row.get("reason") or ""),
            "verdict": str(row.get("verdict") or ""),
        }
        for row in material.rows
        if row["status"] == PROVISIONED or (row["status"] == UNCHANGED and row.get("verdict"))
    ]
    access = (evidence or {}).get("identity-center")
    if not access and not given:
        return None
    return {
        "access": access,
        "as_of": evidence["access_as_of"] if access and evidence else None,
        "given": given,
    }


def _quarantine(material: Material, deletion: Event, decision: Line | None) -> Data | None:
    """The last quarantine before the deletion, by the journals, and how long nobody ended it."""
    records = [
        (place, line)
        for place, line in material.of_phase(QUARANTINE)
        if isinstance(line.get("record"), Mapping)
        and (moment(line["time"]) or _LAST) <= (deletion.time or _LAST)
    ]
    if not records:
        return None
    place, line = records[-1]
    record = line["record"]
    since = moment(record.get("since"))
    ended = next(
        (
            each
            for each in material.history.events
            if each.what == RELEASED and _between(since, each, deletion)
        ),
        None,
    )
    days = (deletion.time - since).total_seconds() / _DAY if since and deletion.time and not ended else None
    done = [
        each
        for each in material.history.events
        if each.what == QUARANTINED and (not deletion.time or not each.time or each.time <= deletion.time)
    ]
    return {
        "since": as_text(since) if since else None,
        "policy": str(record.get("policy") or ""),
        "by": done[-1].by if done else "",
        "deny": str(record.get("deny") or ""),
        "deactivated": [str(each) for each in record.get("deactivated") or ()],
        "kept_credentials": bool(record.get("kept")),
        "days_until_deletion": round(days, 1) if days is not None else None,
        "released": as_text(ended.time) if ended and ended.time else None,
        "asked_for_days": decision.get("quarantined_for") if decision else None,
        "listened_since": decision.get("listened_since") if decision else None,
        "place": place,
    }


def _between(since: datetime | None, event: Event, deletion: Event) -> bool:
    return bool(since and event.time and deletion.time and since < event.time < deletion.time)


def _snapshots(material: Material) -> Iterator[tuple[Data, Snapshot | None]]:
    """Each snapshot that a journal names, in the order of their times; and what it holds if it can be used."""
    for place, line in material.of_phase(SNAPSHOT):
        name, digest = str(line.get("snapshot")), str(line.get("sha256"))
        row = {"time": str(line["time"]), "file": f"{place}/{name}", "sha256": digest}
        try:
            content = material.file_of(place, name)
        except OSError as error:
            yield {**row, "state": f"can't be read: {error}"}, None
            continue
        if content is None:
            yield {**row, "state": "is gone"}, None
        elif hashlib.sha256(content).hexdigest() != digest:
            yield {**row, "state": "was changed: it has another SHA-256"}, None
        else:
            yield {**row, "state": "as it was written"}, _parsed(content)


def _parsed(content: bytes) -> Snapshot | None:
    try:
        found = Snapshot.from_json(content)
    except SnapshotInvalid:
        return None
    return None if tampering(found) else found


def calls_of(material: Material) -> list[Data]:
    """The changing calls in the order of their time."""
    return sorted(_calls(material), key=lambda each: str(each["time"]))


def _calls(material: Material) -> Iterator[Data]:
    """Each changing call with its answer. A call without one has no result."""
    for place, lines in material.lines.items():
        begun: dict[str, Data] = {}
        tries = Counter[str]()
        for line in lines:
            parameters = line.get("parameters")
            if line.get("phase") not in (BEFORE, TRIED, AFTER) or not isinstance(parameters, Mapping):
                continue
            key = f"{line.get('operation')} {sorted(parameters.items())}"
            if line["phase"] == BEFORE:
                if key in begun:
                    yield begun[key]
                begun[key] = _call(line, parameters, place)
                tries[key] = 1
            elif line["phase"] == TRIED:
                tries[key] += 1
            else:
                call = begun.pop(key, None) or _call(line, parameters, place)
                answer = {
                    name: str(line.get(name) or "") for name in ("result", "code", "request_id", "caller")
                }
                yield {**call, **answer, "answered": str(line["time"]), "tries": tries.pop(key, 1)}
        yield from begun.values()


def _call(line: Line, parameters: Mapping[str, Any], place: str) -> Data:
    shown = {
        name: _shown(name, value) for name, value in parameters.items() if name not in ("UserName", "Tags")
    }
    if "Tags" in parameters:
        shown["Tags"] = ", ".join(str(tag.get("Key")) for tag in parameters["Tags"])
    return {
        "time": str(line["time"]),
        "operation": str(line.get("operation")),
        "service": str(line.get("service")),
        "parameters": shown,
        **dict.fromkeys(("result", "code", "request_id", "caller", "answered")),
        "tries": 1,
        "place": place,
    }


def _shown(name: str, value: Any) -> str:
    """The value of a parameter; of a policy's text only how long it is."""
    text = value if isinstance(value, str) else str(value)
    return f"({len(text)} characters)" if name.endswith("Document") or len(text) > _LONGEST else text


def file_name(receipt: Mapping[str, Any]) -> str:
    """The name of a receipt's files, without their extension; a safe one, whatever others wrote into outputs."""
    user = receipt["user"]
    parts = (user["name"], receipt.get("key") or user["unique_id"])
    name, unique_id = (_UNSAFE.sub("_", str(each))[:_LONGEST_NAME] for each in parts)
    return f"{user['account']}/{'_' if name.startswith(('-', '.')) else ''}{name}.{unique_id}"
