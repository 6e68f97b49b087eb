# SPDX-License-Identifier: Apache-2.0
"""Users of machines: pipelines, services, vendors, and users that AWS made for one service."""

from __future__ import annotations

from datetime import datetime

from aws_local_org.seeding.draft import Draft
from aws_local_org.seeding.permissions import MACHINE_PERMISSIONS, VENDOR_PERMISSIONS, Permissions
from aws_local_org.seeding.records import AccessKey, PublicKey, ServiceCredential, User

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


def stale(draft: Draft) -> User:
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
    """What the Bedrock console makes for a long-term API key (Amazon Bedrock User Guide, "API keys")."""
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
