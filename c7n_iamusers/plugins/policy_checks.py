# SPDX-License-Identifier: Apache-2.0
"""Checks of a policy that Cloud Custodian leaves out: numbers, Regions, accounts, exemptions.

Cloud Custodian checks a policy's schema before it fills in variables, and not afterwards. A variable that is the whole
text keeps its type, so a number under ``vars`` stays one. An undefined variable stays as it is written.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from c7n.actions import BaseAction
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.mu import CloudWatchEventSource
from c7n.query import MaxResourceLimit
from c7n.utils import local_session

from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.exemptions import Rules
from c7n_iamusers.iam.accounts import DEFAULT_REGIONS, home_region, region_fault
from c7n_iamusers.plugins.resources import subject_of, unreadable
from c7n_iamusers.text.documents import NotInFormat, check_values
from c7n_iamusers.text.validators import is_account_id, schema_problem
from c7n_iamusers.text.wording import quoted

#: Days of a century. Python has no dates that are far away.
LARGEST = 36_500
#: The keys of a policy that limit how many resources it may select.
_BRAKES = ("max-resources", "max-resources-percent")
_VARIABLE = {"type": "string", "pattern": r"^\{[A-Za-z_]\w*\}$"}


def or_variable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a number that may also be a variable. ``schema``: of the number itself."""
    return {"anyOf": [dict(schema), _VARIABLE]}


#: Waives a safeguard in writing.
NONE = "none"


def or_none(schema: Mapping[str, Any]) -> dict[str, Any]:
    """``schema``, of ``or_variable``, which also accepts ``none``: no such limit."""
    return {"anyOf": [*schema["anyOf"], {"enum": [NONE]}]}


def is_variable(value: Any) -> bool:
    """Whether ``value`` is a variable and nothing else, which Cloud Custodian has not filled in."""
    return isinstance(value, str) and re.search(_VARIABLE["pattern"], value) is not None


def require_bounded(manager: Any) -> None:
    """Raises PolicyValidationError for a policy that holds itself, or grows by its aliases: its checks would never end.

    Cloud Custodian loads such a policy. What it does before it asks the plugins is out of our hands.
    """
    try:
        check_values(manager.data)
    except NotInFormat as error:
        raise PolicyValidationError(f"policy {manager.data.get('name')}: {error}") from error


def check_options(plugin: Any, values: bool = True) -> None:
    """Raises PolicyValidationError where the options of ``plugin`` are not as its schema has them.

    ``c7n-org run`` checks no schema, and a safeguard that is misspelt, blank or of another type must not count as left
    out. Values with a variable are checked once it is filled in. No value is checked in AWS Lambda, which lacks
    jsonschema. ``values``: False if the plugin checks them itself.
    """
    known, told = plugin.schema["properties"], f"policy {plugin.manager.data.get('name')}: {plugin.type}"
    for key, value in plugin.data.items():
        if key not in known:
            meant = get_close_matches(str(key), known, 1, 0.7)
            hint = f"write {meant[0]}" if meant else f"its options are {', '.join(known)}"
            raise PolicyValidationError(f"{told} has no option {key!r}: {hint}")
        if not values or _VARIABLE in known[key].get("anyOf", ()):
            continue  # numbers have checks of their own
        if value is None:
            raise PolicyValidationError(f"{told}: {key} is blank: give a value, or leave it out")
        if not _has_variable(value) and (problem := schema_problem(value, known[key])):
            fault = problem.removeprefix("the whole: ")
            raise PolicyValidationError(f"{told}: {key}: {fault}: see custodian schema {_place(plugin)}")


def _has_variable(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_variable, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_has_variable, value))
    return isinstance(value, str) and "{" in value


def _place(plugin: Any) -> str:
    kind = "actions" if isinstance(plugin, BaseAction) else "filters"
    return f"{plugin.manager.type}.{kind}.{plugin.type}"


def require_brake(manager: Any) -> None:
    """Raises PolicyValidationError for a ``max-resources`` that is misspelt or no limit: c7n-org accepts both."""
    told = f"policy {manager.data.get('name')}"
    for key in manager.data:
        if key not in _BRAKES and get_close_matches(str(key), _BRAKES, 1, 0.85):
            raise PolicyValidationError(f"{told}: there is no key {key!r}: write {_BRAKES[0]}")
    value = manager.data.get(_BRAKES[0], 1)
    whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if not (whole or (isinstance(value, Mapping) and value) or _has_variable(value)):
        raise PolicyValidationError(
            f"{told}: {_BRAKES[0]} is {quoted(value)}, and must be a whole number above 0, without quotes"
        )


