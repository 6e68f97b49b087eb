# SPDX-License-Identifier: Apache-2.0
"""Reads an account's inventory in bulk: tens of calls, however many users there are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.evidence.credential_report import CredentialReport, parse_report, report_text
from c7n_iamusers.evidence.index import ACCOUNT, CREATION, VIRTUAL_MFA, Inventory
from c7n_iamusers.evidence.model import Source
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam.accounts import PAGE_SIZE, AccountDetails, all_service_credentials, read_account
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT, SERVICE_CREDENTIALS
from c7n_iamusers.iam.policy_documents import default_documents
from c7n_iamusers.text.times import moment

#: Errors of GetCredentialReport: no report, or one that is too old; and one that is being generated.
_MISSING = frozenset({"ReportNotPresent", "ReportExpired"})
_IN_PROGRESS = "ReportInProgress"


def read_report(client: Any, backoff: Backoff) -> CredentialReport:
    """The account's existing report (AWS generates at most one every four hours), else a new one.

    Raises ClientError; EvidenceUnreadable if it is not ready within the budget of ``backoff`` or can't be parsed.
    """
    response = _get(client, backoff)
    for delay in () if response else backoff.delays():
        backoff.sleep(delay)
        if response := _get(client, backoff):
            break
    if not response:
        raise EvidenceUnreadable(
            f"the credential report was not ready within {backoff.budget:.0f} seconds: run again later"
        )
    return parse_report(report_text(response["Content"]), moment(response.get("GeneratedTime")))


def _get(client: Any, backoff: Backoff) -> dict[str, Any] | None:
    """The report; None while AWS generates it. Requests a new one if there is none."""
    try:
        return dict(backoff.call(client.get_credential_report))
    except ClientError as error:
        code = error_code(error)
        if code not in _MISSING and code != _IN_PROGRESS:
            raise
    if code in _MISSING:
        _request(client, backoff)
    return None


def _request(client: Any, backoff: Backoff) -> None:
    try:
        backoff.call(client.generate_credential_report)
    except ClientError as error:
        # Another caller has requested it too; GetCredentialReport returns it when it is ready.
        if error_code(error) != "LimitExceeded":
            raise


_CREATED = {"AttributeKey": "EventName", "AttributeValue": "CreateUser"}


def read_creators(client: Any, backoff: Backoff) -> dict[str, str]:
    """Unique id of a user -> ARN of the role or user that created it, for users created in the last 90 days.

    ``client``: a CloudTrail client in the partition's home Region. LookupEvents allows two calls a second, 50 events
    each.
    """
    events = items(client, "LookupEvents", "Events", backoff, LookupAttributes=[_CREATED])
    found = [_creation(json.loads(event["CloudTrailEvent"])) for event in events]
    return {user_id: creator for user_id, creator in found if user_id and creator}


def _creation(event: Mapping[str, Any]) -> tuple[str, str]:
    """The unique id of the created user (empty if the call failed), and the ARN behind the caller's session."""
    user = ((event.get("responseElements") or {}).get("user")) or {}
    identity = event.get("userIdentity") or {}
    issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
    return str(user.get("userId", "")), str(issuer.get("arn") or identity.get("arn", ""))


#: The Filter of GetAccountAuthorizationDetails for the piece ACCOUNT.
ACCOUNT_KINDS = ("Group", "Role", "LocalManagedPolicy")


@dataclass(frozen=True)
class Piece:
    """One piece of evidence. ``value``: None if it could not be read; ``source`` then has the reason."""

    value: Any
    source: Source


@dataclass(frozen=True)
class PieceReader:
    """How a piece is read. ``read``: takes a client of ``service`` and a Backoff.

    ``required``: a failure is an error, because rules by group can't be evaluated without it.
    """

    read: Callable[[Any, Backoff], Any]
    operations: tuple[str, ...]
    required: bool = False
    service: str = "iam"

    @property
    def permissions(self) -> tuple[str, ...]:
        """The IAM actions that reading needs."""
        return tuple(f"{self.service}:{operation}" for operation in self.operations)


