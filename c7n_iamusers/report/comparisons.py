# SPDX-License-Identifier: Apache-2.0
"""With what ``verify`` compares each member of a journal's lines, and of the rows of outcomes. Data alone.

``docs/receipts.md`` has this table (``make docs``). A test gives each member another value, and finds what it says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: What another value leads to: ``verify`` ends with 1; only ``verify --cloudtrail`` does; one of them ends with 3.
WRONG, WRONG_BY_CLOUDTRAIL, TO_LOOK_AT = "wrong", "wrong, with `--cloudtrail`", "to look at"
#: Nothing else says it: it is as trustworthy as the journal's place.
ALONE = "by the journal alone"
#: What readers say of members that they show, and that are ALONE.
ALONE_IN_WORDS = (
    "Reasons, names of policies, and on what a deletion rested but for its notice and plan, are as the outputs say: "
    "c7n-iamusers verify compares users, statuses, calls and times"
)

#: Kinds of lines.
BEFORE, AFTER, SNAPSHOT, QUARANTINE = "before", "after, tried", "snapshot", "quarantine"
DECISION, OUTCOME, RESTORATION = "decision", "outcome", "outcome of a restoration"
LAPSED, GIVEN_UP, RESULT, PROVISIONING = "lapsed", "given-up", "result", "all others of provisioning"
BEFORE_KEY = "before, of an access key"
EACH, ROW = "each line", "row of `outcomes.json`"


@dataclass(frozen=True)
class Compared:
    """``kind``: of line. ``names``: of its members; ``a.b`` is the member ``b`` of the object ``a``.

    ``optional``: those of them that not every run writes.
    """

    kind: str
    names: tuple[str, ...]
    shows: str
    what: str = ""
    optional: frozenset[str] = frozenset()

    def marked(self, name: str) -> str:
        """The name as the table has it: with a question mark where it is optional."""
        return f"`{name}`{'?' if name in self.optional else ''}"


def _of(kind: str, names: str, shows: str, what: str = "") -> Compared:
    """``names``: those with a question mark are optional."""
    words = [each.partition("?") for each in names.split()]
    optional = frozenset(name for name, mark, _ in words if mark)
    return Compared(kind, tuple(name for name, _, _ in words), shows, what, optional)


COMPARED = (
    _of(EACH, "previous last_whole?", WRONG, "the lines before"),
    _of(EACH, "user", WRONG, "the ARN"),
    _of(
        BEFORE,
        "phase time arn unique_id service",
        WRONG,
        "the line after the call; the outcome's calls; an hour",
    ),
    _of(BEFORE, "operation parameters", WRONG, "the line after the call; in both, AWS's event"),
    _of(BEFORE, "notes?", ALONE),
    _of(
        BEFORE_KEY,
        "phase time arn unique_id service",
        WRONG,
        "the line after the call; the id of the key in the call; the outcome's calls; an hour",
    ),
    _of(BEFORE_KEY, "operation parameters", WRONG, "the line after the call; what the call is for"),
    _of(
        BEFORE_KEY,
        "notes.for notes.since?",
        WRONG,
        "the call; the line of the parking on which a deletion or giving back rests, in all outputs, and what was done "
        "to the key since. By notices and the policy: whether its owner was told, its days, and the days parked",
    ),
    _of(
        BEFORE_KEY,
        "notes.used?",
        WRONG,
        "that of the parking with that of the deletion; of a key that is not deleted by the journal alone",
    ),
    _of(BEFORE_KEY, "notes.policy? notes.reason? notes.user_id?", ALONE),
    _of(
        AFTER, "phase", TO_LOOK_AT, "the line before the call: a killed run leaves one without an answer, too"
    ),
    _of(AFTER, "time arn unique_id service", WRONG, "the line before the call, an hour at most before"),
    _of(AFTER, "operation parameters", WRONG, "the line before the call; in both, AWS's event"),
    _of(
        AFTER,
        "result? code? caller",
        WRONG_BY_CLOUDTRAIL,
        "each other: what a call was to remove, and was gone, did not fail; AWS's event",
    ),
    _of(AFTER, "request_id?", TO_LOOK_AT, "AWS's event, where events have the ids of answers"),
    _of(AFTER, "status? saved?", ALONE),
    _of(
        SNAPSHOT,
        "phase time arn unique_id snapshot sha256",
        WRONG,
        "the file: its digest, its user, its time",
    ),
    _of(
        QUARANTINE,
        "phase time arn unique_id",
        WRONG,
        "the calls after it, of which each one of a quarantine has such a line before it; and the outcome",
    ),
    _of(
        QUARANTINE,
        "record.since record.policy record.reason record.deny record.deactivated",
        WRONG,
        "the calls: the tag, the Deny-all and its form, what is deactivated, by calls before it, too; where no call "
        "puts a Deny-all on, those of all outputs. Of AWSDenyAll, what is not is to be looked at",
    ),
    _of(QUARANTINE, "record.credentials? record.inactive?", WRONG, "the calls: the tag, the Deny-all"),
    _of(QUARANTINE, "record.given? record.dropped? record.by_others?", ALONE),
    _of(
        DECISION,
        "phase time arn unique_id",
        WRONG,
        "the calls after it, of which each one of a deletion has such a line before it; and the outcome",
    ),
    _of(
        DECISION,
        "announcement.notice announcement.sha256",
        WRONG,
        "the notice. Each line with `noticed` has one; who removes both leaves a deletion that asked for none, as its "
        "receipt says",
    ),
    _of(DECISION, "plan.sha256", TO_LOOK_AT, "the plan; that one was reviewed is by the journal alone"),
    _of(DECISION, "announcement.delivery announcement.day announcement.digest? plan.place", ALONE),
    _of(DECISION, "exemptions.rules exemptions.sha256 noticed? active_within? quarantined_for?", ALONE),
    _of(DECISION, "access? listened_since?", ALONE),
    _of(OUTCOME, "phase arn unique_id calls", WRONG, "the row; the calls"),
    _of(
        OUTCOME,
        "status",
        WRONG,
        "the row; the status that its calls have, by the last result of each, by the record of the quarantine, and by "
        "what denies the user then. Who was deleted is deleted. Where what the last call does was done, but "
        "for a deletion that ended half-way, a failure is to be looked at, and likewise a user that is left alone: "
        "what the run saw afterwards leaves no line. Which call was the last one, of those within ten minutes, is by "
        "the journal alone",
    ),
    _of(
        OUTCOME,
        "time",
        WRONG,
        "the row; the last call, an hour at most before, but for a run that was killed",
    ),
    _of(OUTCOME, "rests_on?", WRONG, "the row; the line of the change that it found"),
    _of(
        OUTCOME,
        "reason code also? for_owners? call error seconds",
        WRONG,
        "the row. In both: a code that no run writes, or not with that status, or a failed call that is none, is "
        "wrong; the rest is by the journal alone",
    ),
    _of(RESTORATION, "phase", ALONE),
    _of(RESTORATION, "time arn unique_id status", WRONG, "the calls before it"),
    _of(RESTORATION, "made", WRONG, "what CreateUser made"),
    _of(RESTORATION, "without left_out?", ALONE),
    _of(LAPSED, "phase time arn unique_id gone? active?", ALONE),
    _of(GIVEN_UP, "phase time arn unique_id snapshot by", ALONE),
    _of(RESULT, "phase sha256", WRONG, "the file `result.json`"),
    _of(RESULT, "time user arn unique_id", ALONE),
    _of(PROVISIONING, "phase time arn unique_id operation? parameters? notes?", ALONE),
    _of(PROVISIONING, "result? code? request_id? caller? status? saved?", ALONE),
    _of(PROVISIONING, "service?", WRONG, "IAM, which it does not call"),
    _of(
        ROW,
        "user arn unique_id status reason code also? for_owners? call error calls seconds time",
        WRONG,
        "the line",
    ),
    _of(ROW, "rests_on? history?", WRONG, "the lines"),
)
#: Members that a page, a user's history or a receipt shows, and that are ALONE, or ALONE once a row and its line agree.
SHOWN_ALONE = frozenset(
    {"reason", "code", "exemptions.rules", "exemptions.sha256", "quarantined_for", "listened_since"}
)


def comparison_of(kind: str, name: str) -> Compared | None:
    """What says whether the member ``name`` of a line or row is as a run wrote it; None if the table lacks it."""
    found = [each for each in COMPARED if each.kind in (kind, EACH) and name in each.names]
    return max(found, key=lambda each: each.kind == kind, default=None)


#: Kind -> the members that each line of it has: of an object, if that is there.
_REQUIRED = {
    kind: tuple(
        name
        for each in COMPARED
        if each.kind in (kind, *(() if kind == ROW else (EACH,)))
        for name in each.names
        # the first line of a journal, too, says that none is before it; an incomplete chain is told elsewhere
        if name not in each.optional and name != "previous"
    )
    for kind in {each.kind for each in COMPARED}
}
#: Objects that each line of such a kind has.
_OBJECTS = {QUARANTINE: ("record",), DECISION: ("exemptions",), BEFORE_KEY: ("notes",)}
_KINDS = {
    **dict.fromkeys(("before",), BEFORE),
    **dict.fromkeys(("after", "tried"), AFTER),
    **{each: each for each in (SNAPSHOT, QUARANTINE, DECISION, OUTCOME, LAPSED, GIVEN_UP)},
}


def kind_of(phase: str, of_users: bool, of_restorations: bool, of_key: bool = False) -> str:
    """The kind of a line; empty if no run writes such into this journal.

    ``of_users``: the journal is of no run of provisioning. ``of_restorations``: it is of restorations. ``of_key``: the
    line is about an access key.
    """
    if not of_users:
        return "" if phase in _KINDS.keys() - {"before", "after", "tried"} else PROVISIONING
    found = _KINDS.get(phase, "")
    if of_restorations:
        return RESTORATION if found == OUTCOME else found
    return BEFORE_KEY if of_key and found == BEFORE else found


def lacking(kind: str, line: Mapping[str, Any]) -> str:
    """The first member that the line or row lacks, and each run writes; empty if it has all."""
    # a deletion that asks for an announcement rests on one
    noticed = ("announcement",) if kind == DECISION and "noticed" in line else ()
    return next(_lacking(line, (*_OBJECTS.get(kind, ()), *noticed, *_REQUIRED[kind])), "")


def _lacking(line: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    for name in names:
        whole, _, part = name.partition(".")
        held = line.get(whole) if part else line
        if isinstance(held, Mapping) and (part or name) not in held:
            yield name


def comparison_table() -> str:
    """The table as Markdown."""
    head = "| line | members | compared with | another value is |\n| --- | --- | --- | --- |\n"
    return head + "".join(
        f"| {each.kind} | {', '.join(map(each.marked, each.names))} | {each.what or 'nothing'} | "
        f"{each.shows if each.shows != ALONE else 'not found: ' + ALONE} |\n"
        for each in COMPARED
    )
