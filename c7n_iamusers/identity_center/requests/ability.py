# SPDX-License-Identifier: Apache-2.0
"""Whether an IAM user can use what its policies allow: a person gets no access that the user can't use itself. Pure.

A policy accepts a user that can't, by its name and until a day, in a row of ``accept``.
"""

from __future__ import annotations

from datetime import date

from c7n_iamusers import reasons
from c7n_iamusers.derivation.model import (
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
from c7n_iamusers.text.times import as_text
from c7n_iamusers.text.wording import shown

_REPORT = (
    "allow iam:GetCredentialReport, iam:GenerateCredentialReport, iam:ListServiceSpecificCredentials and "
    "iam:ListVirtualMFADevices to the role that reads the account, and run again; a user that was created after the "
    "credential report is in the next one, in at most four hours"
)


def inability(intents: Intents, user: UserIntent, today: date) -> model.Refusal | None:
    """The refusal of a user that can't use its own policies; None if it can, or if that is accepted on ``today``."""
    found = _inability(user, intents.source)
    if found is None:
        return None
    kind, verdict, why = found
    reason = kind(user=user.subject, why=why)
    rows = _acceptances(intents)
    if verdict and accepted(rows, user.subject, verdict, today):
        return None
    if verdict:
        outdated = [each for each in rows if each.is_for(user.subject) and each.verdict == verdict]
        expired = [reasons.ACCEPTANCE_EXPIRED(remark=each.remark, expires=each.expires) for each in outdated]
        reason = reason.and_also(reasons.ACCEPTABLE(verdict=verdict), *expired)
    return model.Refusal(user.subject, reason, intents.place)


_Kind = reasons.Kind


def _inability(user: UserIntent, source: PolicySource) -> tuple[_Kind, str, str] | None:
    """The kind of the refusal, the verdict that accepts it (empty for none), and why in words."""
    if user.detail is not None and denying_policy(user.detail, source):
        if found := denying_policy(before_quarantine(user.detail), source):
            why = (
                f"its {found} denies every action, as in quarantine: release the user, or remove that policy"
            )
            return reasons.QUARANTINED, "", why
        why = "is in quarantine, so it can do nothing, and access in Identity Center would undo that: release it"
        return reasons.QUARANTINED, QUARANTINED, why
    return _without_credentials(user)


def _without_credentials(user: UserIntent) -> tuple[_Kind, str, str] | None:
    held = user.credentials
    if held is None:
        why = "it is unknown whether it has working credentials: its intents have none: run the policy again"
        return reasons.CREDENTIALS_UNKNOWN, NO_WORKING_CREDENTIALS, why
    if held.kinds:
        return None
    if held.unread:
        why = (
            f"it is unknown whether it has working credentials ({shown(held.unread)}): "
            f"{held.problem or 'not read'}: {_REPORT}"
        )
        return reasons.CREDENTIALS_UNKNOWN, NO_WORKING_CREDENTIALS, why
    by = f"by the credential report of {as_text(held.as_of)}"
    if held.services:
        why = (
            f"all of its working credentials are for one service alone ({shown(held.services)}; {by}), so it can't use "
            "the rest of what its policies allow: make a permission set for that by hand"
        )
        return reasons.ONE_SERVICE_CREDENTIALS, NO_WORKING_CREDENTIALS, why
    why = (
        f"has no working credentials ({by}): no console password, no active access key or signing certificate, so "
        "nobody can use what its policies allow: find out whether its person still works here"
    )
    return reasons.NO_WORKING_CREDENTIALS, NO_WORKING_CREDENTIALS, why


def _acceptances(intents: Intents) -> tuple[Acceptance, ...]:
    given = intents.derive if intents.derive is not None else {"accept": intents.accept}
    return parse_acceptances(given, "accept", for_all=True)
