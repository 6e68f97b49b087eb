# SPDX-License-Identifier: Apache-2.0
"""Random people, ids, dates, names and credentials for the users of one account.

The same person, known by one e-mail address, may have users in several accounts. Ids look like AWS's (IAM User Guide,
"Understanding unique ID prefixes"), and a seed number reproduces them.
"""

from __future__ import annotations

import base64
import random
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS
from aws_local_org.seeding.permissions import Permissions, policy_arn
from aws_local_org.seeding.records import AccessKey, LastUse, MfaDevice, PublicKey, ServiceCredential

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
# Ids contain their account: base32 of half the account id above this offset, then one character whose half of the
# alphabet says odd or even. STS GetAccessKeyInfo uses it.
_ACCOUNT_OFFSET = 549755813888


class Identifiers:
    """Draws the ids of one account."""

    def __init__(self, account_id: str, rng: random.Random) -> None:
        self._rng = rng
        number = int(account_id)
        packed = (number // 2 + _ACCOUNT_OFFSET).to_bytes(5, "big")
        self._account_part = base64.b32encode(packed).decode()
        self._parity = ALPHABET[16:] if number % 2 else ALPHABET[:16]

    def user(self) -> str:
        return self._of_account("AIDA", 21)

    def group(self) -> str:
        return self._of_account("AGPA", 21)

    def role(self) -> str:
        return self._of_account("AROA", 21)

    def policy(self) -> str:
        return self._of_account("ANPA", 21)

    def access_key(self) -> str:
        return self._of_account("AKIA", 20)

    def ssh_key(self) -> str:
        return self._of_account("APKA", 20)

    def service_credential(self) -> str:
        return self._of_account("ACCA", 21)

    def certificate(self) -> str:
        return self._letters(32)

    def hardware_serial(self) -> str:
        return "GAHT" + "".join(self._rng.choices("0123456789", k=8))

    def _of_account(self, prefix: str, length: int) -> str:
        start = prefix + self._account_part + self._rng.choice(self._parity)
        return start + self._letters(length - len(start))

    def _letters(self, count: int) -> str:
        return "".join(self._rng.choices(ALPHABET, k=count))


GIVEN_NAMES = (
    "Aisha Alejandro Amara Anders Anna Ayumi Beatriz Bjorn Camille Carlos Chen Chiara Dana Daniel Dimitri "
    "Elena Emeka Emma Fatima Felix Grace Hana Hassan Hugo Ingrid Ivan Jamal Jana Jonas José Julia Jürgen "
    "Kavya Kofi Laila Leila Liam Lucía Mateo Maria Mehmet Mina Naomi Nikhil Noah Olga Omar Priya Rafael "
    "Renée Rosa Samuel Sanjay Sofia Tariq Tomas Uma Victor Wei Yara Yusuf Zoë"
).split()
FAMILY_NAMES = (
    "Abebe Adeyemi Almeida Andersson Bauer Becker Bianchi Castillo Chatterjee Cohen Costa Dubois Eriksen "
    "Fernández Fischer Garcia Gupta Haddad Hansen Hoffmann Ibrahim Ito Ivanova Jensen Johnson Kaya Khan Kim "
    "Kovacs Larsson Lefèvre Lopez Mensah Moreau Müller Mwangi Nakamura Ndiaye Nguyen Novak Núñez Okafor Patel "
    "Petrov Quinn Rahman Rossi Sato Schmidt Silva Singh Suzuki Tanaka Torres Vega Wagner Watanabe Weber Yilmaz Zhang"
).split()
DEPARTMENTS = ("Engineering", "Data", "Finance", "Security", "Support", "Operations", "Product")
DOMAINS = ("example.com", "example.com", "example.com", "example.org")


@dataclass(frozen=True)
class Person:
    """One human being; ``handle`` is the ASCII part before the @ of ``email``."""

    given: str
    family: str
    handle: str
    email: str
    department: str

    @property
    def tags(self) -> dict[str, str]:
        return {
            "Email": self.email,
            "GivenName": self.given,
            "FamilyName": self.family,
            "Department": self.department,
        }


def ascii_of(name: str) -> str:
    """``Núñez`` -> ``nunez``."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()


class People:
    """An endless, reproducible supply of different people. The first ones have users in several accounts."""

    def __init__(self, rng: random.Random, shared: int) -> None:
        self._rng = rng
        self._handles: set[str] = set()
        self.shared = tuple(self._new() for _ in range(shared))

    def _new(self) -> Person:
        given, family = self._rng.choice(GIVEN_NAMES), self._rng.choice(FAMILY_NAMES)
        handle = self._free(f"{ascii_of(given)}.{ascii_of(family)}")
        email = f"{handle}@{self._rng.choice(DOMAINS)}"
        return Person(given, family, handle, email, self._rng.choice(DEPARTMENTS))

    def _free(self, handle: str) -> str:
        number, candidate = 1, handle
        while candidate in self._handles:
            number += 1
            candidate = f"{handle}{number}"
        self._handles.add(candidate)
        return candidate

    def others(self) -> Iterator[Person]:
        """People who have no user yet."""
        while True:
            yield self._new()


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
    """Draws the parts of one account's users. Every draw comes from ``rng``, so a seed repeats it."""

    def __init__(self, account_id: str, rng: random.Random, now: datetime, people: Iterator[Person]) -> None:
        self.account_id, self.rng, self.now, self._people = account_id, rng, now, people
        self.ids = Identifiers(account_id, rng)
        self._taken: set[str] = set()
        # AWS takes a certificate only once in an account (UploadSigningCertificate: DuplicateCertificate).
        self._certificates = iter(CERTIFICATES)

    def name(self, wanted: str) -> str:
        """``wanted``, with a number where an earlier user has it. IAM's names must differ by more than case."""
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
        """``days``: the CredentialAgeDays of CreateServiceSpecificCredential, for API keys; None: it never expires."""
        expires = created + timedelta(days=days) if days else None
        credential_id = self.ids.service_credential()
        return ServiceCredential(credential_id, f"{service}.amazonaws.com", created, active, expires)
