# SPDX-License-Identifier: Apache-2.0
"""What the accounts file and the policies must say before the first run over an organization. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.execution.output_layout import DIRECTORIES, REGION
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.iam.accounts import DEFAULT_REGIONS, HOME_REGIONS, partitions, region_fault
from c7n_iamusers.iam.permissions import Needed, role_policy, simulation
from c7n_iamusers.iam.policy_documents import aws_deny_all, listed
from c7n_iamusers.iam.resource_types import of_instance
from c7n_iamusers.organization.owners import OWNER, accounts_file, address_fault
from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers.text.wording import folded, quoted, visible

#: HOLE: a run can't work. ATTENTION: it may be intended. UNKNOWN: it was not checked.
OK, HOLE, ATTENTION, UNKNOWN = "ok", "hole", "attention", "unknown"
#: The place of checks that are made once, not for each account.
ORGANIZATION = "organization"
#: The variables of accounts.yml that are checked beside those that the policies use.
QUEUE, NOTICES = "queue_url", "notices"
CENTER_ROLE, CENTER_REGION = "identity_center_role", "identity_center_region"
#: Days until the deletion, days until the Deny, and days under it.
DAYS = ("announce_days", "listen_after_days", "quarantined_for_days")
#: A variable as Cloud Custodian fills it in; {{...}} is a template's, and ${...} a policy variable of IAM.
VARIABLE = re.compile(r"(?<![{$])\{([A-Za-z_]\w*)\}(?!\})")
_OF_CENTER = ("provision-identity-center", "identity-center")


@dataclass(frozen=True)
class Check:
    """``place``: an account or ORGANIZATION. ``status``: OK, HOLE, ATTENTION or UNKNOWN. ``remedy``: what to do."""

    place: str
    name: str
    status: str
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Target:
    """An account as c7n-org runs over it.

    ``roles``: ARNs, each assumed by the one before. ``variables``: its own, and those of all accounts.
    """

    account_id: str
    name: str
    roles: tuple[str, ...]
    profile: str
    external_id: str
    regions: tuple[str, ...]
    variables: Mapping[str, Any]
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} ({self.account_id})"

    @property
    def role_fault(self) -> str:
        """Why the last role is not in the account; empty if it may be. A profile does not say its account."""
        acting = self.roles[-1].split(":")[4] if self.roles else self.account_id
        return "" if acting == self.account_id else f"role {self.roles[-1]} is in account {acting}"

    @property
    def partition(self) -> str:
        if self.roles:
            return self.roles[-1].split(":")[1]
        return _partition_of(self.regions[0]) if self.regions else "aws"

    @property
    def region(self) -> str:
        """The Region in which the actions run."""
        home = HOME_REGIONS.get(self.partition, HOME_REGIONS["aws"])
        one = len(self.regions) == 1 and self.regions[0] != "all"
        return self.regions[0] if one else home


def _partition_of(region: str) -> str:
    return next((name for name, regions in partitions().items() if region in regions), "aws")


def targets(data: Any, *, strict: bool = True) -> tuple[Target, ...]:
    """The accounts of the accounts file. Raises ValueError for another file.

    ``strict``: also for a role in another account than its entry's: that account's users would count as the entry's.
    """
    accounts_file(data)
    shared = data.get("vars") or {}
    found = tuple(_target(each, shared) for each in data["accounts"])
    if faults := [f"{each}: {each.role_fault}" for each in found if strict and each.role_fault]:
        raise ValueError(f"{'; '.join(faults)}: correct role or account_id")
    return found


def chosen(found: Sequence[Target], names: Sequence[str], tags: Sequence[str]) -> tuple[Target, ...]:
    """The accounts that have one of the ``names`` (or ids), and all ``tags``, as c7n-org chooses them by -a and -t.

    Raises ValueError if a name is no account's, or no account is left.
    """
    known = {each for target in found for each in (target.name, target.account_id)}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"it has no account {', '.join(unknown)}")
    left = tuple(
        target
        for target in found
        if (not names or {target.name, target.account_id} & set(names)) and set(tags) <= set(target.tags)
    )
    if not left:
        raise ValueError(
            f"none of its accounts has {' and '.join(f'the tag {tag}' for tag in tags) or 'an id'}"
        )
    return left


def _target(entry: Mapping[str, Any], shared: Mapping[str, Any]) -> Target:
    account_id, roles = str(entry["account_id"]), entry.get("role") or ()
    if isinstance(roles, str):
        # As c7n-org does with a bare name.
        roles = [roles if roles.startswith("arn") else f"arn:aws:iam::{account_id}:role/{roles}"]
    elif not isinstance(roles, Sequence):
        roles = [roles]
    faulty = next(
        (role for role in roles if not re.fullmatch(r"arn:[^:]+:iam::\d{12}:role/.+", str(role))), None
    )
    if faulty is not None:
        raise ValueError(f"account {account_id}: role {quoted(faulty)} is not the ARN of a role")
    for role in roles:
        if (partition := str(role).split(":")[1]) not in partitions():
            raise ValueError(
                f"account {account_id}: role {quoted(role)}: there is no partition {quoted(partition)}; it is one of "
                f"{', '.join(partitions())}"
            )
    variables = {**shared, **(entry.get("vars") or {})}
    return Target(
        account_id,
        str(entry.get("name") or account_id),
        tuple(roles),
        str(entry.get("profile") or ""),
        str(entry.get("external_id") or ""),
        tuple(part.strip() for each in entry.get("regions") or () for part in str(each).split(",")),
        variables,
        tuple(map(str, entry.get("tags") or ())),
    )


def file_checks(
    target: Target, used: Mapping[str, Collection[str]], runtime: Collection[str]
) -> Iterator[Check]:
    """Checks that need the accounts file only. ``used``: policy -> its variables. ``runtime``: c7n's own variables."""
    yield _region(target)
    yield _owner(target)
    yield _chosen_texts(target)
    yield from _days(target)
    if used:
        yield _variables(target, used, runtime)


