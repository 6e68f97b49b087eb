# SPDX-License-Identifier: Apache-2.0
"""Plans that wait for approval, for how long a plan counts, and the approvals: rows of approvals.csv. Pure.

A plan is approved by the SHA-256 of what it would change, without the time at which it was made: the plan of the next
day is the same one as long as it would change the same.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.cycle.steps import APPROVABLE, DELETE
from c7n_iamusers.deletion.reviewed_plan import DeletionPlan, PlannedDeletion
from c7n_iamusers.lockout.deny_all import is_denial
from c7n_iamusers.text.documents import NotInFormat, decoded, read_json
from c7n_iamusers.text.rows import csv_header, read_rows
from c7n_iamusers.text.times import CLOCKS_APART, as_text, moment
from c7n_iamusers.text.validators import listing, maybe, one_of, record, text
from c7n_iamusers.text.wording import visible

#: The file of a workspace, and its columns. A pull request may add a row as well as `c7n-iamusers approve`.
APPROVALS_FILE = "approvals.csv"
COLUMNS = ("sha256", "step", "who", "when", "note")
#: How long after it was made a plan may be applied first. Later, what it was made from is too old.
LASTS = timedelta(days=7)
_SCHEMA = 1
_SHA256 = text(64, "[0-9a-f]{64}")
_ACTION = "composite-delete"


@dataclass(frozen=True)
class Approval:
    """That ``who`` approved the plan with this SHA-256 ``when``."""

    sha256: str
    step: str
    who: str
    when: datetime
    note: str = ""


def parse_approvals(content: bytes) -> list[Approval]:
    """The rows of the file. Raises NotInFormat, with the line, for one that approves nothing."""
    found = []
    for row in read_rows(content, "csv", _header_fault):
        if row.problem:
            raise NotInFormat(row.line, row.problem)
        given = {key: str(row.value.get(key, "")) for key in COLUMNS}
        when = moment(given["when"])
        try:
            _SHA256(given["sha256"], "sha256")
            one_of(*APPROVABLE)(given["step"], "step")
            text(200, shortest=1)(given["who"], "who")
        except ValueError as error:
            raise NotInFormat(row.line, str(error)) from None
        if when is None:
            raise NotInFormat(row.line, "when is no time, such as 2026-01-31T12:00:00Z")
        found.append(Approval(given["sha256"], given["step"], given["who"], when, given["note"]))
    return found


def _header_fault(columns: list[str]) -> str:
    missing = [each for each in COLUMNS[:-1] if each not in columns]
    return f"has no column {', '.join(missing)}" if missing else ""


def with_approval(content: bytes | None, approval: Approval) -> bytes:
    """The file with one more row, in its own columns. Raises NotInFormat where it can't be read, or takes no note."""
    before = decoded(content or b"")
    if not before.strip():
        before = f"{','.join(COLUMNS)}\n"
    columns, separator = csv_header(before)
    if approval.note and "note" not in columns:
        raise NotInFormat(1, "the header has no column note: add it, or approve without a note")
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n", delimiter=separator)
    if all(_key(each) != _key(approval) for each in parse_approvals(before.encode())):
        told = asdict(approval) | {"when": as_text(approval.when)}
        writer.writerow([_cell(str(told.get(column, ""))) for column in columns])
    gap = "" if before.endswith("\n") else "\n"
    return f"{before}{gap}{lines.getvalue()}".encode()


def _key(approval: Approval) -> tuple[str, str, datetime]:
    return approval.sha256, approval.step, approval.when


def _cell(value: str) -> str:
    """A spreadsheet would take some beginnings for a formula."""
    plain = visible(value)
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@")) else plain


