# SPDX-License-Identifier: Apache-2.0
"""The one table of everything that can be attached to an IAM user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from c7n_iamusers.iam.user import Item

CREDENTIAL_REPORT = "credential-report"
SERVICE_CREDENTIALS = "service-specific-credentials"


ACTIVE = "Active"
INACTIVE = "Inactive"
#: Who uses a credential. EITHER: people and programs alike, so that it decides only where there is nothing else.
PERSON, PROGRAM, EITHER = "person", "program", "either"
#: How AWS tells the last use of a credential, where it does: a member of GetUser's answer, and an operation.
PASSWORD_LAST_USED, KEY_LAST_USED = "PasswordLastUsed", "GetAccessKeyLastUsed"
#: What the calls act on, as the last part of an ARN of IAM.
ON_USER = "user/*"


def _always(_: Item) -> bool:
    return True


@dataclass(frozen=True)
class Reading:
    """How a kind is read for one user: ``result`` is the response's member, a list or a single structure.

    ``bulk``: the account-wide operation that gives the same for all users at once, where there is one.
    """

    operation: str
    result: str
    single: bool = False
    bulk: str | None = None


@dataclass(frozen=True)
class Detail:
    """The call that completes a listed item for the snapshot: parameter -> member of the item."""

    operation: str
    parameters: Mapping[str, str]
    result: tuple[str, ...] = ()
    constants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Removal:
    """One removing call: parameter -> member of the item; ``by_user`` adds the UserName.

    ``resource``: what it acts on, for a role's policy ("Actions, resources, and condition keys for IAM").
    """

    operation: str
    parameters: Mapping[str, str]
    by_user: bool = True
    applies: Callable[[Item], bool] = _always
    resource: str = ON_USER


@dataclass(frozen=True)
class StatusChange:
    """The call that switches a credential off and on again by its ``Status``; parameter -> member of the item."""

    operation: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Restoration:
    """The call that brings an item back: parameter -> member of the item.

    ``match``: the member by which an item that came back is known again, where it gets a new identifier.
    ``present_codes``: error codes which say that it is there already. ``resource``: as of a Removal.
    """

    operation: str
    parameters: Mapping[str, str]
    match: str | None = None
    present_codes: frozenset[str] = frozenset()
    resource: str = ON_USER


@dataclass(frozen=True)
class CredentialTraits:
    """What evidence must know of a kind that is a credential.

    ``used_by``: PERSON, PROGRAM or EITHER. ``made``: the item's member that says when it was made.
    ``account_piece``: the piece of the account's inventory that tells of all users at once; empty where AWS lists the
    kind for one user at a time. Such a kind is a piece of evidence itself. It is listed where it decides: for every
    user whose kind is asked for, or, of EITHER, for those that have nothing else.
    ``use``: how AWS tells its last use; empty where AWS does not, so that who has one never counts as unused.
    ``signs_requests``: to any service, so that a role takes its place. ``service``: the only one that takes it, where
    neither that nor the item's ServiceName says. ``plural``: what logs call several.
    """

    used_by: str
    made: str = "CreateDate"
    account_piece: str = ""
    use: str = ""
    signs_requests: bool = False
    service: str = ""
    plural: str = ""


@dataclass(frozen=True, eq=False)
class AttachmentKind:
    """A row. ``title`` is what a mail calls it; ``reading`` None where GetUser itself tells.

    ``state``: the members that make up what it is; others (dates, last use) are no change of the user.
    ``status_change`` None: ``quarantined_by`` says what stops it instead.
    ``restoration`` None: ``lost`` says why it can't come back, or, where that is empty, it comes back with
    the user itself (CreateUser).
    ``credential``: where it is one. ``later``: the row was added after the first snapshots: one of before has no such
    kind, and where a user has none of it, its fingerprint is the same as before.
    """

    name: str
    title: str
    identifier: str
    reading: Reading | None
    removals: tuple[Removal, ...]
    state: tuple[str, ...]
    detail: Detail | None = None
    status_change: StatusChange | None = None
    quarantined_by: str = ""
    restoration: Restoration | None = None
    lost: str = ""
    credential: CredentialTraits | None = None
    later: bool = False

    @property
    def piece(self) -> str:
        """The piece of evidence that tells of the kind, as ``Evidence.sources`` names it."""
        return (self.credential.account_piece if self.credential else "") or f"{self.name}s"

    @property
    def plural(self) -> str:
        """What several are called."""
        return (self.credential.plural if self.credential else "") or f"{self.title}s"

    @property
    def reads(self) -> frozenset[str]:
        """The IAM operations that read the kind for one user, for declared permissions."""
        return frozenset(part.operation for part in (self.reading, self.detail) if part)

    @property
    def reads_of_all(self) -> frozenset[str]:
        """The IAM operation that reads the kind for all users at once, if any, for declared permissions."""
        return frozenset({self.reading.bulk} if self.reading and self.reading.bulk else ())

    @property
    def removing(self) -> frozenset[str]:
        """The IAM operations that remove the kind, for declared permissions."""
        return frozenset(removal.operation for removal in self.removals)

    @property
    def switching(self) -> frozenset[str]:
        """The IAM operations that quarantine and release the kind, for declared permissions."""
        return frozenset({self.status_change.operation}) if self.status_change else frozenset()

    @property
    def restoring(self) -> frozenset[str]:
        """The IAM operations that restore the kind, for declared permissions."""
        return frozenset({self.restoration.operation}) if self.restoration else frozenset()


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
