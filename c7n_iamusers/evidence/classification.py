# SPDX-License-Identifier: Apache-2.0
"""Whether people, programs or both use an IAM user, the reasons, and what can replace it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from c7n_iamusers.evidence.hints import (
    hinted_kinds,
    is_ci,
    is_smtp,
    is_vendor,
    machine_indicator,
    person_indicator,
)
from c7n_iamusers.evidence.model import (
    BEDROCK_API_KEY,
    HUMAN,
    MACHINE,
    MIXED,
    NO_CREDENTIALS,
    UNKNOWN,
    Classification,
    Credential,
    Evidence,
    Hint,
)
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
BEDROCK = "bedrock.amazonaws.com"
_GIT = "codecommit.amazonaws.com"
#: ServiceName of service-specific credentials -> replacements, a role first. Other services: _OTHER_SERVICES.
_BY_SERVICE: Mapping[str, tuple[str, ...]] = {
    _GIT: (GIT_BY_ROLE, EXEMPT),
    "cassandra.amazonaws.com": (KEYSPACES_BY_ROLE, EXEMPT),
    BEDROCK: (SHORT_TERM_KEY,),
}
#: CloudWatch Logs, and services that this table does not know. A service that takes an API key also takes SigV4.
_OTHER_SERVICES = (SIGNED_REQUESTS, EXEMPT)


def replacements(user: IamUser, kind: str, held: Iterable[Credential]) -> tuple[str, ...]:
    """What can replace a user of ``kind`` with the credentials ``held``, the best first; empty if nothing is needed."""
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
    if kind != HUMAN and any(attachments.CREDENTIAL_TRAITS[each.kind].signs_requests for each in held):
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
    traits = attachments.CREDENTIAL_TRAITS[credential.kind]
    if traits.used_by == attachments.PERSON or traits.signs_requests:
        return ()
    return _BY_SERVICE.get(traits.service or credential.service, _OTHER_SERVICES)


_SHOWN = 5


def reasons_of(user: IamUser, evidence: Evidence, replacements: tuple[str, ...]) -> tuple[str, ...]:
    """In words: credentials, MFA, path, tags, groups, evidence that was not read, and replacements."""
    return (
        *(_described(each) for found in evidence.credentials.values() for each in found),
        *_absent(evidence),
        *_mfa(evidence),
        *_path_tags_groups(user),
        *(f"{name}: {each.problem}" for name, each in evidence.sources.items() if each.problem),
        *(
            [f"replacement: {', or '.join(REPLACEMENTS[each] for each in replacements)}"]
            if replacements
            else []
        ),
    )


def _described(credential: Credential) -> str:
    state = {True: "active", False: "inactive", None: "active or not"}[credential.active]
    return f"{credential.title}: {state}, {_use(credential)}"


def _use(credential: Credential) -> str:
    use = credential.last_use
    if use is None:
        return "use unknown"
    if use.at is None:
        return "never used"
    where = f" ({use.service} in {use.region})" if use.service and use.region else ""
    return f"last used {use.at.date().isoformat()}{where}"


def _absent(evidence: Evidence) -> Iterator[str]:
    for kind in (attachments.LOGIN_PROFILE, attachments.ACCESS_KEY):
        if evidence.credentials.get(kind.name) == ():
            yield f"no {kind.title}"


def _mfa(evidence: Evidence) -> Iterator[str]:
    if evidence.mfa is not None:
        yield "MFA" if evidence.mfa else "no MFA"


def _path_tags_groups(user: IamUser) -> Iterator[str]:
    if user.path != "/":
        yield f"path {user.path}"
    for title, names in (("tags", tuple(user.tags)), ("groups", user.groups or ())):
        if names:
            yield f"{title}: {', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''}"


#: The name prefix of users that the Bedrock console creates for API keys ("API keys", Amazon Bedrock User Guide).
BEDROCK_NAME = "BedrockAPIKey-"
Held = tuple[Credential, ...]


def classify(user: IamUser, evidence: Evidence, hints: Sequence[Hint] = ()) -> Classification:
    """The classification of ``user``. ``hints``: an organization's naming rules. A hint decides, unless two contradict.

    Raises EvidenceUnreadable if a hint matches by group and the user's groups were not read.
    """
    every = tuple(each for found in evidence.credentials.values() for each in found)
    held, git = _usable(each for each in every if not _is_git(each)), _usable(filter(_is_git, every))
    kind, why, missing = (
        _by_hint(user, hints) or _by_name(user) or _by_credentials(user, evidence, held or git)
    )
    fitting = replacements(user, kind, (*held, *git))
    return Classification(kind, (why, *reasons_of(user, evidence, fitting)), fitting, missing)


def _usable(credentials: Iterable[Credential]) -> Held:
    """The active credentials; all of them if none is active, since they still show who used the user."""
    every = tuple(credentials)
    return tuple(each for each in every if each.active) or every


#: Kind, the decisive reason, and the attachment kind to list in order to decide an UNKNOWN.
_Result = tuple[str, str, str]


def _by_hint(user: IamUser, hints: Sequence[Hint]) -> _Result | None:
    found = hinted_kinds(user, hints)
    if len(found) != 1:
        return None
    kind, hint = next(iter(found.items()))
    return kind, f"the policy's hint {hint} says {kind}", ""


def _by_name(user: IamUser) -> _Result | None:
    if not user.name.startswith(BEDROCK_NAME):
        return None
    return BEDROCK_API_KEY, "has a name that the Bedrock console gives to users with API keys", ""


def _by_credentials(user: IamUser, evidence: Evidence, held: Held) -> _Result:
    if missing := _missing(evidence):
        return UNKNOWN, f"unknown, because this was not read: {', '.join(missing)}", ""
    if decisive := _decisive_unread(evidence):
        plurals = ", ".join(kind.plural for kind in decisive)
        return UNKNOWN, f"unknown, because this was not read: {plurals}", decisive[0].name
    if any(
        each.active is None for found in evidence.credentials.values() for each in found if not _is_git(each)
    ):
        return UNKNOWN, "unknown whether all of its credentials are active", ""
    if not held:
        return _without_credentials(evidence)
    passwords = tuple(
        each for each in held if attachments.CREDENTIAL_TRAITS[each.kind].used_by == attachments.PERSON
    )
    programs = tuple(
        each for each in held if attachments.CREDENTIAL_TRAITS[each.kind].used_by != attachments.PERSON
    )
    if passwords and programs:
        return _by_use(passwords, programs)
    if passwords:
        return HUMAN, "only a person signs in with a password", ""
    return _without_password(user, evidence, programs)


def _missing(evidence: Evidence) -> list[str]:
    """The kinds that account-wide operations return, that were requested and not read."""
    # Saved documents have at most a credential report, so only that is needed of them.
    asked = {attachments.CREDENTIAL_REPORT, *evidence.sources}
    needed = (kind for kind in attachments.LISTED_AT_ONCE if kind.piece in asked)
    return [kind.title for kind in needed if kind.name not in evidence.credentials]


def _decisive_unread(evidence: Evidence) -> list[attachments.AttachmentKind]:
    """The unread kinds that can change any classification; EITHER matters only if there are no other credentials."""
    if attachments.SERVICE_CREDENTIALS not in evidence.sources:
        return []  # saved documents never have them
    unread = (kind for kind in attachments.LISTED_BY_USER if kind.name not in evidence.credentials)
    return [kind for kind in unread if attachments.CREDENTIAL_TRAITS[kind.name].used_by != attachments.EITHER]


def _without_credentials(evidence: Evidence) -> _Result:
    if unread := [kind for kind in attachments.LISTED_BY_USER if kind.name not in evidence.credentials]:
        named = " or ".join(kind.plural for kind in unread)
        return UNKNOWN, f"no other credentials, and {named} were not read", unread[0].name
    return NO_CREDENTIALS, "no credentials of any kind", ""


def _by_use(passwords: Held, programs: Held) -> _Result:
    """By which of password and access keys is in use. AWS does not track the use of other credentials."""
    if all(attachments.CREDENTIAL_TRAITS[each.kind].use for each in programs):
        signs_in, runs = _is_used(passwords), _is_used(programs)
        if signs_in is None or runs is None:
            return UNKNOWN, "has a password and keys, and it is unknown which are in use", ""
        if signs_in and not runs:
            return HUMAN, "signs in with a password, and no key was ever used", ""
        if runs and not signs_in:
            return MACHINE, "keys are in use, and nobody ever signed in", ""
    return MIXED, "has a password and credentials for programs", ""


def _is_used(credentials: Held) -> bool | None:
    """True if any was used, False if none ever was, None if unknown."""
    if any(each.last_use and each.last_use.at for each in credentials):
        return True
    return None if any(each.last_use is None for each in credentials) else False


def _without_password(user: IamUser, evidence: Evidence, held: Held) -> _Result:
    if all(each.service == BEDROCK for each in held):
        return BEDROCK_API_KEY, "holds a Bedrock API key and nothing else", ""
    if indicator := machine_indicator(user):
        return MACHINE, f"no password, and {indicator}", ""
    if indicator := person_indicator(user):
        return HUMAN, f"no password, but {indicator}: a person who works without the console", ""
    if evidence.mfa is None:
        return UNKNOWN, "no password, and unknown whether it has MFA, as people do", ""
    if evidence.mfa:
        return HUMAN, "no password, but MFA: a person who works without the console", ""
    return MACHINE, "no password and no MFA", ""


def _is_git(credential: Credential) -> bool:
    """Whether people and programs both use it, so that it decides only if there are no other credentials."""
    return (
        attachments.CREDENTIAL_TRAITS[credential.kind].used_by == attachments.EITHER
        or credential.service == _GIT
    )
