# SPDX-License-Identifier: Apache-2.0
"""The changes that this package made on a user, and whether a quarantine is still complete. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.switchable import identity_of, switchable
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout import deny_all
from c7n_iamusers.lockout.applied_calls import BEGINNING, CallHistory
from c7n_iamusers.lockout.quarantine_record import OWN_TAGS, DenyRecord, QuarantineRecord, parse_sid
from c7n_iamusers.text.times import moment

NOTHING_KNOWN = CallHistory()
#: A read contradicts only calls that are older: IAM is eventually consistent, and another run may be at work.
SETTLED = timedelta(minutes=15)


def quarantine_of(user: IamUser, history: CallHistory = NOTHING_KNOWN) -> QuarantineRecord | None:
    """The quarantine that ``user`` is in, by its Deny-all and the journal; None if it is in none.

    It says in which form the Deny is on the user (``deny``), since when (``since``), and whether its credentials are
    kept active (``kept``). Without a journal, only the inline form can be known as ours.
    Tags add nothing to it, because anybody with iam:TagUser can write them; see ``only_ours``.
    """
    found = _recorded(user, history)
    return only_ours(user, found, history) if found else None


def _recorded(user: IamUser, history: CallHistory) -> QuarantineRecord | None:
    record = deny_record_of(user)
    on_user = record.quarantine if record else None
    journaled = history.quarantine
    if on_user is None or predated(user, history) or _is_put_beside(user, on_user, history):
        in_force = journaled and journaled.deny != "inline" and _is_in_force(user, journaled, history)
        return _with_earlier(user, journaled, history) if journaled and in_force else None
    later = journaled is not None and journaled.since > on_user.since
    # The Deny of a kept one may have had no room for the ids of the credentials that were deactivated later.
    deepened = journaled is not None and on_user.kept and not journaled.kept
    same = journaled is not None and journaled.since == on_user.since
    if journaled and (later or (same and (deepened or not on_user.known))):
        return replace(journaled, deny="inline")
    return (
        replace(on_user, given=journaled.given, dropped=journaled.dropped) if journaled and same else on_user
    )


def _is_put_beside(user: IamUser, on_user: QuarantineRecord, history: CallHistory) -> bool:
    """Whether the inline Deny with the record ``on_user`` was put beside our AWSDenyAll: it bears an earlier time than
    the quarantine, which would have met it.
    """
    journaled, statement = history.quarantine, deny_all.inline_deny_all(user)
    if journaled is None or statement is None or journaled.deny == "inline":
        return False
    if on_user.since >= journaled.since or not _is_in_force(user, journaled, history):
        return False
    return not any(deny_all.is_same_deny(each, statement) for each in history.inline_denies())


def _with_earlier(user: IamUser, quarantine: QuarantineRecord, history: CallHistory) -> QuarantineRecord:
    """``quarantine``, with what an earlier one deactivated under the same AWSDenyAll, whose journal it did not have."""
    form = own_deny(user, history) if quarantine.deny == "own" else ""
    if not form:
        return quarantine
    off = history.deactivated_ids(
        history.attached_deny() if form == deny_all.ATTACHED else history.boundary_deny()
    )
    return replace(quarantine, deactivated=tuple(sorted({*quarantine.deactivated, *off})))


def predated(user: IamUser, history: CallHistory) -> datetime | None:
    """When we last lifted the inline Deny, if the one on ``user`` bears an earlier time; None if that time may be true.

    Somebody then put it on after we lifted ours. A Deny that we put on again since, such as a deletion's, is ours.
    """
    statement, record, lifted = deny_all.inline_deny_all(user), deny_record_of(user), history.inline_lifted()
    claimed = record.quarantine if record else None
    if (
        statement is None
        or claimed is None
        or lifted is None
        or claimed.since >= lifted.replace(microsecond=0)
    ):
        return None
    ours = any(deny_all.is_same_deny(each, statement) for each in history.inline_denies(lifted))
    return None if ours else lifted


def own_deny(user: IamUser, history: CallHistory) -> str:
    """The form in which AWSDenyAll is on ``user`` as our work, attached or boundary; empty if it is not."""
    if deny_all.holds_attached(user) and history.attached_deny():
        return deny_all.ATTACHED
    return deny_all.BOUNDARY if deny_all.is_bounded(user) and history.boundary_deny() else ""


def foreign_deny(user: IamUser, history: CallHistory) -> str:
    """AWSDenyAll on ``user`` that ``history`` does not show as our work, in words; empty if there is none.

    Somebody else may have parked the user. Or a run with another output did this: then the user may have lost a Deny.
    """
    forms = {
        "AWSDenyAll is attached to it": deny_all.holds_attached(user)
        and not history.attached_deny()
        and history.restoring_under() != deny_all.ATTACHED,
        "AWSDenyAll is its permissions boundary": deny_all.is_bounded(user)
        and not history.boundary_deny()
        and history.restoring_under() != deny_all.BOUNDARY,
    }
    return ", and ".join(form for form, foreign in forms.items() if foreign)


def broken_quarantine(user: IamUser, history: CallHistory) -> QuarantineRecord | None:
    """The quarantine of ``user`` whose Deny-all somebody else removed, by the journals; None if there is none."""
    record = history.quarantine
    if record is None or denied(user, record) or not history.deny_stood(record):
        return None
    return record


def deny_record_of(user: IamUser) -> DenyRecord | None:
    """The record in the statement id of our inline Deny-all; None if there is no Deny-all or no record."""
    statement = deny_all.inline_deny_all(user)
    return parse_sid(str(statement.get("Sid", ""))) if statement else None


def deletion_begun(
    user: IamUser, history: CallHistory = NOTHING_KNOWN, under_way: bool = False
) -> str | None:
    """When the unfinished deletion of ``user`` began, in words, by its Deny-all and the journal; None if there is none.

    It lasts while the user is as the deletion left it (see ``deletes``), and at least while the run is ``under_way``,
    whatever others do. An inline Deny-all without the record of a quarantine is a deletion's, whatever the journal has.
    """
    record = deny_record_of(user)
    begun = record.deletion if record else None
    marked = deny_all.holds_inline(user) and (begun or not (record and record.quarantine))
    if not (under_way or marked or deletes(user, history, history)):
        return None
    begun = begun or min(history.removed().values(), default=None)
    return f"on {begun:%Y-%m-%d %H:%M} UTC" if begun else "at an unknown time"


def deletes(user: IamUser, denies: CallHistory, history: CallHistory) -> bool:
    """Whether ``user`` is as a deletion in ``history`` left it; else somebody has ended that deletion.

    True if one of these holds. The user is under a Deny-all that the deletion put on, or under which it removed
    anything. Nothing is attached to the user. The deletion lifted its Deny for DeleteUser, the user still has no
    credential, and nothing removed is back. The deletion found an AWSDenyAll that is not ours, and nothing removed is
    back. The user is under the Deny-all of a restoration that did not end. ``denies``: the history that knows which
    Deny-all is ours.
    """
    removed = history.removed()
    if removed and _is_on(user, history.restoring_under()):
        return True
    statement, form = deny_all.inline_deny_all(user), own_deny(user, denies)
    puts = {
        "PutUserPolicy": denies.inline_deny(statement) if statement else None,
        "AttachUserPolicy": denies.attached_deny() if form == deny_all.ATTACHED else None,
        "PutUserPermissionsBoundary": denies.boundary_deny() if form == deny_all.BOUNDARY else None,
    }
    if known := {operation: put for operation, put in puts.items() if put}:
        return any(history.deletes_under(operation, put) for operation, put in known.items())
    held = _held(user)
    # What is there after a call without an answer was not removed by it.
    gone = removed.keys() - (held & history.unanswered_removals())
    lifted = history.lifted_for_deletion() and not _is_usable(user)
    left = lifted or bool(foreign_deny(user, denies))
    return bool(gone) and (deny_all.is_bare(user) or (left and not gone & held))


def _is_usable(user: IamUser) -> bool:
    """Whether ``user`` has a credential."""
    return any(user.attachments[kind] for kind in attachments.CREDENTIAL_TRAITS)


def lacks_removed(user: IamUser, history: CallHistory) -> bool:
    """Whether ``user`` has no credential, and nothing that a deletion in ``history`` removed is back: nobody undid
    it."""
    gone = history.removed().keys()
    return bool(gone) and not _is_usable(user) and not gone & _held(user)


def _held(user: IamUser) -> set[tuple[str, str]]:
    """Kind and identifier of all that is attached to ``user``."""
    return {
        (kind.name, str(item[kind.identifier]))
        for kind in attachments.ATTACHMENT_KINDS
        for item in user.attachments[kind.name]
    }


def in_quarantine(user: IamUser, history: CallHistory) -> bool:
    """Whether ``user`` is in quarantine; also if only the Deny that a deletion put back shows that."""
    put_back = history.record is None and history.attached_for() == "quarantine"
    return quarantine_of(user, history) is not None or (put_back and deny_all.holds_attached(user))


def without_own_changes(
    user: IamUser, history: CallHistory, former_boundary: Iterable[Item] | None = None
) -> IamUser:
    """``user`` as it would be without our changes.

    ``former_boundary``: the boundary before our AWSDenyAll. If it is unknown, AWSDenyAll stays: without any boundary
    the user could do more than before.
    """
    own = dict(user.attachments)
    inline = {
        deny_all.DENY_ALL_NAME: deny_all.holds_inline(user),
        deny_all.BROWNOUT_NAME: deny_all.brownout_of(user),
    }
    own[attachments.INLINE_POLICY.name] = tuple(
        item
        for item in user.attachments[attachments.INLINE_POLICY.name]
        if not inline.get(item["PolicyName"])
    )
    if history.attached_deny():
        own[attachments.ATTACHED_POLICY.name] = _without(
            user, attachments.ATTACHED_POLICY.name, "PolicyArn", deny_all.deny_all_arn(user)
        )
    tags = (
        item for item in user.attachments[attachments.TAG.name] if not str(item["Key"]).startswith(OWN_TAGS)
    )
    plain = replace(user, attachments={**own, attachments.TAG.name: tuple(tags)})
    replaced = former_boundary is not None and deny_all.is_bounded(user) and history.boundary_deny()
    return plain.with_boundary(tuple(former_boundary or ())) if replaced else plain


def _is_in_force(user: IamUser, record: QuarantineRecord, history: CallHistory) -> bool:
    if record.deny in ("none", deny_all.GONE_DENY):
        return False
    if record.deny == "boundary":
        return deny_all.is_bounded(user) and history.boundary_deny() is not None
    if record.deny == "attached":
        return deny_all.holds_attached(user) and history.attached_deny() is not None
    return deny_all.holds_attached(user) or deny_all.is_bounded(user)


def _without(user: IamUser, kind: str, member: str, value: str) -> tuple[Item, ...]:
    return tuple(item for item in user.attachments[kind] if item[member] != value)


def lapses(user: IamUser, quarantine: QuarantineRecord) -> list[str]:
    """Why the quarantine of ``user`` is no longer complete, in words; empty if it is complete."""
    gone = [] if denied(user, quarantine) else ["its Deny-all is gone or was changed"]
    if quarantine.kept:
        return gone
    return gone + [
        f"{kind.title} {item[kind.identifier]} is active"
        for kind, item in switchable(user, attachments.ACTIVE)
    ]


def unfinished(user: IamUser, quarantine: QuarantineRecord, history: CallHistory) -> bool:
    """Whether the active credentials are those that a stopped run had yet to deactivate, by its journal.

    False if somebody may have activated one of them since.
    """
    if history.record is None or history.record.since != quarantine.since:
        return False
    never_off = set(quarantine.deactivated) - set(history.deactivated_ids())
    return all(item[kind.identifier] in never_off for kind, item in switchable(user, attachments.ACTIVE))


def denied(user: IamUser, quarantine: QuarantineRecord) -> bool:
    """Whether the Deny-all of ``quarantine`` is on ``user``. Its record is valid only as long as it is."""
    if quarantine.deny == "inline":
        return deny_all.holds_inline(user)
    if quarantine.deny in ("none", deny_all.GONE_DENY):
        return False
    forms = {deny_all.ATTACHED: deny_all.holds_attached(user), deny_all.BOUNDARY: deny_all.is_bounded(user)}
    return forms.get(quarantine.deny, any(forms.values()))


def _is_on(user: IamUser, form: str) -> bool:
    """Whether a Deny-all of this form is on ``user``."""
    forms = {
        deny_all.INLINE: deny_all.holds_inline,
        deny_all.ATTACHED: deny_all.holds_attached,
        deny_all.BOUNDARY: deny_all.is_bounded,
    }
    return form in forms and forms[form](user)


def contradictions(user: IamUser, history: CallHistory, now: datetime) -> dict[str, list[str]]:
    """What on ``user``, read after the journals, contradicts ``history``: see LAPSED. Empty if nothing does.

    Somebody else has changed that since. Once it is in the journal, it does not count again.
    """
    until, record = now - SETTLED, history.quarantine
    forms = {deny_all.ATTACHED: deny_all.holds_attached(user), deny_all.BOUNDARY: deny_all.is_bounded(user)}
    puts = {deny_all.ATTACHED: history.attached_deny(), deny_all.BOUNDARY: history.boundary_deny()}
    if record and record.deny == "own":
        forms["own"], puts["own"] = any(forms.values()), record.since
    gone = [form for form, put in puts.items() if put and put <= until and not forms[form]]
    off, seen = history.deactivations(), history.activated_ids(BEGINNING)
    on = (str(item[kind.identifier]) for kind, item in switchable(user, attachments.ACTIVE))
    active = [each for each in on if each in off and off[each].answered and off[each].time <= until]
    found = {"gone": gone, "active": [each for each in active if each not in seen]}
    return {name: names for name, names in found.items() if names}


def activated_by_others(user: IamUser, quarantine: QuarantineRecord, history: CallHistory) -> list[str]:
    """The credentials that were created or activated under ``quarantine``, and are active, in words."""
    return [
        kind.title if kind is attachments.LOGIN_PROFILE else f"{kind.title} {item[kind.identifier]}"
        for kind, item in given_by_others(user, quarantine, history)
    ]


def given_by_others(
    user: IamUser, quarantine: QuarantineRecord, history: CallHistory
) -> list[tuple[attachments.AttachmentKind, Item]]:
    """The credentials that somebody else created or activated under ``quarantine``, and that are active.

    If the quarantine deactivated all, and it is known which, these are all others. If it keeps credentials, these are
    the ones that were inactive before. Else these are the ones created since.
    """
    ours = history.switched_on(quarantine.since) | history.given_active(quarantine.since)
    known = {*quarantine.deactivated, *quarantine.dropped, *ours}
    all_off = quarantine.known and not quarantine.kept
    return [
        (kind, item)
        for kind in attachments.CREDENTIAL_KINDS
        for item in user.attachments[kind.name]
        if item.get("Status", attachments.ACTIVE) == attachments.ACTIVE and item[kind.identifier] not in known
        if (all_off and kind in attachments.SWITCHABLE_KINDS)
        or item[kind.identifier] in (*quarantine.inactive, *quarantine.given)
        or _created_since(kind, item, quarantine.since)
    ]


def changed_by_others(user: IamUser, quarantine: QuarantineRecord, history: CallHistory) -> list[str]:
    """The ids of what a restoration gives back inactive: what others created, activated or deactivated meanwhile."""
    now = (identity_of(each) for each in given_by_others(user, quarantine, history) if each[0].status_change)
    return sorted({*quarantine.dropped, *quarantine.given, *now})


def _created_since(kind: attachments.AttachmentKind, item: Item, since: datetime) -> bool:
    created = moment(item.get(attachments.CREDENTIAL_TRAITS[kind.name].created))
    # A record has whole seconds.
    return created is not None and created.replace(microsecond=0) > since


def without_activated(quarantine: QuarantineRecord, history: CallHistory) -> QuarantineRecord:
    """``quarantine`` without the credentials that a stopped release, or somebody else as a run saw, has activated.

    If one of them is inactive again, somebody else deactivated it, for example after a leak: no release activates it.
    """
    return _drop(quarantine, history.activated_ids(quarantine.since))


def only_ours(user: IamUser, quarantine: QuarantineRecord, history: CallHistory) -> QuarantineRecord:
    """``quarantine`` without the inactive credentials that somebody else may have deactivated.

    The record is written before the first call, so it does not show which calls were made. The journal does. Without it
    the tag does, since the last call of a quarantine writes it. This takes credentials out of the record, and adds
    none.
    """
    left = without_activated(quarantine, history)
    journaled = history.record is not None and history.record.since == quarantine.since
    if quarantine.is_tagged(user.tags) and not journaled:
        return left
    return _drop(left, _inactive(user) - to_activate(user, history))


def to_activate(user: IamUser, history: CallHistory) -> frozenset[str]:
    """The ids of the credentials that a release may activate: we deactivated them for certain, by the journal.

    And they were active before. A source that no journal can change shows this: the record in the inline Deny-all,
    which is put on before the first one is deactivated, or else a snapshot.
    """
    ours, on_user = history.proven_off(), _own_quarantine_on(user, history)
    if on_user and on_user.known and not on_user.kept:
        return ours & {*on_user.deactivated}
    return (ours & history.active_before) - {*(on_user.inactive if on_user else ())}


def deactivated_unnamed(user: IamUser, history: CallHistory) -> bool:
    """Whether ``user`` has inactive credentials that we deactivated, and its Deny-all does not say which."""
    on_user = _own_quarantine_on(user, history)
    if on_user and on_user.known and not on_user.kept:
        return False
    return not _inactive(user).isdisjoint(history.deactivations())


def quarantine_without_deny(user: IamUser, history: CallHistory) -> QuarantineRecord | None:
    """The quarantine for which no form of a Deny fitted, by the journal, so that only credentials were deactivated;
    else None."""
    record = history.quarantine
    return only_ours(user, record, history) if record and record.deny == "none" else None


def listened_since(user: IamUser, quarantine: QuarantineRecord, history: CallHistory) -> datetime:
    """Since when ``quarantine`` stands, by the earlier of what the Deny-all on ``user`` and the journal say.

    Uses count from then: whoever can write only one of the two can't hide a use by a later time.
    """
    told = (each for each in (_quarantine_on(user), history.quarantine) if each)
    stands = (each.since for each in told if each.deny != deny_all.GONE_DENY)
    return min((quarantine.since, *stands))


def _quarantine_on(user: IamUser) -> QuarantineRecord | None:
    return record.quarantine if (record := deny_record_of(user)) else None


def _own_quarantine_on(user: IamUser, history: CallHistory) -> QuarantineRecord | None:
    """That of the Deny-all on ``user``, unless somebody put it beside ours."""
    found = _quarantine_on(user)
    return None if found and _is_put_beside(user, found, history) else found


def _inactive(user: IamUser) -> frozenset[str]:
    """The ids of its inactive credentials, even if not every kind was read."""
    return frozenset(
        identity_of((kind, item))
        for kind in attachments.SWITCHABLE_KINDS
        for item in user.attachments.get(kind.name, ())
        if item.get("Status") == attachments.INACTIVE
    )


def _drop(quarantine: QuarantineRecord, identities: Collection[str]) -> QuarantineRecord:
    """``quarantine`` without the credentials ``identities``, as if others had changed them."""
    gone = [each for each in quarantine.deactivated if each in identities]
    left = tuple(each for each in quarantine.deactivated if each not in identities)
    return replace(quarantine, deactivated=left, dropped=tuple(sorted({*quarantine.dropped, *gone})))


def recorded_inactive(
    user: IamUser, quarantine: QuarantineRecord
) -> list[tuple[attachments.AttachmentKind, Item]]:
    """The inactive credentials of ``user`` that ``quarantine`` records as active before it."""
    off = switchable(user, attachments.INACTIVE)
    return [(kind, item) for kind, item in off if item[kind.identifier] in quarantine.deactivated]
