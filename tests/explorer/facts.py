# SPDX-License-Identifier: Apache-2.0
"""What AWS has, read from the emulator's own state: nested mappings with texts as leaves, so that they can be compared.

``users``: "account/unique id" -> name, path, tags, boundary, inline and attached policies, groups, credentials ("kind
id" -> status, or "Set" for a password and MFA devices), uses (access key -> when it was last used, "" for never).
``groups``, ``policies``, ``roles``: "account/name" -> content.
``devices``: "account/serial number" of virtual MFA devices -> the unique id of whom it is assigned to.
``center``: Identity Center's people, groups, memberships, permission sets and assignments.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from aws_local_org import LocalOrg
from aws_local_org.identity_center import state

Facts = dict[str, Any]
_OF_AWS = "arn:aws:iam::aws:"
#: What a missing part of facts is in a difference.
GONE = "<gone>"


def read(org: LocalOrg, accounts: Iterable[str]) -> Facts:
    """The facts of ``accounts`` and of Identity Center."""
    found: Facts = {
        "users": {},
        "groups": {},
        "policies": {},
        "roles": {},
        "devices": {},
        "center": _center(),
    }
    for account in accounts:
        for kind, facts in _of_account(org.backend("iam", account)).items():
            found[kind] |= {f"{account}/{key}": each for key, each in facts.items()}
    return found


def _of_account(backend: Any) -> dict[str, Facts]:
    # Identity Center makes the roles below that path of what ``center`` has
    roles = [role for role in backend.roles.values() if not role.path.startswith("/aws-reserved/")]
    policies = [each for arn, each in backend.managed_policies.items() if not arn.startswith(_OF_AWS)]
    devices = backend.virtual_mfa_devices.items()
    return {
        "users": {user.id: _user(user) for user in backend.users.values()},
        "groups": {group.name: _holder(group) for group in backend.groups.values()},
        "roles": {
            each.name: {**_holder(each), "trust": _plain(each.assume_role_policy_document)} for each in roles
        },
        "devices": {serial: device.user.id if device.user else "" for serial, device in devices},
        "policies": {policy.arn: _default(policy) for policy in policies},
    }


def documents(org: LocalOrg, account: str) -> dict[str, str]:
    """ARN -> document of AWS's own policies."""
    policies = org.backend("iam", account).managed_policies.values()
    return {each.arn: _default(each) for each in policies if each.arn.startswith(_OF_AWS)}


def secrets(org: LocalOrg, accounts: Iterable[str]) -> set[str]:
    """What must be in no file and no message."""
    users = [user for account in accounts for user in org.backend("iam", account).users.values()]
    return {str(key.secret_access_key) for user in users for key in user.access_keys}


def _user(user: Any) -> dict[str, Any]:
    credentials = {f"access-key {key.access_key_id}": key.status for key in user.access_keys}
    credentials |= {f"ssh-key {key.ssh_public_key_id}": key.status for key in user.ssh_public_keys}
    credentials |= {f"certificate {key}": each.status for key, each in user.signing_certificates.items()}
    credentials |= {f"service {key}": each.status for key, each in user.service_credentials.items()}
    credentials |= {f"mfa {serial}": "Set" for serial in user.mfa_devices}
    if user.login_profile:
        credentials["password"] = "Set"
    return {
        "name": user.name,
        "path": user.path,
        "tags": {each["Key"]: each["Value"] for each in user.tags},
        "boundary": user.permissions_boundary_arn or "",
        "groups": dict.fromkeys(user.group_list, "member"),
        "credentials": credentials,
        "uses": {key.access_key_id: _use(key) for key in user.access_keys},
        **_holder(user),
    }


def _use(key: Any) -> str:
    return str(key.last_used.timestamp) if key.last_used else ""


def _holder(holder: Any) -> dict[str, Any]:
    return {
        "inline": {name: _plain(text) for name, text in holder.policies.items()},
        "attached": dict.fromkeys(sorted(holder.managed_policies), "attached"),
    }


def _default(policy: Any) -> str:
    found = next(each for each in policy.versions if each.version_id == policy.default_version_id)
    return _plain(found.document)


def _plain(text: Any) -> str:
    return _sorted(text) if isinstance(text, str) else json.dumps(text, sort_keys=True)


@cache
def _sorted(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def _center() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for instance in state.instances:
        store = instance.store
        found["people"] = {
            each.id: json.dumps(each.attributes, sort_keys=True) for each in store.users.values()
        }
        found["groups"] = {
            each.id: json.dumps(each.attributes, sort_keys=True) for each in store.groups.values()
        }
        found["memberships"] = {
            f"{each.group_id} {each.user_id}": "member" for each in store.memberships.values()
        }
        found["sets"] = {each.arn: _set(each) for each in instance.permission_sets.values()}
        found["assignments"] = {
            f"{each.account_id} {each.permission_set_arn} {each.principal_type} {each.principal_id}": "assigned"
            for each in instance.assignments
        }
    return found


def _set(found: Any) -> dict[str, Any]:
    return {
        "name": found.name,
        "managed": dict.fromkeys(found.managed_policies, "attached"),
        "customer": dict.fromkeys(found.customer_policies, "attached"),
        "inline": found.inline_policy,
        "boundary": json.dumps(found.boundary, sort_keys=True),
        "duration": found.session_duration,
        "tags": dict(found.tags),
    }


def difference(before: Any, after: Any) -> Any:
    """What must be laid over ``before`` to give ``after``; None where they are equal. GONE: what is missing there."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return None if before == after else after
    found = {key: difference(before.get(key, GONE), after.get(key, GONE)) for key in {*before, *after}}
    return {key: each for key, each in found.items() if each is not None} or None


def laid_over(facts: Any, changes: Any) -> Any:
    """``facts`` with ``changes``, a difference between two others."""
    if changes is None:
        return facts
    if not isinstance(changes, Mapping):
        return changes
    base = facts if isinstance(facts, Mapping) else {}
    merged = {**base, **{key: laid_over(base.get(key), each) for key, each in changes.items()}}
    return {key: each for key, each in merged.items() if each != GONE}
