# SPDX-License-Identifier: Apache-2.0
"""What AWS says by itself: the organization, its accounts and units, Identity Center, and who is asking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from c7n_iamusers.exceptions import EvidenceUnreadable, InvalidPolicyData
from c7n_iamusers.text.wording import shown

if TYPE_CHECKING:
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.organization.owners import Member, OwnerSource
    from c7n_iamusers.organization.reader import OrganizationReader

_Read = TypeVar("_Read")
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
#: Operations of another service than AWS Organizations.
_SERVICES = {"GetAlternateContact": "account"}
_NO_ORGANIZATION = "AWSOrganizationsNotInUseException"
#: Regions that are asked at once for an instance of Identity Center.
_WORKERS = 8
#: Users of an identity store that are looked at for where they come from.
_LOOKED_AT = 100


@dataclass(frozen=True)
class CenterFound:
    """An instance of Identity Center. ``fed``: of the users looked at, how many a provider made; None if unknown.

    ``users``: how many were looked at.
    """

    arn: str
    store: str
    region: str
    fed: int | None = None
    users: int = 0


@dataclass(frozen=True)
class Found:
    """What was read. ``caller``: the ARN of the user or role that asks, which a role can trust; empty if unknown.

    ``account``: the caller's, which is the management account. ``members``: account id -> account. ``paths``: account
    id -> the path of its unit. ``root``: the id of the root. ``region``: the session's.
    """

    organization: str
    account: str
    caller: str
    partition: str
    region: str
    members: Mapping[str, Member]
    paths: Mapping[str, str]
    root: str
    centers: tuple[CenterFound, ...] = ()

    @property
    def active(self) -> list[Member]:
        """The accounts that are to be processed, by their ids."""
        return sorted(
            (each for each in self.members.values() if each.is_active),
            key=lambda each: each.account.account_id,
        )

    @property
    def left_out(self) -> list[Member]:
        return [each for each in self.members.values() if not each.is_active]


@dataclass
class _Denials:
    """The reads that the caller may not make, all of them, so that they are granted at once."""

    found: list[str] = field(default_factory=list)

    def get(self, read: Callable[[], _Read], instead: _Read) -> _Read:
        try:
            return read()
        except EvidenceUnreadable as error:
            if not (denied := _denied(error)):
                raise InvalidPolicyData(f"nothing was written: {error}") from error
            self.found.append(denied)
            return instead


def _denied(error: BaseException) -> str:
    """The action that was denied, such as organizations:ListRoots; empty for another error."""
    cause = error.__cause__
    response: Mapping[str, Any] = getattr(cause, "response", {})
    if response.get("Error", {}).get("Code") not in _DENIED:
        return ""
    operation = str(getattr(cause, "operation_name", ""))
    return f"{_SERVICES.get(operation, 'organizations')}:{operation}"


def read_organization(
    session: Any, backoff: Backoff, sources: Sequence[OwnerSource], reader: OrganizationReader
) -> Found:
    """What init needs to know. ``sources``: of the owners; each is read once here, so that a denial is told first.

    Raises InvalidPolicyData, with what to do, where there is no organization, the caller is not of the management
    account, or may not make one of the reads.
    """
    from c7n_iamusers.execution.callers import caller_of

    try:
        caller = caller_of(session)
    except EvidenceUnreadable as error:
        raise InvalidPolicyData(f"nothing was written: {error}") from error
    _, partition, _, _, account, _ = caller.split(":", 5)
    denials = _Denials()
    organization = _described(session, backoff, caller)
    if organization["MasterAccountId"] != account:
        raise InvalidPolicyData(
            f"nothing was written: {caller} is in account {account}, and the management account is "
            f"{organization['MasterAccountId']}: init needs its credentials, since a delegated administrator can "
            "neither assign access in the management account nor change what is provisioned there"
        )
    members = denials.get(reader.members, dict[str, Any]())
    root, paths = denials.get(reader.units, ("", dict[str, str]()))
    centers = tuple(_centers(session, partition, backoff, denials))
    _probe_sources(reader, sources, members, account, denials)
    if denials.found:
        raise InvalidPolicyData(_told(caller, denials.found))
    return Found(
        str(organization["Id"]),
        account,
        _principal(session, caller),
        partition,
        str(session.region_name),
        members,
        paths,
        root,
        centers,
    )


def _told(caller: str, denied: Sequence[str]) -> str:
    actions = sorted(set(denied))
    told = (
        f"nothing was written: {caller} may not call {', '.join(actions)}: grant these on * to it, for as long as init "
        "runs"
    )
    if "account:GetAlternateContact" in actions:
        told += (
            "; account:GetAlternateContact also needs trusted access (aws organizations enable-aws-service-access "
            "--service-principal account.amazonaws.com). To do without, give --owners-from tag:Owner --owners-from "
            "organization"
        )
    return told


def _described(session: Any, backoff: Backoff, caller: str) -> Mapping[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.execution.executor import SINGLE_TRY
    from c7n_iamusers.execution.retries import error_code

    try:
        client = session.client("organizations", config=SINGLE_TRY)
        found: Mapping[str, Any] = backoff.call(client.describe_organization)["Organization"]
    except (ClientError, BotoCoreError) as error:
        if error_code(error) == _NO_ORGANIZATION:
            raise InvalidPolicyData(
                f"nothing was written: account {caller.split(':')[4]} is in no organization of AWS Organizations: "
                "take credentials of the management account, or write accounts.yml by hand, as docs/runbook.md says"
            ) from error
        if error_code(error) in _DENIED:
            raise InvalidPolicyData(_told(caller, ["organizations:DescribeOrganization"])) from error
        raise InvalidPolicyData(f"nothing was written: the organization can't be read: {error}") from error
    return found


def _probe_sources(
    reader: OrganizationReader,
    sources: Sequence[OwnerSource],
    members: Mapping[str, Member],
    own: str,
    denials: _Denials,
) -> None:
    """Read each source for one account: what the caller may not read, it may not read for any."""
    from c7n_iamusers.organization.owners import CONTACT, TAG

    account = next((each for each, member in members.items() if member.is_active and each != own), "")
    for source in sources if account else ():
        if source.kind == TAG:
            denials.get(lambda key=source.key: reader.tag(account, key), "")  # type: ignore[misc]
        elif source.kind == CONTACT:
            denials.get(lambda key=source.key: reader.contact(account, key), "")  # type: ignore[misc]


def _centers(session: Any, partition: str, backoff: Backoff, denials: _Denials) -> Iterator[CenterFound]:
    """The instances that the caller administers, in whichever Region. AWS has one for an organization."""
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.execution.retries import error_code

    try:
        found = _instances(session, partition, backoff)
    except (ClientError, BotoCoreError) as error:
        if error_code(error) not in _DENIED:
            raise InvalidPolicyData(f"nothing was written: Identity Center can't be read: {error}") from error
        denials.found.append("sso:ListInstances")
        return
    for arn, each in sorted(found.items()):
        region, store = str(each["PrimaryRegion"]), str(each["IdentityStoreId"])
        fed, users = _fed(session, region, store, denials)
        yield CenterFound(arn, store, region, fed, users)


def _instances(session: Any, partition: str, backoff: Backoff) -> dict[str, Any]:
    """ARN -> instance. Raises ClientError and BotoCoreError where the session's own Region can't be asked."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    from c7n_iamusers.execution.executor import SINGLE_TRY
    from c7n_iamusers.execution.paging import items

    def listed(region: str, **scope: str) -> dict[str, Any]:
        client = session.client("sso-admin", region_name=region, config=SINGLE_TRY)
        found = items(client, "ListInstances", "Instances", backoff, **scope)
        return {str(each["InstanceArn"]): {"PrimaryRegion": region, **each} for each in found}

    def asked(region: str) -> dict[str, Any]:
        try:
            return listed(region)
        except (ClientError, BotoCoreError):  # a Region that is not enabled; a denial is known by then
            return {}

    try:
        found = listed(session.region_name, RegionScope="ALL_REGIONS")
    except ParamValidationError:  # an older botocore
        found = listed(session.region_name)
    if not found:
        with ThreadPoolExecutor(_WORKERS) as pool:
            for each in pool.map(asked, session.get_available_regions("sso-admin", partition)):
                found |= each
    return found


