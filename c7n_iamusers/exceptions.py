# SPDX-License-Identifier: Apache-2.0
"""Every error this package raises on purpose.

IamUsersError                     the root: catch this to catch them all
├── InvalidPolicyData             a policy's own text is wrong; nothing was read or touched
├── EvidenceUnreadable            something needed to decide could not be read; nobody is touched
├── SnapshotRefused               a snapshot could not be made durable; the user is left alone
├── SnapshotInvalid               a snapshot file is not one that can be restored from
├── JournalRefused                a journal line could not be made durable; its call was not made
├── DenyRefused                   no Deny-all can be put on the user; it is left as it is
├── UserReplaced                      the name belongs to another user by now, who must not be touched
├── PlanInvalid                   a reviewed plan can't be read, or is of another account
├── RestorationRefused            a user can't be restored as asked; nothing was changed
└── IdentityCenterError           the instance, a person or an assignment is not as it must be
"""

from __future__ import annotations


class IamUsersError(Exception):
    """The root of every error that this package raises on purpose."""


class InvalidPolicyData(IamUsersError):
    """A policy's own text is wrong; the message says where and how to mend it."""


class EvidenceUnreadable(IamUsersError):
    """Something that a decision rests on could not be read, so nothing is decided."""


class SnapshotRefused(IamUsersError):
    """A snapshot could not be made durable, so its user is left alone."""


class SnapshotInvalid(IamUsersError):
    """A snapshot file is not one that can be restored from; the message says what is wrong with it."""


class JournalRefused(IamUsersError):
    """A journal line could not be made durable, so the call that it announces was not made."""


class DenyRefused(IamUsersError):
    """No form of the Deny-all fits on the user and is allowed, so nothing was changed."""


class UserReplaced(IamUsersError):
    """The name of a user belongs to another one by now; ``unique_id`` is that one's."""

    def __init__(self, message: str, unique_id: str) -> None:
        super().__init__(message)
        self.unique_id = unique_id


class PlanInvalid(IamUsersError):
    """A reviewed plan can't be read, or is of another account; nothing was changed."""


class RestorationRefused(IamUsersError):
    """A user can't be restored as asked; the message says why, and nothing was changed."""


class IdentityCenterError(IamUsersError):
    """Identity Center is not in the state that provisioning needs; the message says the mend."""