@dataclass(frozen=True)
class PlanState:
    """A plan as it is kept below the output. ``accounts``: that it changes. ``made``: when it was first made.

    ``begun``, ``ended``: when it was applied; None if it was not. ``applied``: the accounts in which that has ended.
    ``before``: when the same plan was applied the last time; None if it never was. Its approval does not count again.
    """

    step: str
    sha256: str
    made: datetime
    accounts: tuple[str, ...]
    begun: datetime | None = None
    ended: datetime | None = None
    applied: tuple[str, ...] = ()
    before: datetime | None = None

    def as_json(self) -> bytes:
        """The content of its file."""
        data = {
            "schema": _SCHEMA,
            "step": self.step,
            "sha256": self.sha256,
            "made": as_text(self.made),
            "accounts": list(self.accounts),
            "begun": as_text(self.begun),
            "ended": as_text(self.ended),
            "applied": list(self.applied),
            "before": as_text(self.before),
        }
        return json.dumps(data, indent=1).encode() + b"\n"

    def is_too_old(self, now: datetime) -> bool:
        """Whether it can no longer be applied, nor go on: LASTS are over since it was begun, or else made."""
        return now - (self.begun or self.made) > LASTS

    def begin(self, now: datetime) -> PlanState:
        """The plan as it is about to be applied: it is applied to its end from now on, whatever happens to the run."""
        return replace(self, begun=self.begun or now)

    def end(self, accounts: Iterable[str], now: datetime) -> PlanState:
        """The plan after it was applied in ``accounts``. It ends with the last one, and is never applied again."""
        done = {*self.applied, *accounts}
        applied = tuple(each for each in self.accounts if each in done)
        return replace(self, applied=applied, ended=now if applied == self.accounts else None)


_TIME = text(40)
_IDS = listing(text(12), 100_000)
_STATE = record(
    {
        "schema": one_of(_SCHEMA),
        "step": one_of(*APPROVABLE),
        "sha256": _SHA256,
        "made": _TIME,
        "accounts": _IDS,
        "begun": maybe(_TIME),
        "ended": maybe(_TIME),
        "applied": _IDS,
        "before": maybe(_TIME),
    }
)


def parse_state(content: bytes) -> PlanState:
    """The state in a file. Raises ValueError if a cycle can't have written it."""
    data = read_json(content)
    _STATE(data, "it")
    times = {each: moment(data[each]) for each in ("made", "begun", "ended", "before")}
    made = times["made"]
    if made is None or any(data[each] and at is None for each, at in times.items()):
        raise NotInFormat(0, "has a time that is none")
    accounts, applied = tuple(data["accounts"]), tuple(data["applied"])
    return PlanState(
        data["step"], data["sha256"], made, accounts, times["begun"], times["ended"], applied, times["before"]
    )


def to_apply(
    step: str, states: Iterable[PlanState], approvals: Iterable[Approval], now: datetime
) -> list[PlanState]:
    """The plans of ``step`` to apply now, those that were begun first, and then the oldest.

    One that was begun goes on for LASTS, since a killed run may have left a user half deleted. Any other one is
    applied within LASTS after it was made, and by an approval that is not older than it: a plan that comes again after
    it was applied waits again.
    """
    listed = list(approvals)
    found = [each for each in states if _is_approved(step, each, listed) and not _too_late(each, listed, now)]
    return sorted(found, key=lambda each: (each.begun is None, each.begun or each.made, each.sha256))


def lapsed(
    step: str, states: Iterable[PlanState], approvals: Iterable[Approval], now: datetime
) -> list[tuple[PlanState, str]]:
    """The plans that were approved and are not applied, each with the reason."""
    listed = list(approvals)
    approved = [each for each in states if _is_approved(step, each, listed)]
    return [(each, why) for each in approved if (why := _too_late(each, listed, now))]


def _is_approved(step: str, state: PlanState, approvals: Iterable[Approval]) -> bool:
    return state.step == step and state.ended is None and any(_is_of(each, state) for each in approvals)


def _is_of(approval: Approval, state: PlanState) -> bool:
    return (approval.step, approval.sha256) == (state.step, state.sha256)


def _too_late(state: PlanState, approvals: Iterable[Approval], now: datetime) -> str:
    if state.begun:
        late = f"it was begun on {state.begun:%Y-%m-%d}, and goes on for {LASTS.days} days"
        return late if state.is_too_old(now) else ""
    if state.is_too_old(now):
        return f"it was made on {state.made:%Y-%m-%d}, and its approval counts for {LASTS.days} days"
    of_it = [each.when for each in approvals if _is_of(each, state)]
    last = max((each for each in of_it if each <= now + CLOCKS_APART), default=None)
    if last is None:
        return f"its approval is of {as_text(min(of_it))}, which is in the future"
    if last.date() < state.made.date():
        return f"its approval is of {last:%Y-%m-%d}, and the plan was made again on {state.made:%Y-%m-%d}"
    if state.before and last < state.before:
        return (
            f"its approval is of {as_text(last)}, and the same plan was applied until {as_text(state.before)}"
        )
    return ""


# The plan of deletions


