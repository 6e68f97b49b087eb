# SPDX-License-Identifier: Apache-2.0
"""Users of every kind: people, machines, users that AWS makes for one service, and one with every attachment.

People's users are in use, left behind, never used, without an e-mail address, or have awkward names. Machines are
pipelines, services and vendors. A small account gets one user of each kind; the frequency of the others follows real
accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from aws_local_org.seeding.draft import Draft, Person, ascii_of
from aws_local_org.seeding.permissions import (
    BOUNDED_PERMISSIONS,
    DEVELOPER_BOUNDARY,
    HUMAN_PERMISSIONS,
    MACHINE_PERMISSIONS,
    OWN_SANDBOX,
    SELF_MANAGE,
    UPLOADER,
    VENDOR_PERMISSIONS,
    Permissions,
)
from aws_local_org.seeding.records import AccessKey, MfaDevice, Password, PublicKey, ServiceCredential, User

# People.

PATHS = ("/engineering/", "/finance/emea/", "/contractors/")


def _user_name(draft: Draft, person: Person) -> str:
    initial = ascii_of(person.given)[0] + ascii_of(person.family)
    styles = (person.handle, person.handle, person.handle, initial, person.email, person.handle.title())
    return draft.name(draft.rng.choice(styles))


def human(
    draft: Draft,
    name: str,
    tags: dict[str, str],
    password: Password | None,
    keys: tuple[AccessKey, ...] = (),
    mfa: tuple[MfaDevice, ...] = (),
    path: str = "/",
    created: datetime | None = None,
    boundary: str | None = None,
    choice: Sequence[Permissions] = HUMAN_PERMISSIONS,
) -> User:
    """A user with one of the permission combinations of ``choice``, by default those that people have."""
    granted = draft.permissions(choice)
    return User(
        name,
        draft.ids.user(),
        created or draft.ago(900, 2400),
        path,
        tags,
        password,
        keys,
        mfa_devices=mfa,
        inline=granted.inline,
        policies=draft.arns(granted.policies),
        groups=granted.groups,
        boundary=boundary,
    )


def _in_use(
    draft: Draft,
    name: str,
    tags: dict[str, str],
    path: str = "/",
    boundary: str | None = None,
    choice: Sequence[Permissions] = HUMAN_PERMISSIONS,
) -> User:
    password = Password(draft.ago(20, 89), draft.ago(0, 20))
    keys = (draft.access_key(draft.ago(30, 800), draft.ago(0, 14)),) if draft.chance(0.4) else ()
    mfa = (draft.virtual_mfa(name, draft.ago(90, 800)),) if draft.chance(0.85) else ()
    return human(draft, name, tags, password, keys, mfa, path, boundary=boundary, choice=choice)


def active_human(draft: Draft) -> User:
    """Signs in every other day; most have MFA, some a key."""
    person = draft.person()
    return _in_use(draft, _user_name(draft, person), person.tags)


def human_under_path(draft: Draft) -> User:
    """In use, with a path other than /."""
    person = draft.person()
    return _in_use(draft, _user_name(draft, person), person.tags, draft.rng.choice(PATHS))


def bounded_human(draft: Draft) -> User:
    """Limited by a permissions boundary, without which it would have more permissions."""
    person = draft.person()
    (boundary,) = draft.arns([DEVELOPER_BOUNDARY])
    return _in_use(
        draft, _user_name(draft, person), person.tags, boundary=boundary, choice=(BOUNDED_PERMISSIONS,)
    )


def awkwardly_named(draft: Draft) -> User:
    """Every character that IAM allows in a name, and an owner whose address has a plus sign."""
    person = draft.person()
    name = draft.name(f"{person.handle.split('.')[0]}+aws=ops,{person.handle.split('.')[1]}-x@example.com")
    return _in_use(draft, name, {**person.tags, "Email": person.email.replace("@", "+aws@")})


def human_without_email(draft: Draft) -> User:
    """Without an e-mail address: no notice and no Identity Center person until its owner is known."""
    person = draft.person()
    return _in_use(draft, _user_name(draft, person), {"Department": person.department})


def stale_human(draft: Draft) -> User:
    """Has not signed in for months, and has an old key, which is often inactive."""
    person = draft.person()
    name = _user_name(draft, person)
    password = Password(draft.ago(700, 900), draft.ago(120, 700))
    key = draft.access_key(draft.ago(700, 900), draft.ago(200, 700), active=draft.chance(0.7))
    mfa = (draft.virtual_mfa(name, draft.ago(700, 900)),) if draft.chance(0.3) else ()
    return human(draft, name, person.tags, password, (key,), mfa)


def never_used_human(draft: Draft) -> User:
    """Created with a password, and sometimes a key, that nobody ever used."""
    person = draft.person()
    created = draft.ago(100, 900)
    keys = (draft.access_key(created),) if draft.chance(0.5) else ()
    return human(draft, _user_name(draft, person), person.tags, Password(created), keys, created=created)


def admin(draft: Draft) -> User:
    """An administrator by group membership only."""
    person = draft.person()
    name = _user_name(draft, person)
    return User(
        name,
        draft.ids.user(),
        draft.ago(900, 2400),
        tags=person.tags,
        password=Password(draft.ago(10, 60), draft.ago(0, 3)),
        access_keys=(draft.access_key(draft.ago(200, 800), draft.ago(0, 10)),),
        mfa_devices=(draft.virtual_mfa(name, draft.ago(200, 800)), draft.fido_key(name, draft.ago(10, 200))),
        policies=draft.arns([SELF_MANAGE]),
        groups=("Admins", "Everyone"),
    )


# Machines.

PIPELINES = (
    "checkout",
    "ledger",
    "search",
    "mobile-app",
    "website",
    "terraform",
    "data-platform",
    "identity",
)
SERVICES = ("billing-export", "image-resizer", "mailer", "backup", "reporting", "invoice-sync", "sftp-bridge")
VENDORS = ("monitoring", "siem", "cost-optimizer", "etl-loader", "code-scanner", "backup-saas")
TEAMS = ("payments", "growth", "core", "insights", "sre")


def _machine(
    draft: Draft,
    name: str,
    granted: Permissions,
    keys: tuple[AccessKey, ...] = (),
    path: str = "/",
    certificates: tuple[PublicKey, ...] = (),
    ssh_keys: tuple[PublicKey, ...] = (),
    service_credentials: tuple[ServiceCredential, ...] = (),
    created: datetime | None = None,
) -> User:
    return User(
        draft.name(name),
        draft.ids.user(),
        created or draft.ago(900, 2400),
        path,
        _owner_tags(draft),
        access_keys=keys,
        certificates=certificates,
        ssh_keys=ssh_keys,
        service_credentials=service_credentials,
        inline=granted.inline,
        policies=draft.arns(granted.policies),
        groups=granted.groups,
    )


def _owner_tags(draft: Draft) -> dict[str, str]:
    """Half of the machines have an owner tag."""
    if draft.chance(0.5):
        return {}
    team = draft.rng.choice(TEAMS)
    return {
        "Team": team,
        "Owner": f"{team}-team@example.com",
        "Environment": draft.rng.choice(("prod", "dev")),
    }


def pipeline(draft: Draft) -> User:
    """A CI user; deploys several times a day."""
    name = f"ci-{draft.rng.choice(PIPELINES)}"
    key = draft.access_key(draft.ago(100, 900), draft.ago(0, 2))
    return _machine(draft, name, draft.permissions(MACHINE_PERMISSIONS), (key,), "/machines/")


def service(draft: Draft) -> User:
    """A workload outside AWS; some are in the middle of a rotation and have two keys."""
    keys = [draft.access_key(draft.ago(300, 900), draft.ago(0, 1), ("s3", "us-east-1"))]
    if draft.chance(0.25):
        keys.append(draft.access_key(draft.ago(2, 30), None))
    name = f"svc-{draft.rng.choice(SERVICES)}"
    return _machine(draft, name, draft.permissions(MACHINE_PERMISSIONS), tuple(keys))


def stale_machine(draft: Draft) -> User:
    """A machine that was switched off; its key still works."""
    name = f"svc-{draft.rng.choice(SERVICES)}-old"
    key = draft.access_key(draft.ago(800, 900), draft.ago(200, 700))
    certificates = draft.certificates(1, draft.ago(800, 900)) if draft.chance(0.3) else ()
    return _machine(draft, name, draft.permissions(MACHINE_PERMISSIONS), (key,), certificates=certificates)


def vendor(draft: Draft) -> User:
    """A vendor that was given a key years ago instead of a role."""
    name = f"{draft.rng.choice(VENDORS)}-integration"
    key = draft.access_key(draft.ago(400, 900), draft.ago(0, 3))
    return _machine(draft, name, draft.permissions(VENDOR_PERMISSIONS), (key,), "/vendors/")


def bedrock_api_key(draft: Draft) -> User:
    """What the Bedrock console creates for a long-term API key (Amazon Bedrock User Guide, "API keys")."""
    created = draft.ago(5, 300)
    suffix = "".join(draft.rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=4))
    return _machine(
        draft,
        f"BedrockAPIKey-{suffix}",
        Permissions(1, policies=("AmazonBedrockLimitedAccess",)),
        service_credentials=(
            draft.service_credential("bedrock", created, days=draft.rng.choice((30, 90, None))),
        ),
        created=created,
    )


def git_user(draft: Draft) -> User:
    """Pushes to CodeCommit with an SSH key and git credentials."""
    return _machine(
        draft,
        f"git-{draft.rng.choice(PIPELINES)}",
        Permissions(1, policies=("AWSCodeCommitPowerUser",)),
        ssh_keys=(draft.ssh_key(draft.ago(100, 900)),),
        service_credentials=(draft.service_credential("codecommit", draft.ago(100, 900)),),
    )


def cassandra_user(draft: Draft) -> User:
    """A Cassandra client of Amazon Keyspaces with a generated user name and password."""
    return _machine(
        draft,
        f"cassandra-{draft.rng.choice(SERVICES)}",
        Permissions(1, policies=("AmazonKeyspacesReadOnlyAccess",)),
        service_credentials=(draft.service_credential("cassandra", draft.ago(100, 900)),),
    )


# Exceptions.


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
    """The documented exception, for the day that Identity Center is down. It has a hardware token."""
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
    """``weight`` is the share, in percent, among the users beyond the first of each kind."""

    kind: str
    invent: Callable[[Draft], User]
    weight: int = 0


#: In the order for a small account.
ARCHETYPES: tuple[Archetype, ...] = (
    Archetype("every-attachment", omnibus),
    Archetype("break-glass", break_glass),
    Archetype("admin", admin, 1),
    Archetype("active-human", active_human, 38),
    Archetype("pipeline", pipeline, 11),
    Archetype("never-used-human", never_used_human, 7),
    Archetype("bedrock-api-key", bedrock_api_key, 2),
    Archetype("awkward-name", awkwardly_named, 1),
    Archetype("human-without-email", human_without_email, 2),
    Archetype("service", service, 12),
    Archetype("stale-human", stale_human, 11),
    Archetype("stale-machine", stale_machine, 5),
    Archetype("vendor", vendor, 3),
    Archetype("human-under-path", human_under_path, 3),
    Archetype("bounded-human", bounded_human, 1),
    Archetype("codecommit", git_user, 2),
    Archetype("keyspaces", cassandra_user, 1),
)


def drawn_archetypes(draft: Draft, count: int) -> Iterator[Archetype]:
    """``count`` archetypes: the first of each, then by weight."""
    yield from ARCHETYPES[:count]
    weights = [archetype.weight for archetype in ARCHETYPES]
    yield from draft.rng.choices(ARCHETYPES, weights=weights, k=max(0, count - len(ARCHETYPES)))
