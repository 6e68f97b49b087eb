# SPDX-License-Identifier: Apache-2.0
"""The questions that AWS can't answer, as data: the text, the default with its source, what it takes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.text.addresses import is_address
from c7n_iamusers.text.wording import visible
from c7n_iamusers_cli.init.reading import CenterFound, Found

PEOPLE, MACHINES, BROWNOUT, KEYS = "people", "machines", "brownout", "keys"
REALTIME, REALTIME_DENY = "real-time", "real-time-deny"
#: What can be chosen of the policies.
CHOICES = (PEOPLE, MACHINES, BROWNOUT, KEYS, REALTIME, REALTIME_DENY)
#: Where people come from: the values of ``identity-source`` in policies.
OWN, EXTERNAL = "identity-center", "external"
SES = "ses"
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]", re.ASCII)
_SERVER = re.compile(r"[A-Za-z0-9.-]+:[0-9]{1,5}", re.ASCII)
_PRINCIPAL = re.compile(
    r"arn:(?P<partition>[a-z-]+):iam::(?P<account>[0-9]{12}):(root|(role|user)/[\w+=,.@/-]+)", re.ASCII
)
#: What in the name or the unit of an account tells that little depends on it.
_QUIET = re.compile(
    r"(?<![a-z])(sandbox|playground|test|testing|dev|development|lab|staging)(?![a-z])", re.IGNORECASE
)
#: Domains where anybody has an address.
_ANYBODYS = frozenset(
    {"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com"}
)

Answers = Mapping[str, str]


@dataclass(frozen=True)
class Question:
    """``name``: of the option, and of the answer. ``default``: the value, and where it comes from; ("", "") for none.

    ``fault``: what is wrong with an answer; empty if nothing. ``applies``: whether it has an answer here at all.
    ``silent``: it takes its default, and is an option only. ``stands_for``: the value that an answer stands for.
    """

    name: str
    text: str
    default: Callable[[Found, Answers], tuple[str, str]]
    fault: Callable[[str, Found], str]
    applies: Callable[[Found, Answers], bool] = lambda _, __: True
    silent: bool = False
    stands_for: Callable[[str, Found], str] = lambda answer, _: answer


def parts(answer: str) -> list[str]:
    """The items of an answer that is a list, separated by commas."""
    return [each.strip() for each in answer.split(",") if each.strip()]


def chosen(answers: Answers) -> frozenset[str]:
    """What was chosen of CHOICES."""
    return frozenset(parts(answers["policies"]))


def wants_people(_: Found, answers: Answers) -> bool:
    return PEOPLE in chosen(answers)


def center_of(found: Found) -> CenterFound | None:
    return found.centers[0] if found.centers else None


def _policies(found: Found, _: Answers) -> tuple[str, str]:
    if not found.centers:
        return MACHINES, "there is no instance of Identity Center, and people need one before their users go"
    return f"{PEOPLE},{MACHINES}", f"Identity Center is in {found.centers[0].region}"


def _policies_fault(answer: str, found: Found) -> str:
    named = parts(answer)
    if unknown := [each for each in named if each not in CHOICES]:
        return f"{unknown[0]!r} is none of {', '.join(CHOICES)}"
    if not {PEOPLE, MACHINES} & {*named}:
        return f"name {PEOPLE}, {MACHINES} or both"
    if PEOPLE in named and not found.centers:
        return "people need IAM Identity Center, and there is no instance in any Region: enable it, or leave people out"
    if REALTIME_DENY in named and REALTIME not in named:
        return f"{REALTIME_DENY} needs {REALTIME}, which tells what it did"
    return ""


def _source(found: Found, _: Answers) -> tuple[str, str]:
    center = center_of(found)
    if not center or center.fed is None or not center.users:
        return OWN, "Identity Center has no users, and no API says where they come from"
    if center.fed:
        return (
            EXTERNAL,
            f"{center.fed} of the first {center.users} users of Identity Center have an external id",
        )
    return OWN, f"none of the first {center.users} users of Identity Center has an external id"


def _domains(found: Found, _: Answers) -> tuple[str, str]:
    address = found.members[found.account].email
    domain = address.rpartition("@")[2].lower()
    if not _DOMAIN.fullmatch(domain) or domain in _ANYBODYS:
        return "", ""
    return domain, "the address of the management account"


def _contact(_: Found, __: Answers) -> tuple[str, str]:
    return "", ""


def _operators(found: Found, _: Answers) -> tuple[str, str]:
    return (found.caller, "who runs this command") if found.caller else ("", "")


def _on_call(_: Found, answers: Answers) -> tuple[str, str]:
    return answers["operators"], "who may act as Runner"


def _first(found: Found, _: Answers) -> tuple[str, str]:
    active = [each for each in found.active if each.account.account_id != found.account]
    for each in active:
        if _QUIET.search(each.account.name):
            return each.account.account_id, f"by its name, {visible(each.account.name)}"
        if _QUIET.search(path := found.paths.get(each.account.account_id, "")):
            return each.account.account_id, f"{visible(each.account.name)}, by its unit, {visible(path)}"
    if not active:
        return found.account, "the only account"
    return active[
        0
    ].account.account_id, f"{visible(active[0].account.name)}, the first of {len(active)} by id"


def _first_id(answer: str, found: Found) -> str:
    """The id of the active account of that id or name; the answer itself where that is none, or several."""
    of = [
        each.account.account_id
        for each in found.active
        if answer in (each.account.account_id, each.account.name)
    ]
    return of[0] if len(of) == 1 else answer


def _first_fault(answer: str, found: Found) -> str:
    if any(each.account.account_id == answer for each in found.active):
        return ""
    if of := [each.account.account_id for each in found.active if each.account.name == answer]:
        return f"{answer!r} is the name of several accounts: give one's id, {', '.join(of)}"
    return f"{answer!r} is no active account of the organization, neither its id nor its name"


def _domains_fault(answer: str, _: Found) -> str:
    wrong = next((each for each in parts(answer) if not _DOMAIN.fullmatch(each)), "")
    return f"{wrong!r} is no domain, such as example.com" if wrong or not parts(answer) else ""


def _address_fault(answer: str, _: Found) -> str:
    return "" if is_address(answer) else f"{answer!r} is not one e-mail address"


def _mail_fault(answer: str, _: Found) -> str:
    return "" if answer == SES or _SERVER.fullmatch(answer) else f"{answer!r} is neither {SES} nor HOST:PORT"


def _principals_fault(answer: str, found: Found) -> str:
    for each in parts(answer):
        match = _PRINCIPAL.fullmatch(each)
        if not match or match["partition"] != found.partition:
            example = f"arn:{found.partition}:iam::{found.account}:role/Deployer"
            return f"{each!r} is not the ARN of a role or user in {found.partition}, such as {example}"
        if each.endswith(":root") and match["account"] != found.account:
            return f"{each} would let in all users and roles of that account: give the ARN of one role there"
    return "" if parts(answer) else "name at least one"


QUESTIONS: tuple[Question, ...] = (
    Question(
        "policies",
        f"Which users are to go, and what else is to run? Any of {', '.join(CHOICES)}, separated by commas",
        _policies,
        _policies_fault,
    ),
    Question(
        "identity-source",
        f"Where the people in Identity Center come from: {OWN}, which makes them, or {EXTERNAL}, your provider by SCIM",
        _source,
        lambda answer, _: "" if answer in (OWN, EXTERNAL) else f"it is {OWN} or {EXTERNAL}",
        wants_people,
    ),
    Question(
        "identity-center-mfa",
        "Does Identity Center ask for MFA at every sign-in: yes, no or unsure? With yes people get what they may do "
        "with MFA alone; else users with a policy about MFA keep their user",
        lambda _, __: ("unsure", "no API says so; preflight names whom it concerns"),
        lambda answer, _: "" if answer in ("yes", "no", "unsure") else "it is yes, no or unsure",
        wants_people,
    ),
    Question(
        "email-domain",
        "The domains of your people's addresses: others get no mail, and own no account by a tag or contact",
        _domains,
        _domains_fault,
    ),
    Question(
        "contact",
        "The address of who answers owners' questions and grants exemptions; mails come from it, too",
        _contact,
        _address_fault,
    ),
    Question(
        "mail",
        f"How mails are sent: {SES} (the contact is a verified identity there), or HOST:PORT of an SMTP server",
        lambda _, __: (SES, "c7n-mailer's own default"),
        _mail_fault,
    ),
    Question(
        "operators",
        "The ARNs of who may act as Runner: who runs the daily command, and c7n-mailer",
        _operators,
        _principals_fault,
    ),
    Question(
        "on-call",
        "The ARNs of who may act as OnCall, which gives users back: as much as an administrator has",
        _on_call,
        _principals_fault,
        silent=True,
    ),
    Question(
        "first-account",
        "The account of the first wave, whose owner you can talk to, by its id or name",
        _first,
        _first_fault,
        stands_for=_first_id,
    ),
)

#: Asks for one answer; gets the question, the default, where it comes from.
Ask = Callable[[Question, str, str], str]


def answered(
    found: Found,
    given: Answers,
    recorded: Answers,
    ask: Ask,
    questions: Sequence[Question] = QUESTIONS,
) -> dict[str, str]:
    """The answer of each question that is one here.

    ``given``: by options, which count most. ``recorded``: of the last run, which are the defaults then. ``ask``: may
    take the default. Raises InvalidPolicyData that names each option that has no default, and each that can't be.
    """
    answers = dict[str, str]()
    missing, faults = list[str](), list[str]()
    for question in questions:
        if not question.applies(found, _complete(answers)):
            continue
        value = question.stands_for(_answer(question, found, answers, given, recorded, ask), found)
        if not value:
            missing.append(f"--{question.name}")
        elif fault := question.fault(value, found):
            faults.append(f"--{question.name}: {fault}")
        answers[question.name] = value
    if missing or faults:
        told = [*faults, *([f"give {', '.join(missing)}: nothing says what to take"] if missing else [])]
        raise InvalidPolicyData(f"nothing was written: {'; '.join(told)}")
    return answers


def _complete(answers: Mapping[str, str]) -> Answers:
    return {"policies": "", "operators": "", **answers}


def _answer(
    question: Question, found: Found, answers: Answers, given: Answers, recorded: Answers, ask: Ask
) -> str:
    if question.name in given:
        return given[question.name]
    default, source = question.default(found, _complete(answers))
    if before := recorded.get(question.name):
        default, source = before, "your last answer"
    return default if question.silent else ask(question, default, source)
