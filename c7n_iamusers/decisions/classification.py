# SPDX-License-Identifier: Apache-2.0
"""What a user is: a person's, a program's, both, or nobody's. Pure.

Where evidence is missing that could change the answer, the answer is ``unknown``; less evidence never makes
any other kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from c7n_iamusers.decisions.classification_reasons import reasons_of
from c7n_iamusers.decisions.hints import hinted_kinds, machine_sign, person_sign
from c7n_iamusers.decisions.replacement import BEDROCK, replacements
from c7n_iamusers.model.attachment_rows import EITHER, PERSON, AttachmentKind
from c7n_iamusers.model.attachments import CREDENTIAL_TRAITS, LISTED_AT_ONCE, LISTED_BY_USER
from c7n_iamusers.model.evidence import Credential, Evidence
from c7n_iamusers.model.hint import Hint
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.inventory import CREDENTIAL_REPORT, SERVICE_CREDENTIALS
from c7n_iamusers.model.verdict import (
    BEDROCK_API_KEY,
    HUMAN,
    MACHINE,
    MIXED,
    NO_CREDENTIALS,
    UNKNOWN,
    Verdict,
)

#: The Bedrock console names users so that it makes for long-term keys ("API keys", Amazon Bedrock User Guide).
BEDROCK_NAME = "BedrockAPIKey-"
_GIT = "codecommit.amazonaws.com"
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
