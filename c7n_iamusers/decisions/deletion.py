# SPDX-License-Identifier: Apache-2.0
"""From a user as it stands now to the calls that remove it with everything attached. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from c7n_iamusers.decisions.deny_all import (
    DENY_ALL_NAME,
    attach,
    attached_fits,
    deny_all_arn,
    deny_all_document,
    holds_attached,
    holds_inline,
    iam_call,
    inline_fits,
    is_bare,
    is_bounded,
    lift_inline,
    put_inline,
)
from c7n_iamusers.model.attachment_rows import AttachmentKind, Removal
from c7n_iamusers.model.attachments import ATTACHMENT_KINDS, MFA_DEVICE
from c7n_iamusers.model.calls import ApiCall, Plan
from c7n_iamusers.model.iam_user import IamUser, Item

_GONE = frozenset({"NoSuchEntity"})
#: The Ref that DeleteUser leaves once it succeeded, and not where nobody of the name was there to be deleted.
DELETED_HERE = "deleted-user"


def plan_deletion(user: IamUser, orphaned_mfa: Iterable[Item] = (), by_boundary: bool = True) -> Plan:
    """Every call of the deletion of ``user``, in order: Deny-all, credentials, MFA, groups, policies, user.

    ``orphaned_mfa``: virtual devices that were this user's and are nobody's now. A run that stopped
    between deactivating a device and deleting it left such an orphan. ``by_boundary``: see deny_all_calls.

    Raises KeyError where a kind was not read: a deletion is never planned on partial knowledge.
    """
    deny, lift = deny_all_calls(user, by_boundary)
    removals = [call for kind in ATTACHMENT_KINDS for call in _removals_of(user, kind) if call not in lift]
    orphans = [
        _call(user, part, item) for item in orphaned_mfa for part in MFA_DEVICE.removals if not part.by_user
    ]
    saved = {DELETED_HERE: ("ResponseMetadata",)}
    end = ApiCall("iam", "DeleteUser", {"UserName": user.name}, done_codes=_GONE, save=saved)
    return Plan(user.subject, (*deny, *removals, *orphans, *lift, end))


def deny_all_calls(
    user: IamUser, by_boundary: bool = True
) -> tuple[tuple[ApiCall, ...], tuple[ApiCall, ...]]:
    """The calls that put the Deny-all on ``user`` before it is deleted, and those that take it off at the end.

    As its permissions boundary: that is one call, always has room, and goes with the user. (A boundary's Deny
    overrides every Allow: "Permissions boundaries for IAM entities", IAM User Guide. It never comes off before
    the user does, so nothing widens.) Not where that boundary stands already, or nothing is there to be taken
    off. A Deny-all that stands as a policy, a quarantine's say, must come off before DeleteUser, which may
    fail after it: the boundary goes on beside it.

    ``by_boundary`` False, where the role may not set boundaries: as an inline policy, or AWSDenyAll attached.
    """
    if is_bare(user):
        return (), ()
    detach = iam_call("DetachUserPolicy", {"UserName": user.name, "PolicyArn": deny_all_arn(user)}, _GONE)
    bound = () if is_bounded(user) else (_bound(user),)
    if holds_inline(user) or holds_attached(user):
        lift = lift_inline(user) if holds_inline(user) else detach
        return bound if by_boundary else (), (lift,)
    if by_boundary or not bound:
        return bound, ()
    if inline_fits(user, deny_all_document()):
        return (put_inline(user, deny_all_document()),), (lift_inline(user),)
    if attached_fits(user):
        return (attach(user),), (detach,)
    return bound, ()


def is_denial(call: ApiCall) -> bool:
    """True for the calls by which a deletion puts the Deny-all on a user and lifts it, in whatever form."""
    given = call.parameters
    if call.operation in ("PutUserPolicy", "DeleteUserPolicy"):
        ours = bool(given["PolicyName"] == DENY_ALL_NAME)
        return ours and str(given.get("PolicyDocument", deny_all_document())) == deny_all_document()
    policy = str(given.get("PolicyArn", given.get("PermissionsBoundary", "")))
    denying = policy.endswith(":iam::aws:policy/AWSDenyAll")
    return denying and call.operation in (
        "AttachUserPolicy",
        "DetachUserPolicy",
        "PutUserPermissionsBoundary",
    )


def _bound(user: IamUser) -> ApiCall:
    boundary = {"UserName": user.name, "PermissionsBoundary": deny_all_arn(user)}
    return iam_call("PutUserPermissionsBoundary", boundary)


def _removals_of(user: IamUser, kind: AttachmentKind) -> Iterator[ApiCall]:
    for item in user.attachments[kind.name] if kind.removals else ():
        yield from (_call(user, part, item) for part in kind.removals if part.applies(item))


def _call(user: IamUser, removal: Removal, item: Item) -> ApiCall:
    owner = {"UserName": user.name} if removal.by_user else {}
    parameters = {name: item[member] for name, member in removal.parameters.items()}
    return ApiCall("iam", removal.operation, {**owner, **parameters}, done_codes=_GONE)
