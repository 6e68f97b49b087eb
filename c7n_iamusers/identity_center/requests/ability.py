# SPDX-License-Identifier: Apache-2.0
"""Whether an IAM user can use what its policies allow: a person gets no access that the user can't use itself. Pure.

A policy accepts a user that can't, by its name and until a day, in a row of ``accept``.
"""

from __future__ import annotations

from datetime import date

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
    rows = _acceptances(intents)
    for found in (_quarantine(user, intents.source), _without_credentials(user)):
        if found and not (found[1] and accepted(rows, user.subject, found[1], today)):
            return _refusal(intents, user, rows, *found)
    return None


def _refusal(
    intents: Intents, user: UserIntent, rows: tuple[Acceptance, ...], code: str, verdict: str, reason: str
) -> model.Refusal:
    if verdict:
        reason += f"; if its person is to have access all the same, name it in accept: [...] with verdict: {verdict}"
        outdated = [each for each in rows if each.is_for(user.subject) and each.verdict == verdict]
        reason += "".join(f"; the acceptance ({each.remark}) expired on {each.expires}" for each in outdated)
    return model.Refusal(user.subject, f"{user.subject}: {reason}", code, intents.place)


#: The code of a refusal, the verdict that accepts it (empty for none), and the reason in words.
_Inability = tuple[str, str, str]


def _quarantine(user: UserIntent, source: PolicySource) -> _Inability | None:
    if user.detail is None or not denying_policy(user.detail, source):
        return None
    if found := denying_policy(before_quarantine(user.detail), source):
        reason = f"its {found} denies every action, as in quarantine: release the user, or remove that policy"
        return model.QUARANTINED, "", reason
    reason = (
        "is in quarantine, so it can do nothing, and access in Identity Center would undo that: release it"
    )
    return model.QUARANTINED, QUARANTINED, reason


def _without_credentials(user: UserIntent) -> _Inability | None:
    held = user.credentials
    if held is None:
        reason = (
            "it is unknown whether it has working credentials: its intents have none: run the policy again"
        )
        return model.CREDENTIALS_UNKNOWN, NO_WORKING_CREDENTIALS, reason
    if held.kinds:
        return None
    if held.unread:
        reason = (
            f"it is unknown whether it has working credentials ({shown(held.unread)}): "
            f"{held.problem or 'not read'}: {_REPORT}"
        )
        return model.CREDENTIALS_UNKNOWN, NO_WORKING_CREDENTIALS, reason
    by = f"by the credential report of {as_text(held.as_of)}"
    if held.services:
        reason = (
            f"all of its working credentials are for one service alone ({shown(held.services)}; {by}), so it can't use "
            "the rest of what its policies allow: make a permission set for that by hand"
        )
        return model.ONE_SERVICE_CREDENTIALS, NO_WORKING_CREDENTIALS, reason
    reason = (
        f"has no working credentials ({by}): no console password, no active access key or signing certificate, so "
        "nobody can use what its policies allow: find out whether its person still works here"
    )
    return model.NO_WORKING_CREDENTIALS, NO_WORKING_CREDENTIALS, reason


def _acceptances(intents: Intents) -> tuple[Acceptance, ...]:
    given = intents.derive if intents.derive is not None else {"accept": intents.accept}
    return parse_acceptances(given, "accept", for_all=True)
