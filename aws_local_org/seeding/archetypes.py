# SPDX-License-Identifier: Apache-2.0
"""The sorts of users an account has: one of each first, the rest by how common they are in real accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aws_local_org.seeding import humans, machines
from aws_local_org.seeding import policy_documents as documents
from aws_local_org.seeding.draft import Draft
from aws_local_org.seeding.permissions import DEVELOPER_BOUNDARY, SELF_MANAGE
from aws_local_org.seeding.records import Password, User


def omnibus(draft: Draft) -> User:
    """Everything that can hang off a user, at once: whatever deletes it has forgotten nothing."""
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
        inline={"Upload": documents.UPLOADER, "Sandbox": documents.OWN_SANDBOX},
        policies=draft.arns(["AmazonS3ReadOnlyAccess", "AmazonEC2ReadOnlyAccess", SELF_MANAGE]),
        groups=("Developers", "Everyone", "ReadOnly"),
        boundary=boundary,
    )


def break_glass(draft: Draft) -> User:
    """The documented exception: for the day that Identity Center is down, locked away behind a hardware token."""
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
