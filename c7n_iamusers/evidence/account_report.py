# SPDX-License-Identifier: Apache-2.0
"""The evidence on every user of one account, from the account itself or from documents that common tools save."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.evidence import reader
from c7n_iamusers.evidence.assessment import Assessment, Assessor, Criteria, assess
from c7n_iamusers.evidence.credential_report import CredentialReport, parse_report, report_text
from c7n_iamusers.evidence.index import ACCOUNT, EvidenceIndex, Inventory
from c7n_iamusers.evidence.model import Source
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.given import read_given
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.exemptions import Exemption
from c7n_iamusers.iam.accounts import detail_attachments, read_users
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT
from c7n_iamusers.iam.policy_documents import default_documents, listed, objects
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import embedded_attachments
from c7n_iamusers.text.documents import LARGEST, NotInFormat, as_text, json_values, read_json
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import quoted


def saved_user(entry: Mapping[str, Any]) -> dict[str, Any]:
    """``entry`` as botocore's ``UserDetail``, with empty lists and names filled in.

    Raises EvidenceUnreadable if it has neither UserName nor Arn.
    """
    arn = str(entry.get("Arn") or "")
    name = str(entry.get("UserName") or arn.rpartition("/")[2])
    if not name:
        raise EvidenceUnreadable(f"a user without UserName and Arn: {quoted(entry)[:80]}")
    path = str(entry.get("Path") or "/")
    return {
        **entry,
        "UserName": name,
        "UserId": str(entry.get("UserId") or ""),
        "Path": path,
        "Arn": arn or f"arn:aws:iam:::user{path}{name}",
        "Tags": _tags(entry.get("Tags")),
        "GroupList": [str(group) for group in listed(entry.get("GroupList"))],
        "AttachedManagedPolicies": list(objects(entry.get("AttachedManagedPolicies"))),
        "UserPolicyList": list(objects(entry.get("UserPolicyList"))),
        "PermissionsBoundary": _boundary(entry.get("PermissionsBoundary")),
    }


def _boundary(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, str) and value:
        return {"PermissionsBoundaryArn": value}
    return value if isinstance(value, Mapping) and value else None


def _tags(value: Any) -> list[dict[str, str]]:
    """Tags as a list of Key and Value, from such a list with keys in any case, or from a mapping."""
    if isinstance(value, Mapping) and not {"Key", "key"} & set(value):
        pairs = list(value.items())
    else:
        lowered = [{str(key).lower(): text for key, text in item.items()} for item in objects(value)]
        pairs = [(item["key"], item.get("value")) for item in lowered if "key" in item]
    return [{"Key": str(key), "Value": str(text or "")} for key, text in pairs]


_LISTS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")


@dataclass(frozen=True)
class SavedDetails:
    """``entries``: name of a list -> its entries in all pages. ``time``: when the file was written.

    ``truncated``: the last page has IsTruncated, so pages are missing. ``users``: as botocore's ``UserDetail``.
    """

    time: datetime
    truncated: bool
    entries: Mapping[str, list[Mapping[str, Any]]]
    users: list[dict[str, Any]]


def read_details(path: Path) -> SavedDetails:
    """The output of ``aws iam get-account-authorization-details``: one page, a list of pages, or concatenated pages.

    Raises EvidenceUnreadable with the file, and the line of a syntax error.
    """
    try:
        return _details(path)
    except MemoryError:
        raise _too_large(path) from None


def _details(path: Path) -> SavedDetails:
    pages = list(_pages(_text(path), path))
    if not any("UserDetailList" in page for page in pages):
        raise EvidenceUnreadable(
            f"{path}: has no UserDetailList: save `aws iam get-account-authorization-details`"
        )
    entries = {name: [entry for page in pages for entry in _entries(page, name, path)] for name in _LISTS}
    try:
        users = [saved_user(entry) for entry in entries["UserDetailList"]]
    except EvidenceUnreadable as error:
        raise EvidenceUnreadable(f"{path}: {error}") from error
    return SavedDetails(_written(path), bool(pages[-1].get("IsTruncated")), entries, users)


def read_report(path: Path) -> CredentialReport:
    """A credential report: the CSV, its base64, or the output of ``aws iam get-credential-report``.

    Its time is GeneratedTime if the file has it, else when the file was written.
    Raises EvidenceUnreadable with the file.
    """
    text, time = _text(path).lstrip("\ufeff").strip(), _written(path)
    try:
        if text.startswith("{"):
            answer = read_json(text)
            text, time = str(answer.get("Content", "")), moment(answer.get("GeneratedTime")) or time
        return parse_report(report_text(text), time)
    except (ValueError, EvidenceUnreadable) as error:
        raise EvidenceUnreadable(f"{path}: is not a credential report: {error}") from error
    except MemoryError:
        raise _too_large(path) from None


def _too_large(path: Path) -> EvidenceUnreadable:
    return EvidenceUnreadable(
        f"{path}: takes more memory than this process may have: find out what it is, or run where there is more"
    )


def _text(path: Path) -> str:
    try:
        return as_text(read_given(path, LARGEST))
    except OSError as error:
        raise EvidenceUnreadable(f"{path}: {error.strerror or error}") from error
    except NotInFormat as error:
        raise EvidenceUnreadable(f"{path}: {error}") from error


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(int(path.stat().st_mtime), timezone.utc)


def _pages(text: str, path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        for value in json_values(text):
            for page in value if isinstance(value, list) else [value]:
                if not isinstance(page, Mapping):
                    raise EvidenceUnreadable(
                        f"{path}: must hold objects with UserDetailList, not {quoted(page)[:40]}"
                    )
                yield page
    except NotInFormat as error:
        raise EvidenceUnreadable(f"{path}: {error}") from error


def _entries(page: Mapping[str, Any], name: str, path: Path) -> tuple[Mapping[str, Any], ...]:
    found = listed(page.get(name))
    if not all(isinstance(entry, Mapping) for entry in found):
        raise EvidenceUnreadable(f"{path}: {name} must be a list of objects")
    return found


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
        listed = read_users(client, backoff, *reader.ACCOUNT_KINDS)
        on_step("groups, roles, credentials")
        pieces = reader.read_pieces(
            [name for name in reader.DEFAULT_PIECES if name != ACCOUNT], {"iam": client}, backoff, clock
        )
        account = reader.account_piece(listed.account, source.time or clock())
        inventory = reader.inventory_of({ACCOUNT: account, **pieces})
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
