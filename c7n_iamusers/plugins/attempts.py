# SPDX-License-Identifier: Apache-2.0
"""The filter ``attempts``: whether anybody still calls AWS as a user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyExecutionError
from c7n.filters import Filter
from c7n.utils import local_session, type_schema

from c7n_iamusers.evidence.attempted_calls import (
    CLOUDTRAIL,
    DEFAULT_SOURCES,
    DELIVERY,
    LAST_USED,
    SERVICES,
    SERVICES_ARE_LATE,
    SOURCES,
    STATES,
    Attempt,
    Attempts,
    Gap,
    gaps_of,
    last_uses,
    service_uses,
    services_told,
)
from c7n_iamusers.evidence.event_history import (
    UserEvents,
    Window,
    enabled_regions,
    read_events,
    read_services,
)
from c7n_iamusers.evidence.index import ACCOUNT, applied_policies
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.journal import JournalReader, utc_now
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.iam.accounts import home_region
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import read_key_use, read_user
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.deny_all import is_denied
from c7n_iamusers.lockout.journal_lines import history_of
from c7n_iamusers.lockout.lockout_state import (
    deletion_begun,
    listened_since,
    quarantine_of,
    without_own_changes,
)
from c7n_iamusers.plugins.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.plugins.policy_checks import DAYS, acts_on, check_options, require_bounded
from c7n_iamusers.plugins.resources import AccountReadings, annotate, subject_of
from c7n_iamusers.plugins.run_outputs import run_store, store_at, visible_errors, write_privately
from c7n_iamusers.reasons import NOT_IN_QUARANTINE
from c7n_iamusers.text.wording import visible_log

Resource = dict[str, Any]
#: The value of ``since`` that means the beginning of the user's quarantine.
QUARANTINE = "quarantine"
#: Errors that say in words what is wrong.
_TOLD = (ClientError, BotoCoreError, OSError, EvidenceUnreadable)
_READS = tuple(sorted({f"iam:{name}" for kind in ATTACHMENT_KINDS for name in kind.reads}))


class AttemptsFilter(Filter):  # type: ignore[misc]  # c7n is untyped
    """Selects IAM users by whether anybody still calls AWS as them, in quarantine or not.

    - ``attempted``: somebody calls, or has called ``since``. It has the call, service, time, address and source. It
      releases nobody, as the caller may be a thief: find out who calls, then exempt the user or release it.
    - ``quiet``: nobody called, and CloudTrail was read to its end, in all Regions and for the whole time.
    - ``unobservable``: no attempt was seen, and no source would show one. ``not_recorded`` lists what AWS does not
      record: attempts with credentials that are deactivated, the use of SSH keys, certificates and service-specific
      credentials, data events of services that the user's own policies allow, the time before CloudTrail's 90 days,
      what is done in a session that the user had begun before (of a role, or by GetFederationToken). ``unread`` lists
      what was not read: a Region, a denied call, an event without caller or time, an unknown quarantine.

    ``state``: the states to select, by default all: each user is annotated with ``c7n:IamUser`` -> ``attempts``.
    ``since``: ``quarantine`` (the default), or so many days. Users that are in no quarantine, by their Deny and the
    journals beside this output or in ``record-from``, are ``unobservable`` with ``quarantine``.

    ``sources``: ``cloudtrail``, the event history of management events, which is on in every account; and
    ``last-used``, the last use of password and access keys, which can only show attempts: an unchanged last use proves
    nothing. By default these two. ``service-last-accessed`` has data events too, up to 4 hours late, of the services
    that it lists; under a Deny it may list none, and then it shows nothing. A policy that allows any service stays a
    gap.

    ``regions``: where CloudTrail is read, by default in all that are enabled in the account, since an event is in the
    Region of the call. Enabled Regions that are not read are ``unread``.

    It costs one LookupEvents for each user in quarantine and each Region, two a second in each Region, all Regions at
    the same time; and ten calls to IAM for each user. A renamed user is looked up by each of its names, from
    CloudTrail's events of UpdateUser and the journals. CloudTrail shows an event up to 15 minutes late: ``as_of`` says
    until when the answer holds. What a bucket's or queue's own policy grants to a user is not seen, nor
    a role session that renews itself by assuming the next role: it is the role's.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-attempted
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: attempts
                state: [attempted]
                since: quarantine
    """

    log = visible_log("custodian.filters")
    schema = type_schema(
        "attempts",
        **{
            "state": {"type": "array", "items": {"enum": list(STATES)}, "minItems": 1},
            "since": {"oneOf": [{"enum": [QUARANTINE]}, DAYS]},
            "sources": {"type": "array", "items": {"enum": list(SOURCES)}, "minItems": 1},
            "regions": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            "record-from": {"type": "string", "minLength": 1},
        },
    )
    schema_alias = False
    max_workers = 8

    def get_permissions(self) -> tuple[str, ...]:
        """The IAM actions that the filter needs with these options."""
        of_sources = ["cloudtrail:LookupEvents", "ec2:DescribeRegions"] if CLOUDTRAIL in self._sources else []
        if LAST_USED in self._sources:
            of_sources.append("iam:GetAccessKeyLastUsed")
        if SERVICES in self._sources:
            of_sources += ["iam:GenerateServiceLastAccessedDetails", "iam:GetServiceLastAccessedDetails"]
        return ("iam:GetAccountAuthorizationDetails", "iam:GetUser", *_READS, *of_sources)

    def validate(self) -> AttemptsFilter:
        """Raises PolicyValidationError if a Lambda archive would lack this package."""
        write_privately(self.manager)
        require_bounded(self.manager)
        check_options(self)
        validate_lambda_packaging(self.manager)
        return self

    @visible_errors
    def process(self, resources: list[Resource], event: Any = None) -> list[Resource]:
        """The users in one of the given states, annotated; none in a Region that does not act (see acts_on).

        Raises PolicyExecutionError if the users are of another account, or the account's policies can't be read.
        """
        if not acts_on(self, resources) or not resources:
            return []
        with self.executor_factory(max_workers=self.max_workers) as pool:
            found = self._answers(resources, pool)
        wanted = self.data.get("state", STATES)
        selected = []
        for resource, answer in zip(resources, found, strict=True):
            annotate(resource, "attempts", answer.as_data())
            for attempt in sorted(answer.attempts, key=lambda each: each.time)[-1:]:
                self.log.warning("attempts: %s: %s", subject_of(resource), attempt)
            if answer.state in wanted:
                selected.append(resource)
        counts = ", ".join(f"{sum(each.state == state for each in found)} {state}" for state in STATES)
        self.log.info("attempts: of %d users %s", len(found), counts)
        return selected

    @property
    def listens_to_quarantine(self) -> bool:
        """True if the filter listens from the beginning of each user's quarantine on."""
        return bool(self.data.get("since", QUARANTINE) == QUARANTINE)

    @property
    def _sources(self) -> Sequence[str]:
        return self.data.get("sources") or DEFAULT_SOURCES

    def _answers(self, resources: Sequence[Resource], pool: Executor) -> list[Attempts]:
        reading = _Reading(self.manager, self.data, self._sources)
        users = list(pool.map(reading.user, resources))
        windows = [Window(user.user, user.since, user.names) for user in users if user.user and user.since]
        events = reading.events(windows)
        return [reading.answer(user, events) for user in users]