def check_numbers(plugin: Any, error: type[PolicyValidationError] | type[PolicyExecutionError]) -> None:
    """Raises ``error`` where an option of ``plugin`` is not the number that its schema asks for.

    PolicyValidationError leaves variables out, since ``custodian validate`` fills in none. With PolicyExecutionError,
    right before the action, each must have its number.
    """
    manager, validating = plugin.manager, error is PolicyValidationError
    for key, schema in plugin.schema["properties"].items():
        number, *others = schema.get("anyOf", ({},))
        if key not in plugin.data or _VARIABLE not in others:
            continue
        value, waives = plugin.data[key], {"enum": [NONE]} in others
        if _fits(value, number) or (validating and is_variable(value)) or (waives and value == NONE):
            continue
        raise error(
            f"policy {manager.data.get('name')}: {plugin.type}: {key} is {quoted(value)}, and must be "
            f"{_described(number)}{f', or {NONE}' if waives else ''}. "
            "Nothing was touched: where it is a variable, define it under vars in accounts.yml, or in the file "
            "of custodian run --vars-file, as a number without quotes"
        )


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    kinds = int if schema["type"] == "integer" else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not value <= LARGEST:
        return False
    above = schema.get("exclusiveMinimum")
    return bool(value > above if above is not None else value >= schema["minimum"])


def _described(schema: Mapping[str, Any]) -> str:
    kind = "a whole number" if schema["type"] == "integer" else "a number"
    least = "above 0" if "exclusiveMinimum" in schema else "from 0"
    return f"{kind} {least} to {LARGEST}"


def is_pull(manager: Any) -> bool:
    """True if the policy runs in pull mode, in the process of Cloud Custodian, and not in AWS Lambda."""
    return str((manager.data.get("mode") or {}).get("type", "pull")) == "pull"


def blocks(filters: Any) -> Iterator[dict[str, Any]]:
    """The blocks of a policy's filters, which may be invalid, including those inside and, or, not."""
    for block in filters if isinstance(filters, list) else ():
        if isinstance(block, dict):
            yield block
            for name in ("and", "or", "not"):
                yield from blocks(block.get(name))


#: The schema of an option in days.
DAYS = or_variable({"type": "number", "exclusiveMinimum": 0, "maximum": LARGEST})


def idle_region(manager: Any, argv: Sequence[str] | None = None) -> str | None:
    """Why nothing is done in the policy's Region, in words; None if this Region acts.

    IAM is global, so of several Regions of a c7n-org run only the one with IAM's endpoint acts. A single Region always
    acts.
    Raises PolicyExecutionError if none of several Regions has IAM's endpoint, since then nothing would be done.
    """
    account = _account_entry(manager)
    if not account:
        return None
    region, name = (
        str(manager.config.region),
        f"policy {manager.data.get('name')}: account {account.get('name')}",
    )
    given = _given_regions(sys.argv if argv is None else argv)
    regions = given or tuple(account.get("regions") or DEFAULT_REGIONS)
    if len(regions) == 1 and "all" not in regions:
        return None
    home = home_region(region)
    if home not in regions and "all" not in regions:
        raise PolicyExecutionError(
            f"{name}: IAM is the same in every Region, so one acts for all: a run's only Region, or {home}. This run "
            f"has {', '.join(regions)}. Give one of them, by regions in accounts.yml or by -r. Nothing was touched"
        )
    if region == home:
        return None
    return f"{name}: nothing is done in {region}: IAM is the same in every Region, and {home} acts for all"


def require_own_account(manager: Any, resources: Iterable[Mapping[str, Any]]) -> None:
    """Raises PolicyExecutionError if a user of ``resources`` is of another account than the policy is for.

    c7n-org takes the account's id and the role that it assumes from two keys of the accounts file, and compares neither
    with the other. Exemptions, owners and notices are those of the id. ``custodian`` takes the id from the role or STS.
    """
    account_id = str(manager.config.account_id or "")
    if not is_account_id(account_id):
        return
    for subject in map(subject_of, resources):
        if subject.account_id != account_id:
            raise PolicyExecutionError(
                f"policy {manager.data.get('name')}: account {account_id}: its session acts in another account: it "
                f"reads {subject}. No user was selected or touched: correct role or account_id in accounts.yml, and "
                "run again without Cloud Custodian's cache (--cache-period 0)"
            )


def acts_on(plugin: Any, resources: Iterable[Mapping[str, Any]]) -> bool:
    """Whether ``plugin`` acts in the policy's Region. If it does not (see ``idle_region``), the log says why.

    Raises PolicyExecutionError as ``require_own_account`` does.
    """
    if idle := idle_region(plugin.manager):
        plugin.log.info("%s: %s", plugin.type, idle)
        return False
    require_own_account(plugin.manager, resources)
    return True


