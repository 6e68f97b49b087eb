# SPDX-License-Identifier: Apache-2.0
"""Whether anybody still calls AWS as a user, for example under our Deny: attempted, quiet, or unobservable. Pure.

A recorded call is a proof. Silence is proved only by a source that would have recorded a call. A kind of call that no
source records is a gap, and a user with a gap is unobservable. So is a user if the source of all calls was not read to
its end for the whole time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.iam.attachments import ACTIVE, CREDENTIAL_KINDS, CREDENTIAL_TRAITS, SWITCHABLE_KINDS
from c7n_iamusers.iam.policy_documents import AppliedPolicy, listed, parse_document, statements
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.times import as_text, moment

ATTEMPTED, QUIET, UNOBSERVABLE = "attempted", "quiet", "unobservable"
STATES = (ATTEMPTED, QUIET, UNOBSERVABLE)
#: The sources. LAST_USED can't prove silence: it is unknown whether AWS counts a denied call as a key's last use.
#: SERVICES, IAM's service last accessed, counts denied calls and data events, in the services that it lists.
CLOUDTRAIL, LAST_USED, SERVICES = "cloudtrail", "last-used", "service-last-accessed"
SOURCES = (CLOUDTRAIL, LAST_USED, SERVICES)
DEFAULT_SOURCES = (CLOUDTRAIL, LAST_USED)
#: How long CloudTrail's event history reaches back, and how late an event may appear in it ("Working with CloudTrail
#: event history", CloudTrail User Guide: 90 days; "What is CloudTrail": on average about 5 minutes, not guaranteed).
HISTORY = timedelta(days=90)
DELIVERY = timedelta(minutes=15)
#: Calls that give sessions which go on under a Deny, and how long at most ("Compare AWS STS credentials", IAM guide).
#: Those of a role act as the role, and those of GetFederationToken have a name of their own: CloudTrail finds neither
#: by the user's name. A session of GetSessionToken is the user itself.
SESSIONS = {
    "AssumeRole": timedelta(hours=12),
    "AssumeRoot": timedelta(hours=12),
    "SwitchRole": timedelta(hours=12),
    "GetFederationToken": timedelta(hours=36),
}
LONGEST_SESSION = max(SESSIONS.values())
#: How late IAM's service last accessed may show a call ("Refine permissions using last accessed information").
SERVICES_ARE_LATE = timedelta(hours=4)
#: The service of sign-ins to the console, as ``Attempt`` has it.
SIGN_IN = "signin"
#: The attempts in an annotation, the newest first.
SHOWN = 10
#: Services of which CloudTrail logs all operations as management events, by their prefix in actions. "Logging data
#: events" lists what other services log only in trails on request, never in the event history.
_MANAGEMENT_ONLY = frozenset(
    {
        "iam",
        "sts",
        "ec2",
        "cloudformation",
        "cloudtrail",
        "organizations",
        "autoscaling",
        "elasticloadbalancing",
    }
)
#: The types of CloudTrail's userIdentity that are no IAM user ("CloudTrail userIdentity element", its User Guide).
_OTHERS = frozenset(
    {
        "Root",
        "AssumedRole",
        "Role",
        "Directory",
        "AWSAccount",
        "AWSService",
        "IdentityCenterUser",
        "SAMLUser",
        "WebIdentityUser",
    }
)
#: The longest texts of an event that are kept.
_LONGEST = 200


@dataclass(frozen=True)
class Attempt:
    """One call as the user.

    ``error``: AWS's error code, or else its message; empty if the call succeeded or the source does not say.
    """

    source: str
    time: datetime
    service: str
    action: str = ""
    region: str = ""
    address: str = ""
    error: str = ""

    @property
    def is_failed_sign_in(self) -> bool:
        """Whether it is a failed sign-in. Anybody who knows the account's id and the name can make any number."""
        return self.service == SIGN_IN and bool(self.error)

    def as_data(self) -> dict[str, str | None]:
        """The attempt as the annotation shows it. It has no key, no name of a person and no request."""
        return {
            "source": self.source,
            "time": as_text(self.time),
            "service": self.service,
            "action": self.action,
            "region": self.region,
            "address": self.address,
            "error": self.error,
        }

    def __str__(self) -> str:
        what = " ".join(filter(None, (self.service, self.action)))
        where = "".join(
            (f" in {self.region}" if self.region else "", f" from {self.address}" if self.address else "")
        )
        ended = f", {self.error}" if self.error else ""
        return f"{what}{where} on {self.time:%Y-%m-%d %H:%M} UTC{ended} ({self.source})"


