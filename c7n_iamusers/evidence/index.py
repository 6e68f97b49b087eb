# SPDX-License-Identifier: Apache-2.0
"""An account's inventory, and the evidence on one user from it. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from c7n_iamusers.evidence.credential_report import CredentialReport, Row, credentials_of, flag, is_row_of
from c7n_iamusers.evidence.model import Credential, Evidence, LastUse, Source
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.policy_documents import AppliedPolicy, objects
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.infrastructure_code.model import Managed
from c7n_iamusers.infrastructure_code.tags import managed_by_tags
from c7n_iamusers.policy_comparison.trusted_users import TrustIndex
from c7n_iamusers.resource_policies.naming import NamingIndex
from c7n_iamusers.resource_policies.reading import Reading
from c7n_iamusers.text.times import moment

#: The names of the pieces of evidence, the keys of ``sources``.
USER = "user"
ACCOUNT = "account"
VIRTUAL_MFA = "virtual-mfa-devices"
CREATION = "creation"


@dataclass(frozen=True)
class Inventory:
    """What bulk operations return of one account. None: not requested, or not readable; ``sources`` has the reason.

    ``groups``: name -> botocore's ``GroupDetail``. ``roles``: ``RoleDetail``. ``policies``: ARN -> document.
    ``virtual_mfa``: ``VirtualMFADevice``. ``service_credentials``: ``ServiceSpecificCredentialMetadata``.
    ``creators``: unique id of a user -> ARN of the principal that created it in the last 90 days.
    ``resource_policies``: of the services that were asked for. ``sources``: piece of evidence -> its source.
    """

    groups: Mapping[str, Item] | None = None
    roles: tuple[Item, ...] | None = None
    policies: Mapping[str, Any] = field(default_factory=dict)
    report: CredentialReport | None = None
    virtual_mfa: tuple[Item, ...] | None = None
    service_credentials: tuple[Item, ...] | None = None
    creators: Mapping[str, str] | None = None
    resource_policies: Reading | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)


def applied_policies(user: IamUser, inventory: Inventory) -> tuple[AppliedPolicy, ...] | None:
    """Every policy that applies to ``user``, boundary excluded; None if not all of them are known."""
    attached, inline = user.attachments.get("attached-policy"), user.attachments.get("inline-policy")
    if attached is None or inline is None or user.groups is None or inventory.groups is None:
        return None
    groups = [inventory.groups.get(name) for name in user.groups]
    if None in groups:
        return None
    return (
        *_attached(attached, inventory.policies),
        *_inline(inline),
        *(grant for group in groups if group for grant in _of_group(group, inventory.policies)),
    )


def _of_group(group: Item, documents: Mapping[str, Any]) -> Iterator[AppliedPolicy]:
    name = str(group["GroupName"])
    yield from _attached(objects(group.get("AttachedManagedPolicies")), documents, name)
    yield from _inline(objects(group.get("GroupPolicyList")), name)


def _attached(
    policies: Iterable[Item], documents: Mapping[str, Any], group: str = ""
) -> Iterator[AppliedPolicy]:
    for policy in policies:
        arn = str(policy.get("PolicyArn", ""))
        yield AppliedPolicy(
            str(policy.get("PolicyName") or arn.rpartition("/")[2]), arn, group, documents.get(arn)
        )


def _inline(policies: Iterable[Item], group: str = "") -> Iterator[AppliedPolicy]:
    for policy in policies:
        yield AppliedPolicy(str(policy.get("PolicyName", "")), "", group, policy.get("PolicyDocument"))


Credentials = dict[str, tuple[Credential, ...]]


class EvidenceIndex:
    """The evidence on each user of ``inventory``, which is indexed by user once.

    ``doubts``: why it is unknown whether roles trust users, in words -> for how many of the users. ``managed``: unique
    id -> which code manages the user, as far as somebody asked already.
    """

    def __init__(self, inventory: Inventory, managed: Mapping[str, Managed] | None = None) -> None:
        self._inventory, self._managed = inventory, managed or {}
        self._trust = TrustIndex(inventory.roles or ())
        policies = inventory.resource_policies
        self._naming = None if policies is None else NamingIndex(policies)
        self.doubts = Counter[str]()
        self._service_credentials = _by_owner(inventory.service_credentials or ())
        assigned = [each for each in inventory.virtual_mfa or () if each.get("User")]
        self._virtual_mfa = _by_owner({**each["User"], "Device": each["SerialNumber"]} for each in assigned)
        self._orphans = [
            str(each["SerialNumber"]) for each in inventory.virtual_mfa or () if not each.get("User")
        ]

    @property
    def orphaned_mfa(self) -> tuple[str, ...]:
        """The serial numbers of the account's virtual MFA devices that are assigned to no user."""
        return tuple(self._orphans)

    def of(self, user: IamUser, source: Source) -> Evidence:
        """The evidence on ``user``. ``source``: of the user's own record."""
        inventory = self._inventory
        row = self._row(user)
        virtual = self._serials(user)
        return Evidence(
            credentials=self._credentials(user, row),
            mfa=self._has_mfa(row, virtual),
            virtual_mfa=virtual,
            orphaned_mfa=None if inventory.virtual_mfa is None else self._orphans_named(user),
            trusted_by=self._trusting_roles(user),
            naming=self._naming.of(user) if self._naming else None,
            grants=applied_policies(user, inventory),
            creator=(inventory.creators or {}).get(user.unique_id),
            managed=Managed(managed_by_tags(user.tags)).and_also(
                self._managed.get(user.unique_id, Managed())
            ),
            sources={**inventory.sources, USER: source, **self._missing_row(row)},
        )

    def _row(self, user: IamUser) -> Row | None:
        row = self._inventory.report.row(user.name) if self._inventory.report else None
        return row if row and is_row_of(user, row) else None

    def _missing_row(self, row: Row | None) -> dict[str, Source]:
        """The report as a source with a problem, if it was read and has no row for the user."""
        source = self._inventory.sources.get(attachments.CREDENTIAL_REPORT)
        if row or source is None or source.problem:
            return {}
        return {
            attachments.CREDENTIAL_REPORT: replace(
                source, problem="has no row for the user, which was created later"
            )
        }

    def _credentials(self, user: IamUser, row: Row | None) -> Credentials:
        found: Credentials = credentials_of(row) if row else {}
        if attachments.LOGIN_PROFILE.name in found:
            signed_in = moment(user.detail.get("PasswordLastUsed"))
            found[attachments.LOGIN_PROFILE.name] = tuple(
                _signed_in(each, signed_in) for each in found[attachments.LOGIN_PROFILE.name]
            )
        if self._inventory.service_credentials is not None:
            held = self._service_credentials.get(user.name, ())
            found[attachments.SERVICE_SPECIFIC_CREDENTIAL.name] = tuple(map(_service_credential, held))
        return found

    def _serials(self, user: IamUser) -> tuple[str, ...] | None:
        if self._inventory.virtual_mfa is None:
            return None
        return tuple(str(each["Device"]) for each in self._virtual_mfa.get(user.name, ()))

    def _has_mfa(self, row: Row | None, virtual: tuple[str, ...] | None) -> bool | None:
        if virtual:
            return True
        # The report can be hours old. If the fresher list was requested and not read, MFA is unknown.
        unread = virtual is None and VIRTUAL_MFA in self._inventory.sources
        return flag(row, "mfa_active") if row and not unread else None

    def _orphans_named(self, user: IamUser) -> tuple[str, ...]:
        name = user.name.casefold()
        return tuple(serial for serial in self._orphans if serial.rpartition("/")[2].casefold() == name)

    def _trusting_roles(self, user: IamUser) -> tuple[str, ...] | None:
        if self._inventory.roles is None:
            return None
        found = self._trust.of(user)
        if not found.unknown or found.roles:
            return found.roles
        self.doubts[found.unknown] += 1
        return None


