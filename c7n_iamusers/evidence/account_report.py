# SPDX-License-Identifier: Apache-2.0
"""The evidence on every user of one account, from the account itself or from saved documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.evidence.assessment import Assessment, Assessor, Criteria, assess
from c7n_iamusers.evidence.index import ACCOUNT, EvidenceIndex, Inventory
from c7n_iamusers.evidence.model import Source
from c7n_iamusers.evidence.reader import (
    ACCOUNT_KINDS,
    DEFAULT_PIECES,
    account_piece,
    inventory_of,
    read_pieces,
)
from c7n_iamusers.evidence.saved_documents import read_details, read_report
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.exemptions import Exemption
from c7n_iamusers.iam.accounts import detail_attachments, read_users
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT
from c7n_iamusers.iam.policy_documents import default_documents
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import embedded_attachments

_NOT_EXEMPT = Exemption(None)
_WORKERS = 8
_SHOWN = 10


@dataclass(frozen=True)
class AccountEvidence:
    """``users``: ordered by name. ``notes``: remarks on the account, such as evidence that was not read."""

    users: tuple[Assessment, ...]
    notes: tuple[str, ...]


def read_account_evidence(
    client: Any,
    backoff: Backoff,
    on_step: Callable[[str], None] = lambda _: None,
    clock: Callable[[], datetime] = utc_now,
) -> AccountEvidence:
    """Every user of the account that ``client`` (an IAM client) acts in. ``on_step``: called at the start of a step.

    Raises EvidenceUnreadable if users, groups, roles or policies can't be read.
    """
    try:
        on_step("users")
        source = Source("GetAccountAuthorizationDetails, ListUsers", clock())
        listed = read_users(client, backoff, *ACCOUNT_KINDS)
        on_step("groups, roles, credentials")
        pieces = read_pieces(
            [name for name in DEFAULT_PIECES if name != ACCOUNT], {"iam": client}, backoff, clock
        )
        account = account_piece(listed.account, source.time or clock())
        inventory = inventory_of({ACCOUNT: account, **pieces})
    except (ClientError, BotoCoreError) as error:
        raise EvidenceUnreadable(f"the account can't be read: {error}") from error
    index = EvidenceIndex(inventory)
    assessor = Assessor(index, Criteria(), client, backoff, clock)
    on_step("SSH keys of users that have nothing else")
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = list(pool.map(lambda user: _settled(assessor, user, source), map(_user, listed.users)))
    notes = (*_problems(inventory), *_orphans(index))
    return AccountEvidence(_sorted(each for each in found if each), notes)


def read_saved_evidence(details_path: Path, report_path: Path | None) -> AccountEvidence:
    """Every user in saved authorization details, with evidence from a saved credential report if there is one.

    Raises EvidenceUnreadable with the file that can't be read.
    """
    saved = read_details(details_path)
    source = Source(str(details_path), saved.time)
    report = read_report(report_path) if report_path else None
    inventory = Inventory(
        groups={str(group.get("GroupName")): group for group in saved.entries["GroupDetailList"]},
        roles=tuple(saved.entries["RoleDetailList"]),
        policies=default_documents(saved.entries["Policies"]),
        report=report,
        sources={ACCOUNT: source}
        | ({CREDENTIAL_REPORT: Source(str(report_path), report.time)} if report else {}),
    )
    index = EvidenceIndex(inventory)
    users = [_user(detail) for detail in saved.users]
    found = [assess(user, index.of(user, source), _NOT_EXEMPT, Criteria(), saved.time) for user in users]
    missing = f"{details_path} is truncated (IsTruncated): users, groups and policies are missing"
    return AccountEvidence(_sorted(found), (missing,) if saved.truncated else ())


def row(assessment: Assessment) -> dict[str, Any]:
    """One user's evidence in JSON types, in the order that reports use."""
    data = assessment.as_data()
    keys = ("kind", "reasons", "findings", "last_activity", "attachments", "trusted_by", "sources")
    return {"user": assessment.user.name, "arn": assessment.user.arn, **{key: data[key] for key in keys}}


def _user(detail: dict[str, Any]) -> IamUser:
    return IamUser(detail, {**detail_attachments(detail), **embedded_attachments(detail)})


def _settled(assessor: Assessor, user: IamUser, source: Source) -> Assessment | None:
    """The assessment, with the user's SSH keys listed if they decide its kind; None for a user that is gone."""
    found = assessor.assess(user, source, _NOT_EXEMPT)
    if not found.classification.missing_kind:
        return found
    try:
        return assessor.with_user_lists(found)
    except ClientError as error:
        return None if error_code(error) == "NoSuchEntity" else found
    except BotoCoreError:
        return found  # its kind stays unknown, and its reasons say what was not read


def _problems(inventory: Inventory) -> Iterator[str]:
    for name, source in inventory.sources.items():
        if source.problem:
            yield f"{name} could not be read, so evidence from it is unknown: {source.problem}"


def _orphans(index: EvidenceIndex) -> Iterator[str]:
    if serials := index.orphaned_mfa:
        more = f" and {len(serials) - _SHOWN} more" if len(serials) > _SHOWN else ""
        yield f"virtual MFA devices assigned to no user: {', '.join(serials[:_SHOWN])}{more}"


def _sorted(found: Iterator[Assessment] | list[Assessment]) -> tuple[Assessment, ...]:
    return tuple(sorted(found, key=lambda each: (each.user.name.casefold(), each.user.arn)))