@dataclass(frozen=True)
class Gap:
    """Calls that no source could show. ``unread``: they may be recorded, but were not read.

    ``code``: of the reason, if a decision depends on it.
    """

    why: str
    unread: bool = False
    code: str = ""

    @classmethod
    def of(cls, reason: Reason) -> Gap:
        """What was not read for ``reason``."""
        return cls(reason.text, True, reason.code)


@dataclass(frozen=True)
class Attempts:
    """The answer for one user. ``since``: None if it is not known when the silence begins. ``as_of``: UTC.

    ``quarantined``: whether the user is in our quarantine. ``covered``: whether CloudTrail was read to its end for the
    whole time, in every Region that is enabled and by every name of the user. Only then can it be quiet.
    """

    since: datetime | None
    as_of: datetime
    attempts: tuple[Attempt, ...] = ()
    gaps: tuple[Gap, ...] = ()
    quarantined: bool = False
    covered: bool = False

    @property
    def state(self) -> str:
        """One of STATES."""
        if self.attempts:
            return ATTEMPTED
        return UNOBSERVABLE if self._all_gaps else QUIET

    @property
    def _all_gaps(self) -> tuple[Gap, ...]:
        """The gaps, plus one if no other says why the time was not covered. A call ends the reading."""
        if self.gaps or self.attempts or (self.covered and self.since is not None):
            return self.gaps
        return (Gap("no source says that it has every call of the whole time", unread=True),)

    def as_data(self) -> dict[str, Any]:
        """The annotation. ``count``: of the attempts that were read. The newest are listed, failed sign-ins last."""
        newest = sorted(self.attempts, key=lambda each: each.time, reverse=True)
        newest.sort(key=lambda each: each.is_failed_sign_in)
        return {
            "state": self.state,
            "since": as_text(self.since),
            "as_of": as_text(self.as_of),
            "quarantined": self.quarantined,
            "count": len(newest),
            "attempts": [each.as_data() for each in newest[:SHOWN]],
            "not_recorded": [gap.why for gap in self._all_gaps if not gap.unread],
            "unread": [gap.why for gap in self._all_gaps if gap.unread],
            "codes": [gap.code for gap in self._all_gaps if gap.code],
        }


@dataclass(frozen=True)
class RecordedCalls:
    """What records of CloudTrail say of a user. ``attempts``: its calls, whatever became of them.

    A call that succeeds counts too: under a Deny GetCallerIdentity and a sign-in to the console still do.
    ``sessions``: calls before the requested time, which gave it sessions that went on into that time. ``before``:
    whether a record is older than that time. ``unclear``: how many records may be its calls, but lack the caller or the
    time.
    """

    attempts: tuple[Attempt, ...] = ()
    sessions: tuple[Attempt, ...] = ()
    before: bool = False
    unclear: int = 0


def records_of(
    records: Iterable[Mapping[str, Any]], user: IamUser, since: datetime, names: Iterable[str] = ()
) -> RecordedCalls:
    """What the ``records`` of CloudTrail say of ``user``, from ``since`` on. ``names``: earlier ones of the user."""
    attempts, sessions, before, unclear = list[Attempt](), list[Attempt](), False, 0
    for record in records:
        time, its = moment(record.get("eventTime")), is_of(record, user, names)
        before = before or (time is not None and time < since)
        if its is False or (its is None and time is not None and time + LONGEST_SESSION < since):
            continue
        if its is None or time is None:
            unclear += 1
            continue
        call = _attempt(record, time)
        if time >= since:
            attempts.append(call)
        elif not call.error and time + SESSIONS.get(call.action, timedelta()) > since:
            sessions.append(call)
    return RecordedCalls(tuple(attempts), tuple(sessions), before, unclear)


