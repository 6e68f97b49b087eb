# SPDX-License-Identifier: Apache-2.0
"""Whether people, programs or both use an IAM user, the reasons, and what can replace it. Pure.

Names, paths and tags count as hints: an organization's own hints come before common naming.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from c7n_iamusers.evidence import model
from c7n_iamusers.evidence.key_callers import ELSEWHERE, IN_AWS, PERSON, PIPELINE, signs_in, working_callers
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.user_fields import FIELDS, matches, pattern_fault
from c7n_iamusers.text.wording import quoted, shown

HINTED_KINDS = (model.HUMAN, model.MACHINE, model.MIXED)

#: Words of a user name between separators: matches ``ci-checkout``, ``svc_mailer``, ``terraform``, not ``cicero``.
_MACHINE_WORDS = frozenset(
    "agent api app automation backup batch bot build cd ci cicd circleci cron daemon deploy deployer deployment "
    "etl exporter github gitlab integration jenkins job lambda machine monitoring pipeline runner robot script "
    "server service ses smtp sftp svc sync system terraform travis upload uploader worker".split()
)
_MACHINE_PATHS = frozenset(
    "apps bots ci machines pipelines robots service-accounts services system vendors".split()
)
_VENDOR_WORDS = frozenset("integration partner saas thirdparty vendor vendors".split())
_CI_WORDS = frozenset(
    "build cd ci cicd circleci deploy deployer deployment github gitlab jenkins pipeline runner terraform "
    "travis".split()
)
#: The SES console names the users that it creates for SMTP: ses-smtp-user.20260131-120000.
_SMTP_WORDS = frozenset("ses smtp".split())
#: Tags of people's users. An Owner tag indicates nothing, since programs have one too.
_PERSON_TAGS = frozenset(
    "displayname e-mail email employeeid familyname firstname givenname lastname mail surname".split()
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]+", re.IGNORECASE)
_FULL_NAME = re.compile(r"[^\W\d_]{2,}\.[^\W\d_]{2,}")


def hinted_kinds(user: IamUser, hints: Sequence[model.Hint]) -> dict[str, model.Hint]:
    """Kind -> the first of ``hints`` that matches ``user`` with this kind."""
    found: dict[str, model.Hint] = {}
    for hint in hints:
        if hint.kind not in found and matches(user, hint.field, hint.pattern):
            found[hint.kind] = hint
    return found


def machine_indicator(user: IamUser) -> str:
    """What in the name or path indicates a program, in words; empty if nothing does."""
    if words := _words(user.name) & _MACHINE_WORDS:
        return f"{min(words)!r} in its name"
    parts = {part.lower() for part in user.path.split("/")} & _MACHINE_PATHS
    return f"path {user.path}" if parts else ""


def person_indicator(user: IamUser) -> str:
    """What in the tags or name indicates a person, in words; empty if nothing does."""
    tags = sorted(key for key in user.tags if key.lower() in _PERSON_TAGS)
    if tags:
        return f"tag {tags[0]}"
    if _EMAIL.fullmatch(user.name) or _FULL_NAME.fullmatch(user.name):
        return "a person's name"
    return ""


def is_vendor(user: IamUser) -> bool:
    """Whether the name or path indicates a vendor's program."""
    return bool((_words(user.name) | {part.lower() for part in user.path.split("/")}) & _VENDOR_WORDS)


def is_ci(user: IamUser) -> bool:
    """Whether the name indicates a build or deployment pipeline."""
    return bool(_words(user.name) & _CI_WORDS)


def is_smtp(user: IamUser) -> bool:
    """Whether the name indicates SMTP access to Amazon SES, whose password is derived from an access key."""
    return bool(_words(user.name) & _SMTP_WORDS)


def parse_hints(data: Any, where: str) -> tuple[model.Hint, ...]:
    """Hints from a policy's ``hints``: kind -> field -> pattern or list of patterns.

    Raises InvalidPolicyData with the place, the fault and what to write instead.
    """
    if not isinstance(data, Mapping):
        raise InvalidPolicyData(
            f"{where}: must map kinds to patterns, such as {{machine: {{user: ['ci-*']}}}}"
        )
    return tuple(
        hint for kind, fields in data.items() for hint in _of_kind(str(kind), fields, f"{where}.{kind}")
    )


