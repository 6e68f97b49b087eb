# SPDX-License-Identifier: Apache-2.0
"""What a restoration tells people beside its calls and what is lost (``cannot_come_back.py``): what it leaves. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from c7n_iamusers import reasons
from c7n_iamusers.execution.journal import RESTORED_FROM
from c7n_iamusers.iam import attachments
from c7n_iamusers.lockout import lockout_state
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.deny_all import is_bounded
from c7n_iamusers.lockout.left_inactive import deactivated_earlier
from c7n_iamusers.lockout.quarantine_record import TAGS_PER_USER
from c7n_iamusers.restoration import cannot_come_back
from c7n_iamusers.snapshots.snapshot import Snapshot


def notes(
    snapshot: Snapshot,
    current: cannot_come_back.CurrentState,
    history: CallHistory,
    recreate_groups: bool,
    new_unique_id: bool,
    left_out: frozenset[str],
    ended: bool = False,
) -> Iterator[str]:
    """Notes for people. ``new_unique_id``: the user's unique id differs, or will differ, from the snapshot's.

    ``left_out``: the parts that do not come back. ``ended``: somebody ended the user's deletion.
    """
    vanished = [] if recreate_groups else cannot_come_back.missing_groups(snapshot, current.groups)
    return chain(
        _ENDED if ended else (),
        _left_out(snapshot, left_out, recreate_groups),
        _policies(snapshot, current),
        (_DENIED,) if is_bounded(snapshot.user) else (),
        (
            f"group {group['GroupName']} no longer exists: --recreate-groups creates it again with its policies"
            for group in vanished
        ),
        _group_policies(snapshot, current) if recreate_groups else (),
        _quarantines(snapshot, current, lockout_state.NOTHING_KNOWN if new_unique_id else history),
        _inactive(snapshot, history),
        _doubtful(snapshot, history),
        _extras(snapshot, current),
        _restored_tag(snapshot, current) if new_unique_id else (),
        _trust_policies(snapshot) if new_unique_id else (),
    )


#: The note on a user that has lost parts to a deletion, but no longer has that deletion's Deny-all.
_ENDED = (
    "somebody ended its deletion, because the deletion's Deny-all is not on it: what it lacks may be gone on purpose",
)


_DENIED = (
    "its permissions boundary is AWSDenyAll, as in its snapshot, so that it can do nothing: where it had another one, "
    "somebody had replaced that before its deletion, or had written to the outputs: set it by hand"
)


def _left_out(whole: Snapshot, left_out: frozenset[str], recreate_groups: bool) -> Iterator[str]:
    for identity, part in cannot_come_back.parts(whole, recreate_groups).items():
        if identity in left_out:
            yield f"{part} is left out, as --without asks"


def _policies(snapshot: Snapshot, current: cannot_come_back.CurrentState) -> Iterator[str]:
    for item in snapshot.user.attachments[attachments.ATTACHED_POLICY.name]:
        if item["PolicyArn"] not in current.policies:
            yield f"managed policy {item['PolicyArn']} no longer exists: it is not attached"


def _group_policies(snapshot: Snapshot, current: cannot_come_back.CurrentState) -> Iterator[str]:
    unfinished = cannot_come_back.unfinished_groups(snapshot, current)
    for group in unfinished:
        yield f"group {group['GroupName']} has no member and lacks policies that it had: they are added again"
    for group in (*cannot_come_back.missing_groups(snapshot, current.groups), *unfinished):
        for policy in group.get("AttachedManagedPolicies", ()):
            if policy["PolicyArn"] not in current.policies:
                arn = policy["PolicyArn"]
                yield f"managed policy {arn} of group {group['GroupName']} no longer exists: it is not attached"


def _restored_tag(snapshot: Snapshot, current: cannot_come_back.CurrentState) -> Iterator[str]:
    tag = f"the tag {RESTORED_FROM}"
    if current.user is None and len(cannot_come_back.restorable_tags(snapshot.user)) >= TAGS_PER_USER:
        yield f"it has no room for {tag}: if this run is stopped, delete the new user before the next run"
    elif current.user is None or cannot_come_back.is_restored_user(current):
        yield f"it has {tag}, which names the user that it replaces: remove it once everything is restored"


def _quarantines(
    snapshot: Snapshot, current: cannot_come_back.CurrentState, history: CallHistory
) -> Iterator[str]:
    if snapshot.partial:
        yield (
            "another run had begun to delete it before: this output lacks what that run removed, or its journal: if "
            "there is one, restore from the output with that journal"
        )
        yield from (f"not known is {each}" for each in cannot_come_back.not_known(snapshot))
    if snapshot.quarantine:
        yield f"it was in quarantine since {snapshot.quarantine['since']}: it is restored as it was before that"
    if current.user and lockout_state.in_quarantine(current.user, history):
        yield "it is in quarantine now: the action release ends that"


def _inactive(snapshot: Snapshot, history: CallHistory) -> Iterator[str]:
    """The credentials that come back inactive, as in the snapshot, although we had deactivated them."""
    others = [
        f"{kind.title} {item[kind.identifier]}"
        for kind in attachments.SWITCHABLE_KINDS
        for item in snapshot.user.attachments[kind.name]
        if kind.restoration and item[kind.identifier] in snapshot.by_others
    ]
    if others:
        why = "somebody else created or activated these under its quarantine, or may have deactivated them"
        yield f"{why}; they come back inactive, with new ids: {', '.join(others)}; find out who did"
    known = snapshot.deactivated | snapshot.by_others
    off = deactivated_earlier(snapshot.user, known, history)
    if named := ", ".join(f"{kind.title} {item[kind.identifier]}" for kind, item in off if kind.restoration):
        why = f"this tool deactivated these under a quarantine and did not activate them. {reasons.UNKNOWN_SINCE}"
        yield f"{why}; they come back inactive, with new ids: {named}; activate by hand the ones that are needed"


def _doubtful(snapshot: Snapshot, history: CallHistory) -> Iterator[str]:
    """What comes back although it was already gone when this tool tried to remove it."""
    for name, identifier in history.doubtful():
        kind = next(each for each in attachments.ATTACHMENT_KINDS if each.name == name)
        items = snapshot.user.attachments[name] if kind.restoration else ()
        if any(str(item[kind.identifier]) == identifier for item in items):
            yield (
                f"{kind.title} {identifier} was gone when this tool tried to remove it, right after it was read: AWS "
                "may have answered twice, or somebody removed it on purpose: in that case remove it again"
            )


def _extras(snapshot: Snapshot, current: cannot_come_back.CurrentState) -> Iterator[str]:
    for each in cannot_come_back.extras(snapshot.user, current.user) if current.user else ():
        yield f"it has {each}, which is not in its snapshot: left as it is"


def _trust_policies(snapshot: Snapshot) -> Iterator[str]:
    for role in snapshot.trusted_by:
        # a snapshot may be forged, to have a role trust a user that it never named
        yield (
            f"the trust policy of {role} named the user: if it shows the id of the deleted user now, "
            f"{snapshot.user.unique_id}, put the user's ARN in its place; if not, leave it"
        )
