# SPDX-License-Identifier: Apache-2.0
"""Every error that this package raises.

IamUsersError                     the root: catch this to catch them all
├── NameTaken                     Cloud Custodian has a plugin of that name; none of ours was registered
├── InvalidPolicyData             a policy is invalid; nothing was read or changed
├── EvidenceUnreadable            evidence for a decision could not be read; no user was changed
├── SnapshotRefused               a snapshot could not be made durable; the user was not changed
├── NotRestorable                 nobody could restore a user by its snapshot; the user was not changed
├── SnapshotInvalid               a snapshot file can't be restored from
├── JournalRefused                a journal line could not be made durable; its call was not made
├── GateClosed                    somebody spared a user right before its first change
├── ReadingOutdated               a user was read too long ago to be judged by it; it was not changed
├── RunLockLost                   another run may have begun in the same output; no further user is changed
├── UserInUse                     another run, or a restoration, works on the user just now; it was not changed
├── AnswerLost                    an id that a further call needs is unknown, since its answer was lost
├── DenyRefused                   no form of the Deny-all fits or is allowed; the user was not changed
├── UserReplaced                  another user has the name now; that user must not be changed
├── NoticesUnreadable             the record of who was addressed can't be read; no user is changed
├── Stopped                       a STOP file stops destructive actions; the user was not changed
├── PlanInvalid                   a reviewed plan can't be read, or is of another account
├── RestorationRefused            a user can't be restored as asked; nothing was changed
├── OutputUnreadable              what a report is asked for can't be read, or is no output of a run
└── IdentityCenterError           Identity Center is not in the state that provisioning needs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from c7n_iamusers.reasons import Reason


class IamUsersError(Exception):
    """The root of every error that this package raises. Raised with a text, or with a reason."""

    @property
    def reason(self) -> Reason | None:
        """The reason of the outcome that it becomes; None where only its class says it."""
        # a process of Cloud Custodian that has no IAM users loads this module, and not the table of reasons
        from c7n_iamusers.reasons import Reason

        return next((each for each in self.args if isinstance(each, Reason)), None)

    @property
    def names_user(self) -> bool:
        """Whether its text names the user that it is about."""
        return self.reason is not None and "user" in dict(self.reason.parameters)

    def __str__(self) -> str:
        return self.reason.text if self.reason else super().__str__()


class NameTaken(IamUsersError):
    """Cloud Custodian, or another package, has a plugin of that name, so none of ours was registered."""


class InvalidPolicyData(IamUsersError):
    """A policy is invalid; the message says where, and what to write instead."""


class EvidenceUnreadable(IamUsersError):
    """Evidence for a decision could not be read, so nothing is decided."""


class SnapshotRefused(IamUsersError):
    """A snapshot could not be made durable, so its user is not changed."""


class NotRestorable(IamUsersError):
    """A user's snapshot could not be read again, or IAM would refuse a document in it, so the user is left alone."""


class SnapshotInvalid(IamUsersError):
    """A snapshot file can't be restored from; the message says what is wrong with it."""


class JournalRefused(IamUsersError):
    """A journal line could not be made durable, so the call that it announces was not made."""

    names_user = True


class AnswerLost(IamUsersError):
    """The id that an earlier call returned is not known, since its answer was lost; the next run reads it."""


class GateClosed(IamUsersError):
    """Somebody spared the user right before its first change, by an exemption, a notice or its access."""


class ReadingOutdated(IamUsersError):
    """A user was read so long ago that it may be another's by now, in tags, groups, use or Deny: read it again."""


class RunLockLost(IamUsersError):
    """The run lock or the journal was removed or replaced while the run used it; no further call is made."""


class UserInUse(IamUsersError):
    """Another run, or a restoration, works on the user just now, by its lock; the user was not changed."""


class DenyRefused(IamUsersError):
    """No form of the Deny-all fits on the user and is allowed, so nothing was changed."""


class UserReplaced(IamUsersError):
    """Another user has the name now. ``unique_id``: of that user."""

    def __init__(self, reason: Reason, unique_id: str) -> None:
        super().__init__(reason)
        self.unique_id = unique_id


class NoticesUnreadable(IamUsersError):
    """The record of who was addressed can't be read, or holds what is no notice; nobody is touched."""


class Stopped(IamUsersError):
    """A STOP file ends every destructive action before its next user."""


class PlanInvalid(IamUsersError):
    """A reviewed plan can't be read, or is of another account; nothing was changed."""


class RestorationRefused(IamUsersError):
    """A user can't be restored as asked; the message says why, and nothing was changed."""

    names_user = True


class OutputUnreadable(IamUsersError):
    """What a report is asked for can't be read, or is no output of a run; the message says where."""


class IdentityCenterError(IamUsersError):
    """Identity Center is not in the state that provisioning needs; the message says what to do."""
