# SPDX-License-Identifier: Apache-2.0
"""The action ``notify-owners``: c7n's ``notify``, with a record of the recipients of each message."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from c7n.actions.notify import Notify
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers.exceptions import NoticesUnreadable
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Verdict, error_code, message_of, verdict_on
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.notices import exempted
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices, record_exempt
from c7n_iamusers.notices.stock_rows import action_text, is_for_stock, plain, rows
from c7n_iamusers.notices.templates import misspelt, template_fault
from c7n_iamusers.plugins import policy_checks
from c7n_iamusers.plugins.identity_center import require_keys
from c7n_iamusers.plugins.messages import (
    Announce,
    Created,
    Due,
    Inform,
    Remind,
    Step,
    chosen_by_others,
    for_mailer,
    in_parts,
    shortened,
)
from c7n_iamusers.plugins.provisioning_settings import EMAIL_DOMAINS
from c7n_iamusers.plugins.resources import annotate, by_risk, for_message, subject_of
from c7n_iamusers.plugins.run_outputs import NOTICES, fail_at_the_end, notices_store, visible_errors
from c7n_iamusers.text.wording import is_address, quoted, visible, visible_log

Resource = dict[str, Any]


#: The steps that announce nothing: what became of users; and who created a credential, or removed our Deny.
INFORM, CREATED = "inform", "created"


_TEXT, _FLAG = {"type": "string"}, {"type": "boolean"}
#: What c7n-mailer reads of an action (c7n_mailer/*_delivery.py, utils*.py, msg-templates/), and ``notify`` leaves open.
_OF_MAILER = {
    "slack_template": _TEXT,
    "slack_msg_color": _TEXT,
    "action_desc": _TEXT,
    "violation_desc": _TEXT,
    "template_format": {"enum": ["html", "plain"]},
    "priority_header": {"enum": [*range(1, 6), *map(str, range(1, 6))]},
    "resource_ldap_lookup_username": _FLAG,
    "email_ldap_username_manager": _FLAG,
}
#: What the templates of this package read.
_OF_TEMPLATES = {"account-name": _TEXT, "contact": _TEXT, "start-url": _TEXT}


def notify_schema(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of ``notify`` for an action ``name`` with ``options`` of its own, closed: other keys are refused.

    The example of ``notify`` has a ``region`` under ``transport``. It is allowed, and c7n does not read it.
    """
    schema: dict[str, Any] = copy.deepcopy(Notify.schema)
    schema["properties"] |= {"type": {"enum": [name]}, **_OF_MAILER, **_OF_TEMPLATES, **options}
    for transport in schema["properties"]["transport"]["oneOf"]:
        transport["properties"]["region"] = _TEXT
        transport["additionalProperties"] = False
    return {**schema, "additionalProperties": False}


def _schema() -> dict[str, Any]:
    number = {"minimum": 0, "maximum": policy_checks.LARGEST}
    options = {
        "notices": NOTICES,
        "step": {"enum": ["announce", "remind", INFORM, CREATED]},
        "days": policy_checks.or_variable({"type": "integer", **number}),
        "email-domains": EMAIL_DOMAINS,
        "quarantined-for": policy_checks.or_variable({"type": "number", **number}),
    }
    schema = notify_schema("notify-owners", options)
    informing = {"properties": {"step": {"enum": [INFORM]}}}
    schema["anyOf"] = [
        {"required": [*each["required"], "notices", "step", *days], **further}
        for each in schema["anyOf"]
        for days, further in ((["days"], {}), ([], informing))
    ]
    return schema


_NOBODY = (
    "notify-owners has no e-mail address in to: (those that c7n-mailer looks up later are not known here): give one, "
    'such as "{owner}" with a var owner of each account in accounts.yml'
)


#: Room for the attributes of a message, which count too.
_ATTRIBUTES = 256


class _AllResources:
    """Takes the place of c7n's buffer, which sends a message before it knows how many there will be."""

    full = False

    def __init__(self, envelope: dict[str, Any], size: int) -> None:
        self.resources: list[Resource] = []

    def add(self, resource: Resource) -> None:
        """Add a resource to the message."""
        self.resources.append(resource)

    def __len__(self) -> int:
        return len(self.resources)


