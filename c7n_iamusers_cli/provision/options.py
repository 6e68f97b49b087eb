# SPDX-License-Identifier: Apache-2.0
"""The options that several commands of ``c7n-iamusers provision`` have.

Each group is a decorator, and reaches the command as one value. In ``--help``, a command's own options come first, then
these, by section.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from c7n_iamusers import defaults
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.identity_center.output.aws_config import TEMPLATE as PROFILE_TEMPLATE
from c7n_iamusers.identity_center.output.aws_config import check_template
from c7n_iamusers.identity_center.planning.quotas import CenterQuotas
from c7n_iamusers_cli.arguments import S3
from c7n_iamusers_cli.arguments import external_id as checked_external_id

#: Stands for a directory that does not exist.
NONE = "none"
_Decorator = Callable[[Callable[..., None]], Callable[..., None]]


class Place(click.Path):
    """A path, or an ``s3://`` URL, which is not checked."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        return value if str(value).startswith(S3) else super().convert(value, param, ctx)


class RecordsOptions(Place):
    """A ``Place`` that exists, even before the first run: otherwise a mistyped name would begin new records."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if not str(value).startswith(S3) and not Path(value).exists():
            self.fail(
                f"directory {value} does not exist: correct the path to where earlier runs left identity-center-runs/; "
                f"or, before the first run, create it: mkdir -p {shlex.quote(str(value))}",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


class _PlaceOrNone(Place):
    """A ``Place``, or ``none``."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        return value if value == NONE else super().convert(value, param, ctx)


