# SPDX-License-Identifier: Apache-2.0
"""README.md of a workspace: the exact commands of its first day, in ten lines. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from c7n_iamusers_cli.init.plan import DEPLOYER, MAILER, ON_CALL, PROVISIONER, REMOVER, RESTORER, RUNNER, Plan
from c7n_iamusers_cli.init.questions import EXTERNAL, REALTIME, chosen
from c7n_iamusers_cli.init.stacks import CENTER, MEMBERS, REALTIME_STACK, RUNNERS
from c7n_iamusers_cli.init.texts import policy_files


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
        (RUNNER, of(removing, "brownout.yml", "listen.yml", "quarantine.yml", "delete.yml")),
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
    steps = [f"{what}: `{command}`" for what, command in deployments(plan)]
    run = f"sh as {RUNNER}"
    steps += [
        "check what each role may do: `c7n-iamusers init . --yes`, which ends with `preflight`",
        "everybody who must stay gets a line in policies/exemptions.csv, first of all break-glass users: "
        f"`{run} c7n-iamusers evidence -c accounts.yml` lists all users",
        f"look at the day, and do it; so every day: `{run} c7n-iamusers cycle --dry-run`, `{run} c7n-iamusers cycle`",
        f"send the mails, every ten minutes: `sh as {MAILER} c7n-mailer --run -c mailer.yml`",
    ]
    if REALTIME in chosen(plan.answers):
        steps.append(f"real time: {', '.join(f'`{each}`' for each in functions(plan))}")
    if plan.answers.get("identity-source") == EXTERNAL:
        steps.append(
            "your provider makes people by SCIM: `provision` makes nobody, people-to-add.csv in its output lists who "
            "is missing, and the IAM user of each stays until that person is there"
        )
    lines = [f"{number}. {each}" for number, each in enumerate(steps, 1)]
    about = "Written by `c7n-iamusers init`; docs/runbook.md explains each step. In this directory:"
    return f"# IAM users of {plan.found.organization}\n\n{about}\n\n" + "\n".join(lines) + "\n"
