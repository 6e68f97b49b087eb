# SPDX-License-Identifier: Apache-2.0
"""The entries of account authorization details: users, groups, roles, policies, each field read leniently.

What a field lacks is filled in and noted; what names the document's account is rewritten to the account that is
filled. Shapes: botocore ``iam`` 2010-05-08, GetAccountAuthorizationDetailsResponse.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aws_local_org import settings
from aws_local_org.errors import LocalOrgError
from aws_local_org.loading.documents import entries, moment, policy_text, tags_of
from aws_local_org.seeding.draft import Identifiers
from aws_local_org.seeding.permissions import document


@dataclass(frozen=True)
class Kind:
    """A kind of entry: its word, the keys of its name and id, and its fields that are read or follow from others."""

    word: str
    name_key: str
    id_key: str
    id_prefix: str
    invent_id: Callable[[Identifiers], str]
    keys: frozenset[str]


_COMMON = frozenset({"Path", "Arn", "CreateDate", "AttachedManagedPolicies", "PermissionsBoundary", "Tags"})
USER = Kind(
    "user",
    "UserName",
    "UserId",
    "AIDA",
    Identifiers.user,
    _COMMON | {"UserName", "UserId", "UserPolicyList", "GroupList"},
)
GROUP = Kind(
    "group",
    "GroupName",
    "GroupId",
    "AGPA",
    Identifiers.group,
    _COMMON | {"GroupName", "GroupId", "GroupPolicyList"},
)
ROLE = Kind(
    "role",
    "RoleName",
    "RoleId",
    "AROA",
    Identifiers.role,
    _COMMON
    | {
        "RoleName",
        "RoleId",
        "RolePolicyList",
        "AssumeRolePolicyDocument",
        "InstanceProfileList",
        "RoleLastUsed",
    }
    | {"Description", "MaxSessionDuration"},
)
POLICY = Kind(
    "policy",
    "PolicyName",
    "PolicyId",
    "ANPA",
    Identifiers.policy,
    _COMMON
    | {"PolicyName", "PolicyId", "DefaultVersionId", "PolicyVersionList", "UpdateDate", "Description"}
    # These follow from the rest.
    | {"AttachmentCount", "PermissionsBoundaryUsageCount", "IsAttachable"},
)
LISTS = {"UserDetailList": USER, "GroupDetailList": GROUP, "RoleDetailList": ROLE, "Policies": POLICY}


_NAMED_AT_MOST = 20


class Notes:
    """Collects warnings by kind."""

    def __init__(self) -> None:
        self._subjects: dict[str, list[str]] = {}

    def add(self, matter: str, subject: str = "") -> None:
        subjects = self._subjects.setdefault(matter, [])
        if subject and subject not in subjects:
            subjects.append(subject)

    def lines(self) -> list[str]:
        """One line for each kind of warning, in order of appearance; long lists are cut and counted."""
        return [_line(matter, subjects) for matter, subjects in self._subjects.items()]


def _line(matter: str, subjects: list[str]) -> str:
    if not subjects:
        return matter
    named, rest = subjects[:_NAMED_AT_MOST], len(subjects) - _NAMED_AT_MOST
    return f"{matter}: {', '.join(named)}{f' and {rest} more' if rest > 0 else ''}"


_ACCOUNT_IN_ARN = re.compile(r"^arn:[\w-]+:iam::(\d{12}):")


def document_account(pages: Iterable[Mapping[str, Any]]) -> str | None:
    """The account that the pages were read in, by the ARNs of users, else of groups, roles or policies, if any.

    Raises LocalOrgError where pages of several accounts were put together.
    """
    kept = list(pages)
    for key in LISTS:
        found = Counter(account for page in kept for account in _accounts(page, key))
        if len(found) > 1:
            raise LocalOrgError(
                f"{key} has ARNs of several accounts ({', '.join(sorted(found))}); load the documents of each "
                f"account into an account of its own"
            )
        if found:
            return next(iter(found))
    return None


def _accounts(page: Mapping[str, Any], key: str) -> list[str]:
    arns = [str(entry.get("Arn", "")) for entry in entries(page.get(key)) if isinstance(entry, Mapping)]
    return [match[1] for match in map(_ACCOUNT_IN_ARN.match, arns) if match]


class AccountRewriter:
    """Rewrites what names the document's account; everything else stays, AWS-managed policies in particular."""

    def __init__(self, source: str | None, target: str) -> None:
        self.source, self.target = source, target
        self._in_arn = re.compile(rf"(arn:[\w-]*:[^:\s]*:[^:\s]*:){source}(?=:)") if source else None

    def policy_arn(self, arn: str) -> str:
        """A managed policy's ARN in the local organization: its partition, and never another account."""
        owner, _, resource = arn.partition(":iam::")[2].partition(":")
        return (
            f"arn:{settings.current().partition}:iam::{owner if owner == 'aws' else self.target}:{resource}"
        )

    def document(self, text: str) -> str:
        """A policy's JSON text: ARNs of the account, and the bare account id as a principal or condition value."""
        if self._in_arn is None or self.source == self.target:
            return text
        moved = self._in_arn.sub(rf"\g<1>{self.target}", text)
        return moved.replace(f'"{self.source}"', f'"{self.target}"')