class RecordedNotify(Notify):  # type: ignore[misc]  # c7n is untyped
    """``notify`` with a record of each message beside the notices."""

    log = visible_log("custodian.actions")
    message_buffer_class = _AllResources
    _store: Store
    _unrecorded: list[str]

    def validate(self) -> Any:
        """Raises PolicyValidationError where a template is misspelt: c7n-mailer would send an empty message."""
        if fault := misspelt(self.data):
            raise PolicyValidationError(f"policy {self.policy_name}: {self.type}: {fault}")
        return super().validate()

    def record(self, notice: Notice) -> None:
        """Write the record of a message that was sent, or remember that it can't be written."""
        names, to = ", ".join(each.name for each in notice.users), ", ".join(notice.addresses)
        try:
            self._store.create(notice.name, notice.as_json())
        except OSError as error:
            self._unrecorded.append(
                f"a message about {names} was sent to {to} (message {notice.message_id}), but "
                f"{self._store.place(notice.name)} can't be written: {error}; a later run may send it again"
            )
            return
        for user in notice.users:
            what = notice.what.get(user.unique_id) or notice.day
            self.log.info("%s: %s: %s to %s", user, notice.step, what, to)

    def expand_variables(self, message: dict[str, Any]) -> dict[str, Any]:
        """The action as c7n-mailer may evaluate it. Raises PolicyExecutionError where it may not."""
        given: dict[str, Any] = super().expand_variables(message)
        if fault := template_fault(given):
            where = self.where(message["account_id"])
            raise PolicyExecutionError(f"{where}: {self.type}: {fault}. Nobody was addressed")
        action, refused = for_mailer(given)
        for each in refused:
            fault = "it is not one e-mail address, nor a recipient that nobody else chooses"
            self.log.warning("%s: %s gets no message: %s", self.type, each, fault)
        return action

    def pack(self, message: dict[str, Any]) -> str:
        """``message`` as c7n-mailer reads it. The account's alias is text that somebody chose.

        For c7n-mailer's own templates, which show every key of the resources, these are flat.
        """
        action, resources = message["action"], message["resources"]
        if is_for_stock(action):
            resources = rows(resources, action)
        told = {"account": visible(str(message.get("account") or "")), "resources": resources}
        packed: str = super().pack({**message, **told})
        return packed

    def get_permissions(self) -> tuple[str, ...]:
        """What sending needs, by the session of ``assume_role``, and what the policy's own session needs."""
        return (*super().get_permissions(), "iam:ListAccountAliases")

    def fits(self, content: str) -> bool:
        """Whether the packed ``content`` fits a message."""
        return len(content) + _ATTRIBUTES <= int(self.buffer_max_size)

    @property
    def policy_name(self) -> str:
        """The policy's name."""
        return str(self.manager.data.get("name"))

    def prepare_resources(self, resources: list[Resource]) -> list[Resource]:
        """What the message has of ``resources``, which stay whole for later actions."""
        prepared: list[Resource] = super().prepare_resources(for_message(resources, self.data))
        return prepared

    @contextmanager
    def refused(self, account_id: str) -> Iterator[None]:
        """Raises PolicyExecutionError for notices that can't be read or written."""
        try:
            yield
        except (OSError, NoticesUnreadable) as error:
            raise PolicyExecutionError(
                f"{self.where(account_id)}: the notices can't be read and written: {error}. Nobody was addressed: "
                f"make {self.data['notices']} readable and writable for the runner, or correct notices, and run again"
            ) from error

    def where(self, account_id: str) -> str:
        """The policy and the account, for messages."""
        return f"policy {self.policy_name}: account {account_id}"


