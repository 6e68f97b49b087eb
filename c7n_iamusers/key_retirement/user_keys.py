# SPDX-License-Identifier: Apache-2.0
"""Parking one access key of a user, giving it back, and deleting it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

from c7n_iamusers import defaults, reasons
from c7n_iamusers.evidence.key_findings import KeyCriteria, live_keys
from c7n_iamusers.exceptions import GateClosed, IamUsersError, NotRestorable, ReadingOutdated, UserReplaced
from c7n_iamusers.execution.calls import ApiCall, Plan, Subject
from c7n_iamusers.execution.executor import Applied, Run, SubjectGone
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.journaled_call import FAILED as REFUSED
from c7n_iamusers.execution.outcomes import (
    ACTIVATED,
    DEACTIVATED,
    FAILED,
    RETIRED,
    SKIPPED,
    UNCHANGED,
    failure_reason,
)
from c7n_iamusers.iam.attachments import ACCESS_KEY, ACTIVE
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import KeyUse, key_shows, list_kind, read_key_use
from c7n_iamusers.key_retirement import key_history
from c7n_iamusers.key_retirement.key_history import KeyHistory, Parking
from c7n_iamusers.lockout.applied_calls import UNANSWERED
from c7n_iamusers.lockout.journal_lines import LAPSED
from c7n_iamusers.reasons import Reason
from c7n_iamusers.safeguards import user_identity
from c7n_iamusers.safeguards.gate_readings import AskedOfUser, NoteExempt, before_first_change, note_nobody
from c7n_iamusers.safeguards.live_recheck import Recheck, no_recheck
from c7n_iamusers.safeguards.reasons_to_spare import (
    Guards,
    compromised,
    exempting_rule,
    gates_refusal,
    identity_refusal,
    left_alone,
    managed_refusal,
    used_within,
)
from c7n_iamusers.snapshots.user_records import RecordedUser, UserRecords

#: How often a user is read again that became outdated while gates were read.
_READS = 3
#: How often a key is read until AWS shows its change.
_READS_BACK = 5


@dataclass(frozen=True)
class _Turn:
    """One key's turn: ``user`` as read at ``began``, ``item``: the key in it, ``uses``: of all its keys."""

    key: Subject
    user: IamUser
    item: Item
    uses: Sequence[KeyUse]
    applied: Applied
    guards: Callable[[], Guards]
    began: float
    recorded: RecordedUser
    history: KeyHistory

    @property
    def use(self) -> KeyUse:
        """The last use of the key."""
        return next(each for each in self.uses if each.key_id == self.key.unique_id)

    @property
    def active(self) -> bool:
        """Whether AWS shows the key as active."""
        return bool(self.item.get("Status") == ACTIVE)

    @property
    def parking(self) -> Parking | None:
        """Since when, and why, we have parked it; None if we have not, or somebody activated it."""
        parking = self.history.parking
        return None if self.active or (parking and parking.seen_active) else parking

    def others_active(self) -> bool:
        """Whether the user has another active key."""
        keys = self.user.attachments[ACCESS_KEY.name]
        return any(
            each["AccessKeyId"] != self.key.unique_id and each.get("Status") == ACTIVE for each in keys
        )