def require_known_region(manager: Any) -> None:
    """Raises PolicyValidationError if the policy's Region does not exist, or gets no events of IAM.

    ``custodian validate`` runs it in no Region.
    """
    region = str(manager.config.region or "")
    if region not in ("", "na") and (fault := region_fault(region)):
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {fault}. It comes from regions in accounts.yml, from --region or -r, "
            "or from AWS_DEFAULT_REGION. Nothing was touched"
        )
    waits = (manager.data.get("mode") or {}).get("type") == "cloudtrail"
    if waits and region not in ("", "na", home := home_region(region)):
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: mode cloudtrail in {region} would never run: the events of IAM "
            f"arrive only in {home}. Give that Region, by regions in accounts.yml, by --region or by -r"
        )


#: The role behind a call, in an event of CloudTrail, and its ARN (RoleName and Path: IAM API reference, CreateRole).
_ISSUER = "sessionIssuer"
#: Characters of an event pattern ("Amazon EventBridge quotas").
_LONGEST_PATTERN = 2_048
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/(?!role/)([\w+=,.@-]+/)*[\w+=,.@-]{1,64}", re.ASCII)


def require_own_roles(manager: Any) -> None:
    """Raises PolicyValidationError if ``mode.pattern`` leaves out the calls of an ARN that is no role's.

    This package's own calls would then count as those of strangers. Without an account, as in ``custodian validate``,
    no variables are filled in. With one, Cloud Custodian does not change a text with an undefined variable. Raises it,
    too, for a pattern that EventBridge would refuse only once the function is there.
    """
    mode, known = manager.data.get("mode") or {}, str(manager.config.account_id).isdigit()
    if mode.get("type") == "cloudtrail" and (length := len(event_pattern(mode))) > _LONGEST_PATTERN:
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: its event pattern has {length} characters, and EventBridge takes "
            f"{_LONGEST_PATTERN}: name fewer roles in mode.pattern, or roles with shorter paths"
        )
    for given in _issuers(mode.get("pattern")):
        filled_in = re.sub(
            r"\{\w+\}", "x", given.replace("{partition}", "aws").replace("{account_id}", "0" * 12)
        )
        if not _ROLE_ARN.fullmatch(given if known else filled_in):
            raise PolicyValidationError(
                f"policy {manager.data.get('name')}: mode.pattern leaves out the calls of {quoted(given)}, which is "
                "no role's ARN, so this package's own calls would count as strangers': set runner_role and "
                "restorer_role under vars in accounts.yml to the names of the roles that quarantine users, and that "
                "release and restore them, after their path if they have one: IamUsersRemover, or "
                "team/IamUsersRemover"
            )


def _issuers(pattern: Any, inside: bool = False) -> Iterator[str]:
    """The ARNs of the roles whose calls an event pattern leaves out. ``inside``: what is below the role of a call."""
    for key, value in pattern.items() if isinstance(pattern, Mapping) else ():
        if key == "anything-but" and inside:
            yield from map(str, value if isinstance(value, list) else [value])
        elif key != "principalId":
            yield from _issuers(value, inside or key == _ISSUER)
    for each in pattern if isinstance(pattern, list) else ():
        yield from _issuers(each, inside)


def event_pattern(mode: Mapping[str, Any]) -> str:
    """The event pattern of the rule that Cloud Custodian makes for a policy's ``mode``, as JSON."""
    found: str = CloudWatchEventSource(deepcopy(dict(mode)), None).render_event_pattern()
    return found


def require_real_time(manager: Any, spare: str | None) -> None:
    """Raises PolicyValidationError for an option ``spare`` of the filter with which runs would select exempt users."""
    acting = {
        each if isinstance(each, str) else each.get("type") for each in manager.data.get("actions") or ()
    }
    told = f"policy {manager.data.get('name')}: filter unnecessary: spare"
    if spare not in (None, "identified", "nobody"):
        raise PolicyValidationError(f"{told} must be identified or nobody, not {quoted(spare)}")
    taking = {"composite-delete"} if spare == "identified" else {"composite-delete", "quarantine"}
    if spare and (is_pull(manager) or not taking.isdisjoint(acting)):
        raise PolicyValidationError(
            f"{told}: {spare} is for functions that report or deny at once what somebody created, and would select "
            "exempt users: leave it out, or, with quarantine in mode cloudtrail, make it identified"
        )


def foreign_event(manager: Any, event: Any) -> str | None:
    """Why an ``event`` is left alone that is not of the policy's account, in words; None if it is, or does not say.

    A central event bus has the events of several accounts, and each can have a user of the name.
    """
    account_id, given = str(manager.config.account_id or ""), event if isinstance(event, Mapping) else {}
    detail = given.get("detail")
    known = (given.get("account"), detail.get("recipientAccountId") if isinstance(detail, Mapping) else None)
    others = [str(account) for account in known if account and account_id and str(account) != account_id]
    if not others:
        return None
    return (
        f"policy {manager.data.get('name')}: nothing is done in account {account_id}: the event is of account "
        f"{others[0]}: give each account a function of its own, or mode.member-role"
    )


