# SPDX-License-Identifier: Apache-2.0
"""Snapshots in a run's store: durable before the first change, never overwritten; with what is on record of a user."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from c7n_iamusers.exceptions import SnapshotInvalid, SnapshotRefused
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.execution.journal import SNAPSHOT, JournalReader, JournalWriter, utc_now
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.iam.accounts import AccountDetails
from c7n_iamusers.iam.attachments import PERMISSIONS_BOUNDARY
from c7n_iamusers.iam.deny_all import holds_attached, inline_deny_all, is_bounded, is_same_deny
from c7n_iamusers.iam.history import History, history_of
from c7n_iamusers.iam.own_changes import deletion_begun, quarantine_of, without_own_changes
from c7n_iamusers.iam.quarantine_record import Quarantine
from c7n_iamusers.iam.role_trust import TrustIndex
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.snapshots.snapshot import Snapshot, fingerprint, tampering
from c7n_iamusers.text.moments import moment

SNAPSHOTS = "snapshots"


class SnapshotArchive:
    """Snapshots ``snapshots/<user name>.<unique id>[.<n>].json`` in ``store``.

    One that is there is complete (it appears at once) and is never written again. Where a user differs from
    its last snapshot, a further one with the next number holds it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, subject: Subject) -> list[Snapshot]:
        """The snapshots of this same user (by unique id), oldest first.

        Raises SnapshotRefused where one can't be read: what it holds must not be taken for lost.
        """
        with self._refusing(subject):
            return list(self._read(subject))

    def add(self, snapshot: Snapshot, number: int, journal: JournalWriter) -> None:
        """Makes the snapshot durable, its SHA-256 too, in ``journal``. ``number``: 1 for the first of its user.

        Raises SnapshotRefused where it can't be made durable, or that number is taken; JournalRefused.
        """
        subject, content = snapshot.user.subject, snapshot.as_json().encode()
        name = _name(subject, number)
        with self._refusing(subject):
            self._store.create(name, content)
        journal.write(subject, SNAPSHOT, snapshot=name, sha256=hashlib.sha256(content).hexdigest())

    def _read(self, subject: Subject) -> Iterator[Snapshot]:
        number = 1
        while (content := self._store.read(_name(subject, number))) is not None:
            yield Snapshot.from_json(content)
            number += 1

    @contextmanager
    def _refusing(self, subject: Subject) -> Iterator[None]:
        try:
            yield
        except (OSError, SnapshotInvalid) as error:
            raise SnapshotRefused(
                f"{subject}: no durable snapshot in {self._store} ({error}): nothing further was touched; make that "
                "place writable, move a broken snapshot away, and run again"
            ) from error


def _name(subject: Subject, number: int) -> str:
    return f"{SNAPSHOTS}/{subject.name}.{subject.unique_id}{'' if number == 1 else f'.{number}'}.json"


#: Calls of the run in hand, and how each ended.
Made = Sequence[tuple[ApiCall, str]]


@dataclass(frozen=True)
class Found:
    """A user read live, the snapshot that it would get, and those that it has here, oldest first.

    ``history``: what the journal of this output shows that was done to it; ``known``: the journals of the other
    policies' outputs beside it too. ``quarantine``: the one that it is in.
    """

    user: IamUser
    snapshot: Snapshot
    earlier: Sequence[Snapshot]
    history: History
    known: History
    quarantine: Quarantine | None

    @property
    def begun_elsewhere(self) -> str | None:
        """Since when a deletion is under way of which this output knows nothing; None where there is none."""
        standing = inline_deny_all(self.user)
        ours = standing and any(is_same_deny(each, standing) for each in self.history.inline_denies())
        return None if ours else deletion_begun(self.user)