def deletions(plans: Iterable[DeletionPlan]) -> dict[str, Any]:
    """What the ``plans`` of accounts and policies delete together, in JSON types; without users that they skip.

    And without the Deny on everything that a deletion begins with: its name has the time, and a deletion may take
    another form than was reviewed, as it only denies (``review_refusal``).
    """
    rows = [
        {"account_id": plan.account_id, "policy": plan.policy, **_deletion(user)}
        for plan in plans
        for user in plan.users
        if not user.skipped
    ]
    rows.sort(key=lambda each: (each["account_id"], each["policy"], each["arn"]))
    return {"schema": _SCHEMA, "step": DELETE, "deletions": rows}


def _deletion(user: PlannedDeletion) -> dict[str, Any]:
    data = replace(user, calls=tuple(each for each in user.calls if not is_denial(each))).as_data()
    return {key: value for key, value in data.items() if key not in ("skipped", "code")}


#: What a plan of access says besides: who gets nothing, by what was read when.
_REMARKS = frozenset(("refused", "missing", "notes"))


def access(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan of `provision plan` changes, and what a run must not differ in; without its remarks."""
    return {key: value for key, value in plan.items() if key not in _REMARKS}


def as_bytes(plan: Mapping[str, Any]) -> bytes:
    """The content of the file of a plan: the same for the same plan."""
    return json.dumps(plan, sort_keys=True, indent=1).encode() + b"\n"


def sha256_of(plan: Mapping[str, Any]) -> str:
    """By which a plan is approved."""
    return hashlib.sha256(as_bytes(plan)).hexdigest()


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """How a plan differs from an earlier one of the same step: a line for each user, or for each change of access."""
    return _changed_deletions(before, after) if "deletions" in after else _changed_access(before, after)


def _changed_access(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = ({each["key"]: each for each in plan.get("changes", ())} for plan in (before, after))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            sign = "+" if key not in old else "-" if key not in new else "~"
            change = new.get(key) or old[key]
            yield f"{sign} {change.get('kind', '')} {change.get('name', key)}"


def _changed_deletions(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = _by_user(before), _by_user(after)
    for key in sorted(old.keys() | new.keys()):
        account_id, arn = key[:2]
        who = f"{arn.rpartition('/')[2]} of account {account_id}"
        if key not in old:
            yield f"+ {who}"
        elif key not in new:
            yield f"- {who}"
        elif old[key] != new[key]:
            yield f"~ {who}: it has changed since"


def _by_user(plan: Mapping[str, Any]) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    return {(each["account_id"], each["arn"], each["unique_id"]): each for each in plan["deletions"]}


def deleting_policies(data: Mapping[str, Any]) -> list[str]:
    """The names of the policies that delete users."""
    return [str(each["name"]) for each in data["policies"] if _actions(each)]


def planning(data: Mapping[str, Any]) -> dict[str, Any]:
    """A file of policies, so that those that delete only plan it, and the others are left out."""
    chosen = [deepcopy(each) for each in data["policies"] if _actions(each)]
    for policy in chosen:
        policy["actions"] = [{**each, "plan-only": True} for each in _actions(policy)]
    return {**data, "policies": chosen}


def bound(data: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """A file of policies, whose deletions are bound to a reviewed plan. ``places``: policy -> where its plan is."""
    found = deepcopy(dict(data))
    for policy in found["policies"]:
        if _actions(policy):
            place = places[policy["name"]]
            policy["actions"] = [
                {**_as_action(each), "plan": place} if _is_deletion(each) else each
                for each in policy["actions"]
            ]
    return found


def _actions(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_as_action(each) for each in policy.get("actions") or () if _is_deletion(each)]


def _is_deletion(action: Any) -> bool:
    return action == _ACTION or (isinstance(action, Mapping) and action.get("type") == _ACTION)


def _as_action(action: Any) -> dict[str, Any]:
    return {"type": action} if isinstance(action, str) else dict(action)


def empty_plans(
    policies: Iterable[str], accounts: Collection[str], plans: Sequence[DeletionPlan], now: datetime
) -> list[DeletionPlan]:
    """A plan of each policy in each account: those of ``plans``, and empty ones, by which nobody is deleted."""
    known = {(each.policy, each.account_id): each for each in plans}
    return [
        known.get((policy, account), DeletionPlan(account, policy, now, ()))
        for policy in policies
        for account in sorted(accounts)
    ]
