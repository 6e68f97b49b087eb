# SPDX-License-Identifier: Apache-2.0
"""The one table of everything that can hang off an IAM user.

Evidence, quarantine, deletion, restore, declared permissions and docs/attachment-kinds.md are derived from
it: a new kind is a new row, with ``later``. Rows stand in the order of deletion: credentials first, so that a
deletion that stops half-way never leaves a live credential; policies after them, since a Deny among them may be
all that holds a session. Restoring goes from the last row to the first, so that no credential precedes its Denies.
"""

from __future__ import annotations

from collections.abc import Mapping

from c7n_iamusers.model.attachment_rows import (
    EITHER,
    KEY_LAST_USED,
    PASSWORD_LAST_USED,
    PERSON,
    PROGRAM,
    AttachmentKind,
    CredentialTraits,
    Detail,
    Reading,
    Removal,
    Restoration,
    StatusChange,
)
from c7n_iamusers.model.iam_user import Item
from c7n_iamusers.model.inventory import CREDENTIAL_REPORT, SERVICE_CREDENTIALS


def is_virtual_mfa(item: Item) -> bool:
    """True for ``arn:aws:iam::<account>:mfa/<name>``: FIDO keys are ``u2f/``, hardware tokens a bare serial."""
    return ":mfa/" in str(item["SerialNumber"])


_BULK_POLICIES = "GetAccountAuthorizationDetails"

