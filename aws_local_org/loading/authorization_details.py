# SPDX-License-Identifier: Apache-2.0
"""Account authorization details of real accounts, read into records of the account they are loaded into.

Shapes: botocore ``iam`` 2010-05-08, GetAccountAuthorizationDetailsResponse. Real documents omit keys, hold a single
item where a list belongs, and repeat ids; each such gap is filled and noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aws_local_org.errors import LocalOrgError
from aws_local_org.loading.documents import entries, kind_of
from aws_local_org.loading.entries import LISTS, UNKNOWN_DOCUMENT, Entry, Reading
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
    """Everything of the pages but credentials, which these documents never have.

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
    """The entries of a list over all pages, each name once: IAM's names differ by more than case."""
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
    """The policy; a default version that is listed nowhere gets a document that grants nothing."""
    created = entry.date("CreateDate")
    versions = _versions(entry)
    default = str(entry.get("DefaultVersionId") or next(iter(versions), "v1"))
    if default not in versions:
        # Without a document GetPolicyVersion fails, and so does everything that needs the policy's permissions.
        # The document of an AWS-managed policy can be known already.
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
