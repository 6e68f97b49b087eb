# SPDX-License-Identifier: Apache-2.0
"""Fills one account of the local organization from a real account's own documents, to rehearse policies on a copy."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from aws_local_org.documents import report_rows
from aws_local_org.loading.authorization_details import read_details
from aws_local_org.loading.completion import complete
from aws_local_org.loading.credential_report import ROOT, add_credentials
from aws_local_org.loading.detail_entry import Reading
from aws_local_org.loading.detail_kinds import LISTS
from aws_local_org.loading.field_values import entries
from aws_local_org.loading.rehoming import Rehoming, document_account
from aws_local_org.seeding.identifiers import Identifiers
from aws_local_org.seeding.records import AccountContents
from aws_local_org.seeding.summary import counts_of
from aws_local_org.seeding.writer import refuse_filled_accounts, write_account
from c7n_iamusers.exceptions import LocalOrgError

if TYPE_CHECKING:
    from aws_local_org import LocalOrg


def load(
    org: LocalOrg,
    account_id: str,
    authorization_details: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    credential_report: str | None = None,
) -> dict[str, Any]:
    """Fill an account from GetAccountAuthorizationDetails (one document or a list of pages) and a credential report.

    The document may come from any account: what names it is rewritten to ``account_id``. Everything is read before
    anything is written, so a document that cannot be read leaves the account as it was.

    Returns ``{"account", "document_account", "entries": {list: n}, "report_rows", "counts": {what: n},
    "warnings": [text]}``: ``entries`` is what the document has, ``counts`` what the account was filled with, and the
    warnings name every difference. Raises LocalOrgError for an account that the organization does not have or that
    is filled already, and for text that is not such a document.
    """
    pages = entries(authorization_details)
    rows = report_rows(credential_report) if credential_report is not None else None
    with org.lock:
        _check_account(org, account_id)
        reading = _reading(pages, account_id)
        contents = read_details(pages, reading)
        if rows is not None:
            contents = add_credentials(contents, rows, reading)
        contents = _completed(org, contents, reading)
        write_account(org, account_id, contents)
    return _summary(pages, rows, contents, reading)


def _check_account(org: LocalOrg, account_id: str) -> None:
    if account_id not in org.settings.account_ids:
        raise LocalOrgError(
            f"the local organization has no account {account_id!r}; it has {', '.join(org.settings.account_ids)}"
        )
    refuse_filled_accounts(org, [account_id])


def _reading(pages: list[Any], account_id: str) -> Reading:
    source = document_account(page for page in pages if isinstance(page, Mapping))
    # Invented ids depend on the account alone, so that loading a document again makes the same ones.
    ids = Identifiers(account_id, random.Random(f"load:{account_id}"))
    return Reading(Rehoming(source, account_id), ids, datetime.now(timezone.utc).replace(microsecond=0))


def _completed(org: LocalOrg, contents: AccountContents, reading: Reading) -> AccountContents:
    backend = org.backend("iam", reading.rehoming.target)
    own_roles = {role.name for role in backend.roles.values()}
    return complete(contents, backend.managed_policies.keys(), own_roles, reading)


def _summary(
    pages: list[Mapping[str, Any]],
    rows: list[dict[str, str]] | None,
    contents: AccountContents,
    reading: Reading,
) -> dict[str, Any]:
    return {
        "account": reading.rehoming.target,
        "document_account": reading.rehoming.source,
        "entries": {key: sum(len(entries(page.get(key))) for page in pages) for key in LISTS},
        "report_rows": sum(row["user"] != ROOT for row in rows or ()),
        "counts": counts_of(contents),
        "warnings": reading.notes.lines(),
    }
