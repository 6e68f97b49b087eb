# SPDX-License-Identifier: Apache-2.0
"""What takes a user's place. Pure.

Sources: "Security best practices in IAM", "Use cases for IAM users" and "IAM Roles Anywhere" (AWS documentation).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from c7n_iamusers.decisions.hints import is_ci, is_vendor
from c7n_iamusers.model.attachments import ACCESS_KEY, SERVICE_SPECIFIC_CREDENTIAL, SSH_PUBLIC_KEY
from c7n_iamusers.model.evidence import Credential
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.verdict import BEDROCK_API_KEY, HUMAN, MACHINE, MIXED

IDENTITY_CENTER = "identity-center"
ROLE = "role"
OIDC_ROLE = "oidc-role"
CROSS_ACCOUNT_ROLE = "cross-account-role"
ROLES_ANYWHERE = "roles-anywhere"
SHORT_TERM_KEY = "short-term-key"
EXEMPT = "exempt"

#: Replacement -> what it is, in the words that reasons use.
REPLACEMENTS = {
    IDENTITY_CENTER: "a user of IAM Identity Center",
    ROLE: "the role of the AWS compute service that it runs on",
    OIDC_ROLE: "a role that the pipeline's OIDC tokens may assume",
    CROSS_ACCOUNT_ROLE: "a role for the vendor's account, with an external id",
    ROLES_ANYWHERE: "a role through IAM Roles Anywhere, where it runs outside AWS",
    SHORT_TERM_KEY: "a role, or a short-term Bedrock API key",
    EXEMPT: "an exemption with an expiry: its credentials have no replacement yet",
}
#: Services whose own credentials no role replaces for every client.
WITHOUT_REPLACEMENT = frozenset({"codecommit.amazonaws.com", "cassandra.amazonaws.com"})
BEDROCK = "bedrock.amazonaws.com"


def replacements(user: IamUser, kind: str, held: Iterable[Credential]) -> tuple[str, ...]:
    """What fits a user of ``kind`` with the credentials ``held``, the best first; nothing where it just goes."""
    return tuple(dict.fromkeys(_fitting(user, kind, tuple(held))))


def _fitting(user: IamUser, kind: str, held: tuple[Credential, ...]) -> Iterator[str]:
    if kind == BEDROCK_API_KEY:
        yield SHORT_TERM_KEY
        return
    if kind in (HUMAN, MIXED):
        yield IDENTITY_CENTER
    if kind in (MACHINE, MIXED) and _runs_by_key(held):
        yield from _for_programs(user)
    if kind in (MACHINE, MIXED) and any(_is_bedrock(each) for each in held):
        yield SHORT_TERM_KEY
    if any(_is_irreplaceable(each) for each in held):
        yield EXEMPT


def _runs_by_key(held: tuple[Credential, ...]) -> bool:
    return any(each.kind == ACCESS_KEY.name for each in held)


def _for_programs(user: IamUser) -> tuple[str, ...]:
    if is_vendor(user):
        return (CROSS_ACCOUNT_ROLE,)
    if is_ci(user):
        return (OIDC_ROLE, ROLE)
    return (ROLE, ROLES_ANYWHERE)


def _is_bedrock(credential: Credential) -> bool:
    return credential.kind == SERVICE_SPECIFIC_CREDENTIAL.name and credential.service == BEDROCK


def _is_irreplaceable(credential: Credential) -> bool:
    return credential.kind == SSH_PUBLIC_KEY.name or (
        credential.kind == SERVICE_SPECIFIC_CREDENTIAL.name and credential.service in WITHOUT_REPLACEMENT
    )
