# SPDX-License-Identifier: Apache-2.0
"""The table of everything that can be attached to an IAM user: how to read, deactivate, remove and restore it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from c7n_iamusers.iam.user import Item

CREDENTIAL_REPORT = "credential-report"
SERVICE_CREDENTIALS = "service-specific-credentials"

ACTIVE = "Active"
INACTIVE = "Inactive"
#: Who uses a credential. EITHER: people and programs, so it decides only if the user has no other credentials.
PERSON, PROGRAM, EITHER = "person", "program", "either"
#: Where AWS returns the last use of a credential: a member of GetUser's response, and an operation.
PASSWORD_LAST_USED, KEY_LAST_USED = "PasswordLastUsed", "GetAccessKeyLastUsed"
#: The longest sign-in session in seconds, an hour to 90 days, if one is set (CreateLoginProfile; botocore 1.44 has it).
MAX_SESSION = "MaxSigninSessionDuration"
#: The resource of calls on a user, as the last part of an IAM ARN.
ON_USER = "user/*"


def _always(_: Item) -> bool:
    return True


@dataclass(frozen=True)
class ReadingCall:
    """The call that reads a kind for one user. ``result``: the response's member, a list or (``single``) a structure.

    ``bulk``: the account-wide operation that returns the same for all users, if there is one.
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
    """A call that removes an item. ``parameters``: parameter -> member of the item. ``by_user``: adds UserName.

    ``resource``: the resource type that it acts on ("Actions, resources, and condition keys for IAM").
    """

    operation: str
    parameters: Mapping[str, str]
    by_user: bool = True
    applies: Callable[[Item], bool] = _always
    resource: str = ON_USER


@dataclass(frozen=True)
class StatusChange:
    """The call that sets a credential's ``Status``. ``parameters``: parameter -> member of the item."""

    operation: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class RestoringCall:
    """The call that restores an item. ``parameters``: parameter -> member of the item.

    ``match``: the member that identifies a restored item, if it gets a new identifier.
    ``resource``: as in ``Removal``. ``result``: the member of the response that has the new identifier.
    """

    operation: str
    parameters: Mapping[str, str]
    match: str | None = None
    resource: str = ON_USER
    result: str = ""


@dataclass(frozen=True)
class CredentialTraits:
    """What evidence needs to know about a kind of credential.

    ``used_by``: PERSON, PROGRAM or EITHER. ``created``: the member of an item with its creation time.
    ``account_piece``: the piece of the inventory that has the kind for all users; empty if AWS lists the kind for one
    user at a time. Such a kind is a piece of its own, and is listed only for users whose classification needs it.
    ``use``: where AWS returns the last use; empty if it does not, so a user with one never counts as unused.
    ``signs_requests``: to any service, so that a role can replace it. ``service``: the only service that accepts it, if
    neither ``signs_requests`` nor the item's ServiceName says. ``plural``: for logs.
    """

    used_by: str
    created: str = "CreateDate"
    account_piece: str = ""
    use: str = ""
    signs_requests: bool = False
    service: str = ""
    plural: str = ""