@dataclass(frozen=True)
class UserKeys:
    """Changes access keys of ``users`` in ``run``, for ``policy`` and ``reason``. ``users``: key id -> its user.

    ``guards``: asked anew for each key, right before its change; see Gates. ``recheck``: why the policy's filter no
    longer selects the user of a key. ``criteria``: what the filters ask of a key.
    ``parked_for``: days, before a parked key is deleted. ``include_last``: also a user's last active key that is in
    use. ``include_compromised``, ``adopt``: see the action ``activate``. ``note_exempt``: records that the user was
    exempt, which voids the announcement of the key. ``noted``: key id -> what else people are told of a changed key.
    """

    run: Run
    records: UserRecords
    users: Mapping[str, Subject]
    guards: Callable[[], Guards]
    policy: str
    reason: str = ""
    recheck: Recheck = no_recheck
    criteria: Sequence[KeyCriteria] = ()
    parked_for: float = 0
    include_last: bool = False
    include_compromised: bool = False
    adopt: bool = False
    now: Callable[[], datetime] = utc_now
    note_exempt: NoteExempt = note_nobody
    noted: Mapping[str, Reason] = field(default_factory=dict)

    def deactivate(self, key: Subject, applied: Applied) -> tuple[str, Reason]:
        """Park one key. Returns status and reason. Raises CallFailed, ClientError or an IamUsersError."""
        return self._turn(key, applied, self._deactivate)

    def activate(self, key: Subject, applied: Applied) -> tuple[str, Reason]:
        """Give back one key that we parked. Returns and raises as ``deactivate``."""
        return self._turn(key, applied, self._activate)

    def retire(self, key: Subject, applied: Applied) -> tuple[str, Reason]:
        """Delete one key that we parked. Returns and raises as ``deactivate``."""
        return self._turn(key, applied, self._retire)

    def _turn(
        self, key: Subject, applied: Applied, change: Callable[[_Turn], tuple[str, Reason]]
    ) -> tuple[str, Reason]:
        evidence = self.users[key.unique_id]
        self.guards()  # under a STOP file, users are not even read
        for remaining in reversed(range(_READS)):
            # a key that a lost call of an earlier attempt did not change is judged like any other
            guards = AskedOfUser(self.guards, applied, applied.calls)
            try:
                return self._once(key, applied, guards, change)
            except SubjectGone:
                return user_identity.absent(self.run, evidence, applied)
            except UserReplaced as error:
                return FAILED, user_identity.handle_replacement(self.run, error, evidence, applied)
            except ReadingOutdated:
                if not remaining:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _once(
        self,
        key: Subject,
        applied: Applied,
        guards: Callable[[], Guards],
        change: Callable[[_Turn], tuple[str, Reason]],
    ) -> tuple[str, Reason]:
        """One attempt, on the user as it is now. Raises SubjectGone, UserReplaced or ReadingOutdated, too."""
        began = self.run.backoff.clock()
        user = LiveUsers(self.run.client, 1, self.run.backoff).read_fully(key.name)
        if user is None:
            raise SubjectGone
        if refused := identity_refusal(self.users[key.unique_id], user, self.run.callers):
            return SKIPPED, refused
        held = {str(each["AccessKeyId"]): each for each in user.attachments[ACCESS_KEY.name]}
        uses = read_key_use(self.run.client, user, self.run.backoff) if key.unique_id in held else ()
        if key.unique_id not in {each.key_id for each in uses}:
            return _gone(applied)
        lines, recorded = self.records.recent(key), self.records.find(user)
        history = key_history.key_history(key, lines, applied.made, self.now())
        history = key_history.with_user(history, key, self.records.recent(user.subject))
        turn = _Turn(key, user, held[key.unique_id], uses, applied, guards, began, recorded, history)
        if seen := key_history.contradiction(history, key.unique_id, turn.active, self.now()):
            self.run.journal.write(key, LAPSED, **seen)
        try:
            return self._noted(turn, change(turn))
        except (GateClosed, NotRestorable) as error:
            return self._noted(turn, _spared(turn, error))

    def _noted(self, turn: _Turn, outcome: tuple[str, Reason]) -> tuple[str, Reason]:
        """``outcome``, once the exemption of the key's user, if any, is recorded. It stays if none can be read.

        A key that a call may have changed is not left alone: its outcome is a failure, which later runs settle.
        """
        status, reason = outcome
        outcome = (FAILED if status == SKIPPED and turn.applied.changed else status), reason
        try:
            rules = turn.guards().rules
        except IamUsersError:
            return outcome
        if rule := exempting_rule(turn.user, rules, self.now()):
            self.note_exempt([(turn.key, rule)])
        return outcome

    def _deactivate(self, turn: _Turn) -> tuple[str, Reason]:
        if turn.parking and turn.applied.changed:
            return DEACTIVATED, reasons.KEY_NOT_PROVEN_OURS(since=turn.parking.since)
        if reason := self._refusal(turn):
            stays = reasons.KEY_STAYS_PARKED(since=turn.parking.since) if turn.parking else None
            return left_alone(reason), reason.and_also(stays)
        if turn.parking:
            return UNCHANGED, reasons.KEY_PARKED(since=turn.parking.since)
        if not turn.active:
            return UNCHANGED, reasons.KEY_INACTIVE_BEFORE()
        if reason := self._not_again(turn) or self._not_selected(turn) or self._last(turn, turn.use.at):
            return left_alone(reason), reason
        plan = key_history.park(turn.user.subject, turn.use, self.policy, self.reason)
        if unseen := self._applied(turn, plan):
            return FAILED, unseen
        certain = turn.applied.ended(plan.calls[-1].operation) not in UNANSWERED
        proven, unproven = reasons.KEY_COMES_BACK(), reasons.KEY_NOT_PROVEN_OURS(since=self.now())
        return DEACTIVATED, (proven if certain else unproven).and_also(self.noted.get(turn.key.unique_id))

    def _activate(self, turn: _Turn) -> tuple[str, Reason]:
        user, parking = turn.user, turn.history.parking
        if turn.active:
            changed = turn.applied.changed
            return (ACTIVATED, reasons.DONE) if changed else (UNCHANGED, reasons.KEY_ACTIVE())
        if not self.include_compromised and (reason := compromised(user)):
            return SKIPPED, reason
        if parking is None:
            return FAILED, reasons.KEY_NOT_PARKED()
        if reason := self._of_denied(turn):
            return FAILED, reason
        if not self.adopt and not parking.certain:
            return FAILED, reasons.KEY_NOT_PROVEN_OURS(since=parking.since)
        if not self.adopt and (reason := _seen_active(parking) or _used_since(turn, parking)):
            return FAILED, reason
        if unseen := self._applied(turn, key_history.give_back(user.subject, turn.key.unique_id)):
            return FAILED, unseen
        return ACTIVATED, reasons.KEY_WAS_PARKED(since=parking.since, policy=parking.policy or "-")

    def _retire(self, turn: _Turn) -> tuple[str, Reason]:
        if reason := self._refusal(turn):
            return left_alone(reason), reason
        parking = turn.history.parking
        if turn.active:
            kind = reasons.KEY_ACTIVATED_SINCE if parking else reasons.KEY_NOT_PARKED
            reason = kind(since=parking.since) if parking else kind()
            return SKIPPED, reason
        if parking is None:
            return SKIPPED, reasons.KEY_NOT_PARKED()
        if (
            reason := self._not_selected(turn)
            or self._too_soon(turn, parking)
            or self._last(turn, parking.used, parking.since)
            or managed_refusal(turn.key, turn.user, turn.guards())
        ):
            return SKIPPED, reason
        if unseen := self._applied(turn, key_history.retire(turn.user.subject, turn.key.unique_id, parking)):
            return FAILED, unseen
        parked = reasons.KEY_WAS_PARKED(since=parking.since, policy=parking.policy or "-")
        return RETIRED, parked.and_also(self.noted.get(turn.key.unique_id))

    def _too_soon(self, turn: _Turn, parking: Parking) -> Reason | None:
        """Why an inactive key is not deleted; None if it was inactive all the time since ``parking``, unused."""
        if not parking.certain:
            return reasons.KEY_NOT_PROVEN_OURS(since=parking.since)
        if not turn.history.parked:
            return reasons.KEY_GIVEN_BACK(since=turn.history.changed)
        if reason := _seen_active(parking):
            return reason
        if self.now() - parking.since < timedelta(days=self.parked_for):
            return reasons.KEY_PARKED_TOO_SHORT(days=self.parked_for, since=parking.since)
        return _used_since(turn, parking)

    def _applied(self, turn: _Turn, plan: Plan) -> Reason | None:
        """Apply ``plan``. Returns what AWS does not show of it; None if it shows all.

        Raises SubjectGone, and ReadingOutdated if the key is not as it was read.
        """
        turn.recorded.require_whole(False)
        self.records.keep(turn.recorded)
        run, user, applied, (call,) = self.run, turn.user, turn.applied, plan.calls
        ask = applied.ask = before_first_change(
            turn.key, user, turn.guards, turn.began, run.backoff.clock, self.now
        )
        is_there = user_identity.identity_check(
            run.client, run.backoff, self.users[turn.key.unique_id], user, plan, applied
        )

        def identify() -> bool:
            if not is_there():
                return False
            if not self._shows(turn, call, applied):
                ask()  # also if a lost call of an earlier attempt may have changed it
                self._require_as_read(turn)
            return True

        run.executor.apply(plan, applied, identify)
        for delay in islice(run.backoff.delays(), _READS_BACK):  # IAM is eventually consistent
            if not is_there():
                raise SubjectGone
            if self._shows(turn, call, applied):
                return None
            run.backoff.sleep(delay)
        return reasons.KEY_CHANGE_NOT_SHOWN(key=turn.key, calls=call.permission)

    def _shows(self, turn: _Turn, call: ApiCall, applied: Applied) -> bool:
        """Whether ``call`` may have been applied, and IAM shows its effect on the key now."""
        client, backoff = self.run.client, self.run.backoff
        return applied.tried(call) and key_shows(client, backoff, turn.key, call.operation, call.parameters)

    def _require_as_read(self, turn: _Turn) -> None:
        """Raises ReadingOutdated unless the user's keys have the status, and the key the last use, that were read."""
        run, user = self.run, turn.user
        alone = replace(user, attachments={ACCESS_KEY.name: (turn.item,)})
        if turn.use in read_key_use(run.client, alone, run.backoff):
            held = list_kind(run.client, user.name, ACCESS_KEY, run.backoff)
            if _statuses(held) == _statuses(user.attachments[ACCESS_KEY.name]):
                return
        raise ReadingOutdated(reasons.KEY_CHANGED_MEANWHILE(key=turn.key))

    def _refusal(self, turn: _Turn) -> Reason | None:
        """Why the key is left alone; None if it may be parked or deleted."""
        guards, user = turn.guards(), turn.user
        active = used_within(turn.use.at, guards.active_within, self.now())
        return (
            (None if guards.include_compromised else compromised(user))
            or gates_refusal(turn.key, user, guards, self.now())
            or self._of_denied(turn)
            or (reasons.ACTIVE(days=guards.active_within, use=_use_of(turn)) if active else None)
            or self.recheck(user, turn.uses)
        )

    def _of_denied(self, turn: _Turn) -> Reason | None:
        """Why the key of a user that is denied everything, or is being deleted or restored, is left alone."""
        found = turn.recorded
        if found.quarantine or found.broken or found.begun or found.foreign or found.restoring:
            return reasons.KEY_OF_DENIED_USER(user=turn.user.subject)
        return None

    def _not_again(self, turn: _Turn) -> Reason | None:
        """Why a key that came back is not parked again; None if it was announced since, or never parked."""
        changed = turn.history.changed
        if changed is None:
            return None
        guards = turn.guards()
        told = (
            guards.notices.announcement(turn.key.unique_id, self.now())
            if guards.noticed is not None
            else None
        )
        if told and guards.notices.told_at(told) >= changed.replace(microsecond=0):  # as records have it
            return None
        kind = reasons.KEY_ACTIVATED_SINCE if turn.history.parked else reasons.KEY_GIVEN_BACK
        return kind(since=changed)

    def _not_selected(self, turn: _Turn) -> Reason | None:
        """Why the policy's filter no longer selects the key, by its use now."""
        now = self.now()
        keys = live_keys(turn.user.attachments[ACCESS_KEY.name], turn.uses, now)
        key = next(each for each in keys if each.key_id == turn.key.unique_id)
        why = next(filter(None, (each.left_out_by(key, keys, now) for each in self.criteria)), "")
        return reasons.KEY_NO_LONGER_SELECTED(why=why) if why else None

    def _last(self, turn: _Turn, used: datetime | None, at: datetime | None = None) -> Reason | None:
        """Why the last active key of a program in use is left alone. ``used``: its last use by ``at`` (now)."""
        if self.include_last or turn.others_active():
            return None
        return last_key_in_use(used, at or self.now())


