# SPDX-License-Identifier: Apache-2.0
"""Reasons to leave a flagged user alone, checked on its state right before the first call. Pure.

The recheck applies the filter's criteria again to live data, since its evidence may be hours old.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from c7n_iamusers.evidence.assessment import ACTIVITY_PIECES, assess
from c7n_iamusers.evidence.attempts import ATTEMPTED, NOT_QUARANTINED, QUIET, UNOBSERVABLE, attempts_reason
from c7n_iamusers.evidence.index import EvidenceIndex, listed_credential
from c7n_iamusers.evidence.model import Evidence, LastUse, Source
from c7n_iamusers.evidence.options import FilterOptions
from c7n_iamusers.exceptions import EvidenceUnreadable, GateClosed
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.outcomes import FAILED, PROVISIONED, SKIPPED, UNCHANGED
from c7n_iamusers.exemptions import Exemption, ExemptionRule, find_exemption
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.policy_documents import COMPROMISED
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.lockout.lockout_state import DENY_GONE, lapses
from c7n_iamusers.lockout.quarantine_record import Quarantine
from c7n_iamusers.notices.notices import Notices, notice_refusal
from c7n_iamusers.policy_comparison.trusted_users import TrustIndex
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import shown

#: Beginnings, and an end, of reasons for leaving a user whose quarantine is in use or broken.
_BROKEN, _IN_USE = "quarantine broken", "still in use in its quarantine"
_USED_SINCE = ", in quarantine"
_ATTEMPTED = "calls since"
#: The values of the option ``quiet`` of composite-delete: what counts as quiet.
PROVEN, NONE_SEEN = "proven", "none-seen"


def quarantine_trouble(reason: str) -> str:
    """What the ``reason`` of an outcome reports on a quarantine: ``broken``, ``in use``, or empty."""
    if _BROKEN in reason:
        return "broken"
    if reason.startswith(_ATTEMPTED):
        return "in use"
    return "in use" if reason.startswith(_IN_USE) or _USED_SINCE in reason else ""


#: As NOT_QUARANTINED begins or ends.
_IN_NONE = re.compile(r"(?:it is )?not in quarantine(?:[,:]|$)")


def not_quarantined(reason: str) -> bool:
    """Whether the ``reason`` of an outcome says no more than that the user is in no quarantine."""
    return bool(_IN_NONE.match(reason))


def refused_status(reason: str) -> str:
    """The outcome of a user that is left alone for ``reason``. A Deny that somebody removed is a failure."""
    return FAILED if quarantine_trouble(reason) == "broken" and DENY_GONE in reason else SKIPPED


def quarantine_broken(quarantine: Quarantine, lapses: Iterable[str]) -> str:
    """That somebody else undid a quarantine in part, in words. ``lapses``: how."""
    return (
        f"{_BROKEN}: that of {quarantine.since:%Y-%m-%d %H:%M} UTC no longer holds ({', '.join(lapses)}): "
        "find out who undid it"
    )


def quarantine_status(user: IamUser, since: datetime, keys: Sequence[KeyUse]) -> str:
    """Since when the user is in quarantine, and its last use since then, in words."""
    use = use_since(user, keys, since)
    seen = (
        f"{use}{_USED_SINCE}" if use else "AWS reports no use since, which does not prove that there was none"
    )
    return f"in quarantine since {since:%Y-%m-%d %H:%M} UTC: {seen}"


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


def seen_active(activity: Mapping[str, Any] | None, days: float | None, now: datetime) -> str | None:
    """The use in the last ``days`` days that is in a user's annotation (``last_activity``); None if there is none.

    The annotation is older than live data, so only a use counts, and no silence.
    """
    known = activity or {}
    last = moment(known.get("time"))
    if days is None or last is None or last <= now - timedelta(days=days):
        return None
    return f"active within {days:g} days: its {known['by']} was used on {last:%Y-%m-%d %H:%M} UTC"


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
    ``before_stop``: whether even before the day on which its credentials stop working, by the announcement.
    ``listened``: unique id -> since when the filter ``attempts`` listened, if its answer is asked for; None for any
    user. ``missing``: ARN of each user -> why its access through Identity Center does not do, empty if it does; None if
    that is not asked for. ``naming_tags``: ARN of each user -> the tags that said who its person is, if tags do.
    ``trust``: the roles of the account by the users that they trust; None for any user.
    """

    callers: tuple[str, ...]
    rules: Sequence[ExemptionRule] = ()
    active_within: float | None = None
    quarantined_for: float | None = None
    include_compromised: bool = False
    noticed: float | None = None
    notices: Notices = field(default_factory=lambda: Notices((), "nowhere"))
    before_day: bool = False
    before_stop: bool = False
    listened: Mapping[str, datetime | None] | None = None
    missing: Mapping[str, str] | None = None
    naming_tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    trust: TrustIndex | None = None

    @property
    def ask_key_use(self) -> bool:
        """True if a guard needs the last use of the access keys."""
        return self.active_within is not None or self.quarantined_for is not None


