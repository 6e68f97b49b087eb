# SPDX-License-Identifier: Apache-2.0
"""What ``verify`` compares each member of a journal's lines, and of the rows of outcomes, with. Data alone.

``docs/receipts.md`` has this table (``make docs``). A test gives each member another value, and finds what it says.
"""

from __future__ import annotations

from dataclasses import dataclass

#: How another value shows: ``verify`` ends with 1; ``verify --cloudtrail`` does; one of them ends with 3.
WRONG, WRONG_BY_CLOUDTRAIL, TO_LOOK_AT = "wrong", "wrong, with `--cloudtrail`", "to look at"
#: Nothing else says it: it is as good as the place where the journal lies.
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
EACH, ROW = "each line", "row of `outcomes.json`"


@dataclass(frozen=True)
class Compared:
    """``kind``: of line. ``names``: of its members; ``a.b`` is the member ``b`` of the object ``a``."""

    kind: str
    names: tuple[str, ...]
    shows: str
    what: str = ""


def _of(kind: str, names: str, shows: str, what: str = "") -> Compared:
    return Compared(kind, tuple(names.split()), shows, what)


COMPARED = (
    _of(EACH, "previous last_whole", WRONG, "the lines before"),
    _of(EACH, "user", WRONG, "the ARN"),
    _of(
        BEFORE,
        "phase time arn unique_id service",
        WRONG,
        "the line after the call; the outcome's calls; an hour",
    ),
    _of(BEFORE, "operation parameters", WRONG, "the line after the call; in both, AWS's event"),
    _of(BEFORE, "notes", ALONE),
    _of(AFTER, "phase", WRONG_BY_CLOUDTRAIL, "AWS's event"),
    _of(AFTER, "time arn unique_id service", WRONG, "the line before the call, an hour at most before"),
    _of(AFTER, "operation parameters", WRONG, "the line before the call; in both, AWS's event"),
    _of(AFTER, "result code caller", WRONG_BY_CLOUDTRAIL, "each other; AWS's event"),
    _of(AFTER, "request_id", TO_LOOK_AT, "AWS's event, where events have the ids of answers"),
    _of(AFTER, "status saved", ALONE),
    _of(
        SNAPSHOT,
        "phase time arn unique_id snapshot sha256",
        WRONG,
        "the file: its digest, its user, its time",
    ),
    _of(QUARANTINE, "phase time arn unique_id", WRONG, "the calls after it, and the outcome"),
    _of(
        QUARANTINE,
        "record.since record.policy record.reason record.deny record.deactivated",
        WRONG,
        "the calls: the tag, the Deny-all, what is deactivated; of AWSDenyAll, what is not is to be looked at",
    ),
    _of(QUARANTINE, "record.credentials record.inactive", WRONG, "the calls: the tag, the Deny-all"),
    _of(QUARANTINE, "record.given record.dropped record.by_others", ALONE),
    _of(DECISION, "phase time arn unique_id", WRONG, "the calls after it, and the outcome"),
    _of(DECISION, "announcement.notice announcement.sha256", WRONG, "the notice"),
    _of(DECISION, "plan.sha256", TO_LOOK_AT, "the plan"),
    _of(DECISION, "announcement.delivery announcement.day announcement.digest plan.place", ALONE),
    _of(DECISION, "exemptions.rules exemptions.sha256 noticed active_within quarantined_for", ALONE),
    _of(DECISION, "access listened_since", ALONE),
    _of(OUTCOME, "phase arn unique_id calls", WRONG, "the row; the calls"),
    _of(OUTCOME, "status", WRONG, "the row; which calls they are, and what became of DeleteUser"),
    _of(
        OUTCOME,
        "time",
        WRONG,
        "the row; the last call, an hour at most before, but for a run that was killed",
    ),
    _of(OUTCOME, "rests_on", WRONG, "the row; the line of the change that it found"),
    _of(
        OUTCOME,
        "reason code also for_owners call error seconds",
        WRONG,
        "the row. In both: by the journal alone",
    ),
    _of(RESTORATION, "phase", ALONE),
    _of(RESTORATION, "time arn unique_id status", WRONG, "the calls before it"),
    _of(RESTORATION, "made", WRONG, "what CreateUser made"),
    _of(RESTORATION, "without left_out", ALONE),
    _of(LAPSED, "phase time arn unique_id gone active", ALONE),
    _of(GIVEN_UP, "phase time arn unique_id snapshot by", ALONE),
    _of(RESULT, "phase sha256", WRONG, "the file `result.json`"),
    _of(RESULT, "time user arn unique_id", ALONE),
    _of(PROVISIONING, "phase time arn unique_id operation parameters notes", ALONE),
    _of(PROVISIONING, "result code request_id caller status saved", ALONE),
    _of(PROVISIONING, "service", WRONG, "IAM, which it does not call"),
    _of(
        ROW,
        "user arn unique_id status reason code also for_owners call error calls seconds time",
        WRONG,
        "the line",
    ),
    _of(ROW, "rests_on history", WRONG, "the lines"),
)
#: Members that a page, a user's history or a receipt shows, and that are ALONE, or ALONE once a row and its line agree.
SHOWN_ALONE = frozenset(
    {"reason", "code", "exemptions.rules", "exemptions.sha256", "quarantined_for", "listened_since"}
)


def comparison_of(kind: str, name: str) -> Compared | None:
    """What says whether the member ``name`` of a line or row is as a run wrote it; None if the table lacks it."""
    found = [each for each in COMPARED if each.kind in (kind, EACH) and name in each.names]
    return max(found, key=lambda each: each.kind == kind, default=None)


def comparison_table() -> str:
    """The table as Markdown."""
    head = "| line | members | compared with | another value is |\n| --- | --- | --- | --- |\n"
    return head + "".join(
        f"| {each.kind} | {', '.join(f'`{name}`' for name in each.names)} | {each.what or 'nothing'} | "
        f"{each.shows if each.shows != ALONE else 'not found: ' + ALONE} |\n"
        for each in COMPARED
    )
