# SPDX-License-Identifier: Apache-2.0
"""A plan as a file that is reviewed, and the check that what is applied is what was read.

Calls leave ids out: they are not known of what is yet to be created. The id of what is there stands beside them. So a
run that was stopped is carried on by the plan that it was begun with, of which less is left to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center.changes import group_key, set_key, user_key
from c7n_iamusers.identity_center.created import Created
from c7n_iamusers.identity_center.model import (
    ASSIGN,
    AWAIT,
    GROUP,
    PERMISSION_SET,
    REMOVE,
    UNCHANGED,
    USER,
    AccessPlan,
    Beyond,
    Change,
    Choices,
    Claim,
    Grant,
    Instance,
    Missing,
    Reach,
    Refused,
    Stranger,
    Total,
)
from c7n_iamusers.identity_center.reports import reach_in_words
from c7n_iamusers.text.json_pieces import json_pieces
from c7n_iamusers.text.wording import folded, shown

#: 1 lacked what stands, and was not held against totals, strangers and what nobody asks for any more.
_SCHEMA = 2
#: So many people or objects are named in an error.
_SHOWN = 10
_REMEDY = (
    "make a plan by --dry-run --plan-out FILE, have it reviewed, and give it as --plan FILE --plan-sha256 SHA"
)


@dataclass(frozen=True)
class Papers:
    """``out``: where to write the plan. ``reviewed``, ``digest``: the plan that alone is to be applied."""

    out: Path | None = None
    reviewed: Path | None = None
    digest: str = ""


_IDS = frozenset({"PermissionSetArn", "PrincipalId", "GroupId", "MemberId", "MembershipId", "ResourceArn"})


#: In words, what the rows of a plan's file are that a run must not differ in.
_HELD_AGAINST = {
    "totals": "what is held in all",
    "stale": "what nobody asks for any more",
    "strangers": "who else is in groups",
    "reaches": "whom else it concerns",
}
Row = dict[str, Any]


def write_plan(
    path: Path, plan: AccessPlan, instance: Instance, choices: Choices, notes: Sequence[str] = ()
) -> str:
    """Write ``plan`` for a review; the SHA-256 of the file, in hex. Raises OSError.

    ``notes``: what else a reviewer has to know.
    """
    data = {
        "schema": _SCHEMA,
        "instance": instance.arn,
        "choices": asdict(choices),
        "notes": list(notes),
        "changes": (_change(each) for each in plan.work),
        "standing": (_standing(each) for each in _used(plan)),
        **{name: iter(rows) for name, rows in _rows(plan).items()},
        "missing": ({**_user(each.claim.subject), "reason": each.reason} for each in plan.missing),
        "refused": ({**_user(each.subject), "reason": each.reason} for each in plan.refused),
        "over-quota": list(plan.over_quota),
        "unlisted": len(plan.changes) - len(plan.work) - len(_used(plan)),
    }
    digest = hashlib.sha256()

    def content() -> Iterator[bytes]:
        for piece in json_pieces(data, sort_keys=True):
            digest.update(piece)
            yield piece

    DirectoryStore(path.parent).stream(path.name, content())
    return digest.hexdigest()


def read_plan(path: Path, digest: str, instance: Instance, choices: Choices) -> dict[str, Any]:
    """The plan that was reviewed.

    ``digest``: the SHA-256 of what was read, in hex. Raises IdentityCenterError where the file is another one, or is
    of another instance or other options.
    """
    try:
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != digest.lower():
            raise _unusable(
                path, f"its SHA-256 is {found}, not that of --plan-sha256: it was changed since the review"
            )
        data: Row = json.loads(content)
        for name in ("changes", "standing", *_HELD_AGAINST) if data["schema"] == _SCHEMA else ():
            iter(data[name])
        known, given = (
            (data["schema"], data["instance"], data["choices"]),
            (_SCHEMA, instance.arn, asdict(choices)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unusable(path, f"it can't be read as a plan: {type(error).__name__}: {error}") from error
    if known[0] != _SCHEMA:
        raise _unusable(
            path, f"a version before made it (schema {known[0]}), which left out what people hold in all"
        )
    if known != given:
        raise _unusable(path, f"it is of {known}, and this run is of {given}: give the same options and role")
    return data


def is_access_plan(data: Any) -> bool:
    """Whether the JSON is of a plan of this kind, rather than one of deletions."""
    return isinstance(data, dict) and {"instance", "choices", "changes"} <= data.keys()


def plan_of(data: Mapping[str, Any]) -> AccessPlan:
    """The plan of a file, as far as a reader needs it. Raises IdentityCenterError where it is none."""
    if data.get("schema") not in (1, _SCHEMA):
        raise IdentityCenterError(
            f"a plan of access of schema {data.get('schema')!r}, and this version reads 1 and {_SCHEMA}"
        )
    try:
        standing = data.get("standing", ())
        return AccessPlan(
            changes=tuple(map(_change_of, [*data["changes"], *standing])),
            refused=tuple(Refused(_subject_of(each), each["reason"]) for each in data["refused"]),
            missing=tuple(
                Missing(Claim(_subject_of(each), ("", ""), "", Grant("", "")), "", each["reason"])
                for each in data.get("missing", ())
            ),
            stale=tuple(_change_of({**each, "action": REMOVE}) for each in data.get("stale", ())),
            totals=tuple(map(_total_of, data["totals"])),
            strangers=tuple(
                Stranger(**{**each, "accounts": tuple(each["accounts"])}) for each in data["strangers"]
            ),
            over_quota=tuple(data.get("over-quota", ())),
            reaches=tuple(
                Reach(**{**each, "people": tuple(each["people"])}) for each in data.get("reaches", ())
            ),
            unlisted=int(data.get("unlisted", 0)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise IdentityCenterError(f"not a plan of access: {type(error).__name__}: {error}") from error


def _change_of(row: Row) -> Change:
    calls = tuple(
        ApiCall(service, operation, each["parameters"])
        for each in row.get("calls", ())
        for service, operation in [each["operation"].split(":")]
    )
    return Change(
        row["key"],
        row["kind"],
        row["action"],
        row["name"],
        Subject("", ""),
        calls,
        rests_on=row.get("rests_on", ""),
        details=tuple(row.get("details", ())),
        administrative=row.get("administrative", ""),
        identifier=row.get("id", ""),
    )


def _total_of(row: Row) -> Total:
    beyond = tuple(Beyond(**each) for each in row["beyond"])
    return Total(**{**row, "person": tuple(row["person"]), "beyond": beyond})


def _subject_of(row: Row) -> Subject:
    arn = row.get("arn", "")
    return Subject(arn.rpartition("/")[2], arn)


def check_reviewed(
    path: Path, reviewed: Mapping[str, Any], plan: AccessPlan, made: Iterable[Created] = ()
) -> None:
    """Raises IdentityCenterError, naming what differs, where ``plan`` is other than what was reviewed.

    Less is fine: a run that was stopped is carried on by its plan. ``made``: what runs of this output created, which
    the plan says are to be created.
    """
    now = [_normal(_change(each)) for each in plan.work]
    problem = _difference(reviewed["changes"], now, lambda row: str(row["key"]))
    if problem:
        raise _unusable(path, f"what is to be done now is other than what was reviewed: {problem}")
    if problem := _replaced(reviewed, plan, made):
        raise _unusable(path, f"what is used now is other than what was reviewed: {problem}")
    for name, rows in _rows(plan).items():
        known = [each for row in reviewed[name] for each in _by_person(name, row)]
        present = [each for row in rows for each in _by_person(name, _normal(row))]
        if problem := _difference(known, present, partial(_title, name)):
            raise _unusable(path, f"{_HELD_AGAINST[name]} is other than what was reviewed: {problem}")


def _difference(reviewed: Iterable[Row], now: Iterable[Row], title: Callable[[Row], str]) -> str:
    """Which rows of ``now`` were not reviewed; empty where all were."""
    listed = list(reviewed)
    known = {json.dumps(each, sort_keys=True) for each in listed}
    new = [each for each in now if json.dumps(each, sort_keys=True) not in known]
    titles = {title(each) for each in listed} if new else set()
    told = [f"{title(each)} ({'otherwise' if title(each) in titles else 'not in it'})" for each in new]
    return shown(list(dict.fromkeys(told)), _SHOWN)


def _replaced(reviewed: Mapping[str, Any], plan: AccessPlan, made: Iterable[Created]) -> str:
    """Which sets, groups and users the plan uses that are others than were reviewed; empty where all are the same."""
    known = {
        each["key"]: (each["id"], each["rests_on"])
        for each in (*reviewed["standing"], *reviewed["changes"])
        if each["id"]
    }
    to_create = {each["key"] for each in reviewed["changes"] if not each["id"]}
    created = {(_created_key(each), each.identifier) for each in made}
    told = []
    for change in _used(plan):
        key, now = change.key, (change.identifier, change.rests_on)
        ours = key in to_create and not created.isdisjoint({(key, change.identifier), (key, "")})
        if change.identifier and known.get(key) != now and not ours:
            was = known.get(key)
            why = (
                "was to be created, and somebody else has made it since"
                if key in to_create
                else "is not in it"
            )
            if was:
                why = (
                    f"is another than it was, id {now[0]} for {was[0]}"
                    if was[0] != now[0]
                    else f"rested on {was[1]}"
                )
            told.append(f"{change.kind} {change.name} {why}")
    return shown(told, _SHOWN)


def _created_key(created: Created) -> str:
    """The key of the change that created it; empty for a kind that has no id of its own."""
    given = created.parameters
    if created.kind == USER:
        return user_key((folded(str(given["UserName"])), ""))
    if created.kind == GROUP:
        return group_key(str(given["DisplayName"]))
    return set_key(str(given["Name"])) if created.kind == PERMISSION_SET else ""


def _used(plan: AccessPlan) -> list[Change]:
    """What there is nothing to do for, and a reviewer has to know: it is adopted, needed, missing or administrative."""
    needed = {need for change in plan.work for need in change.needs}
    return [
        change
        for change in plan.changes
        if not change.is_work
        and (
            change.action != UNCHANGED
            or change.administrative
            or (change.key in needed and change.identifier)
        )
    ]


def _rows(plan: AccessPlan) -> dict[str, Iterator[Row]]:
    return {
        "totals": (asdict(each) for each in plan.totals),
        "stale": ({"key": each.key, "kind": each.kind, "name": each.name} for each in plan.stale),
        "strangers": (asdict(each) for each in plan.strangers),
        "reaches": (asdict(each) for each in plan.reaches),
    }


def _by_person(name: str, row: Row) -> Iterator[Row]:
    """A row for each of the people, of whom some may have been given already what the row is of."""
    if name != "reaches":
        yield row
        return
    yield from ({**row, "people": person} for person in row["people"])


def _title(name: str, row: Row) -> str:
    if name == "totals":
        return f"{row['person'][0]} in account {row['account_id']}"
    if name == "stale":
        return f"{row['kind']} {row['name']}"
    if name == "strangers":
        return f"{row['username']} in group {row['group']}"
    return f"{row['people']} by {row['by']} in account {row['account_id']}"


def _normal(row: Row) -> Row:
    """As it is read from a file."""
    found: Row = json.loads(json.dumps(row, default=str))
    return found


def refuse_unreviewed(plan: AccessPlan, remedy: str = _REMEDY, changes_only: bool = False) -> None:
    """Raises IdentityCenterError where the plan gives people more whom nobody asks it for, and nobody has reviewed it.

    ``changes_only``: a group's policies say that its newcomers may have all that it has, and that is enough.
    """
    found = [each for each in plan.reaches if each.review and (each.is_change or not changes_only)]
    if found:
        raise IdentityCenterError(
            f"{'; '.join(map(reach_in_words, found[:_SHOWN]))}"
            f"{f'; and {len(found) - _SHOWN} more' if len(found) > _SHOWN else ''}. Nothing was touched: {remedy}"
        )


def _change(change: Change) -> Row:
    return {
        **_object(change),
        # What an earlier run has asked for is the same assignment.
        "action": ASSIGN if change.action == AWAIT else change.action,
        "calls": [_call(each) for each in change.calls],
    }


def _standing(change: Change) -> Row:
    return {**_object(change), "action": change.action}


def _object(change: Change) -> Row:
    return {
        "key": change.key,
        "kind": change.kind,
        "name": change.name,
        "id": change.identifier,
        "rests_on": change.rests_on,
        "administrative": change.administrative,
        "details": list(change.details),
    }


def _user(subject: Subject) -> Row:
    return {"user": str(subject), "arn": subject.arn}


def _call(call: ApiCall) -> dict[str, Any]:
    given: Mapping[str, Any] = call.parameters
    told = {key: value for key, value in given.items() if key not in _IDS}
    return {"operation": f"{call.service}:{call.operation}", "parameters": told}


def _unusable(path: Path, why: str) -> IdentityCenterError:
    return IdentityCenterError(
        f"the reviewed plan {path} can't be applied: {why}. Nothing was touched: {_REMEDY}"
    )