def refusal(
    evidence: Subject,
    user: IamUser,
    guards: Guards,
    now: datetime,
    keys: Sequence[KeyUse] = (),
    *,
    whole: IamUser | None = None,
    quarantine: Quarantine | None = None,
    broken: Quarantine | None = None,
    emptied: bool = False,
) -> str | None:
    """Why ``user``, read live, must be left alone; None if it may be changed.

    ``evidence``: the user that was flagged. ``keys``: the last use of each access key, if the guards need it.
    ``whole``: the user with what an unfinished deletion removed, if that is more: an exemption holds for that too.
    ``quarantine``: the one that the user is in. ``broken``: the one whose Deny somebody else removed. ``emptied``: an
    earlier run, which passed these guards, has removed everything from it, including the Deny at the end.
    """
    return (
        identity_refusal(evidence, user, guards.callers)
        or (None if guards.include_compromised else compromised(whole or user))
        or gates_refusal(evidence, whole or user, guards, now)
        or (None if emptied else _broken(user, quarantine or broken, guards.quarantined_for))
        or _active(user, guards.active_within, now, keys)
        or (None if emptied else _not_quarantined(user, quarantine, guards.quarantined_for, now, keys))
        or (None if emptied else _not_listened(user, quarantine, guards.listened))
    )


def gates_refusal(evidence: Subject, user: IamUser, guards: Guards, now: datetime) -> str | None:
    """Why ``user`` must be left alone by what people change while a run goes on; None if it may be changed.

    It is exempt, its owner was not addressed in time, its person has no access through Identity Center, or it is
    trusted by a role.
    """
    return (
        _exempt(user, guards.rules, now)
        or _unnoticed(user, guards, now)
        or _without_access(evidence, user, guards)
        or _trusted(user, guards.trust)
    )


def raise_closed(evidence: Subject, user: IamUser, guards: Guards, now: datetime) -> None:
    """Raises GateClosed where ``gates_refusal`` has a reason: for the last moment before a first change."""
    if reason := gates_refusal(evidence, user, guards, now):
        raise GateClosed(reason)


def identity_refusal(evidence: Subject, user: IamUser, callers: Sequence[str]) -> str | None:
    """Why ``user`` is not the flagged one (``evidence``), or is one of ``callers``; None if neither."""
    return _wrong_account(evidence, user, callers[0]) or _other_user(evidence, user) or _caller(user, callers)


def compromised(user: IamUser) -> str | None:
    """Why a user with a compromised key is left alone; None if AWS has attached no quarantine policy to it."""
    names = (str(policy["PolicyName"]) for policy in user.attachments["attached-policy"])
    held = next((name for name in names if name.startswith(COMPROMISED)), None)
    if held is None:
        return None
    return f"AWS attached {held}, so one of its keys leaked: investigate before the evidence is deleted"


def unprovisioned(provisioning: Mapping[str, Any] | None) -> str | None:
    """Why a user is left alone whose replacement failed; None if it succeeded or was not requested.

    ``provisioning``: the annotation of an earlier ``provision-identity-center`` in the same policy.
    """
    if provisioning is None or provisioning.get("status") in (PROVISIONED, UNCHANGED):
        return None
    return f"its replacement in Identity Center is {provisioning.get('status')}: {provisioning.get('reason')}"


