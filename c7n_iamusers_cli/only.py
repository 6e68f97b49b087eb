# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers only``: narrows policies to the named users."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import click

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.user_fields import NAME_KEY, named_alone
from c7n_iamusers.text.wording import quoted
from c7n_iamusers_cli.output import say
from c7n_iamusers_cli.yaml_files import as_yaml, output_options, put

#: UserName: IAM API reference, CreateUser.
_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_GLOB = frozenset("*?[]{}")
_RESOURCES = ("aws.iam-user", "iam-user")
#: The filter of a policy that selects nobody, as every user has a name. It reports other policies' outcomes.
_NOBODY = {NAME_KEY: "absent"}


def _names(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return user_names(values)


def user_names(values: Sequence[str]) -> tuple[str, ...]:
    """Whole names of IAM users, each once. Raises click.BadParameter for anything else."""
    for value in values:
        if _GLOB.intersection(value):
            raise click.BadParameter(f"{value!r} is a pattern: give whole names, one --user for each user")
        if not _NAME.fullmatch(value):
            raise click.BadParameter(
                f"{value!r} is not the name of an IAM user: give up to 64 letters, digits and _+=,.@-, without a path"
            )
    return tuple(dict.fromkeys(values))


@click.command()
@click.option(
    "-u",
    "--use",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The file of policies.",
)
@click.option(
    "-p", "--policy", "policies", multiple=True, metavar="NAME", help="Only this policy. Repeatable."
)
@click.option(
    "--user",
    "names",
    multiple=True,
    required=True,
    callback=_names,
    metavar="NAME",
    help="The name of a user, as IAM has it. Repeatable.",
)
@output_options
def only(
    file: Path, policies: tuple[str, ...], names: tuple[str, ...], output: Path | None, force: bool
) -> None:
    """Print the policies of a file for the named users alone, to be run by c7n-org or custodian.

    The condition comes first in the filters of each policy. All else stays, even the policies' names, so that a run
    with the same -s finds the records of earlier runs. A policy that selects nobody and reports other policies'
    outcomes stays unchanged. A narrowed file can only be narrowed further. The command fails, and writes nothing, if a
    policy can't be narrowed: it is not on aws.iam-user, has no list of filters, or is deployed as a function, which
    would replace the one for all users.
    """
    from c7n_iamusers.execution.given import parsed_file
    from c7n_iamusers.text.documents import read_json
    from c7n_iamusers.text.yaml_documents import read_yaml

    read = read_json if file.suffix == ".json" else read_yaml
    try:
        data = parsed_file(file, lambda content: narrowed(read(content), names, policies))
    except ValueError as error:
        raise InvalidPolicyData(f"{file}: nothing was written: {error}") from error
    put(as_yaml(data), file, output, force)
    told = ", ".join(str(each["name"]) for each in data["policies"])
    say(f"{told} of {file}, for {', '.join(names)} alone", err=True)


def narrowed(data: Any, names: Sequence[str], policies: Sequence[str] = ()) -> dict[str, Any]:
    """The content of a file of policies, each of which selects only users with these ``names``.

    ``policies``: the names of the wanted ones; empty for all. Raises ValueError if one can't be narrowed.
    """
    given = data.get("policies") if isinstance(data, Mapping) else None
    if not isinstance(given, list) or not given:
        raise ValueError("it has no list named policies")
    known = [_name_of(number, each) for number, each in enumerate(given, 1)]
    if unknown := [policy for policy in policies if policy not in known]:
        raise ValueError(f"it has no policy {', '.join(unknown)}, but {', '.join(known)}")
    chosen = [each for each, name in zip(given, known, strict=True) if not policies or name in policies]
    return {**deepcopy(dict(data)), "policies": [_narrowed(deepcopy(each), names) for each in chosen]}


def _name_of(number: int, policy: Any) -> str:
    name = policy.get("name") if isinstance(policy, Mapping) else None
    if not isinstance(name, str):
        raise ValueError(f"entry {number} of policies is no policy with a name")
    return name


def _narrowed(policy: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    where, filters = f"policy {policy['name']} can't be narrowed", policy.get("filters")
    if isinstance(filters, list) and _NOBODY in filters:
        return policy
    if policy.get("resource") not in _RESOURCES:
        raise ValueError(f"{where}: its resource is {quoted(policy.get('resource'))}, and not aws.iam-user")
    if not isinstance(filters, list):
        raise ValueError(f"{where}: it has no list of filters")
    mode = policy.get("mode") or {}
    if not isinstance(mode, Mapping) or mode.get("type", "pull") != "pull":
        raise ValueError(f"{where}: it is deployed as a function, and would replace the one for all users")
    for each in filters:
        before = named_alone(each)
        if before and (others := [name for name in names if name not in before]):
            raise ValueError(
                f"{where} to {', '.join(others)}: it is for {', '.join(before)} alone; begin with the file for all "
                "users"
            )
    # an earlier condition that all of these names meet is redundant, and an empty one was a placeholder
    rest = [each for each in filters if named_alone(each) is None]
    return {**policy, "filters": [_condition(names), *rest]}


def _condition(names: Sequence[str]) -> dict[str, Any]:
    # A list, because the filter takes a name such as `present` for another condition.
    return {"type": "value", "key": NAME_KEY, "op": "in", "value": list(names)}
