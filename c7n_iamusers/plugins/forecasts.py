# SPDX-License-Identifier: Apache-2.0
"""The forecast in an announcement or a reminder: what the functions of the later steps decide on its users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from c7n.utils import local_session

from c7n_iamusers import defaults
from c7n_iamusers.evidence.index import ACCOUNT
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.access_state import PROVISIONED, USED
from c7n_iamusers.infrastructure_code.model import Managed
from c7n_iamusers.key_retirement.key_forecast import forecast_key
from c7n_iamusers.notices.notices import Notices
from c7n_iamusers.plugins import safeguarded_action
from c7n_iamusers.plugins.notice_steps import Announce, Due, Step
from c7n_iamusers.plugins.resources import ANNOTATION, AccountReadings, Resource, subject_of, user_records
from c7n_iamusers.policy_comparison.trusted_users import TrustIndex
from c7n_iamusers.reasons import NO_ACCESS, Reason
from c7n_iamusers.safeguards.forecast import GROUPS, Flagged, Later, announced_now, forecast


def foreseen(action: Any, step: Step, due: Sequence[Due], notices: Notices, now: datetime) -> list[Due]:
    """``due``, each with its forecast: users that will be deleted come first, else in their order.

    Raises PolicyExecutionError if the account's roles or users can't be read.
    """
    if not due:
        return []
    resources = [each.resource for each in due]
    if subject_of(resources[0]).is_key:
        return [_foreseen_key(action, step, each, now) for each in due]
    client = local_session(action.manager.session_factory).client("iam", action.manager.config.region)
    records = user_records(action.manager, client, resources, Backoff())
    later, found = _later(action, resources), list[Due]()
    if isinstance(step, Announce):
        day = due[0].day
        notices = announced_now(map(subject_of, resources), day, step.stop(day), now)
    for each, record in zip(due, records, strict=True):
        flagged = Flagged.of(record.user, each.resource.get(ANNOTATION) or {})
        fate = forecast(flagged, each.day, notices, later, now)
        notice = {**each.annotation["notice"], **fate.as_data()}
        found.append(replace(each, annotation={**each.annotation, "notice": notice}, forecast=fate))
    return sorted(found, key=lambda each: GROUPS.index(each.forecast.group) if each.forecast else 0)


def _foreseen_key(action: Any, step: Step, due: Due, now: datetime) -> Due:
    active = action.data.get("active-within", defaults.ACTIVE_WITHIN)
    within = None if active == safeguarded_action.NONE else active
    known = due.resource.get(ANNOTATION) or {}
    managed = Managed() if action.data.get("include-managed") else Managed.of_annotation(known)
    fate = forecast_key(known, due.day, step.stop(due.day), within, now, managed)
    notice = {**due.annotation["notice"], **fate.as_data()}
    return replace(due, annotation={**due.annotation, "notice": notice}, forecast=fate)


def _later(action: Any, resources: Sequence[Resource]) -> Later:
    data, filters = action.data, [each for each in action.manager.filters if each.type == "identity-center"]
    active = data.get("active-within", defaults.ACTIVE_WITHIN)
    required = data.get("require", PROVISIONED)
    readings = AccountReadings.of(action.manager)
    roles = () if data.get("trusted-by-role") else readings.inventory((ACCOUNT,), Backoff()).roles
    accepted = (USED,) if required == USED else (PROVISIONED, USED)
    return Later(
        None if active == safeguarded_action.NONE else active,
        data.get("quarantined-for"),
        None if data.get("trusted-by-role") else TrustIndex(roles or ()),
        None if required == safeguarded_action.NONE else _missing(resources, accepted),
        tuple(sorted({key for each in filters for key in each.naming_tags})),
        None if data.get("include-managed") else safeguarded_action.managed_of(resources),
    )


def _missing(resources: Sequence[Resource], accepted: Sequence[str]) -> Mapping[str, Reason | None]:
    """ARN of each user whose access the filter ``identity-center`` says -> why it is not enough; None if it is."""
    found = dict[str, Reason | None]()
    for resource in resources:
        if access := (resource.get(ANNOTATION) or {}).get("identity-center"):
            lacks = access["state"] not in accepted
            found[subject_of(resource).arn] = (
                NO_ACCESS(state=access["state"], why=access["reason"]) if lacks else None
            )
    return found