def account_piece(account: AccountDetails, began: datetime) -> Piece:
    """The piece ACCOUNT from ``account``, whose reading started at ``began`` (UTC)."""
    return Piece(_account_values(account), Source("GetAccountAuthorizationDetails", began))


def _account_values(account: AccountDetails) -> dict[str, Any]:
    policies = default_documents(account.policies)
    return {"groups": account.groups, "roles": account.roles, "policies": policies}


def _account(client: Any, backoff: Backoff) -> dict[str, Any]:
    return _account_values(read_account(client, backoff, *ACCOUNT_KINDS))


def _virtual_mfa(client: Any, backoff: Backoff) -> tuple[Any, ...]:
    return tuple(items(client, "ListVirtualMFADevices", "VirtualMFADevices", backoff, MaxItems=PAGE_SIZE))


def _service_credentials(client: Any, backoff: Backoff) -> tuple[Any, ...]:
    return tuple(all_service_credentials(client, backoff))


#: Name of a piece -> how it is read.
PIECES: Mapping[str, PieceReader] = {
    ACCOUNT: PieceReader(_account, ("GetAccountAuthorizationDetails",), required=True),
    CREDENTIAL_REPORT: PieceReader(read_report, ("GetCredentialReport", "GenerateCredentialReport")),
    VIRTUAL_MFA: PieceReader(_virtual_mfa, ("ListVirtualMFADevices",)),
    SERVICE_CREDENTIALS: PieceReader(_service_credentials, ("ListServiceSpecificCredentials",)),
    CREATION: PieceReader(read_creators, ("LookupEvents",), service="cloudtrail"),
}
#: The pieces that are always read. CREATION is read only if a policy needs it.
DEFAULT_PIECES = (ACCOUNT, CREDENTIAL_REPORT, VIRTUAL_MFA, SERVICE_CREDENTIALS)


def read_pieces(
    names: Iterable[str],
    clients: Mapping[str, Any],
    backoff: Backoff,
    now: Callable[[], datetime] = utc_now,
) -> dict[str, Piece]:
    """Read the pieces ``names`` in parallel. ``clients``: service name -> thread-safe client.

    Raises ClientError or BotoCoreError if a required piece can't be read.
    """
    wanted = list(names)
    with ThreadPoolExecutor(max_workers=max(len(wanted), 1)) as pool:
        read = [
            pool.submit(_read, PIECES[name], clients[PIECES[name].service], backoff, now) for name in wanted
        ]
    return {name: piece.result() for name, piece in zip(wanted, read, strict=True)}


def inventory_of(pieces: Mapping[str, Piece]) -> Inventory:
    """The inventory of the pieces that were read."""
    values = {name: piece.value for name, piece in pieces.items()}
    return Inventory(
        **(values.get(ACCOUNT) or {}),
        report=values.get(CREDENTIAL_REPORT),
        virtual_mfa=values.get(VIRTUAL_MFA),
        service_credentials=values.get(SERVICE_CREDENTIALS),
        creators=values.get(CREATION),
        sources={name: piece.source for name, piece in pieces.items()},
    )


def _read(reader: PieceReader, client: Any, backoff: Backoff, now: Callable[[], datetime]) -> Piece:
    began = now()  # a list is current as of its first call, not its last
    try:
        value = reader.read(client, backoff)
    except (ClientError, BotoCoreError, EvidenceUnreadable) as error:
        if reader.required:
            raise
        return Piece(None, Source(reader.operations[0], None, _problem(reader, error)))
    return Piece(value, Source(reader.operations[0], getattr(value, "time", began)))


def _problem(reader: PieceReader, error: Exception) -> str:
    if isinstance(error, ClientError) and error_code(error).startswith("AccessDenied"):
        return f"AccessDenied: it needs {' and '.join(reader.permissions)}"
    return str(error)
