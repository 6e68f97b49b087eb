# SPDX-License-Identifier: Apache-2.0
"""How much of everything an account was filled with, for the table that a person sees."""

from __future__ import annotations

from aws_local_org.seeding.records import AccountContents


def counts_of(contents: AccountContents) -> dict[str, int]:
    """What -> how many; a count of 0 is kept, since it is news as well."""
    users = contents.users
    return {
        "users": len(users),
        "groups": len(contents.groups),
        "roles": len(contents.roles),
        "policies": sum(not policy.aws_managed for policy in contents.policies),
        "passwords": sum(user.password is not None for user in users),
        "access_keys": sum(len(user.access_keys) for user in users),
        "mfa_devices": sum(len(user.mfa_devices) for user in users),
        "orphaned_mfa": len(contents.orphaned_mfa),
        "certificates": sum(len(user.certificates) for user in users),
        "ssh_keys": sum(len(user.ssh_keys) for user in users),
        "service_credentials": sum(len(user.service_credentials) for user in users),
        "memberships": sum(len(user.groups) for user in users),
        "attached_policies": sum(len(user.policies) for user in users),
        "inline_policies": sum(len(user.inline) for user in users),
        "boundaries": sum(user.boundary is not None for user in users),
        "tags": sum(len(user.tags) for user in users),
    }
