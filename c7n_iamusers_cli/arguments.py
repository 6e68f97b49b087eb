# SPDX-License-Identifier: Apache-2.0
"""Checks arguments before a command does anything: account ids, partitions, role ARNs, an accounts file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from c7n_iamusers.exceptions import InvalidPolicyData, OutputUnreadable
from c7n_iamusers.text.validators import is_account_id

if TYPE_CHECKING:
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers.organization.readiness import Target

_Read = TypeVar("_Read")
#: How a place in S3 begins.
S3 = "s3://"
#: Stands for the account's id in a role's ARN.
ACCOUNT_ID = "{account_id}"
# RoleName and Path: IAM API reference, CreateRole
_ROLE = re.compile(r"arn:([a-z-]+):iam::[0-9]{12}:role/([\x21-\x7e]*/)?[\w+=,.@-]{1,64}", re.ASCII)
# Organization: AWS Organizations API reference
_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
# InstanceArn: IAM Identity Center API reference; IdentityStoreId: Identity Store API reference
_INSTANCE = re.compile(r"arn:[a-z-]+:sso:::instance/(sso)?ins-[a-zA-Z0-9-.]{16}", re.ASCII)
_STORE = re.compile(r"d-[0-9a-f]{10}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# ExternalId: STS API reference, AssumeRole
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


def _of_workspace() -> tuple[str, ...]:
    """The output of the workspace in this directory. Raises UsageError where its settings can't be read."""
    from c7n_iamusers.cycle.settings import SETTINGS_FILE, read_settings
    from c7n_iamusers.execution.given import parsed_file

    file = Path(SETTINGS_FILE)
    if not file.is_file():
        return ()
    try:
        return (parsed_file(file, read_settings).output,)
    except (ValueError, OSError) as error:
        raise click.UsageError(f"{file}: {error}") from error


#: ``notices_place``: where a fleet's notices are, if not where its accounts file says.
notices_option = click.option(
    "--notices",
    "notices_place",
    metavar="PLACE",
    help="Where the notices are.  [default: notices under vars in the accounts file]",
)
#: The option -s of commands that read what runs have left.
output_places = click.option(
    "-s",
    "--output-dir",
    "places",
    required=True,
    multiple=True,
    default=_of_workspace,
    metavar="OUTPUT_DIR",
    help="The -s of custodian or c7n-org, or a directory with several of these. Repeatable.  [default: in a workspace, "
    "the output of iam-users.yml]",
)


class _AccountsFile(click.Path):
    """c7n-org's accounts file. Who has none is told how to get one."""

    _NEXT = "`c7n-iamusers init DIR` writes accounts.yml for an organization"

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """After the name of the option."""
        return f"Give -c accounts.yml; {self._NEXT}."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            self.fail(f"{error.message.rstrip('.')}: {self._NEXT}.", param, ctx)


#: The option -c of commands that need all of the accounts file.
accounts_file = click.option(
    "-c",
    "--config",
    required=True,
    type=_AccountsFile(path_type=Path, exists=True, dir_okay=False),
    help="c7n-org's accounts file.",
)


