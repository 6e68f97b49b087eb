# SPDX-License-Identifier: Apache-2.0
"""One account while it is being invented: its random source, calendar, ids and the names already taken."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from aws_local_org.seeding.identifiers import Identifiers
from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS
from aws_local_org.seeding.people import Person
from aws_local_org.seeding.permissions import Permissions, policy_arn
from aws_local_org.seeding.records import (
    AccessKey,
    LastUse,
    MfaDevice,
    PublicKey,
    ServiceCredential,
)

USES = (
    ("s3", "us-east-1"),
    ("s3", "eu-west-1"),
    ("ec2", "us-east-1"),
    ("sts", "us-east-1"),
    ("cloudformation", "us-west-2"),
    ("monitoring", "us-east-1"),
    ("dynamodb", "eu-central-1"),
)


class Draft:
    """Draws what the users of one account are made of; every draw comes from ``rng``, so a seed repeats it."""

    def __init__(self, account_id: str, rng: random.Random, now: datetime, people: Iterator[Person]) -> None:
        self.account_id, self.rng, self.now, self._people = account_id, rng, now, people
        self.ids = Identifiers(account_id, rng)
        self._taken: set[str] = set()
        # AWS takes a certificate only once in an account (UploadSigningCertificate: DuplicateCertificate).
        self._certificates = iter(CERTIFICATES)

    def name(self, wanted: str) -> str:
        """``wanted``, numbered where an earlier user has it: IAM names differ by more than case."""
        number, candidate = 1, wanted
        while candidate.lower() in self._taken:
            number += 1
            candidate = f"{wanted}{number}"
        self._taken.add(candidate.lower())
        return candidate

    def person(self) -> Person:
        return next(self._people)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def ago(self, least: int, most: int) -> datetime:
        """A moment between ``least`` and ``most`` days before now."""
        return self.now - timedelta(seconds=self.rng.randrange(least * 86400, most * 86400))

    def permissions(self, table: Sequence[Permissions]) -> Permissions:
        return self.rng.choices(table, weights=[row.weight for row in table])[0]

    def arns(self, policies: Sequence[str]) -> tuple[str, ...]:
        return tuple(policy_arn(self.account_id, policy) for policy in policies)

    def access_key(
        self,
        created: datetime,
        used: datetime | None = None,
        use: tuple[str, str] | None = None,
        active: bool = True,
    ) -> AccessKey:
        service, region = use or self.rng.choice(USES)
        last_use = LastUse(used, service, region) if used else None
        return AccessKey(self.ids.access_key(), created, active, last_use)

    def virtual_mfa(self, name: str, enabled: datetime) -> MfaDevice:
        return MfaDevice(f"arn:aws:iam::{self.account_id}:mfa/{name}", enabled)

    def fido_key(self, user_name: str, enabled: datetime) -> MfaDevice:
        serial = (
            f"arn:aws:iam::{self.account_id}:u2f/user/{user_name}/security-key-{self.ids.certificate()[:26]}"
        )
        return MfaDevice(serial, enabled)

    def hardware_token(self, enabled: datetime) -> MfaDevice:
        return MfaDevice(self.ids.hardware_serial(), enabled)

    def ssh_key(self, uploaded: datetime, active: bool = True) -> PublicKey:
        return PublicKey(self.ids.ssh_key(), self.rng.choice(SSH_PUBLIC_KEYS), uploaded, active)

    def certificates(self, count: int, uploaded: datetime) -> tuple[PublicKey, ...]:
        """Up to ``count``, as long as there are certificates that the account does not have yet."""
        bodies = [body for _, body in zip(range(count), self._certificates, strict=False)]
        return tuple(PublicKey(self.ids.certificate(), body, uploaded) for body in bodies)

    def service_credential(
        self, service: str, created: datetime, active: bool = True, days: int | None = None
    ) -> ServiceCredential:
        """``days``: how long an API key lives (CreateServiceSpecificCredential's CredentialAgeDays); None: for ever."""
        expires = created + timedelta(days=days) if days else None
        credential_id = self.ids.service_credential()
        return ServiceCredential(credential_id, f"{service}.amazonaws.com", created, active, expires)
