# SPDX-License-Identifier: Apache-2.0
"""The access keys of a fleet: what runs saw of each that a policy selected or changed, and what became of it. Pure.

Outcomes and notices of a key have its user's name and ARN, and its own id as the unique id (``Subject.is_key``): no key
counts as a user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from sys import intern
from typing import Any

from c7n_iamusers.execution.outcomes import FAILED, SKIPPED
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices
from c7n_iamusers.report.key_states import ENDED, GONE, STATES, Became, became
from c7n_iamusers.report.outputs import PolicyOutput
from c7n_iamusers.report.selected_keys import SelectedKey
from c7n_iamusers.report.standing import Belongs, owner_of
from c7n_iamusers.report.users import Row, began, is_stopped, when
from c7n_iamusers.report.users_of_runs import event_of
from c7n_iamusers.text.times import as_text

_NOT_SEEN = Became(STATES[0])
_DELETED_WITH_USER = "its user is gone"


@dataclass(slots=True)
class AccessKey:
    """``name``: of its user. ``unique_id``: the key's id. ``user_id``: of its user, or empty if no output says it.

    ``seen``: by the latest run that selected it, at ``seen_at``. ``told``: its announcement that counts; ``last``: its
    latest one. ``now``: what became of it.
    """

    account: str
    name: str
    arn: str
    unique_id: str
    user_id: str = ""
    seen: SelectedKey | None = None
    seen_at: datetime | None = None
    events: list[Row] = field(default_factory=list)
    told: Notice | None = None
    last: Notice | None = None
    owner: str = ""
    now: Became = _NOT_SEEN

    def add(self, event: Row) -> None:
        """Add an outcome, if it is not known yet."""
        if event not in self.events:
            self.events.append(event)

    def select(self, selected: SelectedKey, at: datetime | None) -> None:
        """Take what a run saw. Runs come in the order of their time."""
        self.seen, self.seen_at, self.user_id = selected, at, selected.user_id or self.user_id

    @property
    def state(self) -> str:
        """One of STATES."""
        return self.now.state

    def is_left(self) -> bool:
        """Whether it is still there, as far as runs have seen."""
        return self.state not in ENDED

    def event(self) -> Row | None:
        """The outcome that says what became of it; None if none does."""
        return self.now.event

    def is_stopped(self) -> bool:
        """Whether a file STOP ended the run before the key."""
        return bool(self.now.event and is_stopped(self.now.event))

    def handled(self) -> list[Row]:
        """Its outcomes but those of runs that left it alone, or failed."""
        return [each for each in self.events if each["status"] not in (SKIPPED, FAILED)]

    def as_data(self) -> Row:
        """JSON types only; texts are empty where something is not known."""
        event, seen, notice = self.now.event or {}, self.seen, self.told or self.last
        use = (
            seen.use.as_data()
            if seen
            else dict.fromkeys(("used", "used_where", "use_source", "use_as_of"), "")
        )
        since = as_text(self.now.since) or ""
        is_parked = self.now.parked
        return {
            "account": self.account,
            "user": self.name,
            "arn": self.arn,
            "user_id": self.user_id,
            "key": self.unique_id,
            "kind": seen.kind if seen else "",
            "created": as_text(seen.created_at()) or "" if seen else "",
            "state": self.state,
            "parked": since if is_parked else "",
            "given_back": since if not is_parked else "",
            "reason": self._why(),
            "code": str(event.get("code") or ""),
            "policy": str(event.get("policy") or ""),
            "time": str(event.get("time") or ""),
            **use,
            "findings": [*seen.findings] if seen else [],
            "last_seen": as_text(self.seen_at) or "",
            "owner": self.owner,
            "announced": as_text(notice.time) or "" if notice else "",
            "inactive_on": notice.stop.isoformat() if notice and notice.stop else "",
            "planned": notice.day.isoformat() if notice else "",
            "counts": self.told is not None,
            "outcomes": sorted(self.events, key=when, reverse=True),
        }

    def _why(self) -> str:
        if self.now.event:
            return str(self.now.event["reason"])
        return _DELETED_WITH_USER if self.state == GONE else ""


def access_keys_of(
    outputs: Iterable[PolicyOutput],
    account_of: Callable[[PolicyOutput], str],
    notices: Mapping[tuple[str, str], Notices],
    belongs: Mapping[str, Belongs],
    gone_users: Collection[tuple[str, str]],
    now: datetime,
) -> list[AccessKey]:
    """All keys that ``outputs`` name. ``notices``: of each account and place. ``belongs``: account -> whose it is.

    ``gone_users``: account and unique id of the users that are not there any more, whose keys are gone with them.
    """
    of_account: dict[str, list[Notices]] = {}
    for (account, _), its in notices.items():
        of_account.setdefault(account, []).append(its)
    last = {account: _last_announcements(its) for account, its in of_account.items()}
    found = _named_by(sorted(outputs, key=began), account_of)
    for key in found:
        counting = (each.announcement(key.unique_id, now) for each in of_account.get(key.account, ()))
        key.told = max(filter(None, counting), key=lambda each: each.time, default=None)
        key.last = last.get(key.account, {}).get(key.unique_id)
        key.owner = owner_of(belongs.get(key.account, Belongs()).owner, key.last)
        key.now = became(key.events, key.told.time if key.told else None)
        if key.is_left() and (key.account, key.user_id) in gone_users:
            key.now = Became(GONE)
    return sorted(found, key=_order)


def _named_by(
    outputs: Sequence[PolicyOutput], account_of: Callable[[PolicyOutput], str]
) -> Collection[AccessKey]:
    """The keys that ``outputs`` name, in the order of their time, with what these say of them."""
    found: dict[tuple[str, str], AccessKey] = {}

    def of(arn: str, key_id: str, output: PolicyOutput) -> AccessKey:
        # the ARN's account, and not the run's, is the key's
        at = intern(arn.split(":")[4] or account_of(output))
        return found.setdefault((at, key_id), AccessKey(at, arn.rpartition("/")[2], arn, key_id))

    for output in outputs:
        for each in output.keys or ():
            of(each.arn, each.unique_id, output).select(each, output.time)
        for row in output.key_rows:
            key = of(str(row["arn"]), str(row["unique_id"]), output)
            for entry in (*row.get("history", ()), row):
                key.add(event_of(entry, output, output.time if entry is row else None))
    return found.values()


def _last_announcements(its: Iterable[Notices]) -> dict[str, Notice]:
    """Unique id -> its latest announcement, whether it still counts or not."""
    announced = (each for notices in its for each in notices.all if each.step == ANNOUNCED)
    ordered = sorted(announced, key=lambda each: each.time)
    return {each.unique_id: notice for notice in ordered for each in notice.users if each.is_key}


def _order(key: AccessKey) -> tuple[Any, ...]:
    return STATES.index(key.state), key.account, key.name.casefold(), key.unique_id


def totals_of(keys: Sequence[AccessKey]) -> dict[str, int]:
    """How many keys there are in each state, and in all."""
    counts = Counter(each.state for each in keys)
    return {"all": len(keys), **{each: counts[each] for each in STATES}}