def _fed(session: Any, region: str, store: str, denials: _Denials) -> tuple[int | None, int]:
    """How many of the first users of an identity store a provider made, by their external ids; and how many there are.

    No API says where people come from ("identity source", IAM Identity Center User Guide).
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.execution.retries import error_code

    try:
        client = session.client("identitystore", region_name=region)
        users = client.list_users(IdentityStoreId=store, MaxResults=_LOOKED_AT)["Users"]
    except (ClientError, BotoCoreError) as error:
        if error_code(error) in _DENIED:
            denials.found.append("identitystore:ListUsers")
        return None, 0
    return sum(bool(each.get("ExternalIds")) for each in users), len(users)


def _principal(session: Any, caller: str) -> str:
    """The role or user of the caller, which a role can trust; empty where its role's path can't be found out."""
    from botocore.exceptions import BotoCoreError, ClientError

    head, _, rest = caller.partition(":assumed-role/")
    if not rest:
        return caller if ":user/" in caller else ""
    try:
        found = session.client("iam").get_role(RoleName=rest.split("/")[0])["Role"]["Arn"]
    except (ClientError, BotoCoreError):
        return ""
    return str(found) if head else ""


def about_left_out(found: Found) -> str:
    """Which accounts are not processed, in words; empty if none."""
    names = [f"{each.account} is {each.state}" for each in found.left_out]
    return f"left out: {shown(names, 20)}" if names else ""
