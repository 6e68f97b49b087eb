# SPDX-License-Identifier: Apache-2.0
"""The gates of an action on users, read with the policy's own session, or with that of whoever runs Cloud Custodian."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from c7n.exceptions import PolicyExecutionError

from c7n_iamusers.exceptions import NoticesUnreadable
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.exemptions import digest_of
from c7n_iamusers.identity_center.access_state import AccessState
from c7n_iamusers.notices.delivery import UNCHECKED
from c7n_iamusers.notices.notices import Notices, directories
from c7n_iamusers.notices.stop import check_stop, stopped
from c7n_iamusers.plugins import run_outputs
from c7n_iamusers.plugins.policy_checks import exemption_rules
from c7n_iamusers.reasons import NO_ACCESS, Reason
from c7n_iamusers.safeguards.gate_readings import Calls, Gate, Gates
from c7n_iamusers.safeguards.reasons_to_spare import Guards

#: The seconds of a clock that never goes back, and on Linux goes on while the machine sleeps. Tests have their own.
CLOCK: Callable[[], float] = partial(
    time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
)
#: Reads the access of all users of the action: ARN -> its state.
Access = Callable[[], Mapping[str, AccessState]]


def gates_of(
    action: Any,
    account_id: str,
    guards: Guards,
    access: Callable[[Calls], Sequence[Access]] = lambda _: (),
    accepted: Sequence[str] = (),
    trust: Callable[[Calls], Gate] | None = None,
) -> Gates:
    """The gates of ``action``, read for the first time: exemptions, STOP files, notices, access, trust.

    ``guards``: the others. ``access``, ``trust``: make their readers, if any, which count their calls. ``accepted``:
    states of access that are enough. Raises PolicyExecutionError if anything can't be read.
    """
    manager, data, calls = action.manager, action.data, Calls()
    gates = [Gate("the exemptions", lambda: _exemptions(manager, account_id, calls))]
    if "notices" in data:
        store = run_outputs.notices_store(manager, data["notices"], calls.attach)
        stops = not data.get("plan-only")  # which changes nothing
        if stops:
            gates.append(Gate("whether there is a STOP file", lambda: _unless_stopped(store)))
        noticed, checked = guards.noticed is not None, data.get("delivery") != UNCHECKED
        gates.append(Gate("the notices", lambda: _notices(store, account_id, noticed, stops, checked)))
    if readers := access(calls):
        what = "the access through Identity Center"
        gates.append(Gate(what, lambda: {"missing": _missing(readers, accepted)}, patient=True))
    gates += [trust(calls)] if trust else []
    with unreadable_notices(action, account_id):
        return Gates(guards, gates, calls, CLOCK).load()


@contextmanager
def unreadable_notices(action: Any, account_id: str) -> Iterator[None]:
    """Turn an error of the notices in the block into a PolicyExecutionError that names their place."""
    try:
        yield
    except (OSError, NoticesUnreadable) as error:
        raise PolicyExecutionError(
            f"policy {action.manager.data.get('name')}: account {account_id}: {error}. Nothing was touched: make "
            f"{action.data.get('notices')} readable for the runner, or correct notices, and run again"
        ) from error


def _exemptions(manager: Any, account_id: str, calls: Calls) -> Mapping[str, Any]:
    rules = exemption_rules(manager, account_id, calls.add)
    return {"rules": rules, "rules_sha256": digest_of(rules)}


def _unless_stopped(store: Store, place: str = "") -> Mapping[str, Any]:
    check_stop(store, place)
    return {}


def _notices(store: Store, account_id: str, noticed: bool, stops: bool, checked: bool) -> Mapping[str, Any]:
    """``notices`` of Guards if ``noticed``. Raises Stopped for a STOP file in the account's directory if ``stops``."""
    own, _ = directories(account_id)
    if not noticed:
        return _unless_stopped(store, own)
    found = Notices.read(store, account_id, utc_now(), checked=checked)
    if found.stop and stops:
        raise stopped(found.stop)
    found.require_records()
    return {"notices": found}


def _missing(readers: Sequence[Access], accepted: Sequence[str]) -> Mapping[str, Reason | None]:
    """``missing`` of Guards: the first reason of a user that lacks access by one of ``readers``."""
    found = dict[str, Reason | None]()
    for read in readers:
        for arn, each in read().items():
            lacks = each.state not in accepted
            found[arn] = found.get(arn) or (NO_ACCESS(state=each.state, why=each.reason) if lacks else None)
    return found
