# SPDX-License-Identifier: Apache-2.0
"""The action ``notify-owners``: c7n's ``notify``, with a record of who was addressed about which user."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

from c7n.actions.notify import Notify
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers.evidence.credential_events import CredentialEvent, credential_event
from c7n_iamusers.exceptions import NoticesUnreadable
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.iam.deny_all import is_denied
from c7n_iamusers.notices.notices import (
    ANNOUNCED,
    CREATED,
    DENY_REMOVED,
    Notice,
    Notices,
    due_for,
    reminder,
)
from c7n_iamusers.plugins.identity_center import require_keys
from c7n_iamusers.plugins.lambda_packaging import is_pull, validate_lambda_packaging
from c7n_iamusers.plugins.numbers import check_numbers, or_variable
from c7n_iamusers.plugins.resources import ANNOTATION, annotate, subject_of
from c7n_iamusers.plugins.run_outputs import NOTICES, notices_store
from c7n_iamusers.plugins.user_action import idle_region, require_exemptions
from c7n_iamusers.text.moments import moment

Resource = dict[str, Any]


_CREATED = "created"


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = copy.deepcopy(Notify.schema)
    schema["properties"] |= {
        "type": {"enum": ["notify-owners"]},
        "notices": NOTICES,
        "step": {"enum": ["announce", "remind", _CREATED]},
        "days": or_variable({"type": "integer", "minimum": 0}),
        "email-domains": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    }
    schema["anyOf"] = [
        {"required": [*each["required"], "notices", "step", "days"]} for each in schema["anyOf"]
    ]
    return schema


class NotifyOwners(Notify):  # type: ignore[misc]  # c7n is untyped
    """Sends what ``notify`` sends, and records for each user who was addressed, when, and for which day.

    c7n-mailer delivers later, elsewhere, and swallows errors, so the record proves that a message with these addresses
    entered the queue, and not that it arrived. ``composite-delete`` and ``quarantine`` with ``noticed`` rest on it.

    ``step: announce`` with ``days: 30`` announces the users that have no announcement yet, for the day in thirty
    days (UTC); one counts until 90 days after its day. ``step: remind`` with ``days: 7`` addresses the owners of those
    whose announced day is seven days ahead or less, once. Other users are left out. The resources carry
    ``c7n:IamUser`` -> ``notice`` (``day``, ``announced``) for the template, with ``came-back`` where another user of
    the name was announced before.

    ``step: created`` addresses the owners right after a user or credential was created or activated, or our Deny was
    removed from a user. In ``mode: cloudtrail`` the event says so, and ``c7n:IamUser`` -> ``created`` has the call, its
    caller, time and address. The caller is addressed too, if the name of the role session or IAM user is an e-mail
    address of one of the ``email-domains``; by default no caller is, since callers choose the name of their session.
    A user that is still denied everything has kept its Deny, and is left out. Whether a removed permissions boundary
    was the Deny, the event does not say. In other modes, ``days: 2`` leaves out users that were not created, and got no
    credential, in the last two days, or of which a message was sent since. No event is reported twice. This step
    announces nothing: no user is deleted because of it. Give it notices of its own: where a Lambda in each account
    writes them, no deletion may rest on them.

    ``notices`` is a directory, or ``s3://BUCKET/PREFIX``, that all steps share. Each message is a file there
    (``<account id>/<time>-<step>-<digest>.json``) by the session of Cloud Custodian itself, with a conditional put.
    Whoever can write there can forge a notice: keep it to the runner's role. A file ``STOP`` there stops the
    destructive actions of the whole organization before their next user.

    ``to`` needs at least one e-mail address, literally or from a variable: what c7n-mailer looks up later
    (``account-emails``, ``resource-owner``) proves nothing. Where there is none, nobody is announced and the policy
    ends with an error. A message that was sent and could not be recorded is sent again by the next run.

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
                subject: IAM users of your AWS account are to be deleted
                to: [payments-owners@example.com]
                transport:
                  type: sqs
                  queue: https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer
                assume_role: false
    """

    schema = _schema()
    schema_alias = False

    def get_permissions(self) -> tuple[str, ...]:
        """What sending needs, by the session of ``assume_role``, and what the policy's own session needs."""
        return (*super().get_permissions(), "iam:ListAccountAliases")

    def validate(self) -> NotifyOwners:
        """Raises PolicyValidationError where the policy does not say whom it spares, or whom it addresses."""
        require_keys(self.manager, self.type, self.data, ("notices", "step", "days", "transport"))
        super().validate()
        check_numbers(self, PolicyValidationError)
        require_exemptions(self.manager, self.type)
        validate_lambda_packaging(self.manager)
        name = f"policy {self.manager.data.get('name')}: {self.type}"
        if not is_pull(self.manager) and not str(self.data["notices"]).startswith(("s3://", "{")):
            raise PolicyValidationError(
                f"{name}: the notices {self.data['notices']} do not outlive a run in AWS Lambda: name "
                "s3://BUCKET/PREFIX"
            )
        if "email-domains" in self.data and self.data["step"] != _CREATED:
            raise PolicyValidationError(
                f"{name}: email-domains limits who is addressed as the creator, and step {self.data['step']} "
                f"addresses none: leave it out, or make it step: {_CREATED}"
            )
        if "to_from" not in self.data and not any(map(_may_be_address, self.data.get("to", ()))):
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: {_NOBODY}; to is {self.data.get('to', [])!r}"
            )
        return self

    def process(self, resources: list[Resource], event: Any = None) -> None:
        """Address the owners of the users whose step it is.

        Raises PolicyExecutionError, before anything is sent, where the notices can't be read or written, or nobody can
        be addressed; and at the end where a message that was sent could not be recorded.
        """
        if idle := idle_region(self.manager):
            self.log.info("%s: %s", self.type, idle)
            return
        if not resources:
            return
        check_numbers(self, PolicyExecutionError)
        self._event = credential_event(event) if self._is_created else None
        if event and self._is_created and not self._event:
            self.log.info("%s: the event is of no call that succeeded: nobody is addressed", self.type)
            return
        account_id, now = subject_of(resources[0]).account_id, utc_now()
        self._store, self._addresses = notices_store(self.manager, self.data["notices"]), ()
        with self._refused(account_id):
            notices = Notices.read(self._store, account_id, now)
            due = self._due(resources, notices, now)
            if due:
                self._store.replace(f"{account_id}/.writable", now.isoformat().encode())
        self._annotate(due, notices)
        self._waiting, self._unrecorded = list(due), list[str]()
        if due:
            # The annotation has what the message needs of a call, and not all that CloudTrail records.
            super().process([resource for resource, _, _ in due], None if self._is_created else event)
        if self._unrecorded:
            raise PolicyExecutionError(f"{self._where(account_id)}: {'; '.join(self._unrecorded)}")

    def _annotate(self, due: Sequence[_Due], notices: Notices) -> None:
        for resource, announced, day in due:
            if self._is_created:
                annotate(resource, "created", self._event.as_data() if self._event else {})
                continue
            notice = {"announced": announced.date().isoformat(), "day": day.isoformat()}
            if former := notices.of_namesake(subject_of(resource)):
                notice["came-back"] = (
                    f"came back: a user of this name was announced on {former.time.date()} for deletion on "
                    f"{former.day}; this is another one"
                )
            annotate(resource, "notice", notice)

    def expand_variables(self, message: dict[str, Any]) -> dict[str, Any]:
        """The action as c7n-mailer gets it. Raises PolicyExecutionError where it has no e-mail address."""
        action: dict[str, Any] = super().expand_variables(message)
        if creator := self._creator():
            action["to"] = [*action.get("to", ()), creator]
        self._addresses = tuple(each for each in action.get("to", ()) if _is_address(each))
        if not self._addresses:
            users = ", ".join(resource["UserName"] for resource, _, _ in self._waiting)
            raise PolicyExecutionError(
                f"{self._where(message['account_id'])}: {_NOBODY}. Nobody was announced of: {users}"
            )
        return action

    def consume_buffer(self, message: dict[str, Any], rbuffer: Any) -> None:
        """Send what is in the buffer, and record it."""
        batch, self._waiting = self._waiting[: len(rbuffer)], self._waiting[len(rbuffer) :]
        receipt = self.send_data_message(message, rbuffer.consume())
        by_day: dict[date, list[Subject]] = {}
        for resource, _, day in batch:
            by_day.setdefault(day, []).append(subject_of(resource))
        for day, users in by_day.items():
            self._record(str(receipt), day, users)

    def _record(self, receipt: str, day: date, users: list[Subject]) -> None:
        policy, step = str(self.manager.data.get("name")), self._step
        account_id = users[0].account_id
        event = self._event.id if self._event else ""
        notice = Notice(
            account_id, step, utc_now(), day, self._addresses, receipt, policy, tuple(users), event
        )
        try:
            self._store.create(notice.name, notice.as_json())
        except OSError as error:
            names = ", ".join(each.name for each in users)
            self._unrecorded.append(
                f"the owners of {names} were addressed (message {receipt}), but {self._store.place(notice.name)} can't "
                f"be written: {error}; they are addressed again by the next run"
            )
            return
        for user in users:
            self.log.info("%s: %s: %s to %s", user, step, day, ", ".join(self._addresses))

    def _creator(self) -> str:
        """The e-mail address of who made the call, if it has one of ``email-domains``; else empty."""
        name = self._event.session if self._event else ""
        domains = [str(each).casefold() for each in self.data.get("email-domains", ())]
        return name if _is_address(name) and name.partition("@")[2].casefold() in domains else ""

    @property
    def _is_created(self) -> bool:
        return bool(self.data["step"] == _CREATED)

    @property
    def _step(self) -> str:
        if self._is_created:
            return DENY_REMOVED if self._event and self._event.removes_deny else CREATED
        return ANNOUNCED if self.data["step"] == "announce" else reminder(self.data["days"])

    def _due(self, resources: Sequence[Resource], notices: Notices, now: datetime) -> list[_Due]:
        """Each resource whose step it is, with when it was announced and for which day."""
        days, by_id = self.data["days"], {str(each["UserId"]): each for each in resources}
        if self.data["step"] == "remind":
            found = due_for(days, notices, [subject_of(each) for each in resources], now)
            return [(by_id[user.unique_id], notice.time, notice.day) for user, notice in found]
        if self._is_created:
            news = (each for each in by_id.values() if _is_news(each, self._event, notices, now, days))
            return [(each, now, now.date()) for each in news]
        day = now.date() + timedelta(days=days)
        return [(each, now, day) for key, each in by_id.items() if notices.announcement(key, now) is None]

    @contextmanager
    def _refused(self, account_id: str) -> Iterator[None]:
        try:
            yield
        except (OSError, NoticesUnreadable) as error:
            raise PolicyExecutionError(
                f"{self._where(account_id)}: the notices can't be read and written: {error}. Nobody was addressed: "
                f"make {self.data['notices']} readable and writable for the runner, or correct notices, and run again"
            ) from error

    def _where(self, account_id: str) -> str:
        return f"policy {self.manager.data.get('name')}: account {account_id}"


