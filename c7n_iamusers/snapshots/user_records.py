# SPDX-License-Identifier: Apache-2.0
"""The records of a user in one or several outputs: snapshots, journals, and their combination."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import SnapshotRefused
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.execution.journal import RESTORED_FROM, JournalReader, JournalWriter, Line, utc_now
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.iam.accounts import AccountDetails
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.live_policies import LivePolicies
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout import lockout_state
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.deny_all import is_bounded
from c7n_iamusers.lockout.journal_lines import LAPSED, history_of, last_deletion
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.policy_comparison.trusted_users import TrustIndex
from c7n_iamusers.reasons import Reason
from c7n_iamusers.snapshots.archive import SnapshotArchive, snapshot_number
from c7n_iamusers.snapshots.before_deny import (
    FormerBoundary,
    OnRecord,
    active_before,
    former_boundary,
    given_up,
    is_replaced,
    pinned,
)
from c7n_iamusers.snapshots.lost_attachments import Loss, lost_attachments
from c7n_iamusers.snapshots.removed_by_deletion import with_removed
from c7n_iamusers.snapshots.schema import BY_OTHERS
from c7n_iamusers.snapshots.snapshot import Snapshot, fingerprint, last_until, tampering
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import shown

#: The calls of the current run, each with its result.
Made = Sequence[tuple[ApiCall, str]]


#: How old the journals of other outputs may be where they are read again during a run.
RECENT = timedelta(seconds=30)


@dataclass(frozen=True)
class RecordedUser:
    """A user read live, the snapshot that it would get now, and its ``earlier`` snapshots here, oldest first.

    ``history``: what was done to it according to this output's journal. ``known``: the same according to the journals
    of all outputs. ``quarantine``: the one that the user is in. ``broken``: the one whose Deny somebody else removed.
    ``unread``: why the documents that decide its rights are not in the snapshot; empty if they are.
    ``begun``: when the deletion began that is unfinished, in words, if one is. ``whole``: the user with what that
    removed, by the snapshots and journals of all outputs: what it is judged by. ``foreign``: AWSDenyAll that no journal
    here shows as ours, in words. ``restoring``: the journal of a restoration that made the user and has not ended.
    ``lost``: what it had when its quarantine began, and no journal shows that we removed it: see ``lost_attachments``.
    ``disputed``: why it is not known what boundary our AWSDenyAll replaced: see ``former_boundary``.
    """

    user: IamUser
    snapshot: Snapshot
    earlier: Sequence[Snapshot]
    history: CallHistory
    known: CallHistory
    whole: IamUser
    quarantine: QuarantineRecord | None
    broken: QuarantineRecord | None = None
    unread: str = ""
    begun: str | None = None
    foreign: str = ""
    restoring: str = ""
    lost: tuple[Loss, ...] = ()
    disputed: Reason | None = None

    def require_whole(self, adopt: bool) -> None:
        """Raises SnapshotRefused if the user may have lost a Deny, which its snapshot would then lack.

        Also if it is not known what boundary the user had: its snapshot would have a wrong one.

        ``adopt``: accept an AWSDenyAll that is not ours, what the user has lost in quarantine, and a restoration that
        has not ended: somebody knows of it, its output is lost, or it is given up. The snapshot is then partial.
        """
        if self.restoring and not adopt:
            raise SnapshotRefused(
                reasons.RESTORATION_IN_PROGRESS(
                    user=self.user.subject, journal=self.restoring, name=self.user.name
                )
            )
        if self.disputed:
            raise SnapshotRefused(self.disputed)
        if self.foreign and not self.begun and not adopt:
            raise SnapshotRefused(reasons.FOREIGN_DENY(user=self.user.subject, deny=self.foreign))

    def require_nothing_lost(self, adopt: bool) -> None:
        """Raises SnapshotRefused if the user has lost in quarantine what its snapshot would lack: see ``lost``."""
        if self.quarantine and self.lost and not adopt:
            lost = shown([*map(str, self.lost)])
            raise SnapshotRefused(
                reasons.LOST_UNEXPLAINED(user=self.user.subject, since=self.quarantine.since, lost=lost)
            )

    @property
    def begun_elsewhere(self) -> str | None:
        """When a deletion began with another output, as text; None if there is none."""
        return None if lockout_state.deletes(self.user, self.known, self.history) else self.begun


@dataclass(frozen=True)
class RecordStores:
    """The stores of snapshots and journals: this output (``here``), and others that may have a quarantine's record.

    ``own`` reads the journal of ``here``, ``known`` those of all stores. ``archive`` has
    the snapshots of ``here``, ``archives`` those of all stores.
    """

    here: Store
    others: Callable[[], Sequence[Store]]
    own: JournalReader = field(init=False)
    known: JournalReader = field(init=False)
    archive: SnapshotArchive = field(init=False)
    archives: Callable[[], Sequence[SnapshotArchive]] = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)
    #: When the journals of the others were read last, and these.
    _read: list[tuple[datetime, JournalReader]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "archive", SnapshotArchive(self.here))
        archives = cache(lambda: [self.archive, *map(SnapshotArchive, self.others())])
        object.__setattr__(self, "archives", archives)
        object.__setattr__(self, "own", JournalReader(lambda: [self.here], alone=True))
        known = JournalReader(lambda: [self.here, *self.others()], alone=True)
        object.__setattr__(self, "known", known)

    def recent(self, subject: Subject, now: datetime) -> list[Line]:
        """The lines about ``subject``: of this output as it was when the run began, of the others as of lately."""
        with self._lock:
            if not self._read or now - self._read[0][0] > RECENT:
                self._read[:] = [(now, JournalReader(self.others, alone=True))]
            reader = self._read[0][1]
        return [*self.own.of(subject), *reader.of(subject)]

    def history(self, user: IamUser, made: Made, now: datetime) -> CallHistory:
        """What runs with this output did to ``user``.

        ``made``: the calls of the current run, included until ``now``.
        """
        return self._history(self.own, user, made, now)

    def known_history(self, user: IamUser, made: Made, now: datetime) -> CallHistory:
        """What runs with any of the outputs did to ``user``, and what was active before if the Deny doesn't say that.

        Raises SnapshotRefused, also if a snapshot that could say it is missing.
        """
        history = self._history(self.known, user, made, now)
        if not lockout_state.deactivated_unnamed(user, history):
            return history
        found = self.on_record(user)
        if missing := found.incomplete(user.subject):
            raise SnapshotRefused(missing)
        return replace(history, active_before=active_before(found))

    def snapshots(self, user: IamUser) -> list[Snapshot]:
        """The snapshots of ``user`` in all outputs. Raises SnapshotRefused."""
        return [each for archive in self.archives() for each in archive.of(user.subject)]

    def snapshot_before(self, user: IamUser, since: datetime) -> Snapshot | None:
        """The last snapshot of ``user`` until ``since``, in any of the outputs; the first one if all are later."""
        return last_until(self.snapshots(user), since)

    def lost(self, user: IamUser, quarantine: QuarantineRecord, known: CallHistory) -> tuple[Loss, ...]:
        """What ``user`` has lost since ``quarantine`` began; nothing if no snapshot of it is here.

        What we removed according to ``known`` is left out, unless it could deny something. Raises SnapshotRefused.
        """
        snapshot = self.snapshot_before(user, quarantine.since)
        found, ours = lost_attachments(snapshot, user) if snapshot else (), known.ever_removed()
        return tuple(each for each in found if each.may_deny or each.key not in ours)

    def former_boundary(self, user: IamUser, history: CallHistory) -> FormerBoundary:
        """The boundary that AWSDenyAll replaced on ``user``, if it replaced any. Raises SnapshotRefused."""
        if not is_replaced(user, history):
            return FormerBoundary()
        return former_boundary(user, history, self.on_record(user))

    def on_record(self, user: IamUser) -> OnRecord:
        """The snapshots of ``user`` in all outputs, by their journals and this run's. Raises SnapshotRefused."""
        with _refusing(user.subject):
            journals = self.known.by_store(user.subject)
        files = [archive.files(user.subject) for archive in self.archives()]
        pins = [pinned(lines) for lines in journals]
        added = self.archive.added(user.subject)
        pins[0] |= {name: {digest} for name, digest in added.items() if name in files[0]}
        return OnRecord.of(zip(files, pins, map(given_up, journals), strict=True))

    def next_number(self, user: IamUser) -> int:
        """The number of a further snapshot here. A name in the journal is never reused for other content.

        Raises SnapshotRefused, also where the journal names a snapshot that is not there.
        """
        with _refusing(user.subject):
            lines = self.own.of(user.subject)
        pins, files = pinned(lines), self.archive.files(user.subject)
        numbers = {name: snapshot_number(user.subject, name) for name in {*pins, *files}}
        gone = pins.keys() - files.keys() - given_up(lines).keys()
        found = OnRecord(missing=tuple(name for name in sorted(gone) if numbers[name]))
        if missing := found.incomplete(user.subject):
            raise SnapshotRefused(missing)
        return max(numbers.values(), default=0) + 1

    def _history(self, reader: JournalReader, user: IamUser, made: Made, now: datetime) -> CallHistory:
        with _refusing(user.subject):
            lines = reader.of(user.subject)
        return history_of(user.subject, lines).with_calls(made, now)


