# SPDX-License-Identifier: Apache-2.0
"""The record of messages about IAM users: recipients, time, and day of the deletion.

c7n-mailer delivers later and elsewhere, and does not report errors, so no action can know that a mail arrived. A notice
proves only that a message with these addresses entered the queue; ``delivery`` says whether it has left it. Tags prove
nothing: anybody with iam:TagUser can write them. ``notice_format`` has one message.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from functools import cached_property
from operator import itemgetter

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import NoticesUnreadable
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.notices import delivery
from c7n_iamusers.notices.delivery import EXPIRED, HELD, LEFT, WAITING, Delivery, QueueReading
from c7n_iamusers.notices.exempted import DIRECTORY, Exempted, as_json, parse_exempted
from c7n_iamusers.notices.exempted import place_of as exempted_place
from c7n_iamusers.notices.held import HELD_FOR, DigestRecord
from c7n_iamusers.notices.notice_format import ANNOUNCED as ANNOUNCED
from c7n_iamusers.notices.notice_format import CREATED as CREATED
from c7n_iamusers.notices.notice_format import DENY_REMOVED as DENY_REMOVED
from c7n_iamusers.notices.notice_format import INFORMED as INFORMED
from c7n_iamusers.notices.notice_format import OVERDUE as OVERDUE
from c7n_iamusers.notices.notice_format import USED as USED
from c7n_iamusers.notices.notice_format import Notice as Notice
from c7n_iamusers.notices.notice_format import parse_record as parse_record
from c7n_iamusers.notices.records import NoticeRecords
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.times import CLOCKS_APART

#: Days after the announced day for which an announcement counts. Later the user has to be announced again: people
#: forget, and the user may have been exempt in between.
LAPSE_DAYS = 90
#: What of a user changed when a rule no longer matches it.
_LOST = {"user": "name", "path": "path", "tag": "tag", "group": "membership", "unique-id": "id"}


class Notices:
    """The notices of one account, and which of its users were exempt then. ``place``: where they are, for people.

    ``recorded``: whether there is a record of who was exempt, even an empty one. ``stop``: the STOP file of the account
    alone; empty if there is none. ``readings``: of queues; None if it does not matter whether a message has left its
    queue. ``digests``: those that sent held messages.
    """

    def __init__(
        self,
        notices: Iterable[Notice],
        place: str,
        exempted: Iterable[Exempted] = (),
        recorded: bool = True,
        stop: str = "",
        readings: Iterable[QueueReading] | None = (),
        digests: Iterable[DigestRecord] = (),
    ) -> None:
        self.place, self.recorded, self.stop = place, recorded, stop
        #: The name of a held message -> the digest that told of it last.
        self._digests = {
            name: each for each in sorted(digests, key=lambda each: each.time) for name in each.held
        }
        self._readings = None if readings is None else list(readings)
        self.all = sorted(notices, key=lambda each: each.time)
        self._exempted: dict[str, list[Exempted]] = {}
        for each in sorted(exempted, key=lambda each: each.time):
            self._exempted.setdefault(each.user.unique_id, []).append(each)
        self._by_user: dict[str, list[Notice]] = {}
        self._announced: dict[str, dict[str, Notice]] = {}
        for notice in self.all:
            for user in notice.users:
                self._by_user.setdefault(user.unique_id, []).append(notice)
                if notice.step == ANNOUNCED and not user.is_key:
                    self._announced.setdefault(user.arn, {})[user.unique_id] = notice

    @classmethod
    def read(
        cls,
        store: Store,
        account_id: str,
        now: datetime,
        broken: Callable[[str], object] | None = None,
        *,
        checked: bool = True,
    ) -> Notices:
        """All notices of an account: two lists, and one read for each file that is new or changed for this process.

        Raises NoticesUnreadable. ``broken``: called with the fault of a file, which is then left out; only for messages
        on which no deletion rests. ``checked``: whether messages must have left their queue.
        """
        own, exempt = directories(account_id)
        records = NoticeRecords(store, broken)
        sent, stops = records.read(own, lambda content: parse_record(content, account_id, now))
        found, _ = records.read(exempt, lambda content: parse_exempted(content, account_id))
        exempted = (each for its in found for each in its)
        notices = (each for each in sent if isinstance(each, Notice))
        readings = (each for each in sent if isinstance(each, QueueReading)) if checked else None
        digests = (each for each in sent if isinstance(each, DigestRecord))
        first_stop = next(iter(stops), "")
        return cls(notices, store.place(account_id), exempted, bool(found), first_stop, readings, digests)

    def delivery(self, notice: Notice, now: datetime) -> Delivery:
        """What is known of the message of ``notice``. An unchecked one counts as gone from its queue.

        A held one waits for a digest, and then counts as that digest.
        """
        sent, queue = notice.time, notice.queue
        if notice.held:
            digest = self._digests.get(notice.held)
            if digest is None:
                expires = notice.time + HELD_FOR
                return Delivery(WAITING if now < expires else EXPIRED, expires, HELD)
            sent = digest.time
        if self._readings is None or not queue:
            return Delivery(LEFT, sent)
        return delivery.delivery_of(sent, queue, self._readings, now)

    def digest_of(self, notice: Notice) -> DigestRecord | None:
        """The digest that sent the message of ``notice``; None if the policy sent it, or it is still held."""
        return self._digests.get(notice.held)

    def told_at(self, notice: Notice) -> datetime:
        """When its message was sent, by the policy or by a digest; when it was held, if none has sent it yet."""
        digest = self.digest_of(notice)
        return digest.time if digest else notice.time

    def held(self, now: datetime) -> list[Notice]:
        """Those whose message a digest can still send."""
        return [each for each in self.all if each.held and self._is_held(each, WAITING, now)]

    def never_told(self, now: datetime) -> list[Notice]:
        """Those whose message was held for a digest that never came, if no later one was held for their users."""
        return [
            each
            for each in self.all
            if each.held
            and self._is_held(each, EXPIRED, now)
            and (now - each.time).days <= LAPSE_DAYS
            and not all(self.replaced(each, user.unique_id) for user in each.users)
        ]

    def _is_held(self, notice: Notice, state: str, now: datetime) -> bool:
        found = self.delivery(notice, now)
        return (found.state, found.why) == (state, HELD)

    def awaits(self, queue: str, now: datetime) -> bool:
        """Whether a reading of ``queue`` (its URL) can still say that a message has left it."""
        found = (self.delivery(each, now) for each in self.all if each.queue == queue)
        return any(each.state == WAITING for each in found)

    def require_records(self) -> None:
        """Raises NoticesUnreadable if users or keys are announced, and no record says who was exempt then."""
        if not self.recorded and any(notice.step == ANNOUNCED for notice in self.all):
            raise NoticesUnreadable(
                f"{self.place} has announcements, but no record of exempt users, which is written before them to "
                f"{DIRECTORY}/ beside it: somebody removed it. Bring it back, or move the announcements away, so "
                "that their users are announced anew"
            )

    def about(self, unique_id: str) -> Sequence[Notice]:
        """The messages about a user or an access key, the oldest first."""
        return self._by_user.get(unique_id, ())

    def announcement(self, unique_id: str, now: datetime) -> Notice | None:
        """The latest announcement, if it has not lapsed, and its message can't have expired unread; else None.

        None also if the user was exempt after it. Its owner relies on the day it was told last.
        """
        found = self._last_announcement(unique_id, now)
        return found if found and self._counts(found, now) else None

    def expired(self, unique_id: str, now: datetime) -> Notice | None:
        """The announcement that would count, if its message could not have expired unread."""
        found = self._last_announcement(unique_id, now)
        return None if found is None or self._counts(found, now) else found

    def _last_announcement(self, unique_id: str, now: datetime) -> Notice | None:
        today = now.astimezone(timezone.utc).date()
        found = [each for each in self._by_user.get(unique_id, ()) if each.step == ANNOUNCED]
        if not found or (today - found[-1].day).days > LAPSE_DAYS:
            return None
        lost = self.exemption(unique_id)
        return found[-1] if lost is None or found[-1].time > lost.time else None

    def announcements(self, unique_id: str) -> list[tuple[datetime, Notice]]:
        """All announcements of a user or key, each with the time when it was told, in that order."""
        its = (each for each in self.about(unique_id) if each.step == ANNOUNCED)
        sent = ((self.told_at(each), each) for each in its if not each.held or self.digest_of(each))
        return sorted(sent, key=itemgetter(0))

    def exemption(self, unique_id: str) -> Exempted | None:
        """When, and by which rule, the user was last exempt as far as is recorded."""
        return next(reversed(self._exempted.get(unique_id, ())), None)

    def unrecorded(self, exempt: Iterable[tuple[Subject, ExemptionRule]], now: datetime) -> list[Exempted]:
        """The records to write about users that are exempt ``now``: those without one since their last message.

        Each user has one, whatever other rules protect it: in any case it must be announced again.
        """
        found = dict[str, Exempted]()
        for user, rule in exempt:
            if user.unique_id in found:
                continue
            since = max((each.time for each in self._by_user.get(user.unique_id, ())), default=None)
            last = self.exemption(user.unique_id)
            if last is None or (since is not None and last.time < since):
                # the clock of whoever announced it may be ahead
                found[user.unique_id] = Exempted.by(rule, user, now if since is None else max(now, since))
        return list(found.values())

    def of_namesake(self, user: Subject) -> Notice | None:
        """The latest announcement of another user that had the ARN of ``user``; None if there is none."""
        found = self._announced.get(user.arn, {}).items()
        others = [notice for unique_id, notice in found if unique_id != user.unique_id]
        return max(others, key=lambda each: each.time, default=None)

    def has(self, unique_id: str, step: str, since: datetime, now: datetime) -> bool:
        """Whether a message of ``step`` was sent about the user at ``since`` or later, and can't have expired."""
        return bool(self.times(unique_id, step, since, now))

    def times(self, unique_id: str, step: str, since: datetime, now: datetime) -> list[datetime]:
        """When messages of ``step`` were sent about the user, at ``since`` or later, that can't have expired."""
        return [
            each.time
            for each in self._by_user.get(unique_id, ())
            if each.step == step and each.time >= since and self._counts(each, now)
        ]

    def _counts(self, notice: Notice, now: datetime) -> bool:
        """Whether somebody was told: what may have expired unread told nobody, and is sent anew."""
        return self.delivery(notice, now).state != EXPIRED

    def replaced(self, notice: Notice, unique_id: str) -> bool:
        """Whether the user needs ``notice`` no more: it was announced or informed anew since, or exempt.

        Each policy itself reports what became of it, also for an exempt user.
        """
        informs, lost = notice.step == INFORMED, self.exemption(unique_id)
        if lost and lost.time > notice.time and not informs:
            return True
        return any(
            each.time > notice.time
            and (
                (each.step, each.policy) == (notice.step, notice.policy)
                or (each.step == ANNOUNCED and not informs)
            )
            for each in self._by_user.get(unique_id, ())
        )

    def named(self, name: str) -> list[tuple[Subject, Notice]]:
        """The messages about each user that had this name, in upper or lower case; each user's oldest first."""
        return self._by_name.get(name.casefold(), [])

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[Subject, Notice]]]:
        found = defaultdict[str, list[tuple[Subject, Notice]]](list)
        for notice in self.all:
            for user in notice.users:
                found[user.name.casefold()].append((user, notice))
        return {name: sorted(its, key=lambda each: each[0].unique_id) for name, its in found.items()}

    def last(self, unique_id: str, step: str, what: str = "") -> datetime | None:
        """When a message of ``step`` (that said ``what``, if given) was last sent about the user; None if none was."""
        times = (
            each.time
            for each in self._by_user.get(unique_id, ())
            if each.step == step and (not what or each.what.get(unique_id) == what)
        )
        return max(times, default=None)

    def reports(self, unique_id: str, event: str) -> bool:
        """Whether a message about the user reports the event with this id."""
        return bool(event) and any(each.event == event for each in self._by_user.get(unique_id, ()))

    def said(self, unique_id: str, policy: str, now: datetime) -> str | None:
        """What the last message of ``policy`` to inform said of the user; None if there was none.

        A message that may have expired unread does not count.
        """
        found = (
            each
            for each in reversed(self._by_user.get(unique_id, ()))
            if each.step == INFORMED and each.policy == policy and self._counts(each, now)
        )
        last = next(found, None)
        return last.what.get(unique_id) if last else None

    def heard(self, unique_id: str, words: Collection[str], since: datetime) -> bool:
        """Whether an informing message of any policy said one of ``words`` of the user at ``since`` or later.

        Records have whole seconds.
        """
        return any(
            each.step == INFORMED
            and each.time >= since.replace(microsecond=0)
            and each.what.get(unique_id, "").partition(":")[0] in words
            for each in self._by_user.get(unique_id, ())
        )

    def was_told(self, unique_id: str, policy: str, what: str, since: datetime, now: datetime) -> bool:
        """Whether a message of ``policy`` to inform said ``what`` of the user at ``since``, nearly, or later.

        ``what``: a status without further parts, such as a time. A message that may have expired unread does not count.
        """
        return any(
            each.step == INFORMED
            and each.policy == policy
            and each.what.get(unique_id, "").partition(":")[0] == what
            and each.time >= since - CLOCKS_APART
            and self._counts(each, now)
            for each in self._by_user.get(unique_id, ())
        )

    def is_before_day(self, unique_id: str, now: datetime) -> bool:
        """Whether the user is announced for a day that is yet to come."""
        notice = self.announcement(unique_id, now)
        return notice is not None and now.astimezone(timezone.utc).date() < notice.day