_RESOURCE = re.compile(r"^arn:[\w-]+:iam::[^:]*:[a-z-]+/(.+)$")
# IAM's pattern for names; 128 is the longest limit: users and roles have 64, which AWS checked at creation.
_NAME = re.compile(r"^[\w+=,.@-]{1,128}$", re.ASCII)

#: The text of a policy that is attached but whose text the document does not have: grants and denies nothing.
UNKNOWN_DOCUMENT = document(
    {"Sid": "DocumentUnknown", "Effect": "Deny", "Action": "none:null", "Resource": "*"}
)


@dataclass
class Reading:
    """What reading one document needs, and the notes it makes."""

    rewriter: AccountRewriter
    ids: Identifiers
    now: datetime
    notes: Notes = field(default_factory=Notes)
    taken_ids: set[str] = field(default_factory=set)


class Entry:
    """One entry. ``name``: None if it has no name that IAM accepts."""

    def __init__(self, kind: Kind, fields: Mapping[str, Any], reading: Reading) -> None:
        self._kind, self._fields, self._reading = kind, fields, reading
        resource = _RESOURCE.match(str(fields.get("Arn", "")))
        self._arn_path, _, arn_name = f"/{resource[1]}".rpartition("/") if resource else ("", "", "")
        name = str(fields.get(kind.name_key) or arn_name)
        self.name: str | None = name if _NAME.match(name) else None
        self._has_arn = bool(resource)
        for key in sorted(set(fields) - kind.keys):
            reading.notes.add(f"{kind.word} field {key} is not one of IAM's and was not read", name)

    @property
    def title(self) -> str:
        return f"{self._kind.word} {self.name or self._fields.get('Arn') or '(nameless)'}"

    @property
    def path(self) -> str:
        """The path in the ARN, which is more often correct than Path in documents that tools rewrote."""
        path = f"{self._arn_path}/" if self._has_arn else str(self._fields.get("Path") or "/")
        return (
            path if path.startswith("/") and path.endswith("/") else f"/{path.strip('/')}/".replace("//", "/")
        )

    @property
    def is_aws_managed(self) -> bool:
        return ":iam::aws:policy/" in str(self._fields.get("Arn", ""))

    def unique_id(self) -> str:
        """The document's id, or an invented one where it is missing, malformed or another entity's."""
        found, taken = str(self._fields.get(self._kind.id_key) or ""), self._reading.taken_ids
        if not re.match(rf"^{self._kind.id_prefix}[A-Z0-9]{{12,124}}$", found) or found in taken:
            self._note(f"{self._kind.id_key} missing, malformed or used twice, so a new one was made")
            found = self._kind.invent_id(self._reading.ids)
        taken.add(found)
        return found

    def get(self, key: str) -> Any:
        return self._fields.get(key)

    def date(self, key: str, default: datetime | None = None) -> datetime:
        try:
            found = moment(self._fields.get(key))
        except ValueError:
            self._note(f"{key} is not a date, taken as unknown")
            found = None
        return found or default or self._reading.now

    def optional_date(self, value: Any, key: str) -> datetime | None:
        try:
            return moment(value)
        except ValueError:
            self._note(f"{key} is not a date, taken as unknown")
            return None

    def document(self, value: Any, what: str) -> str:
        """A policy's text, moved to the account; a harmless one where it cannot be read."""
        try:
            return self._reading.rewriter.document(policy_text(value))
        except ValueError as error:
            self._note(f"{what} is {error}, so a policy that grants nothing replaces it")
            return UNKNOWN_DOCUMENT

    def inline(self, key: str) -> dict[str, str]:
        """Inline policies: name -> document."""
        found = {}
        for number, policy in enumerate(entries(self._fields.get(key)), 1):
            fields = policy if isinstance(policy, Mapping) else {"PolicyDocument": policy}
            name = str(fields.get("PolicyName") or f"unnamed-{number}")
            found[name] = self.document(fields.get("PolicyDocument"), f"inline policy {name}")
        return found

    def attached(self) -> tuple[str, ...]:
        """ARNs of the attached managed policies, in the account."""
        found = [policy for policy in entries(self._fields.get("AttachedManagedPolicies")) if policy]
        arns = [str(policy["PolicyArn"] if isinstance(policy, Mapping) else policy) for policy in found]
        return tuple(dict.fromkeys(self._reading.rewriter.policy_arn(arn) for arn in arns))

    def boundary(self) -> str | None:
        found = self._fields.get("PermissionsBoundary") or {}
        arn = found.get("PermissionsBoundaryArn") if isinstance(found, Mapping) else found
        return self._reading.rewriter.policy_arn(str(arn)) if arn else None

    def tags(self) -> dict[str, str]:
        try:
            return tags_of(self._fields.get("Tags"))
        except ValueError as error:
            self._note(f"Tags not read, {error}")
            return {}

    def _note(self, matter: str) -> None:
        self._reading.notes.add(matter, self.title)
