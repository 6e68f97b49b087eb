# SPDX-License-Identifier: Apache-2.0
"""The evidence on every user of one account, from the account itself or from documents saved of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.evidence.assessment import Assessment, Criteria, assess
from c7n_iamusers.evidence.assessor import Assessor
from c7n_iamusers.evidence.index import EvidenceIndex
from c7n_iamusers.evidence.inventory import ACCOUNT, Inventory
from c7n_iamusers.evidence.model import Source
from c7n_iamusers.evidence.reader import ACCOUNT_KINDS, USUAL, account_piece, inventory_of, read_pieces
from c7n_iamusers.evidence.saved_documents import read_details, read_report
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.client import Backoff, error_code
from c7n_iamusers.execution.journal import utc_now
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
    """``users`` in the order of their names; ``notes``: what a reader must know of them as a whole."""

    users: tuple[Assessment, ...]
    notes: tuple[str, ...]


def of_account(
    client: Any,
    backoff: Backoff,
    on_step: Callable[[str], None] = lambda _: None,
    clock: Callable[[], datetime] = utc_now,
) -> AccountEvidence:
    """Every user of the account that ``client`` (of iam) acts in. ``on_step``: called as each step begins.

    Raises EvidenceUnreadable where users, groups, roles or policies can't be read.
    """
    try:
        on_step("users")
        source = Source("GetAccountAuthorizationDetails, ListUsers", clock())
        listed = read_users(client, backoff, *ACCOUNT_KINDS)
        on_step("groups, roles, credentials")
        pieces = read_pieces([name for name in USUAL if name != ACCOUNT], {"iam": client}, backoff, clock)
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


def of_documents(details_path: Path, report_path: Path | None) -> AccountEvidence:
    """Every user in saved authorization details, with what a saved credential report tells of it.

    Raises EvidenceUnreadable that names the file which can't be read.
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
    cut = [f"{details_path} is cut short (IsTruncated): users, groups and policies are missing"]
    return AccountEvidence(_sorted(found), tuple(cut if saved.cut_short else ()))


def row(assessment: Assessment) -> dict[str, Any]:
    """One user's evidence with JSON types, in the order in which reports show it."""
    data = assessment.as_data()
    keys = ("kind", "reasons", "findings", "last_activity", "attachments", "trusted_by", "sources")
    return {"user": assessment.user.name, "arn": assessment.user.arn, **{key: data[key] for key in keys}}


def _user(detail: dict[str, Any]) -> IamUser:
    return IamUser(detail, {**detail_attachments(detail), **embedded_attachments(detail)})


def _settled(assessor: Assessor, user: IamUser, source: Source) -> Assessment | None:
    """The assessment, settled by the user's own lists (SSH keys) where only they can; None for a user that is gone."""
    found = assessor.assess(user, source, _NOT_EXEMPT)
    if not found.verdict.wants:
        return found
    try:
        return assessor.with_lists(found)
    except ClientError as error:
        return None if error_code(error) == "NoSuchEntity" else found
    except BotoCoreError:
        return found  # its kind stays unknown, and its reasons say for want of what


def _problems(inventory: Inventory) -> Iterator[str]:
    for name, source in inventory.sources.items():
        if source.problem:
            yield f"{name} could not be read, so what rests on it is unknown: {source.problem}"


def _orphans(index: EvidenceIndex) -> Iterator[str]:
    if serials := index.orphaned_mfa:
        more = f" and {len(serials) - _SHOWN} more" if len(serials) > _SHOWN else ""
        yield f"virtual MFA devices of nobody: {', '.join(serials[:_SHOWN])}{more}"


def _sorted(found: Iterator[Assessment] | list[Assessment]) -> tuple[Assessment, ...]:
    return tuple(sorted(found, key=lambda each: (each.user.name.casefold(), each.user.arn)))