def record_exempt(
    store: Store, account_id: str, exempt: Iterable[tuple[Subject, ExemptionRule]], now: datetime
) -> None:
    """Record who is exempt ``now``, where that is not known yet. Raises NoticesUnreadable, OSError."""
    notices = Notices.read(store, account_id, now, checked=False)
    notices.require_records()
    if found := notices.unrecorded(exempt, now):
        # the clock of whoever announced one of them may be ahead
        latest = max(now, *(each.time for each in found))
        store.create(exempted_place(account_id, now), as_json(account_id, latest, found))


def directories(account_id: str) -> tuple[str, str]:
    """Below the place of the notices: the directory of an account's notices, and that of its exempt users."""
    return f"{account_id}/", exempted_place(account_id)


def notice_refusal(
    notices: Notices,
    unique_id: str,
    days: float,
    now: datetime,
    *,
    before_day: bool = False,
    brownout: bool = False,
) -> Reason | None:
    """Why a user may not be touched yet, ``days`` after its owners were addressed; None if it may.

    The user is not exempt. ``before_day``: whether it may be touched before the announced day, which is that of its
    deletion. ``brownout``: whether it is for a brownout, which has a day of its own in the announcement.
    """
    notice, lost = notices.announcement(unique_id, now), notices.exemption(unique_id)
    if expired := notices.expired(unique_id, now):
        found = notices.delivery(expired, now)
        return reasons.MESSAGE_EXPIRED(sent=_sent(notices, expired), expires=found.expires, found=str(found))
    if notice is None and lost:
        return reasons.EXEMPT_SINCE_ANNOUNCED(exempt=str(lost), lost=_LOST[lost.field])
    if notice is None:
        return reasons.NOT_ANNOUNCED(place=notices.place)
    sent, today = _sent(notices, notice), now.astimezone(timezone.utc).date()
    if now < notices.told_at(notice) + timedelta(days=days):
        return reasons.ANNOUNCED_LATELY(days=days, sent=sent)
    if not before_day and today < notice.day:
        return reasons.BEFORE_ITS_DAY(sent=sent, day=notice.day)
    if reason := _before_its_day(notice, sent, today, brownout):
        return reason
    found = notices.delivery(notice, now)
    return None if found.state == LEFT else reasons.MESSAGE_WAITS(sent=sent, found=str(found))


def _before_its_day(notice: Notice, sent: str, today: date, brownout: bool) -> Reason | None:
    """Why the day of the Deny, or of the brownout, is yet to come; None if it is not."""
    if not brownout:
        waits = notice.stop and today < notice.stop
        return reasons.BEFORE_ITS_STOP(sent=sent, stop=notice.stop) if waits else None
    if notice.brownout is None:
        return reasons.BROWNOUT_NOT_ANNOUNCED(sent=sent)
    waits = today < notice.brownout
    return reasons.BEFORE_ITS_BROWNOUT(sent=sent, day=notice.brownout) if waits else None


def _sent(notices: Notices, notice: Notice) -> str:
    return f"on {notices.told_at(notice):%Y-%m-%d} to {', '.join(notice.addresses)}"
