# SPDX-License-Identifier: Apache-2.0
"""The assessment of users one after another: classification, findings, and when each was last active.

The filter ``unnecessary`` and the command ``evidence`` both assess users, the filter with a policy's criteria. A
deletion can depend on "unused". So a user counts as unused only if every kind of credential was read, the last use of
each credential is known, and the evidence is less than a day old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.evidence.classification import classify
from c7n_iamusers.evidence.finding_case import Case
from c7n_iamusers.evidence.findings import evaluate
from c7n_iamusers.evidence.index import USER, EvidenceIndex, with_listed_credentials
from c7n_iamusers.evidence.model import (
    Activity,
    Classification,
    Credential,
    Evidence,
    Findings,
    Hint,
    Provisioning,
    Source,
    Thresholds,
    UsedKey,
)
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.exemptions import Exemption
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import LISTED_KINDS, list_kind
from c7n_iamusers.infrastructure_code.model import Managed, as_data
from c7n_iamusers.lockout import deny_all
from c7n_iamusers.lockout.quarantine_record import OWN_TAGS, tagged_since
from c7n_iamusers.text.times import moment

#: The pieces of evidence that activity depends on.
ACTIVITY_PIECES = (USER, *dict.fromkeys(kind.piece for kind in attachments.CREDENTIAL_KINDS))
#: The oldest evidence that counts. AWS returns credential reports that are up to 4 hours old.
MAX_AGE = timedelta(days=1)


def activity_of(user: IamUser, evidence: Evidence) -> Activity:
    """The activity of ``user`` with all its credentials."""
    held = [each for found in evidence.credentials.values() for each in found]
    used = [(each.last_use.at, each) for each in held if each.last_use and each.last_use.at]
    latest = max(used, key=lambda pair: pair[0])[1] if used else None
    times = [evidence.time_of(piece) for piece in ACTIVITY_PIECES]
    events = (
        [at for at, _ in used] + [each.created for each in held] + [moment(user.detail.get("CreateDate"))]
    )
    return Activity(
        latest.last_use if latest else None,
        latest.title if latest else "",
        max((event for event in events if event), default=None),
        None if None in times else min(time for time in times if time),
        tuple(_unknown(user, evidence, held)),
    )


def is_unused(activity: Activity, days: float, now: datetime) -> bool:
    """Whether the user had no activity for ``days`` days. Creating a credential counts as activity.

    False if anything is unknown, or the evidence is older than MAX_AGE. Days are counted up to the time of the
    oldest piece of evidence.
    """
    if activity.unknown or activity.idle_since is None or activity.as_of is None:
        return False
    recent = now - activity.as_of <= MAX_AGE
    return recent and activity.as_of - activity.idle_since >= timedelta(days=days)


def _unknown(user: IamUser, evidence: Evidence, held: list[Credential]) -> Iterator[str]:
    if moment(user.detail.get("CreateDate")) is None:
        yield "when the user was created"
    yield from (
        f"{kind.title}: not read"
        for kind in attachments.CREDENTIAL_KINDS
        if kind.name not in evidence.credentials
    )
    for credential in held:
        if credential.last_use is None:
            yield f"{credential.title}: last use unknown"
        elif credential.created is None:
            yield f"{credential.title}: age unknown"


#: The source that says why a user's access keys could not be listed, where ``usage`` asks who calls with them.
KEYS_UNLISTED = "usage keys"
#: The key of a resource under which Cloud Custodian's output holds the assessment.
ANNOTATION = "c7n:IamUser"


@dataclass(frozen=True)
class Criteria:
    """What an organization configures: naming hints, thresholds, and how it creates users."""

    hints: tuple[Hint, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)
    provisioning: Provisioning = field(default_factory=Provisioning)


@dataclass(frozen=True)
class Assessment:
    """The classification, findings and activity of ``user``, with the evidence for them."""

    user: IamUser
    evidence: Evidence
    exemption: Exemption
    classification: Classification
    findings: Findings
    activity: Activity

    def as_data(self) -> dict[str, Any]:
        """The assessment as an annotation: JSON types only."""
        counts, unread = count_attachments(without_ours(self.user), self.evidence)
        trusted_by = self.evidence.trusted_by
        return {
            "kind": self.classification.kind,
            **({"selected_as": self.classification.selected_as} if self.classification.selected_as else {}),
            "reasons": list(self.classification.reasons),
            "replacement": list(self.classification.replacement),
            "findings": [finding.as_data() for finding in self.findings.found],
            "unknown_findings": list(self.findings.unknown),
            "last_activity": self.activity.as_data(),
            "credentials": [each.as_data() for kind in self.evidence.credentials.values() for each in kind],
            "attachments": counts,
            "unread": unread,
            "trusted_by": None if trusted_by is None else list(trusted_by),
            **_named_by(self.evidence),
            "managed": as_data(self.evidence.managed.found),
            **_usage(self.evidence),
            "sources": {piece: source.as_data() for piece, source in self.evidence.sources.items()},
        }


#: The policies in an annotation, which travels in messages; the finding's text counts all of them.
_MOST_POLICIES = 20


def _named_by(evidence: Evidence) -> dict[str, Any]:
    """The policies that name the user, if they were asked for; None if it is unknown whether any does."""
    if evidence.naming is None:
        return {}
    named, unknown = evidence.naming.named, evidence.naming.unknown
    told = [each.as_data() for each in named[:_MOST_POLICIES]]
    return {"named_by": told if named or not unknown else None}


def _usage(evidence: Evidence) -> dict[str, Any]:
    """Who calls with each access key, if that was asked for; None if its keys could not be listed."""
    if evidence.usage is not None:
        return {"usage": [each.as_data() for each in evidence.usage]}
    return {"usage": None} if KEYS_UNLISTED in evidence.sources else {}


#: Characters of a finding's text that an announcement keeps.
_KEPT_OF_TEXT = 300


def frozen_evidence(known: Mapping[str, Any]) -> dict[str, Any]:
    """What an announcement keeps of an annotation (``Assessment.as_data``): why the user is unnecessary on that day."""
    kept = ("kind", "replacement", "last_activity", "attachments", "key")
    findings = [
        {**{key: each.get(key) for key in ("id", "severity")}, "text": _kept(str(each.get("text")))}
        for each in known.get("findings") or ()
    ]
    return {**{key: known[key] for key in kept if known.get(key)}, "findings": findings}


def _kept(text: str) -> str:
    """``text``, or its beginning up to a whole word, with a mark that it goes on."""
    if len(text) <= _KEPT_OF_TEXT:
        return text
    beginning = text[: _KEPT_OF_TEXT - len(" ...")]
    return f"{beginning.rpartition(' ')[0] or beginning} ..."


def assess(
    user: IamUser, evidence: Evidence, exemption: Exemption, criteria: Criteria, now: datetime
) -> Assessment:
    """The assessment of ``user`` at ``now`` (UTC).

    Ages are counted up to the time of the credential report, if there is one: an old report says nothing about the
    time after it.
    """
    as_of = evidence.time_of(attachments.CREDENTIAL_REPORT) or now
    case = Case(without_ours(user), evidence, exemption, as_of, criteria.thresholds, criteria.provisioning)
    classification = classify(user, evidence, criteria.hints)
    return Assessment(user, evidence, exemption, classification, evaluate(case), activity_of(user, evidence))


def without_ours(user: IamUser) -> IamUser:
    """``user`` without what this tool put on it: its Deny-all, a brownout, its tags. The boundary stays as it is.

    An AWSDenyAll that is attached counts as ours by the tag of a quarantine. Anybody with iam:TagUser can forge it, but
    only a finding on a Deny depends on it here.
    """
    held, inline, attached, tag = (
        dict(user.attachments),
        *(kind.name for kind in (attachments.INLINE_POLICY, attachments.ATTACHED_POLICY, attachments.TAG)),
    )
    if held.get(inline):
        ours = {
            deny_all.DENY_ALL_NAME: deny_all.holds_inline(user),
            deny_all.BROWNOUT_NAME: deny_all.brownout_of(user),
        }
        held[inline] = tuple(each for each in held[inline] if not ours.get(str(each.get("PolicyName"))))
    if held.get(attached) and tagged_since(user.tags):
        arn = deny_all.deny_all_arn(user)
        held[attached] = tuple(each for each in held[attached] if each.get("PolicyArn") != arn)
    if held.get(tag):
        held[tag] = tuple(each for each in held[tag] if not str(each["Key"]).startswith(OWN_TAGS))
    return replace(user, attachments=held)


def unread_kinds(evidence: Evidence) -> tuple[attachments.AttachmentKind, ...]:
    """The kinds of credentials that AWS lists for one user at a time, and that were not listed for this user."""
    return tuple(kind for kind in attachments.LISTED_BY_USER if kind.name not in evidence.credentials)


def count_attachments(user: IamUser, evidence: Evidence) -> tuple[dict[str, int], list[str]]:
    """Attachment kind -> count, and the kinds that were not read in full: their counts are missing or minimums."""
    known = {kind: len(found) for kind, found in evidence.credentials.items()} | user.counts()
    unread = {kind.name for kind in attachments.ATTACHMENT_KINDS} - known.keys()
    if attachments.MFA_DEVICE.name in unread and evidence.mfa is not None:
        # No account-wide list has hardware and FIDO devices, so this is a minimum.
        known[attachments.MFA_DEVICE.name] = max(len(evidence.virtual_mfa or ()), int(evidence.mfa))
        if not evidence.mfa:
            unread.remove(attachments.MFA_DEVICE.name)
    order = [kind.name for kind in attachments.ATTACHMENT_KINDS]
    return {kind: known[kind] for kind in order if kind in known}, [kind for kind in order if kind in unread]


@dataclass(frozen=True)
class Assessor:
    """Assesses users by ``index``. Thread-safe. ``client``: an IAM client. ``clock``: returns the time in UTC."""

    index: EvidenceIndex
    criteria: Criteria
    client: Any
    backoff: Backoff
    clock: Callable[[], datetime]

    def assess(self, user: IamUser, source: Source, exemption: Exemption) -> Assessment:
        """The assessment by the account's inventory. ``source``: of the user's own record."""
        return self._assess(user, self.index.of(user, source), exemption)

    def with_user_lists(self, found: Assessment) -> Assessment:
        """The assessment after listing the credentials that AWS lists for one user at a time (SSH keys).

        Raises ClientError; NoSuchEntity if the user is gone.
        """
        evidence = found.evidence
        for kind in unread_kinds(evidence):
            began = self.clock()
            items = list_kind(self.client, found.user.name, kind, self.backoff)
            operation = kind.reading.operation if kind.reading else ""
            evidence = with_listed_credentials(evidence, kind, items, Source(operation, began))
        return self._assess(found.user, evidence, found.exemption)

    def with_managed(self, found: Assessment, managed: Managed, sources: Mapping[str, Source]) -> Assessment:
        """The assessment with which code manages the user. ``sources``: those that were asked for it."""
        known = found.evidence
        evidence = replace(
            known, managed=known.managed.and_also(managed), sources={**known.sources, **sources}
        )
        return self._assess(found.user, evidence, found.exemption)

    def with_usage(
        self, found: Assessment, usage: tuple[UsedKey, ...] | None, sources: Mapping[str, Source]
    ) -> Assessment:
        """The assessment with who calls with the user's access keys. ``sources``: those that were asked for it."""
        known = found.evidence
        evidence = replace(known, usage=usage, sources={**known.sources, **sources})
        return self._assess(found.user, evidence, found.exemption)

    def with_all_attachments(self, found: Assessment) -> Assessment:
        """The assessment after listing the attachments that no bulk operation returns, so that all are counted.

        A console password is read too, since only GetLoginProfile says how long its sessions last.

        Raises ClientError; NoSuchEntity if the user is gone.
        """
        counts, unread = count_attachments(found.user, found.evidence)
        read = {
            *unread,
            *({attachments.LOGIN_PROFILE.name} & {kind for kind, count in counts.items() if count}),
        }
        listed = {
            kind.name: list_kind(self.client, found.user.name, kind, self.backoff)
            for kind in LISTED_KINDS
            if kind.name in read
        }
        user = replace(found.user, attachments={**found.user.attachments, **listed})
        return self._assess(user, found.evidence, found.exemption)

    def _assess(self, user: IamUser, evidence: Evidence, exemption: Exemption) -> Assessment:
        return assess(user, evidence, exemption, self.criteria, self.clock())
