# SPDX-License-Identifier: Apache-2.0
"""c7n's ``notify`` with a record of each message, and of what was in the queue: the base of our actions that notify."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from c7n.actions.notify import Notify
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers.exceptions import NoticesUnreadable
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Verdict, error_code, message_of, verdict_on
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.notices import delivery
from c7n_iamusers.notices.held import COMMAND, OF_ACTION, HeldMessage
from c7n_iamusers.notices.mailer_texts import for_mailer, told_action, told_policy
from c7n_iamusers.notices.notices import Notice, Notices
from c7n_iamusers.notices.queue_counts import ATTRIBUTES, FIFO, queue_url, read_queue
from c7n_iamusers.notices.stock_rows import is_for_stock, rows
from c7n_iamusers.notices.templates import OURS, misspelt, of_another_resource, template_fault
from c7n_iamusers.plugins import access_keys
from c7n_iamusers.plugins.message_contents import for_message
from c7n_iamusers.plugins.recipients import recipients
from c7n_iamusers.plugins.resources import Resource
from c7n_iamusers.text.wording import visible, visible_log

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


#: Room for the attributes of a message, which count too.
_ATTRIBUTES = 256


class AllResources:
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
    message_buffer_class = AllResources
    _store: Store
    _unrecorded: list[str]
    #: Whether this run has read the queue.
    _has_counted = False

    def validate(self) -> Any:
        """Raises PolicyValidationError where a template is misspelt, or shows what the policy does not select: the
        message would be empty.

        Also for a FIFO queue, to which Cloud Custodian can't send.
        """
        if fault := misspelt(self.data) or self._unfit_template(self.data):
            raise PolicyValidationError(f"policy {self.policy_name}: {self.type}: {fault}")
        if (named := str(self._transport.get("queue", ""))).endswith(FIFO):
            raise PolicyValidationError(
                f"policy {self.policy_name}: {self.type}: {named} is a FIFO queue, to which Cloud Custodian can't "
                "send: name a standard queue"
            )
        return super().validate()

    def _unfit_template(self, action: Mapping[str, Any]) -> str:
        return of_another_resource(action, self.manager.type == access_keys.RESOURCE)

    def process(self, resources: list[Resource], event: Any = None) -> None:
        """See notify. Raises PolicyExecutionError where a proxy answers its call for the account's alias."""
        try:
            super().process(resources, event)
        except (KeyError, ResponseParserError) as error:
            raise PolicyExecutionError(
                f"{self.where(str(self.manager.config.account_id))}: {self.type}: an answer can't be read "
                f"({type(error).__name__}: {error}), so nothing is sent and the next run sends it"
            ) from error

    @property
    def queue(self) -> str:
        """The URL of the queue, which runs ask whether messages have left it; empty if nobody needs that."""
        if self._transport.get("type") != "sqs" or self.data.get("delivery") == delivery.UNCHECKED:
            return ""
        config, named = self.manager.config, str(self._transport["queue"])
        known = {"account_id": str(config.account_id), "region": str(config.region)}
        for key, value in known.items():
            named = named.replace(f"{{{key}}}", value)
        return queue_url(named, known["region"], known["account_id"])

    @property
    def _transport(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.data.get("transport") or {}
        return found

    def note_counts(self, account_id: str, notices: Notices, now: datetime, *, sending: bool) -> None:
        """Record what is in the queue, once a run, before a message is sent, or where one may still be in it.

        What can't be read is recorded as unknown. Raises OSError where nothing can be recorded.
        """
        queue = self.queue
        if not queue or self._has_counted or not (sending or notices.awaits(queue, now)):
            return

        def client(service: str, region: str) -> Any:
            return self.manager.session_factory(region=region, assume=self.assume_role).client(service)

        reading = read_queue(client, queue, now).reading
        with suppress(FileExistsError):  # another policy read it at the same moment
            self._store.create(delivery.place_of(account_id, now), reading.as_json(account_id))
        self._has_counted = True
        for each in reading.unread:
            self.log.warning(
                "%s: account %s: it is unknown whether messages leave the queue. Until it is known, no announcement "
                "counts, unless only CloudWatch is missing: allow %s",
                *(self.type, account_id, each),
            )

    def sent(self, message: dict[str, Any], content: str) -> str:
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

    def hold(self, message: Mapping[str, Any], resources: Sequence[Resource]) -> str:
        """Write what a digest is to send, and return the name of that file. Raises PolicyExecutionError, OSError."""
        account_id, action = str(message["account_id"]), message["action"]
        texts = {key: str(action[key]) for key in OF_ACTION if key in action}
        texts.setdefault("account-name", visible(str(message.get("account") or account_id)))
        held = HeldMessage(account_id, str(self.data["step"]), tuple(action["to"]), texts, tuple(resources))
        name = held.place(utc_now())
        try:
            self._store.create(name, held.as_json())
        except OSError as error:
            raise PolicyExecutionError(
                f"{self.where(account_id)}: {self._store.place(name)} can't be written, so nothing is held and nobody "
                f"is told: {error}"
            ) from error
        to = ", ".join(action["to"])
        self.log.info(
            "%s: account %s: held: %s must send this message about %s users to %s within twelve hours",
            *(self.type, account_id, COMMAND, len(resources), to),
        )
        return name

    def record(self, notice: Notice) -> None:
        """Write the record of a message that was sent or is held, or remember that it can't be written."""
        names, to = ", ".join(each.name for each in notice.users), ", ".join(notice.addresses)
        try:
            self._store.create(notice.name, notice.as_json())
        except OSError as error:
            done = f"sent to {to} (message {notice.message_id})" if notice.message_id else f"held for {to}"
            self._unrecorded.append(
                f"a message about {names} was {done}, but {self._store.place(notice.name)} can't be written: {error}; "
                "a later run may send it again"
            )
            return
        for user in notice.users:
            what = notice.what.get(user.unique_id) or notice.day
            self.log.info(
                "%s: %s: %s %s %s", user, notice.step, what, "held for" if notice.held else "to", to
            )

    def expand_variables(self, message: dict[str, Any]) -> dict[str, Any]:
        """The action, safe for c7n-mailer to evaluate. Raises PolicyExecutionError if it can't be made safe."""
        given = self._with_recipients(message)
        if fault := template_fault(given) or self._unfit_template(given):
            where = self.where(message["account_id"])
            raise PolicyExecutionError(f"{where}: {self.type}: {fault}. Nobody was addressed")
        action, refused = for_mailer(given)
        for each in refused:
            fault = "it is not one e-mail address, nor a recipient that nobody else chooses"
            self.log.warning("%s: %s gets no message: %s", self.type, each, fault)
        return action

    def _with_recipients(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The action with the recipients that its lists name now. The reader of notify itself has no bounds."""
        action: dict[str, Any] = copy.deepcopy(self.data)
        for name in ("to", "cc"):
            if source := self.data.get(f"{name}_from"):
                try:
                    found = recipients(source, message, self.manager)
                except ValueError as error:
                    raise PolicyExecutionError(
                        f"{self.where(message['account_id'])}: {self.type}: {name}_from: {error}. Nobody was addressed"
                    ) from error
                action[name] = [*action.get(name, ()), *found]
        return action

    def pack(self, message: dict[str, Any]) -> str:
        """``message`` as c7n-mailer reads it. The account's alias is text that somebody chose.

        For c7n-mailer's own templates, which show every key of the resources, these are flat. The places and headers of
        lists are left out: c7n-mailer logs whole policies.
        """
        action, resources = told_action(message["action"]), message["resources"]
        if is_for_stock(action):
            resources = rows(resources, action)
        told = {
            "account": visible(str(message.get("account") or "")),
            "resources": resources,
            "action": action,
            "policy": told_policy(message["policy"]),
        }
        packed: str = super().pack({**message, **told})
        return packed

    def get_permissions(self) -> tuple[str, ...]:
        """What sending needs, by the session of ``assume_role``, and what the policy's own session needs."""
        counts = [ATTRIBUTES] if self.queue else []
        return (*super().get_permissions(), *counts, "iam:ListAccountAliases")

    def fits(self, content: str) -> bool:
        """Whether the packed ``content`` fits a message."""
        return len(content) + _ATTRIBUTES <= int(self.buffer_max_size)

    @property
    def policy_name(self) -> str:
        """The policy's name."""
        return str(self.manager.data.get("name"))

    def prepare_resources(self, resources: list[Resource]) -> list[Resource]:
        """What the message has of ``resources``, which stay whole for later actions."""
        action = self.data
        if action.get("digest"):  # which has a template of ours
            action = {**action, **dict.fromkeys(OURS, OURS["template"][0])}
        prepared: list[Resource] = super().prepare_resources(for_message(resources, action))
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
