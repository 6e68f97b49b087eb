# SPDX-License-Identifier: Apache-2.0
"""Evidence on users for tests, as the readers and the index return it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from c7n_iamusers.evidence.index import ACCOUNT, USER, VIRTUAL_MFA
from c7n_iamusers.evidence.model import Credential, Evidence, LastUse, Source
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.policy_documents import AppliedPolicy
from c7n_iamusers.iam.user import IamUser

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
NEVER = LastUse(None)
CREDENTIAL_KINDS = tuple(kind.name for kind in attachments.CREDENTIAL_KINDS)
PIECES = (USER, ACCOUNT, VIRTUAL_MFA, *dict.fromkeys(kind.piece for kind in attachments.CREDENTIAL_KINDS))


def days_ago(days: float) -> datetime:
    """The time ``days`` days before NOW."""
    return NOW - timedelta(days=days)


def used(days: float, service: str = "s3", region: str = "us-east-1") -> LastUse:
    """A use ``days`` days before NOW."""
    return LastUse(days_ago(days), service, region)


def password(use: LastUse | None = NEVER, created: datetime | None = None) -> Credential:
    """A console password, 400 days old unless ``created`` says otherwise."""
    return Credential("login-profile", "password", True, created or days_ago(400), use)


def key(
    use: LastUse | None = NEVER, active: bool = True, created: datetime | None = None, number: int = 1
) -> Credential:
    """An access key, 400 days old unless ``created`` says otherwise."""
    return Credential("access-key", f"access key {number}", active, created or days_ago(400), use)


def certificate(active: bool = True) -> Credential:
    """A signing certificate; AWS does not track its use."""
    return Credential("signing-certificate", "signing certificate 1", active, days_ago(400), None)


def service_credential(service: str, active: bool = True) -> Credential:
    """A credential for ``service`` (codecommit, cassandra, bedrock, logs); AWS does not track its use."""
    name = f"{service}.amazonaws.com"
    title = f"credential for {name} (ACCA1)"
    return Credential("service-specific-credential", title, active, days_ago(400), None, name)


def ssh_key(active: bool = True) -> Credential:
    """An SSH key; AWS does not track its use."""
    return Credential("ssh-public-key", "SSH public key APKA1", active, days_ago(400), None)


def evidence(
    *credentials: Credential,
    unread: tuple[str, ...] = (),
    mfa: bool | None = False,
    trusted_by: tuple[str, ...] | None = (),
    grants: tuple[AppliedPolicy, ...] | None = (),
    sources: Mapping[str, Source] | None = None,
    **rest: Any,
) -> Evidence:
    """Evidence with everything read at NOW, except the kinds of credentials in ``unread``."""
    held = {
        kind: tuple(each for each in credentials if each.kind == kind)
        for kind in CREDENTIAL_KINDS
        if kind not in unread
    }
    given = {piece: Source(piece, NOW) for piece in PIECES} if sources is None else sources
    rest = {"virtual_mfa": (), "orphaned_mfa": (), **rest}
    return Evidence(held, mfa, trusted_by=trusted_by, grants=grants, sources=given, **rest)


def aged(subject: IamUser, days: float = 1000) -> IamUser:
    """``subject``, created ``days`` days before NOW."""
    return replace(subject, detail={**subject.detail, "CreateDate": days_ago(days)})