def _attempt(record: Mapping[str, Any], time: datetime) -> Attempt:
    return Attempt(
        CLOUDTRAIL,
        time,
        _text(record.get("eventSource")).removesuffix(".amazonaws.com"),
        _text(record.get("eventName")),
        _text(record.get("awsRegion")),
        _text(record.get("sourceIPAddress")),
        _text(record.get("errorCode") or record.get("errorMessage")),
    )


def is_of(record: Mapping[str, Any], user: IamUser, names: Iterable[str] = ()) -> bool | None:
    """Whether the user made the call of a CloudTrail record, by its unique id; None if the record does not say.

    Its sessions count as itself. ``names``: earlier ones of the user. A role session, or an earlier user, can have the
    same name. A failed sign-in to the console has no id and no ARN ("AWS Management Console sign-in events", CloudTrail
    User Guide), so there the name counts.
    """
    identity = record.get("userIdentity")
    if isinstance(identity, Mapping) and identity.get("type") == "FederatedUser":
        # of GetFederationToken: the record has the user as the issuer of the session
        context = identity.get("sessionContext")
        identity = context.get("sessionIssuer") if isinstance(context, Mapping) else None
    if not isinstance(identity, Mapping) or identity.get("type") != "IAMUser":
        other = isinstance(identity, Mapping) and identity.get("type") in _OTHERS
        return False if other else None
    if known := identity.get("principalId"):
        return bool(known == user.unique_id)
    account, named = user.subject.account_id, (user.name, *names)
    if arn := identity.get("arn"):
        parts = str(arn).split(":", 5)
        return parts[4:5] == [account] and parts[-1].rpartition("/")[2] in named
    if not identity.get("accountId") or not identity.get("userName"):
        return None
    return identity["accountId"] == account and identity["userName"] in named


def last_uses(user: IamUser, keys: Iterable[KeyUse], since: datetime) -> Iterator[Attempt]:
    """The uses of password and access keys from ``since`` on, as IAM reports the last one of each."""
    signed_in = moment(user.detail.get("PasswordLastUsed"))
    if signed_in and signed_in >= since:
        yield Attempt(LAST_USED, signed_in, "signin", "console sign-in")
    for key in keys:
        if key.at and key.at >= since:
            known = key.service not in ("", "N/A")
            yield Attempt(LAST_USED, key.at, key.service if known else "", "", key.region if known else "")


def service_uses(services: Iterable[Mapping[str, Any]], since: datetime) -> Iterator[Attempt]:
    """The services that were called from ``since`` on. ``services``: botocore's ``ServiceLastAccessed``."""
    for service in services:
        time = moment(service.get("LastAuthenticated"))
        if time and time >= since:
            region = _text(service.get("LastAuthenticatedRegion"))
            yield Attempt(SERVICES, time, _text(service.get("ServiceNamespace")), "", region)


