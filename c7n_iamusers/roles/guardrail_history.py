# SPDX-License-Identifier: Apache-2.0
"""What a guardrail would have denied, by CloudTrail's events, and an Athena query for the same. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from c7n_iamusers.policy_comparison.evaluation import EXPLICIT_DENY, Request, decision
from c7n_iamusers.roles.guardrail import CREATING, FULL_ACCESS, Guardrail
from c7n_iamusers.text.times import moment

#: The events that are looked up: the names of IAM's calls.
EVENTS = tuple(action.partition(":")[2] for action in CREATING)
#: Whose calls no service control policy denies.
_NOT_BOUND = ":role/aws-service-role/"
#: The name of a table, after that of its database if it is given.
TABLE = re.compile(r"(\w+\.)?\w+", re.ASCII)


@dataclass(frozen=True)
class DeniedCalls:
    """The calls of ``action`` by ``principal`` (an ARN) in an account that the guardrail would have denied.

    ``through``: the service that made them for the principal, such as cloudformation.amazonaws.com; or empty.
    """

    account: str
    principal: str
    through: str
    action: str
    count: int
    last: datetime


def denied_calls(
    account: str, events: Iterable[Mapping[str, Any]], guardrail: Guardrail
) -> tuple[DeniedCalls, ...]:
    """The calls in an account's CloudTrail ``events`` that succeeded and would have been denied.

    Most calls first. An event without a principal counts as an unknown principal's, which is not spared.
    """
    found: dict[tuple[str, str, str], DeniedCalls] = {}
    for event in events:
        action, time = f"iam:{event.get('eventName')}", moment(event.get("eventTime"))
        identity = event.get("userIdentity") or {}
        principal = _principal(identity)
        if event.get("errorCode") or action not in CREATING or time is None or _NOT_BOUND in principal:
            continue
        request = Request(action, "*", {"aws:principalarn": principal})
        if decision(request, (FULL_ACCESS, guardrail.document)) != EXPLICIT_DENY:
            continue
        key = (principal, str(identity.get("invokedBy") or ""), action)
        before = found.get(key)
        count, last = (before.count + 1, max(before.last, time)) if before else (1, time)
        found[key] = DeniedCalls(account, *key, count, last)
    return tuple(sorted(found.values(), key=lambda each: (-each.count, each.principal, each.action)))


def _principal(identity: Mapping[str, Any]) -> str:
    """The ARN of the role behind a session, or of the user or root."""
    issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
    return str(issuer.get("arn") or identity.get("arn") or f"unknown ({identity.get('type')})")


def athena_query(table: str, spared: Sequence[str], partition: str) -> str:
    """The query for a table of CloudTrail's events, as CloudTrail's console creates it, over 90 days."""
    names = "|".join(".*".join(map(re.escape, name.split("*"))) for name in spared)
    pattern = rf"^arn:{partition}:iam::\d{{12}}:role/({names}|aws-service-role/.*)$".replace("'", "''")
    events = ", ".join(f"'{each}'" for each in EVENTS)
    return f"""\
SELECT recipientaccountid AS account,
       coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn) AS principal,
       useridentity.invokedby AS through, eventname AS action, count(*) AS calls, max(eventtime) AS last
FROM {table}
WHERE eventsource = 'iam.amazonaws.com'
  AND eventname IN ({events})
  AND errorcode IS NULL
  AND eventtime > to_iso8601(current_timestamp - interval '90' day)
  AND NOT regexp_like(
    coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn, ''), '{pattern}')
GROUP BY 1, 2, 3, 4
ORDER BY calls DESC"""
