# SPDX-License-Identifier: Apache-2.0
"""IAM Identity Center (sso-admin and identitystore) and Organizations, faithful where provisioning depends on it.

moto's own backends of the two Identity Center services are replaced, not patched: they keep an instance for every
account and Region, accept duplicates and unknown names, end every asynchronous request at once, and share next to
nothing between the services, so a patch would have touched every method. What is kept of moto is all around them: HTTP,
credentials, routing, serializing, and IAM, in which provisioned permission sets appear as real roles. Organizations'
backend is good and only restricted (`local_org.organization`).

- state: what is remembered; access: who may call; operations, dispatch: which function answers which operation;
- request_shape, paging, quotas, errors: the common rules; asynchronous, clock: time;
- instance, permission_sets, attached_policies, inline_policy, permissions_boundary, tagging: sso-admin;
- assignments, assignment_queries, provisioning, reserved_roles: what reaches the accounts;
- stores, users, groups, memberships (and directory, attribute_paths): identitystore;
- faults: failures on order, for tests.
"""

from __future__ import annotations

from moto.iam.responses import IamResponse
from moto.identitystore.responses import IdentityStoreResponse
from moto.ssoadmin.responses import SSOAdminResponse

from aws_local_org import organization
from aws_local_org.settings import Settings

from . import dispatch, faults, instance, state

__all__ = ["install", "populate"]


def install() -> None:
    """Patch moto's classes, for the whole process; a second time changes nothing."""
    organization.install()
    dispatch.install("sso-admin", SSOAdminResponse)
    dispatch.install("identitystore", IdentityStoreResponse)
    dispatch.settle_before(IamResponse)


def populate(settings: Settings) -> None:
    """Start anew: the organization with its accounts, and one empty instance in the management account."""
    with state.lock:
        organization.populate(settings)
        instance.remove_instance()
        faults.clear()
        instance.add_instance(settings.management_account, settings.region)