_NOBODY = (
    "notify-owners has no e-mail address in to: (what c7n-mailer looks up later proves nothing): give one, such as "
    '"{owner}" with a var owner of each account in accounts.yml'
)
#: A resource, when it was announced, and the day for which it is.
_Due = tuple[Resource, datetime, date]


def _is_news(
    resource: Resource, event: CredentialEvent | None, notices: Notices, now: datetime, days: float
) -> bool:
    """Whether ``step: created`` has something to report of a user that it has not reported.

    ``event``: the call; None where no event says, so that what was created in the last ``days`` counts.
    """
    key = str(resource["UserId"])
    if event:
        return not (event.removes_deny and is_denied(resource)) and not notices.reports(key, event.id)
    credentials = (resource.get(ANNOTATION) or {}).get("credentials") or ()
    times = (moment(resource.get("CreateDate")), *(moment(each.get("created")) for each in credentials))
    newest = max(filter(None, times), default=None)
    if newest is None or newest < now - timedelta(days=days):
        return False
    return not notices.has(key, CREATED, newest)


def _is_address(text: str) -> bool:
    name, _, domain = text.partition("@")
    return bool(name and "." in domain) and not any(each in text for each in "{}:/ ,")


def _may_be_address(text: str) -> bool:
    """An address, or a variable that Cloud Custodian has not filled in yet."""
    return _is_address(text) or "{" in text
