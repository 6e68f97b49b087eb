# SPDX-License-Identifier: Apache-2.0
"""Whether what deletions rest on is at hand, and as it was then: plans, notices, calls of other outputs.

Once the journals of all outputs are read, see ``verification``.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain

from c7n_iamusers.exceptions import NoticesUnreadable
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.notices.notices import ANNOUNCED, Notices
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.key_notices import key_notice_faults
from c7n_iamusers.report.outputs import PolicyOutput
from c7n_iamusers.report.verification import NOTE, Verified, of
from c7n_iamusers.text.documents import LARGEST_RECORD


def verify_elsewhere(verified: Verified) -> None:
    """Whether some journal, maybe of another output, has what lines rest on."""
    elsewhere = (verified.changes.faults(), verified.denials.faults(verified.asked), verified.keys.faults())
    for place, level, why in chain.from_iterable(elsewhere):
        verified.add(level, place, why)
    for place, who, what, told in verified.unproven:
        if (who, what) not in verified.proven:
            why = f"the quarantine of {told} has {what} by its record, and by no call here: give all outputs"
            verified.add(ATTENTION, place, f"{why}; or it was changed")


def verify_plans(verified: Verified, plans: Collection[str]) -> None:
    """Whether the plans by which users were deleted are at hand. ``plans``: the SHA-256 of those that are."""
    missing = Counter[str]()
    for _, line in verified.decisions:
        plan = line.get("plan")
        if plan and plan.get("sha256") not in plans:
            missing[f"{plan.get('place')}, SHA-256 {plan.get('sha256')}"] += 1
    for plan, users in missing.items():
        why = f"the plan that {of(users, 'user')} was deleted by is not here: give --plan FILE"
        verified.add(ATTENTION, plan, why)


def verify_notices(
    verified: Verified, stores: Mapping[str, Store], now: datetime, outputs: Sequence[PolicyOutput] = ()
) -> None:
    """Whether the notices on which deletions rest are as they were then, and a run can have written the others.

    ``stores``: account id -> where its notices are, if that is known. ``outputs``: what policies asked of access keys.
    """
    rested, read = _rested(verified), dict[str, Notices]()
    for account in sorted({*rested, *stores}):
        if account not in stores:
            why = f"deletions rest on {of(len(rested[account]), 'notice')} whose place is not known"
            verified.add(ATTENTION, f"account {account}", f"{why}: give --notices PLACE")
            continue
        store = stores[account]
        for (name, digest), arn in rested[account].items():
            if fault := _notice_fault(store, name, digest, arn):
                verified.add(BLOCKING, store.place(name), fault)
        if its := _others(verified, store, account, {name for name, _ in rested[account]}, now):
            read[account] = its
    for place, level, why in key_notice_faults(verified.keys, outputs, read):
        verified.add(level, place, why)


def _rested(verified: Verified) -> Mapping[str, Mapping[tuple[str, str], str]]:
    """Account id -> name and SHA-256 of each notice on which a deletion of a user rests -> the ARN of one of them."""
    found = defaultdict[str, dict[tuple[str, str], str]](dict)
    for _, line in verified.decisions:
        if told := line.get("announcement"):
            account = line["arn"].split(":")[4]
            found[account].setdefault((str(told.get("notice")), str(told.get("sha256"))), line["arn"])
    return found


def _notice_fault(store: Store, name: str, digest: str, arn: str) -> str:
    """Why a notice is not the one that the deletion of ``arn`` rests on; empty if it is."""
    try:
        content = store.read(name, LARGEST_RECORD)
    except OSError as error:
        return f"can't be read: {error}"
    if content is None:
        return f"is gone: {arn} was deleted on the strength of it"
    now = hashlib.sha256(content).hexdigest()
    if now == digest:
        return ""
    return f"has the SHA-256 {now}, and had {digest} when {arn} was deleted on the strength of it"


def _others(
    verified: Verified, store: Store, account: str, rested: Collection[str], now: datetime
) -> Notices | None:
    """The notices of the account; None if they can't be read."""
    place = store.place(account)
    try:
        notices = Notices.read(store, account, now, lambda fault: verified.add(BLOCKING, place, fault))
    except NoticesUnreadable as error:
        verified.add(BLOCKING, place, str(error))
        return None
    verified.counts["notices"] += len(notices.all)
    announced = [each for each in notices.all if each.step == ANNOUNCED and each.name not in rested]
    of_keys = sum(any(user.is_key for user in each.users) for each in announced)
    if of_keys:
        why = (
            f"no digest of {of(of_keys, 'announcement')} of access keys is on record: their days are compared"
        )
        verified.add(NOTE, place, f"{why}, and nothing proves that they are as they were sent")
    if others := len(announced) - of_keys:
        why = f"no digest of {of(others, 'announcement')} is on record: no deletion here rests on them"
        verified.add(NOTE, place, why)
    return notices
