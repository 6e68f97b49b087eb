# SPDX-License-Identifier: Apache-2.0
"""IAM users for tests, as the readers return them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.reasons import Reason, read_reason

ACCOUNT = "111122223333"


def user(
    name: str = "alice",
    path: str = "/",
    tags: Mapping[str, str] | None = None,
    account: str = ACCOUNT,
    unique_id: str = "AIDAALICEALICEALICE23",
    **attachments: tuple[Mapping[str, Any], ...],
) -> IamUser:
    """A user with every kind read. ``attachments``: by kind, with ``_`` for ``-``."""
    tag_list = tuple({"Key": key, "Value": value} for key, value in (tags or {}).items())
    detail = {
        "UserName": name,
        "UserId": unique_id,
        "Path": path,
        "Arn": f"arn:aws:iam::{account}:user{path}{name}",
        "Tags": list(tag_list),
    }
    given = {"tag": tag_list, **{kind.replace("_", "-"): items for kind, items in attachments.items()}}
    return IamUser(detail, {kind.name: given.get(kind.name, ()) for kind in ATTACHMENT_KINDS})


def groups(*names: str) -> tuple[Mapping[str, str], ...]:
    """Group memberships as ListGroupsForUser returns them."""
    return tuple({"GroupName": name} for name in names)


#: One of every kind, and two where the order within a kind matters.
EVERYTHING: dict[str, Any] = {
    "login_profile": ({"UserName": "alice"},),
    "access_key": ({"AccessKeyId": "AKIA1"}, {"AccessKeyId": "AKIA2"}),
    "signing_certificate": ({"CertificateId": "CERT1"},),
    "ssh_public_key": ({"SSHPublicKeyId": "APKA1"},),
    "service_specific_credential": ({"ServiceSpecificCredentialId": "ACCA1"},),
    "mfa_device": (
        {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/alice"},
        {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:u2f/user/alice/key-1"},
        {"SerialNumber": "GAHT12345678"},
    ),
    "group": groups("Developers"),
    "attached_policy": (
        {"PolicyName": "ReadOnlyAccess", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
    ),
    "inline_policy": ({"PolicyName": "s3", "PolicyDocument": {"Version": "2012-10-17", "Statement": []}},),
    "permissions_boundary": ({"PermissionsBoundaryArn": "arn:aws:iam::aws:policy/PowerUserAccess"},),
}


def said(text: str, code: str = "") -> Reason:
    """A reason with this text, as a file has it."""
    return read_reason({"reason": text, "code": code})


def text_of(reason: Reason | None) -> str:
    """The text of a reason; empty for none."""
    return reason.text if reason else ""
