# SPDX-License-Identifier: Apache-2.0
"""What takes a user's place. Pure.

Sources, all AWS documentation: "Security best practices in IAM", "Use cases for IAM users", "IAM Roles Anywhere",
"API keys for AWS services", "Connecting to AWS CodeCommit repositories with git-remote-codecommit", "Creating
credentials for programmatic access to Amazon Keyspaces", "Obtaining Amazon SES SMTP credentials".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from c7n_iamusers.decisions.hints import is_ci, is_smtp, is_vendor
from c7n_iamusers.model.attachment_rows import PERSON
from c7n_iamusers.model.attachments import CREDENTIAL_TRAITS
from c7n_iamusers.model.evidence import Credential
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.verdict import BEDROCK_API_KEY, HUMAN, MACHINE, MIXED

IDENTITY_CENTER = "identity-center"
ROLE = "role"
OIDC_ROLE = "oidc-role"
CROSS_ACCOUNT_ROLE = "cross-account-role"
ROLES_ANYWHERE = "roles-anywhere"
SHORT_TERM_KEY = "short-term-key"
GIT_BY_ROLE = "git-remote-codecommit"
KEYSPACES_BY_ROLE = "keyspaces-sigv4"
SES_BY_ROLE = "ses-api"
SIGNED_REQUESTS = "signed-requests"
EXEMPT = "exempt"

#: Replacement -> what it is, in the words that reasons use.
REPLACEMENTS = {
    IDENTITY_CENTER: "a user of IAM Identity Center",
    ROLE: "the role of the AWS compute service that it runs on",
    OIDC_ROLE: "a role that the pipeline's OIDC tokens may assume",
    CROSS_ACCOUNT_ROLE: "a role for the vendor's account, with an external id",
    ROLES_ANYWHERE: "a role through IAM Roles Anywhere, where it runs outside AWS",
    SHORT_TERM_KEY: "a role, or a short-term Bedrock API key",
    GIT_BY_ROLE: "a role, with git-remote-codecommit for Git",
    KEYSPACES_BY_ROLE: "a role, with the SigV4 plugin of the Cassandra driver",
    SES_BY_ROLE: "a role that calls the SES API, as SMTP has no temporary credentials",
    SIGNED_REQUESTS: "a role whose requests are signed by an AWS SDK, agent or exporter (SigV4)",
    EXEMPT: "an exemption with an expiry, where a client can't use a role",
}
BEDROCK = "bedrock.amazonaws.com"
_GIT = "codecommit.amazonaws.com"
#: ServiceName of service-specific credentials -> what fits, a role first. More services come: see _OTHER_SERVICES.
_BY_SERVICE: Mapping[str, tuple[str, ...]] = {
    _GIT: (GIT_BY_ROLE, EXEMPT),
    "cassandra.amazonaws.com": (KEYSPACES_BY_ROLE, EXEMPT),
    BEDROCK: (SHORT_TERM_KEY,),
}
#: CloudWatch Logs, and services that nobody has told us of: whatever takes an API key also takes signed requests.
_OTHER_SERVICES = (SIGNED_REQUESTS, EXEMPT)


def replacements(user: IamUser, kind: str, held: Iterable[Credential]) -> tuple[str, ...]:
    """What fits a user of ``kind`` with the credentials ``held``, the best first; nothing where it just goes."""
    fitting = dict.fromkeys(_fitting(user, kind, tuple(held)))
    last = (EXEMPT,) if EXEMPT in fitting else ()
    return (*(each for each in fitting if each != EXEMPT), *last)


def _fitting(user: IamUser, kind: str, held: tuple[Credential, ...]) -> Iterator[str]:
    if kind == BEDROCK_API_KEY:
        yield SHORT_TERM_KEY
        return
    if kind not in (HUMAN, MACHINE, MIXED):
        return
    if kind != MACHINE:
        yield IDENTITY_CENTER
    if kind != HUMAN and any(CREDENTIAL_TRAITS[each.kind].signs_requests for each in held):
        yield from _for_programs(user)
    for each in held:
        yield from _for_service(each)


def _for_programs(user: IamUser) -> tuple[str, ...]:
    if is_vendor(user):
        return (CROSS_ACCOUNT_ROLE,)
    if is_smtp(user):
        return (SES_BY_ROLE, EXEMPT)
    if is_ci(user):
        return (OIDC_ROLE, ROLE)
    return (ROLE, ROLES_ANYWHERE)


def _for_service(credential: Credential) -> tuple[str, ...]:
    traits = CREDENTIAL_TRAITS[credential.kind]
    if traits.used_by == PERSON or traits.signs_requests:
        return ()
    return _BY_SERVICE.get(traits.service or credential.service, _OTHER_SERVICES)