def unquiet(attempts: Mapping[str, Any] | None, accepted: str) -> str | None:
    """Why a user is left alone that is, or may be, still in use; None if its silence is accepted.

    ``attempts``: the annotation of the filter ``attempts``. ``accepted``: PROVEN, or NONE_SEEN, which also accepts a
    user that no source could have shown. What was not read is never accepted, as an attempt may be there.
    """
    if attempts is None:
        return "the filter attempts did not say whether it is still in use: run it after unnecessary"
    if attempts.get("state") == ATTEMPTED:
        return (
            f"{_ATTEMPTED} {attempts.get('since')}: {attempts_reason(attempts)}: find out who calls as this user, then "
            "give it an exemption or release it; once nobody calls any more, quarantine it anew"
        )
    unread = attempts.get("unread") or ()
    if NOT_QUARANTINED in unread:
        return NOT_QUARANTINED
    if unread:
        return f"it is unknown whether it is still in use: {'; '.join(unread)}"
    if attempts.get("state") not in (QUIET, UNOBSERVABLE):
        return "the filter attempts did not say whether it is still in use: run it again"
    if accepted != NONE_SEEN and attempts.get("state") != QUIET:
        return (
            f"nothing proves that it is unused: {'; '.join(attempts.get('not_recorded') or ())}; "
            f"quiet: {NONE_SEEN} accepts that"
        )
    return None


def _wrong_account(evidence: Subject, user: IamUser, caller_arn: str) -> str | None:
    acting = caller_arn.split(":")[4]
    accounts = {evidence.account_id, user.subject.account_id, acting}
    if len(accounts) == 1:
        return None
    return (
        f"it was flagged in account {evidence.account_id}, and the session acts in {acting}: "
        "check the role of that account in accounts.yml"
    )


def _other_user(evidence: Subject, user: IamUser) -> str | None:
    if evidence.unique_id == user.unique_id:
        return None
    return (
        f"the name now belongs to another user ({user.unique_id}; {evidence.unique_id} was flagged): "
        "flag again, without c7n's cache (--cache-period 0)"
    )


def _caller(user: IamUser, callers: Sequence[str]) -> str | None:
    return "the run itself acts as this user: run with a role" if user.arn in callers else None


def exempting_rule(user: IamUser, rules: Sequence[ExemptionRule], now: datetime) -> ExemptionRule | None:
    """The rule by which ``user`` is exempt ``now``; None if it is not."""
    return find_exemption(user, rules, now.astimezone(timezone.utc).date()).rule


def _exempt(user: IamUser, rules: Sequence[ExemptionRule], now: datetime) -> str | None:
    rule = exempting_rule(user, rules, now)
    if rule is None:
        return None
    return f"exempt by {rule.field} {rule.pattern!r} until {rule.expires.isoformat()}: {rule.reason}"


def _unnoticed(user: IamUser, guards: Guards, now: datetime) -> str | None:
    if guards.noticed is None:
        return None
    return notice_refusal(
        guards.notices,
        user.unique_id,
        guards.noticed,
        now,
        before_day=guards.before_day,
        before_stop=guards.before_stop,
    )


def _without_access(evidence: Subject, user: IamUser, guards: Guards) -> str | None:
    if guards.missing is None:
        return None
    judged = guards.naming_tags.get(evidence.arn, {})
    if changed := [key for key, value in judged.items() if user.tags.get(key, "") != value]:
        return f"its tags {shown(changed)}, which say who its person is, changed since its access was judged: run again"
    return (
        guards.missing.get(evidence.arn, "its access through Identity Center was not read: run again") or None
    )


def _active(user: IamUser, days: float | None, now: datetime, keys: Sequence[KeyUse]) -> str | None:
    use = None if days is None else active_within(user, keys, days, now)
    return f"active within {days:g} days: {use}" if use else None


def _trusted(user: IamUser, trust: TrustIndex | None) -> str | None:
    if trust is None:
        return None
    found = trust.of(user)
    if found.roles:
        return (
            f"a role trusts it: {shown(found.roles)}: take it out of the role's trust policy, or state "
            "trusted-by-role: true (no role would trust it again once it is restored)"
        )
    return f"it is unknown whether a role trusts it: {found.unknown}" if found.unknown else None


def _broken(user: IamUser, quarantine: Quarantine | None, days: float | None) -> str | None:
    """Why a quarantine that is asked for is broken. It comes before the use that it may have made possible."""
    found = lapses(user, quarantine) if quarantine and days is not None else []
    if not quarantine or not found:
        return None
    return f"{quarantine_broken(quarantine, found)}, and quarantine it again: the days count anew"


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
        return NOT_QUARANTINED
    since = f"{quarantine.since:%Y-%m-%d %H:%M} UTC"
    if (now - quarantine.since).total_seconds() < days * 86_400:
        return f"in quarantine for less than {days:g} days: since {since}"
    use = use_since(user, keys, quarantine.since)
    return f"{_IN_USE} since {since}: {use}" if use else None


