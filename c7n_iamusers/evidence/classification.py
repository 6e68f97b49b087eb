# SPDX-License-Identifier: Apache-2.0
"""What a user is (a person's, a program's, both, nobody's), the reasons, and what replaces it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from c7n_iamusers.evidence.hints import hinted_kinds, is_ci, is_smtp, is_vendor, machine_sign, person_sign
from c7n_iamusers.evidence.model import (
    BEDROCK_API_KEY,
    HUMAN,
    MACHINE,
    MIXED,
    NO_CREDENTIALS,
    UNKNOWN,
    Credential,
    Evidence,
    Hint,
    Verdict,
)
from c7n_iamusers.iam.attachments import (
    ACCESS_KEY,
    CREDENTIAL_REPORT,
    CREDENTIAL_TRAITS,
    EITHER,
    LISTED_AT_ONCE,
    LISTED_BY_USER,
    LOGIN_PROFILE,
    PERSON,
    SERVICE_CREDENTIALS,
    AttachmentKind,
)
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


_SHOWN = 5


def reasons_of(user: IamUser, evidence: Evidence, replacements: tuple[str, ...]) -> tuple[str, ...]:
    """What is known of credentials, MFA, place, tags and groups, and what takes the user's place."""
    return (
        *(_told(each) for found in evidence.credentials.values() for each in found),
        *_absent(evidence),
        *_mfa(evidence),
        *_place(user),
        *(f"{name}: {each.problem}" for name, each in evidence.sources.items() if each.problem),
        *(
            [f"replacement: {', or '.join(REPLACEMENTS[each] for each in replacements)}"]
            if replacements
            else []
        ),
    )


def _told(credential: Credential) -> str:
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
    for kind in (LOGIN_PROFILE, ACCESS_KEY):
        if evidence.credentials.get(kind.name) == ():
            yield f"no {kind.title}"


def _mfa(evidence: Evidence) -> Iterator[str]:
    if evidence.mfa is not None:
        yield "MFA" if evidence.mfa else "no MFA"


def _place(user: IamUser) -> Iterator[str]:
    if user.path != "/":
        yield f"path {user.path}"
    for title, names in (("tags", tuple(user.tags)), ("groups", user.groups or ())):
        if names:
            yield f"{title}: {', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''}"


#: The Bedrock console names users so that it makes for long-term keys ("API keys", Amazon Bedrock User Guide).
BEDROCK_NAME = "BedrockAPIKey-"
Held = tuple[Credential, ...]


def classify(user: IamUser, evidence: Evidence, hints: Sequence[Hint] = ()) -> Verdict:
    """The verdict on ``user``. ``hints``: an organization's own naming, which outranks everything else,
    unless two hints contradict each other.

    Raises EvidenceUnreadable where a hint is by group and the user's groups were not read.
    """
    every = tuple(each for found in evidence.credentials.values() for each in found)
    held, git = _in_force(each for each in every if not _is_git(each)), _in_force(filter(_is_git, every))
    kind, why, wants = _hinted(user, hints) or _named(user) or _judged(user, evidence, held or git)
    fitting = replacements(user, kind, (*held, *git))
    return Verdict(kind, (why, *reasons_of(user, evidence, fitting)), fitting, wants)


def _in_force(credentials: Iterable[Credential]) -> Held:
    """What can be used; where nothing can, what could be before, since it still tells whose the user was."""
    every = tuple(credentials)
    return tuple(each for each in every if each.active) or every


#: Kind, the decisive reason, and the attachment kind that would settle an unknown.
_Judgement = tuple[str, str, str]


def _hinted(user: IamUser, hints: Sequence[Hint]) -> _Judgement | None:
    found = hinted_kinds(user, hints)
    if len(found) != 1:
        return None
    kind, hint = next(iter(found.items()))
    return kind, f"the policy's hint {hint} says {kind}", ""


def _named(user: IamUser) -> _Judgement | None:
    if not user.name.startswith(BEDROCK_NAME):
        return None
    return BEDROCK_API_KEY, "named as the Bedrock console names the users of its API keys", ""