def account_name(manager: Any) -> str:
    """The account's name in c7n-org's accounts file; empty in a run of ``custodian``, which has none."""
    return str(_account_entry(manager).get("name") or "")


def _account_entry(manager: Any) -> Mapping[str, Any]:
    """The account's entry in c7n-org's accounts file; empty in a run of ``custodian``."""
    policy = getattr(manager.ctx, "policy", None)
    return (policy.conditions.env_vars.get("account") if policy else None) or {}


def _given_regions(argv: Sequence[str]) -> tuple[str, ...]:
    """The Regions on c7n-org's command line, which take precedence over those in accounts.yml."""
    if not argv or not (
        Path(argv[0]).name.startswith("c7n-org") or "c7n_org" in argv[0] or "c7n-org" in argv
    ):
        return ()
    return tuple(region for value in _values(argv) for region in value.split(",") if region)


#: -r, alone or behind -v, which takes no value; the Region may follow at once.
_SHORT_REGION = re.compile(r"-v*r(.*)")


def _values(argv: Sequence[str]) -> Iterator[str]:
    for option, following in zip(argv, [*argv[1:], ""], strict=True):
        if option == "--region":
            yield following
        elif option.startswith("--region="):
            yield option.partition("=")[2]
        elif short := _SHORT_REGION.fullmatch(option):
            yield short[1] or following


def enforce_max_resources(manager: Any, selected: int) -> None:
    """Raises c7n's ResourceLimitExceeded if a policy in an event mode selected more users than ``max-resources``."""
    data = manager.data
    amount, percent = data.get("max-resources"), data.get("max-resources-percent")
    if not (amount or percent) or is_pull(manager):
        return
    of_all = percent or (isinstance(amount, dict) and amount.get("percent"))
    population = _users_of_account(manager) if of_all else selected
    MaxResourceLimit(manager.ctx.policy, selected, population).check_resource_limits()


def _users_of_account(manager: Any) -> int:
    client = local_session(manager.session_factory).client("iam", manager.config.region)
    with unreadable(manager, "how many users the account has", "iam:GetAccountSummary"):
        return int(Backoff().call(client.get_account_summary)["SummaryMap"]["Users"])


def require_exemptions(manager: Any, action: str, rules: bool = True) -> None:
    """Raises PolicyValidationError if the policy has no filter ``unnecessary`` at the top level.

    ``rules``: that filter must also have exemption rules, a list of them, or ``exempt: none``.
    """
    found = [each for each in manager.filters if each.type == "unnecessary"]
    if not found:
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {action} needs the filter unnecessary at the top level of "
            "filters (not inside and, or, not): add '- type: unnecessary' with its exempt rules"
        )
    if rules and not any(each.states_exemptions for each in found):
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {action} needs exemptions, since break-glass users are "
            "among all users: give unnecessary an exempt rule, such as {path: /emergency/*, reason: break-glass "
            "access, expires: 'YYYY-MM-DD'}, or exempt-from, or, if nobody is exempt, exempt: none"
        )


def exemption_rules(manager: Any, account_id: str, count: Callable[[int], object] = int) -> Rules:
    """The exemption rules of the policy's filters ``unnecessary`` that hold in the users' account, read now.

    ``count``: called with the number of lists that are not on this machine. Raises PolicyExecutionError.
    """
    filters = [each for each in manager.filters if each.type == "unnecessary"]
    count(sum(each.reads_by_call for each in filters))
    # an action matches them with each of its users
    return Rules(rule for each in filters for rule in each.rules(account_id)[0])


_UNDEFINED = re.compile(r"\{([a-z_]\w*)\}", re.IGNORECASE)


def refuse_undefined_variables(manager: Any) -> None:
    """Raises PolicyExecutionError if a value in the policy's filters or actions consists of an undefined variable.

    In a rule of ``exempt`` it may not have one either: a pattern with a variable that nobody fills in spares nobody.
    """
    runtime = {name for name, value in manager.ctx.policy.get_variables().items() if value == f"{{{name}}}"}
    parts = [part.data for part in (*manager.filters, *manager.actions)]
    undefined = sorted({name for name in _variables(parts) if name not in runtime})
    if undefined:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: account {manager.config.account_id}: undefined variables: "
            f"{', '.join(undefined)}. Nothing was touched: define them under vars in accounts.yml (c7n-org), "
            "or in a file of its own for custodian run --vars-file"
        )


def _variables(value: Any, in_exempt: bool = False) -> Iterator[str]:
    if isinstance(value, str):
        whole = _UNDEFINED.fullmatch(value.strip())
        yield from _UNDEFINED.findall(value) if in_exempt else [whole[1]] if whole else ()
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _variables(part, in_exempt or key == "exempt")
    elif isinstance(value, list):
        for part in value:
            yield from _variables(part, in_exempt)
