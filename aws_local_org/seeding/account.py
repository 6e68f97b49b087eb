# SPDX-License-Identifier: Apache-2.0
"""The whole IAM of one seeded account: users, and the groups, policies and roles around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aws_local_org.seeding import policy_documents as documents
from aws_local_org.seeding.archetypes import sorts_of_users
from aws_local_org.seeding.draft import Draft
from aws_local_org.seeding.permissions import CUSTOMER_POLICIES, DEVELOPER_ACCESS, GROUPS
from aws_local_org.seeding.records import (
    AccountContents,
    Group,
    ManagedPolicy,
    PolicyVersion,
    Role,
    User,
)

# One project policy for so many users, one squad, one forgotten MFA device: so that big accounts need pages for all.
USERS_PER_PROJECT, USERS_PER_SQUAD, USERS_PER_ORPHAN = 5, 8, 12
MOST_SQUADS = 280  # IAM's quota of groups in an account is 300


def invent_account(draft: Draft, users: int, variant: int) -> tuple[AccountContents, dict[str, int]]:
    """An account with ``users`` users, and how many there are of each kind.

    ``variant`` picks the document of the customer-managed policy that goes by one name in every account.
    """
    kinds: Counter[str] = Counter()
    invented = []
    for archetype in sorts_of_users(draft, users):
        kinds[archetype.kind] += 1
        invented.append(archetype.invent(draft))
    contents = AccountContents(
        users=tuple(invented),
        groups=_groups(draft, users),
        roles=_roles(draft, invented),
        policies=_policies(draft, users, variant),
        orphaned_mfa=tuple(f"former-{draft.person().handle}" for _ in range(1 + users // USERS_PER_ORPHAN)),
    )
    return contents, dict(sorted(kinds.items()))


def _groups(draft: Draft, users: int) -> tuple[Group, ...]:
    functional = [
        Group(
            name, draft.ids.group(), draft.ago(2400, 2500), "/", granted.inline, draft.arns(granted.policies)
        )
        for name, granted in GROUPS.items()
    ]
    squads = [
        Group(f"squad-{number:03}", draft.ids.group(), draft.ago(300, 2000), "/squads/")
        for number in range(1, 1 + min(users // USERS_PER_SQUAD, MOST_SQUADS))
    ]
    return (*functional, *squads)


def _policies(draft: Draft, users: int, variant: int) -> tuple[ManagedPolicy, ...]:
    developer = documents.DEVELOPER_ACCESS[variant % len(documents.DEVELOPER_ACCESS)]
    projects = {
        f"projects/Project{number:03}": documents.PROJECT
        for number in range(1, 1 + users // USERS_PER_PROJECT)
    }
    wanted = {DEVELOPER_ACCESS: developer, **CUSTOMER_POLICIES, **projects}
    return tuple(_policy(draft, name, text) for name, text in wanted.items())


def _policy(draft: Draft, path_and_name: str, document: str) -> ManagedPolicy:
    path, _, name = f"/{path_and_name}".rpartition("/")
    created = draft.ago(2400, 2500)
    version = PolicyVersion("v1", document, created)
    return ManagedPolicy(name, draft.ids.policy(), created, "v1", (version,), f"{path}/")


def _roles(draft: Draft, users: Sequence[User]) -> tuple[Role, ...]:
    """Roles as every account has them; where a pipeline exists, a role trusts it by its user's ARN."""
    lambda_trust = documents.trust({"Service": "lambda.amazonaws.com"})
    roles = [_role(draft, "lambda-basic", lambda_trust, ("AWSLambda_FullAccess",), path="/service/")]
    pipelines = [user for user in users if user.path == "/machines/"]
    for pipeline in pipelines[:1]:
        arn = f"arn:aws:iam::{draft.account_id}:user{pipeline.path}{pipeline.name}"
        roles.append(_role(draft, "deploy", documents.trust({"AWS": arn}), ("PowerUserAccess",)))
    return tuple(roles)


def _role(draft: Draft, name: str, trust: str, policies: tuple[str, ...], path: str = "/") -> Role:
    return Role(name, draft.ids.role(), draft.ago(900, 2000), trust, path, policies=draft.arns(policies))