def accounts_to_read(what: str, *, required: bool = False) -> Callable[[Any], Any]:
    """The option -c of commands that read in accounts. ``what``: what is read there, for --help."""
    return click.option(
        "-c",
        "--config",
        "accounts_file",
        required=required,
        type=_AccountsFile(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help=f"c7n-org's accounts file: {what}",
    )


def regions_to_read(help_: str) -> Callable[[Any], Any]:
    """The option -r of commands that read in Regions. A name that is none is refused (``region_fault``)."""
    return click.option(
        *("-r", "--region", "regions"), multiple=True, metavar="REGION", help=help_, callback=_known_regions
    )


def _known_regions(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    from c7n_iamusers.iam.accounts import region_fault

    if faults := [*filter(None, map(region_fault, names))]:
        raise click.BadParameter("; ".join(faults))
    return names


def open_place(place: str, below: str = "") -> Store:
    """The store of a directory, or of ``s3://BUCKET/PREFIX``. Raises OutputUnreadable if there is no such directory.

    ``below``: what follows the prefix in a bucket's keys. It is not parsed as a URL, because others may have chosen it.

    Like Cloud Custodian's own output, a bucket is accessed with the session's own credentials, without any --role.
    """
    from c7n_iamusers.execution.stores import DirectoryStore

    if not place.startswith(S3):
        if not Path(place).is_dir():
            raise OutputUnreadable(
                f"{place} is no directory: give -s the one that custodian run or c7n-org run was given; in a "
                "workspace, the output of iam-users.yml"
            )
        return DirectoryStore(Path(place))
    from c7n_iamusers.execution.bucket_store import bucket_output
    from c7n_iamusers.execution.sessions import fleet_session

    store = bucket_output(place, fleet_session(None, None))
    return store.below(below) if below else store


def fleet_choice(
    about_file: str, about_account: str, required: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options -c (c7n-org's accounts file) and -a of commands on outputs. ``about_...``: their help."""

    def options(command: Callable[..., Any]) -> Callable[..., Any]:
        path = click.Path(path_type=Path, exists=True, dir_okay=False)
        chosen = click.option("-a", "--account", "names", multiple=True, metavar="NAME", help=about_account)(
            command
        )
        return click.option(
            "-c", "--accounts", "accounts_file", type=path, required=required, metavar="FILE", help=about_file
        )(chosen)

    return options


def account_choice(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options -a and -t, which choose accounts of -c's file as c7n-org's options do."""
    for option in (
        click.option(
            "-t",
            "--tags",
            multiple=True,
            metavar="TAG",
            help="With -c: only accounts with this tag; with several tags, all of them (repeatable).",
        ),
        click.option(
            "-a",
            "--accounts",
            "names",
            multiple=True,
            metavar="NAME",
            help="With -c: only the account of this name or id (repeatable).",
        ),
    ):
        command = option(command)
    return command


def account_id(_: click.Context, __: click.Parameter, value: str) -> str:
    """An account id of 12 digits. Raises click.BadParameter for anything else."""
    if not is_account_id(value):
        raise click.BadParameter(f"{value!r} is not an account id of 12 digits, such as 111122223333")
    return value


def account_ids(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Account ids of 12 digits. Raises click.BadParameter for anything else."""
    return tuple(account_id(context, parameter, value) for value in values)


def any_account_id(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """An account id of 12 digits, or ``*``. Raises click.BadParameter for anything else."""
    return value if value == "*" else account_id(context, parameter, value)


def external_id(_: click.Context, __: click.Parameter, value: str) -> str:
    """An external id; empty for none. Raises click.BadParameter for anything else."""
    if value and not _EXTERNAL_ID.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} is not an external id: give 2 to 1,224 letters, digits and _+=,.@:/-, without spaces"
        )
    return value


def organization_id(_: click.Context, __: click.Parameter, value: str) -> str:
    """The id of an organization; empty for none. Raises click.BadParameter for anything else."""
    if value and not _ORGANIZATION.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not the id of an organization, such as o-a1b2c3d4e5")
    return value


def instance_arn(_: click.Context, __: click.Parameter, value: str) -> str:
    """The ARN of an instance of Identity Center; empty for none. Raises click.BadParameter for anything else."""
    if value and not _INSTANCE.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} is not the ARN of an instance, such as arn:aws:sso:::instance/ssoins-1234567890abcdef: "
            "aws sso-admin list-instances has it"
        )
    return value


def identity_store(_: click.Context, __: click.Parameter, value: str) -> str:
    """The id of an identity store; empty for none. Raises click.BadParameter for anything else."""
    if value and not _STORE.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} is not the id of an identity store, such as d-1234567890: aws sso-admin list-instances has it"
        )
    return value


def partition(_: click.Context, __: click.Parameter, value: str) -> str:
    """A partition that botocore knows. Raises click.BadParameter for any other."""
    _check_partition(value)
    return value


partition_option = click.option(
    "--partition",
    default="aws",
    show_default=True,
    callback=partition,
    help="aws, aws-cn, aws-us-gov, ...",
)


