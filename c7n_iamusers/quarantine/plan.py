# SPDX-License-Identifier: Apache-2.0
"""Planning a quarantine, which makes every credential of a user unusable, and a brownout. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import DenyRefused
from c7n_iamusers.execution.calls import ApiCall, Plan
from c7n_iamusers.iam.attachments import (
    ACTIVE,
    INACTIVE,
    LOGIN_PROFILE,
    SWITCHABLE_KINDS,
    TAG,
    AttachmentKind,
)
from c7n_iamusers.iam.switchable import switchable
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout import deny_all, lockout_state
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.left_inactive import left_inactive
from c7n_iamusers.lockout.quarantine_record import TAGS_PER_USER, QuarantineRecord, is_quarantine_tag
from c7n_iamusers.reasons import Reason

_GONE = frozenset({"NoSuchEntity"})
#: The form in a record if no Deny could be put on the user, so that only its credentials are inactive.
NO_DENY = "none"


@dataclass(frozen=True)
class QuarantinePlan:
    """``plan``: without calls if the quarantine holds already. ``notes``: hints for people.

    ``problem``: why no Deny-all can be put on the user. ``plan`` deactivates its credentials all the same, unless they
    are to be kept. ``lapsed``: why an earlier quarantine no longer holds, in words, where that calls for attention:
    somebody else removed its Deny, or ``plan`` does not complete it.
    """

    plan: Plan
    record: QuarantineRecord
    notes: tuple[Reason, ...] = ()
    problem: Reason | None = None
    lapsed: tuple[str, ...] = ()


def plan_quarantine(
    user: IamUser,
    now: datetime,
    policy: str,
    reason: str,
    history: CallHistory = lockout_state.NOTHING_KNOWN,
    refused: Mapping[str, str] = deny_all.NONE_REFUSED,
    keep: bool = False,
    aws_deny_all: bool = False,
) -> QuarantinePlan:
    """The calls that quarantine ``user``: first the Deny, then the credentials, finally a tag for people.

    ``keep``: put the Deny on, and leave the credentials active. A later plan without it deactivates them under the same
    Deny, and the days count on. A stopped quarantine is completed. So is one that somebody undid in part, which counts
    from ``now``.
    ``refused``: forms of the Deny that AWS refused, with the error code. ``aws_deny_all``: the Deny is
    AWSDenyAll, and there is no tag: the journal has the record.
    """
    # whoever creates a user can put on it what looks like our inline Deny
    earlier = (not aws_deny_all and lockout_state.quarantine_of(user, history)) or history.quarantine
    stands = earlier is not None and lockout_state.denied(user, earlier)
    holds = earlier is not None and (stands or earlier.deny == NO_DENY)
    in_force = lockout_state.only_ours(user, earlier, history) if earlier and holds else None
    lapsed = tuple(lockout_state.lapses(user, earlier)) if earlier else ()
    given = lockout_state.given_by_others(user, in_force, history) if in_force and stands else []
    # Nothing goes back from deactivated to kept: that is a release.
    deactivated = in_force is not None and not in_force.kept
    if earlier and ((keep and deactivated) or (not lapsed and (keep or deactivated))):
        return QuarantinePlan(Plan(user.subject, ()), earlier, notes_on_given(given, False), lapsed=lapsed)
    off = [] if keep else list(switchable(user, ACTIVE))
    if in_force and stands and not in_force.known:
        # Its record is missing, so it is unknown whether an active one was active before.
        given += [each for each in off if each not in given]
    counts = stands and earlier and (earlier.kept or lockout_state.unfinished(user, earlier, history))
    since = earlier.since if counts and earlier else now.astimezone(timezone.utc).replace(microsecond=0)
    record = QuarantineRecord(since, policy, reason, kept=keep)
    record = _with_ids(record, user, in_force, off, given)
    found, problem = _deny_all(user, record, refused, aws_deny_all)
    if problem and keep:
        return QuarantinePlan(Plan(user.subject, ()), record, problem=problem)
    record = replace(record, deny=_form(found, history))
    notes = [
        *(left_inactive(user, earlier, history) if earlier else ()),
        *notes_on_given(given, True),
    ]
    calls = (*found.put, *(switch(user, *each, INACTIVE) for each in off))
    calls += () if aws_deny_all else _tagging(user, record)
    broken = lapsed if lockout_state.broken_quarantine(user, history) else ()
    return QuarantinePlan(Plan(user.subject, calls), record, tuple(notes), problem, broken)


def _deny_all(
    user: IamUser, record: QuarantineRecord, refused: Mapping[str, str], aws_deny_all: bool
) -> tuple[deny_all.DenyAllPlan, Reason | None]:
    """The Deny-all with ``record``; one of the form NO_DENY, and why, if none can be put on ``user``."""
    try:
        if aws_deny_all:
            return deny_all.plan_aws_deny_all(user, "quarantine", refused), None
        documents = [deny_all.deny_all_document(sid) for sid in record.sids]
        return deny_all.plan_deny_all(user, documents, "quarantine", refused), None
    except DenyRefused as error:
        return deny_all.DenyAllPlan(NO_DENY), error.reason


@dataclass(frozen=True)
class BrownoutPlan:
    """``plan``: without calls while an earlier brownout runs. ``problem``: why nothing is done."""

    plan: Plan
    brownout: deny_all.Brownout
    problem: Reason | None = None


def plan_brownout(user: IamUser, now: datetime, minutes: int) -> BrownoutPlan:
    """The call that denies ``user`` everything for ``minutes`` from ``now``; for a user without a Deny of ours.

    It has the inline form only: no other can end by itself. Its policy has a name of its own, so it replaces nothing
    but an earlier brownout, whatever another run puts on the user meanwhile.
    """
    begun, nothing = now.astimezone(timezone.utc).replace(microsecond=0), Plan(user.subject, ())
    brownout, earlier = (
        deny_all.Brownout(begun, begun + timedelta(minutes=minutes)),
        deny_all.brownout_of(user),
    )
    if earlier and begun < earlier.end:
        return BrownoutPlan(nothing, earlier)
    if deny_all.holds_inline(user):
        return BrownoutPlan(nothing, brownout, reasons.DENIED_ALREADY())
    if deny_all.has_foreign_policy(user, deny_all.BROWNOUT_NAME):
        why = reasons.BROWNOUT_POLICY_CHANGED(policy=deny_all.BROWNOUT_NAME)
        return BrownoutPlan(nothing, brownout, why)
    if not deny_all.inline_fits(user, brownout.document, deny_all.BROWNOUT_NAME):
        return BrownoutPlan(nothing, brownout, reasons.NO_ROOM_FOR_BROWNOUT(quota=deny_all.INLINE_QUOTA))
    return BrownoutPlan(Plan(user.subject, (deny_all.put_brownout(user, brownout),)), brownout)


def plan_brownout_end(user: IamUser) -> Plan:
    """The call that removes a brownout's policy from ``user``, over or not. What a tag claims is not touched."""
    return Plan(user.subject, (deny_all.remove_brownout(user, "release"),))