@dataclass(frozen=True, eq=False)
class AttachmentKind:
    """A row of the table. ``title``: for mails. ``reading``: None if GetUser returns it.

    ``state``: the members that count as the user's state; a change of others (dates, last use) is no change.
    ``status_change`` None: ``quarantined_by`` says how quarantine disables it instead.
    ``restoration`` None: ``lost`` says why it can't be restored; empty means that CreateUser restores it.
    ``set_again``: members of a lost item that a person sets again on its replacement.
    ``credential``: None for a kind that is not a credential. ``later``: the row is newer than the first snapshots. Old
    snapshots lack the kind, and a user without it keeps the same fingerprint.
    """

    name: str
    title: str
    identifier: str
    reading: ReadingCall | None
    removals: tuple[Removal, ...]
    state: tuple[str, ...]
    detail: Detail | None = None
    status_change: StatusChange | None = None
    quarantined_by: str = ""
    restoration: RestoringCall | None = None
    lost: str = ""
    set_again: tuple[str, ...] = ()
    credential: CredentialTraits | None = None
    later: bool = False

    @property
    def piece(self) -> str:
        """The piece of evidence that has the kind, a key of ``Evidence.sources``."""
        return (self.credential.account_piece if self.credential else "") or f"{self.name}s"

    @property
    def plural(self) -> str:
        """The plural of the title."""
        return (self.credential.plural if self.credential else "") or f"{self.title}s"

    @property
    def reads(self) -> frozenset[str]:
        """The IAM operations that read the kind for one user, for declared permissions."""
        return frozenset(part.operation for part in (self.reading, self.detail) if part)

    @property
    def reads_of_all(self) -> frozenset[str]:
        """The IAM operation that reads the kind for all users, if any, for declared permissions."""
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
    ReadingCall("GetLoginProfile", "LoginProfile", single=True),
    (Removal("DeleteLoginProfile", {}),),
    # A new password has a new CreateDate; using a password changes nothing here.
    state=("CreateDate",),
    quarantined_by="the Deny-all: IAM can't disable a password, only delete it",
    lost="IAM never returns a password",
    set_again=(MAX_SESSION,),
    credential=CredentialTraits(PERSON, account_piece=CREDENTIAL_REPORT, use=PASSWORD_LAST_USED),
)
ACCESS_KEY = AttachmentKind(
    "access-key",
    "access key",
    "AccessKeyId",
    ReadingCall("ListAccessKeys", "AccessKeyMetadata"),
    (Removal("DeleteAccessKey", {"AccessKeyId": "AccessKeyId"}),),
    state=("AccessKeyId", "Status"),
    status_change=StatusChange("UpdateAccessKey", {"AccessKeyId": "AccessKeyId"}),
    lost="IAM returns a secret access key only once, when it creates the key",
    credential=CredentialTraits(
        PROGRAM, account_piece=CREDENTIAL_REPORT, use=KEY_LAST_USED, signs_requests=True
    ),
)
SIGNING_CERTIFICATE = AttachmentKind(
    "signing-certificate",
    "signing certificate",
    "CertificateId",
    ReadingCall("ListSigningCertificates", "Certificates"),
    (Removal("DeleteSigningCertificate", {"CertificateId": "CertificateId"}),),
    state=("CertificateId", "Status"),
    status_change=StatusChange("UpdateSigningCertificate", {"CertificateId": "CertificateId"}),
    restoration=RestoringCall(
        "UploadSigningCertificate",
        {"CertificateBody": "CertificateBody"},
        match="CertificateBody",
        result="Certificate",
    ),
    credential=CredentialTraits(
        PROGRAM, created="UploadDate", account_piece=CREDENTIAL_REPORT, signs_requests=True
    ),
)
SSH_PUBLIC_KEY = AttachmentKind(
    "ssh-public-key",
    "SSH public key",
    "SSHPublicKeyId",
    ReadingCall("ListSSHPublicKeys", "SSHPublicKeys"),
    (Removal("DeleteSSHPublicKey", {"SSHPublicKeyId": "SSHPublicKeyId"}),),
    state=("SSHPublicKeyId", "Status"),
    detail=Detail(
        "GetSSHPublicKey", {"SSHPublicKeyId": "SSHPublicKeyId"}, ("SSHPublicKey",), {"Encoding": "SSH"}
    ),
    status_change=StatusChange("UpdateSSHPublicKey", {"SSHPublicKeyId": "SSHPublicKeyId"}),
    restoration=RestoringCall(
        "UploadSSHPublicKey",
        {"SSHPublicKeyBody": "SSHPublicKeyBody"},
        match="Fingerprint",
        result="SSHPublicKey",
    ),
    credential=CredentialTraits(
        EITHER, created="UploadDate", service="codecommit.amazonaws.com", plural="SSH keys"
    ),
)
SERVICE_SPECIFIC_CREDENTIAL = AttachmentKind(
    "service-specific-credential",
    "service-specific credential",
    "ServiceSpecificCredentialId",
    ReadingCall(
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
    lost="IAM returns a service password or API key only once, when it creates it",
    credential=CredentialTraits(PROGRAM, account_piece=SERVICE_CREDENTIALS),
)
MFA_DEVICE = AttachmentKind(
    "mfa-device",
    "MFA device",
    "SerialNumber",
    ReadingCall("ListMFADevices", "MFADevices"),
    (
        Removal("DeactivateMFADevice", {"SerialNumber": "SerialNumber"}),
        # A virtual device that is only deactivated stays, and blocks a new one with its name.
        Removal(
            "DeleteVirtualMFADevice",
            {"SerialNumber": "SerialNumber"},
            by_user=False,
            applies=is_virtual_mfa,
            resource="mfa/*",
        ),
    ),
    state=("SerialNumber",),
    quarantined_by="nothing: a device grants no access by itself",
    lost="IAM never returns a seed, and registering a passkey or hardware token needs the device",
)
GROUP = AttachmentKind(
    "group",
    "group membership",
    "GroupName",
    ReadingCall("ListGroupsForUser", "Groups", bulk=_BULK_POLICIES),
    (Removal("RemoveUserFromGroup", {"GroupName": "GroupName"}, resource="group/*"),),
    state=("GroupName",),
    quarantined_by="the Deny-all",
    restoration=RestoringCall("AddUserToGroup", {"GroupName": "GroupName"}, resource="group/*"),
)
ATTACHED_POLICY = AttachmentKind(
    "attached-policy",
    "attached managed policy",
    "PolicyArn",
    ReadingCall("ListAttachedUserPolicies", "AttachedPolicies", bulk=_BULK_POLICIES),
    (Removal("DetachUserPolicy", {"PolicyArn": "PolicyArn"}),),
    state=("PolicyArn",),
    quarantined_by="the Deny-all",
    restoration=RestoringCall("AttachUserPolicy", {"PolicyArn": "PolicyArn"}),
)
INLINE_POLICY = AttachmentKind(
    "inline-policy",
    "inline policy",
    "PolicyName",
    ReadingCall("ListUserPolicies", "PolicyNames", bulk=_BULK_POLICIES),
    (Removal("DeleteUserPolicy", {"PolicyName": "PolicyName"}),),
    state=("PolicyName", "PolicyDocument"),
    detail=Detail("GetUserPolicy", {"PolicyName": "PolicyName"}),
    quarantined_by="the Deny-all",
    restoration=RestoringCall(
        "PutUserPolicy", {"PolicyName": "PolicyName", "PolicyDocument": "PolicyDocument"}
    ),
)
# Neither blocks DeleteUser, and removing a boundary first could widen access: DeleteUser removes both.
PERMISSIONS_BOUNDARY = AttachmentKind(
    "permissions-boundary",
    "permissions boundary",
    "PermissionsBoundaryArn",
    None,
    (),
    state=("PermissionsBoundaryArn",),
    quarantined_by="nothing: it only limits permissions",
)
TAG = AttachmentKind(
    "tag",
    "tag",
    "Key",
    None,
    (),
    state=("Key", "Value"),
    quarantined_by="nothing: a tag grants no access by itself",
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
#: The kinds of credentials with a status, which quarantine deactivates and release activates.
SWITCHABLE_KINDS = tuple(kind for kind in ATTACHMENT_KINDS if kind.status_change)
#: Attachment kind -> its traits, for the kinds that are credentials.
CREDENTIAL_TRAITS: Mapping[str, CredentialTraits] = {
    kind.name: kind.credential for kind in ATTACHMENT_KINDS if kind.credential
}
#: The kinds of credentials that the inventory has for all users, and the kinds that are listed for one user at a time.
LISTED_AT_ONCE = tuple(kind for kind in ATTACHMENT_KINDS if kind.credential and kind.credential.account_piece)
LISTED_BY_USER = tuple(
    kind for kind in ATTACHMENT_KINDS if kind.credential and not kind.credential.account_piece
)
CREDENTIAL_KINDS = (*LISTED_AT_ONCE, *LISTED_BY_USER)
