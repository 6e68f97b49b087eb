# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers permissions``: a least-privilege IAM policy for the role that runs given policies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from c7n_iamusers.cli.arguments import any_account_id
from c7n_iamusers.cli.arguments import partition as known_partition
from c7n_iamusers.cli.output import print_json
from c7n_iamusers.cli.policies import loaded

if TYPE_CHECKING:
    from c7n_iamusers.iam.permissions import Needed

PACKAGE = "c7n_iamusers."
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option(
    "--policy", "files", type=_FILE, multiple=True, required=True, metavar="FILE", help="May be repeated."
)
@click.option(
    "--restore",
    is_flag=True,
    help="Include what `c7n-iamusers restore` needs, which can give policies to users.",
)
@click.option(
    "--account",
    default="*",
    show_default=True,
    metavar="ID",
    callback=any_account_id,
    help="The account of the users.",
)
@click.option(
    "--partition",
    default="aws",
    show_default=True,
    callback=known_partition,
    help="aws, aws-cn, aws-us-gov, ...",
)
def permissions(files: tuple[Path, ...], restore: bool, account: str, partition: str) -> None:
    """Print the least-privilege IAM policy for the role that runs the policies in the given files.

    It covers calls in the users' account. It does not cover notify and s3 output, which use the credentials that run
    Cloud Custodian, and the role that provision-identity-center assumes.
    """
    from c7n_iamusers.iam.permissions import RESTORATION, Needed, role_policy

    found = [needed_by(file) for file in files]
    own = frozenset().union(*(each.own for each in found))
    others = frozenset().union(*(each.others for each in found), RESTORATION if restore else ())
    print_json(role_policy(Needed(own, others), account, partition))


def needed_by(file: Path) -> Needed:
    """The permissions that the policies in ``file`` declare. Raises InvalidPolicyData if they can't be loaded."""
    from c7n_iamusers.iam.permissions import Needed

    own: set[str] = set()
    others: set[str] = set()
    for policy in loaded(file):
        manager = policy.resource_manager
        source = getattr(manager, "source", manager)
        for part in (source, *manager.filters, *manager.actions):
            mine = type(part).__module__.startswith(PACKAGE)
            (own if mine else others).update(part.get_permissions())
    return Needed(frozenset(own), frozenset(others))
