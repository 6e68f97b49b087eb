# SPDX-License-Identifier: Apache-2.0
"""What is known of one account beside its users, read in bulk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.evidence.credential_report import CredentialReport
from c7n_iamusers.evidence.model import Source
from c7n_iamusers.iam.user import Item

#: The pieces that evidence is made of, as ``sources`` names them.
USER = "user"
ACCOUNT = "account"
VIRTUAL_MFA = "virtual-mfa-devices"
SSH_PUBLIC_KEYS = "ssh-public-keys"
CREATION = "creation"


@dataclass(frozen=True)
class Inventory:
    """Groups by name and roles as botocore's ``GroupDetail`` and ``RoleDetail``; ``policies``: ARN -> document.

    ``virtual_mfa``: the account's ``VirtualMFADevice``s. ``service_credentials``: its
    ``ServiceSpecificCredentialMetadata``. ``creators``: unique id -> ARN of who created the user lately.
    None is what was not, or could not be read; ``sources`` says of each piece when it was, or why not.
    """

    groups: Mapping[str, Item] | None = None
    roles: tuple[Item, ...] | None = None
    policies: Mapping[str, Any] = field(default_factory=dict)
    report: CredentialReport | None = None
    virtual_mfa: tuple[Item, ...] | None = None
    service_credentials: tuple[Item, ...] | None = None
    creators: Mapping[str, str] | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)
