# SPDX-License-Identifier: Apache-2.0
"""Whether the stacks of a workspace are deployed, and `preflight` as the runner, who will run everything."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.text.wording import joined
from c7n_iamusers_cli.cycle.processes import program, without_working_directory
from c7n_iamusers_cli.init.guide import Deployment, deployments, preflights
from c7n_iamusers_cli.init.plan import (
    CENTER_READER,
    MAILER,
    ON_CALL,
    PROVISIONER,
    READER,
    REMOVER,
    RESTORER,
    RUNNER,
)
from c7n_iamusers_cli.init.stacks import CENTER, MEMBERS, REALTIME_STACK, RUNNERS
from c7n_iamusers_cli.init.texts import policy_files
from c7n_iamusers_cli.output import ATTENTION, PROBLEM, say

if TYPE_CHECKING:
    from c7n_iamusers_cli.init.plan import Plan

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
#: The states of a stack whose resources are there ("Stack status codes", CloudFormation User Guide).
_DEPLOYED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"})


def deployed_as(plan: Plan, name: str = RUNNER) -> Mapping[str, str] | None:
    """An environment with credentials of a role of the runner's account; None where the caller can't act as it.

    The role Runner is deployed first, and the roles of accounts trust no other.
    """
    from c7n_iamusers.exceptions import EvidenceUnreadable
    from c7n_iamusers.execution.sessions import account_session

    try:
        session = account_session(plan.role(plan.runner, name), region=plan.region)
    except EvidenceUnreadable:
        return None
    credentials: Any = session.get_credentials()
    keys = credentials.get_frozen_credentials()
    kept = {name: value for name, value in os.environ.items() if name != "AWS_PROFILE"}
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": str(keys.access_key),
        "AWS_SECRET_ACCESS_KEY": str(keys.secret_key),
        "AWS_SESSION_TOKEN": str(keys.token),
        "AWS_DEFAULT_REGION": plan.region,
    }


def is_ready(plan: Plan) -> bool:
    """Whether the roles are deployed, in whichever way: the runner can act as the reader of the first account."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    if (environment := deployed_as(plan)) is None:
        return False
    key, secret, token = (environment[name] for name in _KEYS)
    role = plan.role(plan.members[0].account_id, READER)
    try:
        sts = boto3.Session(key, secret, token, plan.region).client("sts")
        sts.assume_role(RoleArn=role, RoleSessionName="c7n-iamusers")
    except (ClientError, BotoCoreError):
        return False
    return True


def run_preflights(plan: Plan, directory: Path) -> int:
    """Print each command line, and run it in the workspace. Returns PROBLEM, ATTENTION or 0, for all of them."""
    environments, codes = dict[str, Mapping[str, str] | None](), set[int]()
    for name, words in preflights(plan):
        if name not in environments:
            environments[name] = deployed_as(plan, name)
        environment, role = environments[name], plan.role(plan.runner, name)
        if environment is None:
            say(f"look: not checked, since the caller may not act as {role}: {shlex.join(words)}")
            codes.add(ATTENTION)
            continue
        say(f"as {role}: {shlex.join(words)}")
        sys.stdout.flush()
        # by its path: python -c would import modules that lie in the workspace
        done = subprocess.run(
            [program(words[0]), *words[1:]], cwd=directory, env=without_working_directory(environment)
        )
        codes.add(done.returncode)
    return max(codes) if codes <= {0, ATTENTION} else PROBLEM


def undone(plan: Plan) -> list[Deployment]:
    """The stacks of this workspace that are not there, as far as the management account can tell, in their order."""
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.execution.sessions import account_session

    session, found = account_session(region=plan.region), list[Deployment]()
    for each in deployments(plan):
        elsewhere = each.template in (RUNNERS, REALTIME_STACK) and plan.runner != plan.found.account
        client = session.client("cloudformation", region_name=each.region)
        try:
            if elsewhere:
                there = deployed_as(plan) is not None
            elif each.is_set:
                there = (
                    client.describe_stack_set(StackSetName=each.template)["StackSet"]["Status"] == "ACTIVE"
                )
            else:
                (stack,) = client.describe_stacks(StackName=each.template)["Stacks"]
                there = stack["StackStatus"] in _DEPLOYED
        except (ClientError, BotoCoreError):
            there = False
        if not there:
            found.append(each)
    return found


def check_variables(plan: Plan, directory: Path) -> None:
    """Raises InvalidPolicyData for a variable of --set that preflight would refuse, also by the checks of policies.

    ``directory``: has accounts.yml and the policies that are to be.
    """
    from c7n_iamusers.organization.readiness import HOLE, file_checks, targets, with_valid_owner
    from c7n_iamusers.text.yaml_documents import read_yaml
    from c7n_iamusers_cli.policies import loaded, policy_fault

    if not plan.variables:
        return
    target = targets(read_yaml((directory / "accounts.yml").read_text()))[0]
    found = file_checks(target, {}, ())
    faults = [each.text for each in found if each.status == HOLE and each.name in ("days", "texts")]
    exemptions, variables = "policies/exemptions.csv", with_valid_owner(target.variables)
    for name in () if faults else policy_files(plan):
        for policy in loaded(directory / "policies" / name):
            # paths in policies are from the directory of the workspace
            data = json.loads(json.dumps(policy.data).replace(exemptions, str(directory / exemptions)))
            # what runs as a function has variables of its own
            if policy.execution_mode == "pull" and (
                fault := policy_fault(data, target.account_id, target.region, variables)
            ):
                faults.append(f"policies/{name}: {fault}")
    if faults:
        raise InvalidPolicyData(f"nothing was written: --set: {joined(list(dict.fromkeys(faults)))}")


def about_taken(name: str) -> str:
    """What to do about a role whose name a stack is to make, in words."""
    return (
        f"the role {name} is there, and a stack makes none of a name that is taken. If nothing needs it any more: `aws "
        f"iam list-attached-role-policies --role-name {name}`, `aws iam detach-role-policy --role-name {name} "
        f"--policy-arn ARN` for each, the same by list-role-policies and delete-role-policy, and `aws iam delete-role "
        f"--role-name {name}`"
    )


def taken_names(plan: Plan, left: Sequence[Deployment]) -> list[str]:
    """The roles of the management account that the stacks ``left`` would make, and that are there; none if unknown."""
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.execution.retries import error_code
    from c7n_iamusers.execution.sessions import account_session

    own = [RUNNER, ON_CALL, MAILER] if plan.runner == plan.found.account else []
    made = {RUNNERS: own, CENTER: [CENTER_READER, PROVISIONER], MEMBERS: [READER, REMOVER, RESTORER]}
    iam, found = account_session(region=plan.region).client("iam"), list[str]()
    for name in (name for each in left if not each.is_set for name in made.get(each.template, ())):
        try:
            iam.get_role(RoleName=name)
        except (ClientError, BotoCoreError) as error:
            if error_code(error) in ("NoSuchEntity", "NoSuchEntityException"):
                continue
            return []
        found.append(name)
    return found
