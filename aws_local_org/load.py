# SPDX-License-Identifier: Apache-2.0
"""Fills one account of the local organization from documents of a real account, to test policies on a copy."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from aws_local_org import settings
from aws_local_org.accounts import Accounts
from aws_local_org.errors import LocalOrgError
from aws_local_org.loading.authorization_details import (
    LISTS,
    UNKNOWN_DOCUMENT,
    AccountRewriter,
    Reading,
    document_account,
    read_details,
)
from aws_local_org.loading.credential_report import ROOT, add_credentials
from aws_local_org.loading.documents import entries, report_rows
from aws_local_org.seeding.draft import Identifiers
from aws_local_org.seeding.records import (
    AccountContents,
    Group,
    ManagedPolicy,
    PolicyVersion,
    Role,
    User,
    counts_of,
)
from aws_local_org.seeding.writer import refuse_filled_accounts, write_account


def load(
    org: Accounts,
    account_id: str,
    authorization_details: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    credential_report: str | None = None,
) -> dict[str, Any]:
    """Fill an account from GetAccountAuthorizationDetails (one document or a list of pages) and a credential report.

    The document may come from any account: mentions of it are rewritten to ``account_id``. Everything is read before
    anything is written, so a document that cannot be read leaves the account as it was.

    Returns ``{"account", "document_account", "entries": {list: n}, "report_rows", "counts": {what: n},
    "warnings": [text]}``: ``entries`` are the document's, ``counts`` the account's, and the warnings name every
    difference. Raises LocalOrgError for an account that the organization does not have or that
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


def _check_account(org: Accounts, account_id: str) -> None:
    if account_id not in org.settings.account_ids:
        raise LocalOrgError(
            f"the local organization has no account {account_id!r}; it has {', '.join(org.settings.account_ids)}"
        )
    refuse_filled_accounts(org, [account_id])


def _reading(pages: list[Any], account_id: str) -> Reading:
    source = document_account(page for page in pages if isinstance(page, Mapping))
    # Invented ids depend only on the account, so that loading a document again makes the same ones.
    ids = Identifiers(account_id, random.Random(f"load:{account_id}"))
    return Reading(
        AccountRewriter(source, account_id), ids, datetime.now(timezone.utc).replace(microsecond=0)
    )


def _completed(org: Accounts, contents: AccountContents, reading: Reading) -> AccountContents:
    backend = org.backend("iam", reading.rewriter.target)
    own_roles = {role.name for role in backend.roles.values()}
    return complete(contents, backend.managed_policies.keys(), own_roles, reading)


def _summary(
    pages: list[Mapping[str, Any]],
    rows: list[dict[str, str]] | None,
    contents: AccountContents,
    reading: Reading,
) -> dict[str, Any]:
    return {
        "account": reading.rewriter.target,
        "document_account": reading.rewriter.source,
        "entries": {key: sum(len(entries(page.get(key))) for page in pages) for key in LISTS},
        "report_rows": sum(row["user"] != ROOT for row in rows or ()),
        "counts": counts_of(contents),
        "warnings": reading.notes.lines(),
    }


def complete(
    contents: AccountContents, catalogue: Collection[str], own_roles: Collection[str], reading: Reading
) -> AccountContents:
    """Add the referenced groups and policies, and leave out existing roles.

    AWS changes its policies: the document's version and text, if any, replace the catalogue's. ``catalogue``: ARNs of
    the account's existing policies. ``own_roles``: names of its existing roles.
    """
    policies = tuple(
        policy
        for policy in contents.policies
        if _takes_text(policy, _policy_arn(policy, reading), catalogue, reading)
    )
    known = {*catalogue, *(_policy_arn(policy, reading) for policy in policies)}
    for role in contents.roles:
        if role.name in own_roles:
            reading.notes.add(
                "role has the name of one of the local organization's own, which was kept", role.name
            )
    return dataclasses.replace(
        contents,
        groups=(*contents.groups, *_missing_groups(contents, reading)),
        roles=tuple(role for role in contents.roles if role.name not in own_roles),
        policies=(*policies, *_missing_policies(contents, known, reading)),
    )


def _policy_arn(policy: ManagedPolicy, reading: Reading) -> str:
    owner = "aws" if policy.aws_managed else reading.rewriter.target
    return f"arn:{settings.current().partition}:iam::{owner}:policy{policy.path}{policy.name}"


def _takes_text(policy: ManagedPolicy, arn: str, catalogue: Collection[str], reading: Reading) -> bool:
    """Whether a policy of the document is loaded, unlike an AWS-managed one without text."""
    texts = {version.version_id: version.document for version in policy.versions}
    if not policy.aws_managed or texts[policy.default_version] != UNKNOWN_DOCUMENT:
        return True
    known = arn in catalogue
    instead = "the known one was kept" if known else "a policy that grants nothing replaces it"
    reading.notes.add(f"AWS-managed policy is listed without its document, {instead}", arn)
    return not known


def _missing_groups(contents: AccountContents, reading: Reading) -> Iterator[Group]:
    described = {group.name for group in contents.groups}
    for name in dict.fromkeys(name for user in contents.users for name in user.groups):
        if name not in described:
            reading.notes.add("group has members but is not described, made without policies", name)
            yield Group(name, reading.ids.group(), reading.now)


def _missing_policies(
    contents: AccountContents, known: Collection[str], reading: Reading
) -> Iterator[ManagedPolicy]:
    for arn in dict.fromkeys(_referred_policies(contents)):
        if arn not in known:
            reading.notes.add(
                "policy is attached but its document is unknown, a policy that grants nothing replaces it",
                arn,
            )
            yield _stub(arn, reading)


def _referred_policies(contents: AccountContents) -> Iterator[str]:
    holders: tuple[User | Group | Role, ...] = (*contents.users, *contents.groups, *contents.roles)
    for holder in holders:
        yield from holder.policies
        if not isinstance(holder, Group) and holder.boundary:
            yield holder.boundary


def _stub(arn: str, reading: Reading) -> ManagedPolicy:
    path, _, name = arn.partition(":policy")[2].rpartition("/")
    version = PolicyVersion("v1", UNKNOWN_DOCUMENT, reading.now)
    return ManagedPolicy(
        name, reading.ids.policy(), reading.now, "v1", (version,), f"{path}/", aws_managed=":iam::aws:" in arn
    )
