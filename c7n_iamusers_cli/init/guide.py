# SPDX-License-Identifier: Apache-2.0
"""README.md of a workspace: the exact commands of its first day, in ten lines. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from c7n_iamusers_cli.init.plan import DEPLOYER, MAILER, ON_CALL, PROVISIONER, REMOVER, RESTORER, RUNNER, Plan
from c7n_iamusers_cli.init.questions import EXTERNAL, REALTIME, chosen
from c7n_iamusers_cli.init.stacks import CENTER, MEMBERS, REALTIME_STACK, RUNNERS
from c7n_iamusers_cli.init.texts import policy_files


@dataclass(frozen=True)
class Deployment:
    """``template``: the name of its file and of the stack or, with ``is_set``, of the stack set. ``what``: in words.

    ``again``: the command that brings it to a template that has changed.
    """

    template: str
    region: str
    what: str
    command: str
    again: str
    is_set: bool = False


def _stack(template: str, region: str, what: str) -> Deployment:
    command = (
        f"aws cloudformation deploy --region {region} --stack-name {template} --template-file "
        f"stacks/{template}.json --capabilities CAPABILITY_NAMED_IAM"
    )
    return Deployment(template, region, what, command, command)


def deployments(plan: Plan) -> Iterator[Deployment]:
    """What makes the roles and buckets, in its order."""
    where = ""
    if plan.runner != plan.found.account:
        # AWS Organizations makes it in each account that it creates ("Accessing member accounts", its User Guide)
        by = "`sh as OrganizationAccountAccessRole` before it if AWS Organizations created that account"
        where = f", with credentials of account {plan.runner}, such as by {by}"
    yield _stack(RUNNERS, plan.region, f"runner's account{where}")
    if REALTIME in chosen(plan.answers):
        yield _stack(REALTIME_STACK, plan.home, f"what functions in real time share{where}")
    if plan.center:
        yield _stack(CENTER, plan.home, "roles for Identity Center")
    yield _stack(MEMBERS, plan.home, "roles in the management account, which stack sets skip")
    given = (
        f"--region {plan.home} --stack-set-name {MEMBERS} --template-body file://stacks/{MEMBERS}.json "
        "--capabilities CAPABILITY_NAMED_IAM --permission-model SERVICE_MANAGED --auto-deployment "
        "Enabled=true,RetainStacksOnAccountRemoval=false"
    )
    commands = [
        f"aws cloudformation activate-organizations-access --region {plan.home}",
        f"aws cloudformation create-stack-set {given}",
        f"aws cloudformation create-stack-instances --region {plan.home} --stack-set-name {MEMBERS} "
        f"--deployment-targets OrganizationalUnitIds={plan.found.root} --regions {plan.home}",
    ]
    what = "roles in all other accounts, also those that join later"
    again = f"aws cloudformation update-stack-set {given}"
    yield Deployment(MEMBERS, plan.home, what, " && ".join(commands), again, is_set=True)


def preflights(plan: Plan) -> list[tuple[str, list[str]]]:
    """The words of the commands that check what has been deployed: of each role, what it is to do. As which role."""
    files = policy_files(plan)
    removing, restoring = "accounts-remove.yml", "accounts-restore.yml"

    def of(config: str, *names: str) -> list[str]:
        used = [word for each in files if each in names for word in ("-u", f"policies/{each}")]
        mailer = ["--mailer", "mailer.yml", "--mailer-role", plan.role(plan.runner, MAILER)]
        return ["c7n-iamusers", "preflight", "-c", config, *used, *mailer]

    def made(role: str, config: str) -> list[str]:
        return ["c7n-iamusers", "accounts", "-c", "accounts.yml", "--role", role, "-o", config, "--force"]

    asking = of("accounts.yml", "flag-and-notify.yml", "remind.yml", "attempts.yml", "your-access.yml")
    provisioner = ["--role", plan.role(plan.found.account, PROVISIONER)]
    return [
        (RUNNER, asking),
        *(
            [(RUNNER, [*of("accounts.yml", "provision-intents.yml"), *provisioner])]
            if plan.provisions
            else []
        ),
        (RUNNER, made(REMOVER, removing)),
        (RUNNER, of(removing, "brownout.yml", "listen.yml", "quarantine.yml", "delete.yml", "keys.yml")),
        (ON_CALL, made(RESTORER, restoring)),
        (ON_CALL, [*of(restoring, "release.yml"), "--restore"]),
    ]


def functions(plan: Plan) -> list[str]:
    """The commands that deploy the functions into each account, with the list of exemptions that they read."""
    files = [each for each in policy_files(plan) if each.startswith("realtime")]
    accounts, place = "accounts-deploy.yml", shlex.quote(plan.below_output("realtime"))
    return [
        f"sh as {ON_CALL} aws s3 cp policies/exemptions.csv s3://{plan.realtime_bucket}/exemptions.csv",
        f"sh as {RUNNER} c7n-iamusers accounts -c accounts.yml --role {DEPLOYER} -o {accounts} --force",
        *(
            f"sh as {RUNNER} c7n-org run -c {accounts} -u policies/{each} -s {place} --cache-period 0"
            for each in files
        ),
    ]


def readme(plan: Plan) -> str:
    """README.md."""
    steps = [f"{each.what}: `{each.command}`" for each in deployments(plan)]
    run = f"sh as {RUNNER}"
    steps += [
        "check what each role may do: `c7n-iamusers init . --yes`, which ends with `preflight`",
        "everybody who must stay gets a line in policies/exemptions.csv, first of all break-glass users: "
        f"`{run} c7n-iamusers evidence -c accounts.yml` lists all users",
        f"look at the day, and do it; so every day: `{run} c7n-iamusers cycle --dry-run`, `{run} c7n-iamusers cycle`; "
        "in the first wave access and deletions wait until you have read their plan, which the cycle prints: "
        f"`{run} c7n-iamusers approve SHA256`",
        f"send the mails, every ten minutes: `sh as {MAILER} c7n-mailer --run -c mailer.yml`",
    ]
    if REALTIME in chosen(plan.answers):
        steps.append(f"real time: {', '.join(f'`{each}`' for each in functions(plan))}")
    if plan.provisions and plan.answers.get("identity-source") != EXTERNAL:
        steps.append(
            'in Identity Center, Settings, Authentication: switch on "Send email OTP", as people whose user is created '
            "by API get no invitation"
        )
    if plan.answers.get("identity-source") == EXTERNAL:
        steps.append(
            "your provider makes people by SCIM: `provision` makes nobody, people-to-add.csv in its output lists who "
            "is missing, and the IAM user of each stays until that person is there"
        )
    lines = [f"{number}. {each}" for number, each in enumerate(steps, 1)]
    about = (
        "Written by `c7n-iamusers init`; docs/runbook.md explains each step. In this directory, with the AWS CLI, and "
        "credentials of the management account where nothing else is said:"
    )
    return f"# IAM users of {plan.found.organization}\n\n{about}\n\n" + "\n".join(lines) + "\n"
