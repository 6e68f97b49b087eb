# SPDX-License-Identifier: Apache-2.0
"""Finds entries of the accounts file and the exemptions that are valid, but probably mistakes. Pure.

Each is a Check before the first run: HOLE for a certain mistake, ATTENTION for a possible one.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import SequenceMatcher, get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from c7n_iamusers.exemptions import ExemptionRule, in_account
from c7n_iamusers.iam.accounts import AccountDetails
from c7n_iamusers.iam.policy_documents import default_documents
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.user_fields import ID, matches
from c7n_iamusers.organization.owners import OWNER, Member, address_fault
from c7n_iamusers.organization.readiness import (
    ATTENTION,
    CENTER_ROLE,
    HOLE,
    ORGANIZATION,
    QUEUE,
    UNKNOWN,
    Check,
    Target,
    parts_of,
)
from c7n_iamusers.text.wording import counted, folded, quoted, shown

#: The account of AWS's documentation, and the management account in the shipped files. Nobody has it.
EXAMPLE_ACCOUNT = "123456789012"
#: Variables of the shipped accounts file.
SHIPPED = {
    "contact": "cloud-governance@example.com",
    "start_url": "https://d-1234567890.awsapps.com/start",
    "email_domain": "example.com",
    "lambda_bucket": "example-iam-users-realtime",
}
_MANY = 10


def of_the_organization(
    chosen: Iterable[Target],
    every: Iterable[Target],
    members: Mapping[str, Member],
    management: str,
    file: str,
) -> Iterator[Check]:
    """Which accounts of the organization ``every`` lacks, and which of those ``chosen`` are closed or not in it.

    ``members``: id -> account. ``management``: the id of the management account, which may be left out. ``file``: the
    name of the accounts file.
    """
    known = {each.account_id for each in every}
    lacking = [
        f"{each.account.name} ({account_id})"
        for account_id, each in sorted(members.items())
        if each.is_active and account_id not in {*known, management}
    ]
    if lacking:
        told = f"{file} lacks {shown(lacking, _MANY)}, so that no policy runs there"
        remedy = (
            "add the accounts to cover; `c7n-org aws-accounts` writes an accounts file from AWS Organizations"
        )
        yield Check(ORGANIZATION, "accounts", ATTENTION, told, remedy)
    for each in chosen:
        member = members.get(each.account_id)
        if member is None:
            told = "it is not in the organization: it was removed, or its id is mistyped"
            yield Check(str(each), "account", ATTENTION, told, f"correct its id, or remove it from {file}")
        elif not member.is_active:
            told = f"it is {member.state} in the organization, so that no policy can run there"
            yield Check(str(each), "account", HOLE, told, f"remove it from {file}")


def told_of_others(policies: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    """Which policies that an ``of`` names are misspelt, or run after the policy that reports on them.

    A run with its output in a bucket can't see that: a policy that has not run yet has no output there either.
    ``policies``: all, in the order in which they run.
    """
    names = [str(each.get("name")) for each in policies]
    for at, data in enumerate(policies):
        of = [str(each) for part in parts_of(data.get("actions")) for each in part.get("of") or ()]
        for other in dict.fromkeys(of):
            told = f"policy {names[at]} reports what {other} did, which "
            if other not in names:
                (like,) = get_close_matches(other, names, 1, _ALIKE) or ("",)
                remedy = f"write {like}" if like else "correct the name, or give its file too, as -u"
                found = Check(
                    ORGANIZATION, "policies", HOLE if like else ATTENTION, f"{told}is no policy", remedy
                )
            elif names.index(other) > at:
                remedy = f"put {names[at]} behind it"
                found = Check(ORGANIZATION, "policies", ATTENTION, f"{told}runs after it", remedy)
            elif _output(data) != _output(policies[names.index(other)]):
                remedy = "give both the same output_dir: outcomes are looked for beside its own"
                found = Check(ORGANIZATION, "policies", HOLE, f"{told}has another output", remedy)
            else:
                continue
            yield found


def _output(policy: Mapping[str, Any]) -> str:
    """The output that a policy itself names, such as one in AWS Lambda; empty for the run's output."""
    return str(((policy.get("mode") or {}).get("execution-options") or {}).get("output_dir") or "")


