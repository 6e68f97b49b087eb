# SPDX-License-Identifier: Apache-2.0
"""The filter ``alarm``: exempt users whose use raises an alarm."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.filters import Filter
from c7n.utils import local_session, type_schema

from c7n_iamusers.evidence.call_event import UserCall, user_call
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.exemptions import USE, ExemptionRule, find_exemption, in_account
from c7n_iamusers.plugins import policy_checks
from c7n_iamusers.plugins.exemption_list import OneSession
from c7n_iamusers.plugins.identity_center import require_keys
from c7n_iamusers.plugins.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.plugins.resources import Resource, UserRecord, annotate, subject_of, user_records
from c7n_iamusers.plugins.run_outputs import visible_errors
from c7n_iamusers.plugins.unnecessary_options import SCHEMA, FilterText
from c7n_iamusers.text.wording import visible_log


class Alarm(Filter):  # type: ignore[misc]  # c7n is untyped
    """Selects the exempt users whose rule says ``alarm: use``, such as those for emergencies.

    ``exempt`` and ``exempt-from`` are those of ``unnecessary``, so that one list serves both. A rule that has expired
    raises no alarm: its users are not exempt any more. A list without any such rule is refused, since it would never
    raise an alarm. A user whose groups can't be read counts as matched by a rule by group. A caller can change name,
    path and groups before they are read; rules by user and path also hold for the name and path in the event, so write
    only these.

    Root is always selected if ``mode.events`` names it as ``<root_account>``.

    With ``notify-owners`` and ``step: used`` it reports sign-ins and calls: in ``mode: cloudtrail`` the one in the
    event, and in other modes, after the filter ``attempts``, those that this found. EventBridge has the event of a call
    only in the Region of the call, and gets no calls that only read.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-alarm-hourly
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: alarm
                exempt:
                  - path: /emergency/*
                    reason: break-glass access, sealed in the safe
                    expires: "2027-12-31"
                    alarm: use
              - type: attempts
                state: [attempted, unobservable]
                since: 1
            actions:
              - type: notify-owners
                notices: s3://governance/iam-users/alarms
                step: used
                template: iam-users-used.html
                to: [security@example.com]
                transport:
                  type: sqs
                  queue: https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer
                assume_role: false
    """

    log = visible_log("custodian.filters")
    schema = type_schema("alarm", **{key: SCHEMA[key] for key in ("exempt", "exempt-from")})
    schema_alias = False

    @cached_property
    def _session(self) -> OneSession:
        return OneSession(self.manager.session_factory)

    @property
    def _text(self) -> FilterText:
        return FilterText(self.data, self.manager, "alarm")

    def get_permissions(self) -> list[str]:
        """The IAM actions that reading the list needs."""
        return ["s3:GetObject"] if "s3://" in str(self.data.get("exempt-from")) else []

    def validate(self) -> Alarm:
        """Raises PolicyValidationError with each fault and what to do."""
        policy_checks.require_bounded(self.manager)
        policy_checks.check_options(self, values=False)
        validate_lambda_packaging(self.manager)
        require_keys(self.manager, "alarm", self.data, () if "exempt" in self.data else ("exempt-from",))
        rules = self._text.check(PolicyValidationError)
        if "exempt-from" not in self.data:
            self._alarming(rules, PolicyValidationError)
        return self

    @visible_errors
    def process(self, resources: list[Resource], event: Any = None) -> list[Resource]:
        """The users whose use is an alarm, with the rule in ``c7n:IamUser`` -> ``exemption``.

        Raises PolicyExecutionError if the list can't be read, or has no such rule.
        """
        policy_checks.refuse_undefined_variables(self.manager)
        if foreign := policy_checks.foreign_event(self.manager, event):
            self.log.info("alarm: %s", foreign)
            return []
        if not policy_checks.acts_on(self, resources) or not resources:
            return []
        if all(str(resource["Arn"]).endswith(":root") for resource in resources):
            return resources
        rules = self._text.rules(PolicyExecutionError, self._session)
        name, account_id = policy_checks.account_name(self.manager), subject_of(resources[0]).account_id
        held, _ = in_account(self._alarming(rules, PolicyExecutionError), account_id, name)
        client = local_session(self.manager.session_factory).client("iam", self.manager.config.region)
        records = user_records(self.manager, client, resources, Backoff())
        call = user_call(event)
        return [record.resource for record in records if self._is_watched(record, held, call)]

    def _is_watched(
        self, record: UserRecord, rules: tuple[ExemptionRule, ...], call: UserCall | None
    ) -> bool:
        users = [record.user]
        if call and call.is_of(record.user.unique_id, record.user.name):
            # otherwise its caller could move or rename the user before it is read
            users.append(call.before(record.user))
        try:
            rule = next(
                filter(None, (find_exemption(user, rules, utc_now().date()).rule for user in users)), None
            )
        except EvidenceUnreadable as error:
            self.log.warning("alarm: %s: its use counts as an alarm: %s", record.user.subject, error)
            return True
        if rule:
            annotate(record.resource, "exemption", rule.as_data())
        return rule is not None

    def _alarming(
        self,
        rules: tuple[ExemptionRule, ...],
        error: type[PolicyValidationError] | type[PolicyExecutionError],
    ) -> tuple[ExemptionRule, ...]:
        found = tuple(rule for rule in rules if rule.alarm == USE)
        if not found:
            raise error(
                f"policy {self.manager.data.get('name')}: filter alarm: none of the {len(rules)} exemptions has "
                f"alarm: {USE}, so nobody would hear of the use of a break-glass user: add it to their rules"
            )
        return found
