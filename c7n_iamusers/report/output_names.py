# SPDX-License-Identifier: Apache-2.0
"""What a file of an output is, by its name. Reports read by it, and ``verify`` checks by it: the same files. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from c7n_iamusers.evidence.seen_users import SEEN
from c7n_iamusers.execution.journal import BUCKET_JOURNALS, RESTORE_JOURNAL
from c7n_iamusers.execution.outcomes import OUTCOMES
from c7n_iamusers.execution.output_layout import DATE, DATE_PARTS
from c7n_iamusers.execution.stores import JOURNAL
from c7n_iamusers.snapshots.archive import SNAPSHOTS

GZ = ".gz"
RESOURCES, METADATA, LOG = "resources.json", "metadata.json", "custodian-run.log"
#: Of provisioning: the file beside an account's outcomes, and the directory of its own runs, which no report reads.
RESULT_FILE, RUNS = "identity-center-result.json", "identity-center-runs"
#: Of provisioning's runs: the result of one; of an undo, what it did, and its journal.
RESULT, UNDONE, UNDO_JOURNAL = "result.json", "undone.json", "undo-journal.jsonl"
PLAN = "deletion-plan.json"
#: The files that reports read, also packed: those of Cloud Custodian, which packs them in a bucket, and those of this
#: package, which no run packs.
OF_CUSTODIAN, OF_RUNS = (RESOURCES, METADATA, LOG, SEEN), (OUTCOMES, RESULT_FILE, JOURNAL, RESTORE_JOURNAL)
#: Journals that are one file.
JOURNALS = (JOURNAL, RESTORE_JOURNAL, UNDO_JOURNAL)
#: What else a file is: a journal's object for one user, or one of a sequence; a file in the journal's directory under a
#: name that no run gives; a snapshot.
OBJECT, SEGMENT, STRAY, SNAPSHOT = "object", "segment", "stray", "snapshot"
_NAMED, _OF_PROVISIONING = frozenset({*OF_CUSTODIAN, *OF_RUNS, *JOURNALS, PLAN}), (RESULT, UNDONE)
_JOURNAL_DIRECTORIES = (BUCKET_JOURNALS.removesuffix("/"), UNDO_JOURNAL.removesuffix(".jsonl"))
_RUN, _PART = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}", re.ASCII), re.compile(r"\d{8}\.jsonl", re.ASCII)
_RUN_OF_PARTS = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8}", re.ASCII)
_OF_USER = re.compile(r".+\.(?P<id>[A-Za-z0-9_]+)\.jsonl", re.ASCII)
#: Controls, separators of lines, and halves of characters: text that goes on elsewhere than its reader looks.
_UNREADABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class OutputName:
    """``full``: the name in the store. ``what``: one of the constants above; empty for what nobody reads.

    ``place``: the directory of its output, with a slash at its end; empty for the store itself. ``within``: the rest,
    without GZ. ``of``: the unique id of an OBJECT; the journal of a SEGMENT. ``provisions``: it is in the directory of
    provisioning's runs. ``fault``: why no run gives such a name; empty if one may.
    """

    full: str
    what: str
    place: str
    within: str
    of: str = ""
    provisions: bool = False
    fault: str = ""

    @property
    def is_packed(self) -> bool:
        """Whether it is packed, by its name."""
        return self.full.endswith(GZ)

    @property
    def is_dated(self) -> bool:
        """Whether it lies where Cloud Custodian's files of a run lie in a bucket."""
        return bool(DATE.fullmatch("/".join(self.full.split("/")[-DATE_PARTS - 1 : -1])))


def what_is(name: str) -> OutputName:
    """What the file ``name`` of a store is, which may be named by anybody.

    An account or a policy may have the name of a journal's directory: the files that are named alike everywhere are
    what their own name says.
    """
    *above, last = name.removesuffix(GZ).split("/")
    provisions, what, of, deep = RUNS in above, "", "", len(above)
    journals = [at for at, each in enumerate(above) if each in _JOURNAL_DIRECTORIES]
    if last in _NAMED or (provisions and last in _OF_PROVISIONING):
        what = last
    elif above[-1:] == [SNAPSHOTS] and last.endswith(".json"):
        what, deep = SNAPSHOT, len(above) - 1
    elif journals:
        deep = journals[-1]
        what, of = _in_journal(above[deep:], last, provisions)
    place = "".join(f"{each}/" for each in above[:deep])
    within = "/".join((*above[deep:], last))
    return OutputName(name, what, place, within, of, provisions, _fault(name, above if what else ()))


def _in_journal(directories: Sequence[str], last: str, provisions: bool) -> tuple[str, str]:
    """What is in the directory of a journal, the first of ``directories``, and of which user or run."""
    if len(directories) != 2:
        return STRAY, ""
    directory, run = directories
    if provisions:
        is_part = _RUN_OF_PARTS.fullmatch(run) and _PART.fullmatch(last)
        return (SEGMENT, f"{directory}/{run}") if is_part else (STRAY, "")
    user = _OF_USER.fullmatch(last) if _RUN.fullmatch(run) and f"{directory}/" == BUCKET_JOURNALS else None
    return (OBJECT, user["id"]) if user else (STRAY, "")


def _fault(name: str, above: Sequence[str]) -> str:
    if any(unicodedata.category(each) in _UNREADABLE for each in name):
        return "has a control character in its name, and no run writes such a file: find out who did"
    if not {"", ".", ".."}.isdisjoint(above):
        return (
            "has an empty part, or one of dots, in its name, and no run writes such a file: find out who did"
        )
    return ""
