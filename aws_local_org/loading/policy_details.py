# SPDX-License-Identifier: Apache-2.0
"""A managed policy of authorization details, with its versions."""

from __future__ import annotations

from collections.abc import Mapping

from aws_local_org.loading.detail_entry import UNKNOWN_DOCUMENT, Entry
from aws_local_org.loading.field_values import entries
from aws_local_org.seeding.records import ManagedPolicy, PolicyVersion


def read_policy(entry: Entry) -> ManagedPolicy:
    """The policy; a default version that is listed nowhere gets a document that grants nothing."""
    created = entry.date("CreateDate")
    versions = _versions(entry)
    default = str(entry.get("DefaultVersionId") or next(iter(versions), "v1"))
    if default not in versions:
        # GetPolicyVersion would fail for it, and so would everything that asks what the policy grants.
        # What an AWS-managed policy says may be known without the document.
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
