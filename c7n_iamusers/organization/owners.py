# SPDX-License-Identifier: Apache-2.0
"""Who owns an account: the valid address of the first source that has one, and the faults of the others. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.text.addresses import foreign_domain, is_address
from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers.text.wording import quoted

_ACTIVE = "ACTIVE"
ACCOUNTS, TAG, CONTACT, ORGANIZATION = "accounts", "tag", "alternate-contact", "organization"
#: AlternateContactType of GetAlternateContact.
CONTACTS = ("SECURITY", "OPERATIONS", "BILLING")
#: The variable of accounts.yml that policies use as {owner}.
OWNER = "owner"


@dataclass(frozen=True)
class OwnerSource:
    """Where an owner comes from. ``key``: of a tag, or the kind of an alternate contact."""

    kind: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}" if self.key else self.kind

    @property
    def is_checked(self) -> bool:
        """Whether its addresses must be in the allowed domains: somebody in the account may have written them."""
        return self.kind in (TAG, CONTACT)


DEFAULT_SOURCES = (
    OwnerSource(ACCOUNTS),
    OwnerSource(TAG, "Owner"),
    OwnerSource(CONTACT, "SECURITY"),
    OwnerSource(ORGANIZATION),
)


def parse_source(text: str) -> OwnerSource:
    """The source that ``text`` names. Raises ValueError for any other text."""
    kind, colon, key = text.partition(":")
    if (kind in (ACCOUNTS, ORGANIZATION) and not colon) or (kind == TAG and key):
        return OwnerSource(kind, key)
    if kind == CONTACT and key in CONTACTS:
        return OwnerSource(kind, key)
    known = f"{ACCOUNTS}, {TAG}:KEY, {CONTACT}:{'|'.join(CONTACTS)}, {ORGANIZATION}"
    raise ValueError(f"{quoted(text)} is no source of owners; it is one of {known}")


@dataclass(frozen=True)
class Account:
    """An account, of the organization or of the accounts file."""

    account_id: str
    name: str

    def __str__(self) -> str:
        return f"account {self.account_id} ({self.name})"


@dataclass(frozen=True)
class Member:
    """An account of the organization. ``email``: of its root user. ``state``: ACTIVE, SUSPENDED and others."""

    account: Account
    email: str
    state: str

    @property
    def is_active(self) -> bool:
        return self.state == _ACTIVE


@dataclass(frozen=True)
class Owner:
    """``address``: empty where nobody was found; then ``problem`` says why. ``refused``: addresses, in sentences."""

    account: Account
    address: str = ""
    source: OwnerSource | None = None
    problem: str = ""
    refused: tuple[str, ...] = ()


#: What a source says of an account; empty for nothing. Raises EvidenceUnreadable.
LookUp = Callable[[Account, OwnerSource], str]


def owner_of(
    account: Account, sources: Sequence[OwnerSource], look_up: LookUp, domains: Iterable[str]
) -> Owner:
    """The owner by the first of ``sources`` that gives a valid address.

    An unreadable source ends the search: it may have an address, which would precede the next source's.
    """
    refused: list[str] = []
    domains = tuple(domains)
    for source in sources:
        try:
            found = look_up(account, source)
        except EvidenceUnreadable as error:
            return Owner(account, problem=f"{source} can't be read: {error}", refused=tuple(refused))
        if not found:
            continue
        if fault := address_fault(found, domains if source.is_checked else ()):
            refused.append(f"{account}: {source} is not taken: {fault}")
            continue
        return Owner(account, found, source, refused=tuple(refused))
    tried = ", ".join(map(str, sources))
    problem = f"no owner's address in {tried}: write vars: {{owner: ADDRESS}} for it in the accounts file"
    return Owner(account, problem=problem, refused=tuple(refused))


def address_fault(text: object, domains: Iterable[str] = ()) -> str:
    """Why ``text`` can't be an owner's address; empty if it can. ``domains``: the allowed ones; none for any."""
    if not isinstance(text, str) or not is_address(text):
        return f"{quoted(text)} is not one e-mail address"
    allowed = tuple(domains)
    if domain := foreign_domain(text, allowed):
        return f"{quoted(text)} is of domain {domain}, which is none of {', '.join(allowed)} (--email-domain)"
    return ""


@dataclass(frozen=True)
class AccountsFile:
    """c7n-org's accounts file. ``owners``: account id -> what its entries say, each once."""

    accounts: tuple[Account, ...]
    owners: Mapping[str, tuple[Any, ...]]

    def owner(self, account_id: str) -> str:
        """``vars.owner`` of an account; empty where there is none. Raises EvidenceUnreadable for several."""
        found = self.owners.get(account_id, ())
        if len(found) > 1:
            raise EvidenceUnreadable(f"its entries have the owners {', '.join(map(str, found))}: keep one")
        return str(found[0]) if found else ""


def accounts_file(data: Any) -> AccountsFile:
    """The content of the accounts file, with variables that all accounts share. Raises ValueError for another file."""
    if not isinstance(data, Mapping) or not isinstance(data.get("accounts"), list):
        raise ValueError("it has no list named accounts")
    shared = (data.get("vars") or {}).get(OWNER)
    accounts: dict[str, Account] = {}
    owners: dict[str, tuple[Any, ...]] = {}
    for number, each in enumerate(data["accounts"], 1):
        account_id = each.get("account_id") if isinstance(each, Mapping) else None
        if not is_account_id(account_id):
            raise ValueError(
                f"entry {number} of accounts has no account_id of 12 digits in quotes, such as '111122223333'"
            )
        accounts.setdefault(account_id, Account(account_id, str(each.get("name") or account_id)))
        said = (each.get("vars") or {}).get(OWNER, shared)
        known = owners.get(account_id, ())
        owners[account_id] = known if said in (None, "", *known) else (*known, said)
    return AccountsFile(tuple(accounts.values()), owners)
