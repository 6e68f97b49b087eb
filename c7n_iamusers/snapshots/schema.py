# SPDX-License-Identifier: Apache-2.0
"""What a snapshot holds, as JSON: its schema, and further checks. Pure."""

from __future__ import annotations

from typing import Any

from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS, AttachmentKind
from c7n_iamusers.text.validators import Shape, document, listing, maybe, record, schema_problem, text

SCHEMA_VERSION = 2
#: The member of a snapshot's quarantine with the ids of credentials that others created or activated under it, or may
#: have deactivated.
BY_OTHERS = "by_others"

_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": _TEXT}
_OF_POLICY = ("PolicyArn", "DefaultVersionId", "sha256", "document")
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Snapshot of an IAM user",
    "type": "object",
    "additionalProperties": False,
    "required": [
        "schema_version",
        "taken",
        "account_id",
        "user",
        "attachments",
        "fingerprint",
        "trusted_by",
        "groups",
        "policies",
        "rights_read",
        "rights_fingerprint",
    ],
    "properties": {
        "schema_version": {"const": SCHEMA_VERSION},
        "taken": {"type": "string", "format": "date-time"},
        "account_id": {"type": "string", "pattern": r"^\d{12}$"},
        "policy": {"type": "string", "description": "the policy that took it"},
        "user": {
            "type": "object",
            "required": ["UserName", "UserId", "Arn", "Path"],
            "properties": dict.fromkeys(("UserName", "UserId", "Arn", "Path", "CreateDate"), _TEXT),
        },
        "attachments": {
            "type": "object",
            "additionalProperties": False,
            "required": [kind.name for kind in ATTACHMENT_KINDS if not kind.later],
            "properties": {
                kind.name: {"type": "array", "items": {"type": "object", "required": [kind.identifier]}}
                for kind in ATTACHMENT_KINDS
            },
        },
        "fingerprint": {**_SHA256, "description": "of the user and its attachments"},
        "trusted_by": {
            **_TEXTS,
            "description": "ARNs of the account's roles whose trust policy named the user",
        },
        "groups": {
            "type": "array",
            "description": "the user's groups with their own policies, as GroupDetail",
            "items": {"type": "object", "required": ["GroupName", "GroupId", "Path"]},
        },
        "policies": {
            "type": ["array", "null"],
            "description": "the managed policies of user, groups and boundary; null: they could not be read",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": list(_OF_POLICY),
                "properties": {
                    "PolicyArn": _TEXT,
                    "DefaultVersionId": _TEXT,
                    "sha256": {**_SHA256, "description": "of document"},
                    "document": {
                        **_TEXT,
                        "description": "the text of the default version, as canonical JSON",
                    },
                },
            },
        },
        "rights_read": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "when groups and policies were read",
        },
        "rights_fingerprint": {**_SHA256, "description": "of groups and policies"},
        "quarantine": {
            "type": ["object", "null"],
            "description": "the quarantine that the user was in; deactivated: ids of credentials active before it; "
            "by_others: ids of those that others created, activated or may have deactivated under it",
            "required": ["since", "deactivated"],
            "properties": {
                "since": {"type": "string", "format": "date-time"},
                **dict.fromkeys(("deactivated", BY_OTHERS), _TEXTS),
            },
        },
        "partial": {
            "type": "boolean",
            "description": "another run had begun to delete the user; what that run removed is not in this snapshot",
        },
        "deletion_begun": {
            "type": "boolean",
            "description": "a deletion of the user was unfinished; what that removed is in an earlier snapshot",
        },
    },
}
_LONGEST, _MANY = 131_072, 10_000
_SHORT, _REQUIRED = text(_LONGEST), text(_LONGEST, shortest=1)


def _value(value: Any, place: str) -> None:
    """A member of an item other than a document: a text, a number, a yes or no, or tags."""
    if isinstance(value, list):
        listing(record({"Key": _SHORT, "Value": _SHORT}, others=True), _MANY)(value, place)
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"{place} must be a text or a number, not {type(value).__name__}")


def _item(*required: str) -> Shape:
    """An item of AWS with the texts ``required``."""
    shape = record(dict.fromkeys(required, _REQUIRED), others=True)

    def check(value: Any, place: str) -> None:
        shape(value, place)
        for key, member in value.items():
            (document if key == "PolicyDocument" else _value)(member, f"{place}.{key}")

    return check


def _held(kind: AttachmentKind) -> Shape:
    return listing(_item(kind.identifier), _MANY)


_INLINE = listing(record({"PolicyName": _REQUIRED, "PolicyDocument": document}, others=True), _MANY)
_GROUP = record(
    dict.fromkeys(("GroupName", "GroupId", "Path"), _REQUIRED),
    {"GroupPolicyList": _INLINE, "AttachedManagedPolicies": listing(_item("PolicyArn"), _MANY)},
    others=True,
)
_QUARANTINE = record(
    {"since": _SHORT, "deactivated": listing(_SHORT, _MANY)}, {BY_OTHERS: listing(_SHORT, _MANY)}, others=True
)
#: What SCHEMA leaves open, and all that is checked where jsonschema is missing, as in AWS Lambda.
_SHAPE = record(
    {
        "taken": _SHORT,
        "account_id": _SHORT,
        "user": record(dict.fromkeys(("UserName", "UserId", "Arn", "Path"), _REQUIRED), others=True),
        "attachments": record(
            {kind.name: _held(kind) for kind in ATTACHMENT_KINDS if not kind.later},
            {kind.name: _held(kind) for kind in ATTACHMENT_KINDS if kind.later},
        ),
        "fingerprint": _SHORT,
        "trusted_by": listing(_SHORT, _MANY),
        "groups": listing(_GROUP, _MANY),
        "policies": maybe(listing(record(dict.fromkeys(_OF_POLICY, _REQUIRED)), _MANY)),
        "rights_read": maybe(_SHORT),
        "rights_fingerprint": _SHORT,
    },
    {"quarantine": maybe(_QUARANTINE)},
    others=True,
)


def fault_in(data: Any) -> str | None:
    """What is wrong with ``data`` as a snapshot, in words; None if it is one."""
    if problem := schema_problem(data, SCHEMA):
        return problem
    try:
        _SHAPE(data, "it")
    except ValueError as error:
        return str(error)
    account_id, arn = data["account_id"], data["user"]["Arn"]
    same = arn.split(":")[4:5] == [account_id]
    return None if same else f"account_id {account_id} and the ARN {arn} name different accounts"