def _region(target: Target) -> Check:
    regions = target.regions or DEFAULT_REGIONS
    if faults := [fault for region in regions if region != "all" and (fault := region_fault(region))]:
        remedy = f"correct regions in the accounts file, such as [{HOME_REGIONS['aws']}]"
        return Check(str(target), "region", HOLE, "; ".join(faults), remedy)
    named = {_partition_of(region): region for region in target.regions if region != "all"}
    if target.roles and named and target.partition not in named:
        (partition, other), role = next(iter(named.items())), target.roles[-1]
        whole = role.replace(f"arn:{target.partition}:", f"arn:{partition}:", 1)
        told = f"{other} is in partition {partition}, and {role} is not"
        return Check(
            str(target), "region", HOLE, told, f"give the whole ARN in the accounts file: role: {whole}"
        )
    if len(regions) == 1 or "all" in regions or target.region in regions:
        return Check(str(target), "region", OK, target.region)
    return Check(
        str(target),
        "region",
        HOLE,
        f"none of its Regions ({', '.join(regions)}) is {target.region}, where IAM's calls run",
        f"give one Region in the accounts file: regions: [{target.region}]",
    )


def _owner(target: Target) -> Check:
    said = target.variables.get(OWNER)
    remedy = "run c7n-iamusers owners --write, or write vars: {owner: ADDRESS} in the accounts file"
    if said in (None, ""):
        return Check(str(target), "owner", HOLE, "no owner's address (vars.owner)", remedy)
    if fault := address_fault(said):
        return Check(str(target), "owner", HOLE, f"vars.owner: {fault}", remedy)
    return Check(str(target), "owner", OK, str(said))


#: What begins and ends an expression, a statement and a comment of Jinja, which c7n-mailer evaluates in subjects.
#: c7n joins an output's place and an account's name as URLs.
_OF_URLS = re.compile(r"[?#%;]")
_JINJA = re.compile(r"\{[{%#]|[}%#]\}")


def _chosen_texts(target: Target) -> Check:
    """Whether the account's name and variables are plain text. Somebody in an account chooses its name.

    c7n-org makes a directory of the name. ``custodian run --vars-file`` writes values into the text of the policy,
    before that is parsed as YAML.
    """
    faults = [
        f"its name {target.name!r} has {fault}" for fault in name_faults(target.name, target.account_id)
    ]
    for key, value in target.variables.items():
        faults += (f"{key} has {fault}" for text in (key, *_texts(value)) for fault in _text_faults(text))
    if faults:
        remedy = "write another name, or other vars, in the accounts file: the name in AWS may stay"
        return Check(str(target), "texts", HOLE, "; ".join(dict.fromkeys(faults)), remedy)
    return Check(str(target), "texts", OK, "its name and variables are plain text")


