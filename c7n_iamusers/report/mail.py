# SPDX-License-Identifier: Apache-2.0
"""What a report says of mails: those that may not have left their queue, and what owners were not told. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.notices.delivery import EXPIRED, HELD, LEFT, ONCE, Delivery
from c7n_iamusers.notices.notices import ANNOUNCED, INFORMED, LAPSE_DAYS, Notice, Notices
from c7n_iamusers.notices.owed import merged, owed
from c7n_iamusers.report.outputs import ANNOUNCE, RAN, Mail, PolicyOutput
from c7n_iamusers.report.users import began
from c7n_iamusers.text.wording import counted, shown

BLOCKING, KIND = "blocking", "mail"
#: The step of messages that say what became of users.
INFORM = "inform"
#: A message that is in the queue for longer is a problem. A second reading of an empty queue may be due a day later.
_PATIENCE, _PATIENCE_ONCE = timedelta(days=1), timedelta(days=2)
#: What becomes of messages that may have expired, by their step.
_ANEW = {ANNOUNCED: "announcements do not count and are sent anew"}
_NEWS_ANEW = "they told nobody, and the next run of their policy sends anew what still holds"
#: The account and the place of its notices.
Place = tuple[str, str]
Row = dict[str, Any]


@dataclass(frozen=True)
class MailReport:
    """``needs``: lines of the check, which block. ``remarks``: what may still become well, in words."""

    needs: tuple[Row, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass
class _Group:
    """Messages of one queue with the same known state. ``delivery``: of the oldest."""

    delivery: Delivery
    oldest: Notice
    sent: int = 0
    users: int = 0
    accounts: dict[str, None] = field(default_factory=dict)


def places_of(outputs: Iterable[PolicyOutput]) -> dict[Place, bool]:
    """Where there may be notices -> whether there must be some: a policy announced, or rests on it, and selected users.

    A dry run records nothing, and stands where a run before it did.
    """
    found: dict[Place, bool] = {}
    for output in outputs:
        for mail in output.mails if output.account else ():
            must = (mail.step == ANNOUNCE or mail.rests) and bool(output.selected) and not output.dry_run
            key = (output.account, mail.notices)
            found[key] = found.get(key, False) or must
    return found


def mail_report(
    outputs: Sequence[PolicyOutput],
    notices: Mapping[Place, Notices],
    faults: Mapping[Place, str],
    names: Mapping[str, str],
    gone: Collection[tuple[str, str]],
    now: datetime,
) -> MailReport:
    """``notices``: what could be read of ``places_of``. ``faults``: why not. ``names``: of accounts, by their ids.

    ``gone``: the account and unique id of each user that is not there any more.
    """
    needs = [*_unreadable(faults, names), *_not_told(outputs, notices, names, now)]
    remarks = []
    needing = _Needing(gone, _latest_runs(outputs), now)
    for (_, late), group in sorted(
        _groups(notices, needing, now).items(), key=lambda each: each[1].oldest.time
    ):
        if late:
            (account,) = group.accounts
            needs.append(_need("not known to have left the queue", _sentence(group, names), account, names))
        else:
            remarks.append(f"on their way: {_on_their_way(group, names)}")
    return MailReport(tuple(needs), tuple(remarks))


def _need(what: str, why: str, account: str, names: Mapping[str, str]) -> Row:
    who = {"account": account, "name": names.get(account, ""), "user": "", "unique_id": ""}
    return {"level": BLOCKING, "kind": KIND, **who, "what": what, "why": why}


def _unreadable(faults: Mapping[Place, str], names: Mapping[str, str]) -> Iterator[Row]:
    for (account, _), fault in faults.items():
        yield _need("what owners were told is not known", fault, account, names)


def _not_told(
    outputs: Iterable[PolicyOutput],
    notices: Mapping[Place, Notices],
    names: Mapping[str, str],
    now: datetime,
) -> Iterator[Row]:
    """What policies did to users and never told their owners, in one line for each policy and account.

    A policy's latest run, even a dry one, says where it tells them; its outcomes may lie elsewhere, and stay.
    """
    rows: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    places: dict[tuple[str, str], list[Mail]] = {}
    for output in sorted(outputs, key=began):
        key = (output.policy, output.account)
        rows[key] += output.rows
        if of_policy := [each for each in output.mails if each.step == INFORM]:
            places[key] = of_policy
    for (policy, account), mails in places.items():
        users = {
            each.user.unique_id: each
            for mail in mails
            if (known := notices.get((account, mail.notices))) is not None
            for each in owed(_rows_told(rows, policy, account, mail), known, policy, now)
        }
        if users:
            since = min(each.time for each in users.values())
            told = shown([f"{each.user.name} ({each.status})" for each in users.values()])
            changed = " or ".join(next((mail.of for mail in mails if mail.of), (policy,)))
            why = (
                f"{len(users)} users that {changed} changed since {since:%Y-%m-%d %H:%M} UTC: {told}: run {policy} "
                "again with the same output: it tells their owner before it goes on"
            )
            yield _need("owners not told", why, account, names)


def _rows_told(
    rows: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]], policy: str, account: str, mail: Mail
) -> Sequence[Mapping[str, Any]]:
    """The outcomes that the ``mail`` of ``policy`` tells."""
    if not mail.of:
        return rows[policy, account]
    return merged(row for other in mail.of for row in rows.get((other, account), ()))


def _latest_runs(outputs: Iterable[PolicyOutput]) -> dict[tuple[str, str], datetime]:
    """Account and policy -> when its latest run without errors began."""
    ran = [each for each in outputs if each.state == RAN and each.time and not each.dry_run]
    return {(each.account, each.policy): began(each) for each in sorted(ran, key=began)}


@dataclass(frozen=True)
class _Needing:
    """Which users need a message that may have expired. ``gone``: as ``mail_report`` has it. ``ran``: as
    ``_latest_runs`` does.
    """

    gone: Collection[tuple[str, str]]
    ran: Mapping[tuple[str, str], datetime]
    now: datetime

    def __call__(self, notice: Notice, expired: datetime, its: Notices) -> list[Subject]:
        """Nobody once ``notice`` is so old that an announcement would have lapsed.

        Messages that announce nothing were sent anew by the policy's next run, as far as they still held.
        """
        sent_anew = notice.step != ANNOUNCED and (
            self.ran.get((notice.account_id, notice.policy), expired) > expired
        )
        if sent_anew or (self.now.date() - notice.day).days > LAPSE_DAYS:
            return []
        return [
            each
            for each in notice.users
            if not its.replaced(notice, each.unique_id)
            and (notice.step == INFORMED or (notice.account_id, each.unique_id) not in self.gone)
        ]


def _groups(
    notices: Mapping[Place, Notices], needing: _Needing, now: datetime
) -> dict[tuple[Any, bool], _Group]:
    """By what is known of the messages, and whether that is a problem."""
    found: dict[tuple[Any, bool], _Group] = {}
    for (account, _), its in notices.items():
        for notice in its.all:
            state = its.delivery(notice, now)
            expired = state.state == EXPIRED
            users = needing(notice, state.expires, its) if expired else notice.users
            if state.state == LEFT or not users:
                continue
            late = expired or now - notice.time >= (_PATIENCE_ONCE if state.why == ONCE else _PATIENCE)
            step = notice.step if expired else ""
            # what is late blocks each account by itself: nobody's notices may make it everybody's
            key = ((notice.queue, state.state, state.why, step, account if late else ""), late)
            group = found.setdefault(key, _Group(state, notice))
            if notice.time < group.oldest.time:
                group.oldest, group.delivery = notice, state
            group.sent, group.users = group.sent + 1, group.users + len(users)
            group.accounts[account] = None
    return found


def _which(group: _Group, names: Mapping[str, str]) -> str:
    """How many, of which accounts, since when."""
    of = shown([names.get(each) or each for each in group.accounts])
    about = f"{counted(group.sent, 'mail')} about {counted(group.users, 'user')} of {of}"
    return f"{about}, since {group.oldest.time:%Y-%m-%d %H:%M} UTC"


def _on_their_way(group: _Group, names: Mapping[str, str]) -> str:
    """The same of messages of which nothing is wrong yet, and from when it would be."""
    if group.delivery.why == HELD:
        return _sentence(group, names)
    patience = _PATIENCE_ONCE if group.delivery.why == ONCE else _PATIENCE
    return (
        f"{_which(group, names)}: c7n-mailer takes them out of {group.oldest.queue}, and later runs see that they have "
        f"left it; that counts as a problem from {group.oldest.time + patience:%Y-%m-%d %H:%M} UTC"
    )


def _sentence(group: _Group, names: Mapping[str, str]) -> str:
    """How many, since when, and what to do."""
    said = _which(group, names)
    if group.delivery.why == HELD:
        if group.delivery.state != EXPIRED:
            return f"{said}: {group.delivery}"
        anew = _ANEW.get(group.oldest.step, _NEWS_ANEW)
        return (
            f"{said}, were held for a digest that was not sent within twelve hours, so {anew}: run c7n-iamusers digest "
            "after the policies"
        )
    if group.delivery.state == EXPIRED:
        since = f"{group.delivery.expires:%Y-%m-%d %H:%M} UTC"
        said += f", may have expired unread since {since}, so {_ANEW.get(group.oldest.step, _NEWS_ANEW)}"
    return f"{said}, by {group.oldest.queue}: {group.delivery}"
