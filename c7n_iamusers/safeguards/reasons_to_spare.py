# SPDX-License-Identifier: Apache-2.0
"""Reasons to leave a flagged user alone, checked on its state right before the first call. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.evidence.attempted_calls import ATTEMPTED, QUIET, UNOBSERVABLE, attempted_call
from c7n_iamusers.exceptions import GateClosed
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.outcomes import FAILED, PROVISIONED, SKIPPED, UNCHANGED
from c7n_iamusers.exemptions import ExemptionRule, find_exemption
from c7n_iamusers.iam.policy_documents import COMPROMISED
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.infrastructure_code.model import Managed
from c7n_iamusers.infrastructure_code.tags import managed_by_tags
from c7n_iamusers.lockout.lockout_state import denied, lapses
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.notices.notices import Notices, notice_refusal
from c7n_iamusers.policy_comparison.trusted_users import TrustIndex
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import shown

#: The values of the option ``quiet`` of composite-delete: what counts as quiet.
PROVEN, NONE_SEEN = "proven", "none-seen"


def left_alone(reason: Reason) -> str:
    """The outcome of a user that is left alone for ``reason``. A Deny that somebody removed is a failure."""
    return FAILED if reason.fails else SKIPPED


def quarantine_broken(user: IamUser, quarantine: QuarantineRecord) -> Reason:
    """That somebody else undid the ``quarantine`` of ``user`` in part."""
    kind = reasons.CREDENTIALS_ACTIVATED if denied(user, quarantine) else reasons.QUARANTINE_UNDONE
    return kind(since=quarantine.since, how=", ".join(lapses(user, quarantine)))


def quarantine_status(user: IamUser, since: datetime, keys: Sequence[KeyUse]) -> Reason:
    """Since when the user is in quarantine, and its last use since then."""
    if use := use_since(user, keys, since):
        return reasons.IN_QUARANTINE_AND_USED(since=since, use=use)
    return reasons.IN_QUARANTINE(since=since)


def use_since(user: IamUser, keys: Iterable[KeyUse], since: datetime) -> str | None:
    """The latest use of password or access keys after ``since``, in words; None if AWS reports none.

    None does not prove that the user is unused: IAM does not report the use of certificates, SSH keys and
    service-specific credentials, and attempts with an inactive key may leave no trace. PasswordLastUsed counts sign-ins
    to the console.
    """
    recent = [(at, what) for at, what in _uses(user, keys) if at > since]
    if not recent:
        return None
    at, what = max(recent)
    return f"{what} on {at:%Y-%m-%d %H:%M} UTC"


def active_within(user: IamUser, keys: Iterable[KeyUse], days: float, now: datetime) -> str | None:
    """The latest use in the last ``days`` days before ``now``; see use_since."""
    return use_since(user, keys, now - timedelta(days=days))


def used_within(used: datetime | None, days: float | None, at: datetime) -> bool:
    """Whether the last use was in the last ``days`` days before ``at``; False without ``days``, or without a use."""
    return used is not None and days is not None and at - used < timedelta(days=days)


def seen_active(activity: Mapping[str, Any] | None, days: float | None, now: datetime) -> Reason | None:
    """The use in the last ``days`` days that is in a user's annotation (``last_activity``); None if there is none.

    The annotation is older than live data, so it can show use, but not that there was none.
    """
    known = activity or {}
    last = moment(known.get("time"))
    if not used_within(last, days, now):
        return None
    return reasons.ACTIVE(days=days, use=f"its {known['by']} was used on {last:%Y-%m-%d %H:%M} UTC")


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
    """The guards that a policy sets.

    ``callers``: ARNs of the principals behind the run; the first one acts in the account. ``rules``: the exemptions
    that hold there. ``active_within``, ``quarantined_for``, ``noticed``: days; None if not set. ``notices``: of the
    account, if ``noticed`` is set. ``before_day``: whether a user may be touched before the announced day.
    ``brownout``: whether it is for a brownout, which has its own day in the announcement.
    ``listened``: unique id -> since when the filter ``attempts`` covers calls; None if its answer is not required.
    ``missing``: ARN of each user -> why its access through Identity Center is not enough, None if it is; None if none
    is required. ``naming_tags``: ARN of each user -> the tags that said who its person is, if tags do. ``trust``: the
    roles of the account by the users that they trust; None if that spares nobody. ``rules_sha256``: of ``rules``, see
    exemptions.digest_of. ``managed``: unique id of a user, or id of a key -> which code manages it, as the filter found
    it; None if that spares nobody.
    """

    callers: tuple[str, ...]
    rules: Sequence[ExemptionRule] = ()
    active_within: float | None = None
    quarantined_for: float | None = None
    include_compromised: bool = False
    noticed: float | None = None
    notices: Notices = field(default_factory=lambda: Notices((), "nowhere"))
    before_day: bool = False
    brownout: bool = False
    listened: Mapping[str, datetime | None] | None = None
    missing: Mapping[str, Reason | None] | None = None
    naming_tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    trust: TrustIndex | None = None
    rules_sha256: str = ""
    managed: Mapping[str, Managed] | None = None

    @classmethod
    def of_quarantine(
        cls, callers: tuple[str, ...], active: float | None, noticed: float | None, *, brownout: bool
    ) -> Guards:
        """Those of a quarantine. ``active``: ``active_within``. ``brownout``: a Deny that ends by itself."""
        # Compromised users are included: a leaked key is a reason to stop it, and a quarantine deletes no evidence.
        guards = cls(callers, active_within=active, include_compromised=True, noticed=noticed)
        return replace(guards, before_day=True, brownout=brownout)

    @property
    def ask_key_use(self) -> bool:
        """True if a guard needs the last use of the access keys."""
        return self.active_within is not None or self.quarantined_for is not None


@dataclass(frozen=True)
class Before:
    """What earlier runs did to a user.

    ``whole``: the user with what an unfinished deletion removed, if that is more: an exemption holds for that too.
    ``quarantine``: the one that the user is in. ``broken``: the one whose Deny somebody else removed. ``emptied``: an
    earlier run, which passed these guards, has removed everything from it, including the Deny at the end.
    """

    whole: IamUser | None = None
    quarantine: QuarantineRecord | None = None
    broken: QuarantineRecord | None = None
    emptied: bool = False


#: Of a user that no run has changed.
NOTHING_BEFORE = Before()


def refusal(
    evidence: Subject,
    user: IamUser,
    guards: Guards,
    now: datetime,
    keys: Sequence[KeyUse] = (),
    before: Before = NOTHING_BEFORE,
) -> Reason | None:
    """Why ``user``, read live, must be left alone; None if it may be changed.

    ``evidence``: the user that was flagged. ``keys``: the last use of each access key, if the guards need it.
    """
    whole, quarantine, days = before.whole or user, before.quarantine, guards.quarantined_for
    return (
        identity_refusal(evidence, user, guards.callers)
        or (None if guards.include_compromised else compromised(whole))
        or gates_refusal(evidence, whole, guards, now)
        or (None if before.emptied else _broken(user, quarantine or before.broken, days))
        or _active(user, guards.active_within, now, keys)
        or (None if before.emptied else _not_quarantined(user, quarantine, days, now, keys))
        or (None if before.emptied else _not_listened(user, quarantine, guards.listened))
        or (None if before.emptied else managed_refusal(evidence, user, guards))
    )


def managed_refusal(evidence: Subject, user: IamUser, guards: Guards) -> Reason | None:
    """Why a user or key that code manages, by its live tags or as it was found, is left alone; None if nothing does.

    ``evidence``: the flagged user, or one of its keys.
    """
    if guards.managed is None:
        return None
    return managed_reason(
        Managed(managed_by_tags(user.tags)).and_also(guards.managed.get(evidence.unique_id, Managed()))
    )


def managed_reason(managed: Managed) -> Reason | None:
    """Why what code manages, or may manage, is left alone; None if no code does."""
    if managed.found:
        return reasons.MANAGED_AS_CODE(what=managed.text)
    return reasons.MANAGED_UNKNOWN(why="; ".join(managed.unread)) if managed.unread else None


def gates_refusal(evidence: Subject, user: IamUser, guards: Guards, now: datetime) -> Reason | None:
    """Why ``user`` must be left alone for what people changed during the run; None if it may be changed.

    ``evidence``: the user that was flagged, or one of its access keys: whichever was announced.
    It is exempt, its owner was not addressed in time, its person has no access through Identity Center, or it is
    trusted by a role.
    """
    return (
        _exempt(user, guards.rules, now)
        or _unnoticed(evidence, guards, now)
        or _without_access(evidence, user, guards)
        or _trusted(user, guards.trust)
    )


def raise_closed(evidence: Subject, user: IamUser, guards: Guards, now: datetime) -> None:
    """Raises GateClosed where ``gates_refusal`` has a reason: for the last moment before a first change."""
    if reason := gates_refusal(evidence, user, guards, now):
        raise GateClosed(reason)


def identity_refusal(evidence: Subject, user: IamUser, callers: Sequence[str]) -> Reason | None:
    """Why ``user`` is not the flagged one (``evidence``), or is one of ``callers``; None if neither."""
    return _wrong_account(evidence, user, callers[0]) or _other_user(evidence, user) or _caller(user, callers)


def compromised(user: IamUser) -> Reason | None:
    """Why a user with a compromised key is left alone; None if AWS has attached no quarantine policy to it."""
    names = (str(policy["PolicyName"]) for policy in user.attachments["attached-policy"])
    held = next((name for name in names if name.startswith(COMPROMISED)), None)
    return None if held is None else reasons.COMPROMISED(policy=held)


def unprovisioned(provisioning: Mapping[str, Any] | None) -> Reason | None:
    """Why a user whose replacement failed is left alone; None if it succeeded or was not requested.

    ``provisioning``: the annotation of an earlier ``provision-identity-center`` in the same policy.
    """
    if provisioning is None or provisioning.get("status") in (PROVISIONED, UNCHANGED):
        return None
    return reasons.NOT_PROVISIONED(status=provisioning.get("status"), why=provisioning.get("reason"))


def unquiet(attempts: Mapping[str, Any] | None, accepted: str) -> Reason | None:
    """Why a user that is, or may be, still in use is left alone; None if its silence is accepted.

    ``attempts``: the annotation of the filter ``attempts``. ``accepted``: PROVEN, or NONE_SEEN, which also accepts a
    user whose use no source could show. Unread sources are never accepted, as they may have an attempt.
    """
    if attempts is None:
        return reasons.ATTEMPTS_MISSING()
    if attempts.get("state") == ATTEMPTED:
        return reasons.ATTEMPTED(since=attempts.get("since"), call=attempted_call(attempts))
    if reasons.NOT_IN_QUARANTINE.code in attempts.get("codes", ()):
        return reasons.NOT_IN_QUARANTINE()
    if unread := attempts.get("unread"):
        return reasons.USE_UNKNOWN(unread="; ".join(unread))
    if attempts.get("state") not in (QUIET, UNOBSERVABLE):
        return reasons.ATTEMPTS_MISSING()
    if accepted != NONE_SEEN and attempts.get("state") != QUIET:
        return reasons.NOT_PROVEN_UNUSED(gaps="; ".join(attempts.get("not_recorded") or ()))
    return None


def _wrong_account(evidence: Subject, user: IamUser, caller_arn: str) -> Reason | None:
    acting = caller_arn.split(":")[4]
    accounts = {evidence.account_id, user.subject.account_id, acting}
    if len(accounts) == 1:
        return None
    return reasons.WRONG_ACCOUNT(flagged=evidence.account_id, acting=acting)


def _other_user(evidence: Subject, user: IamUser) -> Reason | None:
    if evidence.unique_id == user.unique_id:
        return None
    return reasons.OTHER_USER(now=user.unique_id, flagged=evidence.unique_id)


def _caller(user: IamUser, callers: Sequence[str]) -> Reason | None:
    return reasons.OWN_USER() if user.arn in callers else None


def exempting_rule(user: IamUser, rules: Sequence[ExemptionRule], now: datetime) -> ExemptionRule | None:
    """The rule by which ``user`` is exempt ``now``; None if it is not."""
    return find_exemption(user, rules, now.astimezone(timezone.utc).date()).rule


def _exempt(user: IamUser, rules: Sequence[ExemptionRule], now: datetime) -> Reason | None:
    rule = exempting_rule(user, rules, now)
    if rule is None:
        return None
    until = rule.expires.isoformat()
    return reasons.EXEMPT(field=rule.field, pattern=repr(rule.pattern), expires=until, why=rule.reason)


def _unnoticed(announced: Subject, guards: Guards, now: datetime) -> Reason | None:
    if guards.noticed is None:
        return None
    return notice_refusal(
        guards.notices,
        announced.unique_id,
        guards.noticed,
        now,
        before_day=guards.before_day,
        brownout=guards.brownout,
    )


def _without_access(evidence: Subject, user: IamUser, guards: Guards) -> Reason | None:
    if guards.missing is None:
        return None
    judged = guards.naming_tags.get(evidence.arn, {})
    if changed := [key for key, value in judged.items() if user.tags.get(key, "") != value]:
        return reasons.TAGS_CHANGED(tags=shown(changed))
    return guards.missing.get(evidence.arn, reasons.ACCESS_NOT_READ())


def _active(user: IamUser, days: float | None, now: datetime, keys: Sequence[KeyUse]) -> Reason | None:
    use = None if days is None else active_within(user, keys, days, now)
    return reasons.ACTIVE(days=days, use=use) if use else None


def _trusted(user: IamUser, trust: TrustIndex | None) -> Reason | None:
    if trust is None:
        return None
    found = trust.of(user)
    if found.roles:
        return reasons.TRUSTED(roles=shown(found.roles))
    return reasons.TRUST_UNKNOWN(why=found.unknown) if found.unknown else None


def _broken(user: IamUser, quarantine: QuarantineRecord | None, days: float | None) -> Reason | None:
    """Why a required quarantine is broken. This reason precedes the use that it may have made possible."""
    if quarantine is None or days is None or not lapses(user, quarantine):
        return None
    return quarantine_broken(user, quarantine).and_also(reasons.QUARANTINE_AGAIN())


def _not_quarantined(
    user: IamUser,
    quarantine: QuarantineRecord | None,
    days: float | None,
    now: datetime,
    keys: Sequence[KeyUse],
) -> Reason | None:
    if days is None:
        return None
    if quarantine is None:
        return reasons.NOT_IN_QUARANTINE()
    since = quarantine.since
    if (now - since).total_seconds() < days * 86_400:
        return reasons.QUARANTINE_TOO_SHORT(days=days, since=since)
    use = use_since(user, keys, since)
    return reasons.USED_IN_QUARANTINE(since=since, use=use) if use else None


def _not_listened(
    user: IamUser, quarantine: QuarantineRecord | None, listened: Mapping[str, datetime | None] | None
) -> Reason | None:
    """Why the silence that the filter ``attempts`` reports is not that of the live ``quarantine``."""
    if listened is None or quarantine is None:
        return None
    since = listened.get(user.unique_id)
    if since is not None and since <= quarantine.since:
        return None
    begun = f"{since:%Y-%m-%d %H:%M} UTC" if since else "an unknown time"
    return reasons.LISTENED_TOO_LATE(begun=begun, since=quarantine.since)