@dataclass(frozen=True)
class _Listened:
    """What IAM says of one user. ``user``: None if it could not be read. ``since``: None if unknown.

    ``names``: that the user has had, by the journals.
    """

    user: IamUser | None
    since: datetime | None
    attempts: tuple[Attempt, ...] = ()
    gaps: tuple[Gap, ...] = ()
    quarantined: bool = False
    names: frozenset[str] = frozenset()


_NO_QUARANTINE = _Listened(None, None, gaps=(Gap.of(NOT_IN_QUARANTINE()),))


class _Reading:
    """Reads what the sources say of the users of one run."""

    def __init__(self, manager: Any, data: Mapping[str, Any], sources: Sequence[str]) -> None:
        self._manager, self._data, self._sources = manager, data, sources
        self._backoff, self._now = Backoff(), utc_now()
        self._session, self._region = local_session(manager.session_factory), manager.config.region
        self._iam = self._session.client("iam", self._region)
        self._inventory = AccountReadings.of(manager).inventory((ACCOUNT,), self._backoff)
        self._journals = JournalReader(self._stores, alone=True)

    def user(self, resource: Resource) -> _Listened:
        """What IAM says of the user of ``resource``. What can't be read is a gap."""
        try:
            if self._days is None and self._is_free(resource):
                return _NO_QUARANTINE
            return self._listen(resource, self._days)
        except _TOLD as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001  # one user's error must not affect the others
            why = repr(error)
            AttemptsFilter.log.warning("attempts: %s: could not be read: %s", subject_of(resource), why)
        return _Listened(None, None, gaps=(Gap(f"it could not be read: {why}", unread=True),))

    def events(self, windows: list[Window]) -> dict[str, UserEvents]:
        """Unique id of each user -> what CloudTrail has of it."""
        if CLOUDTRAIL not in self._sources or not windows:
            return {}
        gaps: tuple[Gap, ...] = ()
        regions = tuple(self._data.get("regions") or ())
        try:
            enabled = enabled_regions(self._session.client("ec2", self._region), self._backoff)
            regions = regions or enabled
            if missing := sorted(set(enabled) - set(regions)):
                gaps = (Gap(f"CloudTrail was not read in {', '.join(missing)}", unread=True),)
        except (ClientError, BotoCoreError) as error:
            why = f"it is unknown which Regions are enabled in the account ({error_code(error)})"
            regions = regions or (self._region, home_region(self._region))
            gaps = (
                Gap(f"{why}, and CloudTrail was read in {', '.join(sorted(set(regions)))} only", unread=True),
            )
        clients = {
            region: self._session.client("cloudtrail", region_name=region) for region in sorted(set(regions))
        }
        found = read_events(clients, windows, self._backoff, home_region(self._region), self._now)
        return {
            key: replace(each, gaps=(*each.gaps, *gaps), covered=each.covered and not gaps)
            for key, each in found.items()
        }

    def answer(self, found: _Listened, events: Mapping[str, UserEvents]) -> Attempts:
        """The answer for one user, from IAM and CloudTrail."""
        of_events = events.get(found.user.unique_id) if found.user else None
        of_events = of_events or UserEvents()
        gaps = (*found.gaps, *of_events.gaps)
        if CLOUDTRAIL not in self._sources:
            gaps = (*gaps, Gap("CloudTrail is not among the sources", unread=True))
        late = SERVICES_ARE_LATE if SERVICES in self._sources else DELIVERY
        attempts = (*found.attempts, *of_events.attempts)
        return Attempts(found.since, self._now - late, attempts, gaps, found.quarantined, of_events.covered)

    @property
    def _days(self) -> float | None:
        given = self._data.get("since", QUARANTINE)
        return None if given == QUARANTINE else float(given)

    def _stores(self) -> list[Store]:
        """The journals of this output, those beside it, and those that ``record-from`` names."""
        place = self._data.get("record-from")
        named = store_at(self._manager, place) if place else []
        try:
            here = run_store(self._manager).store
        except PolicyExecutionError:
            return named  # a run without a lasting output has no journals
        return [*named, here, *here.siblings()]

    def _is_free(self, resource: Resource) -> bool:
        """Whether the listing and the journals show that the user is in no quarantine, so that nothing need be read."""
        if "UserPolicyList" not in resource or is_denied(resource):
            return False
        return not self._history(IamUser(resource, {})).removed()

    def _history(self, user: IamUser) -> CallHistory:
        return history_of(user.subject, self._journals.of(user.subject))

    def _names(self, user: IamUser) -> frozenset[str]:
        """The names that the user has had, by the journals. CloudTrail shows a renaming only minutes later."""
        lines = self._journals.of(user.subject)
        return frozenset(str(line.get("user")) for line in lines)

    def _listen(self, resource: Resource, days: float | None) -> _Listened:
        user = read_user(self._iam, str(resource["UserName"]), self._backoff)
        if user is None or user.unique_id != resource["UserId"]:
            why = "it is gone" if user is None else f"the name now belongs to another user ({user.unique_id})"
            return _Listened(None, None, gaps=(Gap(why, unread=True),))
        history = self._history(user)
        quarantine = quarantine_of(user, history)
        if quarantine is None and deletion_begun(user, history):
            # The run that deletes it ended after it lifted the Deny and before it deleted the user.
            quarantine = history.record
        if quarantine is None and days is None:
            return _NO_QUARANTINE
        since = self._now - timedelta(days=days or 0)
        if quarantine and days is None:
            since = listened_since(user, quarantine, history)
        keys = read_key_use(self._iam, user, self._backoff) if LAST_USED in self._sources else ()
        used = last_uses(user, keys, since) if LAST_USED in self._sources else ()
        services: tuple[Mapping[str, Any], ...] = ()
        told = None
        if SERVICES in self._sources:
            services = read_services(self._iam, user.arn, self._backoff)
            told = services_told(services)
        grants = applied_policies(without_own_changes(user, history), self._inventory)
        off = quarantine.deactivated if quarantine else ()
        gaps = gaps_of(user, grants, off, since, self._now, told)
        attempts = (*used, *service_uses(services, since))
        return _Listened(user, since, attempts, tuple(gaps), quarantine is not None, self._names(user))