def services_told(services: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The namespaces of the ``services`` that say when they were last called, or that they never were."""
    told = (
        service
        for service in services
        if not service.get("LastAuthenticated") or moment(service["LastAuthenticated"])
    )
    return frozenset(str(each["ServiceNamespace"]) for each in told if each.get("ServiceNamespace"))


def gaps_of(
    user: IamUser,
    grants: Sequence[AppliedPolicy] | None,
    deactivated: Sequence[str],
    since: datetime,
    now: datetime,
    listed_services: frozenset[str] | None = None,
) -> Iterator[Gap]:
    """The calls of ``user`` that CloudTrail's event history does not record, however completely it is read.

    ``grants``: the policies that apply to the user, None if unknown. ``deactivated``: ids of the credentials that our
    quarantine deactivated. ``listed_services``: the namespaces for which SERVICES has the last access; None if that was
    not read.
    """
    yield from _of_credentials(user, deactivated)
    yield from _of_the_time(since, now)
    if listed_services and since > now - SERVICES_ARE_LATE:
        yield Gap("IAM's service last accessed may need 4 hours to show a call, and less has passed")
    yield from _unlogged(grants, listed_services or frozenset())


def _of_credentials(user: IamUser, deactivated: Sequence[str]) -> Iterator[Gap]:
    switchable = {
        str(item[kind.identifier]): item.get("Status", ACTIVE)
        for kind in SWITCHABLE_KINDS
        for item in user.attachments[kind.name]
    }
    if off := [identity for identity, status in switchable.items() if status != ACTIVE]:
        yield Gap(f"{len(off)} of its credentials are deactivated, and AWS may not record attempts with them")
    if gone := set(deactivated) - set(switchable):
        yield Gap(f"{len(gone)} of its credentials were deleted, and AWS does not record attempts with them")
    for kind in (each for each in CREDENTIAL_KINDS if not CREDENTIAL_TRAITS[each.name].use):
        held = [item for item in user.attachments[kind.name] if item.get("Status", ACTIVE) == ACTIVE]
        if held:
            yield Gap(f"AWS does not report the use of its {len(held)} {kind.plural}")


def _of_the_time(since: datetime, now: datetime) -> Iterator[Gap]:
    if since < now - HISTORY:
        yield Gap(
            f"CloudTrail's event history begins {HISTORY.days} days ago, and {since:%Y-%m-%d} is before that"
        )
    elif since - LONGEST_SESSION < now - HISTORY:
        yield Gap(f"CloudTrail's event history does not say which sessions it had on {since:%Y-%m-%d}")
    if since > now - DELIVERY:
        yield Gap("CloudTrail may need 15 minutes to show an event, and less has passed")


def _unlogged(grants: Sequence[AppliedPolicy] | None, told: frozenset[str]) -> Iterator[Gap]:
    """The data events of services that the user's policies allow, except those ``told`` by SERVICES.

    SERVICES lists services that policies allow, but maybe not all: under a Deny it may list none.
    """
    if grants is None or any(each.document is None and not _of_aws(each) for each in grants):
        yield Gap(
            "its policies could not all be read, so it is unknown which services it may call", unread=True
        )
        return
    found = {each for grant in grants for each in (_services(grant.document) if grant.document else "*")}
    services = sorted(found - _MANAGEMENT_ONLY - told)
    if "*" in services:
        yield Gap("its policies allow any service, and CloudTrail's event history has no data events")
    elif services:
        more = f" and {len(services) - 5} more" if len(services) > 5 else ""
        yield Gap(
            f"its policies allow {', '.join(services[:5])}{more}, and CloudTrail's event history has no data events "
            "of such services"
        )


def _of_aws(grant: AppliedPolicy) -> bool:
    """Whether it is an AWS-managed policy. The account's listing has no documents of these; they may allow anything."""
    return ":iam::aws:policy/" in grant.arn


def _services(document: Any) -> Iterator[str]:
    """The prefixes of the actions that a policy allows; ``*`` for any service, or if the policy can't be parsed."""
    try:
        allowing = [each for each in statements(parse_document(document)) if each.get("Effect") != "Deny"]
    except ValueError:
        yield "*"
        return
    for statement in allowing:
        if "NotAction" in statement:
            yield "*"
        for action in listed(statement.get("Action")):
            prefix = str(action).partition(":")[0].lower()
            yield "*" if "*" in prefix or "?" in prefix else prefix


def attempted_call(attempts: Mapping[str, Any]) -> str:
    """The newest attempt of an annotation, in words; empty if it has none."""
    newest = next(iter(attempts.get("attempts") or ()), None)
    time = moment(newest.get("time")) if isinstance(newest, Mapping) else None
    if newest is None or time is None:
        return ""
    texts = [_text(newest.get(key)) for key in ("service", "action", "region", "address", "error")]
    return str(Attempt(_text(newest.get("source")), time, *texts))


def _text(value: Any) -> str:
    return str(value or "")[:_LONGEST]
