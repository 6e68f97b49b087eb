# SPDX-License-Identifier: Apache-2.0
"""The credentials with which an IAM user can sign in or sign requests, and whether it has MFA. Pure.

A policy says what a user may do; without a working credential nobody can do it. A credential that only one service
accepts (a service-specific one, an SSH key for Git in CodeCommit) is listed apart, because it does not reach the rest
of what the policies allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.evidence.index import VIRTUAL_MFA, EvidenceIndex, Inventory
from c7n_iamusers.evidence.model import Credential, Evidence, Source
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT, CREDENTIAL_TRAITS, LISTED_AT_ONCE
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.before_quarantine import own_quarantine
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.text.times import as_text, moment

#: The pieces of evidence that it takes, each read by pages for all users of an account.
PIECES = (CREDENTIAL_REPORT, VIRTUAL_MFA, attachments.SERVICE_CREDENTIALS)
#: AWS replaces a credential report after four hours (GetCredentialReport: ReportExpired). An older one was kept by
#: somebody, and says nothing about today.
OLDEST_REPORT = timedelta(hours=4, minutes=30)
#: Prefixes of the ids of credentials that only one service accepts ("IAM identifiers", IAM User Guide):
#: service-specific credentials and SSH public keys. All other ids in a quarantine's record are of access keys and
#: certificates.
_OF_ONE_SERVICE = ("ACCA", "APKA")
_ACCESS_KEY = "AKIA"


@dataclass(frozen=True, slots=True)
class WorkingCredentials:
    """``kinds``: names of attachment kinds of which the user has a credential that works with any service.

    ``services``: its credentials that only one service accepts: ServiceName, or the name of an attachment kind.
    ``unread``: the names of attachment kinds that are unknown, and ``problem``: why, in words.
    ``mfa``: whether it has an MFA device; None if unknown. ``as_of``: the time (UTC) of the credential report, None if
    there is none. It can be four hours old: what was disabled since still counts.
    """

    kinds: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    problem: str = ""
    mfa: bool | None = None
    as_of: datetime | None = None

    def as_data(self) -> dict[str, Any]:
        """The credentials in JSON types, without ids."""
        return {
            "kinds": list(self.kinds),
            "services": list(self.services),
            "unread": list(self.unread),
            "problem": self.problem,
            "mfa": self.mfa,
            "as-of": as_text(self.as_of),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> WorkingCredentials:
        """The reverse of ``as_data``. Raises KeyError and TypeError for other data."""
        return cls(
            tuple(data["kinds"]),
            tuple(data["services"]),
            tuple(data["unread"]),
            data["problem"],
            data["mfa"],
            moment(data["as-of"]),
        )


def working_credentials(
    evidence: Evidence, quarantine: QuarantineRecord | None, now: datetime
) -> WorkingCredentials:
    """The working credentials of a user with ``evidence`` at ``now`` (UTC).

    ``quarantine``: the record of our own quarantine of the user, which counts as it was before; None for none.
    """
    as_of = evidence.time_of(CREDENTIAL_REPORT)
    stale = as_of is not None and now - as_of > OLDEST_REPORT
    held = {} if stale else dict(evidence.credentials)
    active = [each for found in held.values() for each in found if each.active]
    before = () if quarantine is None else quarantine.deactivated
    kinds = {each.kind for each in active if _is_general(each)} | set(_general_kinds(before))
    services = {each.service or each.kind for each in active if not _is_general(each)}
    services |= {
        attachments.SERVICE_SPECIFIC_CREDENTIAL.name for each in before if each.startswith(_OF_ONE_SERVICE)
    }
    unread, problem = tuple(_unread(held)), _problem(evidence)
    if stale:
        problem = f"the credential report of {as_text(as_of)} is older than AWS keeps one"
    if quarantine is not None and not quarantine.known:
        unread = tuple(sorted({*unread, attachments.ACCESS_KEY.name}))
        problem = problem or "only the journal of its quarantine says which credentials were active before"
    return WorkingCredentials(
        tuple(sorted(kinds)), tuple(sorted(services)), unread, problem if unread else "", evidence.mfa, as_of
    )


def credentials_of_users(
    inventory: Inventory,
    details: Mapping[str, Mapping[str, Any]],
    created: Mapping[str, Any],
    now: datetime,
) -> dict[str, WorkingCredentials]:
    """Unique id -> working credentials of each user in ``details`` (botocore's ``UserDetail``, by unique id).

    ``inventory``: with PIECES. ``created``: unique id -> CreateDate, which tells a user from an earlier one with its
    name.
    """
    index, source = EvidenceIndex(inventory), Source("GetAccountAuthorizationDetails", now)
    found: dict[str, WorkingCredentials] = {}
    alike: dict[WorkingCredentials, WorkingCredentials] = {}
    for unique_id, detail in details.items():
        user = IamUser({**detail, "CreateDate": created.get(unique_id)})
        held = working_credentials(index.of(user, source), own_quarantine(detail), now)
        # One object for equal ones: there may be 80,000 users.
        found[unique_id] = alike.setdefault(held, held)
    return found


def _is_general(credential: Credential) -> bool:
    traits = CREDENTIAL_TRAITS[credential.kind]
    return traits.used_by == attachments.PERSON or traits.signs_requests


def _general_kinds(ids: tuple[str, ...]) -> Iterator[str]:
    for each in ids:
        if each.startswith(_ACCESS_KEY):
            yield attachments.ACCESS_KEY.name
        elif not each.startswith(_OF_ONE_SERVICE):
            yield attachments.SIGNING_CERTIFICATE.name


def _unread(held: Mapping[str, tuple[Credential, ...]]) -> Iterator[str]:
    """The kinds for any service that were not read, or have a credential of unknown status."""
    for kind in LISTED_AT_ONCE:
        found = held.get(kind.name)
        if found is None or any(each.active is None for each in found):
            yield kind.name


def _problem(evidence: Evidence) -> str:
    found = [f"{name}: {each.problem}" for name, each in evidence.sources.items() if each.problem]
    return "; ".join(found)