#: A service, a role or a user, or an account; or nothing.
_PRINCIPAL = re.compile(
    r"([a-z0-9-]+\.)+amazonaws\.com(\.cn)?"
    r"|arn:(?P<partition>[a-z-]+):iam::(?P<account>[0-9]{12}):(?P<name>root|(role|user)/[\w+=,.@/-]*[\w+=,.@-])"
    r"|",
    re.ASCII,
)
policy_files = click.option(
    "-u",
    "--use",
    "--policy",
    "files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    required=True,
    metavar="FILE",
    help="A file of policies. May be repeated.",
)


def role_arn(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The ARN of a role, or None if none is given. Raises click.BadParameter for anything else."""
    if value is None:
        return None
    if not is_role_arn(value):
        raise click.BadParameter(
            f"{value!r} is not the ARN of a role, such as arn:aws:iam::111122223333:role/CloudCustodian"
        )
    _check_partition(value.split(":")[1])
    return value


def role_arns(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """ARNs of roles, each once. Raises click.BadParameter for anything else."""
    for value in values:
        role_arn(context, parameter, value)
    return tuple(dict.fromkeys(values))


def targets_in(
    path: Path, names: Sequence[str] = (), tags: Sequence[str] = (), *, strict: bool = True
) -> tuple[Target, ...]:
    """The accounts of the file, or those that ``names`` and ``tags`` choose. ``strict``: see ``targets``.

    Raises InvalidPolicyData.
    """
    from c7n_iamusers.organization.readiness import chosen, targets

    found = read_accounts(path, partial(targets, strict=strict))
    if not names and not tags:
        return found
    try:
        return chosen(found, names, tags)
    except ValueError as error:
        raise InvalidPolicyData(f"{path}: {error}: correct -a and -t, or the file") from error


def read_accounts(path: Path, read: Callable[[Any], _Read]) -> _Read:
    """The result of ``read`` for the content of the accounts file. Its ValueError becomes InvalidPolicyData.

    A repeated key is refused: YAML's reader would silently drop the first value.
    """
    from c7n_iamusers.execution.given import parsed_file
    from c7n_iamusers.text.yaml_documents import read_yaml

    try:
        return parsed_file(path, lambda content: read(read_yaml(content)))
    except ValueError as error:
        raise InvalidPolicyData(f"{path}: can't be read as c7n-org's accounts file: {error}") from error


def is_role_arn(value: str) -> bool:
    """Whether ``value`` is the ARN of one role."""
    # in a policy, * and ? stand for other roles, too
    return bool(_ROLE.fullmatch(value)) and not {"*", "?"} & set(value)


def role_name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """The name of a role, without a path. Raises click.BadParameter for anything else."""
    if not _ROLE_NAME.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} is not the name of a role: give up to 64 letters, digits and _+=,.@-, without a path"
        )
    return value


def role_template(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The ARN of a role, with {account_id} allowed in place of an account's id. Raises click.BadParameter."""
    role_arn(context, parameter, value and value.replace(ACCOUNT_ID, "111122223333"))
    return value


def _check_partition(name: str) -> None:
    from c7n_iamusers.iam.accounts import partitions

    if name not in partitions():
        raise click.BadParameter(f"there is no partition {name!r}; it is one of {', '.join(partitions())}")


def check_principal(option: str, principal: str, role: str) -> None:
    """Raises click.UsageError for a principal that ``role`` (its ARN) can't trust, or that would let in too many."""
    found = _PRINCIPAL.fullmatch(principal)
    if found is None:
        raise click.UsageError(
            f"{option}: {principal!r} is neither a service, such as ec2.amazonaws.com, nor the ARN of a role "
            "or user. Give the role of a session in its place; for a federated principal leave the option out, and "
            "create the role with its trust policy yourself"
        )
    _, partition, _, _, account = role.split(":")[:5]
    if found["account"] and found["partition"] != partition:
        raise click.UsageError(f"{option}: {principal} is in another partition than {role}")
    if found["name"] == "root" and found["account"] != account:
        raise click.UsageError(
            f"{option}: {principal} would let every role and user of account {found['account']} act as {role} that "
            "its own policies allow to: give the ARN of one role there"
        )