def owners_domains(
    chosen: Iterable[Target], every: Sequence[Target], domains: Collection[str]
) -> Iterator[Check]:
    """Owners of the accounts ``chosen`` whose address is not in the organization's domains.

    ``domains``: the organization's. If none is given, owners count whose domain neither another owner nor the contact
    has. ``every``: all accounts of the file.
    """
    remedy = "correct vars.owner in the accounts file: the address gets the names of all users and how they sign in"
    known = Counter(_domain(each.variables.get(OWNER)) for each in every)
    known.update({_domain(each) for each in {str(target.variables.get("contact")) for target in every}})
    for target in chosen:
        owner = target.variables.get(OWNER)
        domain = _domain(owner)
        if not domain:
            continue  # it has a check of its own
        if domains:
            if fault := address_fault(owner, domains):
                yield Check(str(target), "owner's domain", HOLE, f"vars.owner: {fault}", remedy)
        elif known[domain] == 1 and (others := [each for each in known if each not in ("", domain)]):
            like = get_close_matches(domain, others, 1, 0.75)
            meant = f"; {like[0]} is the domain of others" if like else ""
            told = f"no other owner has an address of {domain}{meant}"
            more = f"{remedy}; or state your domains by --email-domain"
            yield Check(str(target), "owner's domain", ATTENTION, told, more)


def _domain(address: Any) -> str:
    return "" if address_fault(address) else folded(str(address).rpartition("@")[2])


def placeholders(found: Sequence[Target], used: Collection[str], known: Collection[str]) -> Iterator[Check]:
    """Variables that still have their shipped value.

    ``used``: those that policies use; empty if none are given. ``known``: the ids of the runner's account and of the
    organization's. They do no harm in the local organization, which has the EXAMPLE_ACCOUNT: the account is right
    there, and the texts only need attention.
    """
    is_local = EXAMPLE_ACCOUNT in known
    where: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for target in found:
        for name, value in target.variables.items():
            if (name in used or name in (QUEUE, CENTER_ROLE) or not used) and _is_shipped(
                name, value, is_local
            ):
                where[name, str(value)].append(target.name)
    for (name, value), names in where.items():
        of = "" if len(names) == len(found) else f" in {shown(names)}"
        told = f"{name}{of} is {value}, as this package ships it"
        status = ATTENTION if is_local else HOLE
        yield Check(
            ORGANIZATION, "placeholders", status, told, f"write your own as {name} in the accounts file"
        )


def _is_shipped(name: str, value: Any, is_local: bool) -> bool:
    if name in SHIPPED:
        return bool(value == SHIPPED[name])
    return not is_local and bool(re.search(rf"(?<!\d){EXAMPLE_ACCOUNT}(?!\d)", str(value)))


#: The condition key of a policy that asks whether somebody signed in with MFA.
_MFA_KEY = "aws:multifactorauthpresent"


def mfa_conditions(found: AccountDetails) -> list[str]:
    """The names of users with a policy that has a condition on MFA: an own one, a group's, or a customer managed one.

    Identity Center's sessions need not have that key, so that such a policy can't be put into a permission set.
    """
    documents = default_documents(found.policies)
    asking = {arn for arn, document in documents.items() if _asks_for_mfa(document)}

    def has(entity: Mapping[str, Any], inline: str) -> bool:
        attached = (each["PolicyArn"] for each in entity.get("AttachedManagedPolicies") or ())
        own = (each["PolicyDocument"] for each in entity.get(inline) or ())
        return any(each in asking for each in attached) or any(map(_asks_for_mfa, own))

    groups = {name for name, group in found.groups.items() if has(group, "GroupPolicyList")}
    return sorted(
        str(user["UserName"])
        for user in found.users
        if has(user, "UserPolicyList") or groups.intersection(user.get("GroupList") or ())
    )


def _asks_for_mfa(document: Any) -> bool:
    return _MFA_KEY in json.dumps(document, default=str).lower()


