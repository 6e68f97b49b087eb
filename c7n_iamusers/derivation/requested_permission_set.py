# SPDX-License-Identifier: Apache-2.0
"""A permission set, and the parser of a policy's ``permission-set:``, which reports every fault. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers import defaults
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.text.wording import quoted

#: The tag of permission sets that this package created and may change.
MANAGED_TAG = ("c7n-iamusers", "managed")


@dataclass(frozen=True)
class PermissionSet:
    """The desired state of a permission set. ``inline_policy``: JSON in canonical form, empty for none.

    ``description``, ``relay_state``: empty to keep the existing values. ``managed_policies``: ARNs of AWS-managed
    policies. ``customer_policies``: path and name of customer-managed policies, such as ``/team/Auditor``.
    ``boundary``: a policy in either form, empty for none.
    """

    name: str
    description: str = ""
    session_duration: str = defaults.SESSION_DURATION
    relay_state: str = ""
    managed_policies: frozenset[str] = frozenset()
    inline_policy: str = ""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    customer_policies: frozenset[str] = frozenset()
    boundary: str = ""

    @property
    def is_managed(self) -> bool:
        """Whether the permission set has this package's tag, so that this package may change it."""
        key, value = MANAGED_TAG
        return self.tags.get(key) == value


_NAME = re.compile(r"[\w+=,.@-]{1,32}", re.ASCII)
_DESCRIPTION = re.compile(r"[\t\n\r\x20-\x7e\xa1-\xff]{1,700}")
_RELAY_STATE = re.compile(r"[a-zA-Z0-9&$@#\\/%?=~\-_'\"|!:,.;*+\[\] (){}]{1,240}")
_DURATION = re.compile(r"PT(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?", re.ASCII)
_AWS_POLICY = re.compile(r"arn:aws(-[a-z]{1,5}){0,3}:iam::aws:policy(/[A-Za-z0-9.,+@=_-]+)+")
_CUSTOMER_POLICY = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:policy/")
_TAG = re.compile(r"[\w\s.:/=+\-@]*")
_INLINE_CHARACTERS, _INLINE_BYTES = 10_240, 32_768
_SHORTEST, _LONGEST = 3600, 12 * 3600
_TAGS = 50
_VERSION = "2012-10-17"


def parse_permission_set(
    data: Mapping[str, Any], document: Any, where: str, document_where: str
) -> PermissionSet:
    """The permission set in ``data``, with ``document`` (None for none) as its inline policy.

    ``where``, ``document_where``: their places, for errors. Raises InvalidPolicyData with every fault.
    """
    faults = [f"{where}: {fault}" for fault in _faults(data)]
    if document is not None:
        faults += [f"{document_where}: {fault}" for fault in _document_faults(document)]
    if faults:
        raise InvalidPolicyData("; ".join(faults))
    return PermissionSet(
        name=data["name"],
        description=data.get("description", ""),
        session_duration=data.get("session-duration", defaults.SESSION_DURATION),
        relay_state=data.get("relay-state", ""),
        managed_policies=frozenset(data.get("managed-policies", ())),
        inline_policy="" if document is None else canonical_policy(document),
        tags={**data.get("tags", {}), MANAGED_TAG[0]: MANAGED_TAG[1]},
    )


def duration_seconds(text: str) -> int | None:
    """The seconds of an ISO 8601 duration in hours, minutes and seconds, such as PT1H; None for other text."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def _faults(data: Mapping[str, Any]) -> Iterator[str]:
    if not _NAME.fullmatch(data["name"]):
        yield f"name {quoted(data['name'])} must be 1 to 32 letters, digits or _+=,.@-"
    if "description" in data and not _DESCRIPTION.fullmatch(data["description"]):
        yield "description must be 1 to 700 Latin-1 characters"
    seconds = duration_seconds(data.get("session-duration", defaults.SESSION_DURATION))
    if seconds is None or not _SHORTEST <= seconds <= _LONGEST:
        yield f"session-duration {quoted(data['session-duration'])} must be an ISO 8601 duration from PT1H to PT12H"
    if "relay-state" in data and not _RELAY_STATE.fullmatch(data["relay-state"]):
        yield f"relay-state {quoted(data['relay-state'])} must be a URL of at most 240 characters"
    for arn in data.get("managed-policies", ()):
        yield from _managed_policy_faults(arn)
    yield from _tag_faults(data.get("tags", {}))


def _managed_policy_faults(arn: str) -> Iterator[str]:
    if _CUSTOMER_POLICY.match(arn):
        yield (
            f"managed-policies: {arn} is customer-managed, and Identity Center attaches only AWS-managed policies by "
            "ARN: put its statements into inline-policy"
        )
    elif not _AWS_POLICY.fullmatch(arn):
        yield f"managed-policies: {quoted(arn)} is not the ARN of an AWS-managed policy (arn:aws:iam::aws:policy/NAME)"


def _tag_faults(tags: Mapping[str, str]) -> Iterator[str]:
    if MANAGED_TAG[0] in tags:
        yield f"tags: {MANAGED_TAG[0]} is reserved for this action: leave it out"
    if len(tags) >= _TAGS:
        yield f"tags: at most {_TAGS - 1} in addition to {MANAGED_TAG[0]}"
    for key, value in tags.items():
        if not (_TAG.fullmatch(key) and 1 <= len(key) <= 128) or key.lower().startswith("aws:"):
            yield (
                f"tags: key {quoted(key)} must be 1 to 128 letters, digits, spaces or _.:/=+-@, not "
                "beginning with aws:"
            )
        if not (_TAG.fullmatch(value) and len(value) <= 256):
            yield f"tags: value {quoted(value)} of {key} must be at most 256 letters, digits, spaces or _.:/=+-@"


def _document_faults(document: Any) -> Iterator[str]:
    if not isinstance(document, Mapping) or not document.get("Statement"):
        yield "must be a JSON object with a Statement that is not empty"
        return
    if document.get("Version") != _VERSION:
        yield f"must have the Version {_VERSION}: without it IAM does not replace policy variables"
    statements = document["Statement"]
    for number, statement in enumerate(statements if isinstance(statements, list) else [statements], 1):
        yield from (f"Statement {number} {fault}" for fault in _statement_faults(statement))
    text = canonical_policy(document)
    characters = sum(not character.isspace() for character in text)
    if characters > _INLINE_CHARACTERS or len(text.encode()) > _INLINE_BYTES:
        yield (
            f"has {characters} characters without white space and {len(text.encode())} bytes; the quotas of Identity "
            f"Center are {_INLINE_CHARACTERS} and {_INLINE_BYTES}"
        )


def _statement_faults(statement: Any) -> Iterator[str]:
    if not isinstance(statement, Mapping):
        yield "must be an object"
        return
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield "must have the Effect Allow or Deny"
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in statement) == (other in statement):
            yield f"must have either {one} or {other}"
    if statement.keys() & {"Principal", "NotPrincipal"}:
        yield "must have no Principal: the principals are the people with the permission set"