def _not_listened(
    user: IamUser, quarantine: Quarantine | None, listened: Mapping[str, datetime | None] | None
) -> str | None:
    """Why the silence that the filter ``attempts`` reports is not that of the live ``quarantine``."""
    if listened is None or quarantine is None:
        return None
    since = listened.get(user.unique_id)
    if since is not None and since <= quarantine.since:
        return None
    begun = f"{since:%Y-%m-%d %H:%M} UTC" if since else "an unknown time"
    return (
        f"the filter attempts listened since {begun}, and its quarantine began on "
        f"{quarantine.since:%Y-%m-%d %H:%M} UTC: run again; if the policy has a second filter attempts with another "
        "since, remove that"
    )


def live_evidence(listed: Evidence, user: IamUser, keys: Iterable[KeyUse], now: datetime) -> Evidence:
    """``listed`` with the credentials and MFA devices of ``user``, whose attachments were all read ``now``.

    ``keys``: the last use of its access keys. The use of a key that is not among them is unknown.
    """
    uses = {each.key_id: LastUse(each.at, each.service, each.region) for each in keys}
    credentials = {
        kind.name: tuple(
            listed_credential(kind, item, _use(kind, item, user, uses))
            for item in user.attachments[kind.name]
        )
        for kind in attachments.CREDENTIAL_KINDS
    }
    devices = [str(item["SerialNumber"]) for item in user.attachments[attachments.MFA_DEVICE.name]]
    return replace(
        listed,
        credentials=credentials,
        mfa=bool(devices),
        virtual_mfa=tuple(each for each in devices if ":mfa/" in each),
        sources={**listed.sources, **dict.fromkeys(ACTIVITY_PIECES, Source("the user's own lists", now))},
    )


def _use(
    kind: attachments.AttachmentKind, item: Item, user: IamUser, uses: dict[str, LastUse]
) -> LastUse | None:
    source = attachments.CREDENTIAL_TRAITS[kind.name].use
    if source == attachments.PASSWORD_LAST_USED:
        return LastUse(moment(user.detail.get(attachments.PASSWORD_LAST_USED)))
    return uses.get(str(item[kind.identifier])) if source == attachments.KEY_LAST_USED else None


#: A user read live, and the last use of its keys -> why the filter no longer selects it; None if it does.
Recheck = Callable[[IamUser, Iterable[KeyUse]], str | None]


def no_recheck(user: IamUser, keys: Iterable[KeyUse]) -> str | None:
    """The recheck of a policy whose filter has no criteria but exemptions."""
    return None


@dataclass(frozen=True)
class LiveRecheck:
    """``options``: of each filter ``unnecessary`` in the policy. ``index``: None if they have no criteria."""

    index: EvidenceIndex | None
    options: Sequence[FilterOptions]

    @property
    def needed(self) -> bool:
        """True if a filter has criteria besides exemptions."""
        return self.index is not None

    def problem(self, user: IamUser, keys: Iterable[KeyUse]) -> str | None:
        """Why the filter would no longer select ``user``, read live; None if it would.

        ``keys``: the last use of its access keys.
        """
        if self.index is None:
            return None
        now = utc_now()
        problems = (_problem(self.index, user, tuple(keys), each, now) for each in self.options)
        return next(filter(None, problems), None)


def _problem(
    index: EvidenceIndex, user: IamUser, keys: tuple[KeyUse, ...], options: FilterOptions, now: datetime
) -> str | None:
    try:
        evidence = live_evidence(index.of(user, Source("GetUser", now)), user, keys, now)
        found = assess(user, evidence, Exemption(None), options.criteria, now)
    except EvidenceUnreadable as error:
        return f"its kind can't be determined on live data: {error}"
    if options.selection.selects(found, now):
        return None
    last = found.activity.idle_since
    since = f", last activity {last:%Y-%m-%d %H:%M} UTC" if last else ""
    return (
        f"checked again on live data, the filter unnecessary no longer selects it (kind "
        f"{found.classification.kind}{since}): flag again"
    )
