# SPDX-License-Identifier: Apache-2.0
"""What can replace an IAM user, by its kind, its credentials and who calls with them. Pure.

Each replacement has its description, for whom it is, and the page of AWS that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from c7n_iamusers.evidence import model
from c7n_iamusers.evidence.key_callers import ELSEWHERE, IN_AWS, PIPELINE
from c7n_iamusers.evidence.naming_hints import is_ci, is_smtp, is_vendor
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.user import IamUser

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

#: Replacement -> its description in reasons.
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
_BEST = "Security best practices in IAM (IAM User Guide)"
#: Replacement -> for whom it is, and the page of AWS that says so.
REPLACEMENT_BASIS: Mapping[str, tuple[str, str]] = {
    IDENTITY_CENTER: ("people", f"{_BEST}: human users use federation with an identity provider"),
    ROLE: ("programs in AWS", f"{_BEST}: workloads use temporary credentials with IAM roles"),
    OIDC_ROLE: ("pipelines", "Create an OpenID Connect (OIDC) identity provider in IAM (IAM User Guide)"),
    CROSS_ACCOUNT_ROLE: ("vendors", "Access to AWS accounts owned by third parties (IAM User Guide)"),
    ROLES_ANYWHERE: (
        "programs outside AWS",
        "What is AWS Identity and Access Management Roles Anywhere? (IAM Roles Anywhere User Guide)",
    ),
    SHORT_TERM_KEY: ("Bedrock API keys", "API keys for Amazon Bedrock (IAM User Guide)"),
    GIT_BY_ROLE: (
        "Git credentials and SSH keys of CodeCommit",
        "Setup steps for HTTPS connections to AWS CodeCommit with git-remote-codecommit (AWS CodeCommit User Guide)",
    ),
    KEYSPACES_BY_ROLE: (
        "credentials of Keyspaces",
        "Create credentials for programmatic access to Amazon Keyspaces (Amazon Keyspaces Developer Guide)",
    ),
    SES_BY_ROLE: (
        "senders of mail by SMTP",
        "Obtaining Amazon SES SMTP credentials (Amazon SES Developer Guide), which knows none that are temporary",
    ),
    SIGNED_REQUESTS: (
        "API keys of CloudWatch Logs and of services that this table does not know",
        "AWS Signature Version 4 for API requests (IAM User Guide)",
    ),
    EXEMPT: ("clients that can't use a role", "our own choice: an exemption has a reason and an end"),
}
BEDROCK = "bedrock.amazonaws.com"
CODECOMMIT = "codecommit.amazonaws.com"
#: ServiceName of service-specific credentials -> replacements, a role first. Other services: _OTHER_SERVICES.
_BY_SERVICE: Mapping[str, tuple[str, ...]] = {
    CODECOMMIT: (GIT_BY_ROLE, EXEMPT),
    "cassandra.amazonaws.com": (KEYSPACES_BY_ROLE, EXEMPT),
    BEDROCK: (SHORT_TERM_KEY,),
}
#: CloudWatch Logs, and services that this table does not know. A service that takes an API key also takes SigV4.
_OTHER_SERVICES = (SIGNED_REQUESTS, EXEMPT)


def replacements(
    user: IamUser, kind: str, held: Iterable[model.Credential], callers: Iterable[str] = ()
) -> tuple[str, ...]:
    """What can replace a user of ``kind`` with the credentials ``held``, the best first; empty if nothing is needed.

    ``callers``: what those of its keys are (``key_callers.signs_in``), where that is known.
    """
    fitting = dict.fromkeys(_fitting(user, kind, tuple(held), tuple(callers)))
    last = (EXEMPT,) if EXEMPT in fitting else ()
    return (*(each for each in fitting if each != EXEMPT), *last)


def _fitting(
    user: IamUser, kind: str, held: tuple[model.Credential, ...], callers: tuple[str, ...]
) -> Iterator[str]:
    if kind == model.BEDROCK_API_KEY:
        yield SHORT_TERM_KEY
        return
    if kind not in (model.HUMAN, model.MACHINE, model.MIXED):
        return
    if kind != model.MACHINE:
        yield IDENTITY_CENTER
    if kind != model.HUMAN and any(attachments.CREDENTIAL_TRAITS[each.kind].signs_requests for each in held):
        yield from _for_programs(user, callers)
    for each in held:
        yield from _for_service(each)


#: What a caller is -> what fits it. Its word may be wrong, so what fits by the name follows.
_BY_CALLER: Mapping[str, str] = {PIPELINE: OIDC_ROLE, IN_AWS: ROLE, ELSEWHERE: ROLES_ANYWHERE}


def _for_programs(user: IamUser, callers: tuple[str, ...]) -> tuple[str, ...]:
    if is_vendor(user):
        return (CROSS_ACCOUNT_ROLE,)
    if is_smtp(user):
        return (SES_BY_ROLE, EXEMPT)
    by_name = (OIDC_ROLE, ROLE) if is_ci(user) else (ROLE, ROLES_ANYWHERE)
    return (*(_BY_CALLER[each] for each in callers if each in _BY_CALLER), *by_name)


def _for_service(credential: model.Credential) -> tuple[str, ...]:
    traits = attachments.CREDENTIAL_TRAITS[credential.kind]
    if traits.used_by == attachments.PERSON or traits.signs_requests:
        return ()
    return _BY_SERVICE.get(traits.service or credential.service, _OTHER_SERVICES)
