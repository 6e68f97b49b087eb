# SPDX-License-Identifier: Apache-2.0
"""The command lines of a day: what a person would type in the workspace. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from c7n_iamusers.cycle.steps import RECORDS

#: A directory of the workspace with what the cycle writes for its commands, and reads of them.
OWN = ".cycle"
#: The tag of the accounts of a step, in the accounts file that is made for it.
TAG = "cycle"
#: The directories of the intents, and of what tells owners of people who have access, below the output.
INTENTS, MOVED = "intents", "moved"
#: The directory of plans, below the output.
PLANS = f"{RECORDS}/plans/"
Line = tuple[str, ...]
_S3 = "s3://"


def below(output: str, name: str) -> str:
    """The place ``name`` below ``output``, a directory or ``s3://BUCKET/PREFIX?region=REGION``."""
    path, mark, options = output.partition("?") if output.startswith(_S3) else (output, "", "")
    return f"{path.rstrip('/')}/{name}{mark}{options}"


def own(name: str) -> str:
    """The path of a file that the cycle writes for its commands."""
    return f"{OWN}/{name}"


@dataclass(frozen=True)
class Run:
    """What a step runs with. ``accounts``: the accounts file, in which the step's have TAG. ``policies``: the file.

    ``output``: of the workspace.
    """

    accounts: str
    policies: str
    output: str

    def policies_line(self, place: str, *only: str, policies: str = "", dry: bool = False) -> Line:
        """c7n-org over the accounts. ``only``: names of policies. ``policies``: in place of the step's."""
        names = [part for name in only for part in ("-p", name)]
        return (
            *("c7n-org", "run", *(("--dryrun",) if dry else ()), "-c", self.accounts, "-t", TAG),
            *(
                "-u",
                policies or self.policies,
                *names,
                "-s",
                below(self.output, place),
                "--cache-period",
                "0",
            ),
        )

    def check_line(self, places: Iterable[str], since: datetime, name: str, *uses: str) -> Line:
        """`report --check` of what ran since. ``places``: below the output. ``name``: of what it writes.

        ``uses``: what ran, FILE or FILE#POLICY; by default the step's file.
        """
        return (
            *("c7n-iamusers", "report", *_all("-s", (below(self.output, each) for each in places))),
            *("-c", self.accounts, "-t", TAG, *_all("-u", uses or (self.policies,)), "--since", _time(since)),
            *("--check", "--check-output", own(f"{name}.check.json"), "--output", own(f"{name}.html")),
        )


def report_line(accounts: str, output: str, check: str = own("report.check.json"), page: str = "") -> Line:
    """`report --check` over all that lies in the output. ``page``: by default there, too."""
    return (
        *("c7n-iamusers", "report", "-s", output, "-c", accounts, "-t", TAG),
        *("--check", "--check-output", check, "--output", page or below(output, "report.html")),
    )


@dataclass(frozen=True)
class Center:
    """How `provision` reaches Identity Center and the accounts. ``role``, ``member_role``: ARNs.

    ``records``: the variable of that name, where runs of `provision` leave their records; empty if there is none.
    """

    role: str
    region: str
    member_role: str
    records: str = ""


def provision_line(command: str, run: Run, center: Center, *more: str) -> Line:
    """`provision plan` or `apply` over the intents of the step's accounts."""
    intents = below(run.output, INTENTS)
    # where the records are in the intents' place or above it, the command's own default is meant
    apart = center.records and not _is_within(intents, center.records)
    records = ("--records", center.records) if apart else ()
    return (
        *("c7n-iamusers", "provision", command, "-s", intents, *records, "-c", run.accounts, "-t", TAG),
        *("-u", run.policies, "--member-role", center.member_role, "--role", center.role),
        *("--region", center.region, *more),
    )


def mailer_line(config: str) -> Line:
    """c7n-mailer, which empties the queue once."""
    return ("c7n-mailer", "--run", "-c", config)


def plan_place(output: str, digest: str, name: str) -> str:
    """Where a file of the plan with this SHA-256 lies."""
    return below(output, f"{PLANS}{digest}/{name}")


def _is_within(place: str, directory: str) -> bool:
    here, above = (each.partition("?")[0].rstrip("/") for each in (place, directory))
    # in a bucket the command looks in one prefix; on disk, in the directories above, too
    return here == above or (not here.startswith(_S3) and here.startswith(f"{above}/"))


def _all(option: str, values: Iterable[str]) -> Sequence[str]:
    return [part for value in values for part in (option, value)]


def _time(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
