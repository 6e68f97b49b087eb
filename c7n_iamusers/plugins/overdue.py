# SPDX-License-Identifier: Apache-2.0
"""The filter ``overdue``: users that are still spared after their announced day."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.filters import Filter
from c7n.utils import type_schema

from c7n_iamusers.exceptions import NoticesUnreadable
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.notices.notices import Notices
from c7n_iamusers.plugins import forecasts, policy_checks
from c7n_iamusers.plugins.identity_center import require_keys
from c7n_iamusers.plugins.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.plugins.notice_options import OF_LATER
from c7n_iamusers.plugins.overdue_step import Overdue
from c7n_iamusers.plugins.resources import Resource, annotate, subject_of
from c7n_iamusers.plugins.run_outputs import NOTICES, notices_store, visible_errors
from c7n_iamusers.text.wording import visible_log

#: A text for actions that read no nested keys, such as post-finding, which cuts these off after 1,024 characters.
SENTENCE = "c7n:Overdue"
_LONGEST = 1_000


class OverdueFilter(Filter):  # type: ignore[misc]  # c7n is untyped
    """Selects users whose announced day has come, and that are in use or lack a replacement.

    These are the users of ``notify-owners`` with ``step: overdue``; give both the same ``notices``, ``active-within``,
    ``trusted-by-role`` and ``require``, and the filter ``identity-center`` with ``state: any`` before. It is for
    actions of Cloud Custodian that tell somebody else, such as ``post-finding`` and ``webhook``, and sends and records
    nothing.

    ``c7n:IamUser`` -> ``notice`` has ``day``, ``announced``, ``overdue`` (messages that were sent about it), ``group``
    (``in-use`` or ``replace-first``) and ``text``, which says why; ``c7n:Overdue`` says all that in one sentence. Being
    overdue deletes nothing: the actions that delete users don't read this.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-overdue-webhook
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
                exempt-from: policies/exemptions.csv
              - type: overdue
                notices: notices
            actions:
              - type: webhook
                url: https://tickets.example.com/iam-users
                body: '{user: resource.UserName, text: resource."c7n:Overdue"}'
    """

    log = visible_log("custodian.filters")
    schema = type_schema("overdue", required=["notices"], notices=NOTICES, **OF_LATER)
    schema_alias = False
    permissions = ()

    def validate(self) -> OverdueFilter:
        """Raises PolicyValidationError where no filter before says who is exempt, and why users are selected."""
        policy_checks.require_bounded(self.manager)
        policy_checks.check_options(self, values=False)
        policy_checks.check_numbers(self, PolicyValidationError)
        validate_lambda_packaging(self.manager)
        require_keys(self.manager, "overdue", self.data, ("notices",))
        policy_checks.require_exemptions(self.manager, "overdue")
        return self

    @visible_errors
    def process(self, resources: list[Resource], event: Any = None) -> list[Resource]:
        """The users that are overdue. Raises PolicyExecutionError if the notices can't be read."""
        policy_checks.refuse_undefined_variables(self.manager)
        policy_checks.check_numbers(self, PolicyExecutionError)
        if not policy_checks.acts_on(self, resources) or not resources:
            return []
        now, account_id = utc_now(), subject_of(resources[0]).account_id
        try:
            notices = Notices.read(notices_store(self.manager, self.data["notices"]), account_id, now)
            notices.require_records()
        except (NoticesUnreadable, OSError) as error:
            raise PolicyExecutionError(
                f"policy {self.manager.data.get('name')}: account {account_id}: it is unknown which users are "
                f"overdue: {error}"
            ) from error
        return self._overdue(resources, notices, now)

    def _overdue(self, resources: list[Resource], notices: Notices, now: datetime) -> list[Resource]:
        step = Overdue(0, 0)  # whether a message was sent this week says nothing here
        due = step.told_of(forecasts.foreseen(self, step, step.due(resources, notices, now), notices, now))
        for each in due:
            notice = {**each.annotation["notice"], "overdue": int(each.news) - 1}
            annotate(each.resource, "notice", notice)
            said = f"to be moved by {notice['day']}, {notice['overdue']} messages sent: {notice['text']}"
            each.resource[SENTENCE] = said[:_LONGEST]
        found = {str(each.resource["UserId"]) for each in due}
        self.log.info("overdue: %s of %s users", len(found), len(resources))
        return [each for each in resources if str(each["UserId"]) in found]
