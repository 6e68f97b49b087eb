# SPDX-License-Identifier: Apache-2.0
"""The steps of a day, in their order: the one table that the cycle, its documentation and the rehearsals have. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

#: The roles by which steps act in the accounts: one that only reads, and one that denies and deletes.
READER, REMOVER = "reader", "remover"
#: When a step is due in an account: on every day; once somebody is announced there; so many days after that; and also
#: not before the announced day.
DAILY, ANNOUNCED, AFTER, ON_DAY = "daily", "announced", "after", "on-day"
#: Where the steps that change users, and those that read their journals, leave what they write.
REMOVAL = "removal"
#: The directory of the records of cycles and of their plans, below the output.
RECORDS = "cycle"


@dataclass(frozen=True)
class Step:
    """One step. ``title``: what it does, in words. ``files``: of its policies; the first one that is there counts.

    ``role``: READER or REMOVER. ``place``: of its output, below that of the workspace. ``due``: see DAILY. ``days``:
    the variable with the days of AFTER and ON_DAY. ``pause``: the least time between two runs. ``once``: it runs once
    in an account. ``named``: it runs only if the settings name it. ``for_people``: it needs access through Identity
    Center.
    """

    name: str
    title: str
    files: tuple[str, ...]
    role: str
    place: str
    due: str
    days: str = ""
    pause: timedelta = timedelta()
    once: bool = False
    named: bool = False
    for_people: bool = False

    @property
    def changes_users(self) -> bool:
        """Whether it denies or deletes."""
        return self.role == REMOVER


STEPS: tuple[Step, ...] = (
    Step("announce", "tell owners who is deleted when", ("flag-and-notify.yml",), READER, "flag", DAILY),
    Step("remind", "remind owners, also of who is overdue", ("remind.yml",), READER, "remind", ANNOUNCED),
    Step(
        "provision",
        "give people access through Identity Center",
        ("provision-intents.yml", "provision.yml"),
        READER,
        "intents",
        DAILY,
        for_people=True,
    ),
    Step(
        "brownout",
        "deny everything for some minutes",
        ("brownout.yml",),
        REMOVER,
        REMOVAL,
        AFTER,
        "brownout_after_days",
        once=True,
        named=True,
    ),
    Step("listen", "deny everything", ("listen.yml",), REMOVER, REMOVAL, AFTER, "listen_after_days"),
    Step(
        "quarantine",
        "deactivate credentials",
        ("quarantine.yml",),
        REMOVER,
        REMOVAL,
        AFTER,
        "quarantine_after_days",
    ),
    Step(
        "attempts",
        "ask who still calls AWS as a denied user",
        ("attempts.yml",),
        READER,
        REMOVAL,
        AFTER,
        "listen_after_days",
        pause=timedelta(days=6),
    ),
    Step("keys", "retire single access keys", ("keys.yml",), REMOVER, REMOVAL, DAILY, named=True),
    Step("delete", "delete users", ("delete.yml",), REMOVER, REMOVAL, ON_DAY, "announce_days"),
    Step(
        "your-access",
        "write to people who have access",
        ("your-access.yml",),
        READER,
        "your-access",
        DAILY,
        for_people=True,
    ),
)
BY_NAME: Mapping[str, Step] = {each.name: each for each in STEPS}
#: Steps that can wait for an approval: they have a plan, and apply it as it was reviewed.
PROVISION, DELETE = "provision", "delete"
APPROVABLE = (PROVISION, DELETE)


def file_of(step: Step, files: Collection[str]) -> str | None:
    """The file of the step's policies among ``files``, the names in the directory; None if there is none."""
    return next((each for each in step.files if each in files), None)


def steps_of(named: Sequence[str] | None, provision: bool, files: Collection[str]) -> list[Step]:
    """The steps of a workspace, in the order of STEPS. ``named``: those of the settings; None for the default.

    Raises ValueError for one without policies among ``files``.
    """
    if named is None:
        return [
            each
            for each in STEPS
            if not each.named and (provision or not each.for_people) and file_of(each, files)
        ]
    if missing := [each for each in STEPS if each.name in named and not file_of(each, files)]:
        told = "; ".join(f"{each.name} needs {' or '.join(each.files)}" for each in missing)
        raise ValueError(f"{told}: put it there, or leave the step out of steps")
    return [each for each in STEPS if each.name in named]
