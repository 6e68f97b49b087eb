# SPDX-License-Identifier: Apache-2.0
"""The workspace in which a demo or a rehearsal runs the cycle: made from a checkout, and emptied of an earlier one."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import yaml

from aws_local_org.errors import LocalOrgError
from c7n_iamusers.cycle.settings import SETTINGS_FILE
from c7n_iamusers.cycle.steps import BY_NAME, PROVISION, REMOVAL

#: The files and directories that the steps make in their work directory.
OWN = (
    ".cycle",
    "accounts.yml",
    "cache",
    "iam-users.yml",
    "logs",
    "mailer.yml",
    "mails",
    "notices",
    "output",
    "policies",
    "receipts",
    "report.html",
    "report.json",
)
#: The policies of each step of the cycle, except those that select nobody in the demo.
POLICY_NAMES = {
    "announce": ("iam-users-flag",),
    "provision": ("iam-users-provision",),
    "listen": ("iam-users-listen", "iam-users-listen-people"),
    "quarantine": ("iam-users-quarantine", "iam-users-quarantine-people"),
    "remind": ("iam-users-remind",),
    "delete": ("iam-users-delete", "iam-users-delete-people"),
}
#: The same for what only the demo runs, by hand.
DEMO_POLICIES = {
    "attempts": ("iam-users-attempted",),
    "release": ("iam-users-release",),
}
#: The policies on access keys of machines, by the demo's runs of them.
KEY_POLICIES = {
    "keys-announce": ("iam-keys-announce",),
    "keys-park": ("iam-keys-announce", "iam-keys-park", "iam-keys-retire", "iam-keys-told"),
    "keys-retire": ("iam-keys-park", "iam-keys-retire", "iam-keys-told"),
}


def place_of(step: str) -> str:
    """Where the policies of a step leave their output, below that of the workspace."""
    if step == PROVISION:
        return PROVISION  # by provision.yml, which the workspace has in place of the one that writes intents
    return BY_NAME[step].place if step in BY_NAME else REMOVAL


def file_of(step: str) -> str:
    """The file of the policies of a step."""
    return BY_NAME[step].files[-1] if step in BY_NAME else f"{step}.yml"


def make_workspace(source: Path, work: Path, role: str) -> None:
    """Make ``work`` a workspace with a copy of the policies of ``source``. Nothing waits for an approval.

    ``role``: acts in each account.
    """
    shutil.copytree(source / "policies", work / "policies")
    (work / "policies" / BY_NAME[PROVISION].files[0]).unlink(missing_ok=True)
    settings = {"roles": dict.fromkeys(("reader", "remover", "restorer"), role), "approve": []}
    (work / SETTINGS_FILE).write_text(yaml.safe_dump(settings))


def link_files(source: Path, work: Path) -> None:
    """Link what else is in ``source`` into ``work``: policies may name files of the checkout by their paths there.

    Not what the steps themselves make in ``work``: that of the checkout is a real organization's.
    """
    for each in source.iterdir():
        link = work / each.name
        if each.name.startswith(".") or each.name in OWN or each.resolve() in (work, *work.parents):
            continue
        if link.is_symlink():
            link.unlink()
        if not link.exists():
            link.symlink_to(each)


def check_checkout(source: Path, what: str, steps: Iterable[str] = POLICY_NAMES) -> None:
    """Raises LocalOrgError if ``source`` lacks anything that the ``steps`` need."""
    needs = (
        "accounts.yml",
        "mailer.yml",
        "policies/exemptions.csv",
        *(f"policies/{file_of(step)}" for step in steps),
    )
    for needed in needs:
        if not (source / needed).exists():
            raise LocalOrgError(
                f"there is no {needed} in {source}: run the {what} in a checkout, or name one by --source"
            )


def clear(work: Path, what: str, marker: str) -> None:
    """Make ``work`` an empty directory with the ``marker``. Only files of steps are removed from a marked directory.

    ``what``: a demo or a rehearsal, for messages.
    """
    try:
        marked = not work.is_symlink() and (work / marker).is_file() and not (work / marker).is_symlink()
        if not marked and (work.is_symlink() or (work.exists() and not _is_empty(work))):
            raise LocalOrgError(
                f"{work} is not empty and has no marker of a {what}, so nothing in it is changed: name another "
                f"directory by --work. If it is an earlier {what}'s, remove it yourself: rm -r "
                f"{work}"
            )
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        (work / marker).touch()
        for name in OWN:
            _remove(work / name)
    except OSError as error:
        raise LocalOrgError(f"{work} can't be prepared: {error}; name another directory by --work") from error


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _remove(path: Path) -> None:
    """Removes a file, a directory, or a link (not its target)."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
