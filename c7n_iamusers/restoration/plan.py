# SPDX-License-Identifier: Apache-2.0
"""The plan of a restoration: from snapshots and the current state to calls, with notes for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from c7n_iamusers.exceptions import RestorationRefused
from c7n_iamusers.execution.calls import BEFORE, DENIED, ApiCall, Plan, Ref, Subject
from c7n_iamusers.execution.journal import CREATED, RESTORED_FROM, TOKEN
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.policy_documents import written_policy
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout import deny_all, lockout_state
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.quarantine_record import TAGS_PER_USER
from c7n_iamusers.quarantine.release_plan import restore_boundary
from c7n_iamusers.restoration import cannot_come_back, deny
from c7n_iamusers.restoration.lost_trust_denies import RoleTrust, trust_change
from c7n_iamusers.restoration.notes import notes
from c7n_iamusers.restoration.rights import CurrentRights, RightsChange, rights_change, user_after
from c7n_iamusers.snapshots.removed_by_deletion import before_removals, removed_by_us, whole_snapshot
from c7n_iamusers.snapshots.snapshot import Snapshot

#: The note with the replaced unique id, in the journal line of CreateUser.
REPLACES = "replaces"
_EXISTS = frozenset({"EntityAlreadyExists"})


@dataclass(frozen=True)
class Recorded:
    """The records of one user: its ``snapshots``, and its ``history`` by their journals.

    ``journaled``: a journal has lines about the user.
    """

    snapshots: tuple[Snapshot, ...]
    history: CallHistory = lockout_state.NOTHING_KNOWN
    journaled: bool = False

    @property
    def subject(self) -> Subject:
        """The user in the snapshots."""
        return self.snapshots[-1].user.subject


@dataclass(frozen=True)
class Restoration:
    """``plan``: without calls if nothing is left to do. ``lost``: what can't be restored. ``notes``: hints for people.

    ``lifting``: the calls at the end of ``plan`` that lift the Deny. ``snapshot``: what comes back, as a snapshot.
    ``whole``: the user before we changed it, with its rights then. ``after``: the restored user, with its rights now.
    ``trust``: trust policies, if the unique id changes. ``begun``: the last snapshot before we removed anything, if a
    later one was taken. ``user_exists``: the user itself still exists. ``deleted_by_others``: the journal shows that
    somebody else deleted it. ``settled``: an earlier run has done everything.
    """

    plan: Plan
    lifting: tuple[ApiCall, ...]
    snapshot: Snapshot
    whole: Snapshot
    after: IamUser
    rights: CurrentRights
    trust: RoleTrust = field(default_factory=RoleTrust)
    begun: Snapshot | None = None
    own_groups: frozenset[str] = frozenset()
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    user_exists: bool = False
    deleted_by_others: bool = False
    missing_groups: tuple[str, ...] = ()
    settled: bool = False

    @property
    def giving(self) -> Plan:
        """The calls before the Deny is lifted."""
        return replace(self.plan, calls=self.plan.calls[: len(self.plan.calls) - len(self.lifting)])

    def rights_change(self) -> RightsChange:
        """What the restored user can do that it could not do before."""
        own = rights_change(self.whole, self.after, self.rights, self.own_groups, self.begun)
        return own + trust_change(self.whole.user, self.after, self.trust)


def plan_restoration(
    recorded: Recorded,
    current: cannot_come_back.CurrentState,
    token: str = "",
    recreate_groups: bool = False,
    left_out: frozenset[str] = frozenset(),
) -> Restoration:
    """The calls that restore the user of ``recorded``, under a Deny-all until the last call.

    First the user, then credentials, groups and policies. A user whose unique id still exists only gets back what we
    removed: somebody removed the rest on purpose. ``token``: the value of the tag RESTORED_FROM, which identifies the
    new user if the response of CreateUser is lost. ``left_out``: parts that don't come back; their Denies count as
    missing. A call may have a Ref for an id that an earlier call of the plan returns. Raises RestorationRefused if
    another user has the name, or the boundary no longer exists.
    """
    if current.user is not None and current.user.unique_id == recorded.subject.unique_id:
        return _explained(
            recorded, current.user, _plan_for_existing_user(recorded, current.user, current, left_out)
        )
    whole = whole_snapshot(recorded.snapshots, recorded.history)
    snapshot = cannot_come_back.without_parts(whole, left_out)
    finished = current.user is not None and current.user.unique_id in current.finished_ids
    if finished:
        # It was restored completely before: somebody has removed since what else it lacks.
        snapshot = _of_groups(snapshot, current.awaited_groups if recreate_groups else frozenset())
    given = tuple(_given(snapshot, current, token, recreate_groups))
    rights = cannot_come_back.rights_with_groups(snapshot, current) if recreate_groups else current.rights
    plain = current.user and lockout_state.without_own_changes(current.user, lockout_state.NOTHING_KNOWN)
    if finished and current.user and plain:
        boundary = deny.boundary_under(current.user, current.own_deny)
        after = user_after(_restorable(snapshot), plain, boundary, rights)
        given, lifting = deny.denied_meanwhile(
            current.user, after, given, current.own_deny, (), deny.NOT_ATTACHED
        )
    else:
        _refuse_hold(whole, current)
        boundary = whole.user.attachments[attachments.PERMISSIONS_BOUNDARY.name]
        given, lifting = _under_deny(whole.user, current.user, given)
    calls = (*given, *lifting)
    if current.user and not calls:
        boundary = current.user.attachments[attachments.PERMISSIONS_BOUNDARY.name]
    if (calls or not cannot_come_back.is_restored_user(current)) and (
        reason := cannot_come_back.refusal(whole, current)
    ):
        raise RestorationRefused(f"{snapshot.user.subject}: not restored: {reason}")
    missing = cannot_come_back.missing_groups(snapshot, current.groups)
    return Restoration(
        Plan(recorded.subject, calls),
        lifting,
        snapshot,
        whole,
        user_after(_restorable(snapshot), plain, boundary, rights),
        rights,
        current.trust,
        before_removals(recorded.snapshots, recorded.history),
        current.own_groups,
        tuple(cannot_come_back.lost(whole)),
        tuple(notes(whole, current, recorded.history, recreate_groups, True, left_out)),
        deleted_by_others=(
            current.user is None
            and recorded.journaled
            and not recorded.history.deleted(current.last_restored)
        ),
        missing_groups=() if recreate_groups else tuple(str(group["GroupName"]) for group in missing),
        settled=finished and not calls,
    )


def _refuse_hold(whole: Snapshot, current: cannot_come_back.CurrentState) -> None:
    """Raises RestorationRefused for an AWSDenyAll that somebody set after the restoration had lifted its own."""
    user = current.user
    if user and current.boundary_lifted and deny_all.is_bounded(user) and not deny_all.is_bounded(whole.user):
        raise RestorationRefused(
            f"{whole.user.subject}: not restored further: its permissions boundary is AWSDenyAll, which somebody else "
            "set after this tool had lifted its own: ask who holds the user, and run again once that is gone"
        )


def _restorable(snapshot: Snapshot) -> Snapshot:
    """``snapshot`` with only the tags that a restoration sets."""
    held = {
        **snapshot.user.attachments,
        attachments.TAG.name: tuple(cannot_come_back.restorable_tags(snapshot.user)),
    }
    return replace(snapshot, user=replace(snapshot.user, attachments=held))


def _of_groups(snapshot: Snapshot, names: frozenset[str]) -> Snapshot:
    """``snapshot`` with only its memberships in the groups ``names``."""
    bare = dict.fromkeys(snapshot.user.attachments, ())
    members = tuple(
        item for item in snapshot.user.attachments[attachments.GROUP.name] if item["GroupName"] in names
    )
    user = replace(snapshot.user, attachments={**bare, attachments.GROUP.name: members})
    groups = tuple(group for group in snapshot.groups if group["GroupName"] in names)
    return replace(snapshot, user=user, groups=groups)


def _plan_for_existing_user(
    recorded: Recorded, now: IamUser, current: cannot_come_back.CurrentState, left_out: frozenset[str]
) -> Restoration:
    removed, history = removed_by_us(recorded.snapshots, recorded.history), recorded.history
    begun = _is_restoring(now, current, history) or lockout_state.deletion_begun(now, history) is not None
    if lockout_state.in_quarantine(now, history):
        # The user is still in quarantine: restore credentials that the quarantine deactivated as inactive.
        removed = removed.without_deactivated()
    snapshot = cannot_come_back.without_parts(removed, left_out)
    ours = frozenset(history.deactivated_ids())
    given = tuple(_attachments(snapshot, now, current, current.groups, ours))
    lifting = tuple(_lift(recorded, now, user_after(snapshot, now, (), current.rights)))
    former = history.boundary_before() if history.boundary_deny() else None
    # A later quarantine's AWSDenyAll is not ours to lift.
    others = {deny_all.ATTACHED: history.attached_deny(), deny_all.BOUNDARY: history.boundary_deny()}
    own = current.own_deny
    own = None if own and (others.get(own.form) or (lifting and own.form != deny_all.BOUNDARY)) else own
    plain = lockout_state.without_own_changes(now, history, former)
    if own and own.form == deny_all.ATTACHED:
        plain = deny.without_attached(plain)
    boundary = (
        deny.boundary_under(now, own)
        if own and own.form == deny_all.BOUNDARY
        else plain.attachments[attachments.PERMISSIONS_BOUNDARY.name]
    )
    after = user_after(snapshot, plain, boundary, current.rights)
    if lifting:
        bounded = own is not None or history.boundary_deny() is not None
        full = user_after(snapshot, now, (), current.rights)
        given, lifting = deny.with_room(now, full, given, own, lifting, bounded)
    else:
        earlier = filter(deny_all.denies_all, reversed(history.inline_denies()))
        given, lifting = deny.denied_meanwhile(
            now, after, given, own, tuple(earlier)[:1], deny_all.NONE_REFUSED
        )
    calls = (*given, *lifting)
    return Restoration(
        Plan(recorded.subject, calls),
        lifting,
        snapshot,
        whole_snapshot(recorded.snapshots, history) if begun else _as_it_is(snapshot, plain, current.rights),
        after,
        current.rights,
        begun=before_removals(recorded.snapshots, history) if begun else None,
        # without the unique id, which it keeps
        lost=tuple(cannot_come_back.lost(snapshot))[1:] if calls else (),
        notes=tuple(notes(removed, current, history, False, False, left_out, ended=not begun))
        if calls
        else (),
        user_exists=True,
        settled=not calls and not history.removed(),
    )


def _explained(recorded: Recorded, now: IamUser, planned: Restoration) -> Restoration:
    """``planned``. Raises RestorationRefused if a deletion whose journal is lost left ``now`` as it is.

    Without that journal, nothing shows what this tool removed: the plan is empty, but the user is not restored.
    """
    history, was = recorded.history, recorded.snapshots[-1].user
    others = deny.deny_forms(now) - deny.deny_forms(was) - {deny_all.INLINE}
    foreign = lockout_state.foreign_deny(now, history) if others else ""
    why = "the Deny-all of a deletion is on it" if lockout_state.deletion_begun(now) else foreign
    lacks = [
        f"{kind.title} {item[kind.identifier]}"
        for kind in attachments.ATTACHMENT_KINDS
        for item in (was.attachments[kind.name] if kind.removals else ())
        if all(held[kind.identifier] != item[kind.identifier] for held in now.attachments[kind.name])
    ]
    if planned.plan.calls or history.removed() or history.restored_at or not (why and lacks):
        return planned
    raise RestorationRefused(
        f"{recorded.subject}: not restored: {why}, it lacks {', '.join(lacks)} of its snapshot, and no journal here "
        "says what this tool did to it: give the output with that journal (journal.jsonl); if it is lost, find out who "
        "did that, give back by hand what is needed, and take the Deny-all off last"
    )


def _is_restoring(now: IamUser, current: cannot_come_back.CurrentState, history: CallHistory) -> bool:
    """Whether a restoration stopped: its own Deny is on the user, or was lifted before more rights were seen."""
    own = current.own_deny
    return (own is not None and own.form in deny.deny_forms(now)) or (
        current.deny_lifted and bool(history.removed())
    )


def _as_it_is(snapshot: Snapshot, now: IamUser, current: CurrentRights) -> Snapshot:
    """``now``, read live, as a snapshot, for the rights of a user whose deletion somebody ended by hand."""
    groups = tuple(current.groups[name] for name in now.groups or () if name in current.groups)
    return replace(snapshot, user=now, groups=groups, policies=tuple(current.policies.values()))


def _given(
    snapshot: Snapshot, current: cannot_come_back.CurrentState, token: str, recreate_groups: bool
) -> Iterator[ApiCall]:
    """The calls that give a newly created user all of ``snapshot`` but the boundary."""
    was, now = snapshot.user, current.user
    yield from (_create(was, token),) if now is None else _tags(was, now)
    groups = current.groups
    if recreate_groups:
        yield from cannot_come_back.group_calls(snapshot, current)
        groups |= {item["GroupName"] for item in was.attachments[attachments.GROUP.name]}
    yield from _attachments(snapshot, now, current, groups)


def _under_deny(
    was: IamUser, now: IamUser | None, given: tuple[ApiCall, ...]
) -> tuple[tuple[ApiCall, ...], tuple[ApiCall, ...]]:
    """``given`` under AWSDenyAll as the boundary, and the call that then sets the boundary of ``was``."""
    own = was.attachments[attachments.PERMISSIONS_BOUNDARY.name]
    if now is not None and not deny_all.is_bounded(now):
        if not given:
            missing = own and not now.attachments[attachments.PERMISSIONS_BOUNDARY.name]
            return (), tuple(restore_boundary(was, own)) if missing else ()
        denying = {"UserName": was.name, "PermissionsBoundary": deny_all.deny_all_arn(was)}
        notes = {"for": "restoration"}
        put = ApiCall("iam", "PutUserPermissionsBoundary", denying, checked=frozenset({BEFORE}), notes=notes)
        given = (put, *given)
    return given, tuple(restore_boundary(was, own))


def _attachments(
    snapshot: Snapshot,
    now: IamUser | None,
    current: cannot_come_back.CurrentState,
    groups: frozenset[str],
    ours: frozenset[str] = frozenset(),
) -> Iterator[ApiCall]:
    """``ours``: ids of the credentials that we had deactivated.

    What is inactive comes first: AWS takes it as active, so there are never more active ones than the user had.
    """
    possible = {attachments.ATTACHED_POLICY.name: current.policies, attachments.GROUP.name: groups}
    for kind in attachments.ATTACHMENT_KINDS:
        held = snapshot.user.attachments[kind.name] if kind.restoration else ()
        for item in sorted(held, key=lambda item: not _comes_back_inactive(snapshot, kind, item)):
            if item[kind.identifier] in possible.get(kind.name, {item[kind.identifier]}):
                yield from _restore(snapshot, now, kind, item, ours)


def _create(was: IamUser, token: str) -> ApiCall:
    given: dict[str, Any] = {"UserName": was.name, "Path": was.path}
    tags = cannot_come_back.restorable_tags(was)
    if len(tags) < TAGS_PER_USER:
        tags = [*tags, {"Key": RESTORED_FROM, "Value": token}]
    given["Tags"] = tags
    # The user can do nothing until all that its rights depend on is restored.
    given["PermissionsBoundary"] = deny_all.deny_all_arn(was)
    saved = {CREATED: ("User", "UserId")}
    notes = {REPLACES: was.unique_id, TOKEN: token}
    return ApiCall("iam", "CreateUser", given, done_codes=_EXISTS, save=saved, notes=notes)


def _tags(was: IamUser, now: IamUser) -> Iterator[ApiCall]:
    keys = {key.lower() for key in now.tags}
    missing = [tag for tag in cannot_come_back.restorable_tags(was) if tag["Key"].lower() not in keys]
    if missing:
        yield deny_all.iam_call("TagUser", {"UserName": was.name, "Tags": missing})


def _restore(
    snapshot: Snapshot,
    now: IamUser | None,
    kind: attachments.AttachmentKind,
    item: Item,
    ours: frozenset[str],
) -> Iterator[ApiCall]:
    assert kind.restoration, f"{kind.name} does not come back"
    held, new_id = _existing_item(now, kind, item), f"{cannot_come_back.NEW_ID}{item[kind.identifier]}"
    inactive = _comes_back_inactive(snapshot, kind, item)
    if held is None:
        given = {name: item[member] for name, member in kind.restoration.parameters.items()}
        if (document := given.get("PolicyDocument")) is not None:
            given["PolicyDocument"] = written_policy(document)
        user = {"UserName": snapshot.user.name}
        result = kind.restoration.result
        saved = {new_id: (result, kind.identifier)} if result else {}
        operation, why = kind.restoration.operation, {"for": "restoration"}
        denied = frozenset({DENIED} if inactive else ())  # it is active until the next call
        yield ApiCall("iam", operation, {**user, **given}, save=saved, checked=denied, notes=why)
    if kind.status_change and inactive and (held is None or held.get("Status") == attachments.ACTIVE):
        identity = Ref(new_id) if held is None else held[kind.identifier]
        given = dict.fromkeys(kind.status_change.parameters, identity)
        call = deny_all.iam_call(
            kind.status_change.operation,
            {"UserName": snapshot.user.name, **given, "Status": attachments.INACTIVE},
        )
        # These notes keep a release from taking a formerly inactive credential for one that a quarantine deactivated.
        was_ours = item[kind.identifier] in ours
        yield call if was_ours else replace(call, notes={"for": "restoration"})


def _comes_back_inactive(snapshot: Snapshot, kind: attachments.AttachmentKind, item: Item) -> bool:
    """Whether ``item`` was inactive, and not by our quarantine alone."""
    off = item.get("Status") == attachments.INACTIVE and item[kind.identifier] not in snapshot.deactivated
    return bool(kind.status_change) and (off or item[kind.identifier] in snapshot.by_others)


def _existing_item(now: IamUser | None, kind: attachments.AttachmentKind, item: Item) -> Item | None:
    """The user's current item that corresponds to ``item`` of the snapshot; None if it has none."""
    member = (kind.restoration.match if kind.restoration else None) or kind.identifier
    wanted = str(item[member]).strip()
    items = now.attachments[kind.name] if now else ()
    return next((held for held in items if str(held[member]).strip() == wanted), None)


