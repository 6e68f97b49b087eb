# SPDX-License-Identifier: Apache-2.0
"""Whether people, programs or both use an IAM user, and the reasons. Pure.

Names, paths and tags count as hints: an organization's own hints come before common naming.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from c7n_iamusers.evidence import model
from c7n_iamusers.evidence.key_callers import IN_AWS, PERSON, PIPELINE, signs_in, working_callers
from c7n_iamusers.evidence.naming_hints import hinted_kinds, machine_indicator, person_indicator
from c7n_iamusers.evidence.replacements import BEDROCK, CODECOMMIT, REPLACEMENTS, replacements
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.text.wording import shown

_SHOWN = 5


def reasons_of(user: IamUser, evidence: model.Evidence, fitting: tuple[str, ...]) -> tuple[str, ...]:
    """In words: credentials, MFA, path, tags, groups, evidence that was not read, and replacements."""
    return (
        *(_described(each) for found in evidence.credentials.values() for each in found),
        *_absent(evidence),
        *_mfa(evidence),
        *_path_tags_groups(user),
        *(f"{name}: {each.problem}" for name, each in evidence.sources.items() if each.problem),
        *(
            [f"replacement: {', or '.join(REPLACEMENTS[replacement] for replacement in fitting)}"]
            if fitting
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
        or credential.service == CODECOMMIT
    )
