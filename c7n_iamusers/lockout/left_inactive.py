# SPDX-License-Identifier: Apache-2.0
"""The credentials that a release, or the next quarantine, leaves inactive, and why. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.switchable import identity_of, switchable
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.lockout_state import NOTHING_KNOWN, denied, recorded_inactive, without_activated
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.reasons import Reason


def left_inactive(
    user: IamUser, quarantine: QuarantineRecord, history: CallHistory = NOTHING_KNOWN
) -> list[Reason]:
    """Why credentials stay inactive that may have been active before; empty if there are none.

    Whoever removed the Deny-all by hand may also have activated these credentials, and deactivated them again for
    another reason, such as a leak. Nothing read here shows that. So a later quarantine leaves them out of its record,
    and its release names them.
    """
    since = quarantine.since
    if not quarantine.known:
        return _staying(reasons.JOURNAL_MISSING, switchable(user, attachments.INACTIVE), since=since)
    gone = not denied(user, quarantine) and quarantine.deny != "none"
    given_back = history.activated_ids(since)
    others = {*quarantine.given, *quarantine.dropped, *given_back}
    off = list(switchable(user, attachments.INACTIVE))
    # Only the journal knows what an earlier run deactivated, or somebody else.
    journaled = quarantine.kept or (history.record is not None and history.record.since == since)
    named = {*quarantine.deactivated, *others, *history.deactivated_ids()}
    unknown = [each for each in off if identity_of(each) not in named] if not (journaled or gone) else []
    removed = recorded_inactive(user, without_activated(quarantine, history)) if gone else ()
    earlier = deactivated_earlier(user, (*quarantine.deactivated, *others), history)
    given = [each for each in off if identity_of(each) in quarantine.given]
    dropped = set(quarantine.dropped) - given_back
    told = dropped & history.proven_off()
    return [
        *_staying(reasons.DENY_REMOVED, removed, since=since),
        *_staying(reasons.DEACTIVATED_EARLIER, earlier, since=since),
        *_staying(reasons.GIVEN_UNDER_QUARANTINE, given, since=since),
        *_staying(reasons.TAKEN_AGAIN, [each for each in off if identity_of(each) in given_back]),
        *_staying(
            reasons.NOT_PROVEN_OURS,
            [each for each in off if identity_of(each) in dropped - told],
            since=since,
        ),
        *_staying(
            reasons.ONLY_IN_A_JOURNAL, [each for each in off if identity_of(each) in told], since=since
        ),
        *_staying(reasons.UNKNOWN_BEFORE, unknown, since=since),
    ]


def deactivated_earlier(
    user: IamUser, recorded: Collection[str], history: CallHistory
) -> list[tuple[attachments.AttachmentKind, Item]]:
    """The inactive credentials of ``user`` that we deactivated and never activated, except ``recorded`` ones."""
    ours = set(history.deactivated_ids()) - set(recorded)
    return [
        (kind, item) for kind, item in switchable(user, attachments.INACTIVE) if item[kind.identifier] in ours
    ]


def _staying(
    why: reasons.Kind, credentials: Iterable[tuple[attachments.AttachmentKind, Item]], **parameters: Any
) -> list[Reason]:
    named = ", ".join(f"{kind.title} {item[kind.identifier]}" for kind, item in credentials)
    return [why(which=named, **parameters)] if named else []