def name_faults(name: str, account_id: str) -> Iterator[str]:
    """What the name of an account has that c7n-org or a mail would take for something else."""
    if "{" in name or "}" in name:
        yield "a brace, which begins a template"
    if "/" in name or name.startswith((".", "-")):
        yield "a slash, or a dot or dash in front, and c7n-org names a directory by it"
    if name.casefold() in DIRECTORIES:
        yield "the name of a directory that runs leave, which is told apart from accounts' by its name"
    if REGION.fullmatch(name.casefold()):
        yield "the form of a Region, whose directory lies in each account's"
    if _OF_URLS.search(name):
        yield "one of ? # % ; which c7n takes for parts of a URL, so its runs write into another account's directory"
    if is_account_id(name) and name != account_id:
        yield "the form of an account's id, by which c7n-org -a takes it for that one"
    yield from _text_faults(name.replace("{", "").replace("}", ""))


def _text_faults(text: str) -> Iterator[str]:
    if _JINJA.search(text):
        yield "a template ({{, {% or {#)"
    if visible(text) != text:
        yield "a control character or another invisible one"
    if '"' in text or "\\" in text:
        yield "a double quote or backslash, which can end a text of a policy"


def with_valid_owner(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """``variables`` with an address in place of an invalid owner, which the check of the owner reports."""
    said = variables.get(OWNER)
    return {**variables, OWNER: "owner@example.com"} if said and address_fault(said) else variables


def _days(target: Target) -> Iterator[Check]:
    """Whether the quarantine begins on the day that owners are told. Nothing if one of the days is missing."""
    days: list[Any] = [target.variables.get(name) for name in DAYS]
    if None in days:
        return
    announced, after, held = days
    where, remedy = str(target), f"correct {', '.join(DAYS)} under vars in the accounts file"
    if wrong := [
        f"{name} is {quoted(target.variables[name])}"
        for name in DAYS
        if type(target.variables[name]) not in (int, float)
    ]:
        told = f"{', '.join(wrong)}, and must be a number, without quotes"
    elif negative := [f"{name} is {target.variables[name]}" for name in DAYS if target.variables[name] < 0]:
        told = f"{', '.join(negative)}, and must be 0 or more"
    elif held == 0:
        told = "quarantined_for_days is 0, and must be above 0; to practise, a part of a day such as 0.0001"
    # Mails give whole days, so a part of a day makes no difference.
    elif abs(after + held - announced) >= 1:
        told = (
            f"a quarantine after {after} days that lasts {held} does not end after the {announced} days that owners "
            "are told"
        )
    else:
        yield Check(where, "days", OK, f"{after} days, then {held} in quarantine")
        return
    yield Check(where, "days", HOLE, told, remedy)


def _variables(target: Target, used: Mapping[str, Collection[str]], runtime: Collection[str]) -> Check:
    missing = {
        # The owner has a check of its own.
        policy: sorted(set(names) - target.variables.keys() - {*runtime, OWNER})
        for policy, names in used.items()
    }
    told = [f"{', '.join(names)} (policy {policy})" for policy, names in missing.items() if names]
    if told:
        remedy = "define them under vars in the accounts file, for the account or for all"
        return Check(str(target), "variables", HOLE, f"not defined: {'; '.join(told)}", remedy)
    return Check(str(target), "variables", OK, f"all that {len(used)} policies use are defined")


def exemptions_of_no_account(found: Sequence[Target], rules: Iterable[ExemptionRule]) -> list[str]:
    """The ``rules`` that hold in none of the accounts, and so protect nobody, in words."""
    return [
        str(rule) for rule in rules if not any(rule.holds_in(each.account_id, each.name) for each in found)
    ]


def given_twice(found: Sequence[Target]) -> list[str]:
    """Which accounts share an id or a name, in words. c7n-org handles such accounts at the same time."""
    ids, names = (
        Counter(target.account_id for target in found),
        Counter(folded(target.name) for target in found),
    )
    counted = [("id", ids), ("name", names)]
    return [f"{what} {value} {n} times" for what, all_ in counted for value, n in all_.items() if n > 1]


def variables_of(data: Any) -> frozenset[str]:
    """The variables that the loaded policy ``data`` uses."""
    return frozenset(name for text in _texts(data) for name in VARIABLE.findall(text))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, (Mapping, list)):
        for part in data.values() if isinstance(data, Mapping) else data:
            yield from _texts(part)


