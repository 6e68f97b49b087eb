# SPDX-License-Identifier: Apache-2.0
"""README.md of a workspace: the exact commands of its first day, in ten lines. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from c7n_iamusers_cli.init.plan import MAILER, RUNNER, Plan
from c7n_iamusers_cli.init.questions import EXTERNAL, REALTIME, chosen
from c7n_iamusers_cli.init.stacks import CENTER, MEMBERS, REALTIME_STACK, RUNNERS


def deploy(stack: str, region: str, template: str = "") -> str:
    """The command that makes a stack, or brings it to its template."""
    file = f"stacks/{template or stack}.json"
    return (
        f"aws cloudformation deploy --region {region} --stack-name {stack} --template-file {file} "
        "--capabilities CAPABILITY_NAMED_IAM"
    )


def deployments(plan: Plan) -> Iterator[tuple[str, str]]:
    """The commands that make the roles and buckets, in their order, each with what it is for."""
    where = "" if plan.runner == plan.found.account else f", with credentials of account {plan.runner}"
    yield f"runner's account{where}", deploy(RUNNERS, plan.region)
    if REALTIME in chosen(plan.answers):
        yield f"what functions in real time share{where}", deploy(REALTIME_STACK, plan.home)
    if plan.center:
        yield "roles for Identity Center", deploy(CENTER, plan.home)
    yield "roles in the management account, which stack sets skip", deploy(MEMBERS, plan.home)
    yield (
        "roles in all other accounts, also those that join later",
        " && ".join(
            [
                f"aws cloudformation activate-organizations-access --region {plan.home}",
                f"aws cloudformation create-stack-set --region {plan.home} --stack-set-name {MEMBERS} --template-body "
                f"file://stacks/{MEMBERS}.json --capabilities CAPABILITY_NAMED_IAM --permission-model SERVICE_MANAGED "
                "--auto-deployment Enabled=true,RetainStacksOnAccountRemoval=false",
                f"aws cloudformation create-stack-instances --region {plan.home} --stack-set-name {MEMBERS} "
                f"--deployment-targets OrganizationalUnitIds={plan.found.root} --regions {plan.home}",
            ]
        ),
    )


def preflight(plan: Plan) -> list[str]:
    """The words of the command that checks what has been deployed, by the role that only reads."""
    from c7n_iamusers_cli.init.texts import policy_files

    reading = (
        "flag-and-notify.yml",
        "remind.yml",
        "attempts.yml",
        "provision-intents.yml",
        "your-access.yml",
    )
    files = [each for each in policy_files(plan) if each in reading]
    return [
        *("c7n-iamusers", "preflight", "-c", "accounts.yml"),
        *(word for each in files for word in ("-u", f"policies/{each}")),
        *("--mailer", "mailer.yml", "--mailer-role", plan.role(plan.runner, MAILER)),
    ]


def readme(plan: Plan) -> str:
    """README.md."""
    steps = [f"{what}: `{command}`" for what, command in deployments(plan)]
    steps += [
        f"act as the runner, for an hour: `sh as {RUNNER} sh`; then check: `{shlex.join(preflight(plan))}`",
        "everybody who must stay gets a line in policies/exemptions.csv, first of all break-glass users: "
        "`c7n-iamusers evidence -c accounts.yml` lists all users",
        "look at the day, then do it, and so every day: `c7n-iamusers cycle --dry-run`, `c7n-iamusers cycle`",
        f"send the mails, outside of that shell, every ten minutes: `sh as {MAILER} c7n-mailer --run -c mailer.yml`",
    ]
    if plan.answers.get("identity-source") == EXTERNAL:
        steps.append(
            "your provider makes people by SCIM: `provision` makes nobody, people-to-add.csv in its output lists who "
            "is missing, and the IAM user of each stays until that person is there"
        )
    lines = [f"{number}. {each}" for number, each in enumerate(steps, 1)]
    about = "Written by `c7n-iamusers init`; docs/runbook.md explains each step. In this directory:"
    return f"# IAM users of {plan.found.organization}\n\n{about}\n\n" + "\n".join(lines) + "\n"