def _lift(recorded: Recorded, now: IamUser, full: IamUser) -> Iterator[ApiCall]:
    """The calls that remove a stopped deletion's Deny-all, and put a quarantine's back if it was that one's, too.

    ``full``: the user with all parts restored.
    """
    history, record = recorded.history, lockout_state.deny_record_of(now)
    deny = deny_all.inline_deny_all(now)
    ours = deny and any(deny_all.is_same_deny(each, deny) for each in history.inline_denies())
    if ours and not (record and record.quarantine and not record.deletion):
        if record and record.quarantine:
            documents = [deny_all.deny_all_document(sid) for sid in record.quarantine.sids]
            document = next((each for each in documents if deny_all.inline_fits(full, each)), documents[-1])
            yield deny_all.put_back(
                now, deny_all.remove_inline_deny(now, "restoration"), document, "quarantine"
            )
        else:
            yield deny_all.remove_inline_deny(now, "restoration")
    free = history.quarantine is None and not lockout_state.in_quarantine(now, history)
    if (
        (free or history.attached_for() == "deletion")
        and history.attached_deny()
        and deny_all.holds_attached(now)
    ):
        yield deny_all.detach_deny_all(now, "restoration")
    if (
        (free or history.boundary_for() == "deletion")
        and history.boundary_deny()
        and deny_all.is_bounded(now)
        and (former := history.boundary_before()) is not None
    ):
        yield from restore_boundary(now, former)
