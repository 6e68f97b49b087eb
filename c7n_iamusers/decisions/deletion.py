# SPDX-License-Identifier: Apache-2.0
"""From a user as it stands now to the calls that remove it with everything attached. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from c7n_iamusers.decisions.deny_all import deny_all_calls
from c7n_iamusers.model.attachments import ATTACHMENT_KINDS, MFA_DEVICE, AttachmentKind, Removal
from c7n_iamusers.model.calls import ApiCall, Plan
from c7n_iamusers.model.iam_user import IamUser, Item

_GONE = frozenset({"NoSuchEntity"})


def plan_deletion(user: IamUser, orphaned_mfa: Iterable[Item] = ()) -> Plan:
    """Every call of the deletion of ``user``, in order: Deny-all, credentials, MFA, groups, policies, user.

    ``orphaned_mfa``: virtual devices that were this user's and are nobody's now. A run that stopped
    between deactivating a device and deleting it left such an orphan.

    Raises KeyError where a kind was not read: a deletion is never planned on partial knowledge.
    """
    deny, lift = deny_all_calls(user)
    removals = [call for kind in ATTACHMENT_KINDS for call in _removals_of(user, kind) if call not in lift]
    orphans = [
        _call(user, part, item) for item in orphaned_mfa for part in MFA_DEVICE.removals if not part.by_user
    ]
    end = ApiCall("iam", "DeleteUser", {"UserName": user.name}, done_codes=_GONE)
    return Plan(user.subject, (*deny, *removals, *orphans, *lift, end))


def _removals_of(user: IamUser, kind: AttachmentKind) -> Iterator[ApiCall]:
    for item in user.attachments[kind.name] if kind.removals else ():
        yield from (_call(user, part, item) for part in kind.removals if part.applies(item))


def _call(user: IamUser, removal: Removal, item: Item) -> ApiCall:
    owner = {"UserName": user.name} if removal.by_user else {}
    parameters = {name: item[member] for name, member in removal.parameters.items()}
    return ApiCall("iam", removal.operation, {**owner, **parameters}, done_codes=_GONE)
