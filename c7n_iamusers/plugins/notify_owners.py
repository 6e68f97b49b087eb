# SPDX-License-Identifier: Apache-2.0
"""The action ``notify-owners``: c7n's ``notify``, with a record of the addresses (``to``) of each message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers.exceptions import NoticesUnreadable
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.notices import exempted
from c7n_iamusers.notices.held import COMMAND
from c7n_iamusers.notices.mailer_texts import in_parts, part_of
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices, record_exempt
from c7n_iamusers.notices.stock_rows import OVERDUE, action_text, plain
from c7n_iamusers.plugins import forecasts, notice_options, policy_checks, second_contacts
from c7n_iamusers.plugins.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.plugins.message_contents import by_risk
from c7n_iamusers.plugins.notice_options import AT_ONCE, TOLD_AFTER, make_step
from c7n_iamusers.plugins.notice_steps import Announce, Due, Inform, Remind, Step, shortened
from c7n_iamusers.plugins.overdue_step import Overdue
from c7n_iamusers.plugins.recipients import NOBODY, recipients_fault
from c7n_iamusers.plugins.recorded_notify import AllResources, RecordedNotify
from c7n_iamusers.plugins.resources import Resource, annotate, subject_of
from c7n_iamusers.plugins.run_news import news_on_record
from c7n_iamusers.plugins.run_outputs import (
    fail_at_the_end,
    fail_even_if_idle,
    notices_store,
    visible_errors,
)
from c7n_iamusers.text.addresses import is_address
from c7n_iamusers.text.wording import shown

_UNSENT = (PolicyExecutionError, NoticesUnreadable, OSError, ValueError, ClientError, BotoCoreError)


class NotifyOwners(RecordedNotify):
    """Sends what ``notify`` sends, and records for each user the recipients, the time, and the day of its deletion.

    c7n-mailer delivers later, elsewhere, and does not report errors. So the record proves that a message with these
    addresses entered the queue, but not that it arrived. ``composite-delete`` and ``quarantine`` with ``noticed`` read
    it.

    ``step: announce`` with ``days: 30`` announces the users that have no announcement yet, for the day in thirty days
    (UTC). An announcement counts until 90 days after its day. ``step: remind`` with ``days: 7`` reminds, once, of the
    users whose announced day is seven days ahead or less; with ``again: 1`` once more, a day ahead, in the message of
    that run. Other users are left out. The resources have
    ``c7n:IamUser`` -> ``notice`` (``day``, ``announced``, ``was-exempt``, and ``came-back`` if another user of the name
    was announced before) for the template.

    ``quarantined-for: 14`` says that users are denied everything 14 days before the day of the deletion. The record of
    an announcement keeps that day, and the action ``quarantine`` waits for it.

    Both steps predict how the later steps decide on each user if nothing changes until then: whether it is denied and
    deleted, is in use, or needs a replacement first. They use the conditions of these steps, so give them the same
    ``active-within`` (30 days by default), ``trusted-by-role`` and ``require`` (``provisioned`` by default), and the
    filter ``identity-center`` with ``state: any``. Without it no person counts as replaced.

    ``brownout-after: 9`` announces a brownout on or after the ninth day, and records that. ``quarantine`` with
    ``brownout`` waits for that day, and leaves a user alone without such an announcement.

    ``step: denied``, which has no ``days``, says whose access the policy has just stopped, since when, until when it
    can be given back, and how. Put it after ``quarantine``. ``quarantined-for``: days under the Deny before the
    deletion. With ``step: inform`` about access keys, the days for which a key must be inactive before its deletion.

    ``step: overdue``, which has no ``days``, says which users are still spared after their announced day, since they
    are in use or lack a replacement: a message ``every: 7`` days, numbered; after ``escalate-after: 4`` messages also
    to ``escalate-to``: addresses, ``alternate-contact:OPERATIONS`` of the account, or ``tag:KEY`` of each user; the
    last two need ``email-domains``. If one is missing or can't be read, the others get the message and the policy ends
    with an error. Being overdue deletes nothing. It takes the options of the later steps.

    ``step: inform``, which has no ``days``, says what became of the users, by the actions and filters of the policy:
    who was deleted, failed or was left alone, who has access through Identity Center, who still calls AWS. It says so
    once: a user is in a message if the last message of the same policy said something else of it. For users that were
    left alone only the kind of the reason counts, and those whose announced day is yet to come are left out. Without
    anything new no message is sent. Put it after the other actions. It is sent even if they failed, and its own errors,
    such as nobody to address, end the policy together with theirs.

    ``of: [iam-users-delete, iam-users-delete-people]``, of the steps ``inform`` and ``denied``, says in one message
    what these policies did, by their outcomes in the same output. Put it into a policy that comes after them and
    selects nobody, and leave ``notify-owners`` out of theirs. What could not be told is told by a later run.

    ``step: created`` addresses the owners right after a user or credential was created, replaced or activated, or our
    Deny was removed from a user. In ``mode: cloudtrail`` the event says so, and ``c7n:IamUser`` -> ``created`` has the
    call, its caller, time and address. The caller is addressed too, if the name of the role session or IAM user is an
    e-mail address of one of the ``email-domains``; by default no caller is, since callers choose the name of their
    session. A call that removed our Deny is reported even if a Deny is there again; the message says so. If the call
    does not say whether it did, a user that is still denied everything is left out. In other modes, ``days: 2`` leaves
    out users that were not created, and got no credential, in the last two days, or about which a message was sent
    since. No event is reported twice. A record there that can't be read is logged and left out, since a message too
    many is better than none. This step announces nothing: no user is deleted because of it. Give it notices of its own:
    where a Lambda function in each account writes them, let no deletion depend on them.

    ``step: used``, which has no ``days``, says that somebody signed in or called AWS as a user that the filter
    ``alarm`` selects: by the event of CloudTrail, or, in other modes, by the filter ``attempts``. Each sign-in is told;
    of other calls, and of sign-ins that failed, the first, and then one an hour. No event is told twice.

    ``notices`` is a directory, or ``s3://BUCKET/PREFIX``, that all steps share. Each message is a file there
    (``<account id>/<time>-<step>-<digest>.json``) by the session of Cloud Custodian itself, with a conditional put.
    Anybody who can write there can forge a notice: let only the runner's role write. A file ``STOP`` there stops the
    destructive actions of the whole organization before their next user, within 30 seconds, and so does any name that
    begins with it in any case; in an account's directory, those of this account.

    Without ``subject`` the mail's subject is ``payments: 12 IAM users are to be deleted on 2026-12-26, 7 in use``, with
    ``account-name``, or else the account's alias or id; that of ``inform`` is ``payments: 10 IAM users deleted, 2 left
    alone on 2026-12-26``. A ``subject`` of yours is plain text with variables: braces become parentheses, since
    c7n-mailer evaluates subjects as templates, and an account's name can hold one.

    With a template of this package a message has only what the template needs, and room for more than a thousand users.
    Where it has to be split, each part says which one it is, and how many users there are in all. Users with findings
    of high severity come first. c7n-mailer's own templates get flat rows. ``violation_desc`` and ``action_desc`` say
    what happens, when, and whom to ask, unless the policy states them. A misspelt template of this package is refused.

    Which users are exempt, and by which rule, is recorded too, in ``exempt/`` below ``notices``, except by ``step:
    created``. A user that was exempt after its announcement, and is not any more, is not deleted by that announcement,
    whatever became of the rule: it is announced again, and the mail says so. The record of who was exempt is written
    before any announcement. If only the record is missing, somebody removed it: nobody is addressed, quarantined or
    deleted.

    Each run counts what is in the queue before it sends, and while a message may still be there, and records that
    beside the notices. An announcement counts once its message has left the queue before it could expire: two readings
    a minute or more apart found no message visible, in flight or delayed, and none more in the dead-letter queue. Where
    other policies keep the queue busy, CloudWatch's age of the oldest message shows it, too. So run the policy daily,
    and give these policies a queue of their own. What may have expired unread is announced, or told, anew. This takes
    ``sqs:GetQueueAttributes`` on both queues and ``cloudwatch:GetMetricStatistics``. ``delivery: unchecked`` waives it.

    An earlier run may not have told what it did: it was killed, the queue refused the message, or the message may have
    expired unread. The next run of the policy with the same output tells that first, by ``outcomes.json`` and the
    notices. If it can't, it ends with an error.

    ``digest: true`` sends nothing: the message is held beside the notices, in ``held/``, and ``c7n-iamusers digest``
    sends one to each owner over all its accounts. Run it within twelve hours after the policy: until it is sent, nobody
    is told and no announcement counts. What was not sent is held anew by the next run, which ends with an error.

    The options are those of ``notify``, of c7n-mailer, and those here; others are refused. What else a template of your
    own needs goes into ``metadata`` of the policy, which is part of the message.

    ``to`` needs at least one e-mail address, literally or from a variable: who gets a mail by ``account-emails`` or
    ``resource-owner`` is not known here, since c7n-mailer looks that up later. Without an address no user is announced
    and the policy ends with an error. ``resource-owner`` needs ``email-domains``: addresses of other domains in tags
    get no mail. A message that was sent and could not be recorded is sent again by the next run.

    The policy must have the filter ``unnecessary`` at its top level with its exemptions.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-announce
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
                exempt-from: policies/exemptions.csv
            actions:
              - type: notify-owners
                notices: notices
                step: announce
                days: 30
                template: iam-users-flagged.html
                to: [payments-owners@example.com]
                account-name: payments
                transport:
                  type: sqs
                  queue: https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer
                assume_role: false
    """

    schema = notice_options.schema()
    schema_alias = False
    #: The users about whom a message is still to be sent.
    _due_users: list[Due]
    _step: Step

    def validate(self) -> NotifyOwners:
        """Raises PolicyValidationError if the policy states no exemptions or no recipients."""
        policy_checks.check_options(self)
        notice_options.require_days(self)
        super().validate()
        policy_checks.check_numbers(self, PolicyValidationError)
        notice_options.check_steps(self)
        policy_checks.require_bounded(self.manager)
        validate_lambda_packaging(self.manager)
        lasting = str(self.data["notices"]).startswith(("s3://", "{"))
        if not lasting and not policy_checks.is_pull(self.manager):
            raise PolicyValidationError(
                f"policy {self.policy_name}: {self.type}: the notices {self.data['notices']} do not outlive a run in "
                "AWS Lambda: name s3://BUCKET/PREFIX"
            )
        if fault := recipients_fault(self.data):
            raise PolicyValidationError(f"policy {self.policy_name}: {fault}")
        return self

    def get_permissions(self) -> tuple[str, ...]:
        """See RecordedNotify. Looking up a second contact is allowed in the account itself."""
        return (*super().get_permissions(), *second_contacts.permissions(self.data))

    @property
    def queue(self) -> str:
        """See RecordedNotify. Empty for steps that report at once."""
        return "" if self.data.get("step") in AT_ONCE else super().queue

    def send_owed(self) -> None:
        """Tell owners what earlier runs did to users and did not tell, even if no user is selected now.

        The source calls it at the beginning of each run. What can't be sent stays owed and stops nothing else; the
        policy ends with that error.
        """
        account_id, now = str(self.manager.config.account_id), utc_now()
        try:
            if self.data["step"] in AT_ONCE or policy_checks.idle_region(self.manager):
                return
            notices, late = self.owes(now)
            self._require_digest(notices, now)
            self.note_counts(account_id, notices, now, sending=bool(late))
            if late:
                self._send_late(late)
        except _UNSENT as error:
            text = str(error).removeprefix(f"policy {self.policy_name}: ")
            fault = f"{self.type}: account {account_id}: owners can't be told what they are owed: {text}"
            self.log.error("%s", fault)
            if policy_checks.is_pull(self.manager):
                fail_even_if_idle(self.manager, self.type, fault)

    def _require_digest(self, notices: Notices, now: datetime) -> None:
        """End the policy with an error if a held message was never sent. It is held anew all the same."""
        missed = [each for each in notices.never_told(now) if each.policy == self.policy_name]
        if missed:
            account_id, since = self.manager.config.account_id, missed[0].time
            names = shown(sorted({user.name for each in missed for user in each.users}))
            fault = (
                f"{self.type}: account {account_id}: nobody was told of {names}: what was held since "
                f"{since:%Y-%m-%d %H:%M} UTC was not sent within twelve hours. It is held anew: run {COMMAND} after "
                "the policies"
            )
            self.log.error("%s", fault)
            fail_even_if_idle(self.manager, self.type, fault)

    def owes(self, now: datetime) -> tuple[Notices, list[Due]]:
        """The notices, and what earlier runs did to users and did not tell; with ``of``, also what this run did.

        Raises as reading either does.
        """
        self._store = notices_store(self.manager, self.data["notices"])
        account_id = str(self.manager.config.account_id)
        notices = Notices.read(self._store, account_id, now, checked=bool(self.queue))
        step = make_step(self, None) if self._informs else None
        if not isinstance(step, Inform):
            return notices, []
        return notices, news_on_record(self.manager, self._tells_of, notices, step, now)

    def _send_late(self, late: Sequence[Due]) -> None:
        self._step, self._addresses, self._unrecorded = make_step(self, None), (), list[str]()
        self._due_users = [*late]
        if not self._tells_of:
            named = ", ".join(map(str, late))
            self.log.warning("%s: an earlier run did not tell owners of: %s", self.type, named)
        self._annotate(late)
        super().process([due_user.resource for due_user in self._due_users], None)
        if self._unrecorded:
            raise PolicyExecutionError("; ".join(self._unrecorded))

    @visible_errors
    def process(self, resources: list[Resource], event: Any = None) -> None:
        """Send a message about the users whose owners have to be addressed, and record it.

        Raises PolicyExecutionError, before anything is sent, if the notices can't be read or written, or there is no
        recipient; and at the end if a message that was sent could not be recorded. With ``step: inform`` the policy
        ends with that error after its other actions.
        """
        if not policy_checks.acts_on(self, resources) or not resources or self._tells_of:
            return
        self._step = make_step(self, event)
        if not isinstance(self._step, Inform):
            self._process(resources, event)
            return
        self._due_users = self._step.every(resources, utc_now())
        try:
            self._process(resources, event)
        except (PolicyExecutionError, ClientError, BotoCoreError) as error:
            left = ", ".join(map(str, self._due_users))
            text = str(error).removeprefix(f"policy {self.policy_name}: ")
            fault = f"{self.type}: {text}" + (f". Nobody was told of: {left}" if left else "")
            fail_at_the_end(self.manager, self.type, (), [fault])

    def _process(self, resources: list[Resource], event: Any) -> None:
        account_id, now = subject_of(resources[0]).account_id, utc_now()
        self._store, self._addresses = notices_store(self.manager, self.data["notices"]), ()
        with self.refused(account_id):
            notices = self._read(account_id, now)
            due = self._step.due(by_risk(resources), notices, now)
            if isinstance(self._step, Announce | Remind | Overdue):
                due = self._step.told_of(forecasts.foreseen(self, self._step, due, notices, now))
            if due:
                self._prepare_records(account_id, now, notices)
            self.note_counts(account_id, notices, now, sending=bool(due))
        self._annotate(due)
        if not due and self.data["step"] in (*TOLD_AFTER, OVERDUE, *AT_ONCE):
            self.log.info("%s: account %s: nothing new, no message is sent", self.type, account_id)
        self._due_users, self._unrecorded = due, list[str]()
        if isinstance(self._step, Overdue) and self._step.late:
            further, self._unrecorded = second_contacts.looked_up(self, self._step.late)
            self._step.also = (*self._step.also, *further)
        if due:
            # The annotation has what a message needs of a call, and not all that CloudTrail records.
            super().process([user.resource for user in due], None if self.data["step"] in AT_ONCE else event)
        if self._unrecorded:
            raise PolicyExecutionError(f"{self.where(account_id)}: {'; '.join(self._unrecorded)}")

    def _annotate(self, due: Sequence[Due]) -> None:
        for user in due:
            for key, value in user.annotation.items():
                annotate(user.resource, key, value)

    def _read(self, account_id: str, now: datetime) -> Notices:
        if self.data["step"] in AT_ONCE:
            # where nothing is announced, a message too many is better than none
            return Notices.read(self._store, account_id, now, self._leave_out)
        notices = Notices.read(self._store, account_id, now, checked=bool(self.queue))
        notices.require_records()
        return notices

    def _prepare_records(self, account_id: str, now: datetime, notices: Notices) -> None:
        """What is written before a message: a probe; and before announcements, that nobody was exempt."""
        self._store.replace(f"{account_id}/.writable", now.isoformat().encode())
        if self._step.name == ANNOUNCED and not notices.recorded:
            self._store.create(exempted.place_of(account_id, now), exempted.as_json(account_id, now, ()))

    def _leave_out(self, fault: str) -> None:
        self.log.error("%s: %s. It is left out, so a message may be sent again", self.type, fault)

    def note_exempt(self, exempt: Sequence[tuple[Subject, ExemptionRule]]) -> None:
        """Record who is exempt by which rule. Raises PolicyExecutionError where that can't be read or written."""
        if self.data["step"] in AT_ONCE:
            return
        account_id, now = exempt[0][0].account_id, utc_now()
        store = notices_store(self.manager, self.data["notices"])
        with self.refused(account_id):
            record_exempt(store, account_id, exempt, now)

    def expand_variables(self, message: dict[str, Any]) -> dict[str, Any]:
        """The action as c7n-mailer gets it. Raises PolicyExecutionError where it has no e-mail address."""
        action: dict[str, Any] = super().expand_variables(message)
        if further := [*filter(None, [self._step.creator]), *self._step.also]:
            action["to"] = [*action.get("to", ()), *further]
        self._addresses = tuple(address for address in action.get("to", ()) if is_address(address))
        if not self._addresses:
            users = ", ".join(map(str, self._due_users))
            said = f". {self._step.missed}: {users}" if self._step.missed else ""
            raise PolicyExecutionError(f"{self.where(message['account_id'])}: {NOBODY}{said}")
        return action

    def consume_buffer(self, message: dict[str, Any], rbuffer: AllResources) -> None:
        """Send all users, in as many messages as they need, and record each message; or hold them for a digest."""
        if self.data.get("digest"):
            held = self.hold(message, rbuffer.resources)
            pairs = zip(rbuffer.resources, self._due_users, strict=True)
            self._record_part([replace(due, resource=sent) for sent, due in pairs], "", held)
            for each in self._due_users:
                annotate(each.resource, "sent-by", COMMAND)
            self._due_users = []
            return
        users = self._fitting(message, rbuffer.resources)
        parts = in_parts(users, lambda part: self._fits(message, part, users)) if users else []
        packed = [self._content(message, part, at, len(parts), users) for at, part in enumerate(parts, 1)]
        failed, left = list[PolicyExecutionError](), list[Due]()
        for part, content in zip(parts, packed, strict=True):
            try:
                receipt = self.sent(message, content)
            except PolicyExecutionError as error:  # the other messages are sent all the same
                failed.append(error)
                left += part
            else:
                self._record_part(part, receipt)
        self._due_users = left
        if failed:
            raise failed[0]

    def _record_part(self, part: Sequence[Due], receipt: str, held: str = "") -> None:
        now, by_day = utc_now(), dict[tuple[str, date], list[Due]]()
        for user in part:
            # the run may have begun on the day before
            step, day = user.step or self._step.name, max(user.day, now.date())
            by_day.setdefault((step, day), []).append(user)
        for (step, day), users in by_day.items():
            subjects = tuple(subject_of(user.resource) for user in users)
            what = {subject_of(user.resource).unique_id: user.news for user in users if user.news}
            head = (subjects[0].account_id, step, now, day, self._addresses)
            more = (what, self._step.event, self._step.stop(day), self.queue, self._step.brownout(now))
            evidence = self._step.evidence([user.resource for user in users])
            self.record(Notice(*head, receipt, self.policy_name, subjects, *more, evidence, held))

    def _content(
        self, message: dict[str, Any], part: Sequence[Due], at: int, parts: int, users: Sequence[Due]
    ) -> str:
        """One part of the message about ``users``, packed as c7n-mailer reads it."""
        action = {**message["action"], "part": at, "parts": parts, "users": len(users)}
        name = str(action.get("account-name") or message.get("account") or message["account_id"])
        # c7n-mailer sends each owner that it finds in a tag only that owner's users
        counted = "resource-owner" not in (*action["to"], *action.get("cc", ()))
        subject = f"{self._step.subject(name, users, counted)}{part_of(at, parts)}"
        action.setdefault("subject", subject)
        action.setdefault("violation_desc", plain(f"{subject} (AWS account {message['account_id']})"))
        keys = subject_of(users[0].resource).is_key
        action.setdefault("action_desc", action_text(self.data["step"], action, keys=keys))
        packed: str = self.pack({**message, "action": action, "resources": [user.resource for user in part]})
        return packed

    def _fitting(self, message: dict[str, Any], resources: Sequence[Resource]) -> list[Due]:
        """The users whose owners are to be addressed, each with what a message has of it.

        A user that fills a message by itself is shortened. One that does not fit even so is left out, and the policy
        ends with its name once the others' owners are addressed.
        """
        users = [replace(due, resource=sent) for sent, due in zip(resources, self._due_users, strict=True)]
        if self._fits(message, users, users):
            return users
        forms = [self._fitted(message, user, users) for user in users]
        self._due_users = [due for due, form in zip(self._due_users, forms, strict=True) if form]
        if left := [str(user) for user, form in zip(users, forms, strict=True) if form is None]:
            self._unrecorded.append(
                f"{', '.join(left)} does not fit a message of {self.buffer_max_size} bytes, even shortened: use the "
                "template iam-users-flagged.html, which needs less of a user. Its owners were not addressed"
            )
        return [form for form in forms if form]

    def _fitted(self, message: dict[str, Any], user: Due, users: Sequence[Due]) -> Due | None:
        return next((form for form in (user, shortened(user)) if self._fits(message, [form], users)), None)

    def _fits(self, message: dict[str, Any], part: Sequence[Due], users: Sequence[Due]) -> bool:
        return self.fits(self._content(message, part, 1, len(users), users))

    @property
    def _informs(self) -> bool:
        return self.data.get("step") in TOLD_AFTER

    @property
    def _tells_of(self) -> Sequence[str]:
        """The policies whose outcomes the message tells; none if it tells its own policy's."""
        found: Sequence[str] = self.data.get("of", ())
        return found