def with_listed_credentials(
    evidence: Evidence, kind: attachments.AttachmentKind, items: Iterable[Item], source: Source
) -> Evidence:
    """The evidence with the user's credentials of ``kind``, as the list operation returns ``items``."""
    held = tuple(listed_credential(kind, item) for item in items)
    return replace(
        evidence,
        credentials={**evidence.credentials, kind.name: held},
        sources={**evidence.sources, kind.piece: source},
    )


def listed_credential(kind: attachments.AttachmentKind, item: Item, use: LastUse | None = None) -> Credential:
    """The credential of ``kind`` that the list operation returns as ``item``. ``use``: None if unknown."""
    single = kind.reading is not None and kind.reading.single
    title = kind.title if single else f"{kind.title} {item[kind.identifier]}"
    created = moment(item.get(attachments.CREDENTIAL_TRAITS[kind.name].created))
    active = item.get("Status", attachments.ACTIVE) == attachments.ACTIVE
    return Credential(kind.name, title, active, created, use, str(item.get("ServiceName", "")))


def _by_owner(items: Iterable[Item]) -> Mapping[str, tuple[Item, ...]]:
    found: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        # The root user's device has an owner without UserName.
        if "UserName" in item:
            found[str(item["UserName"])].append(item)
    return {name: tuple(owned) for name, owned in found.items()}


def _signed_in(password: Credential, listed: datetime | None) -> Credential:
    """The password with the later of the report's last use and ``listed`` (ListUsers, which is hours fresher)."""
    reported = password.last_use.at if password.last_use else None
    if listed is None or (reported and reported >= listed):
        return password
    return replace(password, last_use=LastUse(listed))


def _service_credential(item: Item) -> Credential:
    service = str(item.get("ServiceName", ""))
    return Credential(
        attachments.SERVICE_SPECIFIC_CREDENTIAL.name,
        f"credential for {service} ({item.get('ServiceSpecificCredentialId')})",
        item.get("Status") == "Active",
        moment(item.get("CreateDate")),
        None,
        service,
    )