def refused_for_mfa(read: Mapping[str, Sequence[str]]) -> Iterator[Check]:
    """Users that ``provision`` refuses as long as nothing says whether Identity Center asks for MFA.

    ``read``: name of an account -> those with a policy about MFA.
    """
    names = [f"{name} in {account}" for account, of in sorted(read.items()) for name in of]
    if names:
        told = (
            f"{counted(len(names), 'user')} with a policy about MFA: none gets access, and each stays, since nothing "
            f"says whether Identity Center asks for MFA at every sign-in: {shown(names, _MANY)}"
        )
        remedy = (
            "if it does (Settings, Authentication), say so by `c7n-iamusers init DIR --identity-center-mfa yes`, or by "
            "derive: {identity-center-mfa: true} in each policy; if it does not, and they are to stay, by no, or false"
        )
        yield Check(ORGANIZATION, "MFA", ATTENTION, told, remedy)


@dataclass(frozen=True)
class NamesRead:
    """Which exemptions the users of an account match.

    ``matched``: the rules that match a user. ``unmatched``: field -> the values of the users that no rule matches.
    ``lapsed``: expired rule -> the names of the users that it matches, and that only expired rules match.
    """

    target: Target
    matched: frozenset[ExemptionRule]
    unmatched: Mapping[str, frozenset[str]]
    lapsed: Mapping[ExemptionRule, frozenset[str]]


def names_of(
    target: Target, users: Iterable[IamUser], rules: Sequence[ExemptionRule], today: date
) -> NamesRead:
    """How ``users``, all users of an account, match those of the ``rules`` that hold there on ``today``."""
    held, _ = in_account(rules, target.account_id, target.name)
    fields = {each.field for each in held}
    keys = {folded(each.pattern.partition("=")[0]) for each in held if each.field == "tag"}
    matched, unmatched = set[ExemptionRule](), defaultdict[str, set[str]](set)
    lapsed = defaultdict[ExemptionRule, set[str]](set)
    for user in users:
        own = [each for each in held if matches(user, each.field, each.pattern)]
        matched.update(own)
        for rule in own if all(each.expires < today for each in own) else ():
            lapsed[rule].add(user.name)
        for field in () if own else fields:
            unmatched[field].update(_values(user, field, keys))
    found = {field: frozenset(values) for field, values in unmatched.items()}
    return NamesRead(
        target, frozenset(matched), found, {each: frozenset(names) for each, names in lapsed.items()}
    )


def _values(user: IamUser, field: str, keys: Collection[str]) -> Iterable[str]:
    if field == "user":
        return (user.name,)
    if field == "path":
        return (user.path,)
    if field == "group":
        return user.groups or ()
    if field == ID:
        return (user.unique_id,)
    return [f"{key}={value}" for key, value in user.tags.items() if folded(key) in keys]


def idle_exemptions(
    read: Iterable[NamesRead], every: Iterable[Target], rules: Iterable[ExemptionRule]
) -> Iterator[Check]:
    """Rules that match nobody, rules that only nearly match, and expired rules whose users still exist.

    ``read``: the accounts whose users could be read. ``every``: all accounts of the file. Rules that hold in no account
    are not judged.
    """
    names = {each.target.account_id: _Index(each) for each in read}
    targets = tuple(every)
    idle, unread = list[str](), dict[str, str]()
    unjudged = 0
    for rule in rules:
        if lapsed := [
            (each.read.target, name) for each in names.values() for name in each.read.lapsed.get(rule, ())
        ]:
            yield _lapsed(rule, lapsed)
            continue
        held = [target for target in targets if rule.holds_in(target.account_id, target.name)]
        there = [names[each.account_id] for each in held if each.account_id in names]
        is_idle = not any(rule in each.read.matched for each in there)
        if near := [(each, value) for each in there for value in each.near(rule, is_idle)]:
            yield _nearly(rule, is_idle, near)
        elif held and is_idle:
            missing = {each.account_id: str(each) for each in held if each.account_id not in names}
            unread |= missing
            unjudged += bool(missing)
            idle += [] if missing else [f"{rule} ({rule.reason})"]
    if idle:
        remedy = (
            "if a rule is mistyped, its users are not exempt: correct it; if its users are gone, remove it"
        )
        told = f"{len(idle)} match nobody: {shown(idle, _MANY, '; ')}"
        yield Check(ORGANIZATION, "exemptions", ATTENTION, told, remedy)
    if unjudged:
        told = (
            f"whether {unjudged} of the rules match anybody: not read: {shown(list(unread.values()), _MANY)}"
        )
        yield Check(
            ORGANIZATION, "exemptions", UNKNOWN, told, "check all accounts, by a role that reads users"
        )