@dataclass(frozen=True)
class RecordPlaces:
    """Where snapshots and journals are: of this output, and of others that may hold a quarantine's record."""

    here: Store
    others: Callable[[], Sequence[Store]]
    own: JournalReader = field(init=False)
    known: JournalReader = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "own", JournalReader(lambda: [self.here]))
        object.__setattr__(self, "known", JournalReader(lambda: [self.here, *self.others()]))

    def history(self, user: IamUser, made: Made, now: datetime) -> History:
        """What was done to ``user`` by runs of this output."""
        return self._history(self.own, user, made, now)

    def known_history(self, user: IamUser, made: Made, now: datetime) -> History:
        """The same with the other outputs."""
        return self._history(self.known, user, made, now)

    def former_boundary(self, user: IamUser, history: History) -> tuple[Item, ...] | None:
        """What AWSDenyAll, the boundary of ``user``, took the place of; None where nobody knows.

        Where it is not our work, that is AWSDenyAll itself, as long as a snapshot shows that it stood before us.
        """
        since = history.boundary_deny()
        told = history.former_boundary() if since else None
        if told is not None:
            return ({"PermissionsBoundaryArn": told},) if told else ()
        taken = [
            each for store in (self.here, *self.others()) for each in SnapshotArchive(store).of(user.subject)
        ]
        before = [each for each in taken if since is None or (moment(each.taken) or since) <= since]
        if not before:
            return None
        last = max(before, key=lambda each: str(each.taken))
        held = tuple(last.user.attachments[PERMISSIONS_BOUNDARY.name])
        return held if since or held == user.attachments[PERMISSIONS_BOUNDARY.name] else None

    def _history(self, reader: JournalReader, user: IamUser, made: Made, now: datetime) -> History:
        with _refusing(user.subject):
            lines = reader.of(user.subject)
        return history_of(user.subject, lines, moment(user.detail.get("CreateDate"))).with_calls(made, now)


class UserRecords:
    """Snapshots in ``places``, as ``policy`` takes them, with what of the account outlives its users."""

    def __init__(
        self,
        places: RecordPlaces,
        journal: JournalWriter,
        account: AccountDetails,
        policy: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._places, self._journal, self._account, self._policy = places, journal, account, policy
        self._archive, self._now, self._trust = SnapshotArchive(places.here), now, TrustIndex(account.roles)
        places.own.load()

    def find(self, user: IamUser, made: Made = (), adopted: bool = False) -> Found:
        """What is on record of ``user``. ``adopted``: a deletion that another run began is carried on here.

        Raises SnapshotRefused where an earlier snapshot or a journal can't be read, or was changed.
        """
        earlier = self._archive.of(user.subject)
        for each in earlier:
            if problem := tampering(each):
                raise SnapshotRefused(f"{user.subject}: a snapshot of it in {self._places.here}: {problem}")
        now = self._now()
        history = known = self._places.history(user, made, now)
        if holds_attached(user) or is_bounded(user) or inline_deny_all(user):
            known = self._places.known_history(user, made, now)
        former = self._places.former_boundary(user, known) if is_bounded(user) else None
        plain = without_own_changes(user, known, former)
        quarantine = quarantine_of(user, known)
        snapshot = Snapshot(
            plain,
            now,
            fingerprint(plain, quarantine.deactivated if quarantine else ()),
            self._policy,
            self._trust.of(user),
            self._account.groups_named(user.groups or ()),
            quarantine.as_data() if quarantine else None,
        )
        found = Found(user, snapshot, earlier, history, known, quarantine)
        partial = bool(adopted and found.begun_elsewhere) or any(each.partial for each in earlier)
        return replace(found, snapshot=replace(snapshot, partial=partial))

    def keep(self, found: Found) -> None:
        """Make the snapshot durable, unless the last one shows the same. Raises SnapshotRefused, JournalRefused."""
        if not found.earlier or found.earlier[-1].fingerprint != found.snapshot.fingerprint:
            self._archive.add(found.snapshot, len(found.earlier) + 1, self._journal)

    def deleted(self, subject: Subject) -> bool:
        """True where the journal shows that an earlier run of this output sent the DeleteUser that it went by."""
        # A line of the version before names no unique id, so it may be of a namesake.
        lines = (line for line in self._places.own.of(subject) if line.get("unique_id"))
        return history_of(subject, lines).deleted()

    def taken(self, subject: Subject, made: Made) -> Sequence[Snapshot]:
        """The snapshots that this output has of the user, where a run of it, or that in hand, began to delete it."""
        begun = bool(made or history_of(subject, self._places.own.of(subject)).calls)
        return self._archive.of(subject) if begun else ()

    def note_quarantine(self, subject: Subject, record: Quarantine) -> None:
        """Make the record of a quarantine durable, before its first call. Raises JournalRefused."""
        self._journal.write(subject, "quarantine", record=record.as_data())


@contextmanager
def _refusing(subject: Subject) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SnapshotRefused(
            f"{subject}: a journal can't be read ({error}), so it is not known what earlier runs did to it: nothing "
            "further was touched; make it readable, and run again"
        ) from error
