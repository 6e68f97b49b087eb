# SPDX-License-Identifier: Apache-2.0
"""The action ``notify-people``: a mail to each person who has access through IAM Identity Center."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.outcomes import PROVISIONED, UNCHANGED
from c7n_iamusers.identity_center import access_state
from c7n_iamusers.identity_center.output.aws_config import PROFILES, file_of, verified_config
from c7n_iamusers.notices.delivery import UNCHECKED
from c7n_iamusers.notices.notices import Notice, Notices
from c7n_iamusers.notices.stock_rows import ACCESS, action_text, plain
from c7n_iamusers.plugins.identity_center import require_keys
from c7n_iamusers.plugins.people_of_users import EMAIL_DOMAINS
from c7n_iamusers.plugins.policy_checks import acts_on, check_options, require_exemptions
from c7n_iamusers.plugins.provisioning_settings import INTENT
from c7n_iamusers.plugins.recorded_notify import RecordedNotify, notify_schema
from c7n_iamusers.plugins.resources import ANNOTATION, Resource, subject_of
from c7n_iamusers.plugins.run_outputs import NOTICES, notices_store, visible_errors
from c7n_iamusers.plugins.subject_lines import of_access
from c7n_iamusers.text.addresses import foreign_domain, is_address
from c7n_iamusers.text.wording import folded, quoted

#: The step of these messages in the notices.
STEP = "access"
REQUIRED = ("notices", "email-domains", "transport")
#: Options of ``notify`` that name other recipients.
_RECIPIENTS = ("to", "to_from", "cc", "cc_from", "cc_manager", "owner_absent_contact")
_EVER = datetime.min.replace(tzinfo=timezone.utc)


def _schema() -> dict[str, Any]:
    options = {
        "notices": NOTICES,
        "email-domains": EMAIL_DOMAINS,
        "profiles-from": NOTICES,
        "delivery": {"enum": [UNCHECKED]},
    }
    schema = notify_schema("notify-people", options)
    del schema["anyOf"]
    left = {key: value for key, value in schema["properties"].items() if key not in _RECIPIENTS}
    return {**schema, "properties": left, "required": ["type", *REQUIRED]}


def access_of(resource: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What is known of the access that the user's person has; None if it has none."""
    known = resource.get(ANNOTATION, {})
    made, found = known.get("provisioning"), known.get("identity-center")
    if made is not None:
        return made if made.get("status") in (PROVISIONED, UNCHANGED) else None
    return found if found and found.get("state") in (access_state.PROVISIONED, access_state.USED) else None