class NotifyOwners(RecordedNotify):
    """Sends what ``notify`` sends, and records for each user the recipients, the time, and the day of its deletion.

    c7n-mailer delivers later, elsewhere, and does not report errors, so the record proves that a message with these
    addresses entered the queue, and not that it arrived. ``composite-delete`` and ``quarantine`` with ``noticed`` read
    it.

    ``step: announce`` with ``days: 30`` announces the users that have no announcement yet, for the day in thirty days
    (UTC). An announcement counts until 90 days after its day. ``step: remind`` with ``days: 7`` reminds, once, of the
    users whose announced day is seven days ahead or less. Other users are left out. The resources have
    ``c7n:IamUser`` -> ``notice`` (``day``, ``announced``, ``was-exempt``, and ``came-back`` if another user of the name
    was announced before) for the template.

    ``quarantined-for: 14`` is for the template, which says that credentials stop working 14 days before the day of the
    deletion. The record of an announcement keeps that day, and the action ``quarantine`` waits for it.

    ``step: inform``, which has no ``days``, says what became of the users, by the actions and filters of the policy:
    who was deleted, failed or was left alone, who has access through Identity Center, as whom somebody still calls AWS.
    It says so once: a user is in a message if that differs from what the last message of the same policy said of it. Of
    users that were left alone the kind of the reason counts, and those whose announced day is yet to come are left out.
    Without anything new no message is sent. Put it after the other actions. It is also sent where they failed, and its
    own errors, such as nobody to address, end the policy together with theirs.

    ``step: created`` addresses the owners right after a user or credential was created, replaced or activated, or our
    Deny was removed from a user. In ``mode: cloudtrail`` the event says so, and ``c7n:IamUser`` -> ``created`` has the
    call, its caller, time and address. The caller is addressed too, if the name of the role session or IAM user is an
    e-mail address of one of the ``email-domains``; by default no caller is, since callers choose the name of their
    session. A call that removed our Deny is reported although a Deny is there again, and then says so. Where the call
    does not say whether it did, a user that is denied everything has kept it, and is left out. In other modes, ``days:
    2`` leaves out users that were not created, and got no credential, in the last two days, or of which a message was
    sent since. No event is reported twice. A record there that can't be read is logged and left out, since a message
    too many is better than none. This step announces nothing: no user is deleted because of it. Give it notices of its
    own: where a Lambda function in each account writes them, let no deletion depend on them.

    ``notices`` is a directory, or ``s3://BUCKET/PREFIX``, that all steps share. Each message is a file there
    (``<account id>/<time>-<step>-<digest>.json``) by the session of Cloud Custodian itself, with a conditional put.
    Anybody who can write there can forge a notice: let only the runner's role write. A file ``STOP`` there stops the
    destructive actions of the whole organization before their next user, within 30 seconds, and so does any name that
    begins with it in any case; in an account's directory, those of this account.

    Without ``subject`` the mail's subject is ``payments: 12 IAM users are to be deleted on 2026-12-26``, with
    ``account-name``, or else the account's alias or id; that of ``inform`` is ``payments: 10 IAM users deleted, 2 left
    alone on 2026-12-26``. A ``subject`` of yours is plain text with variables: braces become parentheses, since
    c7n-mailer evaluates subjects as templates, and an account's name can hold one.

    With a template of this package a message has only what the template needs, and room for more than a thousand users.
    Where it has to be split, each part says which one it is, and how many users there are in all. Users with findings
    of high severity come first. c7n-mailer's own templates get flat rows. ``violation_desc`` and ``action_desc`` say
    what happens, when, and whom to ask, unless the policy states them. A misspelt template of this package is refused.

    Which users are exempt, and by which rule, is recorded too, in ``exempt/`` below ``notices``, except by ``step:
    created``. A user that was exempt after its announcement, and is not any more, is not deleted by that announcement,
    whatever became of the rule: it is announced again, and the mail says so. Where there are announcements and no
    record of who was exempt, which is written before them, nobody is addressed, quarantined or deleted: somebody
    removed it.

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

    schema = _schema()
    schema_alias = False
    #: Whose owners have to be addressed, and no message about them was sent yet.
    _due_users: list[Due]
    _step: Step

    def validate(self) -> NotifyOwners:
        """Raises PolicyValidationError if the policy states no exemptions or no recipients."""
        policy_checks.check_options(self)
        days = () if self._informs else ("days",)
        require_keys(self.manager, self.type, self.data, ("notices", "step", *days, "transport"))
        if self._informs and "days" in self.data:
            raise PolicyValidationError(
                f"policy {self.policy_name}: {self.type}: step: {INFORM} is for no day: remove days"
            )
        super().validate()
        policy_checks.check_numbers(self, PolicyValidationError)
        policy_checks.require_exemptions(self.manager, self.type)
        policy_checks.require_bounded(self.manager)
        policy_checks.validate_lambda_packaging(self.manager)
        if not policy_checks.is_pull(self.manager) and not str(self.data["notices"]).startswith(
            ("s3://", "{")
        ):
            raise PolicyValidationError(
                f"policy {self.policy_name}: {self.type}: the notices {self.data['notices']} do not outlive a run in "
                "AWS Lambda: name s3://BUCKET/PREFIX"
            )
        if "to_from" not in self.data and not any(map(_may_be_address, self.data.get("to", ()))):
            raise PolicyValidationError(
                f"policy {self.policy_name}: {_NOBODY}; to is {quoted(self.data.get('to', []))}"
            )
        addressed = (*self.data.get("to", ()), *self.data.get("cc", ()))
        if "resource-owner" in addressed and "email-domains" not in self.data:
            raise PolicyValidationError(
                f"policy {self.policy_name}: {self.type}: resource-owner writes to addresses in tags, which many "
                "people can set: limit them by email-domains: [YOUR DOMAIN]"
            )
        if others := [each for each in addressed if chosen_by_others(each)]:
            raise PolicyValidationError(
                f"policy {self.policy_name}: {self.type}: {', '.join(others)}: whoever makes a call or writes a tag "
                "chooses that recipient: name one, or address callers by step: created with email-domains"
            )
        return self

    @visible_errors
    def process(self, resources: list[Resource], event: Any = None) -> None:
        """Send a message about the users whose owners have to be addressed, and record it.

        Raises PolicyExecutionError, before anything is sent, if the notices can't be read or written, or there is no
        recipient; and at the end if a message that was sent could not be recorded. With ``step: inform`` the policy
        ends with that error after its other actions.
        """
        if not policy_checks.acts_on(self, resources) or not resources:
            return
        self._step = self._make_step(event)
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
            if due:
                self._prepare_records(account_id, now, notices)
        for each in due:
            for key, value in each.annotation.items():
                annotate(each.resource, key, value)
        if not due and self.data["step"] in (INFORM, CREATED):
            self.log.info("%s: account %s: nothing new, no message is sent", self.type, account_id)
        self._due_users, self._unrecorded = due, list[str]()
        if due:
            # The annotation has what a message needs of a call, and not all that CloudTrail records.
            super().process([each.resource for each in due], None if self.data["step"] == CREATED else event)
        if self._unrecorded:
            raise PolicyExecutionError(f"{self.where(account_id)}: {'; '.join(self._unrecorded)}")

    def _read(self, account_id: str, now: datetime) -> Notices:
        if self.data["step"] == CREATED:
            # where nothing is announced, a message too many is better than none
            return Notices.read(self._store, account_id, now, self._leave_out)
        notices = Notices.read(self._store, account_id, now)
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
        if self.data["step"] == CREATED:
            return
        account_id, now = exempt[0][0].account_id, utc_now()
        store = notices_store(self.manager, self.data["notices"])
        with self.refused(account_id):
            record_exempt(store, account_id, exempt, now)

    def expand_variables(self, message: dict[str, Any]) -> dict[str, Any]:
        """The action as c7n-mailer gets it. Raises PolicyExecutionError where it has no e-mail address."""
        action: dict[str, Any] = super().expand_variables(message)
        if self._step.creator:
            action["to"] = [*action.get("to", ()), self._step.creator]
        self._addresses = tuple(each for each in action.get("to", ()) if is_address(each))
        if not self._addresses:
            users = ", ".join(map(str, self._due_users))
            said = f". {self._step.missed}: {users}" if self._step.missed else ""
            raise PolicyExecutionError(f"{self.where(message['account_id'])}: {_NOBODY}{said}")
        return action

    def consume_buffer(self, message: dict[str, Any], rbuffer: _AllResources) -> None:
        """Send all users, in as many messages as they need, and record each message."""
        users = self._fitting(message, rbuffer.resources)
        parts = in_parts(users, lambda part: self._fits(message, part, users)) if users else []
        packed = [self._content(message, part, at, len(parts), users) for at, part in enumerate(parts, 1)]
        for part, content in zip(parts, packed, strict=True):
            receipt = self._sent(message, content)
            self._due_users = self._due_users[len(part) :]
            now, by_day = utc_now(), dict[date, list[Due]]()
            for each in part:
                # the run may have begun on the day before
                by_day.setdefault(max(each.day, now.date()), []).append(each)
            for day, found in by_day.items():
                subjects = tuple(subject_of(each.resource) for each in found)
                what = {str(each.resource["UserId"]): each.news for each in found if each.news}
                head = (subjects[0].account_id, self._step.name, now, day, self._addresses)
                more = (what, self._step.event, self._stop(day))
                self.record(Notice(*head, receipt, self.policy_name, subjects, *more))

    def _sent(self, message: dict[str, Any], content: str) -> str:
        """The id of the message in the queue. Raises PolicyExecutionError where AWS does not say that it is there."""
        try:
            return str(self.send_data_message(message, content))
        except (ClientError, BotoCoreError, ResponseParserError, KeyError) as error:
            # c7n takes the id out of the answer: a KeyError is an answer that is not one of AWS.
            refused = not isinstance(error, KeyError) and verdict_on(error) is Verdict.REFUSED
            what = "the message was not sent" if refused else "no answer says whether the message was sent"
            raise PolicyExecutionError(
                f"{self.where(message['account_id'])}: {what}, so nothing is recorded and the next run sends it: "
                f"{error_code(error)}: {message_of(error)}"
            ) from error

    def _content(
        self, message: dict[str, Any], part: Sequence[Due], at: int, parts: int, users: Sequence[Due]
    ) -> str:
        """One part of the message about ``users``, packed as c7n-mailer reads it."""
        action = {**message["action"], "part": at, "parts": parts, "users": len(users)}
        name = str(action.get("account-name") or message.get("account") or message["account_id"])
        # c7n-mailer sends each owner that it finds in a tag only that owner's users
        counted = "resource-owner" not in (*action["to"], *action.get("cc", ()))
        subject = self._step.subject(name, users, counted, at, parts)
        action.setdefault("subject", subject)
        action.setdefault("violation_desc", plain(f"{subject} (AWS account {message['account_id']})"))
        action.setdefault("action_desc", action_text(self.data["step"], action))
        found: str = self.pack({**message, "action": action, "resources": [each.resource for each in part]})
        return found

    def _fitting(self, message: dict[str, Any], resources: Sequence[Resource]) -> list[Due]:
        """The users whose owners are to be addressed, each with what a message has of it.

        A user that fills a message by itself is shortened. One that does not fit even so is left out, and the policy
        ends with its name once the others' owners are addressed.
        """
        users = [replace(each, resource=sent) for sent, each in zip(resources, self._due_users, strict=True)]
        if self._fits(message, users, users):
            return users
        short = [each if self._fits(message, [each], users) else shortened(each) for each in users]
        fit = [
            each is user or self._fits(message, [each], users)
            for each, user in zip(short, users, strict=True)
        ]
        self._due_users = [each for each, fits in zip(self._due_users, fit, strict=True) if fits]
        if left := [str(each) for each, fits in zip(users, fit, strict=True) if not fits]:
            self._unrecorded.append(
                f"{', '.join(left)} does not fit a message of {self.buffer_max_size} bytes, even shortened: use the "
                "template iam-users-flagged.html, which needs less of a user. Its owners were not addressed"
            )
        return [each for each, fits in zip(short, fit, strict=True) if fits]

    def _fits(self, message: dict[str, Any], part: Sequence[Due], users: Sequence[Due]) -> bool:
        return self.fits(self._content(message, part, 1, len(users), users))

    def _stop(self, day: date) -> date | None:
        """The day on which credentials stop working, as the message about users of ``day`` says."""
        held = self.data.get("quarantined-for") if isinstance(self._step, (Announce, Remind)) else None
        return None if held is None else day - timedelta(days=held)

    @property
    def _informs(self) -> bool:
        return bool(self.data.get("step") == INFORM)

    def _make_step(self, event: Any) -> Step:
        if self._informs:
            return Inform(self.policy_name)
        policy_checks.check_numbers(self, PolicyExecutionError)
        step, days = self.data["step"], self.data["days"]
        if step == CREATED:
            return Created(days, event, self.data.get("email-domains", ()))
        return Announce(days) if step == "announce" else Remind(days)


def _may_be_address(text: str) -> bool:
    """An address, or a variable that Cloud Custodian has not filled in yet."""
    return is_address(text) or "{" in text