def _lapsed(rule: ExemptionRule, users: Iterable[tuple[Target, str]]) -> Check:
    names = shown(sorted(f"{name} in {target.name}" for target, name in users))
    told = f"{rule} ({rule.reason}) has expired, so that it no longer protects {names}"
    return Check(
        ORGANIZATION, "exemptions", HOLE, told, "give it a later day; if these users are to go, remove it"
    )


def _nearly(rule: ExemptionRule, is_idle: bool, near: Sequence[tuple[_Index, str]]) -> Check:
    where = f"in {shown(list(dict.fromkeys(each.read.target.name for each, _ in near)))}"
    values = shown([f"{value} in {each.read.target.name}" for each, value in near])
    told = (
        f"{rule} ({rule.reason}) matches nobody{'' if is_idle else f' {where}'}, and nearly matches {values}"
    )
    remedy = (
        f"a user that no rule matches is not exempt: correct {rule.field} {quoted(rule.pattern)}, or add a rule; if "
        "other users are meant, give the rule their account"
    )
    return Check(ORGANIZATION, "exemptions", ATTENTION, told, remedy)


#: What can separate or surround the words of a name, and a pattern's stars.
_AROUND = "*_+=,.@-/: "
_WORD_ENDS = re.compile(r"[_+=,.@/: -]")
#: Shorter cores are in many names by accident.
_TELLING, _ALIKE = 4, 0.8


class _Index:
    """The values of an account's users that no rule matches, by the words that they begin with."""

    def __init__(self, read: NamesRead) -> None:
        self.read = read
        self._begun: dict[str, dict[str, list[str]]] = {}
        self._folded: dict[str, list[tuple[str, str]]] = {}

    def near(self, rule: ExemptionRule, wide: bool) -> list[str]:
        """Values that begin with the rule's words, or differ only in case. ``wide``: also values that resemble it.

        Empty if the rule matches a user of the account.
        """
        core = folded(rule.pattern).strip(_AROUND)
        if not core or rule in self.read.matched:
            return []
        self._fill(rule.field)
        if found := self._begun[rule.field].get(core):
            return sorted(found)
        return sorted(self._resembling(rule, core)) if wide else []

    def _fill(self, field: str) -> None:
        if field in self._begun:
            return
        begun, texts = defaultdict[str, list[str]](list), list[tuple[str, str]]()
        for value in self.read.unmatched.get(field, ()):
            text = folded(value).strip(_AROUND)
            texts.append((text, value))
            for each in {text, *(text[: end.start()] for end in _WORD_ENDS.finditer(text))}:
                begun[each].append(value)
        self._begun[field], self._folded[field] = begun, texts

    def _resembling(self, rule: ExemptionRule, core: str) -> Iterator[str]:
        """An organization may have 100,000 users and hundreds of such rules, so the cheap comparisons come first."""
        if set(core) & set("*?["):
            pattern = folded(rule.pattern)
            yield from (value for _, value in self._folded[rule.field] if fnmatchcase(folded(value), pattern))
        elif len(core) >= _TELLING:
            length, first, last = len(core), core[0], core[-1]
            compared = SequenceMatcher(None, "", core, autojunk=False)
            for text, value in self._folded[rule.field]:
                if core in text or (
                    -2 <= len(text) - length <= 2
                    and (text[:1] == first or text[-1:] == last)
                    and _is_alike(compared, text)
                ):
                    yield value


def _is_alike(compared: SequenceMatcher[str], text: str) -> bool:
    compared.set_seq1(text)
    # the upper bound of the ratio is cheaper than the ratio
    return compared.quick_ratio() >= _ALIKE and compared.ratio() >= _ALIKE
