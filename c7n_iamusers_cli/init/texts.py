# SPDX-License-Identifier: Apache-2.0
"""The files of a workspace but its stacks, as texts: from those that this package ships, with the answers in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from c7n_iamusers.cycle.settings import read_settings
from c7n_iamusers.cycle.steps import STEPS
from c7n_iamusers.defaults import CLEAN_DAYS
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.text.documents import NotInFormat
from c7n_iamusers.text.yaml_documents import read_yaml
from c7n_iamusers_cli.init.plan import (
    CENTER_READER,
    PROVISIONER,
    QUEUE,
    READER,
    REALTIME_QUEUE,
    REMOVER,
    RESTORER,
    Plan,
)
from c7n_iamusers_cli.init.questions import (
    BROWNOUT,
    EXTERNAL,
    KEYS,
    MACHINES,
    PEOPLE,
    REALTIME,
    REALTIME_DENY,
    SES,
    chosen,
)
from c7n_iamusers_cli.shipped import shipped
from c7n_iamusers_cli.yaml_files import as_yaml

_BY_INIT = "Written by c7n-iamusers init"
#: A line of the shipped accounts.yml with a variable.
_VARIABLE_LINE = re.compile(r"  (?P<name>[a-z_]+): (?P<value>.*)")
_PLAIN_VALUE = re.compile(r"[A-Za-z][\w./:@?&=*-]*", re.ASCII)
#: The kinds of users of the filter ``unnecessary``, by what was chosen.
_KINDS = {MACHINES: "[machine, no-credentials]", PEOPLE: "[human, mixed, unknown]"}
#: The filter that reads Identity Center in the policies that only tell.
_CENTER_FILTER = re.compile(
    r"^      # selects all of them, and reads who has access[^\n]*\n      - type: identity-center\n(?:        .*\n)+",
    re.MULTILINE,
)
_POLICY = re.compile(r"^  - name: (?P<name>\S+)\n(?:(?!  - name: ).*\n?)*", re.MULTILINE)
#: Whether Identity Center asks for MFA, by what was answered; else the policies leave it open.
_MFA = {"yes": "true", "no": "false"}
#: The policies of machines, and those of people, in the files that have both.
_OF_PEOPLE = re.compile(r"iam-(users-(brownout|listen|quarantine|delete)|keys-(park|retire))-people")
_OF_MACHINES = re.compile(r"iam-(users-(brownout|listen|quarantine|delete)|keys-(park|retire))")
#: The policies that tell owners which keys are to go, of both.
_TELLING_OF_KEYS = ("iam-keys-announce", "iam-keys-remind")


def policy_files(plan: Plan) -> list[str]:
    """The names of the files of policies, in the order of a day."""
    wanted = chosen(plan.answers)
    return [
        *("flag-and-notify.yml", "remind.yml"),
        *(["provision-intents.yml"] if PEOPLE in wanted else []),
        *(["brownout.yml"] if BROWNOUT in wanted else []),
        *("listen.yml", "quarantine.yml", "attempts.yml", "delete.yml", "release.yml"),
        *(["keys.yml"] if KEYS in wanted else []),
        *(["your-access.yml"] if PEOPLE in wanted else []),
        *(["realtime.yml"] if REALTIME in wanted else []),
        *(["realtime-quarantine.yml"] if REALTIME_DENY in wanted else []),
    ]


def policies(plan: Plan) -> Iterator[tuple[str, str]]:
    """The name and the text of each file."""
    for name in policy_files(plan):
        yield f"policies/{name}", _policy_text(plan, name)


def _policy_text(plan: Plan, name: str) -> str:
    text = (shipped("policies") / name).read_text()
    wanted = chosen(plan.answers)
    text = text.replace("the checkout's root", "this directory").replace(
        "of the checkout", "of this directory"
    )
    domains = f"email-domains: [{', '.join(plan.domains)}]"
    for written in ("# email-domains: [example.com]", "email-domains: [example.com]"):
        text = text.replace(written, domains)
    if plan.answers.get("identity-source") == EXTERNAL:
        text = text.replace("identity-source: identity-center", f"identity-source: {EXTERNAL}")
    if (asks := _MFA.get(plan.answers.get("identity-center-mfa", ""))) is not None:
        text = text.replace("derive: true", f"derive: {{identity-center-mfa: {asks}}}")
    if BROWNOUT in wanted and name == "flag-and-notify.yml":
        text = text.replace('# brownout-after: "{', 'brownout-after: "{')
    if not plan.center:
        text = _CENTER_FILTER.sub("", text)
    if only := next((each for each in _KINDS if {each} == wanted & {PEOPLE, MACHINES}), ""):
        text = _of_one_kind(text, only, name)
    return text


def _of_one_kind(text: str, only: str, name: str) -> str:
    """Of the policies for people and for machines, one; and only such users are announced and reminded of."""
    filtered = "      - type: unnecessary\n"
    of_kind = f"{filtered}        kinds: {_KINDS[only]}\n"
    if name in ("flag-and-notify.yml", "remind.yml"):
        return text.replace(filtered, of_kind)
    text = _POLICY.sub(
        lambda each: each[0].replace(filtered, of_kind) if each["name"] in _TELLING_OF_KEYS else each[0], text
    )
    left_out = _OF_PEOPLE if only == MACHINES else _OF_MACHINES
    gone = [each["name"] for each in _POLICY.finditer(text) if left_out.fullmatch(each["name"])]
    text = _POLICY.sub(lambda each: "" if each["name"] in gone else each[0], text)
    return re.sub(r"of: \[([^\[\]\n]*)\]", lambda of: f"of: [{_without(of[1], gone)}]", text)


def _without(names: str, gone: list[str]) -> str:
    return ", ".join(each for each in names.split(", ") if each not in gone)


def exemptions(plan: Plan) -> str:
    """The list of exemptions: a list without rules is refused, so it begins with the usual rule."""
    expires = f"{int(plan.day[:4]) + 1}-12-31"
    return (
        "account,user,path,reason,owner,expires,alarm\n"
        f',,/emergency/*,"break-glass access, sealed in the safe",{plan.contact},{expires},use\n'
    )


def accounts(plan: Plan) -> str:
    """accounts.yml: the shipped variables, with their explanations, and the accounts of the organization."""
    text = shipped("accounts.yml").read_text()
    head, _, _ = text[text.index("vars:\n") :].partition("\naccounts:\n")
    values = {**_variables(plan), **plan.variables}
    lines = [(line, _VARIABLE_LINE.fullmatch(line)) for line in head.splitlines()]
    for name in values.keys() - {found["name"] for _, found in lines if found}:
        raise InvalidPolicyData(f"nothing was written: accounts.yml has no variable {name}: correct --set")
    head = "\n".join(
        f"  {found['name']}: {_value(values, found)}" if found else line for line, found in lines
    )
    head = head.replace("the checkout's root", "this directory")
    entries = [_entry(plan, each) for each in plan.members]
    body = as_yaml({"accounts": entries}).removeprefix("---\n")
    about = (
        f"---\n# {_BY_INIT}. Each active account of {plan.found.organization}, with the role that only reads.\n"
        "# `c7n-iamusers cycle` makes the files with the roles that change users from this one.\n"
    )
    whole = f"{about}{head}\n\n{body}"
    if read_yaml(whole)["accounts"] != entries:
        raise InvalidPolicyData("nothing was written: accounts.yml would be read as something else")
    return whole


def _value(values: Mapping[str, Any], line: re.Match[str]) -> str:
    if line["name"] not in values:
        return line["value"]
    value = values[line["name"]]
    return value if isinstance(value, str) and _PLAIN_VALUE.fullmatch(value) else json.dumps(value)


def _variables(plan: Plan) -> dict[str, Any]:
    """What the answers say of the variables. All others are days, and stay as they are shipped."""
    management = plan.found.account
    found = {
        "queue_url": plan.queue(QUEUE, plan.region),
        "notices": f"s3://{plan.notices_bucket}/notices?region={plan.region}",
        "records": plan.below_output("intents"),
        "realtime_queue_url": plan.queue(REALTIME_QUEUE, plan.home),
        "lambda_bucket": plan.realtime_bucket,
        "email_domain": plan.domains[0],
        **dict.fromkeys(("contact", "escalate_to", "alarm_to"), plan.contact),
        "identity_center_role": plan.role(management, CENTER_READER),
        "identity_center_region": plan.center.region if plan.center else plan.home,
    }
    if plan.center:
        found["start_url"] = portal(plan.center.store, plan.partition, plan.center.region)
    return found


def portal(store: str, partition: str, region: str) -> str:
    """The address of the access portal, by the id of its identity store.

    "Using the AWS access portal" (IAM Identity Center User Guide) and, for the others, "IAM Identity Center" in the
    guides of AWS in China and AWS GovCloud (US).
    """
    if partition == "aws-cn":
        return f"https://start.{region}.home.awsapps.cn/directory/{store}"
    if partition == "aws-us-gov":
        return f"https://start.us-gov-home.awsapps.com/directory/{store}"
    return f"https://{store}.awsapps.com/start"


def _entry(plan: Plan, member: Any) -> dict[str, Any]:
    return {
        "name": member.name,
        "account_id": member.account_id,
        "role": plan.role(member.account_id, READER),
        "regions": [plan.home],
        "tags": [f"wave:{member.wave}", f"path:{_as_tag(member.path)}"],
        "vars": {"account_name": member.name, **({"owner": member.owner} if member.owner else {})},
    }


def _as_tag(path: str) -> str:
    """The path of a unit, whose names anybody with the management account chooses, in plain characters."""
    return re.sub(r"[^\w ./@+=-]", "_", path, flags=re.ASCII)


def settings(plan: Plan) -> str:
    """iam-users.yml."""
    data: dict[str, Any] = {
        "organization": plan.found.organization,
        "accounts": "accounts.yml",
        "policies": "policies",
        "output": plan.output,
        "roles": {
            "reader": READER,
            "remover": REMOVER,
            "restorer": RESTORER,
            **({"provisioner": PROVISIONER} if plan.provisions else {}),
        },
        "provision": plan.provisions,
        "waves": {"clean-days": CLEAN_DAYS},
        "mailer": "elsewhere",
    }
    # the steps that run only if the settings name them
    if named := {BROWNOUT, KEYS} & chosen(plan.answers):
        left_out = {each.name for each in STEPS if each.named} - named
        data["steps"] = [
            each.name
            for each in STEPS
            if each.name not in left_out and (plan.provisions or not each.for_people)
        ]
    about = (
        f"---\n# {_BY_INIT}, for `c7n-iamusers cycle`. What policies take is in accounts.yml.\n"
        "# Access and deletions of the first wave wait for `c7n-iamusers approve`; those of all, by\n"
        "# approve: [delete, provision]\n"
    )
    text = about + _yaml(data)
    try:
        read_settings(text)
    except NotInFormat as error:
        raise InvalidPolicyData(f"nothing was written: iam-users.yml: {error}: correct --output") from error
    return text


def mailer(plan: Plan) -> str:
    """mailer.yml. c7n-mailer finds the templates beside this package by itself."""
    data: dict[str, Any] = {
        "queue_url": plan.queue(QUEUE, plan.region),
        "region": plan.region,
        "from_address": plan.contact,
    }
    if plan.answers["mail"] == SES:
        data["ses_region"] = plan.region
    else:
        host, _, port = plan.answers["mail"].rpartition(":")
        data |= {
            "smtp_server": host,
            "smtp_port": int(port),
            "smtp_ssl": host not in ("127.0.0.1", "localhost"),
        }
    about = (
        f"---\n# {_BY_INIT}, for c7n-mailer, which finds the templates of this package where both are installed.\n"
        "# A server that asks for a name takes smtp_username, and smtp_password as KMS encrypts it. Your own policies\n"
        "# with to: [account-emails] take account_emails, which `c7n-iamusers owners --write --mailer` fills in.\n"
    )
    return about + _yaml(data)


def acting(plan: Plan) -> str:
    """The script that runs a command as a role of the runner's account, whichever account the caller is in."""
    text = shipped("deploy/as").read_text()
    before, _, after = text.partition("IFS=: read -r _ partition")
    _, _, after = after.partition("\nEND\n")
    known = f"partition={plan.partition} account={plan.runner}\n"
    return f"{before}{known}{after}".replace(
        "# deploy/as ROLE COMMAND...: runs a command as a role of the caller's account,",
        "# sh as ROLE COMMAND...: runs a command as a role of the runner's account,",
    )


def _yaml(data: Mapping[str, Any]) -> str:
    return as_yaml(data).removeprefix("---\n")
