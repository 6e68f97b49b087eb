# SPDX-License-Identifier: Apache-2.0
"""Reading what is known of an account in bulk, piece by piece: tens of calls, however many users there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.aws.accounts import PAGE_SIZE, AccountDetails, read_account
from c7n_iamusers.aws.creations import read_creators
from c7n_iamusers.aws.credential_report import read_report
from c7n_iamusers.aws.journal import utc_now
from c7n_iamusers.aws.paging import items
from c7n_iamusers.aws.retries import Backoff, error_code
from c7n_iamusers.aws.service_credentials import all_service_credentials
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.model.evidence import Source
from c7n_iamusers.model.inventory import (
    ACCOUNT,
    CREATION,
    CREDENTIAL_REPORT,
    SERVICE_CREDENTIALS,
    VIRTUAL_MFA,
    Inventory,
    default_documents,
)

#: What the piece ACCOUNT is made of, as GetAccountAuthorizationDetails filters it.
ACCOUNT_KINDS = ("Group", "Role", "LocalManagedPolicy")


@dataclass(frozen=True)
class Piece:
    """One piece, as it was read: ``value`` None where it could not be, and then ``source`` says why."""

    value: Any
    source: Source


@dataclass(frozen=True)
class PieceReader:
    """How a piece is read: ``read`` takes a client of ``service`` and a Backoff.

    ``required``: without it nobody can say whom a rule by group exempts, so that not reading it is an error.
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
    """The piece ACCOUNT of what was read of ACCOUNT_KINDS, beginning at ``began`` (UTC)."""
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


#: A new piece is a new row.
PIECES: Mapping[str, PieceReader] = {
    ACCOUNT: PieceReader(_account, ("GetAccountAuthorizationDetails",), required=True),
    CREDENTIAL_REPORT: PieceReader(read_report, ("GetCredentialReport", "GenerateCredentialReport")),
    VIRTUAL_MFA: PieceReader(_virtual_mfa, ("ListVirtualMFADevices",)),
    SERVICE_CREDENTIALS: PieceReader(_service_credentials, ("ListServiceSpecificCredentials",)),
    CREATION: PieceReader(read_creators, ("LookupEvents",), service="cloudtrail"),
}
#: What evidence is made of; who created users is read only where a policy asks for it.
USUAL = (ACCOUNT, CREDENTIAL_REPORT, VIRTUAL_MFA, SERVICE_CREDENTIALS)


def read_pieces(
    names: Iterable[str],
    clients: Mapping[str, Any],
    backoff: Backoff,
    now: Callable[[], datetime] = utc_now,
) -> dict[str, Piece]:
    """The pieces ``names``, all at once. ``clients``: by the services that PIECES name; they are thread-safe.

    Raises ClientError or BotoCoreError where a required piece can't be read.
    """
    wanted = list(names)
    with ThreadPoolExecutor(max_workers=max(len(wanted), 1)) as pool:
        read = [
            pool.submit(_read, PIECES[name], clients[PIECES[name].service], backoff, now) for name in wanted
        ]
    return {name: piece.result() for name, piece in zip(wanted, read, strict=True)}


def inventory_of(pieces: Mapping[str, Piece]) -> Inventory:
    """The pieces as one record."""
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
    began = now()  # a list is surely good as of when it was asked for, not as of when it was complete
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