def last_key_in_use(used: datetime | None, at: datetime) -> Reason | None:
    """Why a user's last active key, ``used`` then, is left alone as of ``at``; None if it is not in use."""
    in_use = used_within(used, defaults.LAST_KEY_USED_WITHIN, at)
    return reasons.LAST_KEY_IN_USE(used=used) if in_use else None


def _statuses(keys: Iterable[Item]) -> dict[str, str]:
    return {str(each["AccessKeyId"]): str(each.get("Status")) for each in keys}


def _gone(applied: Applied) -> tuple[str, Reason]:
    """The outcome of a key that its user does not have any more."""
    if any(call.operation == "DeleteAccessKey" and result != REFUSED for call, result in applied.made):
        return RETIRED, reasons.DONE
    return SKIPPED, reasons.KEY_GONE()


def _spared(turn: _Turn, why: GateClosed | NotRestorable) -> tuple[str, Reason]:
    reason = failure_reason(turn.key, why)
    return (FAILED if turn.applied.changed else left_alone(reason)), reason


def _used_since(turn: _Turn, parking: Parking) -> Reason | None:
    """Why the key may have been in use after it was parked, or right before; None if its last use is as it was then."""
    used = turn.use.at.replace(microsecond=0) if turn.use.at else None  # as the record has it
    if used == parking.used:
        return None
    return reasons.KEY_USED_SINCE_PARKED(since=parking.since, use=_use_of(turn))


def _seen_active(parking: Parking) -> Reason | None:
    """Why a key that a run saw active under its ``parking`` is not ours any more; None if no run did."""
    if parking.seen_active is None:
        return None
    return reasons.KEY_SEEN_ACTIVE(since=parking.since, seen=parking.seen_active)


def _use_of(turn: _Turn) -> str:
    use = turn.use
    where = f" for {use.service} in {use.region}" if use.service not in ("", "N/A") else ""
    return f"used on {use.at:%Y-%m-%d %H:%M} UTC{where}" if use.at else "its last use is not shown any more"
