# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers mailer-templates``: where the templates lie, for ``c7n-mailer -t``."""

from __future__ import annotations

from pathlib import Path

import click

import c7n_iamusers


@click.command("mailer-templates")
def mailer_templates() -> None:
    """Print the directory of the notices' templates.

    c7n-mailer --run -c mailer.yml -t "$(c7n-iamusers mailer-templates)"
    """
    click.echo(Path(c7n_iamusers.__file__).parent / "mailer_templates")