def _form(found: deny_all.DenyAllPlan, history: CallHistory) -> str:
    ours = {deny_all.ATTACHED: history.attached_deny(), deny_all.BOUNDARY: history.boundary_deny()}
    return (
        found.form if found.put or found.form in (deny_all.INLINE, NO_DENY) or ours.get(found.form) else "own"
    )


def _tagging(user: IamUser, record: QuarantineRecord) -> tuple[ApiCall, ...]:
    """The call that adds the tag for people, if there is room for it. It comes last; see lockout_state.only_ours."""
    others = [item for item in user.attachments[TAG.name] if not is_quarantine_tag(str(item["Key"]))]
    if len(others) >= TAGS_PER_USER:
        return ()
    return (deny_all.identified_call("TagUser", {"UserName": user.name, "Tags": [record.tag()]}),)


def _with_ids(
    record: QuarantineRecord,
    user: IamUser,
    earlier: QuarantineRecord | None,
    off: Iterable[tuple[AttachmentKind, Item]],
    given: Collection[tuple[AttachmentKind, Item]],
) -> QuarantineRecord:
    """``record`` with the ids of the credentials of ``user``. ``off``: those that are deactivated now.

    ``earlier``: the record of the quarantine that it goes on with. ``given``: what others gave the user under that.
    """
    held = _identities((kind, item) for kind in SWITCHABLE_KINDS for item in user.attachments[kind.name])
    before = earlier or record
    ours = _identities(each for each in off if each not in given) | (held & {*before.deactivated})
    others = {*before.given, *_identities(each for each in given if each[0].status_change)} - ours
    return replace(
        record,
        deactivated=tuple(sorted(ours)),
        inactive=tuple(sorted(_identities(switchable(user, INACTIVE)))) if record.kept else (),
        given=tuple(sorted(others)),
        dropped=tuple(sorted({*before.dropped} - ours)),
    )


def _identities(credentials: Iterable[tuple[AttachmentKind, Item]]) -> set[str]:
    return {str(item[kind.identifier]) for kind, item in credentials}


def switch(user: IamUser, kind: AttachmentKind, item: Item, status: str) -> ApiCall:
    assert kind.status_change, f"{kind.name} has no status"
    parameters = {name: item[member] for name, member in kind.status_change.parameters.items()}
    given = {"UserName": user.name, **parameters, "Status": status}
    # A credential that is gone is as good as inactive, and can't be activated.
    done = _GONE if status == INACTIVE else frozenset[str]()
    return deny_all.iam_call(kind.status_change.operation, given, done)


def notes_on_given(others: Iterable[tuple[AttachmentKind, Item]], deactivated: bool) -> tuple[Reason, ...]:
    """That somebody else created or activated the credentials ``others`` under the quarantine."""
    named = ", ".join(
        kind.title if kind is LOGIN_PROFILE else f"{kind.title} {item[kind.identifier]}"
        for kind, item in others
    )
    state = (
        "deactivated with the others, and no release activates it"
        if deactivated
        else "active under the Deny-all"
    )
    return (reasons.GIVEN_BY_OTHERS(which=named, state=state),) if named else ()
