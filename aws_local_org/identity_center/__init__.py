# SPDX-License-Identifier: Apache-2.0
"""IAM Identity Center (sso-admin and identitystore), faithful where provisioning depends on it.

moto's own backends of the two Identity Center services are replaced, not patched: they keep an instance for every
account and Region, accept duplicates and unknown names, end every asynchronous request at once, and share almost
nothing between the services, so a patch would change every method. moto still does HTTP, credentials, routing,
serializing, and IAM, in which provisioned permission sets appear as real roles. Organizations' backend is only
restricted (`aws_local_org.organization`).

- state: what is remembered, and the clock; operations: which function answers which operation;
- rules: errors, pages and the shape of requests; asynchronous: requests that take time;
- instance, with who may call; permission_sets; assignments, provisioning: what reaches the accounts;
- directory: users, groups and memberships of identitystore;
- injected_faults: failures that tests inject.
"""

from __future__ import annotations

from moto.iam.responses import IamResponse
from moto.identitystore.responses import IdentityStoreResponse
from moto.ssoadmin.responses import SSOAdminResponse

from aws_local_org import organization
from aws_local_org.identity_center import injected_faults, instance, operations, state
from aws_local_org.settings import Settings

__all__ = ["install", "populate"]


def install() -> None:
    """Patch moto's classes, for the whole process; a second time changes nothing."""
    organization.install()
    operations.install("sso-admin", SSOAdminResponse)
    operations.install("identitystore", IdentityStoreResponse)
    operations.settle_before(IamResponse)


def populate(settings: Settings) -> None:
    """Start again: the organization with its accounts, and one empty instance in the management account."""
    with state.lock:
        organization.populate(settings)
        instance.remove_instance()
        injected_faults.clear()
        instance.add_instance(settings.management_account, settings.identity_center_region or settings.region)