def _age(_context: click.Context, _parameter: click.Parameter, text: str) -> timedelta:
    """Minutes, hours or days. Raises click.BadParameter."""
    found = re.fullmatch(r"([1-9]\d{0,5})([mhd])", text, re.ASCII)
    if found is None:
        raise click.BadParameter(f"{text!r} is not an age such as 90m, 24h or 2d")
    units = {"m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[found.group(2)]: int(found.group(1))})


def in_a_directory(_context: click.Context, _parameter: click.Parameter, file: Path | None) -> Path | None:
    """Raises click.BadParameter for a file in a directory that does not exist."""
    if file and not file.parent.is_dir():
        raise click.BadParameter(f"there is no directory {file.parent}: create it, or correct the path")
    return file


def _quotas(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> CenterQuotas:
    """Raises click.BadParameter."""
    found: dict[str, int] = {}
    names = {field.name.replace("_", "-"): field.name for field in fields(CenterQuotas)}
    for text in given:
        name, _, number = text.partition("=")
        if name not in names or not number.isdecimal():
            raise click.BadParameter(
                f"{text!r} is not a quota: give one of {', '.join(names)}, = and a number"
            )
        found[names[name]] = int(number)
    return CenterQuotas(**found)


def _template(_context: click.Context, _parameter: click.Parameter, template: str | None) -> str | None:
    """Raises click.BadParameter."""
    try:
        check_template(template or "")
    except InvalidPolicyData as error:
        raise click.BadParameter(str(error)) from error
    return template


class SharedOption(click.Option):
    """An option of several commands. ``section``: where it is in ``--help``."""

    def __init__(self, *names: Any, section: str = "", **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.section = section


class Command(click.Command):
    """A command with its own options first, then shared ones in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"": []}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                sections.setdefault(getattr(param, "section", ""), []).append(record)
        for name, records in sections.items():
            with formatter.section(name or "Options"):
                formatter.write_dl(records)


def _shared(section: str) -> Callable[..., _Decorator]:
    return partial(click.option, cls=SharedOption, section=section)


def _as_one(name: str, kind: type, *options: _Decorator) -> _Decorator:
    """A decorator that adds ``options``, and passes their values as ``name``, a ``kind`` with a field for each."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def command(**given: Any) -> None:
            values = {field.name: given.pop(field.name) for field in fields(kind)}
            function(**given, **{name: kind(**values)})

        found: Callable[..., None] = command
        for option in reversed(options):
            found = option(found)
        return found

    return decorate


_center_option = _shared("Identity Center")
role_option = _center_option(
    "--role", metavar="ARN", help="Assume this role of the Identity Center account, as the policies' role:."
)
region_option = _center_option(
    "--region", help="Identity Center's primary Region; the environment's by default."
)
external_id_option = _center_option(
    "--external-id",
    default="",
    metavar="TEXT",
    callback=checked_external_id,
    help="The external id that the trust policies of --role and --member-role ask for. For --member-role, the default "
    "is external_id of the account in the accounts file.",
)


@dataclass(frozen=True)
class CenterOptions:
    """How to reach Identity Center."""

    role: str | None
    region: str | None
    external_id: str


#: Passes ``at``, CenterOptions.
of_center = _as_one("at", CenterOptions, role_option, region_option, external_id_option)

_intent_option = _shared("Intents, and how they are checked")
member_role_option = _intent_option(
    "--member-role",
    metavar="ARN",
    help="Assume this role in each account, 'arn:aws:iam::{account_id}:role/NAME', to read users and policies again.",
)


@dataclass(frozen=True)
class IntentOptions:
    """The intents of all accounts, and how to check them."""

    output_dir: str
    records: str | None
    accounts: Path | None
    policies: tuple[Path, ...]
    member_role: str | None
    trust_intents: bool
    people_from: Path | None
    email_tags: tuple[str, ...]
    email_domains: tuple[str, ...]
    identity_source: str | None
    max_age: timedelta
    resource_policies: tuple[Path, ...]


#: Passes ``given``, IntentOptions.
of_intents = _as_one(
    "given",
    IntentOptions,
    _intent_option(
        "-s",
        "--output-dir",
        required=True,
        type=Place(exists=True, file_okay=False),
        metavar="OUTPUT_DIR",
        help="The output of the c7n-org run with the intents: a directory, or s3://BUCKET/PREFIX.",
    ),
    _intent_option(
        "--records",
        type=RecordsOptions(exists=True, file_okay=False),
        metavar="PLACE",
        help="The records of all runs: a directory or s3://BUCKET/PREFIX, one for the organization. By default "
        "OUTPUT_DIR, which must then be the same for every run.",
    ),
    _intent_option(
        "-c",
        "--accounts",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="c7n-org's accounts file, to check the accounts of intents against their directories, for the variables "
        "of -u, and for external ids.",
    ),
    _intent_option(
        "-u",
        "--use",
        "policies",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        multiple=True,
        metavar="POLICIES",
        help="The policies that c7n-org ran. The settings of intents must be theirs. Their people-from, email-domains "
        "and e-mail tags apply unless options override them. Repeatable.",
    ),
    member_role_option,
    _intent_option(
        "--trust-intents",
        is_flag=True,
        help="Trust intents whose accounts can't be read again, people that neither their account nor --people-from "
        "confirms, files in OUTPUT_DIR that others can write, and, without -u, the settings of intents.",
    ),
    _intent_option(
        "--people-from",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="The person of each user, instead of the one in the intents: csv, json or yaml, as the policies' "
        "people-from.",
    ),
    _intent_option(
        "--email-tag",
        "email_tags",
        multiple=True,
        metavar="KEY",
        help="The tag with a user's own e-mail, read again to confirm the user's person; by default those of the "
        "policies given by -u, else Email. Repeatable.",
    ),
    _intent_option(
        "--email-domain",
        "email_domains",
        multiple=True,
        metavar="DOMAIN",
        help="Refuse people whose e-mail has another domain, as the policies' email-domains. Repeatable.",
    ),
    _intent_option(
        "--identity-source",
        type=click.Choice(["identity-center", "external"]),
        help="Refuse intents with the other identity source. identity-center also states that no identity provider "
        "feeds the identity store, even if users or groups have ExternalIds.",
    ),
    _intent_option(
        "--max-age",
        callback=_age,
        default=f"{defaults.INTENTS_MAX_AGE}h",
        show_default=True,
        help="Refuse intents that are older: minutes, hours or days, as in 90m, 24h, 2d.",
    ),
    _intent_option(
        "--resource-policies",
        type=click.Path(exists=True, path_type=Path),
        multiple=True,
        metavar="PATH",
        help="Count the policies of buckets, keys, queues and other resources in the verdicts: the output of policies "
        "as docs/identity-center.md shows, a directory or a resources.json; at most as old as --max-age. Repeatable.",
    ),
)


@dataclass(frozen=True)
class ChosenAccounts:
    """The accounts whose intents are taken; all if nothing is given."""

    names: tuple[str, ...]
    tags: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.names or self.tags)


#: Passes ``chosen``, ChosenAccounts.
of_chosen_accounts = _as_one(
    "chosen",
    ChosenAccounts,
    _intent_option(
        "-a",
        "--account",
        "names",
        multiple=True,
        metavar="NAME",
        help="With -c: only the intents of the account of this name or id. Repeatable.",
    ),
    _intent_option(
        "-t",
        "--tags",
        multiple=True,
        metavar="TAG",
        help="With -c: only the intents of accounts with this tag; with several tags, all of them. Repeatable.",
    ),
)


@dataclass(frozen=True)
class RemovalOptions:
    """What to remove, and where to read whom this tool deleted."""

    unrequested: bool
    former_days: int | None
    lock_out: bool
    deletions: tuple[str, ...]


deletions_option = click.option(
    "--deletions",
    type=_PlaceOrNone(exists=True, file_okay=False),
    multiple=True,
    metavar="DIR",
    help="The output of the policies that delete IAM users, a directory or s3://BUCKET/PREFIX. People whose users they "
    "deleted have moved and are not former people. Repeatable. `none` if no policy deletes any.",
)
#: Passes ``removals``, RemovalOptions.
of_removals = _as_one(
    "removals",
    RemovalOptions,
    click.option(
        "--unrequested",
        is_flag=True,
        help="Remove managed objects that are no longer requested (`-` in a plan). Run it over the intents of all "
        "policies together.",
    ),
    click.option(
        "--former",
        "former_days",
        type=click.IntRange(min=1),
        metavar="DAYS",
        help="Remove memberships that an earlier run made for IAM users that, by the records of audits and such runs, "
        "have been gone for DAYS days or more, such as 30. It may be the only access of these people. Needs "
        "--member-role and --deletions.",
    ),
    click.option(
        "--lock-out",
        is_flag=True,
        help="With --unrequested: also remove the access of people who may have no other.",
    ),
    deletions_option,
)


@dataclass(frozen=True)
class Writing:
    """How a run writes: what its plan must be, and what else it leaves."""

    reviewed: Path | None
    plan_sha256: str
    timeout: int
    profile_names: str


timeout_option = click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=900,
    show_default=True,
    help="Seconds for one assignment.",
)
#: Passes ``writing``, Writing.
of_writing = _as_one(
    "writing",
    Writing,
    click.option(
        "--plan",
        "reviewed",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Apply this reviewed plan, which `provision plan --out` wrote, and nothing else.",
    ),
    click.option(
        "--plan-sha256", default="", metavar="SHA", help="With --plan: the SHA-256 of the reviewed plan."
    ),
    timeout_option,
    click.option(
        "--aws-config",
        "profile_names",
        is_flag=False,
        flag_value=PROFILE_TEMPLATE,
        default="",
        callback=_template,
        metavar="[TEMPLATE]",
        help="Write a file for the ~/.aws/config of each person who has access, with a profile for each account and "
        "permission set, below OUTPUT_DIR/identity-center-profiles/. The profiles' names are by TEMPLATE, "
        f"'{PROFILE_TEMPLATE}' by default; {{account_id}} is known, too. With -c, which has the accounts' names.",
    ),
)

new_records_option = click.option(
    "--new-records",
    is_flag=True,
    help="Begin new records although Identity Center has objects that this tool manages. Earlier assignments then "
    "count as others', and can't be undone.",
)
quotas_option = click.option(
    "--quota",
    "quotas",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_quotas,
    help="A quota of Identity Center that was raised: permission-sets, sets-per-account, groups-per-set, "
    "policies-per-set or groups-per-person.",
)
