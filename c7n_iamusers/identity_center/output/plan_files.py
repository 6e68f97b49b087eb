# SPDX-License-Identifier: Apache-2.0
"""The plan's file for a review, and the check that a run does not exceed the reviewed plan.

Calls have no ids, because new objects have none yet. Each row has the id of its object, if it exists. So an interrupted
run can be continued with its plan: less is left to do.
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
from c7n_iamusers.execution.given import read_given
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.object_records import Created
from c7n_iamusers.identity_center.output.reports import (
    provisioning_of,
    side_effect_text,
    unreviewed_provisioning,
)
from c7n_iamusers.identity_center.planning.changeset import group_key, set_key, user_key
from c7n_iamusers.reasons import read_reason
from c7n_iamusers.text import validators
from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.json_pieces import json_pieces
from c7n_iamusers.text.wording import folded, quoted, shown

_SCHEMA = 3
#: How many people or objects an error names.
_SHOWN = 10
_REMEDY = (
    "make a plan by provision plan --out FILE, have it reviewed, and give it as --plan FILE --plan-sha256 SHA"
)


@dataclass(frozen=True)
class PlanOptions:
    """``out``: where to write the plan. ``reviewed``, ``digest``: the reviewed plan to apply, and its SHA-256."""

    out: Path | None = None
    reviewed: Path | None = None
    digest: str = ""


def command_of(choices: access_plan.Choices) -> str:
    """The command that applies a plan with these removals, with the options that choose them."""
    given = (
        *(["--unrequested"] if choices.prune else []),
        *([f"--former {choices.former_days}"] if choices.former_days else []),
        *(["--lock-out"] if choices.lock_out else []),
    )
    return " ".join(("prune", *given)) if given else "apply"


_IDS = frozenset({"PermissionSetArn", "PrincipalId", "GroupId", "MemberId", "MembershipId", "ResourceArn"})


#: The parts of a plan file in which a run must not differ, in words.
_CHECKED = {
    "totals": "the total access",
    "stale": "the list of objects no longer requested",
    "strangers": "the list of unexpected members",
    "reaches": "the list of side effects",
}
Row = dict[str, Any]
_TEXT, _MANY = validators.text(65_536), 10_000_000


def _rows_of(*names: str, **others: validators.Shape) -> validators.Shape:
    """A list of objects with the texts ``names`` and with ``others``."""
    return validators.listing(
        validators.record({**dict.fromkeys(names, _TEXT), **others}, others=True),
        _MANY,
    )


def _person(value: Any, place: str) -> None:
    validators.listing(_TEXT, 2)(value, place)
    if len(value) != 2:
        raise ValueError(f"{place} must be a username and an e-mail")


#: The parts of a plan that a run reads.
_PLAN = validators.record(
    {
        **dict.fromkeys(("changes", "standing"), _rows_of("key", "kind", "name", "id", "rests_on")),
        "totals": _rows_of("account_id", person=_person),
        "stale": _rows_of("key", "kind", "name"),
        "strangers": _rows_of("username", "group"),
        "reaches": _rows_of("by", "account_id", people=validators.listing(_TEXT, _MANY)),
    },
    others=True,
)


def write_plan(
    path: Path,
    plan: access_plan.AccessPlan,
    instance: model.Instance,
    choices: access_plan.Choices,
    notes: Sequence[str] = (),
) -> str:
    """Write ``plan`` for a review and return the SHA-256 of the file, in hex. ``notes``: lines for the reviewer.

    Raises OSError.
    """
    data = {
        "schema": _SCHEMA,
        "instance": instance.arn,
        "choices": asdict(choices),
        "notes": list(notes),
        "changes": (_change(each) for each in plan.work),
        "standing": (_existing(each) for each in _used(plan)),
        **{name: iter(rows) for name, rows in _rows(plan).items()},
        "missing": ({**_user(each.claim.subject), **each.reason.as_data()} for each in plan.missing),
        "refused": ({**_user(each.subject), **each.reason.as_data()} for each in plan.refused),
        "over-quota": list(plan.over_quota),
        "fed-by-others": plan.fed_by_others,
        "unlisted": len(plan.changes) - len(plan.work) - len(_used(plan)),
    }
    digest = hashlib.sha256()

    def content() -> Iterator[bytes]:
        for piece in json_pieces(data, sort_keys=True):
            digest.update(piece)
            yield piece

    DirectoryStore(path.parent).stream(path.name, content())
    return digest.hexdigest()


def read_plan(
    path: Path, digest: str, instance: model.Instance, choices: access_plan.Choices
) -> dict[str, Any]:
    """The reviewed plan. ``digest``: its SHA-256, in hex.

    Raises IdentityCenterError if the file has another digest, another instance or other options.
    """
    try:
        content = read_given(path)
        found = hashlib.sha256(content).hexdigest()
        if found != digest.lower():
            raise _unusable(
                path, f"its SHA-256 is {found}, not that of --plan-sha256: it was changed since the review"
            )
        data: Row = read_json(content)
        _check_format(data)
        _PLAN(data, "plan")
        known, given = (data["instance"], data["choices"]), (instance.arn, asdict(choices))
    except (OSError, ValueError, KeyError, TypeError) as error:
        kind = "" if isinstance(error, NotInFormat) else f"{type(error).__name__}: "
        raise _unusable(path, f"it can't be read as a plan: {kind}{error}") from error
    if known != given:
        raise _unusable(
            path, f"it was made for {known}, and this run is for {given}: give the same options and role"
        )
    return data


def is_access_plan(data: Any) -> bool:
    """Whether the JSON is a plan of access, and not one of deletions."""
    return isinstance(data, dict) and {"instance", "choices", "changes"} <= data.keys()


def plan_of(data: Mapping[str, Any]) -> access_plan.AccessPlan:
    """The plan of a file, for showing it. Raises IdentityCenterError if it is not a plan."""
    try:
        _check_format(data)
        existing = data["standing"]
        return access_plan.AccessPlan(
            changes=tuple(map(_change_of, [*data["changes"], *existing])),
            refused=tuple(
                model.RefusedUser(_subject_of(each), read_reason(each)) for each in data["refused"]
            ),
            missing=tuple(
                access_plan.Missing(
                    model.Claim(_subject_of(each), ("", ""), "", model.Grant("", "")), "", read_reason(each)
                )
                for each in data["missing"]
            ),
            stale=tuple(_change_of({**each, "action": access_plan.REMOVE}) for each in data["stale"]),
            totals=tuple(map(_total_of, data["totals"])),
            unexpected_members=tuple(
                access_plan.UnexpectedMember(
                    each["username"], each["group"], tuple(each["accounts"]), read_reason(each)
                )
                for each in data["strangers"]
            ),
            over_quota=tuple(data["over-quota"]),
            fed_by_others=str(data["fed-by-others"]),
            side_effects=tuple(
                access_plan.SideEffect(
                    **{**each, "people": tuple(each["people"]), "allows": tuple(each["allows"])}
                )
                for each in data["reaches"]
            ),
            unlisted=int(data["unlisted"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        kind = "" if isinstance(error, NotInFormat) else f"{type(error).__name__}: "
        raise IdentityCenterError(f"not a plan of access: {kind}{error}") from error


def _check_format(data: Mapping[str, Any]) -> None:
    """Raises NotInFormat for a plan of another version of the format; KeyError."""
    if data["schema"] != _SCHEMA:
        raise NotInFormat(0, f"schema {quoted(data['schema'])} is not {_SCHEMA}: make the plan again")


def _change_of(row: Row) -> access_plan.Change:
    calls = tuple(
        ApiCall(service, operation, each["parameters"])
        for each in row.get("calls", ())
        for service, operation in [each["operation"].split(":")]
    )
    return access_plan.Change(
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


def _total_of(row: Row) -> access_plan.TotalAccess:
    beyond = tuple(access_plan.FurtherAccess(**each) for each in row["beyond"])
    return access_plan.TotalAccess(**{**row, "person": tuple(row["person"]), "beyond": beyond})


def _subject_of(row: Row) -> Subject:
    arn = row.get("arn", "")
    return Subject(arn.rpartition("/")[2], arn)


def check_reviewed(
    path: Path, reviewed: Mapping[str, Any], plan: access_plan.AccessPlan, made: Iterable[Created] = ()
) -> None:
    """Raises IdentityCenterError, with the differences, if ``plan`` has anything unreviewed.

    It may have less, so that an interrupted run can be continued. ``made``: the objects that this output's runs
    created.
    """
    now = [_normal(_change(each)) for each in plan.work]
    problem = _difference(reviewed["changes"], now, lambda row: str(row["key"]))
    if problem:
        raise _unusable(path, f"the changes differ from the reviewed ones: {problem}")
    if problem := _replaced(reviewed, plan, made):
        raise _unusable(path, f"the existing objects differ from the reviewed ones: {problem}")
    for name, rows in _rows(plan).items():
        known = [each for row in reviewed[name] for each in _by_person(name, _untold(row))]
        present = [each for row in rows for each in _by_person(name, _untold(_normal(row)))]
        if problem := _difference(known, present, partial(_title, name)):
            raise _unusable(path, f"{_CHECKED[name]} differs from the reviewed one: {problem}")


def _difference(reviewed: Iterable[Row], now: Iterable[Row], title: Callable[[Row], str]) -> str:
    """The rows of ``now`` that were not reviewed, in words; empty if all were."""
    listed = list(reviewed)
    known = {json.dumps(each, sort_keys=True) for each in listed}
    new = [each for each in now if json.dumps(each, sort_keys=True) not in known]
    titles = {title(each) for each in listed} if new else set()
    differences = [f"{title(each)} ({'otherwise' if title(each) in titles else 'not in it'})" for each in new]
    return shown(list(dict.fromkeys(differences)), _SHOWN)


def _replaced(reviewed: Mapping[str, Any], plan: access_plan.AccessPlan, made: Iterable[Created]) -> str:
    """The permission sets, groups and users that are other than the reviewed ones, in words; empty if none are."""
    known = {
        each["key"]: (each["id"], each["rests_on"])
        for each in (*reviewed["standing"], *reviewed["changes"])
        if each["id"]
    }
    to_create = {each["key"] for each in reviewed["changes"] if not each["id"]}
    created = {(_created_key(each), each.identifier) for each in made}
    replaced = []
    for change in _used(plan):
        key, now = change.key, (change.identifier, change.rests_on)
        is_own = key in to_create and not created.isdisjoint({(key, change.identifier), (key, "")})
        if change.identifier and known.get(key) != now and not is_own:
            was = known.get(key)
            why = (
                "was to be created, and has been created by others since"
                if key in to_create
                else "is not in it"
            )
            if was:
                why = (
                    f"was replaced: it has id {now[0]}, and had {was[0]}"
                    if was[0] != now[0]
                    else f"was adopted because {was[1]}"
                )
            replaced.append(f"{change.kind} {change.name} {why}")
    return shown(replaced, _SHOWN)


def _created_key(created: Created) -> str:
    """The key of the change that created the object; empty for assignments and memberships."""
    given = created.parameters
    if created.kind == model.USER:
        return user_key((folded(str(given["UserName"])), ""))
    if created.kind == model.GROUP:
        return group_key(str(given["DisplayName"]))
    return set_key(str(given["Name"])) if created.kind == model.PERMISSION_SET else ""


def _used(plan: access_plan.AccessPlan) -> list[access_plan.Change]:
    """Objects without calls that a reviewer must see: adopted, needed, missing or administrative ones."""
    needed = {need for change in plan.work for need in change.needs}
    return [
        change
        for change in plan.changes
        if not change.is_work
        and (
            change.action != access_plan.UNCHANGED
            or change.administrative
            or (change.key in needed and change.identifier)
        )
    ]


def _rows(plan: access_plan.AccessPlan) -> dict[str, Iterator[Row]]:
    return {
        "totals": (asdict(total) for total in plan.totals),
        "stale": ({"key": each.key, "kind": each.kind, "name": each.name} for each in plan.stale),
        "strangers": (
            {
                "username": member.username,
                "group": member.group,
                "accounts": member.accounts,
                **member.reason.as_data(),
            }
            for member in plan.unexpected_members
        ),
        "reaches": (asdict(side_effect) for side_effect in plan.side_effects),
    }


def _by_person(name: str, row: Row) -> Iterator[Row]:
    """One row per person, as some of them may already have the access."""
    if name != "reaches":
        yield row
        return
    yield from ({**row, "people": person} for person in row["people"])


def _untold(row: Row) -> Row:
    """``row`` without the texts of its reason, because only codes count."""
    return {key: value for key, value in row.items() if key not in ("reason", "for_owners")}


def _title(name: str, row: Row) -> str:
    if name == "totals":
        return f"{row['person'][0]} in account {row['account_id']}"
    if name == "stale":
        return f"{row['kind']} {row['name']}"
    if name == "strangers":
        return f"{row['username']} in group {row['group']}"
    return f"{row['people']} by {row['by']} in account {row['account_id']}"


def _normal(row: Row) -> Row:
    """The row as it is read from a file."""
    found: Row = json.loads(json.dumps(row, default=str))
    return found


def refuse_unreviewed(
    plan: access_plan.AccessPlan, remedy: str = _REMEDY, changes_only: bool = False
) -> None:
    """Raises IdentityCenterError if the plan has side effects that only a reviewed plan may have.

    ``changes_only``: only side effects of changed permission sets count, as shared-group consents to the others. Those
    of ``unreviewed_provisioning`` don't count: their accounts stay unchanged.
    """
    own = unreviewed_provisioning(plan)
    found = [
        side_effect
        for side_effect in plan.side_effects
        if side_effect.review
        and (side_effect.is_change or not changes_only)
        and not (side_effect.is_change and provisioning_of(side_effect) in own)
    ]
    if found:
        raise IdentityCenterError(
            f"{'; '.join(map(side_effect_text, found[:_SHOWN]))}"
            f"{f'; and {len(found) - _SHOWN} more' if len(found) > _SHOWN else ''}. Nothing was touched: {remedy}"
        )


def _change(change: access_plan.Change) -> Row:
    return {
        **_object(change),
        # A request of an earlier run makes the same assignment.
        "action": access_plan.ASSIGN if change.action == access_plan.AWAIT else change.action,
        "calls": [_call(call) for call in change.calls],
    }


def _existing(change: access_plan.Change) -> Row:
    return {**_object(change), "action": change.action}


def _object(change: access_plan.Change) -> Row:
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
    parameters = {key: value for key, value in given.items() if key not in _IDS}
    return {"operation": f"{call.service}:{call.operation}", "parameters": parameters}


def _unusable(path: Path, why: str) -> IdentityCenterError:
    return IdentityCenterError(
        f"the reviewed plan {path} can't be applied: {why}. Nothing was touched: {_REMEDY}"
    )