class UserRecords:
    """Snapshots in ``stores``, as ``policy`` takes them, with the account's data that outlives its users.

    ``account``: its roles. ``live``: its groups and policies as they are when a snapshot is taken.
    """

    def __init__(
        self,
        stores: RecordStores,
        journal: JournalWriter,
        account: AccountDetails,
        live: LivePolicies,
        policy: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._stores, self._journal, self._live, self._policy = stores, journal, live, policy
        self._archive, self._now, self._trust = stores.archive, now, TrustIndex(account.roles)
        stores.own.load()

    def find(self, user: IamUser, made: Made = (), adopted: bool = False) -> RecordedUser:
        """What is on record of ``user``. ``adopted``: continue what began with another output.

        Raises SnapshotRefused if an earlier snapshot or a journal can't be read, or a snapshot was changed.
        """
        earlier, now = self._earlier(user), self._now()
        history = self._stores.history(user, made, now)
        known = self._stores.known_history(user, made, now)
        former = self._stores.former_boundary(user, known)
        plain = lockout_state.without_own_changes(user, known, former.items)
        under_way = CallHistory().with_calls(made, now).began_deletion()
        begun = lockout_state.deletion_begun(user, known, under_way)
        # Where somebody has given a part back, a restoration takes the rest from the earlier snapshots.
        lacking = bool(begun) or lockout_state.lacks_removed(user, known)
        if lacking and not user.boundary_arn and former.items:
            plain = plain.with_boundary(former.items)
        quarantine = lockout_state.quarantine_of(user, known)
        recorded = quarantine or lockout_state.quarantine_without_deny(user, known)
        record = recorded.as_data() if recorded else None
        if recorded and record and (ids := lockout_state.changed_by_others(user, recorded, known)):
            record |= {BY_OTHERS: ids}
        rights = self._live.of(plain)
        snapshot = Snapshot(
            plain,
            now,
            fingerprint(plain, recorded.deactivated if recorded else ()),
            self._policy,
            self._trust.of(user).roles,
            rights.groups,
            record,
            policies=rights.policies,
            rights_read=rights.read,
        )
        broken = None if quarantine else lockout_state.broken_quarantine(user, known)
        whole = with_removed(user, self._stores.snapshots(user), known) if begun else user
        found = RecordedUser(
            user,
            snapshot,
            earlier,
            history,
            known,
            whole,
            quarantine,
            broken,
            rights.unread,
            begun,
            lockout_state.foreign_deny(user, known),
            self._restoring(user),
            self._lost(user, quarantine, known) if quarantine and not begun else (),
            former.disputed if lacking or is_bounded(user) else None,
        )
        unsure = found.begun_elsewhere or found.lost or found.restoring or (found.foreign and not begun)
        partial = bool(adopted and unsure) or any(each.partial for each in earlier)
        return replace(found, snapshot=replace(snapshot, partial=partial, deletion_begun=lacking))

    def _earlier(self, user: IamUser) -> list[Snapshot]:
        """The snapshots of ``user`` in this output. Raises SnapshotRefused, also if one was changed."""
        earlier = self._archive.of(user.subject)
        for snapshot in earlier:
            if problem := tampering(snapshot):
                place = str(self._stores.here)
                raise SnapshotRefused(reasons.SNAPSHOT_CHANGED(user=user.subject, place=place, why=problem))
        return earlier

    def _lost(self, user: IamUser, quarantine: QuarantineRecord, known: CallHistory) -> tuple[Loss, ...]:
        removed = known.removed()
        return tuple(each for each in self._stores.lost(user, quarantine, known) if each.key not in removed)

    def _restoring(self, user: IamUser) -> str:
        with _refusing(user.subject):
            token, created = user.tags.get(RESTORED_FROM, ""), moment(user.detail.get("CreateDate"))
            return self._stores.known.restoring(user.subject, token, created)

    def recent(self, subject: Subject) -> list[Line]:
        """All lines about ``subject`` in the journals of all outputs, those of others at most RECENT old.

        What was done to an access key leaves nothing on it but its status. Raises SnapshotRefused.
        """
        with _refusing(subject):
            return self._stores.recent(subject, self._now())

    def began_deletion(self, subject: Subject) -> bool:
        """Whether, by the journals, a deletion changed the user since it was last restored. Raises SnapshotRefused."""
        with _refusing(subject):
            return history_of(subject, self._stores.known.of(subject)).began_deletion()

    def deletion_begun(self, user: IamUser) -> str | None:
        """When an unfinished deletion of ``user`` began, in words; None if there is none. Raises SnapshotRefused."""
        return lockout_state.deletion_begun(user, self._stores.known_history(user, (), self._now()))

    def keep(self, found: RecordedUser) -> None:
        """Write the snapshot durably, unless it equals the last one, of all outputs that are known.

        Raises NotRestorable, SnapshotRefused, JournalRefused.

        A changed policy document also makes a further snapshot, even if the attachments are the same. So does the end
        of a deletion, since the last snapshot was not whole.
        """
        if not self._is_last(found):
            number = self._stores.next_number(found.user)
            self._archive.add(found.snapshot, number, self._journal)

    def _is_last(self, found: RecordedUser) -> bool:
        """Whether the last snapshot in this output is as the user is now, and none of another output after it differs.

        A restoration takes the last one of all outputs.
        """
        taken = found.snapshot

        def same(snapshot: Snapshot) -> bool:
            prints = (snapshot.fingerprint, snapshot.rights_fingerprint)
            return prints == (taken.fingerprint, taken.rights_fingerprint)

        last = found.earlier[-1] if found.earlier else None
        if last is None or not same(last) or last.deletion_begun > taken.deletion_begun:
            return False
        known = self._stores.on_record(found.user)
        # a run that was stopped may have written it and not its SHA-256
        if last.sha256 not in {each.sha256 for each in known.proven}:
            return False
        later = (each for each in (*known.proven, *known.unproven) if str(each.taken) > str(last.taken))
        return all(map(same, later))

    def named_if_back(self, subject: Subject, reason: Reason) -> Reason:
        """``reason``, with the note that the user came back if a journal shows that one of its name was deleted."""
        try:
            at = last_deletion(self._stores.known.of_namesakes(subject))
        except OSError:
            return reason  # a change needs the journals, and reports that
        return reason.and_also(reasons.CAME_BACK(at=at) if at else None)

    def deleted_by_us(self, subject: Subject) -> datetime | None:
        """When, by its journal, an earlier run with this output deleted the user; None if none did."""
        return history_of(subject, self._stores.own.of(subject)).deleted_at()

    def snapshots_of_deletion(self, subject: Subject, made: Made) -> Sequence[Snapshot]:
        """The user's snapshots in this output, if the current run or an earlier one has changed the user; else none."""
        begun = bool(made or history_of(subject, self._stores.own.of(subject)).calls)
        return self._archive.of(subject) if begun else ()

    def note_lapse(self, found: RecordedUser) -> None:
        """See ``note_lapse`` of this module."""
        note_lapse(self._journal, found.user, found.known, self._now())

    def note_quarantine(self, subject: Subject, record: QuarantineRecord) -> None:
        """Journal the record of a quarantine, before its first call. Raises JournalRefused."""
        self._journal.write(subject, "quarantine", record=record.as_data())


def unfinished_deletions(journal: JournalReader, users: Iterable[IamUser]) -> frozenset[str]:
    """The unique ids of those ``users`` whose deletion began, by ``journal``, and that are still as it left them.

    Attachments that were not read count as gone: the user must be read live. Raises OSError.
    """
    found = set[str]()
    for user in users:
        history = history_of(user.subject, journal.of(user.subject))
        none = dict[str, tuple[Item, ...]].fromkeys((kind.name for kind in ATTACHMENT_KINDS), ())
        if lockout_state.deletes(replace(user, attachments={**none, **user.attachments}), history, history):
            found.add(user.unique_id)
    return frozenset(found)


def note_lapse(journal: JournalWriter, user: IamUser, history: CallHistory, now: datetime) -> None:
    """Journal what on ``user`` contradicts ``history``, so that no later run takes somebody else's work for ours.

    Raises JournalRefused.
    """
    if seen := lockout_state.contradictions(user, history, now):
        journal.write(user.subject, LAPSED, **seen)


@contextmanager
def _refusing(subject: Subject) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SnapshotRefused(reasons.JOURNAL_UNREADABLE(user=subject, why=str(error))) from error
