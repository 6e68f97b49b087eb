# SPDX-License-Identifier: Apache-2.0
"""AWS Organizations: a management account, its members in one organizational unit, and who may read them.

moto's backend is used unchanged. Added are the account ids, names and addresses of the settings (moto draws account ids
at random), and the refusal of member accounts: moto answers as if each had an organization.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import utcnow
from moto.iam.models import iam_backends
from moto.organizations import utils
from moto.organizations.models import (
    FakeAccount,
    FakeDelegatedAdministrator,
    OrganizationsBackend,
    organizations_backends,
)
from moto.organizations.responses import OrganizationsResponse
from moto.utilities.utils import get_partition

from aws_local_org.settings import Settings

MANAGEMENT_NAME = "management"
ORGANIZATIONAL_UNIT = "Workloads"

#: The service principal of AWS Account Management, which has trusted access from the beginning.
ACCOUNT_MANAGEMENT = "account.amazonaws.com"

#: "Can be called from any account in the organization" (Organizations API reference); other operations only from the
#: management account, or, where they change nothing, from a delegated administrator.
OPEN_TO_MEMBERS = frozenset({"DescribeOrganization", "ListHandshakesForAccount", "LeaveOrganization"})

#: The default and the maximum of MaxResults (API reference).
ACCOUNTS_PER_PAGE = 20


class _AccessDenied(ServiceException):
    code = "AccessDeniedException"
    message = "You don't have permissions to access this resource."


_backend: OrganizationsBackend | None = None


def email(name: str) -> str:
    """The e-mail address of an account's root user, by the account's name."""
    return f"aws+{name.lower().replace(' ', '-')}@example.com"


def install() -> None:
    """Patch moto's response class, for the whole process. Idempotent."""
    OrganizationsResponse.call_action = _call_action
    OrganizationsResponse.organizations_backend = property(_backend_for)
    utils.PAGINATION_MODEL["list_accounts"]["limit_default"] = ACCOUNTS_PER_PAGE
    # moto knows six services with delegated administrators, and Identity Center is not among them.
    if "sso.amazonaws.com" not in FakeDelegatedAdministrator.SUPPORTED_SERVICES:
        FakeDelegatedAdministrator.SUPPORTED_SERVICES.append("sso.amazonaws.com")


def populate(settings: Settings) -> None:
    """Create the organization, in place of an earlier one of this process."""
    global _backend
    partition = get_partition(settings.region)
    organizations_backends.master_accounts.clear()
    _backend = organizations_backends[settings.management_account][partition]
    _backend._reset()
    _create_organization(_backend, settings)
    _create_members(_backend, settings)
    _date_apart(_backend.accounts)
    _backend.enable_aws_service_access(ServicePrincipal=ACCOUNT_MANAGEMENT)


def management_account() -> str | None:
    return _backend.account_id if _backend else None


def has_active_account(account_id: str) -> bool:
    accounts = _backend.accounts if _backend else []
    return any(account.id == account_id and account.status == "ACTIVE" for account in accounts)


def id_of(account_id: str) -> str | None:
    """The id of the organization, if the account is in it."""
    if (
        _backend is None
        or _backend.org is None
        or not any(account.id == account_id for account in _backend.accounts)
    ):
        return None
    return str(_backend.org.id)


def delegated_administrators(service_principal: str) -> frozenset[str]:
    """The account ids that RegisterDelegatedAdministrator named for a service."""
    admins = _backend.admins if _backend else []
    return frozenset(admin.account.id for admin in admins if service_principal in admin.services)


def trusted_services() -> frozenset[str]:
    """The services with trusted access to the organization (EnableAWSServiceAccess)."""
    services = _backend.services if _backend else []
    return frozenset(str(service["ServicePrincipal"]) for service in services)


def _create_organization(backend: OrganizationsBackend, settings: Settings) -> None:
    with _next_account_id(settings.management_account):
        backend.create_organization(region=settings.region, FeatureSet="ALL")
    organization, account = backend.org, backend.accounts[0]
    organization.master_account_email = account.email = email(MANAGEMENT_NAME)
    account.name, account.joined_method = MANAGEMENT_NAME, "INVITED"
    # moto also puts the members' role into the management account, and always in this partition.
    iam_backends[settings.management_account]["aws"].delete_role("OrganizationAccountAccessRole")


def _create_members(backend: OrganizationsBackend, settings: Settings) -> None:
    root = backend.org.root_id
    unit = backend.create_organizational_unit(Name=ORGANIZATIONAL_UNIT, ParentId=root)
    for account_id, name in settings.member_accounts:
        with _next_account_id(account_id):
            backend.create_account(AccountName=name, Email=email(name))
        backend.move_account(
            AccountId=account_id,
            SourceParentId=root,
            DestinationParentId=unit["OrganizationalUnit"]["Id"],
        )
    for account in backend.accounts:
        if account.id in settings.suspended_accounts:
            account.status = account.state = "SUSPENDED"
        if account.id in settings.accounts_without_address:
            account.email = ""


def _date_apart(accounts: list[FakeAccount]) -> None:
    """moto pages accounts by their joining time, which must therefore differ."""
    now = utcnow()
    for age, account in enumerate(reversed(accounts)):
        account.create_time = now - timedelta(minutes=age)


@contextmanager
def _next_account_id(account_id: str) -> Iterator[None]:
    """moto draws the id in FakeAccount's constructor, which also creates a role in that account."""
    draw = utils.make_random_account_id
    utils.make_random_account_id = lambda: account_id
    try:
        yield
    finally:
        utils.make_random_account_id = draw


def _call_action(self: OrganizationsResponse) -> Any:
    operation = self._get_action()
    if not _may_call(self.current_account, operation):
        return self.serialized(ActionResult(_AccessDenied()))
    return BaseResponse.call_action(self)


def _may_call(account_id: str, operation: str) -> bool:
    if account_id not in organizations_backends.master_accounts or operation in OPEN_TO_MEMBERS:
        return True
    return operation.startswith(("List", "Describe")) and _is_delegate(account_id)


def _backend_for(self: OrganizationsResponse) -> OrganizationsBackend:
    account_id = self.current_account
    if _is_delegate(account_id):
        account_id = organizations_backends.master_accounts[account_id][0]
    return organizations_backends[account_id][self.partition]


def _is_delegate(account_id: str) -> bool:
    admins = _backend.admins if _backend else []
    return any(admin.account.id == account_id for admin in admins)
