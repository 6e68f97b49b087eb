# SPDX-License-Identifier: Apache-2.0
"""One user, group, role or policy of authorization details: each field read leniently, each mend noted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aws_local_org.loading.detail_kinds import Kind
from aws_local_org.loading.field_values import entries, moment, policy_text, tags_of
from aws_local_org.loading.notes import Notes
from aws_local_org.loading.rehoming import Rehoming
from aws_local_org.seeding import policy_documents
from aws_local_org.seeding.identifiers import Identifiers

_RESOURCE = re.compile(r"^arn:[\w-]+:iam::[^:]*:[a-z-]+/(.+)$")
# IAM's pattern for names; 128 is the longest limit: users and roles have 64, which AWS checked at creation.
_NAME = re.compile(r"^[\w+=,.@-]{1,128}$", re.ASCII)

#: Stands for a policy that is attached but whose text the document does not have: grants and denies nothing.
UNKNOWN_DOCUMENT = policy_documents.document(
    {"Sid": "DocumentUnknown", "Effect": "Deny", "Action": "none:null", "Resource": "*"}
)


@dataclass
class Reading:
    """What reading one document needs and leaves behind."""

    rehoming: Rehoming
    ids: Identifiers
    now: datetime
    notes: Notes = field(default_factory=Notes)
    taken_ids: set[str] = field(default_factory=set)


class Entry:
    """One entry; ``name`` is None where it has none that IAM would take."""

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
        """Of the ARN, which tools that rewrite documents get right more often than Path."""
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
            return self._reading.rehoming.document(policy_text(value))
        except ValueError as error:
            self._note(f"{what} is {error}, so one that grants nothing stands for it")
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
        return tuple(dict.fromkeys(self._reading.rehoming.policy_arn(arn) for arn in arns))

    def boundary(self) -> str | None:
        found = self._fields.get("PermissionsBoundary") or {}
        arn = found.get("PermissionsBoundaryArn") if isinstance(found, Mapping) else found
        return self._reading.rehoming.policy_arn(str(arn)) if arn else None

    def tags(self) -> dict[str, str]:
        try:
            return tags_of(self._fields.get("Tags"))
        except ValueError as error:
            self._note(f"Tags not read, {error}")
            return {}

    def _note(self, matter: str) -> None:
        self._reading.notes.add(matter, self.title)
