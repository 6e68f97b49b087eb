# SPDX-License-Identifier: Apache-2.0
"""The Deny-all that a restoration puts on an existing user until everything is given back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.policy_documents import is_aws_deny_all
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout import deny_all
from c7n_iamusers.quarantine.release_plan import restore_boundary

_OWN_DOCUMENT = deny_all.deny_all_document("Restoration")
#: The form that no restored user gets: an attached AWSDenyAll would exceed its snapshot.
NOT_ATTACHED = {deny_all.ATTACHED: "not used"}


@dataclass(frozen=True)
class OwnDeny:
    """The Deny-all that a restoration put on an existing user, by the journal. It may have been removed since.

    ``document``: of the inline form. ``former``: the ARN of the boundary that AWSDenyAll replaced, if there was one.
    """

    form: str
    document: str = ""
    former: str = ""

    @classmethod
    def after(cls, calls: Iterable[tuple[ApiCall, bool | None]]) -> OwnDeny | None:
        """The Deny-all after ``calls`` in order, each with whether it was applied (None: unknown)."""
        found = None
        for call, applied in calls:
            # A restored Deny-all of the user's own has the same purpose, but not this note.
            if (form := deny_all.deny_form(call)) and call.notes.get(deny_all.UNTIL_THE_END):
                if applied is not False:
                    given = call.parameters
                    former = str(call.notes.get(deny_all.FORMER_BOUNDARY, ""))
                    found = cls(form, str(given.get("PolicyDocument", "")), former)
            elif found and applied and lifted_form(call) == found.form:
                found = None
        return found


def lifted_form(call: ApiCall) -> str:
    """The form of the Deny-all that ``call`` removes or replaces; empty if it does neither."""
    if call.operation in ("DeleteUserPermissionsBoundary", "PutUserPermissionsBoundary"):
        return "" if deny_all.deny_form(call) else deny_all.BOUNDARY
    removals = {"DeleteUserPolicy": deny_all.INLINE, "DetachUserPolicy": deny_all.ATTACHED}
    return removals.get(call.operation, "") if deny_all.is_denial(call) else ""


def boundary_was_lifted(calls: Iterable[tuple[ApiCall, bool | None]]) -> bool:
    """Whether, after ``calls`` in order, the AWSDenyAll of a user that a restoration created was lifted for certain.

    ``calls``: each with whether it was applied (None: unknown). If so, an AWSDenyAll of today is somebody else's.
    """
    lifted = False
    for call, applied in calls:
        if applied is not False and (
            call.operation == "CreateUser" or deny_all.deny_form(call) == deny_all.BOUNDARY
        ):
            lifted = False
        elif applied and lifted_form(call) == deny_all.BOUNDARY:
            lifted = True
    return lifted


def was_lifted(calls: Iterable[tuple[ApiCall, bool | None]]) -> bool:
    """Whether the last of ``calls`` that concern a Deny-all lifted it, or may have; see ``OwnDeny.after``."""
    changes = [
        bool(lifted_form(call))
        for call, applied in calls
        if applied is not False and (lifted_form(call) or deny_all.deny_form(call))
    ]
    return bool(changes) and changes[-1]


def deny_forms(user: IamUser) -> frozenset[str]:
    """The forms of the Deny-all that are on ``user``."""
    held = {
        deny_all.INLINE: deny_all.holds_inline(user),
        deny_all.ATTACHED: deny_all.holds_attached(user),
        deny_all.BOUNDARY: deny_all.is_bounded(user),
    }
    return frozenset(form for form, is_on in held.items() if is_on)


def denied_meanwhile(
    now: IamUser,
    after: IamUser,
    given: tuple[ApiCall, ...],
    own: OwnDeny | None,
    documents: tuple[str, ...],
    refused: Mapping[str, str],
) -> tuple[tuple[ApiCall, ...], tuple[ApiCall, ...]]:
    """``given``, preceded by a Deny-all for ``now`` unless it has one; and the calls that lift ours.

    The Deny is needed: a session may be open, parts come back one by one, and rights are compared again at the end.
    ``after``: the user with all parts restored, which must leave room for it. Raises DenyRefused if no form fits.
    """
    if lifting := tuple(_lift_own(now, own)):
        return given, lifting
    if not given or deny_forms(now):
        return given, ()
    found = deny_all.plan_deny_all(after, (*documents, _OWN_DOCUMENT), "restoration", refused)
    former = now.attachments[attachments.PERMISSIONS_BOUNDARY.name]
    return (*map(_until_the_end, found.put), *given), found.lift or tuple(restore_boundary(now, former))


def with_room(
    now: IamUser,
    full: IamUser,
    given: tuple[ApiCall, ...],
    own: OwnDeny | None,
    lifting: tuple[ApiCall, ...],
    bounded: bool,
) -> tuple[tuple[ApiCall, ...], tuple[ApiCall, ...]]:
    """``given`` and ``lifting``, which lifts a deletion's Deny-all from ``now``, in an order that quotas allow.

    A deletion chooses a form that fits the parts it left. If it doesn't fit beside all parts, AWSDenyAll as the
    boundary, which takes no room, replaces it first. ``full``: the user under its Deny-all, with all parts restored.
    ``bounded``: if its boundary is AWSDenyAll, it is ours.
    """
    inner = tuple(call for call in lifting if lifted_form(call) != deny_all.BOUNDARY)
    room = deny_all.inline_fits(full, "", "") and deny_all.attached_fits(full, more=0)
    if not given or not inner or room:
        return given, (*lifting, *_lift_own(now, own))
    if bounded and deny_all.is_bounded(now):
        outer = tuple(call for call in lifting if call not in inner)
        return (*inner, *given), outer or tuple(_lift_own(now, own))
    if deny_all.is_bounded(now):
        return given, lifting
    put = deny_all.bound(now, "restoration")
    former = now.attachments[attachments.PERMISSIONS_BOUNDARY.name]
    return (_until_the_end(put), *inner, *given), tuple(restore_boundary(now, former))


def _until_the_end(put: ApiCall) -> ApiCall:
    return replace(put, notes={**put.notes, deny_all.UNTIL_THE_END: True})


def _lift_own(now: IamUser, own: OwnDeny | None) -> Iterator[ApiCall]:
    """The call that lifts the Deny-all ``own``, if it is still on the user."""
    if own is None or own.form not in deny_forms(now):
        return
    if own.form == deny_all.INLINE:
        held = deny_all.inline_deny_all(now)
        if held and deny_all.is_same_deny(own.document, held):
            yield deny_all.remove_inline_deny(now, "restoration")
    elif own.form == deny_all.ATTACHED:
        yield deny_all.detach_deny_all(now, "restoration")
    else:
        yield from restore_boundary(now, boundary_under(now, own))


def boundary_under(now: IamUser, own: OwnDeny | None) -> tuple[Item, ...]:
    """The boundary of ``now``, or the former one if it is our AWSDenyAll."""
    if own and own.form == deny_all.BOUNDARY and deny_all.is_bounded(now):
        return ({"PermissionsBoundaryArn": own.former},) if own.former else ()
    return now.attachments[attachments.PERMISSIONS_BOUNDARY.name]


def without_attached(user: IamUser) -> IamUser:
    kind = attachments.ATTACHED_POLICY.name
    items = user.attachments[kind]
    left = tuple(item for item in items if not is_aws_deny_all(item["PolicyArn"]))
    return replace(user, attachments={**user.attachments, kind: left})