class NotifyPeople(RecordedNotify):
    """Writes to each person who has access through IAM Identity Center in place of an IAM user, once.

    The address is that of the person in Identity Center, by the filter ``identity-center`` with ``state: provisioned``
    (or ``used``) or by ``provision-identity-center`` before it in the policy. People without access get no mail.
    Addresses may come from tags, so each must be of ``email-domains``: others are left out, with a warning. A person
    with several IAM users in the account gets one mail about them. With ``slack_template: slack_iam_users`` the person
    gets the same in Slack, where c7n-mailer finds it by the address.

    The mail has what goes into ``~/.aws/config``. With ``profiles-from``, the output that ``c7n-iamusers provision
    apply --aws-config`` wrote to (a directory or ``s3://BUCKET/PREFIX``), these are the profiles for all accounts of
    the person; else those for this account. A file that is missing, or that no run can have written, is left out, with
    a warning.

    ``notices`` is the place that ``notify-owners`` uses. A record there keeps the next run from writing again about the
    same IAM user. It is no announcement. ``delivery: unchecked`` does not check whether the message left the queue.

    Without ``subject`` the mail's subject is ``payments: you have access through IAM Identity Center``, with
    ``account-name``, or else the account's alias or id.

    The policy must have the filter ``unnecessary`` at its top level with its exemptions.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-your-access
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
                exempt-from: policies/exemptions.csv
              - type: identity-center
                state: provisioned
                role: arn:aws:iam::123456789012:role/IdentityCenterReader
                region: us-east-1
                user:
                  username: tag:Email
                  email: tag:Email
            actions:
              - type: notify-people
                notices: notices
                profiles-from: output
                email-domains: [example.com]
                template: iam-users-your-access.html
                account-name: payments
                contact: cloud-governance@example.com
                transport:
                  type: sqs
                  queue: https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer
                assume_role: false
    """

    schema = _schema()
    schema_alias = False

    def validate(self) -> NotifyPeople:
        """Raises PolicyValidationError where the policy names other recipients, or knows nobody's access."""
        where = f"policy {self.policy_name}: {self.type}"
        if others := [key for key in _RECIPIENTS if key in self.data]:
            raise PolicyValidationError(
                f"{where} writes to the people themselves: remove {', '.join(others)}, or use notify"
            )
        check_options(self)
        require_keys(self.manager, self.type, self.data, REQUIRED)
        super().validate()
        require_exemptions(self.manager, self.type)
        if not any(map(_finds_access, (*self.manager.filters, *self.manager.actions))):
            raise PolicyValidationError(
                f"{where} needs to know who has access: add the filter identity-center with state: provisioned, or put "
                "the action provision-identity-center (not with mode: intent) before it"
            )
        return self

    @visible_errors
    def process(self, resources: list[Resource], event: Any = None) -> None:
        """Write to each person once.

        Raises PolicyExecutionError, before anything is sent, where the notices can't be read or written; and at the end
        where a message that was sent could not be recorded.
        """
        if not acts_on(self, resources) or not resources:
            return
        account_id, now = subject_of(resources[0]).account_id, utc_now()
        self._store, self._unrecorded = notices_store(self.manager, self.data["notices"]), []
        place = self.data.get("profiles-from")
        self._files = notices_store(self.manager, place, option="profiles-from") if place else None
        with self.refused(account_id):
            notices = Notices.read(self._store, account_id, now, checked=bool(self.queue))
            self._people = {
                str(resource["UserId"]): address
                for resource in resources
                if not notices.has(str(resource["UserId"]), STEP, _EVER, now)
                and (address := self._address(resource))
            }
            if self._people:
                self._store.replace(f"{account_id}/.writable", now.isoformat().encode())
            self.note_counts(account_id, notices, now, sending=bool(self._people))
        if self._people:
            super().process(
                [resource for resource in resources if str(resource["UserId"]) in self._people], event
            )
        if self._unrecorded:
            raise PolicyExecutionError(f"{self.where(account_id)}: {'; '.join(self._unrecorded)}")

    def consume_buffer(self, message: dict[str, Any], rbuffer: Any) -> None:
        """Send a message to each person, and record it. Raises PolicyExecutionError at the end if one was refused."""
        failed = list[PolicyExecutionError]()
        by_address: dict[str, list[Resource]] = {}
        for resource in rbuffer.resources:
            by_address.setdefault(folded(self._people[str(resource["UserId"])]), []).append(resource)
        for users in by_address.values():
            address = self._people[str(users[0]["UserId"])]
            to = [address, *([f"slack://{address}"] if "slack_template" in self.data else ())]
            action = {**message["action"], "to": to, "profiles": self._profiles(users[0])}
            name = str(action.get("account-name") or message.get("account") or message["account_id"])
            subject = of_access(name)
            action.setdefault("subject", subject)
            action.setdefault("violation_desc", plain(f"{subject} (AWS account {message['account_id']})"))
            start_url = str((access_of(users[0]) or {}).get("start-url", ""))
            action.setdefault("action_desc", action_text(ACCESS, action, start_url))
            content = self.pack({**message, "action": action, "resources": users})
            try:
                receipt, now = self.sent(message, content), utc_now()
            except PolicyExecutionError as error:  # the others are written to all the same
                failed.append(error)
                continue
            subjects = tuple(map(subject_of, users))
            head = (subjects[0].account_id, STEP, now, now.date(), (address,))
            self.record(Notice(*head, receipt, self.policy_name, subjects, queue=self.queue))
        if failed:
            raise failed[0]

    def _profiles(self, resource: Resource) -> str:
        """The content for ``~/.aws/config`` of the user's person; empty if there is none that a run wrote."""
        access = access_of(resource) or {}
        if self._files is None:
            return ""
        name = file_of(str(access.get("username", "")), str(access.get("email", "")))
        try:
            content = self._files.read(f"{PROFILES}/{name}")
            if content is None:
                fault = "it does not exist: run c7n-iamusers provision apply with --aws-config"
            else:
                return verified_config(content.decode(), str(access.get("start-url", "")))
        except (OSError, UnicodeDecodeError, IdentityCenterError) as error:
            fault = str(error)
        self.log.warning(
            "%s: %s: the mail has only the profiles of this account: %s of profiles-from can't be used: %s",
            self.type,
            subject_of(resource),
            name,
            fault,
        )
        return ""

    def _address(self, resource: Resource) -> str:
        """The address of the user's person; empty if it has no access, or no address that may be written to."""
        access = access_of(resource)
        if access is None:
            return ""
        address = str(access.get("email", ""))
        domains = self.data["email-domains"]
        if not is_address(address):
            fault = f"{quoted(address)} is no e-mail address that c7n-mailer can send to"
        elif domain := foreign_domain(address, domains):
            fault = f"{quoted(address)} has the domain {domain}, which is not in email-domains: {', '.join(domains)}"
        else:
            return address
        self.log.warning("%s: %s: its person gets no mail: %s", self.type, subject_of(resource), fault)
        return ""


def _finds_access(plugin: Any) -> bool:
    if plugin.type == "identity-center":
        return plugin.data.get("state") in (access_state.PROVISIONED, access_state.USED)
    return bool(plugin.type == "provision-identity-center" and plugin.data.get("mode") != INTENT)
