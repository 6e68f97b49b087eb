# SPDX-License-Identifier: Apache-2.0
"""The role of c7n-mailer from its own configuration, for ``roles`` and ``preflight``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers_cli.arguments import check_principal, is_role_arn, role_name

if TYPE_CHECKING:
    from c7n_iamusers.roles.documents import MailerRole

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_DEFAULT_NAME = "IamUsersMailer"
_LAMBDA = "lambda.amazonaws.com"


@dataclass(frozen=True)
class MailerOptions:
    """``mailer``: the configuration. ``mailer_role``: a name; ``mailer_principal``: who may assume it; else empty."""

    mailer: Path | None
    mailer_role: str
    mailer_principal: str
    mailer_keys: tuple[str, ...]


def mailer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of ``roles`` about c7n-mailer, which are the parameters of MailerOptions."""
    for option in (
        click.option(
            "--mailer-key",
            "mailer_keys",
            multiple=True,
            metavar="ARN",
            help="A key of KMS that encrypts its queue, or a secret in its configuration. Repeatable.",
        ),
        click.option(
            "--mailer-principal",
            default="",
            metavar="ARN|SERVICE",
            help="Who may assume it.  [default: Lambda where the configuration has a role; else the role must exist, "
            "and gets a policy only]",
        ),
        click.option(
            "--mailer-role",
            default="",
            metavar="NAME",
            callback=lambda context, option, value: value and role_name(context, option, value),
            help=f"The name of its role, in the runner's account.  [default: that of the configuration, or "
            f"{_DEFAULT_NAME}]",
        ),
        click.option(
            "--mailer",
            type=_FILE,
            metavar="FILE",
            help="c7n-mailer's configuration, such as mailer.yml: print its role, too.",
        ),
    ):
        command = option(command)
    return command


def mailer_config(file: Path) -> Mapping[str, Any]:
    """c7n-mailer's configuration in ``file``. Raises InvalidPolicyData."""
    from c7n_iamusers.execution.given import parsed_file
    from c7n_iamusers.text.yaml_documents import read_yaml

    try:
        found = parsed_file(file, read_yaml)
    except ValueError as error:
        raise InvalidPolicyData(f"{file} can't be read as c7n-mailer's configuration: {error}") from error
    if not isinstance(found, Mapping) or not isinstance(found.get("queue_url"), str):
        raise InvalidPolicyData(f"{file} is no configuration of c7n-mailer: it has no queue_url")
    return found


def mailer_arn(config: Mapping[str, Any], account: str, partition: str, name: str = "") -> str:
    """The ARN of the role that ``name`` or the configuration gives; empty if neither does. Raises InvalidPolicyData.

    ``account``: of a role that is given as a name.
    """
    given = name or str(config.get("role") or "")
    found = given if given.startswith("arn:") or not given else f"arn:{partition}:iam::{account}:role/{given}"
    if found and not is_role_arn(found):
        raise InvalidPolicyData(
            f"{given!r}, the role of c7n-mailer, is neither the name nor the ARN of a role"
        )
    return found


def mailer_role(options: MailerOptions, runner: str, setup: bool) -> MailerRole | None:
    """The role that c7n-mailer needs; None without a configuration. ``runner``: an ARN. Raises InvalidPolicyData.

    Also raises click.UsageError for options that need a configuration.
    """
    from c7n_iamusers.notices.mailer_needs import mailer_needs
    from c7n_iamusers.roles.documents import MailerRole

    if not options.mailer:
        if options.mailer_role or options.mailer_principal or options.mailer_keys:
            raise click.UsageError("what c7n-mailer needs depends on its configuration: give --mailer FILE")
        return None
    config = mailer_config(options.mailer)
    _, partition, _, _, account, _ = runner.split(":", 5)
    name = options.mailer_role or ("" if config.get("role") else _DEFAULT_NAME)
    arn = mailer_arn(config, account, partition, name)
    principal = options.mailer_principal or (_LAMBDA if config.get("role") else "")
    check_principal("--mailer-principal", principal, arn)
    needs = mailer_needs(config, arn.split(":")[4], partition, options.mailer_keys)
    return MailerRole(arn, principal, needs, setup)
