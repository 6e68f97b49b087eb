# SPDX-License-Identifier: Apache-2.0
"""What runs of policies have left, as the report has it: one output for each policy and account. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from c7n_iamusers import defaults
from c7n_iamusers.evidence.seen_users import SeenUsers
from c7n_iamusers.report.selected_keys import SelectedKey
from c7n_iamusers.report.selected_users import Selected

#: In place of a policy's name, for what ``c7n-iamusers restore`` did; and the member of its row with the unique id of
#: the user that it restores, which the user in the row replaces.
RESTORE, REPLACES = "restore", "replaces"
#: The step of announcements, in a policy.
ANNOUNCE = "announce"
#: States of a person's access, as ``require`` names them.
_PROVISIONED, _USED = "provisioned", "used"

#: How a policy's run ended in an account.
RAN, ACTION_FAILED, TOO_MANY = "ran", "action failed", "too many users"
DENIED, FAILED, STOPPED, UNREADABLE = "denied", "failed", "did not run", "unreadable"


@dataclass(frozen=True)
class Asks:
    """What the later steps ask of users, as an announcement states it (``forecast.Later``).

    ``active_within``: days; None if use spares nobody. ``takes_trusted``: whether a role's trust spares nobody.
    ``accepted``: the states of a person's access that are enough; empty if nobody asks.
    """

    active_within: float | None = None
    takes_trusted: bool = False
    accepted: tuple[str, ...] = ()

    @classmethod
    def of(cls, action: Mapping[str, Any]) -> Asks:
        """What the options of an action ``notify-owners`` say, with its defaults where they say nothing."""
        active, required = (
            action.get("active-within", defaults.ACTIVE_WITHIN),
            action.get("require", _PROVISIONED),
        )
        states = {_PROVISIONED: (_PROVISIONED, _USED), _USED: (_USED,)}
        days = float(active) if isinstance(active, int | float) else None
        return cls(days, action.get("trusted-by-role") is True, states.get(required, ()))


@dataclass(frozen=True)
class Mail:
    """The notices that an action writes or reads: their place, and the action's ``step``, if it has one.

    ``rests``: whether it changes users only by their announcements. ``asks``: of an announcement. ``of``: the policies
    whose outcomes it tells; none if it tells its own policy's.
    """

    notices: str
    step: str = ""
    rests: bool = False
    asks: Asks | None = None
    of: tuple[str, ...] = ()


@dataclass(frozen=True)
class PolicyOutput:
    """What the run of one policy has left for one account.

    ``place``: where, for people. ``run``: what it shares with the same run's other accounts. ``account``: the id, or
    empty. ``name``: c7n-org's name of the account, or empty. ``time``: when the run began. ``state``: how it ended;
    empty where only a record of outcomes lies here. ``users``: those that were selected, None where that is not known.
    ``rows``: of outcomes of users. ``rules``: entries of ``exempt``. ``execution``: Cloud Custodian's id of the run, or
    empty.
    ``sees_all``: whether a filter ``unnecessary`` gets all users of the account. ``seen``: those that it got, without
    the selected ones in ``users``; ``complete`` says whether both are all. None where it was not called. ``mails``:
    its actions with notices; empty also where the run left no metadata. ``names``: the only users that it is for; None
    for all. ``deployed``: whether the run only deployed a function, and so selected nobody. ``of_others``: what in it
    tells of users of another account, in words; none of that is believed. ``on_keys``: whether the policy is about
    access keys: then ``users`` is None, and ``keys`` are those that were selected. ``key_rows``: of outcomes
    of access keys. ``parked_for``: the days for which its action ``retire`` asks a key to be inactive; None if it has
    none.
    """

    place: str
    run: str
    policy: str
    account: str
    name: str
    region: str
    time: datetime | None
    state: str
    why: str
    dry_run: bool
    users: tuple[Selected, ...] | None
    rows: tuple[Mapping[str, Any], ...]
    rules: tuple[Mapping[str, Any], ...]
    execution: str
    sees_all: bool
    seen: SeenUsers | None
    mails: tuple[Mail, ...] = ()
    names: tuple[str, ...] | None = None
    deployed: bool = False
    of_others: tuple[str, ...] = ()
    on_keys: bool = False
    keys: tuple[SelectedKey, ...] | None = None
    key_rows: tuple[Mapping[str, Any], ...] = ()
    parked_for: float | None = None

    @property
    def selected(self) -> Sequence[Selected | SelectedKey] | None:
        """The users, or the access keys, that were selected; None where that is not known."""
        return self.keys if self.on_keys else self.users

    @property
    def rests(self) -> bool:
        """Whether it changes what it selected only by its announcement."""
        return any(each.rests for each in self.mails)

    @property
    def all_rows(self) -> Sequence[Mapping[str, Any]]:
        """Of outcomes of users and of access keys."""
        return (*self.rows, *self.key_rows)
