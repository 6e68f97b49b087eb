# SPDX-License-Identifier: Apache-2.0
"""The one table of everything that can hang off an IAM user.

Inventory, deletion, declared permissions and the reference docs are derived from it: a new kind is a new
row. Rows stand in the order of deletion: credentials first, so that a deletion that stops half-way never
leaves a live credential; policies after them, since a Deny among them may be all that holds a session.
Shapes: botocore ``iam`` 2010-05-08.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from c7n_iamusers.model.iam_user import Item


def is_virtual_mfa(item: Item) -> bool:
    """True for ``arn:aws:iam::<account>:mfa/<name>``: FIDO keys are ``u2f/``, hardware tokens a bare serial."""
    return ":mfa/" in str(item["SerialNumber"])


def _always(_: Item) -> bool:
    return True


@dataclass(frozen=True)
class Reading:
    """How a kind is read for one user: ``result`` is the response's member, a list or a single structure."""

    operation: str
    result: str
    single: bool = False


@dataclass(frozen=True)
class Detail:
    """The call that completes a listed item for the snapshot: parameter -> member of the item."""

    operation: str
    parameters: Mapping[str, str]
    result: tuple[str, ...] = ()
    constants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Removal:
    """One removing call: parameter -> member of the item; ``by_user`` adds the UserName."""

    operation: str
    parameters: Mapping[str, str]
    by_user: bool = True
    applies: Callable[[Item], bool] = _always


@dataclass(frozen=True)
class AttachmentKind:
    """A row: ``title`` is what a mail calls it; ``reading`` None where GetUser itself tells."""

    name: str
    title: str
    identifier: str
    reading: Reading | None
    removals: tuple[Removal, ...]
    detail: Detail | None = None

    @property
    def reads(self) -> frozenset[str]:
        """The IAM operations that read the kind, for declared permissions."""
        return frozenset(part.operation for part in (self.reading, self.detail) if part)

    @property
    def removing(self) -> frozenset[str]:
        """The IAM operations that remove the kind, for declared permissions."""
        return frozenset(removal.operation for removal in self.removals)


def _credential(name: str, title: str, identifier: str, reading: Reading, removal: str) -> AttachmentKind:
    return AttachmentKind(name, title, identifier, reading, (Removal(removal, {identifier: identifier}),))


LOGIN_PROFILE = AttachmentKind(
    "login-profile",
    "console password",
    "UserName",
    Reading("GetLoginProfile", "LoginProfile", single=True),
    (Removal("DeleteLoginProfile", {}),),
)
ACCESS_KEY = _credential(
    "access-key",
    "access key",
    "AccessKeyId",
    Reading("ListAccessKeys", "AccessKeyMetadata"),
    "DeleteAccessKey",
)
SIGNING_CERTIFICATE = _credential(
    "signing-certificate",
    "signing certificate",
    "CertificateId",
    Reading("ListSigningCertificates", "Certificates"),
    "DeleteSigningCertificate",
)
SSH_PUBLIC_KEY = AttachmentKind(
    "ssh-public-key",
    "SSH public key",
    "SSHPublicKeyId",
    Reading("ListSSHPublicKeys", "SSHPublicKeys"),
    (Removal("DeleteSSHPublicKey", {"SSHPublicKeyId": "SSHPublicKeyId"}),),
    Detail("GetSSHPublicKey", {"SSHPublicKeyId": "SSHPublicKeyId"}, ("SSHPublicKey",), {"Encoding": "SSH"}),
)
SERVICE_SPECIFIC_CREDENTIAL = _credential(
    "service-specific-credential",
    "service-specific credential",
    "ServiceSpecificCredentialId",
    Reading("ListServiceSpecificCredentials", "ServiceSpecificCredentials"),
    "DeleteServiceSpecificCredential",
)
MFA_DEVICE = AttachmentKind(
    "mfa-device",
    "MFA device",
    "SerialNumber",
    Reading("ListMFADevices", "MFADevices"),
    (
        Removal("DeactivateMFADevice", {"SerialNumber": "SerialNumber"}),
        # Only deactivated, a virtual device stays as an orphan that blocks a later one of its name.
        Removal(
            "DeleteVirtualMFADevice", {"SerialNumber": "SerialNumber"}, by_user=False, applies=is_virtual_mfa
        ),
    ),
)
GROUP = AttachmentKind(
    "group",
    "group membership",
    "GroupName",
    Reading("ListGroupsForUser", "Groups"),
    (Removal("RemoveUserFromGroup", {"GroupName": "GroupName"}),),
)
ATTACHED_POLICY = AttachmentKind(
    "attached-policy",
    "attached managed policy",
    "PolicyArn",
    Reading("ListAttachedUserPolicies", "AttachedPolicies"),
    (Removal("DetachUserPolicy", {"PolicyArn": "PolicyArn"}),),
)
INLINE_POLICY = AttachmentKind(
    "inline-policy",
    "inline policy",
    "PolicyName",
    Reading("ListUserPolicies", "PolicyNames"),
    (Removal("DeleteUserPolicy", {"PolicyName": "PolicyName"}),),
    Detail("GetUserPolicy", {"PolicyName": "PolicyName"}),
)
# Neither blocks DeleteUser, and removing a boundary first could widen access: both go with the user.
PERMISSIONS_BOUNDARY = AttachmentKind(
    "permissions-boundary", "permissions boundary", "PermissionsBoundaryArn", None, ()
)
TAG = AttachmentKind("tag", "tag", "Key", None, ())

ATTACHMENT_KINDS: tuple[AttachmentKind, ...] = (
    LOGIN_PROFILE,
    ACCESS_KEY,
    SIGNING_CERTIFICATE,
    SSH_PUBLIC_KEY,
    SERVICE_SPECIFIC_CREDENTIAL,
    MFA_DEVICE,
    GROUP,
    ATTACHED_POLICY,
    INLINE_POLICY,
    PERMISSIONS_BOUNDARY,
    TAG,
)