def _judged(user: IamUser, evidence: Evidence, held: Held) -> _Judgement:
    if missing := _missing(evidence):
        return UNKNOWN, f"unknown for want of: {', '.join(missing)}", ""
    if decisive := _unlisted(evidence):
        return (
            UNKNOWN,
            f"unknown for want of: {', '.join(kind.plural for kind in decisive)}",
            decisive[0].name,
        )
    if any(
        each.active is None for found in evidence.credentials.values() for each in found if not _is_git(each)
    ):
        return UNKNOWN, "unknown whether all of its credentials are active", ""
    if not held:
        return _bare(evidence)
    passwords = tuple(each for each in held if CREDENTIAL_TRAITS[each.kind].used_by == PERSON)
    programs = tuple(each for each in held if CREDENTIAL_TRAITS[each.kind].used_by != PERSON)
    if passwords and programs:
        return _by_use(passwords, programs)
    if passwords:
        return HUMAN, "only a person signs in with a password", ""
    return _without_password(user, evidence, programs)


def _missing(evidence: Evidence) -> list[str]:
    """The kinds that lists of the account tell of, and without which nothing is said."""
    # Saved documents have a report at most; a verdict on them rests on what they can have.
    asked = {CREDENTIAL_REPORT, *evidence.sources}
    needed = (kind for kind in LISTED_AT_ONCE if kind.piece in asked)
    return [kind.title for kind in needed if kind.name not in evidence.credentials]


def _unlisted(evidence: Evidence) -> list[AttachmentKind]:
    """The kinds listed user by user that could change any verdict. EITHER decides only where nothing else is there."""
    if SERVICE_CREDENTIALS not in evidence.sources:
        return []  # saved documents have none of them
    unread = (kind for kind in LISTED_BY_USER if kind.name not in evidence.credentials)
    return [kind for kind in unread if CREDENTIAL_TRAITS[kind.name].used_by != EITHER]


def _bare(evidence: Evidence) -> _Judgement:
    if unread := [kind for kind in LISTED_BY_USER if kind.name not in evidence.credentials]:
        named = " or ".join(kind.plural for kind in unread)
        return UNKNOWN, f"no credentials but, perhaps, {named}, which were not read", unread[0].name
    return NO_CREDENTIALS, "no credentials of any kind", ""


def _by_use(passwords: Held, programs: Held) -> _Judgement:
    """By which of password and keys is in use, where only one is; AWS tells no use of other credentials."""
    if all(CREDENTIAL_TRAITS[each.kind].use for each in programs):
        signs_in, runs = _is_used(passwords), _is_used(programs)
        if signs_in is None or runs is None:
            return UNKNOWN, "has a password and keys, and it is unknown which are in use", ""
        if signs_in and not runs:
            return HUMAN, "signs in with a password, and no key was ever used", ""
        if runs and not signs_in:
            return MACHINE, "keys are in use, and nobody ever signed in", ""
    return MIXED, "has a password and credentials for programs", ""


def _is_used(credentials: Held) -> bool | None:
    """True if any is known to have been used, False if all are known never to have been."""
    if any(each.last_use and each.last_use.at for each in credentials):
        return True
    return None if any(each.last_use is None for each in credentials) else False


def _without_password(user: IamUser, evidence: Evidence, held: Held) -> _Judgement:
    if all(each.service == BEDROCK for each in held):
        return BEDROCK_API_KEY, "holds a Bedrock API key and nothing else", ""
    if sign := machine_sign(user):
        return MACHINE, f"no password, and {sign}", ""
    if sign := person_sign(user):
        return HUMAN, f"no password, but {sign}: a person who works without the console", ""
    if evidence.mfa is None:
        return UNKNOWN, "no password, and unknown whether it has MFA, which people have", ""
    if evidence.mfa:
        return HUMAN, "no password, but MFA: a person who works without the console", ""
    return MACHINE, "no password and no MFA", ""


def _is_git(credential: Credential) -> bool:
    """People and programs alike have these, so they decide only where there is nothing else."""
    return CREDENTIAL_TRAITS[credential.kind].used_by == EITHER or credential.service == _GIT
