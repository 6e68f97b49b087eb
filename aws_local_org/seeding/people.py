# SPDX-License-Identifier: Apache-2.0
"""The people of the organization: the same person, known by one e-mail address, may have users in several accounts."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

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
    """An endless, reproducible supply of different people; the first of them have users in several accounts."""

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

    def strangers(self) -> Iterator[Person]:
        """People who have no user yet."""
        while True:
            yield self._new()