LOGIN_PROFILE = AttachmentKind(
    "login-profile",
    "console password",
    "UserName",
    Reading("GetLoginProfile", "LoginProfile", single=True),
    (Removal("DeleteLoginProfile", {}),),
    # A password set anew has a new date; whether it was used has none here.
    state=("CreateDate",),
    quarantined_by="the Deny-all: IAM can't disable a password, only delete it",
    lost="IAM never tells a password",
    credential=CredentialTraits(PERSON, account_piece=CREDENTIAL_REPORT, use=PASSWORD_LAST_USED),
)
ACCESS_KEY = AttachmentKind(
    "access-key",
    "access key",
    "AccessKeyId",
    Reading("ListAccessKeys", "AccessKeyMetadata"),
    (Removal("DeleteAccessKey", {"AccessKeyId": "AccessKeyId"}),),
    state=("AccessKeyId", "Status"),
    status_change=StatusChange("UpdateAccessKey", {"AccessKeyId": "AccessKeyId"}),
    lost="IAM tells a secret key once, when it makes the key",
    credential=CredentialTraits(
        PROGRAM, account_piece=CREDENTIAL_REPORT, use=KEY_LAST_USED, signs_requests=True
    ),
)
SIGNING_CERTIFICATE = AttachmentKind(
    "signing-certificate",
    "signing certificate",
    "CertificateId",
    Reading("ListSigningCertificates", "Certificates"),
    (Removal("DeleteSigningCertificate", {"CertificateId": "CertificateId"}),),
    state=("CertificateId", "Status"),
    status_change=StatusChange("UpdateSigningCertificate", {"CertificateId": "CertificateId"}),
    restoration=Restoration(
        "UploadSigningCertificate",
        {"CertificateBody": "CertificateBody"},
        match="CertificateBody",
        present_codes=frozenset({"DuplicateCertificate", "EntityAlreadyExists"}),
    ),
    credential=CredentialTraits(
        PROGRAM, made="UploadDate", account_piece=CREDENTIAL_REPORT, signs_requests=True
    ),
)
SSH_PUBLIC_KEY = AttachmentKind(
    "ssh-public-key",
    "SSH public key",
    "SSHPublicKeyId",
    Reading("ListSSHPublicKeys", "SSHPublicKeys"),
    (Removal("DeleteSSHPublicKey", {"SSHPublicKeyId": "SSHPublicKeyId"}),),
    state=("SSHPublicKeyId", "Status"),
    detail=Detail(
        "GetSSHPublicKey", {"SSHPublicKeyId": "SSHPublicKeyId"}, ("SSHPublicKey",), {"Encoding": "SSH"}
    ),
    status_change=StatusChange("UpdateSSHPublicKey", {"SSHPublicKeyId": "SSHPublicKeyId"}),
    restoration=Restoration(
        "UploadSSHPublicKey",
        {"SSHPublicKeyBody": "SSHPublicKeyBody"},
        match="Fingerprint",
        present_codes=frozenset({"DuplicateSSHPublicKey"}),
    ),
    credential=CredentialTraits(
        EITHER, made="UploadDate", service="codecommit.amazonaws.com", plural="SSH keys"
    ),
)
SERVICE_SPECIFIC_CREDENTIAL = AttachmentKind(
    "service-specific-credential",
    "service-specific credential",
    "ServiceSpecificCredentialId",
    Reading(
        "ListServiceSpecificCredentials",
        "ServiceSpecificCredentials",
        bulk="ListServiceSpecificCredentials",
    ),
    (
        Removal(
            "DeleteServiceSpecificCredential", {"ServiceSpecificCredentialId": "ServiceSpecificCredentialId"}
        ),
    ),
    state=("ServiceSpecificCredentialId", "ServiceName", "Status"),
    status_change=StatusChange(
        "UpdateServiceSpecificCredential", {"ServiceSpecificCredentialId": "ServiceSpecificCredentialId"}
    ),
    lost="IAM tells a service password or API key once, when it makes it",
    credential=CredentialTraits(PROGRAM, account_piece=SERVICE_CREDENTIALS),
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
            "DeleteVirtualMFADevice",
            {"SerialNumber": "SerialNumber"},
            by_user=False,
            applies=is_virtual_mfa,
            resource="mfa/*",
        ),
    ),
    state=("SerialNumber",),
    quarantined_by="nothing, and nothing need be: a device opens no door by itself",
    lost="IAM never tells a seed, and a passkey or token must be at hand to be registered",
)
GROUP = AttachmentKind(
    "group",
    "group membership",
    "GroupName",
    Reading("ListGroupsForUser", "Groups", bulk=_BULK_POLICIES),
    (Removal("RemoveUserFromGroup", {"GroupName": "GroupName"}, resource="group/*"),),
    state=("GroupName",),
    quarantined_by="the Deny-all",
    restoration=Restoration("AddUserToGroup", {"GroupName": "GroupName"}, resource="group/*"),
)
ATTACHED_POLICY = AttachmentKind(
    "attached-policy",
    "attached managed policy",
    "PolicyArn",
    Reading("ListAttachedUserPolicies", "AttachedPolicies", bulk=_BULK_POLICIES),
    (Removal("DetachUserPolicy", {"PolicyArn": "PolicyArn"}),),
    state=("PolicyArn",),
    quarantined_by="the Deny-all",
    restoration=Restoration("AttachUserPolicy", {"PolicyArn": "PolicyArn"}),
)
INLINE_POLICY = AttachmentKind(
    "inline-policy",
    "inline policy",
    "PolicyName",
    Reading("ListUserPolicies", "PolicyNames", bulk=_BULK_POLICIES),
    (Removal("DeleteUserPolicy", {"PolicyName": "PolicyName"}),),
    state=("PolicyName", "PolicyDocument"),
    detail=Detail("GetUserPolicy", {"PolicyName": "PolicyName"}),
    quarantined_by="the Deny-all",
    restoration=Restoration(
        "PutUserPolicy", {"PolicyName": "PolicyName", "PolicyDocument": "PolicyDocument"}
    ),
)
# Neither blocks DeleteUser, and removing a boundary first could widen access: both go with the user.
PERMISSIONS_BOUNDARY = AttachmentKind(
    "permissions-boundary",
    "permissions boundary",
    "PermissionsBoundaryArn",
    None,
    (),
    state=("PermissionsBoundaryArn",),
    quarantined_by="nothing: it only narrows",
)
TAG = AttachmentKind(
    "tag",
    "tag",
    "Key",
    None,
    (),
    state=("Key", "Value"),
    quarantined_by="nothing: a tag opens no door by itself",
)

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
#: The kinds that are credentials with a status: what quarantine switches off and release switches on.
SWITCHABLE_KINDS = tuple(kind for kind in ATTACHMENT_KINDS if kind.status_change)
#: Attachment kind -> what evidence must know of it, for those that are credentials.
CREDENTIAL_TRAITS: Mapping[str, CredentialTraits] = {
    kind.name: kind.credential for kind in ATTACHMENT_KINDS if kind.credential
}
#: The credentials that the account's lists tell of for all users at once, and those listed for one user at a time.
LISTED_AT_ONCE = tuple(kind for kind in ATTACHMENT_KINDS if kind.credential and kind.credential.account_piece)
LISTED_BY_USER = tuple(
    kind for kind in ATTACHMENT_KINDS if kind.credential and not kind.credential.account_piece
)
CREDENTIAL_KINDS = (*LISTED_AT_ONCE, *LISTED_BY_USER)