def _of_kind(kind: str, fields: Any, where: str) -> Iterator[model.Hint]:
    if kind not in HINTED_KINDS:
        raise InvalidPolicyData(f"{where}: a hint can say {', '.join(HINTED_KINDS)}, not {quoted(kind)}")
    if not isinstance(fields, Mapping) or not set(fields) <= set(FIELDS):
        raise InvalidPolicyData(f"{where}: must map {', '.join(FIELDS)} to patterns, not {quoted(fields)}")
    for field, patterns in fields.items():
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            if not isinstance(pattern, str) or not pattern:
                raise InvalidPolicyData(
                    f"{where}.{field}: must be a shell glob such as 'ci-*', not {quoted(pattern)}"
                )
            if fault := pattern_fault(field, pattern):
                raise InvalidPolicyData(f"{where}.{field}: {quoted(pattern)} {fault}")
            yield model.Hint(kind, field, pattern)


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.lower()))


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
_GIT = "codecommit.amazonaws.com"
#: ServiceName of service-specific credentials -> replacements, a role first. Other services: _OTHER_SERVICES.
_BY_SERVICE: Mapping[str, tuple[str, ...]] = {
    _GIT: (GIT_BY_ROLE, EXEMPT),
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


_SHOWN = 5


def reasons_of(user: IamUser, evidence: model.Evidence, replacements: tuple[str, ...]) -> tuple[str, ...]:
    """In words: credentials, MFA, path, tags, groups, evidence that was not read, and replacements."""
    return (
        *(_described(each) for found in evidence.credentials.values() for each in found),
        *_absent(evidence),
        *_mfa(evidence),
        *_path_tags_groups(user),
        *(f"{name}: {each.problem}" for name, each in evidence.sources.items() if each.problem),
        *(
            [f"replacement: {', or '.join(REPLACEMENTS[replacement] for replacement in replacements)}"]
            if replacements
            else []
        ),
    )


def _described(credential: model.Credential) -> str:
    state = {True: "active", False: "inactive", None: "active or not"}[credential.active]
    return f"{credential.title}: {state}, {_use(credential)}"


def _use(credential: model.Credential) -> str:
    use = credential.last_use
    if use is None:
        return "use unknown"
    if use.at is None:
        return "never used"
    where = f" ({use.service} in {use.region})" if use.service and use.region else ""
    return f"last used {use.at.date().isoformat()}{where}"


def _absent(evidence: model.Evidence) -> Iterator[str]:
    for kind in (attachments.LOGIN_PROFILE, attachments.ACCESS_KEY):
        if evidence.credentials.get(kind.name) == ():
            yield f"no {kind.title}"


def _mfa(evidence: model.Evidence) -> Iterator[str]:
    if evidence.mfa is not None:
        yield "MFA" if evidence.mfa else "no MFA"


def _path_tags_groups(user: IamUser) -> Iterator[str]:
    if user.path != "/":
        yield f"path {user.path}"
    for title, names in (("tags", tuple(user.tags)), ("groups", user.groups or ())):
        if names:
            yield f"{title}: {shown(names, _SHOWN)}"


#: The name prefix of users that the Bedrock console creates for API keys ("API keys", Amazon Bedrock User Guide).
BEDROCK_NAME = "BedrockAPIKey-"
Held = tuple[model.Credential, ...]


def classify(
    user: IamUser, evidence: model.Evidence, hints: Sequence[model.Hint] = ()
) -> model.Classification:
    """The classification of ``user``. ``hints``: an organization's naming rules. A hint decides, unless two contradict.

    Raises EvidenceUnreadable if a hint matches by group and the user's groups were not read.
    """
    every = tuple(each for found in evidence.credentials.values() for each in found)
    held, git = _usable(each for each in every if not _is_git(each)), _usable(filter(_is_git, every))
    hinted = _by_hint(user, hints)
    kind, why, missing = hinted or _by_credentials(user, evidence, held or git)
    plain, *_ = hinted or _by_credentials(user, replace(evidence, usage=None), held or git)
    fitting = replacements(user, kind, (*held, *git), signs_in(working_callers(evidence)))
    reasons = (why, *reasons_of(user, evidence, fitting))
    return model.Classification(kind, reasons, fitting, missing, plain if plain != kind else "")


def _usable(credentials: Iterable[model.Credential]) -> Held:
    """The active credentials; all of them if none is active, since they still show who used the user."""
    every = tuple(credentials)
    return tuple(each for each in every if each.active) or every


#: Kind, the decisive reason, and the attachment kind to list in order to decide an UNKNOWN.
_Result = tuple[str, str, str]


def _by_hint(user: IamUser, hints: Sequence[model.Hint]) -> _Result | None:
    found = hinted_kinds(user, hints)
    if len(found) != 1:
        return None
    kind, hint = next(iter(found.items()))
    return kind, f"the policy's hint {hint} says {kind}", ""


def _by_credentials(user: IamUser, evidence: model.Evidence, held: Held) -> _Result:
    if missing := _missing(evidence):
        return model.UNKNOWN, f"unknown, because this was not read: {', '.join(missing)}", ""
    if decisive := _decisive_unread(evidence):
        plurals = ", ".join(kind.plural for kind in decisive)
        return model.UNKNOWN, f"unknown, because this was not read: {plurals}", decisive[0].name
    if any(
        each.active is None for found in evidence.credentials.values() for each in found if not _is_git(each)
    ):
        return model.UNKNOWN, "unknown whether all of its credentials are active", ""
    if not held:
        return _without_credentials(user, evidence)
    passwords = tuple(
        each for each in held if attachments.CREDENTIAL_TRAITS[each.kind].used_by == attachments.PERSON
    )
    programs = tuple(
        each for each in held if attachments.CREDENTIAL_TRAITS[each.kind].used_by != attachments.PERSON
    )
    if passwords and programs:
        return _by_use(passwords, programs)
    if passwords:
        return model.HUMAN, "only a person signs in with a password", ""
    return _without_password(user, evidence, programs)


def _missing(evidence: model.Evidence) -> list[str]:
    """The requested kinds of account-wide operations that were not read."""
    # Saved documents have at most a credential report, so only that is needed of them.
    asked = {attachments.CREDENTIAL_REPORT, *evidence.sources}
    needed = (kind for kind in attachments.LISTED_AT_ONCE if kind.piece in asked)
    return [kind.title for kind in needed if kind.name not in evidence.credentials]


def _decisive_unread(evidence: model.Evidence) -> list[attachments.AttachmentKind]:
    """The unread kinds that can change any classification; EITHER matters only if there are no other credentials."""
    if attachments.SERVICE_CREDENTIALS not in evidence.sources:
        return []  # saved documents never have them
    unread = (kind for kind in attachments.LISTED_BY_USER if kind.name not in evidence.credentials)
    return [kind for kind in unread if attachments.CREDENTIAL_TRAITS[kind.name].used_by != attachments.EITHER]


def _without_credentials(user: IamUser, evidence: model.Evidence) -> _Result:
    if (
        user.name.startswith(BEDROCK_NAME)
        and attachments.SERVICE_SPECIFIC_CREDENTIAL.name not in evidence.credentials
    ):
        # anybody can give a user this name, so credentials decide where they are known
        return model.BEDROCK_API_KEY, "has a name that the Bedrock console gives to users with API keys", ""
    if unread := [kind for kind in attachments.LISTED_BY_USER if kind.name not in evidence.credentials]:
        named = " or ".join(kind.plural for kind in unread)
        return model.UNKNOWN, f"no other credentials, and {named} were not read", unread[0].name
    return model.NO_CREDENTIALS, "no credentials of any kind", ""


def _by_use(passwords: Held, programs: Held) -> _Result:
    """By which of password and access keys is in use. AWS does not track the use of other credentials."""
    if all(attachments.CREDENTIAL_TRAITS[program.kind].use for program in programs):
        signs_in, runs = _is_used(passwords), _is_used(programs)
        if signs_in is None or runs is None:
            return model.UNKNOWN, "has a password and keys, and it is unknown which are in use", ""
        if signs_in and not runs:
            return model.HUMAN, "signs in with a password, and no key was ever used", ""
        if runs and not signs_in:
            return model.MACHINE, "keys are in use, and nobody ever signed in", ""
    return model.MIXED, "has a password and credentials for programs", ""


def _is_used(credentials: Held) -> bool | None:
    """True if any was used, False if none ever was, None if unknown."""
    if any(credential.last_use and credential.last_use.at for credential in credentials):
        return True
    return None if any(credential.last_use is None for credential in credentials) else False


def _without_password(user: IamUser, evidence: model.Evidence, held: Held) -> _Result:
    if all(each.service == BEDROCK for each in held):
        return model.BEDROCK_API_KEY, "holds a Bedrock API key and nothing else", ""
    if decided := _by_callers(evidence):
        return decided
    if indicator := machine_indicator(user):
        return model.MACHINE, f"no password, and {indicator}", ""
    if indicator := person_indicator(user):
        return model.HUMAN, f"no password, but {indicator}: a person who works without the console", ""
    if evidence.mfa is None:
        return model.UNKNOWN, "no password, and unknown whether it has MFA, as people do", ""
    if evidence.mfa:
        return model.HUMAN, "no password, but MFA: a person who works without the console", ""
    return model.MACHINE, "no password and no MFA", ""


def _by_callers(evidence: model.Evidence) -> _Result | None:
    """By what calls with its keys; None if that decides nothing. A program outside AWS may be a person's."""
    signs = set(signs_in(working_callers(evidence)))
    if signs == {PERSON}:
        return (
            model.HUMAN,
            "no password, and its keys are used in a browser or the console, as these report",
            "",
        )
    if signs and signs <= {PIPELINE, IN_AWS}:
        where = " and ".join(_CALLS_FROM[each] for each in (PIPELINE, IN_AWS) if each in signs)
        return model.MACHINE, f"no password, and its keys are used by {where}, as the calls report", ""
    if PERSON in signs and signs & {PIPELINE, IN_AWS}:
        return (
            model.MIXED,
            "no password, and its keys are used by a person and by programs, as the calls report",
            "",
        )
    return None


_CALLS_FROM = {PIPELINE: "a pipeline", IN_AWS: "what runs in AWS"}


def _is_git(credential: model.Credential) -> bool:
    """Whether people and programs both use it, so that it decides only if there are no other credentials."""
    return (
        attachments.CREDENTIAL_TRAITS[credential.kind].used_by == attachments.EITHER
        or credential.service == _GIT
    )
