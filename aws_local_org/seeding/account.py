# SPDX-License-Identifier: Apache-2.0
"""The IAM content of one seeded account: users of every kind, with their groups, policies and roles.

It has one user of each kind first; the frequency of the others follows real accounts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aws_local_org.seeding import humans, machines
from aws_local_org.seeding.draft import Draft
from aws_local_org.seeding.permissions import (
    CUSTOMER_POLICIES,
    DEVELOPER_ACCESS,
    DEVELOPER_ACCESS_DOCUMENTS,
    DEVELOPER_BOUNDARY,
    GROUPS,
    OWN_SANDBOX,
    PROJECT,
    SELF_MANAGE,
    UPLOADER,
    trust,
)
from aws_local_org.seeding.records import (
    AccountContents,
    Group,
    ManagedPolicy,
    Password,
    PolicyVersion,
    Role,
    User,
)


def omnibus(draft: Draft) -> User:
    """A user with every kind of attachment at once, so that deleting it takes every kind of call."""
    person, created = draft.person(), draft.ago(1500, 2400)
    name = draft.name("legacy-omnibus")
    (boundary,) = draft.arns([DEVELOPER_BOUNDARY])
    return User(
        name,
        draft.ids.user(),
        created,
        tags={**person.tags, "Application": "omnibus", "Ticket": "OPS-1482"},
        password=Password(draft.ago(300, 900), draft.ago(30, 300)),
        access_keys=(
            draft.access_key(draft.ago(300, 900), draft.ago(0, 5)),
            draft.access_key(draft.ago(300, 900), draft.ago(200, 300), active=False),
        ),
        certificates=draft.certificates(2, draft.ago(300, 900)),
        ssh_keys=(draft.ssh_key(draft.ago(300, 900)), draft.ssh_key(draft.ago(300, 900), active=False)),
        service_credentials=(
            draft.service_credential("codecommit", draft.ago(300, 900)),
            draft.service_credential("cassandra", draft.ago(300, 900), active=False),
        ),
        mfa_devices=(
            draft.virtual_mfa(name, draft.ago(300, 900)),
            draft.fido_key(name, draft.ago(10, 300)),
            draft.hardware_token(draft.ago(300, 900)),
        ),
        inline={"Upload": UPLOADER, "Sandbox": OWN_SANDBOX},
        policies=draft.arns(["AmazonS3ReadOnlyAccess", "AmazonEC2ReadOnlyAccess", SELF_MANAGE]),
        groups=("Developers", "Everyone", "ReadOnly"),
        boundary=boundary,
    )


def break_glass(draft: Draft) -> User:
    """The documented exception: for the day that Identity Center is down, with a hardware token."""
    return User(
        draft.name("break-glass"),
        draft.ids.user(),
        draft.ago(900, 1500),
        "/emergency/",
        {"Purpose": "break-glass", "Owner": "security@example.com"},
        Password(draft.ago(100, 300), draft.ago(100, 300) if draft.chance(0.5) else None),
        mfa_devices=(draft.hardware_token(draft.ago(300, 900)),),
        policies=draft.arns(["AdministratorAccess"]),
    )


@dataclass(frozen=True)
class Archetype:
    """``weight`` is the share, in percent, among the users beyond the first of each sort."""

    kind: str
    invent: Callable[[Draft], User]
    weight: int = 0


#: In the order in which a small account gets them.
ARCHETYPES: tuple[Archetype, ...] = (
    Archetype("every-attachment", omnibus),
    Archetype("break-glass", break_glass),
    Archetype("admin", humans.admin, 1),
    Archetype("active-human", humans.active, 38),
    Archetype("pipeline", machines.pipeline, 11),
    Archetype("never-used-human", humans.never_used, 7),
    Archetype("bedrock-api-key", machines.bedrock_api_key, 2),
    Archetype("awkward-name", humans.awkwardly_named, 1),
    Archetype("human-without-email", humans.without_email, 2),
    Archetype("service", machines.service, 12),
    Archetype("stale-human", humans.stale, 11),
    Archetype("stale-machine", machines.stale, 5),
    Archetype("vendor", machines.vendor, 3),
    Archetype("human-under-path", humans.under_a_path, 3),
    Archetype("bounded-human", humans.bounded, 1),
    Archetype("codecommit", machines.git_user, 2),
    Archetype("keyspaces", machines.cassandra_user, 1),
)


def sorts_of_users(draft: Draft, count: int) -> Iterator[Archetype]:
    """``count`` archetypes: the first of each, then by weight."""
    yield from ARCHETYPES[:count]
    weights = [archetype.weight for archetype in ARCHETYPES]
    yield from draft.rng.choices(ARCHETYPES, weights=weights, k=max(0, count - len(ARCHETYPES)))


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
    developer = DEVELOPER_ACCESS_DOCUMENTS[variant % len(DEVELOPER_ACCESS_DOCUMENTS)]
    projects = {
        f"projects/Project{number:03}": PROJECT for number in range(1, 1 + users // USERS_PER_PROJECT)
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
    lambda_trust = trust({"Service": "lambda.amazonaws.com"})
    roles = [_role(draft, "lambda-basic", lambda_trust, ("AWSLambda_FullAccess",), path="/service/")]
    pipelines = [user for user in users if user.path == "/machines/"]
    for pipeline in pipelines[:1]:
        arn = f"arn:aws:iam::{draft.account_id}:user{pipeline.path}{pipeline.name}"
        roles.append(_role(draft, "deploy", trust({"AWS": arn}), ("PowerUserAccess",)))
    return tuple(roles)


def _role(draft: Draft, name: str, trusting: str, policies: tuple[str, ...], path: str = "/") -> Role:
    return Role(name, draft.ids.role(), draft.ago(900, 2000), trusting, path, policies=draft.arns(policies))
