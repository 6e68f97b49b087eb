# SPDX-License-Identifier: Apache-2.0
"""The snapshot that a user gets before anything is done to it, and those that it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from c7n_iamusers.aws.account_context import AccountContext
from c7n_iamusers.aws.journal import utc_now
from c7n_iamusers.aws.snapshots import SnapshotArchive
from c7n_iamusers.decisions.own_traces import quarantine_of, without_traces
from c7n_iamusers.decisions.role_trust import TrustIndex
from c7n_iamusers.decisions.user_state import fingerprint, is_covered
from c7n_iamusers.model.attachments import ATTACHED_POLICY, INLINE_POLICY, PERMISSIONS_BOUNDARY
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.snapshot import Snapshot


@dataclass(frozen=True)
class Found:
    """A user read live, the snapshot that it would get, and those that it has, oldest first."""

    user: IamUser
    snapshot: Snapshot
    earlier: Sequence[Snapshot]

    @property
    def recorded(self) -> bool:
        """True where all that it holds stands in an earlier snapshot: none is needed, and a run may have begun."""
        return is_covered(self.snapshot, self.earlier)

    @property
    def kept(self) -> bool:
        """True where no further snapshot is needed, as the last one shows the user or a deletion has begun on it."""
        if not self.recorded:
            return False
        # What somebody else takes away before a deletion begins must not come back with the user.
        return self._begun or self.snapshot.fingerprint == self.earlier[-1].fingerprint

    @property
    def _begun(self) -> bool:
        """True where the Deny-all stands that a deletion begins with; a quarantine, too, has one, but no boundary.

        Where it can't be told, a further snapshot does no harm: the journal tells whether it shows the user whole.
        """
        kinds = [PERMISSIONS_BOUNDARY.name]
        if self.snapshot.quarantine is None:
            kinds += [INLINE_POLICY.name, ATTACHED_POLICY.name]
        live, plain = self.user.attachments, self.snapshot.user.attachments
        return any(live[kind] != plain[kind] for kind in kinds)


class UserRecords:
    """Snapshots in ``archive``, as ``policy`` takes them, with what of the account outlives its users."""

    def __init__(
        self,
        archive: SnapshotArchive,
        context: AccountContext,
        policy: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._archive, self._context, self._policy, self._now = archive, context, policy, now
        self._trust = TrustIndex(context.roles)

    def find(self, user: IamUser) -> Found:
        """What is on record of ``user``. Raises SnapshotRefused where an earlier snapshot can't be read."""
        earlier = self._archive.of(user.subject)
        plain = without_traces(user, earlier[0].user.attachments if earlier else None)
        quarantine = quarantine_of(user)
        snapshot = Snapshot(
            plain,
            self._now(),
            fingerprint(plain, quarantine.deactivated if quarantine else ()),
            self._policy,
            self._trust.of(user),
            self._context.groups_named(user.groups or ()),
            quarantine.as_data() if quarantine else None,
        )
        return Found(user, snapshot, earlier)

    def keep(self, found: Found) -> None:
        """Make the snapshot durable, unless it stands in earlier ones already. Raises SnapshotRefused."""
        if not found.kept:
            self._archive.add(found.snapshot, len(found.earlier) + 1)
