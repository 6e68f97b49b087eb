# SPDX-License-Identifier: Apache-2.0
"""Account authorization details of real accounts, read into records of the account they are loaded into.

Shapes: botocore ``iam`` 2010-05-08, GetAccountAuthorizationDetailsResponse. Real documents omit keys, hold a single
item where a list belongs, and repeat ids. Missing parts are filled in and noted. Mentions of the document's account are
rewritten to the target account.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aws_local_org import settings
from aws_local_org.errors import LocalOrgError
from aws_local_org.loading.documents import entries, kind_of, moment, policy_text, tags_of
from aws_local_org.seeding.draft import Identifiers
from aws_local_org.seeding.permissions import document
from aws_local_org.seeding.records import (
    AccountContents,
    Group,
    LastUse,
    ManagedPolicy,
    PolicyVersion,
    Role,
    User,
)


def read_details(pages: Sequence[Mapping[str, Any]], reading: Reading) -> AccountContents:
    """All of the pages' content. These documents never have credentials.

    Raises LocalOrgError for pages that are not authorization details.
    """
    _check(pages, reading)
    return AccountContents(
        users=tuple(_user(entry) for entry in _entries(pages, "UserDetailList", reading)),
        groups=tuple(_group(entry) for entry in _entries(pages, "GroupDetailList", reading)),
        roles=tuple(_role(entry) for entry in _entries(pages, "RoleDetailList", reading)),
        policies=tuple(_policy(entry) for entry in _entries(pages, "Policies", reading)),
    )


def _check(pages: Sequence[Mapping[str, Any]], reading: Reading) -> None:
    if not pages:
        raise LocalOrgError("not authorization details: an empty list of pages")
    for page in pages:
        if not isinstance(page, Mapping):
            raise LocalOrgError(f"authorization details must be objects, not {kind_of(page)}")
        if not set(LISTS) & set(page):
            raise LocalOrgError(
                f"not authorization details: none of {', '.join(LISTS)} in it, but {', '.join(page) or 'nothing'}; "
                f"save the output of `aws iam get-account-authorization-details`"
            )
        for key in sorted(
            set(page) - set(LISTS) - {"IsTruncated", "Marker", "ResponseMetadata", "NextToken"}
        ):
            reading.notes.add("top-level field is not one of IAM's and was not read", key)
    if all(page.get("IsTruncated") for page in pages):
        reading.notes.add(
            "IsTruncated is true: this is one page of several, so users may be missing; load all pages in one file"
        )


def _entries(pages: Sequence[Mapping[str, Any]], key: str, reading: Reading) -> Iterator[Entry]:
    """The entries of a list over all pages, each name once, ignoring case as IAM does."""
    kind, found = LISTS[key], {}
    for fields in (fields for page in pages for fields in entries(page.get(key))):
        entry = Entry(kind, fields if isinstance(fields, Mapping) else {}, reading)
        if entry.name is None:
            reading.notes.add(f"{kind.word} without a name that IAM allows, not loaded", str(fields)[:80])
            continue
        identity = (entry.name.lower(), entry.is_aws_managed)
        if identity in found:
            reading.notes.add("listed more than once, the last one loaded", entry.title)
        found[identity] = entry
    return iter(found.values())


def _user(entry: Entry) -> User:
    memberships = [
        group.get("GroupName") if isinstance(group, Mapping) else group
        for group in entries(entry.get("GroupList"))
    ]
    return User(
        str(entry.name),
        entry.unique_id(),
        entry.date("CreateDate"),
        entry.path,
        entry.tags(),
        inline=entry.inline("UserPolicyList"),
        policies=entry.attached(),
        groups=tuple(dict.fromkeys(str(name) for name in memberships if name)),
        boundary=entry.boundary(),
    )


def _group(entry: Entry) -> Group:
    return Group(
        str(entry.name),
        entry.unique_id(),
        entry.date("CreateDate"),
        entry.path,
        entry.inline("GroupPolicyList"),
        entry.attached(),
    )


def _role(entry: Entry) -> Role:
    profiles = [
        profile for profile in entries(entry.get("InstanceProfileList")) if isinstance(profile, Mapping)
    ]
    return Role(
        str(entry.name),
        entry.unique_id(),
        entry.date("CreateDate"),
        entry.document(entry.get("AssumeRolePolicyDocument"), "AssumeRolePolicyDocument"),
        entry.path,
        str(entry.get("Description") or ""),
        int(entry.get("MaxSessionDuration") or 3600),
        entry.tags(),
        entry.inline("RolePolicyList"),
        entry.attached(),
        entry.boundary(),
        _role_last_use(entry),
        tuple(
            str(profile["InstanceProfileName"]) for profile in profiles if profile.get("InstanceProfileName")
        ),
    )


def _role_last_use(entry: Entry) -> LastUse | None:
    last_used = entry.get("RoleLastUsed") or {}
    date = entry.optional_date(last_used.get("LastUsedDate"), "LastUsedDate")
    return LastUse(date, region=str(last_used.get("Region") or "N/A")) if date else None


def _policy(entry: Entry) -> ManagedPolicy:
    """The policy. A default version that is not listed gets a document that grants nothing."""
    created = entry.date("CreateDate")
    versions = _versions(entry)
    default = str(entry.get("DefaultVersionId") or next(iter(versions), "v1"))
    if default not in versions:
        # Without a document, GetPolicyVersion fails, and so does everything that needs the policy's permissions. An
        # AWS-managed policy's document may already be known.
        text = (
            UNKNOWN_DOCUMENT if entry.is_aws_managed else entry.document(None, f"default version {default}")
        )
        versions[default] = PolicyVersion(default, text, created)
    return ManagedPolicy(
        str(entry.name),
        entry.unique_id(),
        created,
        default,
        tuple(versions.values()),
        entry.path,
        entry.date("UpdateDate", created),
        str(entry.get("Description") or ""),
        entry.tags(),
        entry.is_aws_managed,
    )


def _versions(entry: Entry) -> dict[str, PolicyVersion]:
    """Version id -> version, the default first."""
    listed = [version for version in entries(entry.get("PolicyVersionList")) if isinstance(version, Mapping)]
    listed.sort(key=lambda version: not version.get("IsDefaultVersion"))
    found = {}
    for version in listed:
        version_id = str(version.get("VersionId") or "v1")
        created = entry.optional_date(version.get("CreateDate"), "CreateDate") or entry.date("CreateDate")
        found[version_id] = PolicyVersion(
            version_id, entry.document(version.get("Document"), f"version {version_id}"), created
        )
    return found


@dataclass(frozen=True)
class Kind:
    """A kind of entry: its word, the keys of its name and id, and the fields that are read or derived."""

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
    # These are derived.
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
    """The account of the pages, by the ARNs of users, else of groups, roles or policies, if any.

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
    """Rewrites mentions of the document's account. Everything else stays, AWS-managed policies in particular."""

    def __init__(self, source: str | None, target: str) -> None:
        self.source, self.target = source, target
        self._in_arn = re.compile(rf"(arn:[\w-]*:[^:\s]*:[^:\s]*:){source}(?=:)") if source else None

    def policy_arn(self, arn: str) -> str:
        """A managed policy's ARN in the local organization: in its partition, and never in another account."""
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

#: Stands for the text of an attached policy that the document lacks: grants and denies nothing.
UNKNOWN_DOCUMENT = document(
    {"Sid": "DocumentUnknown", "Effect": "Deny", "Action": "none:null", "Resource": "*"}
)


@dataclass
class Reading:
    """What reading one document needs, and its notes."""

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
        """A policy's text, moved to the account, or a harmless one if it cannot be read."""
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