@dataclass(frozen=True)
class Shared:
    """What all accounts use, each once. ``centers``: the role to assume, and the Region in which it is asked.

    The Region is empty where neither a policy nor the variable identity_center_region names it.
    """

    queues: tuple[str, ...]
    notices: tuple[str, ...]
    centers: tuple[tuple[str, str], ...]


def shared_by(found: Sequence[Target], policies: Iterable[Any]) -> Shared:
    """What the policies and the accounts file name, without values that have an undefined variable."""
    parts = [part for data in policies for part in parts_of(data)]
    queues, notices = dict[str, None](), dict[str, None]()
    centers = dict[tuple[str, str], None]()
    for target in found:
        named = [(part.get("transport") or {}).get("queue") for part in parts]
        queues |= dict.fromkeys(filled([*named, target.variables.get(QUEUE)], target))
        named = [part.get("notices") for part in parts]
        notices |= dict.fromkeys(filled([*named, target.variables.get(NOTICES)], target))
        for part in parts:
            if part.get("type") in _OF_CENTER:
                role = filled([part.get("role")], target)
                centers |= {(each, _asked_in(part, target)): None for each in role}
        role = filled([target.variables.get(CENTER_ROLE)], target)
        region = next(iter(filled([target.variables.get(CENTER_REGION)], target)), "")
        known = {each for each, _ in centers}
        centers |= {(each, region): None for each in role if each not in known}
    return Shared(tuple(queues), tuple(notices), tuple(centers))


def _asked_in(part: Mapping[str, Any], target: Target) -> str:
    """The Region in which a filter or action asks Identity Center in an account: its own, or where the policy runs."""
    return next(iter(filled([part.get("region")], target)), "") or target.region


def parts_of(data: Any) -> Iterator[Mapping[str, Any]]:
    """Everything in a policy that has a type: filters and actions, at any depth."""
    if isinstance(data, Mapping):
        if "type" in data:
            yield data
        data = list(data.values())
    if isinstance(data, list):
        for part in data:
            yield from parts_of(part)


def filled(values: Iterable[Any], target: Target) -> list[str]:
    """``values`` with the variables of ``target`` filled in, without those that have an undefined variable."""
    filled = [filled_in(text, target) for text in values if isinstance(text, str) and text]
    return [text for text in filled if not VARIABLE.search(text)]


def filled_in(value: Any, target: Target) -> Any:
    """``value`` with the variables of ``target`` filled in at any depth. Undefined variables stay."""
    known = {**target.variables, "account_id": target.account_id, "region": target.region}
    if isinstance(value, str):
        return VARIABLE.sub(lambda name: str(known.get(name[1], name[0])), value)
    if isinstance(value, Mapping):
        return {key: filled_in(part, target) for key, part in value.items()}
    return [filled_in(part, target) for part in value] if isinstance(value, list) else value


#: Roles have it only for the object with the exemptions, and are denied it on others. A run that can't read that object
#: leaves everybody alone and ends with an error.
_OF_A_LIST = "s3:GetObject"


def simulations(needed: Needed, target: Target) -> list[dict[str, Any]]:
    """The parameters of SimulatePrincipalPolicy that ask for ``needed``, each action on its own resources.

    Asking for ``*`` alone would miss a policy that allows an action only on the account's users.
    """
    found = []
    every = Needed((needed.own | needed.others) - {_OF_A_LIST}, restoring=needed.restoring)
    for statement in role_policy(every, target.account_id, target.partition)["Statement"]:
        denying = aws_deny_all(target.partition)
        context = {key: denying for keys in statement.get("Condition", {}).values() for key in keys}
        resources = listed(statement["Resource"])
        found.append(simulation(target.roles[-1], statement["Action"], resources, context))
    return found


def center_simulations(
    actions: Iterable[str], role: str, instance: str, identity_store: str, owner: str
) -> list[dict[str, Any]]:
    """The parameters of SimulatePrincipalPolicy that ask whether ``role`` may do ``actions`` in Identity Center.

    ``instance``: its ARN. ``owner``: the account of the instance and its store.
    """
    policy = of_instance(
        role_policy(Needed(frozenset(actions)), owner, role.split(":")[1]), instance, identity_store
    )
    found = []
    for statement in policy["Statement"]:
        resources = [
            each.replace(":identitystore::*:", f":identitystore::{owner}:")
            for each in listed(statement["Resource"])
        ]
        found.append(simulation(role, statement["Action"], resources, {}))
    return found
