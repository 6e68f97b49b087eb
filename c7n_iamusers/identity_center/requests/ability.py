# SPDX-License-Identifier: Apache-2.0
"""Whether an IAM user can use its policies: a person gets no access that the user itself can't use. Pure.

A row of ``accept`` in a policy accepts a user that can't, by name and until a day.
"""

from __future__ import annotations

from datetime import date

from c7n_iamusers import reasons
from c7n_iamusers.derivation.acceptances import (
    NO_WORKING_CREDENTIALS,
    QUARANTINED,
    Acceptance,
    accepted,
    parse_acceptances,
)
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from c7n_iamusers.lockout.before_quarantine import before_quarantine
from c7n_iamusers.lockout.denied_users import denying_policy
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.times import as_text
from c7n_iamusers.text.wording import shown


def inability(intents: Intents, user: UserIntent, today: date) -> model.RefusedUser | None:
    """The refusal of a user that can't use its own policies; None if it can, or is accepted on ``today``."""
    rows = _acceptances(intents)
    lacks = _lacks_credentials(user)
    for found in (_quarantine(user, intents.source), (lacks, NO_WORKING_CREDENTIALS) if lacks else None):
        if found and not (found[1] and accepted(rows, user.subject, found[1], today)):
            return _refusal(intents, user, rows, *found)
    return None


def _refusal(
    intents: Intents, user: UserIntent, rows: tuple[Acceptance, ...], reason: Reason, verdict: str
) -> model.RefusedUser:
    if verdict:
        outdated = [row for row in rows if row.is_for(user.subject) and row.verdict == verdict]
        expired = [reasons.ACCEPTANCE_EXPIRED(remark=each.remark, expires=each.expires) for each in outdated]
        reason = reason.and_also(reasons.ACCEPTABLE(verdict=verdict), *expired)
    return model.RefusedUser(user.subject, reason, intents.place)


def _quarantine(user: UserIntent, source: PolicySource) -> tuple[Reason, str] | None:
    """The reason for refusal, and the verdict that accepts it, empty for none; None without a quarantine."""
    if user.detail is None or not denying_policy(user.detail, source):
        return None
    if found := denying_policy(before_quarantine(user.detail), source):
        why = f"its {found} denies every action, as in quarantine: release the user, or remove that policy"
        return reasons.QUARANTINED(user=user.subject, why=why), ""
    why = "is in quarantine, so it can do nothing, and access in Identity Center would undo that: release it"
    return reasons.QUARANTINED(user=user.subject, why=why), QUARANTINED


def _lacks_credentials(user: UserIntent) -> Reason | None:
    held = user.credentials
    if held is None:
        return reasons.CREDENTIALS_NOT_LISTED(user=user.subject)
    if held.kinds:
        return None
    if held.unread:
        why = held.problem or "not read"
        return reasons.CREDENTIALS_UNKNOWN(user=user.subject, which=shown(held.unread), why=why)
    as_of = as_text(held.as_of)
    if held.services:
        services = shown(held.services)
        return reasons.ONE_SERVICE_CREDENTIALS(user=user.subject, services=services, as_of=as_of)
    return reasons.NO_WORKING_CREDENTIALS(user=user.subject, as_of=as_of)


def _acceptances(intents: Intents) -> tuple[Acceptance, ...]:
    given = intents.derive if intents.derive is not None else {"accept": intents.accept}
    return parse_acceptances(given, "accept", for_all=True)
