# SPDX-License-Identifier: Apache-2.0
"""Why a flagged user is left alone, judged on its state right before the first call. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.outcomes import PROVISIONED, UNCHANGED
from c7n_iamusers.exemptions.rules import ExemptionRule, find_exemption
from c7n_iamusers.iam.own_changes import lapses
from c7n_iamusers.iam.policy_documents import COMPROMISED
from c7n_iamusers.iam.quarantine_record import Quarantine
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import KeyUse

#: How the outcomes of users begin that can't be deleted since their quarantine is no longer one.
_BROKEN, _IN_USE = "its quarantine no longer holds", "still in use in its quarantine"
_USED_SINCE = ", in quarantine"


def quarantine_trouble(reason: str) -> str:
    """What the ``reason`` of an outcome says is wrong with a quarantine, in words; empty where it says nothing."""
    if reason.startswith(_BROKEN):
        return "broken"
    return "in use" if reason.startswith(_IN_USE) or reason.endswith(_USED_SINCE) else ""


def standing(user: IamUser, since: datetime, keys: Sequence[KeyUse]) -> str:
    """Since when a user was in quarantine, and what was seen of it since."""
    use = use_since(user, keys, since)
    seen = f"{use}{_USED_SINCE}" if use else "AWS tells of no use since, which is no proof of rest"
    return f"in quarantine since {since:%Y-%m-%d %H:%M} UTC: {seen}"


def use_since(user: IamUser, keys: Iterable[KeyUse], since: datetime) -> str | None:
    """The latest use of password or access keys after ``since``, in words; None where AWS tells of none.

    None is no proof of rest: IAM tells no use of certificates, SSH keys and service-specific credentials, and
    attempts with a deactivated key may leave no trace. PasswordLastUsed counts sign-ins to the console.
    """
    recent = [(at, what) for at, what in _uses(user, keys) if at > since]
    if not recent:
        return None
    at, what = max(recent)
    return f"{what} on {at:%Y-%m-%d %H:%M} UTC"


def active_within(user: IamUser, keys: Iterable[KeyUse], days: float, now: datetime) -> str | None:
    """The same for the last ``days`` days before ``now``."""
    return use_since(user, keys, now - timedelta(days=days))


def _uses(user: IamUser, keys: Iterable[KeyUse]) -> Iterator[tuple[datetime, str]]:
    password = user.detail.get("PasswordLastUsed")
    if password:
        yield password, "its password was used"
    for key in keys:
        if key.at:
            where = f" for {key.service} in {key.region}" if key.service not in ("", "N/A") else ""
            yield key.at, f"its access key {key.key_id} was used{where}"


@dataclass(frozen=True)
class Guards:
    """What a policy asks for before a user is touched.

    ``callers``: the ARNs of those on whose behalf the run acts, first the one that acts in the account.
    ``active_within``, ``quarantined_for``: days; None where not asked for.
    """

    callers: tuple[str, ...]
    rules: Sequence[ExemptionRule] = ()
    active_within: float | None = None
    quarantined_for: float | None = None
    include_compromised: bool = False

    @property
    def ask_key_use(self) -> bool:
        """True where the last use of the access keys must be known."""
        return self.active_within is not None or self.quarantined_for is not None


def refusal(
    evidence: Subject,
    user: IamUser,
    guards: Guards,
    now: datetime,
    keys: Sequence[KeyUse] = (),
    *,
    quarantine: Quarantine | None = None,
    emptied: bool = False,
) -> str | None:
    """Why nothing may be done to ``user``, read live, on ``evidence``; None where it may.

    ``keys``: the last use of each of its access keys, where the guards ask for it. ``quarantine``: the one that it
    is in. ``emptied``: an earlier run, which passed these guards, has removed everything, the Deny at last.
    """
    return (
        identity_refusal(evidence, user, guards.callers)
        or (None if guards.include_compromised else compromised(user))
        or _exempt(user, guards.rules, now)
        or _active(user, guards.active_within, now, keys)
        or (None if emptied else _not_quarantined(user, quarantine, guards.quarantined_for, now, keys))
    )


def identity_refusal(evidence: Subject, user: IamUser, callers: Sequence[str]) -> str | None:
    """Why ``user`` is not the one that ``evidence`` is of, or must not be touched by ``callers``."""
    return _wrong_account(evidence, user, callers[0]) or _other_user(evidence, user) or _caller(user, callers)


def compromised(user: IamUser) -> str | None:
    """Why a user whose key leaked is left to people; None where AWS saw none leak."""
    names = (str(policy["PolicyName"]) for policy in user.attachments["attached-policy"])
    held = next((name for name in names if name.startswith(COMPROMISED)), None)
    if held is None:
        return None
    return f"AWS attached {held}, so a key of it leaked: a person must look into it before the traces go"


def unprovisioned(provisioning: Mapping[str, Any] | None) -> str | None:
    """Why a user stays whose replacement failed earlier in the policy; None where it succeeded or wasn't asked for.

    ``provisioning``: what ``provision-identity-center`` left in the annotation of the resource.
    """
    if provisioning is None or provisioning.get("status") in (PROVISIONED, UNCHANGED):
        return None
    return f"its replacement in Identity Center is {provisioning.get('status')}: {provisioning.get('reason')}"


def _wrong_account(evidence: Subject, user: IamUser, caller_arn: str) -> str | None:
    acting = caller_arn.split(":")[4]
    accounts = {evidence.account_id, user.subject.account_id, acting}
    if len(accounts) == 1:
        return None
    return (
        f"the evidence is of account {evidence.account_id}, the session acts in {acting}: "
        "check the role of that account in accounts.yml"
    )


def _other_user(evidence: Subject, user: IamUser) -> str | None:
    if evidence.unique_id == user.unique_id:
        return None
    return (
        f"the name now belongs to another user ({user.unique_id}, the evidence was of {evidence.unique_id}): "
        "flag again, without c7n's cache (--cache-period 0)"
    )


def _caller(user: IamUser, callers: Sequence[str]) -> str | None:
    return "the run itself acts as this user: use a role" if user.arn in callers else None


def _exempt(user: IamUser, rules: Sequence[ExemptionRule], now: datetime) -> str | None:
    rule = find_exemption(user, rules, now.astimezone(timezone.utc).date()).rule
    if rule is None:
        return None
    return f"exempt by {rule.field} {rule.pattern!r} until {rule.expires.isoformat()}: {rule.reason}"


def _active(user: IamUser, days: float | None, now: datetime, keys: Sequence[KeyUse]) -> str | None:
    use = None if days is None else active_within(user, keys, days, now)
    return f"active within {days:g} days: {use}" if use else None


def _not_quarantined(
    user: IamUser,
    quarantine: Quarantine | None,
    days: float | None,
    now: datetime,
    keys: Sequence[KeyUse],
) -> str | None:
    if days is None:
        return None
    if quarantine is None:
        return (
            "not in quarantine, as far as its Deny-all and the journals at hand tell: the action quarantine puts it "
            "there, and the days count from then; where it is, name the output of that run by record-from"
        )
    if broken := lapses(user, quarantine):
        return f"{_BROKEN} ({', '.join(broken)}): look who undid it, and quarantine it again"
    since = f"{quarantine.since:%Y-%m-%d %H:%M} UTC"
    if (now - quarantine.since).total_seconds() < days * 86_400:
        return f"in quarantine since {since}, which is not yet {days:g} days"
    use = use_since(user, keys, quarantine.since)
    return f"{_IN_USE} since {since}: {use}" if use else None
