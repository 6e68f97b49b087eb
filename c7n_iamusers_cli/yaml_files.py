# SPDX-License-Identifier: Apache-2.0
"""Writes YAML files: whole, for their owner alone, and over another file only with --force."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from c7n_iamusers.exceptions import InvalidPolicyData

_SUFFIXES = frozenset((".yml", ".yaml"))


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options -o and --force of a command that writes a file or prints it."""
    for option in (
        click.option("--force", is_flag=True, help="Let -o replace a file with other content."),
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            callback=_yaml_name,
            metavar="FILE",
            help="Write this file, which only you may read, instead of printing it.",
        ),
    ):
        command = option(command)
    return command


def _yaml_name(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix not in _SUFFIXES:
        raise click.BadParameter(
            f"{str(value)!r} must end with .yml, as Cloud Custodian reads others as JSON"
        )
    return value


def as_yaml(data: Any) -> str:
    """``data`` (of JSON's and YAML's plain types) as YAML without anchors.

    Texts with braces are in double quotes, because ``custodian run --vars-file`` fills variables into a file's text.
    Texts of digits, such as account ids, are quoted for every reader of YAML. Raises InvalidPolicyData if the text
    would not be read as ``data``.
    """
    import yaml

    from c7n_iamusers.text.documents import NotInFormat
    from c7n_iamusers.text.yaml_documents import read_yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = '"' if "{" in value or "}" in value or value.isdecimal() else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    try:
        found: str = yaml.dump(data, Dumper=Dumper, sort_keys=False, width=float("inf"), explicit_start=True)
        if read_yaml(found) == data:
            return found
    except (yaml.YAMLError, NotInFormat) as error:
        raise InvalidPolicyData(
            f"nothing was written: the content can't be written as YAML: {error}"
        ) from error
    raise InvalidPolicyData("nothing was written: as YAML the content would be read as something else")


def put(text: str, source: Path, output: Path | None, force: bool) -> None:
    """Print ``text``, or write it to ``output`` with mode 0600. ``source``: its source, which stays.

    Raises InvalidPolicyData if ``output`` is that file, no regular file, or, without ``force``, has other content.
    """
    if output is None:
        click.echo(text, nl=False)
        return
    content = text.encode()
    try:
        if output.exists() or output.is_symlink():
            _check(content, source, output, force)
        _write(content, output)
    except OSError as error:
        raise InvalidPolicyData(f"{output} can't be written: {error}") from error


def _check(content: bytes, source: Path, output: Path, force: bool) -> None:
    """Whether the file ``output`` may be replaced."""
    from c7n_iamusers.execution.given import read_given

    if output.exists() and os.path.samefile(source, output):
        raise InvalidPolicyData(f"-o {output} is the file that is read: name another")
    if read_given(output) != content and not force:
        raise InvalidPolicyData(
            f"{output} exists with other content: look at it, and give --force to replace it, or name another file"
        )


def _write(content: bytes, output: Path) -> None:
    from c7n_iamusers.execution.stores import write_draft

    draft = write_draft(output, (content,))
    try:
        os.replace(draft, output)
    except OSError:
        draft.unlink()
        raise
